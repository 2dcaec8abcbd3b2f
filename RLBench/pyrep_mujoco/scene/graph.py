"""The scene graph over MuJoCo's bodies: who hangs on whom, and moving whole trees.

MuJoCo nests bodies for ever; a scene's tree changes. A body whose parent in the tree is not its
parent in the model is moved after it: at once when the parent is moved by hand, after every
observation step when physics moves it.
"""

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.scene.health import check_pose
from pyrep_mujoco.transforms import Floats

_SAME = 1e-12


class SceneGraph:
    """Part of `MujocoEngine`, which fills the attributes.

    Attributes:
        model: the compiled scene.
        data: its state.
    """

    model: mujoco.MjModel
    data: mujoco.MjData
    _parents: dict[int, int]
    _free_qpos: dict[int, int]
    _followers: dict[int, Floats]  # body -> (4, 4) pose in its parent's frame

    def parent_of(self, body: int) -> int:
        """Return the logical parent's body id, 0 at the top."""
        return self._parents[body]

    def tree(self, body: int) -> list[int]:
        """Return a body and its logical descendants, parents first."""
        out = [body]
        for current in out:
            out.extend(b for b, parent in self._parents.items() if parent == current)
        return out

    def reparent(self, body: int, parent: int) -> None:
        """Change a logical parent; a fixed body follows its new parent from now on.

        Raises:
            SceneError: a body on a hinge or slide would have to follow a moving one, or the graph
                would become a cycle.
        """
        name = self.model.body(body).name
        if parent in self.tree(body):
            raise SceneError(f"{name} cannot become a child of its own descendant")
        physical = int(self.model.body_parentid[body])
        moves = self._moves(parent) or self._moves(physical)
        is_hung_anew = body not in self._free_qpos and parent != physical
        is_jointed = self.model.body_jntnum[body] > 0
        if is_hung_anew and is_jointed and moves:
            raise SceneError(
                f"{name} hangs on a joint of {self.model.body(physical).name}: it cannot follow "
                f"{self.model.body(parent).name}"
            )
        self._parents[body] = parent
        self._followers.pop(body, None)
        if is_hung_anew and not is_jointed:
            self._followers[body] = self._relative(body)
        self._hung(body)

    def _moves(self, body: int) -> bool:
        """Tell whether physics, or following, moves a body."""
        while body != 0:
            if self.model.body_weldid[body] != 0 or body in self._followers:
                return True
            body = int(self.model.body_parentid[body])
        return False

    def _relative(self, body: int) -> Floats:
        parent = self._parents[body]
        return tf.invert(self.world_transform(parent)) @ self.world_transform(body)

    def follow(self) -> None:
        """Bring every body that follows another to where that one now is."""
        done: set[int] = set()

        def bring(body: int) -> None:
            if body in done:
                return
            done.add(body)
            above = self._parents[body]
            while above != 0:
                if above in self._followers:
                    bring(above)
                    break
                above = self._parents[above]
            goal = self.world_transform(self._parents[body]) @ self._followers[body]
            if not np.allclose(self.world_transform(body), goal, rtol=0, atol=_SAME):
                self._place(body, goal)

        for body in list(self._followers):
            bring(body)

    def world_transform(self, body: int) -> Floats:
        """Return (4, 4) body to world."""
        return tf.transform(self.data.xpos[body], self.data.xmat[body].reshape(3, 3))

    def rest_transform(self, body: int) -> Floats:
        """Return (4, 4) body to world as it would be with the body's joint at zero."""
        model = self.model
        local = tf.transform(model.body_pos[body], tf.quat_wxyz_to_matrix(model.body_quat[body]))
        return self.world_transform(int(model.body_parentid[body])) @ local

    def move(self, body: int, T_new: Floats, keeps_velocity: bool = False) -> None:
        """Place a body at (4, 4) world pose; logical descendants keep their relative pose.

        Args:
            body: its id.
            T_new: body to world.
            keeps_velocity: the whole tree moves on as before, in world axes; else it stands still.
        """
        check_pose(self.model.body(body).name, T_new)
        kept = self._velocities(body, keeps_velocity)
        before = self.world_transform(body)
        followers = [(b, self.world_transform(b)) for b in self.tree(body)[1:]]
        self._place(body, T_new)
        delta = T_new @ tf.invert(before)
        for follower, T_old in followers:
            goal = delta @ T_old
            now = self.world_transform(follower)
            if not np.allclose(now, goal, rtol=0, atol=_SAME):
                self._place(follower, goal)
        if body in self._followers:
            self._followers[body] = self._relative(body)
        self.follow()  # what is nested in the model but hangs elsewhere stays there
        for start, velocity, R in kept:
            self.data.qvel[start : start + len(velocity)] = velocity
            if R is not None:
                follower = int(self.model.dof_bodyid[start])
                turn = self.world_transform(follower)[:3, :3].T @ R
                self.data.qvel[start + 3 : start + 6] = turn @ velocity[3:]

    def _velocities(
        self, root: int, keeps_velocity: bool
    ) -> list[tuple[int, Floats, Floats | None]]:
        """Return what the degrees of freedom of a tree shall have after the tree was moved.

        Each row is: the first degree of freedom of a body, its velocities, and for a free body its
        rotation now: MuJoCo has angular velocities in the body's axes.
        """
        model, rows = self.model, []
        for body in self.tree(root):
            start, count = int(model.body_dofadr[body]), int(model.body_dofnum[body])
            if count == 0:
                continue
            velocity = (
                self.data.qvel[start : start + count].copy() if keeps_velocity else np.zeros(count)
            )
            is_turned = keeps_velocity and body in self._free_qpos
            rows.append(
                (start, velocity, self.world_transform(body)[:3, :3] if is_turned else None)
            )
        return rows

    def _place(self, body: int, T: Floats) -> None:
        quat = tf.matrix_to_quat_wxyz(T[:3, :3])
        if body in self._free_qpos:
            start = self._free_qpos[body]
            self.data.qpos[start : start + 7] = np.concatenate([T[:3, 3], quat])
            dof = self.model.body_dofadr[body]
            self.data.qvel[dof : dof + 6] = 0.0
        else:
            # xpos = parent * (body_pos, body_quat) * joint motion; keep the joint's value.
            T_parent = self.world_transform(int(self.model.body_parentid[body]))
            motion = tf.invert(self.rest_transform(body)) @ self.world_transform(body)
            goal = tf.invert(T_parent) @ T @ tf.invert(motion)
            self.model.body_pos[body] = goal[:3, 3]
            self.model.body_quat[body] = tf.matrix_to_quat_wxyz(goal[:3, :3])
        self.refresh()
        self._placed(body)

    def _placed(self, body: int) -> None:
        """Act on a body that was put elsewhere."""

    def _hung(self, body: int) -> None:
        """Act on a body that got another parent."""

    def refresh(self) -> None:
        """Recompute all world poses from positions."""
        mujoco.mj_kinematics(self.model, self.data)
