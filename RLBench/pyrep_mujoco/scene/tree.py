"""The scene's tree with its joints, which MuJoCo keeps inside the bodies that they move.

Objects are named by their handles here: a body's is its id, a joint's lies beyond all of those.
"""

import mujoco

from pyrep_mujoco.scene.graph import SceneGraph
from pyrep_mujoco.scene.welds import Welds
from pyrep_mujoco.world import World

JOINT_HANDLES = 1_000_000
"""Handles of joints begin here, beyond any body's id."""


class ObjectTree:
    """Tells and changes what hangs on what, joints included.

    A joint hangs where its link does in the graph of bodies, and its link on it.
    """

    def __init__(self, world: World, graph: SceneGraph, welds: Welds) -> None:
        self._world, self._graph, self._welds = world, graph, welds
        model = world.model
        self._joints = {
            int(model.jnt_bodyid[j]): JOINT_HANDLES + j
            for j in range(model.njnt)
            if model.jnt_type[j] != mujoco.mjtJoint.mjJNT_FREE
        }
        # The bodies that were made for a joint without a shape, and have its name.
        self._bare = {
            body
            for body, handle in self._joints.items()
            if world.body_name(body) == model.joint(handle - JOINT_HANDLES).name
        }

    def body_of(self, handle: int) -> int:
        """Return a body, of a joint its link's."""
        is_joint = handle >= JOINT_HANDLES
        return int(self._world.model.jnt_bodyid[handle - JOINT_HANDLES]) if is_joint else handle

    def handle_at(self, body: int) -> int:
        """Return the handle of the object that a body stands for."""
        return self._joints[body] if body in self._bare else body

    def joint_over(self, body: int) -> int | None:
        """Return the joint that a body is the link of, None where it hangs on none."""
        return None if body in self._world.changes.off_joint else self._joints.get(body)

    def parent(self, handle: int) -> int | None:
        """Return what an object hangs on, None at the top."""
        body = self.body_of(handle)
        joint = self.joint_over(body)
        return self._above(body) if joint in {None, handle} else joint

    def _above(self, body: int) -> int | None:
        """Return what a body hangs on together with its own joint, None at the top."""
        parent = self._world.parents[body]
        if parent == 0:
            return None
        return self._joints[parent] if self._is_beside(body) else self.handle_at(parent)

    def _is_beside(self, body: int) -> bool:
        """Tell whether a body hangs on the joint of its parent, beside the link."""
        return body in self._world.changes.on_joint and body not in self._welds.held

    def hang(self, handle: int, parent: int | None) -> None:
        """Change what an object hangs on; see `SceneGraph.reparent`.

        Raises:
            SceneError: as `SceneGraph.reparent`.
        """
        changes, body = self._world.changes, self.body_of(handle)
        joint = self._joints.get(body)
        if joint is not None and parent == joint:
            self._graph.reparent(body, self._world.scene_parents[body])
            changes.off_joint.discard(body)
            changes.on_joint.discard(body)
            return
        above = 0 if parent is None else self.body_of(parent)
        self._graph.reparent(body, above)
        if joint is not None and handle != joint:
            changes.off_joint.add(body)
        if parent is not None and parent >= JOINT_HANDLES and self.handle_at(above) != parent:
            changes.on_joint.add(body)
        else:
            changes.on_joint.discard(body)

    def below(self, handle: int) -> list[int]:
        """Return an object's descendants, parents first, each joint before its link."""
        top = self.body_of(handle)
        bodies = self._graph.tree(top)
        beside = {
            b
            for child in bodies
            if self._world.parents[child] == top and self._is_beside(child)
            for b in self._graph.tree(child)
        }
        if handle < JOINT_HANDLES:
            bodies = [b for b in bodies[1:] if b not in beside]
        elif self.joint_over(top) != handle:
            bodies = [b for b in bodies if b in beside]
        found: dict[int, None] = {}
        for body in bodies:
            joint = self.joint_over(body)
            found |= {} if joint is None else {joint: None}
            found[self.handle_at(body)] = None
        found.pop(handle, None)
        return list(found)
