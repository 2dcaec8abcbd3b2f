"""What a robot needs of the scene that it stands in."""

from typing import Protocol

from pyrep_mujoco.objects.frames import MujocoDummy
from pyrep_mujoco.objects.joint import MujocoJoint
from pyrep_mujoco.objects.object_table import ObjectTable
from pyrep_mujoco.objects.proximity_sensor import MujocoProximitySensor
from pyrep_mujoco.objects.scene_object import MujocoObject
from pyrep_mujoco.robots.robot_model import RobotModel
from pyrep_mujoco.scene.controls import Controls
from pyrep_mujoco.scene.welds import Welds
from pyrep_mujoco.world import World


class RobotScene(Protocol):
    """Where arms and grippers take their parts from; they do not keep it.

    Attributes:
        robot: names and numbers of the robot.
        world: model and data.
        controls: of the actuators.
        welds: hold what is grasped.
        table: all objects.
    """

    robot: RobotModel
    world: World
    controls: Controls
    welds: Welds
    table: ObjectTable[MujocoObject]

    def dummy(self, name: str) -> MujocoDummy:
        """Look a dummy up by name."""

    def joint(self, name: str) -> MujocoJoint:
        """Look a joint up by name."""

    def sensor(self, name: str) -> MujocoProximitySensor:
        """Look a proximity sensor up by name."""
