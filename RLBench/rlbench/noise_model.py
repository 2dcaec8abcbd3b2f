"""Noise on observations."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class NoiseModel(Protocol):
    """Changes a reading or an image before a policy sees it."""

    def apply(self, val: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the noisy reading, of the same shape and type; `val` is left as it is."""


class Identity:
    """No noise."""

    def apply(self, val: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return `val` itself."""
        return val


class GaussianNoise:
    """Adds independent Gaussian noise to every number.

    Its generator is seeded at each episode, so the same seed and actions give the same noise.
    """

    def __init__(self, variance: float, min_max_clip: tuple[float, float] | None = None) -> None:
        """Describe the noise.

        Args:
            variance: standard deviation, in the reading's unit. (The name is RLBench's, which
                also uses it as the standard deviation.)
            min_max_clip: lowest and highest value of the result; None clips integers to what
                their type holds, and nothing else.
        """
        self._scale = variance
        self._clip = min_max_clip
        self._rng = np.random.default_rng(0)

    def reseed(self, rng: np.random.Generator) -> None:
        """Draw from `rng` from now on."""
        self._rng = rng

    def apply(self, val: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return `val` plus noise."""
        noisy = val + self._rng.normal(0.0, self._scale, np.shape(val))
        if np.issubdtype(val.dtype, np.integer):
            limits = np.iinfo(val.dtype)
            low, high = self._clip or (limits.min, limits.max)
            return np.clip(np.rint(noisy), low, high).astype(val.dtype)
        if self._clip is not None:
            noisy = np.clip(noisy, *self._clip)
        return noisy.astype(val.dtype)
