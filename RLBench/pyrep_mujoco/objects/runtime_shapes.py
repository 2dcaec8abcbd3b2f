"""Shapes and frames that a task makes; `ShapeMaker` gives them bodies."""

from dataclasses import replace
from typing import Protocol

import numpy as np

from pyrep_mujoco.errors import ObjectAlreadyRemovedError
from pyrep_mujoco.objects.frames import MujocoDummy
from pyrep_mujoco.objects.scene_object import MujocoObject, Numbers, SceneParts
from pyrep_mujoco.objects.shape import ALL_FLAGS, Geometry, MujocoShape, read_geometry
from pyrep_mujoco.scene.forms import FRAME, Form
from pyrep_mujoco.transforms import Floats


class BodySource(Protocol):
    """What gives made shapes their bodies."""

    def make(self, name: str, form: Form, T: Floats) -> MujocoShape:
        """Add a shape at a (4, 4) world pose; its name gets a number where it is taken."""

    def build(self, shape: "RuntimeShape") -> None:
        """Give a shape a body, and with it all others that wait for one."""

    def give_back(self, shape: "RuntimeShape") -> None:
        """Take a shape's body away from it; it waits for another."""

    def remove(self, made: "Made") -> None:
        """Take a shape out of the scene, and all made shapes below it where it is a model."""


class RuntimeShape(MujocoShape):
    """A shape that a task made; it becomes a body when its pose is first asked for.

    Until then nothing of it is compiled, so that mass and kind can still be chosen.

    Attributes:
        form: what its body must be compiled for.
        is_gone: it is out of the scene.
    """

    def __init__(
        self, parts: SceneParts, name: str, form: Form, T: Floats, source: BodySource
    ) -> None:
        """Wait for a body.

        Args:
            parts: of the scene.
            name: of the shape.
            form: what its body must be compiled for.
            T: (4, 4) shape to world.
            source: gives it a body.
        """
        self._body = -1
        super().__init__(parts, name, -1, source)
        self._bodies = source
        self.form = form
        self._T = T
        self._color: tuple[float, ...] | None = None
        self._opacity = 1.0
        self._parent: MujocoObject | None = None
        self.is_gone = False

    @property
    def is_crumb(self) -> bool:  # type: ignore[override]
        """Tasks make liquids of drops in one place, which would burst apart."""
        return self.form.is_crumb

    def still_exists(self) -> bool:
        """Tell whether the shape is still in the scene."""
        return not self.is_gone

    @property
    def body(self) -> int:
        """Id of the body; asking for it makes it."""
        if self._body < 0:
            self._bodies.build(self)
        return self._body

    @body.setter
    def body(self, value: int) -> None:
        self._body = value

    @property
    def geometry(self) -> Geometry:
        """What the shape consists of; asking for it makes its body."""
        if self._geometry is None:
            self._bodies.build(self)
        return super().geometry

    @property
    def is_built(self) -> bool:
        """The shape has a body."""
        return self._body >= 0

    def built(self, body: int) -> None:
        """Take over a body."""
        self._body = body
        self._geometry = read_geometry(self._world, self._name, body)
        self._edits.bring_in(body)
        self._graph.move(body, self._T)
        if self._parent is not None:
            self._tree.hang(body, self._parent.get_handle())
        flags = self.flags()
        self.set_renderable("renderable" in flags)
        self._set_solid("respondable" in flags)
        self._world.model.geom_rgba[self.geoms, 3] = self._opacity
        if self._color is not None:
            super().set_color(self._color)

    def _default_flags(self) -> frozenset[str]:
        return ALL_FLAGS | {"respondable"}

    # ---- before there is a body ---------------------------------------------------------

    def transform(self) -> Floats:
        """Return the (4, 4) transform shape to world."""
        return super().transform() if self.is_built else self._T.copy()

    def set_parent(self, parent_object: MujocoObject | None, keep_in_place: bool = True) -> None:
        """Change the parent in the scene graph."""
        if self.is_built or not keep_in_place:
            super().set_parent(parent_object, keep_in_place)
        else:
            self._parent = parent_object

    def get_parent(self) -> MujocoObject | None:
        """Return the parent in the scene graph, None at the top."""
        return super().get_parent() if self.is_built else self._parent

    def is_dynamic(self) -> bool:
        """Tell whether physics moves the shape."""
        return super().is_dynamic() if self.is_built else self.form.is_free

    def set_dynamic(self, value: bool) -> None:
        """Let physics move the shape, or not."""
        if self.is_built and self.form.is_free:
            super().set_dynamic(value)
        elif value != self.form.is_free:
            self._remake(replace(self.form, is_free=value))

    def get_mass(self) -> float:
        """Return the mass [kg]."""
        return super().get_mass() if self.is_built and self.form.is_free else self.form.mass

    def set_mass(self, mass: float) -> None:
        """Change the mass [kg]."""
        if self.is_built and self.form.is_free:
            super().set_mass(mass)
        else:
            self._remake(replace(self.form, mass=float(mass)))

    def _remake(self, form: Form) -> None:
        if self.is_built:
            self._T, self._parent = self.transform(), self.get_parent()
            self._bodies.give_back(self)
            self._body = -1
        self.form = form

    def set_color(self, color: Numbers) -> None:
        """Paint the shape (rgb in [0, 1])."""
        self._color = tuple(float(v) for v in color)
        if self.is_built:
            super().set_color(color)

    def get_color(self) -> Floats:
        """Return (3,) rgb."""
        return super().get_color() if self.is_built else np.array(self._color or (0.5, 0.5, 0.5))

    def set_transparency(self, value: float) -> None:
        """Set opacity (1 = opaque), PyRep's sense."""
        self._opacity = value
        if self.is_built:
            super().set_transparency(value)

    def set_renderable(self, value: bool) -> None:
        """Show the shape to cameras, or hide it."""
        if self.is_built:
            super().set_renderable(value)
        else:
            self._set_flag("renderable", value)

    def set_respondable(self, value: bool) -> None:
        """Let other bodies collide with the shape, or pass through it."""
        if self.is_built:
            super().set_respondable(value)
        else:
            self._set_flag("respondable", value)

    def is_respondable(self) -> bool:
        """Tell whether other bodies collide with the shape."""
        return "respondable" in self.flags()

    def is_collidable(self) -> bool:
        """Tell whether motion planning must avoid the shape."""
        return {"collidable", "respondable"} <= self.flags()

    def remove(self) -> None:
        """Take the shape out.

        Raises:
            ObjectAlreadyRemovedError: it is gone already.
        """
        _check_exists(self, self._world.label)
        self._bodies.remove(self)


class RuntimeFrame(MujocoDummy):
    """A frame that a task made.

    Attributes:
        form: what its body must be compiled for.
        is_gone: it is out of the scene.
    """

    def __init__(self, parts: SceneParts, name: str, source: BodySource) -> None:
        super().__init__(parts, name, -1)
        self._bodies = source
        self.form = FRAME
        self.is_gone = False

    @property
    def is_built(self) -> bool:
        """The frame has a body."""
        return self.body >= 0

    def still_exists(self) -> bool:
        """Tell whether the frame is still in the scene."""
        return not self.is_gone

    def built(self, body: int) -> None:
        """Take over a body."""
        self.body = body
        self._edits.bring_in(body)

    def remove(self) -> None:
        """Take the frame out.

        Raises:
            ObjectAlreadyRemovedError: it is gone already.
        """
        _check_exists(self, self._world.label)
        self._bodies.remove(self)


Made = RuntimeShape | RuntimeFrame


def _check_exists(made: Made, label: str) -> None:
    if not made.still_exists():
        raise ObjectAlreadyRemovedError(f"{label}: {made.get_name()} was removed already")
