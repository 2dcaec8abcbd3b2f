"""One task, ready for episodes, demonstrations and steps."""

import logging
from collections.abc import Callable

import numpy as np

from rlbench.action_modes import ActionMode, ArmActionMode
from rlbench.backend.exceptions import DemoError, InvalidActionError, TaskEnvironmentError
from rlbench.backend.observation import Observation
from rlbench.backend.scene import GRIPPER_SPEED, Scene
from rlbench.const import DEMO_DT
from rlbench.demo import Demo
from rlbench.sim.recorder import Recorder
from rlbench.tasks import task_id
from rlbench.transforms import Floats

logger = logging.getLogger(__name__)


class TaskEnvironment:
    """Episodes of one task."""

    def __init__(
        self, scene: Scene, recorder: Recorder, action_mode: ActionMode, headless: bool
    ) -> None:
        """Wrap a loaded scene; made by `Environment.get_task`."""
        self._scene = scene
        self._recorder = recorder
        self._action_mode = action_mode
        self._viewer = None if headless else scene.engine.open_viewer()
        self._variation = 0
        self._seed = 0
        self._episode = 0
        self._started = False

    def get_name(self) -> str:
        """Return the task's snake_case name."""
        return self._scene.task.name

    def variation_count(self) -> int:
        """Return the number of variations."""
        return self._scene.task.variation_count()

    def set_variation(self, variation: int) -> None:
        """Choose the variation of the next episodes.

        Raises:
            TaskEnvironmentError: it is out of range.
        """
        count = self.variation_count()
        if not 0 <= variation < count:
            raise TaskEnvironmentError(
                f"{self.get_name()}: variation {variation} is out of range; allowed 0..{count - 1}"
            )
        self._variation = variation

    def sample_variation(self, rng: np.random.Generator | None = None) -> int:
        """Draw a variation, use it, and return it."""
        rng = rng or np.random.default_rng((self._seed, self._episode))
        self.set_variation(int(rng.integers(self.variation_count())))
        return self._variation

    def seed(self, seed: int) -> None:
        """Choose the seed of the next episodes and start counting them anew."""
        self._seed, self._episode = seed, 0

    @property
    def keypoint_names(self) -> list[str]:
        """Names of the recorded keypoints, `<group>/<name>`."""
        return list(self._recorder.keypoints.names)

    @property
    def waypoint_names(self) -> list[str]:
        """Names of the scene's waypoints in number order."""
        return list(self._recorder.waypoints)

    @property
    def object_names(self) -> list[str]:
        """Names of all objects of the scene, the robot's and the base scene's too."""
        return self._scene.engine.object_names()

    def object_name(self, handle: int) -> str:
        """Return the name of the object that segmentation images show as `handle`."""
        return self._scene.engine.object_of_handle(handle).get_name()

    @property
    def track_cams(self) -> tuple[str, ...]:
        """Names of the cameras whose view of the keypoints is computed."""
        return self._recorder.track_cams

    @property
    def refusals(self) -> list[str]:
        """Why placements of the last episode were refused, one line each."""
        return list(self._scene.refusals)

    def _sequence(self, seed: int, example: int, attempt: int) -> np.random.SeedSequence:
        key = (task_id(self.get_name()), self._variation, example, attempt)
        return np.random.SeedSequence(seed, spawn_key=key)

    def reset(self) -> tuple[list[str], Observation]:
        """Start the next episode; return descriptions and the first observation."""
        sequence = self._sequence(self._seed, self._episode, 0)
        descriptions = self._scene.init_episode(self._variation, sequence)
        self._episode += 1
        self._started = True
        return descriptions, self._recorder.observe()

    def get_observation(self) -> Observation:
        """Return the present moment."""
        return self._recorder.observe()

    def get_demo(
        self,
        seed: int,
        example: int,
        attempt: int = 0,
        on_observation: Callable[[Observation], None] | None = None,
    ) -> Demo:
        """Make one attempt at a demonstration of the present variation.

        The result is a function of (seed, task, variation, example, attempt) alone.

        Args:
            seed: of the data set.
            example: number of the example.
            attempt: number of the attempt, from 0.
            on_observation: called with each observation as it is made; it may take the images
                out of it, which for a long demonstration are too many to keep.

        Raises:
            DemoError: it failed; `.cause` says why in one word.
        """
        sequence = self._sequence(seed, example, attempt)
        descriptions = self._scene.init_episode(self._variation, sequence)
        observations: list[Observation] = []
        frames: list[int] = []

        def record() -> None:
            observations.append(self._recorder.observe())
            if on_observation is not None:
                on_observation(observations[-1])
            if self._viewer is not None:
                self._viewer.sync()

        self._scene.demonstrate(record, lambda: frames.append(len(observations) - 1))
        self._started = False
        return Demo(
            observations=observations,
            keypoint_names=self.keypoint_names,
            waypoint_frames=frames,
            random_seed=[seed, *sequence.spawn_key],
            task_name=self.get_name(),
            variation=self._variation,
            descriptions=descriptions,
            placements=self._scene.placements,
        )

    def get_demos(self, amount: int, max_attempts: int = 10) -> list[Demo]:
        """Return `amount` demonstrations of the present variation.

        Raises:
            DemoError: one of them failed `max_attempts` times.
        """
        demos = []
        for _ in range(amount):
            demos.append(self._attempt(self._episode, max_attempts))
            self._episode += 1
        return demos

    def _attempt(self, example: int, max_attempts: int) -> Demo:
        causes = []
        for attempt in range(max_attempts):
            try:
                return self.get_demo(self._seed, example, attempt)
            except DemoError as error:
                logger.warning(
                    "%s example %d attempt %d: %s", self.get_name(), example, attempt, error
                )
                causes.append(error.cause)
        raise DemoError(
            f"{self.get_name()}: example {example} failed {max_attempts} times: {causes}",
            cause="max_attempts",
        )

    def step(self, action: Floats) -> tuple[Observation, float, bool]:
        """Apply one action for 50 ms; return (observation, reward, episode has ended).

        Args:
            action: (8,) seven arm numbers as the action mode says, and the gripper's opening.

        Raises:
            TaskEnvironmentError: no episode was started.
            InvalidActionError: wrong size or not finite.
        """
        if not self._started:
            raise TaskEnvironmentError(f"{self.get_name()}: call reset() before step()")
        action = np.asarray(action, float)
        if action.shape != (self._action_mode.action_size,) or not np.isfinite(action).all():
            raise InvalidActionError(
                f"action {action.tolist()} must be {self._action_mode.action_size} finite numbers"
            )
        self._apply(action)
        self._scene.engine.step()
        self._scene.task.step()
        success, terminate = self._scene.task.success()
        return self._recorder.observe(), float(success), success or terminate

    def _apply(self, action: Floats) -> None:
        robot = self._scene.robot
        q = robot.arm.get_joint_positions()
        value, mode = action[:7], self._action_mode.arm
        if mode is ArmActionMode.ABS_JOINT_POSITION:
            goal = value
        elif mode is ArmActionMode.DELTA_JOINT_POSITION:
            goal = q + value
        else:
            goal = q + value * DEMO_DT
        robot.arm.servo_to(goal)
        opens = bool(action[7] >= 0.5)
        if opens:
            robot.gripper.release()
        done = robot.gripper.actuate(1.0 if opens else 0.0, GRIPPER_SPEED)
        if done and not opens:
            for shape in self._scene.task.get_graspable_objects():
                robot.gripper.grasp(shape)

    def close(self) -> None:
        """Free the viewer and OpenGL contexts."""
        if self._viewer is not None:
            self._viewer.close()
        self._recorder.close()
