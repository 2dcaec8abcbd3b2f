"""Makes shapes and frames while a task runs, and gives them bodies.

Bodies are made in powers of two and kept for the next shape of the same form. A reset goes back to
the scene's own model, so what a demonstration does depends on nothing that was made before it.
"""

from dataclasses import dataclass

import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.objects.runtime_shapes import Made, RuntimeFrame, RuntimeShape
from pyrep_mujoco.objects.scene_object import SceneParts
from pyrep_mujoco.scene.forms import Form
from pyrep_mujoco.scene.runtime_models import RuntimeModels
from pyrep_mujoco.transforms import Floats

_PARKED = np.array([0.0, 0.0, -50.0])


@dataclass(frozen=True)
class Snapshot:
    """What a saved state needs of made shapes.

    Attributes:
        forms: of the bodies at the model's end.
        users: body -> the object that has it.
    """

    forms: tuple[Form, ...]
    users: dict[int, Made]


class ShapeMaker:
    """Makes shapes and frames of one scene."""

    def __init__(self, parts: SceneParts, models: RuntimeModels) -> None:
        self._parts, self._models = parts, models
        self._world, self._edits, self._table = parts.world, parts.edits, parts.table
        self._users: dict[int, Made] = {}
        self._waiting: list[RuntimeShape] = []
        self._table.before_listing(self.build_all)

    def make_frame(self, name: str, T: Floats) -> RuntimeFrame:
        """Add a frame at a (4, 4) world pose; its name gets a number where it is taken."""
        frame = RuntimeFrame(self._parts, self._new_name(name), self)
        self._table.add(frame)
        self._give_body(frame, 1)
        frame.set_matrix(T)
        return frame

    def make(self, name: str, form: Form, T: Floats) -> RuntimeShape:
        """Add a shape at a (4, 4) world pose; its name gets a number where it is taken."""
        name = self._new_name(name)
        shape = RuntimeShape(self._parts, name, form, T, self)
        self._world.changes.flags.pop(name, None)
        self._table.add(shape)
        self._waiting.append(shape)
        return shape

    def _new_name(self, stem: str) -> str:
        name, number = stem, 0
        while self._table.has(name):
            name, number = f"{stem}{number}", number + 1
        return name

    # ---- bodies -------------------------------------------------------------------------

    def build(self, shape: RuntimeShape) -> None:
        """Give a shape a body, and with it all others that wait for one."""
        waiting = [s for s in self._waiting if s is not shape]
        self._waiting = []
        for each in (shape, *waiting):
            if each.still_exists() and not each.is_built:
                wanted = 1 + sum(s.form == each.form for s in waiting if not s.is_built)
                self._give_body(each, wanted)

    def build_all(self) -> None:
        """Give every shape that waits for one a body."""
        while self._waiting:
            self.build(self._waiting[0])

    def _give_body(self, made: Made, wanted: int) -> None:
        try:
            body = self._body_for(made, wanted)
        except SceneError:
            self._forget(made)  # else whoever lists the shapes would meet the error again
            raise
        self._table.give_handle(body, made)
        made.built(body)

    def _body_for(self, made: Made, wanted: int) -> int:
        body = self._unused(made.form)
        if body is None:
            there = self._models.forms.count(made.form)
            new = max(wanted, there, 1)
            self._use((*self._models.forms, *[made.form] * new))
            body = self._unused(made.form)
            assert body is not None
        self._users[body] = made
        return body

    def _unused(self, form: Form) -> int | None:
        for i, there in enumerate(self._models.forms):
            body = self._models.body(i)
            if there == form and body not in self._users:
                return body
        return None

    def _use(self, forms: tuple[Form, ...]) -> None:
        if self._models.use(forms):
            self._park()

    def _park(self) -> None:
        """Keep bodies without a user far away, unseen and untouchable."""
        for i in range(len(self._models.forms)):
            body = self._models.body(i)
            if body not in self._users and body not in self._world.changes.parked:
                T = tf.transform(_PARKED - [0, 0, 0.5 * i], np.eye(3))
                self._edits.put_away(body, T)

    # ---- out of the scene ---------------------------------------------------------------

    def give_back(self, shape: RuntimeShape) -> None:
        """Take a shape's body away from it; it waits for another."""
        self._users = {b: s for b, s in self._users.items() if s is not shape}
        self._disown(shape)
        self._park()
        self._waiting.append(shape)

    def remove(self, made: Made) -> None:
        """Take a shape out of the scene, and all made shapes below it where it is a model."""
        below = made.get_objects_in_tree(exclude_base=True) if made.is_model() else []
        for each in (made, *(s for s in below if isinstance(s, Made))):
            self._users = {b: s for b, s in self._users.items() if s is not each}
            self._waiting = [s for s in self._waiting if s is not each]
            self._forget(each)
        self._park()

    def clear(self) -> None:
        """Forget all made shapes and go back to the scene's own model."""
        for made in [*self._users.values(), *self._waiting]:
            self._forget(made)
        self._users, self._waiting = {}, []
        self._models.use_scene()

    def _forget(self, made: Made) -> None:
        self._table.remove(made.get_name())
        if made.is_built:
            self._disown(made)
        made.is_gone = True

    def _disown(self, made: Made) -> None:
        """Take a made object's body away from it; what hung on it hangs on nothing."""
        body = made.body
        self._table.free_handle(body)
        self._edits.cut_off(body)

    # ---- saved states -------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Return what `restore` needs."""
        self.build_all()
        return Snapshot(self._models.forms, dict(self._users))

    def restore(self, saved: Snapshot, /) -> None:
        """Bring back the bodies and shapes of a saved moment, wherever they are."""
        if not saved.users and not saved.forms:
            self.clear()
            return
        for made in [*self._users.values(), *self._waiting]:
            self._forget(made)
        self._waiting = []
        self._use(saved.forms)
        self._users = dict(saved.users)
        for body, made in self._users.items():
            made.body, made.is_gone = body, False
            self._table.add(made)
            self._table.give_handle(body, made)
            self._edits.bring_in(body)
