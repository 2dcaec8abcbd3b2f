"""Find the order in which a file's points have their axes: needed is (views, frames, keypoints, 2).

Sizes decide: the calibration has the number of views, the names have the number of keypoints, and
the truth has the number of frames. Another order is an error that names the order and the transpose
that corrects it. Where two orders have the right sizes, the distances between neighbouring points
may show which is more likely.
"""

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

ORDER = ("views", "frames", "keypoints", "coordinates")
SMOOTH = 4.0  # along time, points move so many times less than from keypoint to keypoint
_MIN_STEPS = 5

Array = npt.NDArray[Any]
Sizes = dict[str, set[int]]


def known_sizes(members: Mapping[str, Array]) -> Sizes:
    """Return what the other members say of the number of views, frames and keypoints."""

    def of(*keys: tuple[str, int, int]) -> set[int]:
        there = [(members[key], ndim, axis) for key, ndim, axis in keys if key in members]
        return {x.shape[axis] for x, ndim, axis in there if x.ndim == ndim}

    return {
        "views": of(
            ("intrinsics", 3, 0), ("extrinsics", 3, 0), ("camera_names", 1, 0), ("distortion", 2, 0)
        ),
        "frames": of(("truth", 3, 0)),
        "keypoints": of(("keypoint_names", 1, 0), ("truth", 3, 1)),
        "coordinates": {2},
    }


def explain_axes(points: Array, members: Mapping[str, Array]) -> str:
    """Return what is wrong with the shape of points, and what to do; "" if it may be right."""
    sizes = known_sizes(members)
    if points.ndim != 4:
        return _flat(points.shape, sizes)
    if _fits(points.shape, ORDER, sizes):
        return ""
    orders = [
        order
        for order in permutations(ORDER)
        if order != ORDER and _fits(points.shape, order, sizes)
    ]
    if not orders:
        return _columns(points.shape, sizes)
    likely = [order for order in orders if _is_smooth(points, order)]
    if len(orders) > 1 and len(likely) == 1:
        orders = likely
    why = f"{_listed(sizes['views'])} cameras are calibrated"
    if sizes["keypoints"]:
        why += f", {_listed(sizes['keypoints'])} keypoints are named"
    cures = [
        f"({', '.join(order)}): save points.transpose{_transpose(order)}" for order in orders[:3]
    ]
    return (
        f"points has the shape {points.shape}, but {why}; needed is (views, frames, keypoints, 2); "
        f"its order seems to be {' or '.join(cures)}{_and_confidence(members, points.shape)}"
    )


def doubt_axes(points: Array, members: Mapping[str, Array]) -> str:
    """Warn where frames and keypoints look exchanged and no size can tell; else return ""."""
    sizes = known_sizes(members)
    other = ("views", "keypoints", "frames", "coordinates")
    if (
        sizes["keypoints"]
        or sizes["frames"]
        or not _is_smooth(points, other)
        or points.shape[2] <= points.shape[1]
    ):
        return ""
    return (
        f"points of shape {points.shape} move little along axis 2 and jump along axis 1: if the"
        " order is (views, keypoints, frames, 2), save points.transpose(0, 2, 1, 3);"
        " keypoint_names would settle it"
    )


def _fits(shape: tuple[int, ...], order: tuple[str, ...], sizes: Sizes) -> bool:
    return all(n in sizes[axis] or not sizes[axis] for n, axis in zip(shape, order, strict=True))


def _transpose(order: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(order.index(axis) for axis in ORDER)


def _listed(numbers: set[int]) -> str:
    return " or ".join(str(n) for n in sorted(numbers)) or "no"


def _and_confidence(members: Mapping[str, Array], shape: tuple[int, ...]) -> str:
    others = [
        key
        for key in ("confidence", "covariance")
        if key in members and members[key].shape[:3] == shape[:3]
    ]
    return f"; {' and '.join(others)} likewise" if others else ""


def explain_covariance(covariance: Array, points: Array) -> str:
    """Return what is wrong with the shape of the points' covariances; "" if nothing is.

    Args:
        covariance: As the file has it.
        points: (V, T, K, 2), in the right order.
    """
    shape, needed = covariance.shape, (*points.shape[:3], 2, 2)
    if shape == needed:
        return ""
    line = f"covariance has the shape {shape}; needed is {needed}, a matrix for each of the points"
    if shape[-2:] != (2, 2) or len(shape) != 5:
        return f"{line}: [[var x, cov xy], [cov xy, var y]] [px^2]"
    orders = [
        order for order in permutations(range(3)) if tuple(shape[i] for i in order) == needed[:3]
    ]
    cures = [f"save covariance.transpose{(*order, 3, 4)}" for order in orders[:2]]
    return f"{line}: {' or '.join(cures)}" if cures else line


def _flat(shape: tuple[int, ...], sizes: Sizes) -> str:
    """Explain three axes: coordinates of all keypoints in a row."""
    if len(shape) != 3 or shape[0] not in sizes["views"] or shape[2] % 2:
        return ""
    return (
        f"points has the shape {shape}; needed is (views, frames, keypoints, 2): if the last axis"
        f" is x0 y0 x1 y1 ..., save points.reshape({shape[0]}, {shape[1]}, {shape[2] // 2}, 2); for"
        " one keypoint points[:, :, None]"
    )


def _columns(shape: tuple[int, ...], sizes: Sizes) -> str:
    """Explain a third column, the score that most detectors write; "" where there is none."""
    if shape[3] == 3 and shape[0] in sizes["views"]:
        return (
            f"points has the shape {shape}; needed is (views, frames, keypoints, 2): if the third"
            " column is a score, save points=points[..., :2], confidence=points[..., 2]"
        )
    return ""


def _is_smooth(points: Array, order: tuple[str, ...]) -> bool:
    """Say whether points in this order move little in time and differ much between keypoints."""
    if points.dtype.kind not in "fiu":
        return False
    x = points.transpose(_transpose(order))[:, :2000, :200].astype(np.float64)
    if x.shape[-1] != 2 or x.shape[1] < _MIN_STEPS or x.shape[2] < _MIN_STEPS:
        return False
    with np.errstate(invalid="ignore", over="ignore"):
        along = np.linalg.norm(np.diff(x, axis=1), axis=-1)
        across = np.linalg.norm(np.diff(x, axis=2), axis=-1)
    along, across = along[np.isfinite(along)], across[np.isfinite(across)]
    return bool(len(along) and len(across) and SMOOTH * np.median(along) < np.median(across))
