"""Joints that belong together: an arm, a gripper."""

from collections.abc import Sequence

from pyrep.const import JointMode, JointType, ObjectType
from pyrep.objects.joint import Joint
from pyrep.objects.object import Object
from pyrep_mujoco.session.current import current


class RobotComponent(Object):
    """A model with joints.

    Attributes:
        joints: from the base.
    """

    def __init__(
        self, count: int, name: str, joint_names: Sequence[str], base_name: str | None = None
    ) -> None:
        """Find a component in the scene.

        Args:
            count: which of several copies, 0 for the first; copies have names with #0, #1 ...
            name: of the component.
            joint_names: of its joints, from the base.
            base_name: of the object that it hangs on, where that has another name.
        """
        self._suffix = "" if count == 0 else f"#{count - 1}"
        super().__init__((name if base_name is None else base_name) + self._suffix)
        self._num_joints = len(joint_names)
        self.joints = [Joint(joint + self._suffix) for joint in joint_names]
        self._joint_handles = [joint.get_handle() for joint in self.joints]

    def _get_requested_type(self) -> ObjectType:
        """Return the type that the base has: any will do."""
        return self.get_type()

    def copy(self) -> "RobotComponent":
        """Copy the whole model; return the copy."""
        copied = Object.get_object_name(current().copy(self._handle, whole_model=True))
        number = copied.rpartition("#")[2] if "#" in copied else ""
        return self.__class__(int(number) + 1 if number else 0)  # type: ignore[call-arg]

    def get_joint_count(self) -> int:
        """Return the number of joints."""
        return self._num_joints

    def get_joint_types(self) -> list[JointType]:
        """Return the types of the joints."""
        return [joint.get_joint_type() for joint in self.joints]

    def get_joint_positions(self) -> list[float]:
        """Return the joints' values [rad or m]."""
        return [joint.get_joint_position() for joint in self.joints]

    def set_joint_positions(
        self, positions: Sequence[float], disable_dynamics: bool = False
    ) -> None:
        """Set the joints' values [rad or m] at once.

        Args:
            positions: one for each joint.
            disable_dynamics: the motors keep these values, too; two steps are simulated, as by
                PyRep.
        """
        self._assert_len(positions)
        self._set_values(positions)
        if disable_dynamics:
            self.set_joint_target_positions(positions)
            # All at once: what is in the way of an arm half-way there must not be pushed.
            for _ in range(2):
                current().step()
                self._set_values(positions)

    def _set_values(self, positions: Sequence[float]) -> None:
        for joint, position in zip(self.joints, positions, strict=True):
            joint.set_joint_position(position)

    def get_joint_target_positions(self) -> list[float]:
        """Return the values [rad or m] that the motors go to."""
        return [joint.get_joint_target_position() for joint in self.joints]

    def set_joint_target_positions(self, positions: Sequence[float]) -> None:
        """Let the motors go to values [rad or m], one for each joint."""
        self._assert_len(positions)
        for joint, position in zip(self.joints, positions, strict=True):
            joint.set_joint_target_position(position)

    def get_joint_target_velocities(self) -> list[float]:
        """Return the velocities [rad/s or m/s] that the motors keep."""
        return [joint.get_joint_target_velocity() for joint in self.joints]

    def set_joint_target_velocities(self, velocities: Sequence[float]) -> None:
        """Let the motors keep velocities [rad/s or m/s], one for each joint."""
        self._assert_len(velocities)
        for joint, velocity in zip(self.joints, velocities, strict=True):
            joint.set_joint_target_velocity(velocity)

    def get_joint_forces(self) -> list[float]:
        """Return the forces [N m or N] at the joints; see `Joint.get_joint_force`."""
        return [joint.get_joint_force() for joint in self.joints]

    def set_joint_forces(self, forces: Sequence[float]) -> None:
        """Set the motors' greatest forces [N m or N], one for each joint, not below 0."""
        self._assert_len(forces)
        for joint, force in zip(self.joints, forces, strict=True):
            joint.set_joint_force(force)

    def get_joint_velocities(self) -> list[float]:
        """Return the joints' velocities [rad/s or m/s]."""
        return [joint.get_joint_velocity() for joint in self.joints]

    def get_joint_intervals(self) -> tuple[list[bool], list[list[float]]]:
        """Return whether each joint is cyclic, and its interval [least, span] [rad or m]."""
        found = [joint.get_joint_interval() for joint in self.joints]
        return [cyclic for cyclic, _ in found], [interval for _, interval in found]

    def set_joint_intervals(
        self, cyclic: Sequence[bool], intervals: Sequence[Sequence[float]]
    ) -> None:
        """Set whether each joint is cyclic, and its interval [least, span] [rad or m]."""
        self._assert_len(cyclic)
        self._assert_len(intervals)
        for joint, is_cyclic, interval in zip(self.joints, cyclic, intervals, strict=True):
            joint.set_joint_interval(is_cyclic, list(interval))

    def get_joint_upper_velocity_limits(self) -> list[float]:
        """Return the greatest velocities [rad/s or m/s] on the way to a position."""
        return [joint.get_joint_upper_velocity_limit() for joint in self.joints]

    def set_control_loop_enabled(self, value: bool) -> None:
        """Let all motors go to positions, or keep velocities."""
        for joint in self.joints:
            joint.set_control_loop_enabled(value)

    def set_motor_locked_at_zero_velocity(self, value: bool) -> None:
        """Lock all joints where a velocity of zero is wanted, or do not."""
        for joint in self.joints:
            joint.set_motor_locked_at_zero_velocity(value)

    def set_joint_mode(self, value: JointMode) -> None:
        """Set the mode of all joints."""
        for joint in self.joints:
            joint.set_joint_mode(value)

    def get_joint_modes(self) -> list[JointMode]:
        """Return the modes of the joints."""
        return [joint.get_joint_mode() for joint in self.joints]

    def get_visuals(self) -> list[Object]:
        """Return the shapes whose names say that they are what is drawn."""
        shapes = self.get_objects_in_tree(ObjectType.SHAPE, exclude_base=False)
        return [shape for shape in shapes if "visual" in shape.get_name()]

    def _assert_len(self, inputs: Sequence[object]) -> None:
        if len(self.joints) != len(inputs):
            raise RuntimeError(
                f"{self.get_name()} has {len(self.joints)} joints; got {len(inputs)} values"
            )
