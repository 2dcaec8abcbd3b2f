"""Tasks as gymnasium environments; importing this module registers all of them.

`gymnasium.make("rlbench/reach_target-state-v0")`. Names and spaces are RLBench's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from rlbench.action_modes.action_mode import ActionMode, JointPositionActionMode
from rlbench.backend.episodes.global_random import fresh_seed
from rlbench.backend.exceptions import RenderingError, TaskEnvironmentError, UnknownSettingError
from rlbench.backend.observation import Observation
from rlbench.backend.task import Task
from rlbench.cameras import CINEMATIC
from rlbench.demo import Demo
from rlbench.engines.vision import check_not_forked, has_display
from rlbench.environment import Environment
from rlbench.observation_config import CameraConfig, ObservationConfig, checked_size
from rlbench.registration import OBSERVATION_MODES, register_tasks

Observations = dict[str, npt.NDArray[Any]]
READINGS = (
    "joint_velocities",
    "joint_positions",
    "joint_forces",
    "gripper_open",
    "gripper_pose",
    "gripper_joint_positions",
    "gripper_touch_forces",
    "task_low_dim_state",
)
VISION_CAMERAS = ("left_shoulder", "right_shoulder", "wrist", "front")
RENDER_SIZE = (640, 360)
_BOUNDS = {"gripper_open": (0.0, 1.0)}
_JOINT_SLACK = 0.1
"""Joints may be pushed so far [rad] beyond their ends."""
_FINGER_SLACK = 0.25
"""Fingers may be pushed so far beyond their ends, as a share of their travel."""


class RLBenchEnv(gymnasium.Env[dict[str, Any], npt.NDArray[np.float32]]):
    """One task. Readings are float32 arrays, images (H, W, 3) uint8, in a dictionary.

    `terminated` is success, or that the task can no longer be fulfilled. `info` holds `success`,
    after `reset` the sentences `text_descriptions` and the number `variation`.
    """

    metadata = {"render_modes": ["human", "rgb_array"], "render_fps": 20}  # noqa: RUF012 - its base's

    def __init__(  # noqa: PLR0913, PLR0917 - all but the task have defaults
        self,
        task_class: type[Task] | str,
        observation_mode: str = "state",
        render_mode: str | None = None,
        action_mode: ActionMode | None = None,
        shaped_rewards: bool = False,
        image_size: tuple[int, int] = (128, 128),
        static_positions: bool = False,
        robot_setup: str = "panda",
        rlbench_root: str | Path | None = None,
        tasks_from: str | None = None,
    ) -> None:
        """Load the task.

        Args:
            task_class: the task, or its snake_case name.
            observation_mode: "state": readings; "vision": also images of four cameras.
            render_mode: None; "rgb_array": `render` returns (360, 640, 3) of RLBench's
                cinematic camera; "human": MuJoCo's viewer shows what is going on, and looks from
                there at first, which needs a display.
            action_mode: how actions are read; default `JointPositionActionMode`.
            shaped_rewards: rewards are those of `Task.reward`, not 1 for success.
            image_size: width and height [px] of vision; images are (height, width, 3).
            static_positions: leave the task where its scene file puts it.
            robot_setup: the robot; all but the Panda come from the checkout.
            rlbench_root: a checkout of RLBench; default $RLBENCH_ROOT, else none.
            tasks_from: which version of a task a name means, as of `Environment`.

        Raises:
            TaskEnvironmentError: a mode is unknown, or there is no such robot.
            TaskNotAvailableError: there is no such task, or `rlbench_root` is no checkout.
            RenderingError: there is no display, or no OpenGL.
        """
        _check_modes(observation_mode, render_mode, self.metadata["render_modes"])
        self.render_mode = render_mode
        config = ObservationConfig(track_cams=(), keypoints=())
        images = VISION_CAMERAS if observation_mode == "vision" else ()
        self._fault = _rendering_fault() if images else None
        for name in images if self._fault is None else ():
            config.cameras[name] = CameraConfig(
                depth=False, point_cloud=False, mask=False, image_size=image_size
            )
        self.action_mode = action_mode or JointPositionActionMode()
        self.rlbench_env = Environment(
            self.action_mode,
            obs_config=config,
            headless=render_mode != "human",
            static_positions=static_positions,
            shaped_rewards=shaped_rewards,
            robot_setup=robot_setup,
            rlbench_root=rlbench_root,
            tasks_from=tasks_from,
        )
        self.rlbench_env.launch()
        self.rlbench_task_env = self.rlbench_env.get_task(task_class)
        low, high = self.action_mode.action_bounds()
        self.action_space = spaces.Box(low.astype(np.float32), high.astype(np.float32))
        self.rlbench_task_env.seed(0)
        _, first = self.rlbench_task_env.reset()
        lower, upper = self.rlbench_task_env.joint_limits()
        travel = self.rlbench_task_env.finger_range()
        bounds = {
            "joint_positions": (lower - _JOINT_SLACK, upper + _JOINT_SLACK),
            "gripper_joint_positions": (-_FINGER_SLACK * travel, (1 + _FINGER_SLACK) * travel),
        }
        readings = _flat(first)
        if self._fault is not None:
            width, height = checked_size(image_size, "image_size")
            blank = np.zeros((height, width, 3), np.uint8)
            readings |= {f"{name}_rgb": blank for name in images}
        self.observation_space = spaces.Dict(
            {key: _space(key, value, bounds) for key, value in readings.items()}
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Start an episode; the same seed gives the same sequence of episodes.

        Args:
            seed: of this and the following episodes; None goes on, or begins with a seed that
                `np_random_seed` then tells: from `numpy.random.seed` where that was called, else
                from the operating system's entropy.
            options: `variation`: number of the variation from now on, or "random" to draw one
                for this episode; `reset_to_demo`: a `Demo` to start like.

        Raises:
            TaskEnvironmentError: an option is unknown, or a variation is out of range.
            RenderingError: images are wanted in a process that was forked after its parent had
                made some.
        """
        if self._fault is not None:
            raise self._fault
        if seed is None and self._np_random is None:
            seed = fresh_seed()
        super().reset(seed=seed)
        options = dict(options or {})
        demo: Demo | None = options.pop("reset_to_demo", None)
        variation = options.pop("variation", None)
        if options:
            raise TaskEnvironmentError(
                f"reset: options {sorted(options)} are unknown; allowed: reset_to_demo, variation"
            )
        task = self.rlbench_task_env
        task.seed(int(self.np_random.integers(2**31)))
        if variation == "random":
            task.sample_variation(self.np_random)
        elif variation is not None:
            task.set_variation(int(variation))
        descriptions, obs = task.reset(demo)
        info = {"text_descriptions": descriptions, "variation": obs.misc["variation_index"]}
        return _flat(obs), {**info, "success": False}

    def step(
        self, action: npt.NDArray[np.float32]
    ) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """Carry one action out; see `TaskEnvironment.step`.

        Raises:
            InvalidActionError: the action cannot be carried out.
        """
        obs, reward, terminated = self.rlbench_task_env.step(action)
        info = {"success": self.rlbench_task_env.is_success}
        return _flat(obs), reward, terminated, False, info

    def render(self) -> npt.NDArray[np.uint8] | None:
        """Return (360, 640, 3) in the mode "rgb_array"; None in others."""
        if self.render_mode != "rgb_array":
            return None
        return self.rlbench_task_env.render(CINEMATIC, RENDER_SIZE)

    def close(self) -> None:
        """Free OpenGL contexts and the viewer; twice is harmless."""
        self.rlbench_env.shutdown()


def _rendering_fault() -> RenderingError | None:
    """Return why no images can be made in a forked process.

    `reset` raises it, not the constructor: vector environments of gymnasium hand on to their caller
    what is raised later, and end with a broken connection for what is raised at once.
    """
    try:
        check_not_forked()
    except RenderingError as error:
        return error
    return None


def _check_modes(observation_mode: str, render_mode: str | None, known: list[str]) -> None:
    if observation_mode not in OBSERVATION_MODES:
        raise UnknownSettingError(
            f"observation_mode {observation_mode!r} is unknown; allowed: "
            f"{', '.join(OBSERVATION_MODES)}"
        )
    if render_mode is not None and render_mode not in known:
        raise TaskEnvironmentError(
            f"render_mode {render_mode!r} is unknown; allowed: {', '.join(known)} or None"
        )
    if render_mode == "human" and not has_display():
        raise RenderingError(
            "render_mode 'human' needs a display and there is none; use 'rgb_array'"
        )


def _flat(obs: Observation) -> Observations:
    """Return readings as (N,) float32, and images."""
    out: Observations = {
        name: np.atleast_1d(np.asarray(getattr(obs, name), np.float32)) for name in READINGS
    }
    for camera, images in obs.images.items():
        if images.rgb is not None:
            out[f"{camera}_rgb"] = images.rgb
    return out


def _space(
    key: str,
    value: npt.NDArray[Any],
    bounds: Mapping[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]],
) -> "spaces.Box[Any]":
    if key.endswith("_rgb"):
        return spaces.Box(0, 255, value.shape, np.uint8)
    if key in bounds:
        lower, upper = (end.astype(np.float32) for end in bounds[key])
        return spaces.Box(lower, upper)
    low, high = _BOUNDS.get(key, (-np.inf, np.inf))
    return spaces.Box(low, high, value.shape, np.float32)


register_tasks()
