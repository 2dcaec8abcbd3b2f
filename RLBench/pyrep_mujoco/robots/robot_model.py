"""What a simulation must know of a robot beside its MJCF: names, home pose, speed limits."""

from dataclasses import dataclass, replace
from pathlib import Path

from pyrep_mujoco.vision.cameras import CameraSpec

_SENSOR_ITSELF = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Grip:
    """How firmly a hand holds: MuJoCo's parameters of the weld between it and an object.

    Attributes:
        seconds: after which a slip is all but gone; the longer, the further what is held gives way.
        impedance: (least, greatest, width [m]) of MuJoCo's `solimp`.
        torque_scale: how much firmer it holds against turning than a weld of 1 m length.
    """

    seconds: float
    impedance: tuple[float, float, float]
    torque_scale: float


FIRM = Grip(0.004, (0.99, 0.999, 1e-4), 1.0)
"""A held object slips by less than 0.5 mm during a demonstration."""
YIELDING = Grip(0.05, (0.95, 0.95, 1e-3), 20.0)
"""Gives way by millimetres, as what hangs on the force sensor of RLBench's hands does."""


@dataclass(frozen=True)
class RobotModel:
    """An arm with a gripper of two or three fingers.

    Attributes:
        name: of the robot; all its objects start with it or with the gripper's name.
        mjcf: scene file.
        root: body that everything of the robot hangs on.
        joints: of the arm, from the base; each has a position actuator of its name.
        tip: frame that reaches waypoints.
        hand: body that held objects are welded to.
        sensor: proximity sensor that says what can be held.
        fingers: bodies of the fingers, of two the left one first.
        finger_joints: slides or hinges of the fingers; each has a position actuator of its name.
        finger_range: travel of a finger from closed to open: [m] of slides, one number for all;
            [rad] of hinges, one for each.
        home: saved pose [rad].
        max_velocity: of each joint [rad/s].
        max_acceleration: of each joint [rad/s^2].
        path_limits: speed [rad/s] and acceleration [rad/s^2] along planned ways, measured in the
            space of all joints; None leaves them to the joints' own.
        is_careful: plans keep clear of walls even where a waypoint ignores collisions, bear with
            small overlaps where nothing else leads on, and look at more poses of the arm and at
            what blocks the straight lines that follow; fingers that press on something turn back at
            once.
            Demonstrations of the built-in tasks, which are published, were made without.
        path_grip: how firmly the hand holds while it follows a path that a scene draws; None: as
            firmly as ever. RLBench's scenes draw paths on which a held hook cuts 1 cm into the bar
            that it is to hang on; a knife, on the other hand, is put into its slot by a firm hand
            only.
        wrist_camera: body whose frame is the sensor's of the camera `wrist`; empty where that is as
            the camera table has it, on the hand.
    """

    name: str
    mjcf: Path
    root: str
    joints: tuple[str, ...]
    tip: str
    hand: str
    sensor: str
    fingers: tuple[str, ...]
    finger_joints: tuple[str, ...]
    finger_range: float | tuple[float, ...]
    home: tuple[float, ...]
    max_velocity: tuple[float, ...]
    max_acceleration: tuple[float, ...]
    path_limits: tuple[float, float] | None = None
    is_careful: bool = False
    path_grip: Grip | None = None
    wrist_camera: str = ""

    def mounted(self, camera: CameraSpec) -> CameraSpec:
        """Return a camera of the table as it is on this robot.

        The table has what the Panda's hand carries.
        """
        if camera.parent != PANDA.hand:
            return camera
        if camera.name == "wrist" and self.wrist_camera:
            return replace(
                camera, parent=self.wrist_camera, position=(0.0, 0.0, 0.0), rotation=_SENSOR_ITSELF
            )
        return replace(camera, parent=self.hand)

    def owns(self, object_name: str) -> bool:
        """Tell whether an object of this name is a part of the arm or the gripper."""
        return object_name.startswith((self.name, self.hand))


PANDA = RobotModel(
    name="Panda",
    mjcf=Path(),
    root="Panda",
    joints=tuple(f"Panda_joint{i}" for i in range(1, 8)),
    tip="Panda_tip",
    hand="Panda_gripper",
    sensor="Panda_gripper_attachProxSensor",
    fingers=("Panda_leftfinger", "Panda_rightfinger"),
    finger_joints=("Panda_gripper_joint1", "Panda_gripper_joint2"),
    finger_range=0.04,
    # The saved pose of RLBench's Panda, in Franka's zero of joint 4.
    home=(0.0, 0.1745, 0.0, -0.8029, 0.0, 1.2217, 0.7854),
    max_velocity=(2.175,) * 4 + (2.61,) * 3,
    # Half of Franka's limits: servos of finite stiffness follow it within 1 mm.
    max_acceleration=(7.5, 3.75, 5.0, 6.25, 7.5, 10.0, 10.0),
)
"""The Panda's names and numbers; who uses it says where its MJCF is."""
