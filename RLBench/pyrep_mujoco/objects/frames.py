"""Objects that are only frames, by PyRep's names: dummies, force sensors, Cartesian paths."""

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.motion.pose_paths import pose_along
from pyrep_mujoco.objects.scene_object import MujocoObject
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.world import World


class MujocoDummy(MujocoObject):
    """A named frame."""

    def get_extension_string(self) -> str:
        """Return the waypoint command, empty when there is none."""
        return self._world.notes.extensions.get(self._name, "")


class MujocoForceSensor(MujocoDummy):
    """A rigid joint that tells what it carries."""

    def read(self) -> tuple[list[float], list[float]]:
        """Return (3,) force [N] and (3,) torque [N m] on what it carries, in its frame."""
        model, data = self._world.model, self._world.data
        mujoco.mj_rnePostConstraint(model, data)
        wrench = data.cfrc_int[self.body]
        T = self._world.transform(self.body)
        lever = T[:3, 3] - data.subtree_com[model.body_rootid[self.body]]
        torque = wrench[:3] - np.cross(lever, wrench[3:])
        R = tf.invert(T)[:3, :3]
        return list(R @ wrench[3:]), list(R @ torque)


class MujocoPath(MujocoDummy):
    """A Cartesian path."""

    def get_pose_on_path(self, relative_distance: float) -> tuple[list[float], list[float]]:
        """Return position [m] and Euler angles [rad] at a fraction of the length, world."""
        poses = path_poses(self._world, self._name, self.transform())
        T = pose_along(poses, relative_distance)
        return list(T[:3, 3]), list(tf.matrix_to_euler(T[:3, :3]))


def path_poses(world: World, name: str, T_world_path: Floats) -> list[Floats]:
    """Return the (4, 4) world poses of a Cartesian path; empty when `name` is none.

    Raises:
        SceneError: the annotation is not rows of seven numbers.
    """
    text = world.notes.paths.get(name)
    if text is None:
        return []
    try:
        poses = [np.array([float(v) for v in row.split()]) for row in text.split(";")]
    except ValueError:
        poses = []
    if not poses or any(pose.shape != (7,) for pose in poses):
        raise SceneError(
            f"{world.label}: path:{name} must be rows `x y z qx qy qz qw` split by `;`"
        )
    return [T_world_path @ tf.pose_to_transform(pose) for pose in poses]
