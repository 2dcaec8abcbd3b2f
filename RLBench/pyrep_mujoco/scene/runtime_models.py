"""Models with more bodies than the scene's, for shapes that a task makes while it runs.

A compiled model cannot grow, so a model with more bodies at its end takes its place: all ids of the
scene stay what they are, and the state is carried over. Models are kept for the next time.
"""

from collections import OrderedDict
from collections.abc import Callable

import mujoco

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.scene.compose import add_weld
from pyrep_mujoco.scene.forms import Form, add_body
from pyrep_mujoco.world import Compiled, World

KEPT_MODELS = 16


class RuntimeModels:
    """Brings models of one scene into use that have bodies of given forms at their end.

    Attributes:
        forms: of the bodies at the end of the model in use.
    """

    def __init__(self, world: World, describe: Callable[[], mujoco.MjSpec], hand: str) -> None:
        """Take the world's model for the scene's own.

        Args:
            world: that gets other models.
            describe: returns the description of the scene without more bodies.
            hand: the body that free bodies can be welded to.
        """
        self._world, self._describe, self._hand = world, describe, hand
        self._base: mujoco.MjSpec | None = None
        self._models: OrderedDict[tuple[Form, ...], Compiled] = OrderedDict()
        self._n_scene_bodies = world.model.nbody
        self._scene = world.compiled
        self.forms: tuple[Form, ...] = ()

    def body(self, number: int) -> int:
        """Return the id of the body of a form."""
        return int(self._n_scene_bodies) + number

    def use(self, forms: tuple[Form, ...]) -> bool:
        """Bring a model with bodies of these forms into use; tell whether it is another one.

        Raises:
            SceneError: MuJoCo refuses a form.
        """
        if forms == self.forms:
            return False
        if forms not in self._models:
            self._models[forms] = self._compile(forms)
            while len(self._models) > KEPT_MODELS:
                self._models.popitem(last=False)
        self.forms = forms
        self._models.move_to_end(forms)
        self._world.switch_to(self._models[forms])
        return True

    def use_scene(self) -> None:
        """Go back to the scene's own model."""
        if self.forms:
            self.forms = ()
            self._world.switch_to(self._scene)

    def _compile(self, forms: tuple[Form, ...]) -> Compiled:
        if self._base is None:
            self._base = self._describe()
        spec = self._base.copy()
        for i, form in enumerate(forms):
            add_body(spec, f"made:{i}", form)
            if form.is_free:
                add_weld(spec, self._hand, f"made:{i}")
        try:
            return self._world.prepare(spec.compile())
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise SceneError(
                f"{self._world.label}: MuJoCo refuses a made shape: {reason}"
            ) from error
