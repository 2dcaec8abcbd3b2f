"""Bodies that stay where they are until something that can move touches them."""

from pyrep_mujoco.scene.welds import Welds
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.world import World


class Sleep:
    """Keeps what sleeps in its place; who sleeps is kept in the world's changes."""

    def __init__(self, world: World, welds: Welds) -> None:
        self._world, self._welds = world, welds

    def begin(self) -> None:
        """Put to sleep what the scene says starts asleep."""
        world = self._world
        flags = world.notes.flags
        names = {name for name in flags if "asleep" in flags[name]}
        bodies = {int(world.model.body(name).id) for name in names}
        world.changes.asleep = {body for body in bodies if world.is_free(body)}

    def undo_step(self, qpos: Floats) -> None:
        """Undo a step of physics for what sleeps, but wake what was touched in it.

        Args:
            qpos: positions before the step.
        """
        world = self._world
        asleep = world.changes.asleep
        for body in sorted(asleep):
            others = world.contacts(world.nested(body)) - asleep
            moves = any(world.model.body_weldid[b] != 0 for b in others)
            if body in self._welds.held or moves:
                asleep.discard(body)
                continue
            place, speed = world.compiled.free_qpos[body], world.model.body_dofadr[body]
            world.data.qpos[place : place + 7] = qpos[place : place + 7]
            world.data.qvel[speed : speed + 6] = 0.0
