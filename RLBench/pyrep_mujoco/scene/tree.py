"""The scene's tree with its joints, which MuJoCo keeps inside the bodies that they move."""

from pyrep_mujoco.objects.scene_object import MujocoJoint, MujocoObject
from pyrep_mujoco.scene.edits import Alterations


class ObjectTree(Alterations):
    """Part of `MujocoEngine`, which fills the attributes.

    A joint hangs where its link does in the graph of bodies, and its link on it.
    """

    _links: dict[int, MujocoJoint]

    def joint_over(self, body: int) -> MujocoJoint | None:
        """Return the joint that a body is the link of, None where it hangs on none."""
        return None if body in self.changes.off_joint else self._links.get(body)

    def above(self, body: int) -> MujocoObject | None:
        """Return what a body hangs on together with its own joint, None at the top."""
        parent = self._parents[body]
        if parent == 0:
            return None
        return self._links[parent] if self._is_beside(body) else self._by_body[parent]

    def _is_beside(self, body: int) -> bool:
        """Tell whether a body hangs on the joint of its parent, beside the link."""
        return body in self.changes.on_joint and body not in self.held

    def hang(self, obj: MujocoObject, parent: MujocoObject | None) -> None:
        """Change what an object hangs on; see `reparent`.

        Raises:
            SceneError: as `reparent`.
        """
        changes, body = self.changes, obj.body
        joint = self._links.get(body)
        if joint is not None and parent is joint:
            self.reparent(body, self._scene_parents[body])
            changes.off_joint.discard(body)
            changes.on_joint.discard(body)
            return
        self.reparent(body, 0 if parent is None else parent.body)
        if joint is not None and obj is not joint:
            changes.off_joint.add(body)
        if isinstance(parent, MujocoJoint) and self._by_body[parent.body] is not parent:
            changes.on_joint.add(body)
        else:
            changes.on_joint.discard(body)

    def objects_below(self, obj: MujocoObject) -> list[MujocoObject]:
        """Return an object's descendants, parents first, each joint before its link."""
        bodies = self.tree(obj.body)
        beside = {
            b
            for child in bodies
            if self._parents[child] == obj.body and self._is_beside(child)
            for b in self.tree(child)
        }
        if not isinstance(obj, MujocoJoint):
            bodies = [b for b in bodies[1:] if b not in beside]
        elif self.joint_over(obj.body) is not obj:
            bodies = [b for b in bodies if b in beside]
        found: dict[MujocoObject, None] = {}
        for body in bodies:
            joint = self.joint_over(body)
            found |= {} if joint is None else {joint: None}
            found[self._by_body[body]] = None
        found.pop(obj, None)
        return list(found)
