"""Step by step commands of the Panda on CoppeliaSim, as action modes give them."""

from collections.abc import Mapping

import numpy as np

from rlbench.engines import transforms as tf
from rlbench.engines.constants import STEP
from rlbench.engines.coppelia.arm import CoppeliaArm, CoppeliaPath
from rlbench.engines.coppelia.objects import CoppeliaDummy, CoppeliaObject
from rlbench.engines.coppelia.process import ROBOT, CoppeliaProcess
from rlbench.engines.coppelia.scene_graph import SceneGraph
from rlbench.engines.errors import ConfigurationPathError, IKError
from rlbench.engines.object_protocols import Numbers
from rlbench.engines.transforms import Floats

_MAX_LAG = 0.1
"""Set points run ahead of a blocked joint by at most this [rad]."""
_MAX_UNCHECKED = 0.02
"""Distance between collision checks along a way of the joints [rad]."""
_NO_LIMIT = 9999.0
"""Target velocity [rad/s] that is never reached: the motor gives its greatest force."""


class CoppeliaServoArm(CoppeliaArm):
    """An arm that CoppeliaSim's own controllers drive. See `robot_protocols.ServoArm`."""

    def __init__(
        self, process: CoppeliaProcess, graph: SceneGraph[CoppeliaObject], tip: CoppeliaDummy
    ) -> None:
        super().__init__(process, graph, tip)
        self.max_velocity = np.array(ROBOT.max_velocity)
        self._torques: Floats | None = None
        self._is_driven = False

    def joint_limits(self) -> tuple[Floats, Floats]:
        """Return (7,) lower and (7,) upper limits [rad]."""
        _, intervals = self._native.get_joint_intervals()
        low, extent = (np.array([interval[i] for interval in intervals], float) for i in (0, 1))
        return low, low + extent

    def torque_limits(self) -> Floats:
        """Return (7,) the motors' greatest torques [N m]."""
        if self._torques is None:  # read before the first command changes them
            read = self._api.sim.simGetJointMaxForce
            self._torques = np.array([read(j.get_handle()) for j in self._native.joints])
        return self._torques.copy()

    def get_joint_targets(self) -> Floats:
        """Return (7,) set points [rad], as far as the arm can have followed them."""
        q = self.get_joint_positions()
        return np.clip(self.get_joint_target_positions(), q - _MAX_LAG, q + _MAX_LAG)

    def servo_to(self, q: Numbers) -> None:
        """Move the set points within the next step towards (7,) [rad], at most at the limits."""
        start, reach = self.get_joint_targets(), self.max_velocity * STEP
        goal = np.clip(q, *self.joint_limits())
        self._set_targets(start + np.clip(goal - start, -reach, reach))

    def _set_targets(self, q: Floats) -> None:
        self._native.set_joint_target_positions([float(v) for v in q])

    def set_joint_target_velocities(self, velocities: Numbers) -> None:
        """Turn the joints at (7,) [rad/s] during the next step, at most at the speed limits."""
        self.servo_to(self.get_joint_targets() + np.asarray(velocities) * STEP)

    def set_joint_torques(self, torques: Numbers) -> None:
        """Drive the joints with (7,) [N m] until `hold`; gravity is NOT compensated here."""
        limits = self.torque_limits()
        wanted = np.clip(torques, -limits, limits)
        self._native.set_control_loop_enabled(False)
        self._native.set_joint_target_velocities([float(v) for v in np.sign(wanted) * _NO_LIMIT])
        self._native.set_joint_forces([float(v) for v in np.abs(wanted)])
        self._is_driven = True

    def hold(self) -> None:
        """Keep the last set points, or the present pose after torques."""
        if not self._is_driven:
            return
        self._is_driven = False
        self._set_targets(self.get_joint_positions())
        limits = self.torque_limits()
        self._native.set_joint_target_velocities([0.0] * len(limits))
        self._native.set_joint_forces(limits.tolist())
        self._native.set_control_loop_enabled(True)

    def set_joint_positions(self, q: Numbers) -> None:
        """Put the arm at (7,) [rad], at rest; two steps of 50 ms pass meanwhile."""
        self.hold()
        super().set_joint_positions(q)

    def home(self) -> None:
        """Put the arm at its saved pose."""
        self.hold()
        super().home()

    def joints_for(self, T_world_goal: Floats, locked: Mapping[int, float] | None = None) -> Floats:
        """Return (7,) [rad] at a (4, 4) tip pose, near the present; some joints at given values.

        Raises:
            IKError: none was found.
        """
        fixed = dict(locked or {})
        pose, start = tf.transform_to_pose(T_world_goal), self.get_joint_positions()
        q = start.copy()
        for joint, value in fixed.items():
            q[joint] = value
        try:
            self._put(q)
            found = self._native.solve_ik_via_jacobian(
                pose[:3].tolist(), quaternion=pose[3:].tolist(), locked_joints=sorted(fixed)
            )
        except self._api.errors.IKError as error:
            raise IKError(f"PyRep: {error}") from error
        finally:
            self._put(start)
        q[[i for i in range(len(q)) if i not in fixed]] = found
        return q

    def plan_to(self, q: Floats, ignore_collisions: bool = True) -> CoppeliaPath:
        """Move all joints in proportion to (7,) [rad].

        Raises:
            ConfigurationPathError: something is in the way.
        """
        start, end = self.get_joint_positions(), np.asarray(q, float)
        if not ignore_collisions and not self._is_clear(start, end):
            raise ConfigurationPathError("the way there is not free of collisions")
        points = np.concatenate([start, end])
        return self._playable(self._api.paths.ArmConfigurationPath(self._native, points))

    def _is_clear(self, start: Floats, end: Floats) -> bool:
        """Tell whether the straight way through the joint space is free; the arm is put back."""
        steps = max(2, int(np.ceil(np.abs(end - start).max() / _MAX_UNCHECKED)) + 1)
        with self._without(self._touched()):
            try:
                for q in np.linspace(start, end, steps):
                    self._put(q)
                    if self._native.check_arm_collision():
                        return False
            finally:
                self._put(start)
        return True
