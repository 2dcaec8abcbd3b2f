"""Shapes and frames that a task makes; `mujoco_edit` gives them bodies."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pyrep_mujoco.errors import ObjectAlreadyRemovedError
from pyrep_mujoco.objects.scene_object import MujocoDummy, MujocoObject, MujocoShape
from pyrep_mujoco.objects.shape import ALL_FLAGS
from pyrep_mujoco.objects.shape_forms import Form
from pyrep_mujoco.transforms import Floats

if TYPE_CHECKING:
    from pyrep_mujoco.simulation import MujocoEngine


class MadeShape(MujocoShape):
    """A shape that a task made; it becomes a body when its pose is first asked for.

    Until then nothing of it is compiled, so that mass and kind can still be chosen.
    """

    def __init__(self, engine: "MujocoEngine", name: str, form: Form, T: Floats) -> None:
        MujocoObject.__init__(self, engine, name, -1)
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
    def body(self) -> int:  # type: ignore[override]
        """Id of the body; asking for it makes it."""
        if self._body < 0:
            self._engine.editor.build(self)
        return self._body

    @body.setter
    def body(self, value: int) -> None:
        self._body = value

    def __getattr__(self, name: str) -> Any:
        """Make the body when its geometry is asked for."""
        if name not in {"geoms", "triangles", "_box"} or self._body >= 0:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        self._engine.editor.build(self)
        return getattr(self, name)

    @property
    def is_built(self) -> bool:
        """The shape has a body."""
        return self._body >= 0

    def built(self, body: int) -> None:
        """Take over a body."""
        self._body = body
        self._read_geometry()
        engine = self._engine
        engine.claim(self, body)
        engine.move(body, self._T)
        if self._parent is not None:
            engine.hang(self, self._parent)
        flags = self.flags()
        self.set_renderable("renderable" in flags)
        engine.set_solid(self, "respondable" in flags)
        engine.model.geom_rgba[self.geoms, 3] = self._opacity
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
            self._remake(is_free=value)

    def get_mass(self) -> float:
        """Return the mass [kg]."""
        return super().get_mass() if self.is_built and self.form.is_free else self.form.mass

    def set_mass(self, mass: float) -> None:
        """Change the mass [kg]."""
        if self.is_built and self.form.is_free:
            super().set_mass(mass)
        else:
            self._remake(mass=float(mass))

    def _remake(self, **changes: Any) -> None:
        form = replace(self.form, **changes)
        if self.is_built:
            self._T, self._parent = self.transform(), self.get_parent()
            self._engine.editor.give_back(self)
            self._body = -1
        self.form = form

    def set_color(self, color: Sequence[float]) -> None:
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
        _remove(self, self._engine)


class MadeFrame(MujocoDummy):
    """A frame that a task made."""

    def __init__(self, engine: "MujocoEngine", name: str) -> None:
        super().__init__(engine, name, -1)
        self.form = Form("frame", (), "", False, 0.0)
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
        self._engine.claim(self, body)

    def remove(self) -> None:
        """Take the frame out.

        Raises:
            ObjectAlreadyRemovedError: it is gone already.
        """
        _remove(self, self._engine)


Made = MadeShape | MadeFrame


def _remove(made: Made, engine: "MujocoEngine") -> None:
    if not made.still_exists():
        raise ObjectAlreadyRemovedError(f"{engine.label}: {made.get_name()} was removed already")
    engine.editor.remove(made)
