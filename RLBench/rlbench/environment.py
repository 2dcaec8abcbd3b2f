"""The entrance: an environment hands out tasks."""

from typing import Any

import mujoco

from rlbench.action_modes import ActionMode
from rlbench.backend.exceptions import EngineError, TaskEnvironmentError
from rlbench.backend.robot import Robot
from rlbench.backend.scene import Scene
from rlbench.backend.task import Task
from rlbench.observation_config import ObservationConfig
from rlbench.sim.base import Engine
from rlbench.sim.compose import task_scene_path
from rlbench.sim.mujoco_engine import MujocoEngine
from rlbench.sim.mujoco_robot import Arm, Gripper
from rlbench.sim.recorder import Recorder, track_calibration
from rlbench.task_environment import TaskEnvironment
from rlbench.transforms import Floats

ENGINES = ("mujoco", "coppeliasim")
"""Simulators; the second needs PyRep, CoppeliaSim and a checkout of RLBench, see the README."""


class Environment:
    """Loads tasks and keeps one scene at a time.

    Attributes:
        engine_name: one of `ENGINES`.
        engine_version: of the simulator, once it is launched.
    """

    def __init__(
        self,
        action_mode: ActionMode | None = None,
        obs_config: ObservationConfig | None = None,
        headless: bool = True,
        static_positions: bool = False,
        engine: str = "mujoco",
    ) -> None:
        """Describe what is to be done; `launch` starts it.

        Args:
            action_mode: how `TaskEnvironment.step` reads actions.
            obs_config: images and keypoints to record; default keypoints without images.
            headless: False opens the simulator's window on the running demonstration.
            static_positions: leave every task where its scene file puts it.
            engine: one of `ENGINES`.

        Raises:
            EngineError: there is no such engine.
        """
        if engine not in ENGINES:
            raise EngineError(f"engine {engine!r} is unknown; there are {', '.join(ENGINES)}")
        self.engine_name = engine
        self.engine_version = mujoco.__version__ if engine == "mujoco" else ""
        self._simulator: Any = None  # of an engine that runs beside the scenes it loads
        self._action_mode = action_mode or ActionMode()
        self._obs_config = obs_config or ObservationConfig()
        self._headless = headless
        self._static_positions = static_positions
        self._launched = False
        self._task: TaskEnvironment | None = None

    def launch(self) -> None:
        """Get ready to load tasks; checks cameras and OpenGL before anything is built.

        Raises:
            EngineError: the simulator is not installed, or cannot be started here.
            SceneError: a camera is unknown, or a track camera moves.
            RenderingError: images are asked for and no OpenGL works here.
        """
        track_calibration(self._obs_config)
        if self.engine_name == "coppeliasim":
            if self._simulator is None:
                # Imported late: nothing of PyRep is needed for MuJoCo.
                from rlbench.sim.coppelia_simulator import CoppeliaSimulator  # noqa: PLC0415

                self._simulator = CoppeliaSimulator(self._headless)
                self.engine_version = self._simulator.version
        elif self._obs_config.cameras:
            # Imported late: without images there need be no OpenGL.
            from rlbench.sim.rendering import select_gl_backend  # noqa: PLC0415

            select_gl_backend()
        self._launched = True

    def get_task(self, task_class: type[Task]) -> TaskEnvironment:
        """Load a task's scene; a task loaded before is closed.

        Raises:
            TaskEnvironmentError: `launch` was not called.
            SceneError: the scene lacks an object that the task names.
        """
        if not self._launched:
            raise TaskEnvironmentError("call launch() before get_task()")
        self._close_task()
        name = task_class.__module__.rpartition(".")[2]
        engine, robot = self._load(name)
        task = task_class(engine, robot, name)
        scene = Scene(engine, robot, task, self._static_positions)
        recorder = Recorder(engine, robot, task, self._obs_config)
        self._task = TaskEnvironment(scene, recorder, self._action_mode, self._headless)
        return self._task

    def _load(self, name: str) -> tuple[Engine, Robot]:
        if self._simulator is not None:
            return self._simulator.load(name)
        engine = MujocoEngine(task_scene_path(name))
        return engine, Robot(Arm(engine), Gripper(engine))

    def track_calibration(self) -> tuple[Floats, Floats]:
        """Return intrinsics (V, 3, 3) [px] and extrinsics (V, 3, 4) of the track cameras."""
        return track_calibration(self._obs_config)

    def _close_task(self) -> None:
        if self._task is not None:
            self._task.close()
            self._task = None

    def shutdown(self) -> None:
        """Free OpenGL contexts, stop the simulator and forget the scene."""
        self._close_task()
        if self._simulator is not None:
            self._simulator.close()
            self._simulator = None
        self._launched = False
