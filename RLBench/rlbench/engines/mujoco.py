"""The MuJoCo engine: puts a simulation of `pyrep_mujoco` and its robot together."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mujoco

from pyrep_mujoco.robots import robot_model
from pyrep_mujoco.robots.arm import Arm
from pyrep_mujoco.robots.gripper import Gripper
from pyrep_mujoco.robots.robot_model import RobotModel
from pyrep_mujoco.simulation import Simulation
from pyrep_mujoco.ttm import robot_files
from rlbench.cameras import CAMERAS
from rlbench.engines.protocols import Engine, LimitedArm, Robot

__all__ = ["VERSION", "as_mjcf", "check_images", "has_robot", "load", "on_warning"]

VERSION: str = mujoco.__version__
"""Of MuJoCo."""
_PACKAGE = Path(__file__).resolve().parents[1]
BASE_SCENE = _PACKAGE / "base_scene.xml"
"""What surrounds every task: table, floor, lights."""
PANDA = replace(robot_model.PANDA, mjcf=_PACKAGE / "robot_mjcf" / "panda.xml")
"""Our own Panda, made of primitives."""


ROBOT_FOLDER = Path("rlbench") / "robot_ttms"
"""Where a checkout of RLBench has its robots."""


class MujocoEngine(Simulation):
    """A task in RLBench's base scene and cameras, with our Panda unless another robot is given."""

    name = "mujoco"
    version = VERSION

    def __init__(self, scene: Path, robot: RobotModel = PANDA) -> None:
        super().__init__(scene, robot, BASE_SCENE, tuple(CAMERAS.values()))


def as_mjcf(scene: Path) -> Path:
    """Return the MJCF of a task's scene; a `.ttm` is converted, once."""
    if scene.suffix == ".xml":
        return scene
    # Imported late: built-in tasks need no reader of scene files.
    from pyrep_mujoco.ttm.cache import converted_scene  # noqa: PLC0415

    return converted_scene(scene)


def has_robot(rlbench_root: Path, name: str = "panda") -> bool:
    """Tell whether a checkout has a robot's file."""
    return robot_files.has_robot(rlbench_root / ROBOT_FOLDER, name)


def check_images() -> None:
    """Choose how images are made.

    Raises:
        RenderingError: no OpenGL works here.
    """
    # Imported late: without images there need be no OpenGL.
    from pyrep_mujoco.vision.rendering import select_gl_backend  # noqa: PLC0415

    select_gl_backend()


def load(
    scene: Path, rlbench_root: Path | None = None, robot_setup: str = "panda"
) -> tuple[Engine, Robot]:
    """Load a task's scene with a robot.

    Args:
        scene: MJCF, or a `.ttm` that is converted.
        rlbench_root: the checkout of RLBench that the robot comes from; None for our own Panda.
        robot_setup: the checkout's robot.
    """
    robot = PANDA
    if rlbench_root is not None:
        robot = robot_files.converted_robot(rlbench_root / ROBOT_FOLDER, robot_setup)
    return assembled(scene, robot)


def assembled(scene: Path, robot: RobotModel) -> tuple[Engine, Robot]:
    """Put a scene and a robot together."""
    engine = MujocoEngine(as_mjcf(scene), robot)
    arm: LimitedArm = Arm(engine)  # for mypy: it takes an action mode's commands, too
    return engine, Robot(arm, Gripper(engine))


def on_warning(tell: Callable[[str], None]) -> None:
    """Call a function with every warning of MuJoCo in this process."""
    mujoco.set_mju_user_warning(tell)
