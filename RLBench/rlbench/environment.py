"""The entrance: an environment hands out tasks."""

import mujoco

from rlbench.action_modes import ActionMode
from rlbench.backend.exceptions import TaskEnvironmentError
from rlbench.backend.robot import Robot
from rlbench.backend.scene import Scene
from rlbench.backend.task import Task
from rlbench.observation_config import ObservationConfig
from rlbench.sim.compose import task_scene_path
from rlbench.sim.mujoco_engine import MujocoEngine
from rlbench.sim.mujoco_robot import Arm, Gripper
from rlbench.sim.recorder import Recorder, track_calibration
from rlbench.task_environment import TaskEnvironment
from rlbench.transforms import Floats


class Environment:
    """Loads tasks and keeps one compiled scene at a time."""

    engine_name = MujocoEngine.name
    engine_version = mujoco.__version__

    def __init__(
        self,
        action_mode: ActionMode | None = None,
        obs_config: ObservationConfig | None = None,
        headless: bool = True,
        static_positions: bool = False,
    ) -> None:
        """Describe what is to be done; `launch` starts it.

        Args:
            action_mode: how `TaskEnvironment.step` reads actions.
            obs_config: images and keypoints to record; default keypoints without images.
            headless: False opens MuJoCo's viewer on the running demonstration.
            static_positions: leave every task where its scene file puts it.
        """
        self._action_mode = action_mode or ActionMode()
        self._obs_config = obs_config or ObservationConfig()
        self._headless = headless
        self._static_positions = static_positions
        self._launched = False
        self._task: TaskEnvironment | None = None

    def launch(self) -> None:
        """Get ready to load tasks; checks cameras and OpenGL before anything is built.

        Raises:
            SceneError: a camera is unknown, or a track camera moves.
            RenderingError: images are asked for and no OpenGL works here.
        """
        track_calibration(self._obs_config)
        if self._obs_config.cameras:
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
        engine = MujocoEngine(task_scene_path(name))
        robot = Robot(Arm(engine), Gripper(engine))
        task = task_class(engine, robot, name)
        scene = Scene(engine, robot, task, self._static_positions)
        recorder = Recorder(engine, robot, task, self._obs_config)
        self._task = TaskEnvironment(scene, recorder, self._action_mode, self._headless)
        return self._task

    def track_calibration(self) -> tuple[Floats, Floats]:
        """Return intrinsics (V, 3, 3) [px] and extrinsics (V, 3, 4) of the track cameras."""
        return track_calibration(self._obs_config)

    def _close_task(self) -> None:
        if self._task is not None:
            self._task.close()
            self._task = None

    def shutdown(self) -> None:
        """Free OpenGL contexts and forget the scene."""
        self._close_task()
        self._launched = False
