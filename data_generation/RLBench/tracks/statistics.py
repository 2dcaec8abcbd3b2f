"""Statistics of keypoint tracks: motion, visibility, detection error. NumPy only, plain results.

One example is measured at a time (`measure`), measures are put together (`merge`), and the sum is
given as plain numbers (`describe`); `statistics` does all three. A measure of a long data set is as
small as one of a single example but for a few numbers an example.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.facts import MOVING_M_PER_S
from pose_obj_3d.formal import (
    NUM_CHANNELS,
    UV_DETECTED,
    UV_EXACT,
    VISIBILITY,
    XYZ_WORLD,
)

STATES = ("seen", "hidden", "outside")
STATE_VALUES = (1.0, 0.5, 0.0)  # visibility of each state

Array = npt.NDArray[Any]
Float = npt.NDArray[np.float64]
Measure = dict[str, Array]

_MERGE: dict[str, Callable[[Sequence[Array]], Array]] = {
    "frames": np.concatenate,
    "extent_m": np.concatenate,
    "largest_step_m": np.concatenate,
    "min_m": np.fmin.reduce,
    "max_m": np.fmax.reduce,
}  # all other entries add up
_MERGED_AT_ONCE = 256  # measures of examples; bounds the memory and the copies


def check_tracks(tracks: Array) -> None:
    """Raise ValueError unless `tracks` is a numeric (V, T, K, 8) array that is not empty."""
    if tracks.ndim != 4 or tracks.shape[-1] != NUM_CHANNELS or not tracks.size:
        raise ValueError(
            f"tracks must have shape (views, frames, keypoints, {NUM_CHANNELS}), got {tracks.shape}"
        )
    if tracks.dtype.kind not in "fiu":
        raise ValueError(f"tracks must be numbers, got {tracks.dtype}")


def positions(tracks: Array) -> Float:
    """Give (T, K, 3) [m], world, NaN where not finite; views agree, so the first one tells."""
    xyz = tracks[0, ..., XYZ_WORLD].astype(np.float64)
    xyz[~np.isfinite(xyz).all(axis=-1)] = np.nan
    return xyz


def step_lengths(tracks: Array) -> Float:
    """Give (T-1, K) [m]: how far each keypoint goes between two frames, NaN where not finite."""
    lengths: Float = np.linalg.norm(np.diff(positions(tracks), axis=0), axis=-1)
    return lengths


def speeds(tracks: Array, frame_period_s: float) -> Float:
    """Give (T, K) [m/s], the faster of the steps into and out of a frame; one frame is still."""
    nothing = np.zeros((1, tracks.shape[2]))
    steps = step_lengths(tracks) / frame_period_s
    return np.asarray(np.fmax(np.concatenate([steps, nothing]), np.concatenate([nothing, steps])))


def detection_errors(tracks: Array) -> Float:
    """Give (V, T, K, 2) [px], detected minus exact; NaN outside images or if not detected."""
    errors = tracks[..., UV_DETECTED].astype(np.float64) - tracks[..., UV_EXACT]
    is_usable = (tracks[..., VISIBILITY] > 0) & np.isfinite(errors).all(axis=-1)
    return np.where(is_usable[..., None], errors, np.nan)


def measure(tracks: Array, frame_period_s: float) -> Measure:
    """Measure one example.

    Args:
        tracks: (V, T, K, 8), channels as in `pose_obj_3d.formal`; values that are not finite are
            left out.
        frame_period_s: Seconds between two frames.

    Returns:
        Arrays that `merge` puts together. An example's own: frames (1,), extent_m (1, K) diagonal
        of the box that a keypoint moves in, largest_step_m (1, K). Over the data: min_m, max_m (K,
        3).
        Counts: finite, moving, inside_two_views, seen_in_two_views (K,) frames; visibility
        (V, K, 3) frames of each of `STATES`; missed (V,) points inside the image without a
        detection;
        error_square_px2 and error_count (V,), over both axes.
    """
    check_tracks(tracks)
    xyz, visibility, errors = positions(tracks), tracks[..., VISIBILITY], detection_errors(tracks)
    low, high = np.fmin.reduce(xyz), np.fmax.reduce(xyz)
    steps = np.concatenate([np.zeros((1, tracks.shape[2])), step_lengths(tracks)])
    states = [(visibility == value).sum(axis=1) for value in STATE_VALUES]
    return {
        "frames": np.array([tracks.shape[1]]),
        "extent_m": np.linalg.norm(high - low, axis=-1)[None],
        "largest_step_m": np.fmax.reduce(steps)[None],
        "min_m": low,
        "max_m": high,
        "finite": np.isfinite(xyz).all(axis=-1).sum(axis=0),
        "moving": (speeds(tracks, frame_period_s) > MOVING_M_PER_S).sum(axis=0),
        "visibility": np.stack(states, axis=-1),
        "inside_two_views": ((visibility > 0).sum(axis=0) >= 2).sum(axis=0),
        "seen_in_two_views": ((visibility == 1).sum(axis=0) >= 2).sum(axis=0),
        "missed": (~np.isfinite(errors[..., 0]) & (visibility > 0)).sum(axis=(1, 2)),
        "error_square_px2": np.nansum(errors**2, axis=(1, 2, 3)),
        "error_count": np.isfinite(errors).sum(axis=(1, 2, 3)),
    }


def merge(measures: Iterable[Measure]) -> Measure:
    """Put the measures of examples with the same views and keypoints together."""
    waiting = iter(measures)
    parts: list[Measure] = []
    while some := list(islice(waiting, _MERGED_AT_ONCE)):
        parts.append(_merged(some))
    return _merged(parts)


def _merged(measures: Sequence[Measure]) -> Measure:
    return {key: _MERGE.get(key, np.add.reduce)([m[key] for m in measures]) for key in measures[0]}


def describe(
    measured: Measure, keypoint_names: Sequence[str], camera_names: Sequence[str]
) -> dict[str, Any]:
    """Give a measure as plain numbers, ready for JSON; None where nothing was finite.

    Args:
        measured: Of one example or many.
        keypoint_names: K names "<group>/<name>".
        camera_names: V names.
    """
    V, K = measured["visibility"].shape[:2]
    if (len(camera_names), len(keypoint_names)) != (V, K):
        raise ValueError(
            f"{len(camera_names)} cameras and {len(keypoint_names)} keypoints named, the tracks"
            f" have {V} and {K}"
        )
    lengths = measured["frames"]
    groups: dict[str, list[int]] = {}
    for k, name in enumerate(keypoint_names):
        groups.setdefault(name.partition("/")[0], []).append(k)
    square, count = measured["error_square_px2"].sum(), measured["error_count"].sum()
    missed = measured["missed"].sum()
    return {
        "examples": len(lengths),
        "frames": {
            "total": int(lengths.sum()),
            "min": int(lengths.min()),
            "median": float(np.median(lengths)),
            "max": int(lengths.max()),
        },
        **_shares(measured, list(range(K))),
        "detection_rms_px": float(np.sqrt(square / count)) if count else None,
        "share_missed": float(missed / (missed + count / 2)) if count else None,
        "views": {
            name: _state_shares(measured["visibility"][v].sum(axis=0))
            for v, name in enumerate(camera_names)
        },
        "groups": {
            name: {"keypoints": len(members), **_shares(measured, members)}
            for name, members in groups.items()
        },
        "keypoints": {
            name: {
                **_shares(measured, [k]),
                "median_extent_m": _plain(_median(measured["extent_m"][:, k])),
                "max_extent_m": _plain(np.fmax.reduce(measured["extent_m"][:, k])),
                "largest_step_m": _plain(np.fmax.reduce(measured["largest_step_m"][:, k])),
                "min_m": _plain(measured["min_m"][k]),
                "max_m": _plain(measured["max_m"][k]),
                "views": {
                    c: _state_shares(measured["visibility"][v, k])
                    for v, c in enumerate(camera_names)
                },
            }
            for k, name in enumerate(keypoint_names)
        },
    }


def statistics(
    examples: Iterable[Array],
    keypoint_names: Sequence[str],
    camera_names: Sequence[str],
    frame_period_s: float,
) -> dict[str, Any]:
    """Measure examples one after the other and describe them all."""
    return describe(
        merge(measure(x, frame_period_s) for x in examples), keypoint_names, camera_names
    )


def _shares(measured: Mapping[str, Array], members: list[int]) -> dict[str, Any]:
    """Give shares of some keypoints' frames: moving, in two images, seen by two views, states."""
    frames = measured["frames"].sum() * len(members)

    def share(key: str) -> float:
        return float(measured[key][members].sum() / frames)

    return {
        "share_moving": share("moving"),
        "share_inside_two_views": share("inside_two_views"),
        "share_seen_in_two_views": share("seen_in_two_views"),
        "visibility": _state_shares(measured["visibility"][:, members].sum(axis=(0, 1))),
    }


def _state_shares(counts: Array) -> dict[str, float]:
    total = max(int(counts.sum()), 1)
    return {state: float(n / total) for state, n in zip(STATES, counts, strict=True)}


def _median(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else np.nan


def _plain(value: npt.ArrayLike) -> Any:
    """Give a number or a list of numbers, None where not finite."""
    array = np.asarray(value, dtype=np.float64)
    return array.tolist() if np.isfinite(array).all() else None
