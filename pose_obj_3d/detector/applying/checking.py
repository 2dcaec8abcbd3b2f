"""What detections of another program look like beside the truth of the archive that they join.

Nothing is changed. A mistake in a file, such as pixels that are counted from another corner, else
shows as a few mm, or as regions that hold too little, and nobody knows why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.detector.types import Floats
from pose_obj_3d.evaluation.detections import CHI2_2D, GROSS_PX
from pose_obj_3d.formal import (
    DETECTED_INSIDE,
    DETECTED_RHO,
    DETECTED_SD,
    DETECTED_UV,
    UV_DETECTED,
    UV_EXACT,
    VISIBILITY,
    FormalData,
)
from pose_obj_3d.tracks.choosing import GROSS, MIN_PROBABILITY
from pose_obj_3d.tracks.exchanging import CAP, best_order

MIN_COUNT = 200  # detections below which nothing but their number is looked at
HALF_PX = (0.3, 0.7)  # an offset in this range looks like half a pixel
MIN_OF_VIEW = 0.15  # [px] of it in each view
TOO_SURE = 1.5  # factor on claimed deviations that is told
FITS = 8.0  # by so much another meaning of positions must be nearer to be told
MIN_GAIN = 0.03  # [nats per detection] for which another meaning of the claims is believed,
MIN_SURE = 3.0  # if it is so many standard errors above 0
TAIL = 4.0  # degrees of freedom of the distribution under which meanings are compared
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Points:
    """The n points of a task that lie in the pictures.

    Attributes:
        uv: (n, 2) detected [px], NaN where nothing was.
        exact: (n, 2) [px].
        is_seen: (n,).
        claim: (n, 3) sd_u, sd_v [px], rho.
        is_said_inside: (n,).
        view: (n,) numbers.
        keypoint: (n,) numbers.
        clip: (n,) number of example and view.
    """

    uv: Array
    exact: Array
    is_seen: npt.NDArray[np.bool_]
    claim: Array
    is_said_inside: npt.NDArray[np.bool_]
    view: npt.NDArray[np.int64]
    keypoint: npt.NDArray[np.int64]
    clip: npt.NDArray[np.int64]


def compare(data: FormalData, found: Mapping[int, Sequence[Floats]]) -> list[str]:
    """Say how far detections are from the archive's truth, and what seems to be a mistake.

    Args:
        data: The archive.
        found: Task id -> for each example (V, T, K, 7).

    Returns:
        Lines; those that tell a mistake begin with `check:`.
    """
    lines = []
    for task, examples in found.items():
        points = _points(data, task, examples)
        lines.append(f"T{task}: {_summary(points)}")
        lines += [f"check: T{task}: {line}" for line in _mistakes(data, task, points)]
    return lines


def _points(data: FormalData, task: int, examples: Sequence[Floats]) -> _Points:
    names = data.keypoint_names(task)
    groups = [[names.index(name) for name in group] for group in data.exchangeable(task)]
    parts: list[list[npt.NDArray[Any]]] = []
    for n, says in enumerate(examples):
        track = data.tracks[task][n].copy()
        track[..., UV_DETECTED] = says[..., DETECTED_UV]
        order = best_order(track, groups, CAP * data.image_size[0])
        true = track[:, :, order]
        inside = true[..., VISIBILITY] > 0
        view, _, keypoint = np.nonzero(inside)
        claim = np.concatenate([says[..., DETECTED_SD], says[..., DETECTED_RHO, None]], -1)
        parts.append(
            [
                says[..., DETECTED_UV][inside].astype(np.float64),
                true[..., UV_EXACT][inside].astype(np.float64),
                true[..., VISIBILITY][inside] == 1,
                claim[inside].astype(np.float64),
                says[..., DETECTED_INSIDE][inside] >= MIN_PROBABILITY,
                view,
                keypoint,
                n * len(says) + view,
            ]
        )
    return _Points(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _summary(points: _Points) -> str:
    detected = np.isfinite(points.uv[:, 0])
    length = np.linalg.norm(points.uv - points.exact, axis=-1)
    text = f"{_percent(detected)} of the {len(detected)} points in the pictures are detected"
    for kind, those in (("seen", points.is_seen), ("hidden", ~points.is_seen)):
        if (those & detected).any():
            own = length[those & detected]
            text += (
                f"; {kind}: median {np.median(own):.2f} px off, {_percent(own > GROSS_PX)} more"
                f" than {GROSS_PX:g} px"
            )
    square = _square(points, points.claim)[detected]
    square = square[np.isfinite(square)]
    if len(square):
        hold = [_percent(square <= limit) for limit in CHI2_2D.values()]
        text += f"; claimed regions of 68 and 95 % hold {hold[0]} and {hold[1]}"
    return text


def _mistakes(data: FormalData, task: int, points: _Points) -> list[str]:
    detected = np.isfinite(points.uv[:, 0])
    lines = []
    for what, numbers, names in (
        ("in view", points.view, data.camera_names),
        ("of keypoint", points.keypoint, data.keypoint_names(task)),
    ):
        never = [name for n, name in enumerate(names) if not detected[numbers == n].any()]
        if never and detected.any():
            lines.append(f"nothing is detected {what} {', '.join(never)}"[:200])
    if detected.any() and points.is_said_inside[detected].mean() < MIN_PROBABILITY:
        lines.append(
            f"p_inside is below {MIN_PROBABILITY:g} for most points that lie in the pictures, so"
            " their detections are not used"
        )
    if detected.sum() < MIN_COUNT:
        return lines
    off = np.linalg.norm(points.uv - points.exact, axis=-1)[detected]
    if np.median(off) > GROSS * data.image_size[0]:
        return [*lines, _why_far(data, points, float(np.median(off)))]
    return [*lines, *(_offset(points) or _of_claims(points))]


def _why_far(data: FormalData, points: _Points, off: float) -> str:
    """Say that most detections are far off, and what they might be."""
    size = np.array(data.image_size, np.float64)
    detected = np.isfinite(points.uv[:, 0])
    uv, exact = points.uv[detected], points.exact[detected]
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.nanmedian(np.where(uv > 0, exact / uv, np.nan), 0)
    other = " x ".join(f"{n:.0f}" for n in size / scale)
    tries = {
        "u and v exchanged: u is to the right, v down": uv[:, ::-1],
        "shares of the picture's size: give pixels": uv * size,
        f"pixels of pictures of about {other} px": uv * scale,
    }
    medians = {why: np.median(np.linalg.norm(x - exact, axis=-1)) for why, x in tries.items()}
    why = min(medians, key=medians.__getitem__)
    text = (
        f"in the median, detections are {off:.0f} px from the truth, in pictures of"
        f" {size[0]:.0f} x {size[1]:.0f} px"
    )
    if medians[why] < off / FITS:
        return f"{text}; they look like {why}"
    return f"{text}; are examples, cameras and keypoints in the order of the archive?"


def _offset(points: _Points) -> list[str]:
    """Find an offset that all views share: pixels that are counted otherwise."""
    error = points.uv - points.exact
    near = points.is_seen & (np.linalg.norm(error, axis=-1) <= GROSS_PX)
    if near.sum() < MIN_COUNT:
        return []
    of_views = np.stack(
        [np.median(error[near & (points.view == v)], 0) for v in set(points.view[near])]
    )
    middle = np.median(of_views, 0)
    sign = np.sign(middle[0])
    is_half = ((sign * middle >= HALF_PX[0]) & (sign * middle <= HALF_PX[1])).all()
    if not is_half or not (sign * of_views >= MIN_OF_VIEW).all():
        return []
    why = (
        "has half a pixel been added twice?"
        if sign > 0
        else "a detector that has it at (0, 0), as OpenCV, needs 0.5 added"
    )
    return [
        f"in all views, seen points are off by ({middle[0]:+.2f}, {middle[1]:+.2f}) px in the"
        f" median: here the centre of a picture's first pixel is at (0.5, 0.5); {why}"
    ]


def _of_claims(points: _Points) -> list[str]:
    """Find claims that are too sure, or that seem to mean something else."""
    claimed = np.isfinite(points.claim[:, 0]) & np.isfinite(points.uv[:, 0])
    if claimed.sum() < MIN_COUNT:
        return []
    claim = points.claim[claimed]
    if np.ptp(claim[:, :2], axis=0).max() <= 1e-6 * claim[0, 0]:
        return ["all claims are the same, so they do not tell which detections are better"]
    lines = []
    square = _square(points, points.claim)[claimed]
    factor = float(np.sqrt(np.quantile(square, 0.68) / CHI2_2D[68]))
    if not 1 / TOO_SURE <= factor <= TOO_SURE:
        what = (
            f"{factor:.1f} times too small" if factor > 1 else f"{1 / factor:.1f} times too large"
        )
        lines.append(
            f"claimed deviations are {what}: regions of 68 % hold {_percent(square <= CHI2_2D[68])}"
        )
    sd, rho = points.claim[:, :2], points.claim[:, 2:]
    meanings = {
        "their square roots: are they variances?": np.concatenate([np.sqrt(sd), rho], -1),
        "sd_u and sd_v exchanged": np.concatenate([sd[:, ::-1], rho], -1),
        "rho of the other sign: u is to the right, v down": np.concatenate([sd, -rho], -1),
    }
    given = _log_density(points, points.claim)
    gains = {what: _gain(points, _log_density(points, x) - given) for what, x in meanings.items()}
    best = max(gains, key=gains.__getitem__)
    if gains[best] > MIN_GAIN:
        lines.append(f"claims fit the errors better with {best}")
    return lines


def _gain(points: _Points, difference: Array) -> float:
    """Return a mean difference [nats], or 0 where it may be chance: errors of a clip are alike."""
    known = np.isfinite(difference)
    count = np.bincount(points.clip[known])
    sums = np.bincount(points.clip[known], difference[known])
    means = sums[count > 0] / count[count > 0]
    error = means.std() / np.sqrt(max(1, len(means) - 1))
    mean = float(difference[known].mean())
    return mean if mean > MIN_SURE * error else 0.0


def _square(points: _Points, claim: Array) -> Array:
    """Return squared errors (n,) in claimed deviations; NaN where nothing is claimed."""
    z = (points.uv - points.exact) / claim[:, :2]
    rho = claim[:, 2]
    square: Array = (np.square(z).sum(-1) - 2 * rho * z[:, 0] * z[:, 1]) / (1 - np.square(rho))
    return square


def _log_density(points: _Points, claim: Array) -> Array:
    """Return the log density (n,) of errors under claims whose common factor is the best one."""
    square = _square(points, claim)
    factor = np.nanquantile(square, 0.68) / CHI2_2D[68]
    volume = np.log(claim[:, :2]).sum(-1) + 0.5 * np.log1p(-np.square(claim[:, 2])) + np.log(factor)
    density: Array = -volume - (TAIL / 2 + 1) * np.log1p(square / factor / TAIL)
    return density


def _percent(those: npt.NDArray[np.bool_]) -> str:
    return f"{100 * those.mean():.0f} %"
