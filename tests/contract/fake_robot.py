"""PyRep's Panda on a kinematic world; every public call is recorded.

Methods, arguments, defaults and results are PyRep 4.1's, as far as the engine uses them.
"""

import numpy as np

from pyrep_mujoco import transforms as tf
from rlbench.const import DEMO_DT
from tests.contract.fake_objects import (
    ConfigurationError,
    ConfigurationPathAlgorithms,
    ConfigurationPathError,
    Dummy,
    ForceSensor,
    IKError,
    Joint,
    Object,
    ProximitySensor,
    collide,
    recorded,
)
from tests.contract.fake_world import SHAPE, world


@recorded
class RobotComponent(Object):
    def __init__(self, name, joints):
        super().__init__(name)
        self.joints = [Joint(joint) for joint in joints]

    def get_joint_count(self):
        return len(self.joints)

    def get_joint_positions(self):
        return [j.get_joint_position() for j in self.joints]

    def set_joint_positions(self, positions, disable_dynamics=False):
        assert len(positions) == len(self.joints)
        for joint, position in zip(self.joints, positions, strict=True):
            joint._node.value = float(position)
            joint._node.target = float(position) if len(self.joints) == 7 else None
        if disable_dynamics:
            world().step()
            world().step()

    def get_joint_target_positions(self):
        return [j._node.value if j._node.target is None else j._node.target for j in self.joints]

    def set_joint_forces(self, forces):
        assert min(forces) >= 0

    def set_joint_target_positions(self, positions):
        for joint, position in zip(self.joints, positions, strict=True):
            joint._node.target = float(position)

    def get_joint_target_velocities(self):
        return [j._node.velocity for j in self.joints]

    def set_joint_target_velocities(self, velocities):
        for joint, velocity in zip(self.joints, velocities, strict=True):
            joint._node.velocity = velocity

    def get_joint_forces(self):
        return [1.0] * len(self.joints)

    def get_joint_velocities(self):
        return [0.0] * len(self.joints)

    def get_joint_intervals(self):
        return [False] * len(self.joints), [list(j._node.interval) for j in self.joints]

    def set_control_loop_enabled(self, value):
        self.is_controlled = value


@recorded
class Panda(RobotComponent):
    def __init__(self, count=0, max_velocity=1.0, max_acceleration=4.0):
        super().__init__("Panda", [f"Panda_joint{i}" for i in range(1, 8)])

    def get_tip(self):
        return Dummy("Panda_tip")

    def check_arm_collision(self, obj=None):
        tree = world().tree(self._handle)
        mine = [
            h for h in tree[1:] if world().nodes[h].kind == SHAPE
        ]  # the base stands on the table
        others = [h for h in world().nodes if h not in tree] if obj is None else [obj.get_handle()]
        return any(collide(a, b) for a in mine for b in others)

    def solve_ik_via_sampling(  # noqa: PLR0917
        self,
        position,
        euler=None,
        quaternion=None,
        ignore_collisions=False,
        trials=300,
        max_configs=1,
        distance_threshold=0.65,
        max_time_ms=10,
        relative_to=None,
    ):
        found = world().arm_poses(self._q(), _goal(position, quaternion))
        if not found:
            raise ConfigurationError("Could not find a valid joint configuration")
        return np.array(found)

    def solve_ik_via_jacobian(
        self, position, euler=None, quaternion=None, relative_to=None, locked_joints=None
    ):
        line = world().arm_line(self._q(), _goal(position, quaternion))
        if line is None:
            raise IKError("IK failed.")
        return [v for i, v in enumerate(line[-1]) if i not in (locked_joints or [])]

    def get_linear_path(
        self,
        position,
        euler=None,
        quaternion=None,
        steps=50,
        ignore_collisions=False,
        relative_to=None,
    ):
        line = world().arm_line(self._q(), _goal(position, quaternion))
        if line is None:
            raise ConfigurationPathError("Could not create path.")
        return ArmConfigurationPath(self, line.ravel())

    def get_path(  # noqa: PLR0917
        self,
        position,
        euler=None,
        quaternion=None,
        ignore_collisions=False,
        trials=300,
        max_configs=1,
        distance_threshold=0.65,
        max_time_ms=10,
        trials_per_goal=1,
        algorithm=ConfigurationPathAlgorithms.SBL,
        relative_to=None,
    ):
        line = world().arm_line(self._q(), _goal(position, quaternion))
        if line is None:
            goals = world().arm_poses(self._q(), _goal(position, quaternion))
            if not goals:
                raise ConfigurationPathError("Could not create path.")
            line = np.stack([self._q(), goals[0]])
        return ArmConfigurationPath(self, line.ravel())

    def get_path_from_cartesian_path(self, path):
        q, parts = self._q(), []
        for local in path._node.path:
            line = world().arm_line(q, world().pose(path.get_handle()) @ local)
            if line is None:
                raise ConfigurationPathError("Could not create a path from cartesian path.")
            parts.append(line)
            q = line[-1]
        return ArmConfigurationPath(self, np.concatenate(parts).ravel())

    def _q(self):
        return np.array([j._node.value for j in self.joints])


def _goal(position, quaternion):
    assert quaternion is not None
    return tf.pose_to_transform(np.r_[position, quaternion])


@recorded
class ArmConfigurationPath:
    SPEED = 1.0  # [rad/s]

    def __init__(self, arm, path_points):
        self._arm, self._path_points = arm, np.asarray(path_points)
        points = self._path_points.reshape(-1, arm.get_joint_count())
        lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
        self._points, self._along = points, np.r_[0, np.cumsum(lengths)]
        self._at, self._is_done = 0.0, False

    def step(self):
        if self._is_done:
            raise RuntimeError("This path has already been completed.")
        self._at = min(self._at + self.SPEED * DEMO_DT, self._along[-1])
        q = [np.interp(self._at, self._along, column) for column in self._points.T]
        self._arm.set_joint_target_positions(q)
        self._is_done = bool(self._at >= self._along[-1])
        return self._is_done

    def set_to_end(self, disable_dynamics=False):
        self._arm.set_joint_positions(self._points[-1], disable_dynamics=disable_dynamics)


@recorded
class PandaGripper(RobotComponent):
    def __init__(self, count=0):
        super().__init__("Panda_gripper", ["Panda_gripper_joint1", "Panda_gripper_joint2"])
        self._proximity_sensor = ProximitySensor("Panda_gripper_attachProxSensor")
        self._attach_point = ForceSensor("Panda_gripper_attachPoint")
        self._touch_sensors = [ForceSensor(f"Panda_gripper_touchSensor{i}") for i in range(2)]
        self._grasped_objects, self._old_parents = [], []

    def grasp(self, obj):
        detected = self._proximity_sensor.is_detected(obj)
        if detected and obj not in self._grasped_objects:
            self._grasped_objects.append(obj)
            self._old_parents.append(obj.get_parent())
            obj.set_parent(self._attach_point, keep_in_place=True)
        return detected

    def release(self):
        for obj, parent in zip(self._grasped_objects, self._old_parents, strict=True):
            if obj.still_exists():
                obj.set_parent(parent, keep_in_place=True)
        self._grasped_objects, self._old_parents = [], []

    def get_grasped_objects(self):
        return self._grasped_objects

    def actuate(self, amount, velocity):
        if not 0.0 <= amount <= 1.0:
            raise ValueError("'open_amount' should be between 0 and 1.'")
        gaps = [amount * 0.04 - j._node.value for j in self.joints]
        speeds = [np.sign(g) * min(velocity, abs(g) / DEMO_DT) for g in gaps]
        self.set_joint_target_velocities([float(s) for s in speeds])
        return max(map(abs, gaps)) < 1e-3

    def get_open_amount(self):
        return [j._node.value / 0.04 for j in self.joints]
