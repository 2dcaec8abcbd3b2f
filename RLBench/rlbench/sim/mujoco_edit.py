"""Shapes that a task makes while it runs.

A compiled model cannot grow, so a model with more bodies at its end takes its place: all ids of the
scene stay what they are, and the state is carried over. Bodies are made in powers of two and kept
for the next shape of the same form; models are kept too. A reset goes back to the scene's own
model, so what a demonstration does depends on nothing that was made before it.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from rlbench import transforms as tf
from rlbench.backend.exceptions import SceneError
from rlbench.sim.compose import add_weld, compose_spec
from rlbench.sim.made_forms import Form, add_body
from rlbench.sim.mujoco_objects import MujocoObject, MujocoShape
from rlbench.sim.mujoco_properties import ALL_FLAGS
from rlbench.transforms import Floats

if TYPE_CHECKING:
    from rlbench.sim.mujoco_engine import MujocoEngine

KEPT_MODELS = 16
_PARKED = np.array([0.0, 0.0, -50.0])


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
            engine.reparent(body, self._parent.body)
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

    def set_parent(self, parent: MujocoObject | None, keep_in_place: bool = True) -> None:
        """Change the parent in the scene graph."""
        if self.is_built or not keep_in_place:
            super().set_parent(parent, keep_in_place)
        else:
            self._parent = parent

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

    def _remake(self, **changes: float) -> None:
        values = {"is_free": self.form.is_free, "mass": self.form.mass, **changes}
        form = Form(
            self.form.kind,
            self.form.size,
            self.form.digest,
            bool(values["is_free"]),
            values["mass"],
            self.form.vertices,
            self.form.faces,
        )
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
            SceneError: it is gone already.
        """
        if not self.still_exists():
            raise SceneError(f"{self._engine.scene.name}: {self._name} was removed already")
        self._engine.editor.remove(self)


@dataclass(frozen=True)
class Compiled:
    """A model and what an engine must know of it.

    Attributes:
        model: may be changed by an episode.
        pristine: the fields that may, as compiled.
        solid: (geoms,) those that collide.
        free_qpos: free body -> its address in `qpos`.
        welds: free body -> the equality that can hold it.
    """

    model: mujoco.MjModel
    pristine: dict[str, np.ndarray]
    solid: np.ndarray
    free_qpos: dict[int, int]
    welds: dict[int, int]


@dataclass(frozen=True)
class Snapshot:
    """What a saved state needs of made shapes."""

    forms: tuple[Form, ...]
    users: dict[int, MadeShape]


class Editor:
    """Makes bodies for made shapes of one engine."""

    def __init__(self, engine: "MujocoEngine") -> None:
        self._engine = engine
        self._base: mujoco.MjSpec | None = None
        self._models: OrderedDict[tuple[Form, ...], Compiled] = OrderedDict()
        self._n_scene_bodies = engine.model.nbody
        self._scene = engine.compiled
        self._forms: tuple[Form, ...] = ()
        self._users: dict[int, MadeShape] = {}
        self._waiting: list[MadeShape] = []

    def make(self, name: str, form: Form, T: Floats) -> MadeShape:
        """Add a shape at a (4, 4) world pose; its name gets a number where it is taken."""
        stem, number = name, 0
        while self._engine.has(name):
            name, number = f"{stem}{number}", number + 1
        shape = MadeShape(self._engine, name, form, T)
        self._engine.changes.flags.pop(name, None)
        self._engine.register(shape)
        self._waiting.append(shape)
        return shape

    def build(self, shape: MadeShape) -> None:
        """Give a shape a body, and with it all others that wait for one."""
        waiting = [s for s in self._waiting if s is not shape]
        self._waiting = []
        for each in (shape, *waiting):
            if each.still_exists() and not each.is_built:
                wanted = 1 + sum(s.form == each.form for s in waiting if not s.is_built)
                each.built(self._body_for(each, wanted))

    def build_all(self) -> None:
        """Give every shape that waits for one a body."""
        while self._waiting:
            self.build(self._waiting[0])

    def _body_for(self, shape: MadeShape, wanted: int) -> int:
        body = self._unused(shape.form)
        if body is None:
            there = self._forms.count(shape.form)
            new = max(wanted, there, 1)
            self._switch((*self._forms, *[shape.form] * new))
            body = self._unused(shape.form)
            assert body is not None
        self._users[body] = shape
        return body

    def _unused(self, form: Form) -> int | None:
        for i, there in enumerate(self._forms):
            body = self._n_scene_bodies + i
            if there == form and body not in self._users:
                return body
        return None

    def give_back(self, shape: MadeShape) -> None:
        """Take a shape's body away from it; it waits for another."""
        self._users = {b: s for b, s in self._users.items() if s is not shape}
        self._engine.disown(shape)
        self.park()
        self._waiting.append(shape)

    def remove(self, shape: MadeShape) -> None:
        """Take a shape out of the scene, and all made shapes below it where it is a model."""
        below = shape.get_objects_in_tree(exclude_base=True) if shape.is_model() else []
        for each in (shape, *(s for s in below if isinstance(s, MadeShape))):
            self._users = {b: s for b, s in self._users.items() if s is not each}
            self._waiting = [s for s in self._waiting if s is not each]
            self._engine.unregister(each)
        self.park()

    def park(self) -> None:
        """Keep bodies without a shape far away, unseen and untouchable."""
        engine = self._engine
        for i in range(len(self._forms)):
            body = self._n_scene_bodies + i
            if body not in self._users:
                engine.put_away(body, tf.transform(_PARKED - [0, 0, 0.5 * i], np.eye(3)))

    def clear(self) -> None:
        """Forget all made shapes and go back to the scene's own model."""
        for shape in [*self._users.values(), *self._waiting]:
            self._engine.unregister(shape)
        self._users, self._waiting = {}, []
        if self._forms:
            self._forms = ()
            self._engine.adopt(self._scene)

    def bodies(self) -> tuple[int, ...]:
        """Return the bodies that made shapes have."""
        return tuple(sorted(self._users))

    def snapshot(self) -> Snapshot:
        """Return what `restore` needs."""
        self.build_all()
        return Snapshot(self._forms, dict(self._users))

    def restore(self, saved: Snapshot) -> None:
        """Bring back the bodies and shapes of a saved moment; poses are the engine's."""
        if not saved.users and not saved.forms:
            self.clear()
            return
        for shape in [*self._users.values(), *self._waiting]:
            self._engine.unregister(shape)
        self._waiting = []
        self._switch(saved.forms)
        self._users = dict(saved.users)
        for body, shape in self._users.items():
            shape.body, shape.is_gone = body, False
            self._engine.register(shape)
            self._engine.claim(shape, body)

    # ---- models -------------------------------------------------------------------------

    def _switch(self, forms: tuple[Form, ...]) -> None:
        if forms == self._forms:
            return
        self._forms = forms
        if forms not in self._models:
            self._models[forms] = self._compile(forms)
            while len(self._models) > KEPT_MODELS:
                self._models.popitem(last=False)
        self._models.move_to_end(forms)
        self._engine.adopt(self._models[forms])
        self.park()

    def _compile(self, forms: tuple[Form, ...]) -> Compiled:
        engine = self._engine
        if self._base is None:
            self._base, _ = compose_spec(engine.scene, engine.robot)
        spec = self._base.copy()
        for i, form in enumerate(forms):
            add_body(spec, f"made:{i}", form)
            if form.is_free:
                add_weld(spec, engine.robot, f"made:{i}")
        try:
            return engine.prepare(spec.compile())
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise SceneError(
                f"{engine.scene.name}: MuJoCo refuses a made shape: {reason}"
            ) from error
