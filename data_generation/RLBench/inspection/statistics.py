"""The numbers of an inspection: totals, histograms, and what makes an episode suspicious."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.inspection.sources import Example, Section
from data_generation.RLBench.tracks.statistics import (
    Measure,
    describe,
    detection_errors,
    measure,
    merge,
    positions,
    speeds,
    step_lengths,
)
from pose_obj_3d.common.facts import MOVING_M_PER_S, NOISE_RATIO
from pose_obj_3d.formal import UV_EXACT, VISIBILITY
from rlbench.cameras import project_views

Array = npt.NDArray[Any]

# An episode is suspicious where one of these is crossed.
MAX_STEP = 0.10  # [m] between two frames: 2 m/s at 50 ms, twice the fastest arm motion
VOLUME_LOW = (-0.8, -1.2, 0.65)  # [m]; the table's top is at 0.752, the workspace 0 to 0.8 by +-0.6
VOLUME_HIGH = (1.5, 1.2, 2.2)  # [m]; an open fridge reaches 1.93
MAX_REPROJECTION = 0.1  # [px] between the stored exact 2D and the projected 3D

WORKSPACE_LOW, WORKSPACE_HIGH = (0.0, -0.6), (0.8, 0.6)  # [m] x and y, where tasks are placed
TABLE_HEIGHT = 0.752  # [m]

SPEED_EDGES = np.linspace(0, 2, 101)  # [m/s]
CELL = 0.025  # [m] of the map of positions
ERROR_SIGMAS = 5  # the histogram of detection errors reaches so far; the rest is in its outer bars
ERROR_BINS = 50


@dataclass(frozen=True)
class Suspicion:
    """The reason to look at an episode."""

    section: str
    episode: str
    reason: str
    detail: str


class SectionStatistics:
    """Adds up the examples of one task, one at a time."""

    def __init__(self, section: Section, sigma_px: float | None, frame_period_s: float) -> None:
        self.section = section
        self.suspicions: list[Suspicion] = []
        self._sigma_px, self._period = sigma_px, frame_period_s
        self._measure: Measure | None = None
        self._first: Example | None = None
        self._variations: Counter[int] = Counter()
        self._speeds = np.zeros(len(SPEED_EDGES) - 1, np.int64)
        self._errors = np.zeros(ERROR_BINS, np.int64)
        self._xy_edges = [
            np.arange(low, high + CELL / 2, CELL)
            for low, high in zip(VOLUME_LOW, VOLUME_HIGH, strict=True)
        ][:2]
        self._xy: dict[str, Array] = {}

    def add(self, example: Example) -> None:
        """Add an example that has the same views and keypoints as those before it."""
        measured = measure(example.tracks, self._period)
        self._measure = merge([self._measure, measured]) if self._measure else measured
        self._first = self._first or example
        if example.variation is not None:
            self._variations[example.variation] += 1
        speed = speeds(example.tracks, self._period)
        moving = np.minimum(speed[speed > MOVING_M_PER_S], SPEED_EDGES[-1])
        self._speeds += np.histogram(moving, SPEED_EDGES)[0]
        errors = detection_errors(example.tracks)
        errors = errors[np.isfinite(errors)]
        edges = self._error_edges()
        self._errors += np.histogram(np.clip(errors, edges[0], edges[-1]), edges)[0]
        self._add_positions(example)
        self.suspicions += find_suspicions(example, self._period)

    def _add_positions(self, example: Example) -> None:
        xyz = positions(example.tracks)
        names = [name.partition("/")[0] for name in example.keypoint_names]
        for group in dict.fromkeys(names):
            x, y, _ = xyz[:, [n == group for n in names]].reshape(-1, 3).T
            is_finite = np.isfinite(x)
            counts = np.histogram2d(x[is_finite], y[is_finite], self._xy_edges)[0].astype(np.int64)
            self._xy[group] = self._xy.get(group, 0) + counts

    def _error_edges(self) -> Array:
        width = self._first.rig.image_size[0] if self._first else 1
        reach = ERROR_SIGMAS * (self._sigma_px or NOISE_RATIO * width)
        return np.linspace(-reach, reach, ERROR_BINS + 1)

    def result(self) -> dict[str, Any]:
        """Give all numbers as plain values; without examples, only what is known."""
        head = {
            "label": self.section.label,
            "mode": self.section.mode,
            "task_id": self.section.task_id,
        }
        first = self._first
        if first is None or self._measure is None:
            return {**head, "task_name": "", "examples": 0}
        lengths = self._measure["frames"]
        edges = np.linspace(
            lengths.min() - 0.5, lengths.max() + 0.5, min(20, np.ptp(lengths) + 1) + 1
        )
        return {
            **head,
            "task_name": first.task_name,
            "variations": {str(v): n for v, n in sorted(self._variations.items())},
            "cameras": list(first.rig.camera_names),
            "image_size": list(first.rig.image_size),
            **describe(self._measure, first.keypoint_names, first.rig.camera_names),
            "histograms": {
                "frames": _histogram(edges, np.histogram(lengths, edges)[0]),
                "speed_m_per_s": _histogram(SPEED_EDGES, self._speeds),
                "detection_error_px": _histogram(self._error_edges(), self._errors),
                "position_xy_m": {
                    "low": [float(e[0]) for e in self._xy_edges],
                    "cell": CELL,
                    "counts": {group: _cells(counts) for group, counts in self._xy.items()},
                },
            },
        }


def _histogram(edges: Array, counts: Array) -> dict[str, list[float]]:
    return {"edges": np.round(edges, 6).tolist(), "counts": counts.tolist()}


def _cells(counts: Array) -> list[list[int]]:
    """Give [column, row, count] of the cells that are not empty."""
    i, j = np.nonzero(counts)
    return [[int(a), int(b), int(n)] for a, b, n in zip(i, j, counts[i, j], strict=True)]


def find_suspicions(example: Example, frame_period_s: float) -> list[Suspicion]:
    """List what is unusual in the tracks of an episode."""
    checks = (_not_finite, _jumps, _never_visible, _outside, _wrong_projection)
    found = [(name, detail) for check in checks for name, detail in check(example)]
    if not (speeds(example.tracks, frame_period_s) > MOVING_M_PER_S).any():
        found.append(("static", f"no keypoint is ever faster than {MOVING_M_PER_S * 1000:g} mm/s"))
    return [Suspicion(example.section.label, example.label, name, detail) for name, detail in found]


def _names(example: Example, is_meant: Array) -> str:
    return ", ".join(
        name for name, is_it in zip(example.keypoint_names, is_meant, strict=True) if is_it
    )


def _not_finite(example: Example) -> list[tuple[str, str]]:
    is_bad: Array = np.asarray(np.isnan(positions(example.tracks)).any(axis=(0, 2)))
    return [("not finite", _names(example, is_bad))] if is_bad.any() else []


def _jumps(example: Example) -> list[tuple[str, str]]:
    steps = np.nan_to_num(step_lengths(example.tracks))
    if not (steps > MAX_STEP).any():
        return []
    t, k = np.unravel_index(steps.argmax(), steps.shape)
    what = f"{example.keypoint_names[k]} goes {steps[t, k]:.2f} m from frame {t} to {t + 1}"
    others = int(((steps > MAX_STEP).any(axis=0)).sum()) - 1
    return [("jump", what + (f"; {others} more keypoint(s) jump" if others else ""))]


def _never_visible(example: Example) -> list[tuple[str, str]]:
    best: Array = example.tracks[..., VISIBILITY].max(axis=(0, 1))
    words: dict[str, Array] = {
        "hidden": np.asarray(best == 0.5),
        "outside every image": np.asarray(best == 0),
    }
    parts = [f"{word}: {_names(example, is_it)}" for word, is_it in words.items() if is_it.any()]
    return [("never visible in any view", "; ".join(parts))] if parts else []


def _outside(example: Example) -> list[tuple[str, str]]:
    xyz = positions(example.tracks)
    beyond = np.nan_to_num(
        np.fmax(np.array(VOLUME_LOW) - xyz, xyz - np.array(VOLUME_HIGH)).max(axis=-1)
    )
    if not (beyond > 0).any():
        return []
    t, k = np.unravel_index(beyond.argmax(), beyond.shape)
    place = ", ".join(f"{v:.2f}" for v in xyz[t, k])
    others = int(((beyond > 0).any(axis=0)).sum()) - 1
    what = f"{example.keypoint_names[k]} is at ({place}) m in frame {t}"
    return [
        ("outside the volume", what + (f"; {others} more keypoint(s) leave it" if others else ""))
    ]


def _wrong_projection(example: Example) -> list[tuple[str, str]]:
    x, rig = example.tracks, example.rig
    uv = project_views(positions(x), rig.intrinsics, rig.extrinsics)[0]
    error = np.linalg.norm(x[..., UV_EXACT] - uv, axis=-1)
    error = np.where((x[..., VISIBILITY] > 0) & np.isfinite(error), error, 0)
    if error.max() <= MAX_REPROJECTION:
        return []
    v, t, k = np.unravel_index(error.argmax(), error.shape)
    what = (
        f"{error.max():.1f} px off: {example.keypoint_names[k]} in {rig.camera_names[v]}, frame {t}"
    )
    return [("2D is not the projected 3D", what)]
