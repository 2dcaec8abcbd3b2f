"""One loaded task: its episodes, demonstrations and steps."""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rlbench.action_modes.action_mode import ActionMode
from rlbench.action_modes.arm_base import servo_arm
from rlbench.backend.episodes.episode_seeds import EpisodeSeeds
from rlbench.backend.exceptions import (
    DemoError,
    FixedPlacementError,
    InvalidActionError,
    TaskEnvironmentError,
)
from rlbench.backend.observation import Observation
from rlbench.backend.robot import Robot
from rlbench.backend.scene import Scene
from rlbench.backend.task import Task
from rlbench.cameras import CINEMATIC, View
from rlbench.demo import Demo, attempted, take_restored
from rlbench.engines.transforms import Floats
from rlbench.observation_config import ObservationConfig
from rlbench.recording.demo_recording import recorded
from rlbench.recording.observation_filter import ObservationFilter
from rlbench.recording.recorder import Recorder
from rlbench.stored_demos import get_stored_demos, require_dataset_root
from rlbench.tasks.registry import task_id

logger = logging.getLogger(__name__)
MAX_ATTEMPTS = 10
"""Attempts at one episode or demonstration."""


class TaskEnvironment:
    """Episodes of one task.

    Attributes:
        scene: what is simulated: its engine, robot and task.
        recorder: makes the observations.
        is_success: whether the task was fulfilled after the last step.
    """

    def __init__(
        self,
        scene: Scene,
        recorder: Recorder,
        action_mode: ActionMode,
        headless: bool,
        obs_config: ObservationConfig | None = None,
        shaped_rewards: bool = False,
        dataset_root: str | Path = "",
    ) -> None:
        """Wrap a loaded scene; made by `Environment.get_task`."""
        self.scene = self._scene = scene  # the second is RLBench's name
        self.recorder = recorder
        self._action_mode = action_mode
        self._filter = ObservationFilter(obs_config or ObservationConfig(), scene.task)
        self._obs_config = self._filter.config
        self._shaped_rewards = shaped_rewards
        self._dataset_root = dataset_root
        self._viewer = None if headless else scene.engine.open_viewer(CINEMATIC)
        self._variation = 0
        self._seeds = EpisodeSeeds(scene.task.name, task_id(scene.task.name))
        self._random_seed: list[int] = []
        self._started = False
        self.is_success = False
        scene.on_step = self._show
        scene.observe_by(self.get_observation)
        action_mode.set_control_mode(scene.robot)

    def _show(self) -> None:
        if self._viewer is not None:
            self._viewer.sync()

    @property
    def _task(self) -> Task:
        return self.scene.task

    @property
    def _robot(self) -> Robot:
        return self.scene.robot

    @property
    def _pyrep(self) -> Any:
        return self.scene.pyrep

    @property
    def _variation_number(self) -> int:
        return self._variation

    @_variation_number.setter
    def _variation_number(self, variation: int) -> None:
        self.set_variation(variation)

    def get_name(self) -> str:
        """Return the task's snake_case name."""
        return self.scene.task.name

    def variation_count(self) -> int:
        """Return the number of variations."""
        return self.scene.task.variation_count()

    def set_variation(self, variation: int) -> None:
        """Choose the variation of the next episodes; -1: of all stored ones in a `dataset_root`.

        Raises:
            TaskEnvironmentError: it is out of range, or no whole number.
        """
        all_stored = variation == -1 and self._dataset_root
        self._variation = -1 if all_stored else self.scene.checked_variation(variation)

    def sample_variation(self, rng: np.random.Generator | None = None) -> int:
        """Draw a variation, use it, and return it.

        Args:
            rng: to draw from; without it the variation is a function of the seed and the number of
                the next episode, and of a new seed where none was chosen.
        """
        rng = rng or np.random.default_rng(self._seeds.next())
        self.set_variation(int(rng.integers(self.variation_count())))
        return self._variation

    def seed(self, seed: int | None) -> None:
        """Choose the seed of the next episodes, and count them from 0 again.

        Args:
            seed: at least 0. None, as before the first call: each episode and demonstration has a
                seed of its own, from the operating system's entropy, or from the state of NumPy's
                global generator after `numpy.random.seed`. `random_seed` says which.

        Raises:
            TaskEnvironmentError: it is no such number.
        """
        self._seeds.choose(seed)

    @property
    def random_seed(self) -> list[int]:
        """The seed of the present episode, then task id, variation, example and attempt.

        The first number repeats an episode that nobody seeded: `seed(random_seed[0])`. Empty before
        the first episode.
        """
        return list(self._random_seed)

    @property
    def keypoint_names(self) -> list[str]:
        """Names of the recorded keypoints, `<group>/<name>`."""
        return list(self.recorder.keypoints.names)

    @property
    def waypoint_names(self) -> list[str]:
        """Names of the scene's waypoints in number order."""
        return list(self.recorder.waypoints)

    @property
    def object_names(self) -> list[str]:
        """Names of all objects of the scene, the robot's and the base scene's too."""
        return self.scene.engine.object_names()

    def object_name(self, handle: int) -> str:
        """Return the name of the object that segmentation images show as `handle`."""
        return self.scene.engine.object_of_handle(handle).get_name()

    def is_robot(self, object_name: str) -> bool:
        """Tell whether an object is a part of the robot."""
        return self.scene.engine.robot.owns(object_name)

    @property
    def track_cams(self) -> tuple[str, ...]:
        """Names of the cameras whose view of the keypoints is computed."""
        return self.recorder.track_cams

    @property
    def refusals(self) -> list[str]:
        """Why placements of the last episode were refused, one line each."""
        return list(self.scene.refusals)

    def reset(self, demo: Demo | None = None) -> tuple[list[str], Observation]:
        """Start the next episode.

        Args:
            demo: start as this demonstration did, whatever seed and variation are chosen.

        Returns:
            Descriptions of the variation, and the first observation.

        Raises:
            DemoError: the task could not be placed.
            TaskEnvironmentError: `demo` is of another task.
        """
        demo = demo or take_restored(self.get_name())
        if demo is not None:
            return self.reset_to_demo(demo)
        seed, example = self._seeds.next()
        for attempt in range(MAX_ATTEMPTS):
            try:
                descriptions = self.begin(seed, example, attempt)
                break
            except DemoError as error:
                if attempt == MAX_ATTEMPTS - 1 or isinstance(error, FixedPlacementError):
                    raise
                logger.info("%s episode %d: %s", self.get_name(), example, error)
        self._seeds.count()
        self._started = True
        return descriptions, self.get_observation()

    def reset_to_demo(self, demo: Demo) -> tuple[list[str], Observation]:
        """Start an episode as a demonstration of this task started, in its variation.

        Raises:
            TaskEnvironmentError: it is of another task, or of another simulator.
        """
        demo.check_starts_here()
        if demo.task_name != self.get_name():
            raise TaskEnvironmentError(
                f"{self.get_name()}: cannot start as a demonstration of {demo.task_name} did"
            )
        seed, _, variation, example, attempt = demo.random_seed
        self.set_variation(variation)
        descriptions = self.begin(seed, example, attempt)
        self._started = True
        return descriptions, self.get_observation()

    def begin(self, seed: int, example: int, attempt: int) -> list[str]:
        """Start the episode of these numbers; `step` needs `reset`. Raises as `reset` does."""
        self._variation = self.scene.checked_variation(self._variation)
        sequence = self._seeds.sequence(seed, self._variation, example, attempt)
        self._random_seed = [seed, *sequence.spawn_key]
        descriptions = self.scene.init_episode(self._variation, sequence)
        self.recorder.begin_episode()
        self._filter.reseed(sequence)
        self.scene.joint_position_action, self.is_success = None, False
        return descriptions

    def get_observation(self) -> Observation:
        """Return the present moment."""
        obs = self._filter.apply(self.recorder.observe(), self._variation)
        if self.scene.joint_position_action is not None:
            obs.misc["joint_position_action"] = self.scene.joint_position_action.copy()
        return obs

    def camera_calibration(self) -> dict[str, Any]:
        """Return matrices and planes of the cameras that make images, as in `Observation.misc`."""
        return self.recorder.calibration()

    def joint_limits(self) -> tuple[Floats, Floats]:
        """Return the lower and the upper ends of the arm's joints [rad]."""
        return servo_arm(self.scene.robot, "joint_limits").joint_limits()

    def finger_range(self) -> Floats:
        """Return the fingers' (N,) travel from closed to open [m; rad where they turn]."""
        return self.scene.robot.gripper.get_range()

    def render(self, camera: View, image_size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Return what a camera sees now, for people to look at: (height, width, 3) uint8.

        Args:
            camera: the name of one of the table, "cinematic", or one that stands in the world.
            image_size: width and height [px].
        """
        return self.recorder.picture(camera, image_size)

    def workspace_bounds(self) -> tuple[Floats, Floats]:
        """Return (3,) lowest and (3,) highest position [m], world, that actions may aim at."""
        return self.scene.workspace_bounds()

    def get_demo(
        self,
        seed: int,
        example: int,
        attempt: int = 0,
        on_observation: Callable[[Observation], None] | None = None,
        first_frames: int | None = None,
    ) -> Demo:
        """Make one attempt at a demonstration of the present variation.

        The result is a function of (seed, task, variation, example, attempt) alone.

        Args:
            seed: of the data set.
            example: number of the example.
            attempt: number of the attempt, from 0.
            on_observation: called with each observation as it is made; may take its images out.
            first_frames: how many observations to keep; the demonstration is made as a whole.

        Raises:
            DemoError: it failed; `.cause` says why in one word.
        """
        descriptions = self.begin(seed, example, attempt)

        def seen(obs: Observation) -> None:
            if on_observation is not None:
                on_observation(obs)
            self._show()

        observations, frames, names = recorded(self.scene, self.get_observation, seen, first_frames)
        self._started = False
        return Demo(
            observations=observations,
            keypoint_names=self.keypoint_names,
            waypoint_frames=frames,
            random_seed=self.random_seed,
            task_name=self.get_name(),
            variation=self._variation,
            descriptions=descriptions,
            num_reset_attempts=self.scene.placements,
            mask_names=names,
        )

    def get_demos(
        self,
        amount: int,
        live_demos: bool | None = None,
        image_paths: bool = False,
        callable_each_step: Callable[[Observation], None] | None = None,
        max_attempts: int = MAX_ATTEMPTS,
        random_selection: bool = True,
        from_episode_number: int = 0,
    ) -> list[Demo]:
        """Return demonstrations of the present variation, new or stored by RLBench.

        Args:
            amount: how many; -1 for all that are stored.
            live_demos: make new ones; False reads stored ones. None, the default, reads where
                `Environment` has a `dataset_root`.
            image_paths: of stored ones, give the paths of images instead of images.
            callable_each_step: called with each observation of a new one as it is made.
            max_attempts: granted to each new one.
            random_selection: draw stored ones at random.
            from_episode_number: leave out so many stored ones, where they are not drawn.

        Raises:
            DemoError: one of them failed `max_attempts` times.
            TaskEnvironmentError: stored ones are asked for, and there are none, or not so many.
        """
        if live_demos is None:
            live_demos = not self._dataset_root
        if not live_demos:
            name, root, config = self.get_name(), self._dataset_root, self._obs_config
            require_dataset_root(root, name)
            options = (random_selection, from_episode_number)
            return get_stored_demos(
                amount, image_paths, root, self._variation, name, config, *options
            )
        if amount < 0:
            raise TaskEnvironmentError(f"{self.get_name()}: {amount} demonstrations cannot be made")
        if each_step := callable_each_step:
            each_step = self.scene.task.global_random.giving_back(each_step)
        demos = []
        for _ in range(amount):
            seed, example = self._seeds.next()
            make = partial(self.get_demo, seed, example, on_observation=each_step)
            demos.append(attempted(make, f"{self.get_name()}: example {example}", max_attempts))
            self._seeds.count()
        return demos

    def step(self, action: npt.ArrayLike) -> tuple[Observation, float, bool]:
        """Carry one action out; how many steps of 50 ms that takes is up to the action mode.

        Args:
            action: `Environment.action_shape` numbers, as the action mode says.

        Returns:
            The observation after it; the reward, 1 for success and else 0, or with shaped rewards
            that of `Task.reward`; whether the episode has ended.

        Raises:
            TaskEnvironmentError: no episode was started, or the task has no shaped reward.
            InvalidActionError: no numbers, wrong size, not finite, or not possible from here.
        """
        if not self._started:
            raise TaskEnvironmentError(f"{self.get_name()}: call reset() before step()")
        try:
            numbers = np.asarray(action, float)
        except (TypeError, ValueError):
            raise InvalidActionError(
                f"{self.get_name()}: an action must be numbers, got {action!r}"
            ) from None
        self._action_mode.action(self.scene, numbers)
        task = self.scene.task
        # Lending the global generators takes time.
        with task.global_random if task.rules.draws_in_conditions else nullcontext():
            success, terminate = task.success()
            self.is_success = bool(success)
            obs = self.get_observation()
            reward = self.scene.shaped_reward() if self._shaped_rewards else float(success)
            return obs, reward, bool(success or terminate)

    def close(self) -> None:
        """Free the viewer and OpenGL contexts."""
        if self._viewer is not None:
            self._viewer.close()
        self.recorder.close()
