"""Makes of a recorded observation what a policy sees: readings left out, noise, image formats."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlbench.backend.observation import CameraImages, Observation
from rlbench.backend.task import Task
from rlbench.noise_model import GaussianNoise
from rlbench.observation_config import LOW_DIM, ObservationConfig


@dataclass(frozen=True)
class ObservationFilter:
    """Applies an `ObservationConfig` to what was recorded."""

    config: ObservationConfig
    task: Task

    def reseed(self, seed: np.random.SeedSequence) -> None:
        """Start the noise of an episode; the same seed gives the same noise."""
        for model in self.config.noise_models():
            if isinstance(model, GaussianNoise):
                model.reseed(np.random.default_rng(seed.spawn(1)[0]))

    def apply(self, obs: Observation, variation: int) -> Observation:
        """Change an observation in place; return it."""
        config = self.config
        obs.misc["variation_index"] = variation
        obs.joint_velocities = config.joint_velocities_noise.apply(obs.joint_velocities)
        obs.joint_positions = config.joint_positions_noise.apply(obs.joint_positions)
        obs.joint_forces = config.joint_forces_noise.apply(obs.joint_forces)
        state = self.task.get_low_dim_state()
        if state is not None:
            obs.task_low_dim_state = np.asarray(state, np.float64)
        for name in LOW_DIM:
            if not getattr(config, name):
                setattr(obs, name, None)
        for name, wanted in config.cameras.items():
            if wanted.is_wanted:
                self._images(name, obs)
            else:
                obs.images[name] = CameraImages()
        return obs

    def _images(self, name: str, obs: Observation) -> None:
        wanted, images = self.config.cameras[name], obs.images[name]
        if images.rgb is not None:
            images.rgb = wanted.rgb_noise.apply(images.rgb)
        if images.depth is not None:
            if not wanted.depth_in_meters:
                near, far = (obs.misc[f"{name}_camera_{plane}"] for plane in ("near", "far"))
                images.depth = np.clip((images.depth - near) / (far - near), 0.0, 1.0)
            images.depth = wanted.depth_noise.apply(images.depth)
        if images.mask is not None and not wanted.masks_as_one_channel:
            images.mask = handles_to_rgb(np.asarray(images.mask, np.int32))


def handles_to_rgb(mask: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """Return (H, W, 3) in [0, 1] of (H, W) handles, as PyRep's sensors show them.

    Red is the lowest byte: the handle is 255 (red + 256 green + 65536 blue), without rounding.
    """
    parts = (mask[..., None] >> np.array([0, 8, 16])) & 255
    shares: npt.NDArray[np.float32] = parts.astype(np.float32) / np.float32(255)
    return shares
