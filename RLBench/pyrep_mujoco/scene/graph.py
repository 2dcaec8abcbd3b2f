"""The scene graph over MuJoCo's bodies: who hangs on whom, and moving whole trees.

MuJoCo nests bodies for ever; a scene's tree changes. A body whose parent in the tree is not its
parent in the model is moved after it: at once when the parent is moved by hand, after every
observation step when physics moves it.
"""

import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.scene.health import check_pose
from pyrep_mujoco.scene.welds import Welds
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.world import World

_SAME = 1e-12


class SceneGraph:
    """Moves bodies with all that hangs on them, and hangs them elsewhere.

    Attributes:
        followers: bodies that follow another than the model's parent -> (4, 4) pose in its frame.
    """

    def __init__(self, world: World, welds: Welds) -> None:
        self._world, self._welds = world, welds
        self.followers: dict[int, Floats] = {}

    def tree(self, body: int) -> list[int]:
        """Return a body and its logical descendants, parents first."""
        out = [body]
        for current in out:
            out.extend(b for b, parent in self._world.parents.items() if parent == current)
        return out

    # ---- hanging ------------------------------------------------------------------------

    def reparent(self, body: int, parent: int) -> None:
        """Change a logical parent; a fixed body follows its new parent from now on.

        Raises:
            SceneError: a body on a hinge or slide would have to follow a moving one, or the graph
                would become a cycle.
        """
        world = self._world
        name = world.body_name(body)
        if parent in self.tree(body):
            raise SceneError(f"{name} cannot become a child of its own descendant")
        physical = int(world.model.body_parentid[body])
        moves = self._moves(parent) or self._moves(physical)
        is_hung_anew = not world.is_free(body) and parent != physical
        is_jointed = world.model.body_jntnum[body] > 0
        if is_hung_anew and is_jointed and moves:
            raise SceneError(
                f"{name} hangs on a joint of {world.body_name(physical)}: it cannot follow "
                f"{world.body_name(parent)}"
            )
        world.parents[body] = parent
        self.followers.pop(body, None)
        if is_hung_anew and not is_jointed:
            self.followers[body] = self._relative(body)
        self._welds.update_sensor(body)

    def _moves(self, body: int) -> bool:
        """Tell whether physics, or following, moves a body."""
        model = self._world.model
        while body != 0:
            if model.body_weldid[body] != 0 or body in self.followers:
                return True
            body = int(model.body_parentid[body])
        return False

    def _relative(self, body: int) -> Floats:
        world = self._world
        return tf.invert(world.transform(world.parents[body])) @ world.transform(body)

    # ---- moving -------------------------------------------------------------------------

    def follow(self) -> None:
        """Bring every body that follows another to where that one now is."""
        world, done = self._world, set[int]()

        def bring(body: int) -> None:
            if body in done:
                return
            done.add(body)
            above = world.parents[body]
            while above != 0:
                if above in self.followers:
                    bring(above)
                    break
                above = world.parents[above]
            goal = world.transform(world.parents[body]) @ self.followers[body]
            self._place_unless_there(body, goal)

        for body in list(self.followers):
            bring(body)

    def move(self, body: int, T_new: Floats, keeps_velocity: bool = False) -> None:
        """Place a body at (4, 4) world pose; logical descendants keep their relative pose.

        Args:
            body: its id.
            T_new: body to world.
            keeps_velocity: the whole tree moves on as before, in world axes; else it stands still.

        Raises:
            SceneError: the pose is not finite.
        """
        world = self._world
        check_pose(world.body_name(body), T_new)
        kept = self._velocities(body, keeps_velocity)
        before = world.transform(body)
        descendants = [(b, world.transform(b)) for b in self.tree(body)[1:]]
        self.place(body, T_new)
        delta = T_new @ tf.invert(before)
        for descendant, T_old in descendants:
            self._place_unless_there(descendant, delta @ T_old)
        if body in self.followers:
            self.followers[body] = self._relative(body)
        self.follow()  # what is nested in the model but hangs elsewhere stays there
        for start, velocity, R in kept:
            world.data.qvel[start : start + len(velocity)] = velocity
            if R is not None:
                owner = int(world.model.dof_bodyid[start])
                turn = world.transform(owner)[:3, :3].T @ R
                world.data.qvel[start + 3 : start + 6] = turn @ velocity[3:]

    def shift(self, body: int, way: Floats) -> None:
        """Move a free body, and only it, by (3,) [m], world."""
        T = self._world.transform(body)
        T[:3, 3] += way
        self.place(body, T)
        self.follow()

    def place(self, body: int, T: Floats) -> None:
        """Put a body, with what is nested in it in the model, at (4, 4) world pose."""
        world = self._world
        model, data = world.model, world.data
        quat = tf.matrix_to_quat_wxyz(T[:3, :3])
        if world.is_free(body):
            start = world.compiled.free_qpos[body]
            data.qpos[start : start + 7] = np.concatenate([T[:3, 3], quat])
            dof = model.body_dofadr[body]
            data.qvel[dof : dof + 6] = 0.0
        else:
            # xpos = parent * (body_pos, body_quat) * joint motion; keep the joint's value.
            T_parent = world.transform(int(model.body_parentid[body]))
            motion = tf.invert(world.rest_transform(body)) @ world.transform(body)
            goal = tf.invert(T_parent) @ T @ tf.invert(motion)
            model.body_pos[body] = goal[:3, 3]
            model.body_quat[body] = tf.matrix_to_quat_wxyz(goal[:3, :3])
        world.refresh()
        self._welds.update_pin(body)

    def _place_unless_there(self, body: int, T: Floats) -> None:
        if not np.allclose(self._world.transform(body), T, rtol=0, atol=_SAME):
            self.place(body, T)

    def _velocities(
        self, root: int, keeps_velocity: bool
    ) -> list[tuple[int, Floats, Floats | None]]:
        """Return what the degrees of freedom of a tree shall have after the tree was moved.

        Each row is: the first degree of freedom of a body, its velocities, and for a free body its
        rotation now: MuJoCo has angular velocities in the body's axes.
        """
        world, rows = self._world, []
        for body in self.tree(root):
            start = int(world.model.body_dofadr[body])
            count = int(world.model.body_dofnum[body])
            if count == 0:
                continue
            now = world.data.qvel[start : start + count].copy()
            velocity = now if keeps_velocity else np.zeros(count)
            is_turned = keeps_velocity and world.is_free(body)
            rows.append((start, velocity, world.transform(body)[:3, :3] if is_turned else None))
        return rows
