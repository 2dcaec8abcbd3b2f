"""Free bodies that stay where they are until something that can move touches them."""

import mujoco
import numpy as np

from pyrep_mujoco.session.document import Document
from pyrep_mujoco.session.physics.building import Built
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.reading.model import Shape


class Sleep:
    """Keeps what sleeps in its place.

    Attributes:
        woken: handles of bodies that were touched.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self.woken: set[int] = set()

    def sleeping(self, built: Built) -> set[int]:
        """Return the handles of the free bodies that sleep now; what is held wakes."""
        self.woken.update(b.handle for b in built.plan.bodies if b.hold is not None)
        shapes = {h: self._document.of_kind(h, Shape, "shape") for h in built.free}
        return {h for h, s in shapes.items() if s.starts_asleep and h not in self.woken}

    def undo_step(
        self, asleep: set[int], built: Built, data: mujoco.MjData, before: Floats
    ) -> None:
        """Undo a step of physics for what sleeps, but wake what was touched in it.

        Args:
            asleep: who sleeps; who wakes is taken out.
            built: the model.
            data: its state after the step.
            before: positions before the step.
        """
        model = built.model
        bodies = {built.body_ids[handle]: handle for handle in asleep}
        for pair in model.geom_bodyid[data.contact.geom]:
            roots = [int(model.body_weldid[body]) for body in pair]
            for own, other in (roots, roots[::-1]):
                if own in bodies and other != 0 and other not in bodies:
                    asleep.discard(bodies[own])
                    self.woken.add(bodies[own])
        for handle in asleep:
            place, speed = built.free[handle], model.body_dofadr[built.body_ids[handle]]
            data.qpos[place : place + 7] = before[place : place + 7]
            data.qvel[speed : speed + 6] = np.zeros(6)
