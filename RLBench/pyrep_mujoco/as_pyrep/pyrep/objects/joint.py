"""Joints."""

from collections.abc import Sequence

from pyrep.const import JointMode, JointType, ObjectType
from pyrep.objects.object import Object, object_type_to_class
from pyrep_mujoco.session.current import current
from pyrep_mujoco.session.objects import joints
from pyrep_mujoco.ttm.reading.model import Joint as JointObject

_MODES = {number: name for name, number in joints.MODES.items()}


class Joint(Object):
    """A revolute, prismatic or spherical joint; values in radians and metres."""

    def _get_requested_type(self) -> ObjectType:
        return ObjectType.JOINT

    def _own(self) -> JointObject:
        return joints.joint(current(), self._handle)

    def get_joint_type(self) -> JointType:
        """Return the kind of joint."""
        return JointType(joints.KINDS[self._own().kind])

    # ---- value --------------------------------------------------------------------------

    def get_joint_position(self) -> float:
        """Return the value [rad or m], of a cyclic joint within -pi and pi."""
        return joints.position(current(), self._handle)

    def set_joint_position(self, position: float, disable_dynamics: bool = False) -> None:
        """Set the value [rad or m] at once, but not beyond the joint's interval.

        Args:
            position: the value.
            disable_dynamics: the motor shall keep it too; two steps are simulated, as by PyRep.
        """
        session = current()
        joints.set_position(session, self._handle, position)
        if disable_dynamics:
            self.set_joint_target_position(position)
            for _ in range(2):
                session.step()
                joints.set_position(session, self._handle, position)

    def get_joint_velocity(self) -> float:
        """Return the velocity [rad/s or m/s]."""
        return joints.velocity(current(), self._handle)

    def get_joint_interval(self) -> tuple[bool, list[float]]:
        """Return whether the joint turns without limits, and [least value, range]."""
        own = self._own()
        return own.is_cyclic, [own.lower, own.upper - own.lower]

    def set_joint_interval(self, cyclic: bool, interval: Sequence[float]) -> None:
        """Set whether the joint turns without limits, and [least value, range]."""
        lower, span = interval
        joints.set_interval(current(), self._handle, cyclic, lower, span)

    def nearest(self, value: float) -> float:
        """Return the value [rad or m] of the joint's interval that is nearest to another."""
        return self._own().allowed(value)

    # ---- motor --------------------------------------------------------------------------

    def get_joint_target_position(self) -> float:
        """Return the value that the motor goes to [rad or m]."""
        return self._own().target_position

    def set_joint_target_position(self, position: float) -> None:
        """Set the value that the motor goes to [rad or m]; its control loop must be on."""
        joints.set_target(current(), self._handle, position)

    def get_joint_target_velocity(self) -> float:
        """Return the velocity that the motor holds [rad/s or m/s]."""
        return self._own().target_velocity

    def set_joint_target_velocity(self, velocity: float) -> None:
        """Set the velocity that the motor holds [rad/s or m/s]; its control loop must be off."""
        self._own().target_velocity = float(velocity)

    def get_joint_force(self) -> float:
        """Return what the motor did in the last step [N m or N]."""
        return joints.force(current(), self._handle)

    def set_joint_force(self, force: float) -> None:
        """Set the motor's greatest force [N m or N]."""
        self._own().max_force = float(force)

    def get_joint_upper_velocity_limit(self) -> float:
        """Return the greatest velocity of the control loop [rad/s or m/s]."""
        return self._own().velocity_limit

    def is_control_loop_enabled(self) -> bool:
        """Tell whether the motor goes to a value rather than to hold a velocity."""
        return self._own().position_loop

    def set_control_loop_enabled(self, value: bool) -> None:
        """Let the motor go to a value, or hold a velocity."""
        self._own().position_loop = bool(value)

    def is_motor_enabled(self) -> bool:
        """Tell whether the motor is on."""
        return self._own().motor_on

    def set_motor_enabled(self, value: bool) -> None:
        """Switch the motor on or off."""
        self._own().motor_on = bool(value)

    def is_motor_locked_at_zero_velocity(self) -> bool:
        """Tell whether the motor locks the joint at a wanted velocity of zero."""
        return self._own().locks_at_zero

    def set_motor_locked_at_zero_velocity(self, value: bool) -> None:
        """Let the motor lock the joint at a wanted velocity of zero, or only brake it."""
        self._own().locks_at_zero = bool(value)

    def get_joint_mode(self) -> JointMode:
        """Return who moves the joint."""
        return JointMode(_MODES[self._own().mode])

    def set_joint_mode(self, value: JointMode) -> None:
        """Say who moves the joint."""
        joints.set_mode(current(), self._handle, value.value)


object_type_to_class[ObjectType.JOINT] = Joint
