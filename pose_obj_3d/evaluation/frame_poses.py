"""Errors of whole waypoint frames: the group `frames` gives position and rotation of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pose_obj_3d.common.facts import FRAME_AXIS_M, FRAME_POINTS
from pose_obj_3d.evaluation import metrics
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.rigid_frames import FramePoses, fit_frames, turn_between
from pose_obj_3d.tracks.types import Tracks

GROUP = "frames"


@dataclass(frozen=True)
class Frame:
    """A waypoint whose three points are all learned.

    Attributes:
        name: `T<task>/frames/<waypoint>`.
        points: Indices of origin, x and y among the keypoint ids.
    """

    name: str
    points: tuple[int, int, int]


def frames_of(ids: Sequence[str]) -> list[Frame]:
    """List the frames among keypoint ids `T<task>/frames/<waypoint>/<point>`."""
    place = {name: i for i, name in enumerate(ids)}
    names = [n.rpartition("/")[0] for n in ids if n.split("/")[1:2] == [GROUP]]
    found = []
    for name in dict.fromkeys(names):
        origin, x, y = (place.get(f"{name}/{point}") for point in FRAME_POINTS)
        if origin is not None and x is not None and y is not None:
            found.append(Frame(name, (origin, x, y)))
    return found


def measure(
    predictions: Mapping[str, Tensor | Estimate],
    tracks: Tracks,
    mask: Tensor,
    ids: Sequence[str],
) -> dict[str, Any]:
    """Score the poses of frames, where all of their three points are among the points that count.

    Args:
        predictions: Method -> (N, K, 3) [m], with covariance where the method has one.
        tracks: Test data with truth.
        mask: (N, K) bool, points that count.
        ids: Keypoint names.

    Returns:
        JSON-ready, empty without frames: `count` (frames of waypoints, summed over time), `methods`
        (method -> `angle_deg` and `position_mm`, their medians, and with claims the share of true
        rotations inside the claimed 68 and 95 %), `waypoints` (name -> method -> mean angle [deg]).
    """
    frames = frames_of(ids)
    rows = {frame.name: _rows(frame, tracks, mask) for frame in frames}
    used = [frame for frame in frames if len(rows[frame.name][0])]
    if not used:
        return {}
    assert tracks.truth is not None
    truth = tracks.truth
    true_poses = {frame.name: _poses(truth, None, rows[frame.name]) for frame in used}
    result: dict[str, Any] = {
        "count": sum(len(rows[frame.name][0]) for frame in used),
        "methods": {},
        "waypoints": {frame.name: {} for frame in used},
    }
    for method, predicted in predictions.items():
        xyz, claims = (
            (predicted.xyz, predicted.covariance)
            if isinstance(predicted, Estimate)
            else (predicted, None)
        )
        turns, shifts, covariances = [], [], []
        for frame in used:
            found = _poses(xyz, claims, rows[frame.name])
            true = true_poses[frame.name]
            turns.append(turn_between(true.rotation, found.rotation))
            shifts.append((true.position - found.position).norm(dim=-1))
            covariances.append(found.covariance[:, :3, :3])
            result["waypoints"][frame.name][method] = metrics.number(float(_deg(turns[-1]).mean()))
        result["methods"][method] = _scores(
            torch.cat(turns), torch.cat(shifts), torch.cat(covariances)
        )
    return result


def _rows(frame: Frame, tracks: Tracks, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Give the rows (M,) of the tracks that count, and the columns (M, 3) of the three points."""
    is_point = torch.stack([(tracks.keypoint == i) & mask for i in frame.points])  # (3, N, K)
    rows = is_point.any(-1).all(0).nonzero().squeeze(-1)
    return rows, is_point[:, rows].int().argmax(-1).T


def _poses(xyz: Tensor, covariance: Tensor | None, where: tuple[Tensor, Tensor]) -> FramePoses:
    rows, columns = where
    lengths = torch.full((2,), FRAME_AXIS_M, dtype=torch.float64)
    points = rows[:, None], columns
    return fit_frames(xyz[points], lengths, None if covariance is None else covariance[points])


def _deg(turns: Tensor) -> Tensor:
    return torch.rad2deg(turns.norm(dim=-1))


def _scores(turns: Tensor, shifts: Tensor, covariance: Tensor) -> dict[str, Any]:
    angle = _deg(turns)
    scores: dict[str, Any] = {
        "angle_deg": metrics.number(float(angle.mean())),
        "median_angle_deg": metrics.number(float(angle.median())),
        "position_mm": metrics.mm(float(shifts.mean())),
        "median_position_mm": metrics.mm(float(shifts.median())),
    }
    known = covariance.isfinite().flatten(1).all(-1)
    if known.any():
        for percent in metrics.COVERAGE:
            share = metrics.coverage(turns, torch.zeros_like(turns), covariance, known, percent)
            scores[f"coverage_{percent}_percent"] = metrics.number(100 * share.mean)
    return scores
