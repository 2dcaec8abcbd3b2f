"""Adjust cameras by tracks, and accept that only if frames predict better that were not used.

The views of a point must agree. Where they do not, cameras are turned and moved, then their focal
lengths are changed. Priors say how well the cameras are known. The world's frame stays. Each change
is tried in folds: other frames and other keypoints than those that it was made from must be
predicted better, each camera from the other cameras.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from pose_obj_3d.geometry import multi_view
from pose_obj_3d.geometry.adjusting.least_squares import minimise, noise_of
from pose_obj_3d.geometry.lenses import FISHEYE, inverted
from pose_obj_3d.lifting import scene_scale
from pose_obj_3d.lifting.options import REFINE_PRIOR
from pose_obj_3d.lifting.refining.changes import CameraChange, Refinement, Step
from pose_obj_3d.lifting.refining.gauge import similarity, without_gauge
from pose_obj_3d.lifting.refining.track_problem import POSE, SIZE, Poses, State, TrackProblem
from pose_obj_3d.lifting.track_files.track_file import TrackFile
from pose_obj_3d.lifting.tracks_from_file import make_rig, points_of

logger = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]
MAX_POINTS = 3000  # that cameras are adjusted to
_FOLD_POINTS, _SCORED = 1500, 3000
_ROUNDS = 3  # of priors, and of distortion, which depends on the focal length
_LASTING = 10  # frames whose errors count as one
_MIN_POINTS, _MIN_OF_CAMERA = 30, 15
_FOLDS = 4
_HUBER_PX, _CAP = 3.0, 4.0  # residuals of a score are capped at so many medians
_SIGNIFICANT, _LEAST_GAIN = 2.0, 0.02  # standard errors; share of the mean square
_NU = 4.0  # of the prior's t distribution: one camera that was knocked must not move the others
EXTRINSICS, FOCAL = "extrinsics", "extrinsics and focal lengths"
_ORDER = ((EXTRINSICS, False), (FOCAL, True))  # and whether focal lengths may change


@dataclass(frozen=True)
class Cells:
    """Points of a file: pairs of frame and keypoint that two cameras or more see.

    Attributes:
        frame: (n,).
        keypoint: (n,).
    """

    frame: npt.NDArray[np.intp]
    keypoint: npt.NDArray[np.intp]

    def __len__(self) -> int:
        """Return their number."""
        return len(self.frame)

    def where(self, wanted: npt.NDArray[np.bool_], most: int) -> "Cells":
        """Keep those wanted, evenly chosen."""
        index = np.flatnonzero(wanted)
        places = np.linspace(0, len(index) - 1, min(most, len(index))).round().astype(int)
        index = index[places] if len(index) else index
        return Cells(self.frame[index], self.keypoint[index])


class _Work:
    """A file, and cameras that are adjusted to parts of it."""

    def __init__(self, file: TrackFile, prior: tuple[float, float]) -> None:
        self.file = file
        rig, origin = make_rig(file)
        uv, confidence = points_of(file)
        self.has_lens = bool(file.distortion.any()) or FISHEYE in file.lenses
        self.unit = scene_scale.unit_of(uv, confidence, rig)
        rig = scene_scale.scaled(rig, self.unit)
        self.origin = origin.numpy()
        R, t = rig.extrinsics[:, :, :3].numpy(), rig.extrinsics[:, :, 3].numpy()
        V = len(R)
        self.given = Poses(R, -np.einsum("vji,vj->vi", R, t), np.zeros(V))
        self.prior = prior
        seen = confidence.numpy() > 0
        frame, keypoint = np.nonzero(seen.sum(1) >= (3 if V > 2 else 2))
        if len(frame) < _MIN_POINTS:
            frame, keypoint = np.nonzero(seen.sum(1) >= 2)
        self.cells = Cells(frame, keypoint)

    def chosen(self, poses: Poses, cells: Cells) -> tuple[Floats, Floats]:
        """Return detections (n, V, 2) [px] and confidence (n, V) of cells.

        They are without distortion, which depends on the focal lengths.
        """
        file = self.file
        where = (slice(None), cells.frame, cells.keypoint)
        if not self.has_lens or not poses.zoom.any():
            uv = file.points[where]
        else:
            K = poses.intrinsics(file.intrinsics)
            uv = _undistorted(file, file.measured[where], K)
        seen = np.isfinite(uv).all(-1)
        confidence = np.where(seen, file.confidence[where], 0.0)
        return np.nan_to_num(uv).transpose(1, 0, 2), confidence.T

    def triangulated(self, poses: Poses, uv: Floats, confidence: Floats) -> Floats:
        """Triangulate (n, V, 2) robustly: (n, 3); NaN where fewer than two views see a point."""
        K = torch.from_numpy(poses.intrinsics(self.file.intrinsics))
        E, x, w = (torch.from_numpy(a) for a in (poses.extrinsics, uv, confidence))
        start = multi_view.triangulate_dlt(x, w, K, E)
        found = multi_view.refine_ml(start, x, w, K, E, iterations=8, huber_px=_HUBER_PX)
        return found.numpy()

    def adjusted(self, cells: Cells, focal: bool, start: Poses) -> tuple[Poses, Floats]:
        """Adjust the cameras to cells.

        Returns:
            The cameras, and the standard deviations (V, 7) of turns [rad], shifts and zooms.
        """
        poses, spread = start, np.zeros((len(start.zoom), SIZE))
        for _ in range(_ROUNDS):
            uv, confidence = self.chosen(poses, cells)
            points = self.triangulated(poses, uv, confidence)
            good = np.isfinite(points).all(-1) & (np.abs(points) < 1e4).all(-1)
            if good.sum() < _MIN_OF_CAMERA:
                break
            uv, confidence, points = uv[good], confidence[good], points[good]
            free = np.ones((len(start.zoom), SIZE), bool)
            free[(confidence > 0).sum(0) < _MIN_OF_CAMERA] = False
            free[:, POSE] &= focal
            # Errors that last are no independent evidence: the priors then count for more.
            lasting = _lasting(cells)
            precision = self._precision(poses, points) * lasting
            problem = TrackProblem(
                uv, confidence, self.file.intrinsics, self.given, precision, free
            )
            state = State(poses, points)
            solution = minimise(problem, state, noise_of(problem, state), steps=15)
            change = solution.state.poses.change_from(poses)
            poses = solution.state.poses
            covariance = without_gauge(solution.covariance, poses, points, precision)
            variance = np.diag(covariance).reshape(-1, SIZE) * lasting
            spread = np.sqrt(np.maximum(variance, 0.0))
            if np.abs(change).max() < 1e-5:
                break
        return poses, spread

    def _precision(self, poses: Poses, points: Floats) -> Floats:
        """Return the precisions (V, 7) of what is known of the cameras.

        A camera that has moved far more than the prior allows is held less: its pose has changed.
        Else the others would give way to it.
        """
        precision = self._known(points)
        precision[:, :POSE] *= self.trust(poses, points)[:, None]
        return precision

    def _known(self, points: Floats) -> Floats:
        turn, zoom = np.deg2rad(self.prior[0]), self.prior[1] / 100
        distance = np.median(np.linalg.norm(points[:, None] - self.given.centre, axis=-1), 0)
        precision = np.empty((len(distance), SIZE))
        precision[:, :3], precision[:, POSE] = turn**-2, zoom**-2
        precision[:, 3:POSE] = (turn * distance[:, None]) ** -2
        return precision

    def trust(self, poses: Poses, points: Floats) -> Floats:
        """Return weights (V,) of the given cameras: near 0 for those that are far off them."""
        change = poses.change_from(self.given)[:, :POSE]
        square = (self._known(points)[:, :POSE] * change**2).sum(-1)
        found: Floats = (_NU + POSE) / (_NU + POSE + square)
        return found

    def scores(self, poses: Poses, cells: Cells) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return residuals (n, V) [px] of each camera from what the others predict, and validity.

        With two cameras: of both from the point between them.
        """
        uv, confidence = self.chosen(poses, cells)
        n, V = confidence.shape
        K = torch.from_numpy(poses.intrinsics(self.file.intrinsics))
        E = torch.from_numpy(poses.extrinsics)
        found = np.full((n, V), np.nan)
        for v in range(V):
            others = confidence.copy()
            if V > 2:
                others[:, v] = 0.0
            points = self.triangulated(poses, uv, others)
            shown, depth = multi_view.project(torch.from_numpy(points), K, E)
            off = np.linalg.norm(shown[:, v].numpy() - uv[:, v], axis=-1)
            found[:, v] = np.where(depth[:, v].numpy() > 0, off, np.inf)
        return found, (confidence > 0) & ~np.isnan(found)


def _lasting(cells: Cells) -> float:
    """Return by how much cells outnumber independent ones, at least 1."""
    key = cells.keypoint * (cells.frame.max(initial=0) // _LASTING + 1) + cells.frame // _LASTING
    return max(1.0, len(cells) / max(1, len(np.unique(key))))


def refine(
    file: TrackFile, prior: tuple[float, float] = REFINE_PRIOR
) -> tuple[TrackFile, Refinement, list[str]]:
    """Adjust the cameras of a file, if that makes predictions better.

    Args:
        file: The tracks.
        prior: Standard deviations of what is known: turns of the cameras [degrees] (and shifts, as
            seen from the points), and focal lengths [%].

    Returns:
        The file with the cameras that are best, what has changed, and warnings.
    """
    work = _Work(file, prior)
    if len(work.cells) < _MIN_POINTS:
        why = f"only {len(work.cells)} points are seen by two cameras or more"
        return file, Refinement("none", [], [], why), [f"--refine: {why}; the cameras stay"]
    folds = _folds(work)
    before = [_Score(*work.scores(work.given, test)) for _, test in folds]
    best = [work.given] * len(folds)
    accepted, steps = "none", []
    kept = before
    for name, focal in _ORDER:
        tried = [
            work.adjusted(train, focal, start)[0]
            for (train, _), start in zip(folds, best, strict=True)
        ]
        after = [
            _Score(*work.scores(poses, test)) for poses, (_, test) in zip(tried, folds, strict=True)
        ]
        step = _compared(name, kept, after, [test for _, test in folds])
        steps.append(step)
        logger.info("--refine: %s", step.line)
        if step.is_better:
            accepted, best, kept = name, tried, after
    if accepted == "none":
        return file, Refinement(accepted, steps, [], "no change predicts better"), []
    everything = work.cells.where(np.ones(len(work.cells), bool), MAX_POINTS)
    poses, spread = work.adjusted(everything, accepted == FOCAL, work.given)
    poses = _in_the_same_world(work, poses, everything)
    found = Refinement(accepted, steps, _changes(work, poses, spread), "")
    return _with_cameras(work, poses), found, _doubts(found, prior)


@dataclass(frozen=True)
class _Score:
    """Residuals (n, V) [px] of left-out cameras, and where they are valid."""

    residual: Floats
    valid: npt.NDArray[np.bool_]


def _folds(work: _Work) -> list[tuple[Cells, Cells]]:
    """Return cells to adjust by and cells to try that on: other frames, and other keypoints."""
    cells = work.cells
    frames = work.file.points.shape[1]
    length = max(_LASTING, frames // 20)
    half = (cells.frame // length) % 2
    keypoints = np.unique(cells.keypoint)
    group = np.searchsorted(keypoints, cells.keypoint) % min(_FOLDS, len(keypoints))
    folds = []
    for i in range(_FOLDS):
        mine = group == i % (group.max() + 1)
        others = ~mine if len(keypoints) > 1 else np.ones_like(mine)
        train = cells.where(others & (half != i % 2), _FOLD_POINTS)
        test = cells.where(mine & (half == i % 2), _SCORED // _FOLDS)
        if len(train) >= _MIN_POINTS // 2 and len(test):
            folds.append((train, test))
    if not folds:
        index = np.arange(len(cells))
        folds = [
            (cells.where(index % 2 == i, _FOLD_POINTS), cells.where(index % 2 != i, _SCORED))
            for i in range(2)
        ]
    return folds


def _compared(
    name: str, before: Sequence[_Score], after: Sequence[_Score], tests: Sequence[Cells]
) -> Step:
    """Compare predictions, in capped squares, with errors that last as one."""
    gains, squares, keys = [], [], []
    olds = np.concatenate([score.residual[score.valid] for score in before])
    cap = _CAP * max(float(np.median(olds)), 1e-6) if len(olds) else 1.0
    for i, (a, b, cells) in enumerate(zip(before, after, tests, strict=True)):
        both = a.valid & b.valid
        old, new = (np.minimum(s.residual, cap)[both] ** 2 for s in (a, b))
        rows = np.nonzero(both)[0]
        gains.append(old - new)
        squares.append(np.stack([old, new], -1))
        # A block of time counts once, whatever the number of keypoints and cameras.
        keys.append(cells.frame[rows] // _LASTING * _FOLDS + i)
    gain, square, key = np.concatenate(gains), np.concatenate(squares), np.concatenate(keys)
    if len(gain) == 0:
        return Step(name, 0.0, 0.0, 0.0, False, f"{name}: no camera can be left out: not kept")
    _, block, count = np.unique(key, return_inverse=True, return_counts=True)
    total = np.bincount(block, weights=gain)
    mean = float(gain.mean())
    n = len(total)
    # The ratio's error, since blocks have different numbers of detections.
    spread = total - mean * count
    error = float(np.sqrt((spread**2).sum() * n / max(n - 1, 1)) / len(gain))
    old_px, new_px = (float(x) for x in np.sqrt(square.mean(0)))
    is_better = mean > _SIGNIFICANT * error and mean > _LEAST_GAIN * float(square[:, 0].mean())
    verdict = "kept" if is_better else "not kept"
    line = (
        f"{name}: left-out detections are predicted to {new_px:.3g} px, before {old_px:.3g} px"
        f" (gain {mean / max(error, 1e-12):.1f} standard errors): {verdict}"
    )
    return Step(name, old_px, new_px, mean / max(error, 1e-12), is_better, line)


def _changes(work: _Work, poses: Poses, spread: Floats) -> list[CameraChange]:
    change = poses.change_from(work.given)
    mm = 1000 * work.unit
    size: Callable[[Floats], float] = lambda x: float(np.linalg.norm(x))  # noqa: E731
    return [
        CameraChange(
            name=name,
            turned_deg=float(np.rad2deg(size(change[v, :3]))),
            turned_sd_deg=float(np.rad2deg(size(spread[v, :3]))),
            moved_mm=mm * size(change[v, 3:POSE]),
            moved_sd_mm=mm * size(spread[v, 3:POSE]),
            focal=100 * float(np.expm1(change[v, POSE])),
            focal_sd=100 * float(spread[v, POSE]),
        )
        for v, name in enumerate(work.file.camera_names)
    ]


def _with_cameras(work: _Work, poses: Poses) -> TrackFile:
    """Return the file with other cameras; detections are undistorted by their focal lengths."""
    file = work.file
    world = replace(poses, centre=poses.centre * work.unit + work.origin)
    K = poses.intrinsics(file.intrinsics)
    points = file.points
    if work.has_lens and poses.zoom.any():
        points = np.where(np.isnan(points), np.nan, _undistorted(file, file.measured, K))
    return replace(file, points=points, intrinsics=K, extrinsics=world.extrinsics)


def _undistorted(file: TrackFile, measured: Floats, K: Floats) -> Floats:
    """Take distortion out of detections (V, *, 2) [px] by other camera matrices (V, 3, 3)."""
    found = np.full_like(measured, np.nan)
    for v, lens in enumerate(file.lenses):
        seen = ~np.isnan(measured[v]).any(-1)
        found[v][seen] = inverted(measured[v][seen], K[v], file.distortion[v], lens)
    return found


def _in_the_same_world(work: _Work, poses: Poses, cells: Cells) -> Poses:
    """Move all cameras together, so that the points as a whole stay where they were.

    What the views say does not depend on the world's frame and its scale: turning, moving and
    scaling cameras and points together changes no prediction. Where the points were is what the
    given cameras said; one that has moved far from its pose has little say in that.
    """
    uv, confidence = work.chosen(poses, cells)
    new = work.triangulated(poses, uv, confidence)
    good = np.isfinite(new).all(-1)
    uv, confidence = work.chosen(work.given, cells)
    trust = work.trust(poses, new[good])
    old = work.triangulated(work.given, uv, confidence * (trust / trust.max()) ** 2)
    good &= np.isfinite(old).all(-1)
    R, scale, shift = similarity(new[good], old[good])
    return replace(
        poses,
        rotation=poses.rotation @ R.T,
        centre=scale * poses.centre @ R.T + shift,
    )


def _doubts(found: Refinement, prior: tuple[float, float]) -> list[str]:
    """Say which cameras have changed by far more than they were thought to be unknown."""
    return [
        f"--refine: camera {c.name} is turned by {c.turned_deg:.2g} degrees, moved by"
        f" {c.moved_mm:.3g} mm, its focal length changed by {c.focal:+.2g} %: more than its"
        " calibration should be off; was it knocked? Calibrate it again"
        for c in found.cameras
        if c.turned_deg > 4 * prior[0] or abs(c.focal) > 4 * prior[1]
    ]
