"""Shapes that a task makes while it runs.

A compiled model cannot grow, so a model with more bodies at its end takes its place: all ids of the
scene stay what they are, and the state is carried over. Bodies are made in powers of two and kept
for the next shape of the same form; models are kept too. A reset goes back to the scene's own
model, so what a demonstration does depends on nothing that was made before it.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.objects.runtime_shapes import Made, MadeFrame, MadeShape
from pyrep_mujoco.objects.shape_forms import Form, add_body
from pyrep_mujoco.scene.compose import add_weld, compose_spec
from pyrep_mujoco.transforms import Floats

if TYPE_CHECKING:
    from pyrep_mujoco.simulation import MujocoEngine

KEPT_MODELS = 16
_PARKED = np.array([0.0, 0.0, -50.0])


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
    users: dict[int, Made]


class Editor:
    """Makes bodies for made shapes of one engine."""

    def __init__(self, engine: "MujocoEngine") -> None:
        self._engine = engine
        self._base: mujoco.MjSpec | None = None
        self._models: OrderedDict[tuple[Form, ...], Compiled] = OrderedDict()
        self._n_scene_bodies = engine.model.nbody
        self._scene = engine.compiled
        self._forms: tuple[Form, ...] = ()
        self._users: dict[int, Made] = {}
        self._waiting: list[MadeShape] = []

    def _new_name(self, stem: str) -> str:
        name, number = stem, 0
        while self._engine.has(name):
            name, number = f"{stem}{number}", number + 1
        return name

    def make_frame(self, name: str, T: Floats) -> MadeFrame:
        """Add a frame at a (4, 4) world pose; its name gets a number where it is taken."""
        frame = MadeFrame(self._engine, self._new_name(name))
        self._engine.register(frame)
        frame.built(self._body_for(frame, 1))
        frame.set_matrix(T)
        return frame

    def make(self, name: str, form: Form, T: Floats) -> MadeShape:
        """Add a shape at a (4, 4) world pose; its name gets a number where it is taken."""
        name = self._new_name(name)
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

    def _body_for(self, shape: Made, wanted: int) -> int:
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

    def remove(self, shape: Made) -> None:
        """Take a shape out of the scene, and all made shapes below it where it is a model."""
        below = shape.get_objects_in_tree(exclude_base=True) if shape.is_model() else []
        for each in (shape, *(s for s in below if isinstance(s, Made))):
            self._users = {b: s for b, s in self._users.items() if s is not each}
            self._waiting = [s for s in self._waiting if s is not each]
            self._engine.unregister(each)
        self.park()

    def park(self) -> None:
        """Keep bodies without a shape far away, unseen and untouchable."""
        engine = self._engine
        for i in range(len(self._forms)):
            body = self._n_scene_bodies + i
            if body not in self._users and body not in engine.changes.parked:
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
            raise SceneError(f"{engine.label}: MuJoCo refuses a made shape: {reason}") from error
