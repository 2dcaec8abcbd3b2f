"""Statistics of features, of one episode and of all: what policies normalise with."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Statistics = dict[str, Array]
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
MAX_SAMPLES = 100
"""Images of an episode and camera that enter the statistics."""
LEVELS = 256


def of_numbers(values: Array) -> Statistics:
    """Give the statistics of (T, ...): each has the shape of one frame, `count` has (1,)."""
    x = values.astype(np.float64)
    low, high = x.min(axis=0), x.max(axis=0)  # NaN where a keypoint belongs to another task
    found = {
        "min": low,
        "max": high,
        "mean": np.clip(x.mean(axis=0), low, high),
        "std": x.std(axis=0),
        "count": np.array([len(x)]),
    }
    found |= {name: np.quantile(x, q, axis=0) for name, q in QUANTILES.items()}
    return {name: np.atleast_1d(value) for name, value in found.items()}


class ImageStatistics:
    """Counts how often each level of each channel occurs; images are (H, W, 3)."""

    def __init__(self, n_frames: int) -> None:
        wanted = np.linspace(0, n_frames - 1, min(n_frames, MAX_SAMPLES))
        self._frames = set(np.rint(wanted).astype(int).tolist())
        self._counts = np.zeros((3, LEVELS), np.int64)
        self._samples = 0

    def is_sample(self, frame: int) -> bool:
        """Tell whether a frame is counted."""
        return frame in self._frames

    def add(self, rgb: npt.NDArray[np.uint8]) -> None:
        """Count an image."""
        for channel in range(3):
            self._counts[channel] += np.bincount(rgb[..., channel].ravel(), minlength=LEVELS)
        self._samples += 1

    def result(self) -> Statistics:
        """Give the statistics of levels from 0 to 1, each of the shape (3, 1, 1)."""
        levels = np.arange(LEVELS) / (LEVELS - 1)
        share = self._counts / self._counts.sum(axis=1, keepdims=True)
        below = np.cumsum(share, axis=1)
        there = self._counts > 0
        mean = share @ levels
        found = {
            "min": levels[there.argmax(axis=1)],
            "max": levels[LEVELS - 1 - there[:, ::-1].argmax(axis=1)],
            "mean": mean,
            "std": np.sqrt(np.maximum(share @ levels**2 - mean**2, 0)),
        }
        found |= {
            name: levels[(below >= q - 1e-12).argmax(axis=1)] for name, q in QUANTILES.items()
        }
        shaped = {name: value.reshape(3, 1, 1) for name, value in found.items()}
        return shaped | {"count": np.array([self._samples])}


class Total:
    """Puts the statistics of episodes together, one after the other.

    Quantiles are the mean of those of the episodes, weighted by their frames, as in LeRobot.
    """

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, Array]] = {}

    def add(self, episode: Mapping[str, Statistics]) -> None:
        """Add an episode: feature -> its statistics."""
        for feature, found in episode.items():
            n = np.where(np.isnan(found["mean"]), 0, found["count"][0])
            mean, std = np.nan_to_num(found["mean"]), np.nan_to_num(found["std"])
            parts = {"n": n, "sum": n * mean, "squares": n * (std**2 + mean**2)}
            parts |= {name: n * np.nan_to_num(found[name]) for name in QUANTILES}
            parts["count"] = found["count"]
            sums = self._sums.setdefault(feature, {})
            for name, value in parts.items():
                sums[name] = sums[name] + value if name in sums else value
            for name, choose in (("min", np.fmin), ("max", np.fmax)):
                given = found[name]
                sums[name] = choose(sums[name], given) if name in sums else given

    def result(self) -> dict[str, dict[str, Any]]:
        """Give the statistics of all episodes as plain lists."""
        found = {}
        for feature, sums in self._sums.items():
            n = np.maximum(sums["n"], 1)
            mean = sums["sum"] / n
            result = {"min": sums["min"], "max": sums["max"]}
            result["mean"] = np.clip(mean, sums["min"], sums["max"])
            result["std"] = np.sqrt(np.maximum(sums["squares"] / n - mean**2, 0))
            result["count"] = sums["count"]
            result |= {name: sums[name] / n for name in QUANTILES}
            found[feature] = {name: value.tolist() for name, value in result.items()}
        return found


def plain(found: Mapping[str, Statistics]) -> dict[str, dict[str, Any]]:
    """Give statistics as lists, for JSON."""
    return {f: {name: x.tolist() for name, x in s.items()} for f, s in found.items()}


def arrays(found: Mapping[str, Mapping[str, Sequence[Any]]]) -> dict[str, Statistics]:
    """Undo `plain`."""
    return {f: {name: np.asarray(x) for name, x in s.items()} for f, s in found.items()}
