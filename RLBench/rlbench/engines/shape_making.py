"""Making shapes while a scene runs: their forms, meshes read from files, and who makes them."""

from typing import Protocol, runtime_checkable

from pyrep_mujoco.objects.mesh_import import read_obj
from pyrep_mujoco.objects.shape_forms import Form, mesh_form, primitive_form
from rlbench.engines.object_protocols import SceneObject, Shape
from rlbench.engines.transforms import Floats

__all__ = [
    "Form",
    "MadeShape",
    "MakesShapes",
    "ShapeEditor",
    "mesh_form",
    "primitive_form",
    "read_obj",
]


class MadeShape(Shape, Protocol):
    """A shape that was made while the scene runs."""

    def set_respondable(self, value: bool) -> None:
        """Let other bodies collide with the shape, or pass through it."""

    def set_renderable(self, value: bool) -> None:
        """Show the shape to cameras, or hide it."""


class ShapeEditor(Protocol):
    """Makes shapes and frames while the scene runs."""

    def make(self, name: str, form: Form, T: Floats) -> MadeShape:
        """Make a shape of a form at a (4, 4) pose, world."""

    def make_frame(self, name: str, T: Floats) -> SceneObject:
        """Make a frame at a (4, 4) pose, world."""


@runtime_checkable
class MakesShapes(Protocol):
    """An engine that makes shapes by itself."""

    @property
    def editor(self) -> ShapeEditor:
        """What makes them."""
