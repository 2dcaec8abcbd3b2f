"""Find values that mark missing points: (0, 0), (-1, -1), far-away or constant points.

They are looked for before distortion is taken out: a strong lens has no inverse at (0, 0).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

KNOWN = ((0.0, 0.0), (-1.0, -1.0))  # no detector finds a point at exactly these places
MIN_COUNT = 3  # how often another value must occur in a track
MIN_SHARE = 0.005  # of the points must have that value
MIN_TRACKS = 3  # of one view must have jumps to it, or tracks of two views
MIN_RUNS = 5  # how often a value must come and go if only one track has it
MAX_SHOWN = 4  # values that the line names
_MAX_TRIED, _MAX_POINTS = 200, 500_000
# A marker is more than so many usual steps plus image sizes away from its neighbours in time.
_JUMP_STEPS, _JUMP_SIZE = 5.0, 0.02
_OUTSIDE = 0.5  # a repeated value this many image sizes outside the image is no detection

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Markers:
    """Values that mark missing points.

    Attributes:
        is_missing: (V, T, K), where.
        lines: One line for all of them, none where there are none.
    """

    is_missing: Bools
    lines: list[str]


def find_markers(points: Floats, confidence: Floats, size: Floats, names: Sequence[str]) -> Markers:
    """Look for markers among the points that count.

    Args:
        points: (V, T, K, 2) as the file has them [px]; NaN = missing.
        confidence: (V, T, K); 0 = missing.
        size: (V, 2) of the images, roughly [px].
        names: V names.
    """
    is_half = np.isnan(points).sum(-1) == 1
    seen = (confidence > 0) & ~np.isnan(points).any(-1)
    is_missing = np.zeros(seen.shape, bool)
    found: list[str] = []
    for x, y in [*KNOWN, *_repeated(points, seen, size)]:
        here = seen & (points[..., 0] == x) & (points[..., 1] == y) & ~is_missing
        if here.any():
            found.append(f"{here.sum()} at ({x:g}, {y:g})")
            is_missing |= here
    if is_half.any():
        found.append(f"{is_half.sum()} with NaN in one coordinate")
    if not found:
        return Markers(is_missing, [])
    total = is_missing | is_half
    worst = sorted(
        zip((100 * total.mean((1, 2))).tolist(), names, strict=True), key=lambda pair: -pair[0]
    )[:4]
    listed = ", ".join(found[:MAX_SHOWN]) + (
        f" and {len(found) - MAX_SHOWN} other values" if len(found) > MAX_SHOWN else ""
    )
    most = ", ".join(f"{name} {percent:.1f} %" for percent, name in worst)
    line = (
        f"{100 * total.mean():.1f} % of the points seem to mark missing ones ({listed}; most in"
        f" {most}): they are left out; write NaN there"
    )
    return Markers(is_missing, [line])


def _repeated(points: Floats, seen: Bools, size: Floats) -> list[tuple[float, float]]:
    """Return exact values that are repeated as no detection is, the most frequent first.

    They are far outside the image, or in several tracks, each time with a jump. A still keypoint of
    an exact or rounding tracker repeats its values, too, but without a jump.
    """
    step = -(-seen.size // _MAX_POINTS)
    view, frame, keypoint = np.nonzero(seen[:, ::step])
    frame *= step
    if len(view) == 0:
        return []
    values = points[view, frame, keypoint]
    order = np.lexsort((values[:, 1], values[:, 0]))
    ordered = values[order]
    start = np.flatnonzero(np.r_[True, (np.diff(ordered, axis=0) != 0).any(-1)])
    count = np.diff(np.r_[start, len(values)])
    tried = [i for i in np.argsort(-count, kind="stable")[:_MAX_TRIED] if count[i] >= MIN_COUNT]
    result = []
    for i in tried:
        rows = order[start[i] : start[i] + count[i]]
        value = ordered[start[i]]
        if _is_outside(value, size[view[rows]]):
            is_marker = (
                value[0] == value[1]
                or len({*zip(view[rows].tolist(), keypoint[rows].tolist(), strict=True)}) > 1
            )
        else:
            is_marker = count[i] >= MIN_SHARE * len(values) and _jumps(
                points, seen, size, value, view[rows], keypoint[rows]
            )
        if is_marker:
            result.append((float(value[0]), float(value[1])))
    return result


def _is_outside(value: Floats, size: Floats) -> bool:
    return bool(((value < -_OUTSIDE * size) | (value > (1 + _OUTSIDE) * size)).any(-1).all())


def _jumps(
    points: Floats, seen: Bools, size: Floats, value: Floats, view: Integers, keypoint: Integers
) -> bool:
    """Say whether a value comes with jumps in three tracks, or in two views."""
    tracks = np.stack([view, keypoint], -1)
    some, count = np.unique(tracks, axis=0, return_counts=True)
    jumping = [
        (v, k)
        for (v, k), n in zip(some.tolist(), count, strict=True)
        if n >= MIN_COUNT and _jumps_in(points[v, :, k], seen[v, :, k], value, size[v])
    ]
    if len(jumping) >= MIN_TRACKS or len({v for v, _ in jumping}) >= 2:
        return True
    return any(_comes_and_goes(points[v, :, k][seen[v, :, k]], value) for v, k in jumping)


def _comes_and_goes(track: Floats, value: Floats) -> bool:
    """Say whether a value returns several times in a track that otherwise never has one twice."""
    is_value = (track == value).all(-1)
    runs = int((np.diff(is_value.astype(np.int8), prepend=0) == 1).sum())
    return runs >= MIN_RUNS and len(np.unique(track[~is_value], axis=0)) == int((~is_value).sum())


def _jumps_in(track: Floats, seen: Bools, value: Floats, size: Floats) -> bool:
    is_value = (track == value).all(-1) & seen
    at, other = np.flatnonzero(is_value), np.flatnonzero(seen & ~is_value)
    steps = np.linalg.norm(np.diff(track[other], axis=0), axis=-1)
    # A detector that rounds often makes no step at all.
    steps = steps[steps > 0]
    if len(steps) == 0:
        return False
    step: Any = np.median(steps)
    near = other[np.clip(np.searchsorted(other, at), 0, len(other) - 1)]
    jump: Any = np.median(np.linalg.norm(track[near] - value, axis=-1))
    return bool(jump > _JUMP_STEPS * step + _JUMP_SIZE * size.max())
