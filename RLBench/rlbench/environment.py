"""The way in: an environment starts a simulator and loads tasks."""

import gc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rlbench.action_modes import ActionMode
from rlbench.backend.exceptions import EngineError, TaskEnvironmentError, UnknownSettingError
from rlbench.backend.pyrep_names.pyrep_robots import SUPPORTED_ROBOTS
from rlbench.backend.pyrep_names.pyrep_simulation import PyRep
from rlbench.backend.pyrep_names.scene_context import announce, forget
from rlbench.backend.robot import Robot
from rlbench.backend.scene import Scene
from rlbench.backend.task import Task
from rlbench.backend.task_files import Checkout, Origin, open_checkout
from rlbench.catalogue import Catalogue
from rlbench.checkout.loader import load_task
from rlbench.const import ROBOTS
from rlbench.demo import Demo
from rlbench.engines import mujoco
from rlbench.engines.protocols import Engine, LimitedArm, Simulator
from rlbench.engines.transforms import Floats
from rlbench.engines.vision import has_display
from rlbench.observation_config import RLBENCH_CAMERAS, ObservationConfig
from rlbench.recording.recorder import Recorder, track_calibration
from rlbench.stored_demos import get_stored_demos, require_dataset_root
from rlbench.task_environment import TaskEnvironment
from rlbench.tasks.registry import AVAILABLE, TASK_NAMES, builtin_scene

ENGINES = ("mujoco", "coppeliasim")
"""Simulators; docs/coppeliasim.md says what the second needs."""

DIR_PATH = str(Path(__file__).resolve().parent)
"""The package's folder, under RLBench's name."""


def hear_warnings(tell: Callable[[str], None]) -> None:
    """Let MuJoCo tell its warnings to a function, instead of printing them and writing a file."""
    mujoco.on_warning(tell)


def _check_robot(setup: str, engine: str, checkout: Checkout | None) -> None:
    """Check that a robot can be used.

    Raises:
        TaskEnvironmentError: it is unknown, or its files are missing.
    """
    asked = f"Environment: robot_setup {setup!r}"
    if setup not in SUPPORTED_ROBOTS:
        raise UnknownSettingError(f"{asked} is unknown; there are {', '.join(ROBOTS)}")
    if setup == ROBOTS[0]:
        return
    if engine != "mujoco":
        raise TaskEnvironmentError(
            f"{asked} does not work with the engine {engine}, whose scene holds the {ROBOTS[0]}; "
            "leave robot_setup out"
        )
    if checkout is None:
        raise TaskEnvironmentError(
            f"{asked} is RLBench's own; give rlbench_root, or set RLBENCH_ROOT"
        )
    if not mujoco.has_robot(checkout.root, setup):
        raise TaskEnvironmentError(f"{asked} is not in {checkout.root / 'rlbench/robot_ttms'}")


def _robot_root(origin: Origin | None, checkout: Checkout | None) -> Path | None:
    """Return the checkout that the robot comes from; None for our own Panda."""
    if checkout is not None:
        return checkout.root
    if origin is None or origin.root is None or not mujoco.has_robot(origin.root):
        return None
    return origin.root


def _is_task(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Task)


class Environment:
    """Loads tasks and keeps one scene at a time.

    Attributes:
        engine_name: one of `ENGINES`.
        engine_version: of the simulator, once it is launched.
        robot_setup: one of `const.ROBOTS`.
        catalogue: the tasks that `get_task` knows by name.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - RLBench's arguments, and ours behind them
        self,
        action_mode: ActionMode | None = None,
        dataset_root: str = "",
        obs_config: ObservationConfig | None = None,
        headless: bool = True,
        static_positions: bool = False,
        robot_setup: str = "panda",
        randomize_every: object = None,
        frequency: int = 1,
        visual_randomization_config: object = None,
        dynamics_randomization_config: object = None,
        attach_grasped_objects: bool = True,
        shaped_rewards: bool = False,
        arm_max_velocity: float | None = None,
        arm_max_acceleration: float | None = None,
        engine: str = "mujoco",
        rlbench_root: str | Path | None = None,
        tasks_from: str | None = None,
    ) -> None:
        """Choose actions, observations, robot and engine; `launch` starts the simulator.

        Args:
            action_mode: how `TaskEnvironment.step` reads actions; default joint velocities and
                opening or closing together, in steps of 50 ms.
            dataset_root: folder of demonstrations that RLBench has stored, for `get_demos`; it
                must exist if it is given.
            obs_config: images and keypoints to record; default keypoints without images.
            headless: False opens the simulator's window on what is going on; where there is no
                display, MuJoCo goes on without, with a warning.
            static_positions: leave every task where its scene file puts it.
            robot_setup: the robot; one of `const.ROBOTS`.
            randomize_every: must be None: there is no domain randomisation.
            frequency: without effect, as in RLBench where nothing is randomised.
            visual_randomization_config: must be None.
            dynamics_randomization_config: must be None.
            attach_grasped_objects: must be True, demonstrations hold what they grasp; actions
                hold by friction with `Discrete(attach_grasped_objects=False)`.
            shaped_rewards: rewards are those of `Task.reward`, not 1 for success.
            arm_max_velocity: bound of all joints' speeds [rad/s], below the robot's own bounds.
            arm_max_acceleration: bound of all joints' accelerations on planned ways [rad/s^2].
            engine: one of `ENGINES`.
            rlbench_root: a checkout of RLBench, whose task files and scenes run here too; by
                default $RLBENCH_ROOT, else none.
            tasks_from: which version of a task `get_task` takes for a name: `auto`, the
                checkout's where it has one; `builtin`; `rlbench`. Default $RLBENCH_TASKS_FROM,
                else `auto`.

        Raises:
            EngineError: there is no such engine.
            TaskEnvironmentError: an argument asks for something that is not supported.
            TaskNotAvailableError: `rlbench_root` or `tasks_from` cannot be used.
        """
        self.catalogue = Catalogue(rlbench_root, tasks_from)
        refused = {
            "randomize_every": randomize_every,
            "visual_randomization_config": visual_randomization_config,
            "dynamics_randomization_config": dynamics_randomization_config,
            "attach_grasped_objects": None if attach_grasped_objects else False,
        }
        for name, value in refused.items():
            if value is not None:
                raise TaskEnvironmentError(
                    f"Environment: {name}={value!r} is not supported; leave {name} out"
                )
        if dataset_root and not Path(dataset_root).is_dir():
            raise TaskEnvironmentError(f"Environment: dataset_root {dataset_root} is no folder")
        self._dataset_root = dataset_root
        self._shaped_rewards = shaped_rewards
        self._limits = (arm_max_velocity, arm_max_acceleration)
        if engine not in ENGINES:
            raise EngineError(f"engine {engine!r} is unknown; there are {', '.join(ENGINES)}")
        self.robot_setup = robot_setup.lower()
        # That holds the robot; needed even where tasks are built in.
        self._checkout: Checkout | None = None
        if self.robot_setup != ROBOTS[0]:
            self._checkout = self.catalogue.checkout or open_checkout(rlbench_root)
        _check_robot(self.robot_setup, engine, self._checkout)
        self.engine_name = engine
        self.engine_version = mujoco.VERSION if engine == "mujoco" else ""
        # Of an engine that runs beside the scenes it loads.
        self._simulator: Simulator | None = None
        self._action_mode = action_mode or ActionMode()
        self._obs_config = obs_config or ObservationConfig()
        self._headless = headless
        if engine == "mujoco" and not headless and not has_display():
            warnings.warn(
                "Environment: headless is False, but there is no display: no viewer opens",
                stacklevel=2,
            )
            self._headless = True
        self._static_positions = static_positions
        self._launched = False
        self._task: TaskEnvironment | None = None
        self._engine: Engine | None = None
        # Under RLBench's names, of the task that was loaded last:
        self._scene: Scene | None = None
        self._robot: Robot | None = None
        self._prev_task: Task | None = None

    @property
    def _pyrep(self) -> PyRep | None:
        return None if self._scene is None else self._scene.pyrep

    def launch(self) -> None:
        """Get ready to load tasks; checks cameras and OpenGL before anything is built.

        Raises:
            EngineError: the simulator is not installed, or cannot be started here.
            SceneError: a camera is unknown, or a track camera moves.
            RenderingError: images are asked for and no OpenGL works here.
        """
        self._obs_config.check()
        track_calibration(self._obs_config)
        if self.engine_name == "coppeliasim":
            if self._simulator is None:
                # Imported late: nothing of PyRep is needed for MuJoCo.
                from rlbench.engines.coppelia.simulator import CoppeliaSimulator  # noqa: PLC0415

                simulator = CoppeliaSimulator(self._headless)
                self._simulator, self.engine_version = simulator, simulator.version
        elif self._obs_config.recording().cameras:
            mujoco.check_images()
        self._launched = True

    def get_task(self, task_class: type[Task] | str) -> TaskEnvironment:
        """Load a task's scene; a task loaded before is closed. Calls `launch` if need be.

        Args:
            task_class: the task's class, or its snake_case name.

        Raises:
            TaskEnvironmentError: `task_class` is neither of both.
            TaskNotAvailableError: there is no task of that name.
            TaskFileError: a task file of RLBench cannot be loaded, or its `init_task` fails.
            SceneError: the scene lacks an object that the task names.
        """
        if not self._launched:
            self.launch()
        if not (isinstance(task_class, str) or _is_task(task_class)):
            raise TaskEnvironmentError(
                f"get_task: {task_class!r} is no task; give its class, or its snake_case name such"
                f" as {TASK_NAMES[0]!r}"
            )
        self._close_task()
        if isinstance(task_class, str):
            task_class = self.catalogue.task_class(task_class)
        origin: Origin | None = getattr(task_class, "origin", None)
        if origin is not None and self._simulator is not None:
            # CoppeliaSim's objects are PyRep's own, and so are the classes of its task files.
            task_class = load_task(origin, with_pyrep=True)
        name = origin.name if origin else task_class.__module__.rpartition(".")[2]
        engine, robot = self._load(name, origin)
        announce(engine, robot)
        self._engine = engine
        task = task_class(engine, robot, name)
        scene = Scene(engine, robot, task, self._static_positions)
        scene.robot_setup = self.robot_setup
        self._scene, self._robot, self._prev_task = scene, robot, task
        recorder = Recorder(engine, robot, task, self._obs_config.recording())
        self._limit_speed(robot)
        self._task = TaskEnvironment(
            scene,
            recorder,
            self._action_mode,
            self._headless,
            self._obs_config,
            self._shaped_rewards,
            self._dataset_root,
        )
        return self._task

    def _limit_speed(self, robot: Robot) -> None:
        velocity, acceleration = self._limits
        if velocity is None and acceleration is None:
            return
        if not isinstance(robot.arm, LimitedArm):
            raise TaskEnvironmentError(
                "Environment: arm_max_velocity and arm_max_acceleration do not work with the "
                f"engine {self.engine_name}; leave them out"
            )
        if velocity is not None:
            robot.arm.max_velocity = np.minimum(robot.arm.max_velocity, velocity)
        if acceleration is not None:
            robot.arm.max_acceleration = np.minimum(robot.arm.max_acceleration, acceleration)

    @property
    def action_mode(self) -> ActionMode:
        """How actions are read."""
        return self._action_mode

    @property
    def action_shape(self) -> tuple[int, ...]:
        """Shape of an action, before a task is loaded too.

        Raises:
            TaskEnvironmentError: no task was loaded yet, and the robot is not the Panda.
        """
        if self._task is None and self.robot_setup != ROBOTS[0]:
            raise TaskEnvironmentError(
                f"Environment: actions of robot_setup {self.robot_setup!r} are known once a task is"
                " loaded; call get_task() first"
            )
        return (self._action_mode.action_shape(None),)

    def _load(self, name: str, origin: Origin | None) -> tuple[Engine, Robot]:
        if self._simulator is not None:
            return self._simulator.load(name)
        scene = builtin_scene(name) if origin is None else origin.scene
        return mujoco.load(scene, _robot_root(origin, self._checkout), self.robot_setup)

    def get_demos(
        self,
        task_name: str,
        amount: int,
        variation_number: int = 0,
        image_paths: bool = False,
        random_selection: bool = True,
        from_episode_number: int = 0,
    ) -> list[Demo]:
        """Read demonstrations that RLBench has stored; needs no scene. See `get_stored_demos`.

        Raises:
            TaskEnvironmentError: there is no `dataset_root`, or there are not so many.
        """
        require_dataset_root(self._dataset_root, task_name)
        return get_stored_demos(
            amount,
            image_paths,
            self._dataset_root,
            variation_number,
            task_name,
            self._obs_config,
            random_selection,
            from_episode_number,
        )

    def get_scene_data(self) -> dict[str, dict[str, Any] | None]:
        """Return `<camera>_camera` -> intrinsics, extrinsics, near_plane, far_plane.

        Matrices are as in `Observation.misc`; cameras of which no images are asked for are None.
        Where no task is loaded, a built-in one is for the moment.
        """
        was_loaded, was_launched = self._task is not None, self._launched
        if self._task is None:
            self.get_task(AVAILABLE[0])
        assert self._task is not None
        known = self._task.camera_calibration()
        if not was_loaded:
            self._close_task()
        if not was_launched:
            self.shutdown()
        planes = {"near": "near_plane", "far": "far_plane"}
        names = [f"{name}_camera" for name in RLBENCH_CAMERAS]
        return {
            name: (
                {
                    planes.get(what, what): known[f"{name}_{what}"]
                    for what in ("intrinsics", "extrinsics", "near", "far")
                }
                if f"{name}_near" in known
                else None
            )
            for name in names
        }

    def track_calibration(self) -> tuple[Floats, Floats]:
        """Return intrinsics (V, 3, 3) [px] and extrinsics (V, 3, 4) of the track cameras."""
        return track_calibration(self._obs_config)

    def _close_task(self) -> None:
        if self._task is not None:
            self._task.close()
            self._task = None
        if self._engine is not None:
            forget(self._engine)
            self._engine = self._scene = self._robot = self._prev_task = None
            gc.collect()  # objects and their engine hold each other, and a simulation is large

    def shutdown(self) -> None:
        """Free OpenGL contexts, stop the simulator and forget the scene."""
        self._close_task()
        if self._simulator is not None:
            self._simulator.close()
            self._simulator = None
        self._launched = False
