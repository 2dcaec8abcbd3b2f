"""Joints of a MuJoCo scene, by PyRep's names: values, motors, locks and forces."""

import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.objects.object_types import ObjectType
from pyrep_mujoco.objects.scene_object import Frame, MujocoObject, SceneParts
from pyrep_mujoco.scene.health import check_value
from pyrep_mujoco.scene.tree import JOINT_HANDLES
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.world import Drive

_LOCKED = 1000.0
"""Dry friction [N m or N] of a joint that is locked."""
_HARD = (0.9999, 0.9999, 0.001, 0.5, 2.0)
"""`solimp` of such friction: a softer one creeps."""


class MujocoJoint(MujocoObject):
    """A hinge or slide: a frame with z along the axis, which its own motion does not move.

    Attributes:
        body: id of its link, the body that it moves.
        joint: its id.
    """

    def __init__(self, parts: SceneParts, name: str, joint: int) -> None:
        model = parts.world.model
        super().__init__(parts, name, int(model.jnt_bodyid[joint]))
        self.joint = joint
        self._qpos = int(model.jnt_qposadr[joint])
        self._dof = int(model.jnt_dofadr[joint])
        given = parts.world.notes.joint_frames.get(name)
        R = _axes(model.jnt_axis[joint]) if given is None else given
        self._T_rest_joint = tf.transform(model.jnt_pos[joint], R)

    def get_handle(self) -> int:
        """Return an id of the joint's own; its link's is the one in segmentation images."""
        return JOINT_HANDLES + self.joint

    def get_type(self) -> ObjectType:
        """Return `ObjectType.JOINT`."""
        return ObjectType.JOINT

    def remove(self) -> None:
        """Refuse: a joint cannot be taken out.

        Raises:
            SceneError: always.
        """
        raise SceneError(f"joint {self._name} cannot be removed from a scene")

    def transform(self) -> Floats:
        """Return the (4, 4) transform joint frame to world."""
        return self._world.rest_transform(self.body) @ self._T_rest_joint

    def _put(self, matrix: Floats, relative_to: Frame | None, reset_dynamics: bool) -> None:
        """Place the joint with all it carries; its value stays."""
        base = np.eye(4) if relative_to is None else relative_to.get_matrix()
        change = base @ matrix @ tf.invert(self.transform())
        goal = change @ self._world.transform(self.body)
        self._graph.move(self.body, goal, keeps_velocity=not reset_dynamics)

    # ---- value --------------------------------------------------------------------------

    def get_joint_position(self) -> float:
        """Return the value [rad or m]."""
        return float(self._world.data.qpos[self._qpos])

    def set_joint_position(self, position: float, disable_dynamics: bool = False) -> None:
        """Set the value [rad or m] at once, dynamic or not; the velocity becomes zero."""
        check_value(self.get_name(), position)
        data = self._world.data
        data.qpos[self._qpos] = position
        data.qvel[self._dof] = 0.0
        self._world.refresh()

    def get_joint_interval(self) -> tuple[bool, list[float]]:
        """Return (is cyclic, [lower, upper])."""
        model = self._world.model
        limited = bool(model.jnt_limited[self.joint])
        limits = model.jnt_range[self.joint] if limited else (-np.pi, np.pi)
        return (not limited, [float(v) for v in limits])

    def get_joint_velocity(self) -> float:
        """Return the velocity [rad/s or m/s]."""
        return float(self._world.data.qvel[self._dof])

    def get_joint_force(self) -> float:
        """Return what motors and limits do to the joint [N m or N]."""
        data = self._world.data
        force = data.qfrc_applied + data.qfrc_actuator + data.qfrc_constraint
        return float(force[self._dof])

    # ---- lock ---------------------------------------------------------------------------

    def is_motor_locked_at_zero_velocity(self) -> bool:
        """Tell whether the joint is locked."""
        return bool(self._world.model.dof_frictionloss[self._dof] >= _LOCKED)

    def set_motor_locked_at_zero_velocity(self, value: bool) -> None:
        """Lock the joint where it is, or let it move again against its motor's dry friction."""
        model = self._world.model
        loss = self._world.as_compiled("dof_frictionloss")[self._dof]
        free = loss if loss < _LOCKED else 0.0
        model.dof_frictionloss[self._dof] = _LOCKED if value else free
        scene = self._world.as_compiled("dof_solimp")[self._dof]
        model.dof_solimp[self._dof] = _HARD if value else scene

    # ---- motor --------------------------------------------------------------------------

    def _drive(self) -> Drive:
        return self._world.changes.drives.setdefault(self._name, Drive())

    def get_joint_target_velocity(self) -> float:
        """Return the motor's wanted velocity [rad/s or m/s], 0 when there is none."""
        return self._drive().velocity or 0.0

    def set_joint_target_velocity(self, velocity: float) -> None:
        """Let the motor turn the joint at a velocity [rad/s or m/s]."""
        drive = self._drive()
        drive.velocity, drive.position = float(velocity), None

    def get_joint_target_position(self) -> float:
        """Return the motor's wanted position [rad or m], the present when there is none."""
        position = self._drive().position
        return self.get_joint_position() if position is None else position

    def set_joint_target_position(self, position: float) -> None:
        """Let the motor bring the joint to a position [rad or m]."""
        drive = self._drive()
        drive.position, drive.velocity = float(position), None

    def set_joint_force(self, force: float) -> None:
        """Set the motor's greatest force [N m or N]."""
        self._drive().force = float(force)

    def is_motor_enabled(self) -> bool:
        """Tell whether the motor works."""
        return self._drive().is_on

    def set_motor_enabled(self, value: bool) -> None:
        """Switch the motor, and the dry friction that a resting motor is, on or off."""
        self._drive().is_on = bool(value)
        loss = self._world.as_compiled("dof_frictionloss")[self._dof]
        self._world.model.dof_frictionloss[self._dof] = loss if value else 0.0

    def is_control_loop_enabled(self) -> bool:
        """Tell whether the motor keeps a position."""
        return self._drive().position is not None

    def set_control_loop_enabled(self, value: bool) -> None:
        """Let the motor keep the present position, or a velocity of zero."""
        drive, here = self._drive(), self.get_joint_position()
        drive.position, drive.velocity = (here, None) if value else (None, 0.0)

    def push(self, drive: Drive) -> None:
        """Let the motor act in the next step of physics, at most with its force."""
        data, model = self._world.data, self._world.model
        data.qfrc_applied[self._dof] = 0.0
        if not drive.is_on or (drive.velocity is None and drive.position is None):
            return
        # Half of what would change the velocity within one step keeps the step stable.
        gain = 0.5 / (model.dof_invweight0[self._dof] * model.opt.timestep)
        wanted = drive.velocity
        if wanted is None:
            assert drive.position is not None
            wanted = (drive.position - data.qpos[self._qpos]) / (20 * model.opt.timestep)
        push = gain * (wanted - data.qvel[self._dof])
        data.qfrc_applied[self._dof] = np.clip(push, -drive.force, drive.force)


def _axes(z: Floats) -> Floats:
    """Return a (3, 3) rotation with a given z axis; for joints of scenes that say no more."""
    x = np.cross([0.0, 1.0, 0.0] if abs(z[1]) < 0.9 else [1.0, 0.0, 0.0], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)
