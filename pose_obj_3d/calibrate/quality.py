"""Numbers that say how good a calibration is.

Left-out numbers come from two further calibrations, each from every second frame: frames that were
not used show what the cameras predict.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch

from pose_obj_3d.calibrate import cameras as lenses
from pose_obj_3d.calibrate.adjustment import (
    POSE,
    BoardProblem,
    Scene,
    adjust,
    free_parameters,
)
from pose_obj_3d.calibrate.boards import Board
from pose_obj_3d.calibrate.cameras import Cameras
from pose_obj_3d.calibrate.sightings import View
from pose_obj_3d.geometry.adjusting.least_squares import Solution
from pose_obj_3d.geometry.adjusting.rotations import cross_matrix
from pose_obj_3d.geometry.lenses import inverted
from pose_obj_3d.geometry.multi_view import triangulate_dlt

Floats = npt.NDArray[np.float64]
_GRID = (8, 6)  # parts of a picture that corners may cover
_MIN_HALF = 4  # frames of each half that the left-out numbers need
# What is doubted.
_MAX_PX, _MAX_FOCAL, _MIN_COVERED = 1.0, 0.5, 40.0  # [px], [%], [%]
_MAX_LENGTH = 0.5  # [%]
_MIN_TILT, _MIN_SIGHTINGS, _MIN_COMMON = 15.0, 10, 5  # [degrees]
_WORSE = 2.5  # left-out residuals beside those of used frames


@dataclass(frozen=True)
class CameraQuality:
    """How well one camera is known.

    Attributes:
        name: Its name.
        pictures: Pictures that were looked at.
        sightings: Pictures with the board that were used.
        corners: Corners in them.
        covered: Share of the picture's parts (8 x 6) that have a corner [%].
        tilt_deg: Angle between two poses of the board that 5 % of the pairs exceed [degrees].
        focal_px: Focal lengths fx, fy [px].
        focal_sd: Standard deviation of the focal length [%].
        position_sd_mm: Standard deviation of its position, from the first camera [mm].
        angle_sd_deg: Standard deviation of its orientation, from the first camera [degrees].
        noise_px: Standard deviation of a coordinate of a corner [px].
        median_px: Median reprojection error of the corners [px].
        p95_px: 95 % of the reprojection errors are smaller [px].
        rms_px: Root mean square of the reprojection errors [px].
        left_out_median_px: Median distance of corners from where the other cameras predict them, in
            frames that were not used; None where there are too few.
        left_out_p95_px: 95 % of these distances are smaller.
        halves_focal: How much the focal lengths from the two halves differ [%]; None where there
            are too few frames.
        halves_mm: How much the positions from the two halves differ [mm].
    """

    name: str
    pictures: int
    sightings: int
    corners: int
    covered: float
    tilt_deg: float
    focal_px: tuple[float, float]
    focal_sd: float
    position_sd_mm: float
    angle_sd_deg: float
    noise_px: float
    median_px: float
    p95_px: float
    rms_px: float
    left_out_median_px: float | None
    left_out_p95_px: float | None
    halves_focal: float | None
    halves_mm: float | None


@dataclass(frozen=True)
class Lengths:
    """Distances between corners, triangulated without knowing the board, beside the true ones.

    Attributes:
        count: Number of distances.
        length_mm: Their median true length [mm].
        bias_mm: Mean of measured less true [mm].
        median_mm: Median of the size of the difference [mm].
        p95_mm: 95 % of the differences are smaller [mm].
        bias: The mean difference [%].
    """

    count: int
    length_mm: float
    bias_mm: float
    median_mm: float
    p95_mm: float
    bias: float


@dataclass(frozen=True)
class Quality:
    """All numbers.

    Attributes:
        cameras: One entry for each camera.
        common: Frames that pairs of cameras have in common: (name, name, frames).
        frames: Frames that were used.
        neighbours: Lengths of sides of squares, in frames that were not used; None where too few.
        far: Lengths of half the board and more.
        warnings: What is doubtful, one line each.
        notes: What else to know.
    """

    cameras: list[CameraQuality]
    common: list[tuple[str, str, int]]
    frames: int
    neighbours: Lengths | None
    far: Lengths | None
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _LeftOut:
    """What frames say that were not used."""

    off: list[Floats]  # for each camera, distances [px]
    lengths: Floats  # (n, 2) measured, true [m]
    halves: list[Cameras]


def measure(
    solution: Solution[Scene], problem: BoardProblem, views: Sequence[View], board: Board
) -> Quality:
    """Measure everything."""
    left_out = _leave_out(solution.state, views, board)
    cameras = [_camera(v, solution, problem, views[v], left_out) for v in range(len(views))]
    common = [
        (a.name, b.name, len(set(a.frames) & set(b.frames))) for a, b in combinations(views, 2)
    ]
    lengths = left_out.lengths if left_out else np.zeros((0, 2))
    is_side = lengths[:, 1] < 1.01 * board.square_m
    is_far = lengths[:, 1] > 0.5 * lengths[:, 1].max(initial=0.0)
    found = Quality(
        cameras,
        common,
        len(solution.state.frames),
        _lengths(lengths[is_side]),
        _lengths(lengths[is_far]),
    )
    return replace(found, warnings=_doubts(found))


def _camera(
    v: int,
    solution: Solution[Scene],
    problem: BoardProblem,
    view: View,
    left_out: _LeftOut | None,
) -> CameraQuality:
    scene, own = solution.state, problem.camera == v
    cameras = scene.cameras
    distance = np.linalg.norm(solution.residual[own], axis=-1)
    size = POSE + lenses.SIZE
    covariance = solution.covariance[v * size : (v + 1) * size, v * size : (v + 1) * size]
    R, t = cameras.rotation[v], cameras.translation[v]
    by_pose = np.concatenate([-R.T @ cross_matrix(t), -R.T], -1)
    position = by_pose @ covariance[:POSE, :POSE] @ by_pose.T
    K = cameras.intrinsics[v]
    off = left_out.off[v] if left_out and len(left_out.off[v]) else None
    halves = left_out.halves if left_out else []
    return CameraQuality(
        name=view.name,
        pictures=view.looked_at,
        sightings=len(view.sightings),
        corners=int(own.sum()),
        covered=_covered(problem.uv[own], view.size),
        tilt_deg=_tilt(scene, view),
        focal_px=(float(K[0, 0]), float(K[1, 1])),
        focal_sd=100 * float(np.sqrt(covariance[POSE, POSE])),
        position_sd_mm=1000 * float(np.sqrt(np.trace(position))),
        angle_sd_deg=float(np.rad2deg(np.sqrt(np.trace(covariance[:3, :3])))),
        noise_px=float(solution.sigma[v]),
        median_px=float(np.median(distance)),
        p95_px=float(np.percentile(distance, 95)),
        rms_px=float(np.sqrt((distance**2).mean())),
        left_out_median_px=None if off is None else float(np.median(off)),
        left_out_p95_px=None if off is None else float(np.percentile(off, 95)),
        halves_focal=_halves_focal(halves, v),
        halves_mm=_halves_mm(halves, v),
    )


def _halves_focal(halves: Sequence[Cameras], v: int) -> float | None:
    if len(halves) < 2:
        return None
    return 100 * abs(float(halves[0].lens[v, 0] - halves[1].lens[v, 0]))


def _halves_mm(halves: Sequence[Cameras], v: int) -> float | None:
    if len(halves) < 2:
        return None
    return 1000 * float(np.linalg.norm(halves[0].centres[v] - halves[1].centres[v]))


def _covered(uv: Floats, size: tuple[int, int]) -> float:
    cell = np.floor((uv + 0.5) / np.array(size) * _GRID).astype(int).clip(0, np.array(_GRID) - 1)
    return 100 * len(np.unique(cell, axis=0)) / (_GRID[0] * _GRID[1])


def _tilt(scene: Scene, view: View) -> float:
    place = {frame: i for i, frame in enumerate(scene.frames)}
    normals = scene.rotation[[place[frame] for frame in view.frames], :, 2]
    between = np.rad2deg(np.arccos(np.clip(np.abs(normals @ normals.T), 0, 1)))
    return float(np.percentile(between, 95))


def _leave_out(scene: Scene, views: Sequence[View], board: Board) -> _LeftOut | None:
    """Calibrate from every second frame, twice, and look at the others."""
    halves = [set(scene.frames[i::2]) for i in range(2)]
    if any(len(set(view.frames) & half) < _MIN_HALF for view in views for half in halves):
        return None
    off: list[list[Floats]] = [[] for _ in views]
    lengths, cameras = [], []
    for half, others in (halves, halves[::-1]):
        used = _part(scene, half)
        free = free_parameters(scene.cameras, first_is_fixed=True)
        found = adjust(used, [view.only(half) for view in views], board, free)[0].state.cameras
        cameras.append(found)
        rest = replace(_part(scene, others), cameras=found)
        seen = [view.only(others) for view in views]
        for v in range(len(views)):
            off[v].append(_predicted(v, rest, seen, board))
        lengths.append(_measured_lengths(found, seen, board))
    return _LeftOut([np.concatenate(own) for own in off], np.concatenate(lengths), cameras)


def _part(scene: Scene, frames: set[int]) -> Scene:
    index = [i for i, frame in enumerate(scene.frames) if frame in frames]
    return Scene(
        scene.cameras,
        tuple(scene.frames[i] for i in index),
        scene.rotation[index],
        scene.translation[index],
    )


def _predicted(v: int, scene: Scene, views: Sequence[View], board: Board) -> Floats:
    """Return how far a camera's corners are from where the others predict them (n,) [px]."""
    others = [view for u, view in enumerate(views) if u != v]
    frames = {frame for view in others for frame in view.frames} & set(views[v].frames)
    if not frames:
        return np.zeros(0)
    part = _part(scene, frames)
    index = [u for u in range(len(views)) if u != v]
    without = replace(part, cameras=scene.cameras.chosen(index))
    fixed = np.zeros((len(index), POSE + lenses.SIZE))
    posed = adjust(without, [view.only(frames) for view in others], board, fixed)[0].state
    alone = BoardProblem([views[v].only(frames)], part.frames, board, fixed[:1])
    state = replace(posed, cameras=scene.cameras.chosen([v]))
    found: Floats = np.linalg.norm(alone.residual(state), axis=-1)
    return found


def _measured_lengths(cameras: Cameras, views: Sequence[View], board: Board) -> Floats:
    """Triangulate corners that two cameras or more see; return distances (n, 2): found, true."""
    frames = sorted({frame for view in views for frame in view.frames})
    V, F, n = len(views), len(frames), len(board.corners)
    uv, weights = np.zeros((F, n, V, 2)), np.zeros((F, n, V))
    place = {frame: i for i, frame in enumerate(frames)}
    for v, view in enumerate(views):
        for s in view.sightings:
            ideal = inverted(s.uv, cameras.intrinsics[v], cameras.distortion[v], cameras.kinds[v])
            good = np.isfinite(ideal).all(-1)
            uv[place[s.frame], s.numbers[good], v] = ideal[good]
            weights[place[s.frame], s.numbers[good], v] = 1.0
    found = triangulate_dlt(
        torch.from_numpy(uv),
        torch.from_numpy(weights),
        torch.from_numpy(cameras.intrinsics),
        torch.from_numpy(cameras.extrinsics),
    ).numpy()
    a, b = np.triu_indices(n, 1)
    true = np.linalg.norm(board.corners[a] - board.corners[b], axis=-1)
    measured = np.linalg.norm(found[:, a] - found[:, b], axis=-1)
    known = np.isfinite(measured)
    return np.stack([measured[known], np.broadcast_to(true, measured.shape)[known]], -1)


def _lengths(pairs: Floats) -> Lengths | None:
    if len(pairs) < 10:
        return None
    off = 1000 * (pairs[:, 0] - pairs[:, 1])
    length = 1000 * pairs[:, 1]
    return Lengths(
        count=len(pairs),
        length_mm=float(np.median(length)),
        bias_mm=float(off.mean()),
        median_mm=float(np.median(np.abs(off))),
        p95_mm=float(np.percentile(np.abs(off), 95)),
        bias=100 * float((off / length).mean()),
    )


def _doubts(found: Quality) -> list[str]:
    """Say what a user should look at, and what helps."""
    lines = []
    for c in found.cameras:
        if c.sightings < _MIN_SIGHTINGS:
            lines.append(
                f"{c.name}: only {c.sightings} sightings of the board; 20 or more are good"
            )
        if c.tilt_deg < _MIN_TILT:
            lines.append(
                f"{c.name}: the board is hardly tilted (by {c.tilt_deg:.0f} degrees); its focal"
                " length rests on tilts of 30 degrees and more"
            )
        if c.covered < _MIN_COVERED:
            lines.append(
                f"{c.name}: corners cover {c.covered:.0f} % of the picture; distortion elsewhere is"
                " a guess: show the board near all edges"
            )
        if c.median_px > _MAX_PX:
            lines.append(
                f"{c.name}: the median reprojection error is {c.median_px:.2f} px; below 0.5 is"
                " usual: look for blur, a bent board, frames that are not simultaneous"
            )
        sd = max(c.focal_sd, (c.halves_focal or 0.0) / 2)
        if sd > _MAX_FOCAL:
            lines.append(
                f"{c.name}: the focal length is uncertain by {sd:.2g} %; show the board larger, and"
                " tilted more"
            )
        if c.left_out_median_px is not None and (
            c.left_out_median_px > max(_WORSE * c.median_px, _MAX_PX / 2)
        ):
            lines.append(
                f"{c.name}: other cameras predict its corners to {c.left_out_median_px:.2f} px, but"
                f" it fits to {c.median_px:.2f} px: more frames with several cameras are needed"
            )
    if len(found.cameras) > 1:
        lines += _weak_links(found)
    if found.far is not None and abs(found.far.bias) > _MAX_LENGTH:
        lines.append(
            f"distances on the board come out {found.far.bias:+.2f} % wrong: the calibration does"
            " not explain the pictures; a board that is not flat is one cause"
        )
    return lines


def _weak_links(found: Quality) -> list[str]:
    best = {c.name: 0 for c in found.cameras}
    for a, b, count in found.common:
        best[a], best[b] = max(best[a], count), max(best[b], count)
    return [
        f"{name}: at most {count} frames in common with another camera; 10 or more are good"
        for name, count in best.items()
        if count < _MIN_COMMON
    ]
