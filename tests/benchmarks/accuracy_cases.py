"""One task under one condition of the accuracy benchmark, and how errors on it are summed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pose_obj_3d.evaluation import claims, metrics
from pose_obj_3d.evaluation import protocol as evaluation
from pose_obj_3d.evaluation.intervals import sum_by_example
from pose_obj_3d.evaluation.protocol import Protocol
from pose_obj_3d.formal import FormalData
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig
from pose_obj_3d.tracks.motion import never_moves
from pose_obj_3d.tracks.stated_noise import check_noise
from pose_obj_3d.tracks.types import Tracks
from tests.benchmarks.accuracy_data import Condition, under

GROUPS = ("waypoints", "objects", "robot")
COLUMNS = ("all", "moving", "still", "never", evaluation.EVERY)
FRAMES = 7
SMALLEST_MM, BIN_RATIO, BINS = 1e-2, 1.02, 600
"""Of the histograms of errors: the largest class is at 1.4 km."""
BOUND_TRACK = "Cramer-Rao bound, whole track where never moving"


@dataclass(frozen=True)
class Source:
    """An archive, and what says that it is the same one.

    Attributes:
        data: The archive, or part of its demonstrations.
        sha256: Hash of its file, and of what part.
    """

    data: FormalData
    sha256: str


class Case:
    """One task under one condition; what is loaded or computed is loaded or computed once.

    Attributes:
        data: The task's detections under the condition.
        ids: Keypoint names.
        rig: The cameras.
        protocol: Windows of `FRAMES` frames.
    """

    def __init__(
        self, source: Source, name: str, condition: Condition, task: int, seed: int
    ) -> None:
        self.name, self.condition, self.task, self.seed = name, condition, task, seed
        self.source = source
        self.ids = keypoint_ids(source.data, [task], GROUPS)
        self.protocol = Protocol(FRAMES, frame_period_s=source.data.frame_period_s)

    @cached_property
    def data(self) -> FormalData:
        found = under(self.source.data, self.condition, self.task, self.seed)
        if self.condition.is_white:
            return found
        # As a training does: the noise that is stated says little where errors last.
        return check_noise(found, [self.task], self.ids)[0]

    @cached_property
    def rig(self) -> Rig:
        return make_rig(self.data, self.condition.views)

    def tracks(self, split: str, with_truth: bool, ids: list[str] | None = None) -> Tracks:
        return load_tracks(
            self.data, self.rig, [self.task], split, ids or self.ids, with_truth=with_truth
        )

    @cached_property
    def test(self) -> Tracks:
        return self.tracks("test", with_truth=True)

    @cached_property
    def references(self) -> dict[str, Estimate]:
        return evaluation.reference_predictions(self.test, self.rig, self.protocol)


def masks(tracks: Tracks, dt: float) -> dict[str, Tensor]:
    """Return the points (N, K) of each of `COLUMNS`; the last one only of real detections."""
    found = evaluation.column_masks(tracks, dt)
    columns = {
        **{c: found[c] for c in COLUMNS[:3]},
        "never": found["all"] & never_moves(tracks, dt),
    }
    if tracks.precision is None:  # a detector says what is usable
        columns[evaluation.EVERY] = tracks.is_real
    return columns


def group_masks(tracks: Tracks, ids: list[str], case: Case) -> dict[str, Tensor]:
    """Return the points (N, K) of all, of each keypoint group that `ids` has, and of each keypoint.

    Keypoints are told apart where a detector found them: some show in no picture.
    """
    found = {"all": tracks.is_real} if set(ids) == set(case.ids) else {}
    for group in GROUPS:
        if any(i.split("/")[1] == group for i in ids):
            numbers = torch.tensor([n for n, i in enumerate(ids) if i.split("/")[1] == group])
            found[group] = torch.isin(tracks.keypoint, numbers)
    if case.condition.is_detected:
        for number, name in enumerate(ids):
            found[name.partition("/")[2]] = tracks.keypoint == number
    return found


def sums(found: Estimate, tracks: Tracks, ids: list[str], case: Case) -> dict[str, Any]:
    """Sum a method's errors [mm] by group, column and example; over all groups also its claims."""
    assert tracks.truth is not None
    error = 1000 * metrics.distances(found.xyz, tracks.truth).double()
    result = _by_example(error, tracks, ids, case)
    for column, mask in masks(tracks, case.protocol.frame_period_s).items():
        if "all" in result:
            result["all"][column]["histogram"] = histogram(error[mask])
    if "all" not in result or not found.covariance.isfinite().any():
        return result
    claimed = 1000 * claims.claimed_error(found)
    square = metrics.mahalanobis2(found.xyz, tracks.truth, found.covariance)
    known = claimed.isfinite()
    values = {
        "claimed": claimed,
        **{
            f"inside_{p}": metrics.is_inside(square, p, found.tail).double()
            for p in metrics.COVERAGE
        },
    }
    for name, value in values.items():
        for column, mask in masks(tracks, case.protocol.frame_period_s).items():
            result["all"][column][name] = _plain(value, mask & known, tracks)
    return result


def histogram(error: Tensor) -> list[int]:
    """Count errors [mm] in `BINS` classes of equal ratio, for medians of several tasks."""
    place = (error.clamp_min(1e-9) / SMALLEST_MM).log() / math.log(BIN_RATIO)
    counted = torch.bincount(place.long().clamp(0, BINS - 1), minlength=BINS)
    return [int(n) for n in counted]


def median(counts: Sequence[int]) -> float:
    """Return the median [mm] of a histogram, to a percent; NaN without errors."""
    running = torch.tensor(counts).cumsum(0)
    if running[-1] == 0:
        return math.nan
    return float(SMALLEST_MM * BIN_RATIO ** (float((2 * running < running[-1]).sum()) + 0.5))


def bound_sums(case: Case, name: str) -> dict[str, Any]:
    """Sum a bound [mm] like a method's errors; the whole-track bound where keypoints never move."""
    if name == BOUND_TRACK:
        bound = evaluation.whole_track_bound(case.test, case.rig, case.protocol)
        found = _by_example(1000 * bound, case.test, case.ids, case)
        return {group: {"never": columns["never"]} for group, columns in found.items()}
    bound = evaluation.cramer_rao(case.test, case.rig, case.protocol)[name]
    return _by_example(1000 * bound.double(), case.test, case.ids, case)


def _by_example(error: Tensor, tracks: Tracks, ids: list[str], case: Case) -> dict[str, Any]:
    columns = masks(tracks, case.protocol.frame_period_s)
    return {
        group: {c: _plain(error, of_group & mask, tracks) for c, mask in columns.items()}
        for group, of_group in group_masks(tracks, ids, case).items()
    }


def _plain(values: Tensor, mask: Tensor, tracks: Tracks) -> dict[str, list[float]]:
    found = sum_by_example(values, mask, tracks.first)
    return {
        "total": [round(x, 6) for x in found.total.tolist()],
        "count": [int(n) for n in found.count.tolist()],
    }
