"""Join the tracks of views to the members of a `tracks.npz`.

Cameras and keypoints are matched by name, frames by number. What differs between views is said in
one line, with what was done.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.importing.calibrations.types import Calibration
from pose_obj_3d.importing.tracks.individuals import choose_individuals
from pose_obj_3d.importing.tracks.naming import match_names
from pose_obj_3d.importing.tracks.options import ImportOptions
from pose_obj_3d.importing.tracks.timing import SAME_RATE, common_frames, one_rate, shift
from pose_obj_3d.importing.tracks.views import Floats, Found, ViewTracks

_MAX_VALUES = 1 << 31
Members = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Joined:
    """All views together.

    Attributes:
        members: Keys of `tracks.npz` (docs/own_videos.md) -> arrays.
        notes: One line for each thing that differed, with what was done.
    """

    members: Members
    notes: list[str]


def join(found: Found, cameras: Calibration, options: ImportOptions) -> Joined:
    """Join views.

    Args:
        found: What was read.
        cameras: Calibrated cameras.
        options: What the user chose.

    Raises:
        DataError: The views do not fit each other or the calibration.
        ConfigError: An option names what is not there.
    """
    views, chosen, notes = _named(found, cameras)
    notes = [*cameras.notes, *found.notes, *notes]
    views, lines = choose_individuals(views, options.individuals)
    notes += lines
    keypoints, lines = _common_keypoints(views)
    notes += lines
    if len(found.sequence_starts) > 1:
        _check_recordings(views, options)
    views, fps, lines = one_rate(views, options.fps)
    notes += lines
    views = shift(views, options.offsets)
    start, stop, lines = common_frames(views)
    notes += lines
    tracks = _stacked(views, keypoints, start, stop, options.min_confidence)
    members: Members = {
        **tracks,
        **_calibration(cameras, chosen),
        "camera_names": np.array([view.name for view in views]),
        "keypoint_names": np.array(keypoints),
    }
    if fps is not None:
        members["fps"] = np.array(fps)
    starts = np.unique([max(s, start) - start for s in found.sequence_starts if s < stop])
    if len(starts) > 1:
        members["sequence_starts"] = starts
    size, lines = _sizes(views, cameras, chosen)
    if size is not None:
        members["image_size"] = size
    if found.truth is not None:
        members["truth"] = _true(found, keypoints, start, stop)
    return Joined(members, notes + lines)


def _named(found: Found, cameras: Calibration) -> tuple[list[ViewTracks], list[int], list[str]]:
    """Give views their cameras' names, in the order of the calibration."""
    views = list(found.views)
    if len(views) < 2:
        said = ", ".join(view.name for view in views)
        raise DataError(
            f"{views[0].source if views else 'the sources'}: {len(views)} view ({said}); 3D needs"
            " two or more: name a file for each camera, or a folder that holds them"
        )
    _check_different(views)
    names = [view.name for view in views]
    matched = match_names(names, cameras.names)
    if len(matched) < 2:
        raise DataError(
            f"{views[0].source}: {len(matched)} of the views {', '.join(names)[:150]} have the name"
            f" of a calibrated camera ({', '.join(cameras.names)[:120]}); two or more are needed:"
            " say which is which: NAME=FILE in place of FILE"
        )
    notes = []
    lost = [name for v, name in enumerate(names) if v not in matched]
    if lost:
        notes.append(f"left out, as no calibrated camera has their name: {', '.join(lost)[:300]}")
    unused = [name for c, name in enumerate(cameras.names) if c not in matched.values()]
    if unused:
        notes.append(f"calibrated cameras without tracks: {', '.join(unused)[:300]}")
    order = sorted(matched, key=matched.__getitem__)
    chosen = [matched[v] for v in order]
    own = [replace(views[v], name=cameras.names[c]) for v, c in zip(order, chosen, strict=True)]
    renamed = [
        f"{names[v]} is {view.name}"
        for v, view in zip(order, own, strict=True)
        if names[v] != view.name
    ]
    if renamed:
        notes.append(f"views by the cameras' names: {', '.join(renamed)[:380]}")
    return own, chosen, notes


def _check_different(views: Sequence[ViewTracks]) -> None:
    names = [view.name for view in views]
    twice = next((v for v, name in enumerate(names) if name in names[:v]), None)
    if twice is not None:
        first = views[names.index(names[twice])]
        raise DataError(
            f"{views[twice].source} and {first.source} are both of the view {names[twice]!r}; name"
            " one of them, or say which is which: NAME=FILE in place of FILE"
        )


def _check_recordings(views: Sequence[ViewTracks], options: ImportOptions) -> None:
    """Refuse what would move the starts of several recordings in one view alone."""
    if options.offsets:
        raise ConfigError("--offset: the source holds several recordings; name one of them")
    rates = [view.fps for view in views if view.fps]
    if options.fps is None and rates and max(rates) > min(rates) * (1 + SAME_RATE):
        raise DataError(
            f"{views[0].source}: several recordings, and frame rates that differ between views;"
            " name one recording, or say that all have one rate: --fps"
        )


def _common_keypoints(views: Sequence[ViewTracks]) -> tuple[list[str], list[str]]:
    """Return the keypoints that two views or more have, in the order of the files."""
    names = list(dict.fromkeys(name for view in views for name in view.keypoints))
    shared = [name for name in names if sum(name in view.keypoints for view in views) > 1]
    if not shared:
        said = "; ".join(f"{v.name} has {', '.join(v.keypoints)[:60]}" for v in views[:4])
        raise DataError(
            f"{views[0].source}: no keypoint is in two views: {said}; the same keypoint needs the"
            " same name in all views"
        )
    lost = [name for name in names if name not in shared]
    partly = [
        f"{view.name} has no {', '.join(n for n in shared if n not in view.keypoints)}"
        for view in views
        if not set(shared) <= set(view.keypoints)
    ]
    notes = []
    if lost:
        notes.append(f"keypoints that one view alone has are left out: {', '.join(lost)[:300]}")
    if partly:
        notes.append(f"keypoints differ, and are missing in these views: {'; '.join(partly)[:300]}")
    return shared, notes


def _stacked(
    views: Sequence[ViewTracks],
    keypoints: Sequence[str],
    start: int,
    stop: int,
    min_confidence: float,
) -> Members:
    """Return points (V, T, K, 2) and, where views have them, confidence and covariance."""
    T, K = stop - start, len(keypoints)
    if len(views) * T * K > _MAX_VALUES:
        raise DataError(
            f"{views[0].source}: {len(views)} views of {T} frames and {K} keypoints are too many"
        )
    points = np.full((len(views), T, K, 2), np.nan)
    confidence = np.full((len(views), T, K), np.nan)
    has_covariance = any(view.covariance is not None for view in views)
    covariance = np.full((len(views), T, K, 2, 2), np.nan) if has_covariance else None
    for v, view in enumerate(views):
        low, high = max(view.first_frame, start), min(view.first_frame + len(view.points), stop)
        if low >= high:
            continue
        rows = slice(low - view.first_frame, high - view.first_frame)
        into = slice(low - start, high - start)
        own = [k for k, name in enumerate(keypoints) if name in view.keypoints]
        source = [view.keypoints.index(keypoints[k]) for k in own]
        points[v, into, own] = view.points[rows, 0][:, source].swapaxes(0, 1)
        score = 1.0 if view.confidence is None else view.confidence[rows, 0][:, source].T
        confidence[v, into, own] = score
        if covariance is not None and view.covariance is not None:
            covariance[v, into, own] = view.covariance[rows, 0][:, source].swapaxes(0, 1)
    missing = np.isnan(points).any(-1) | (confidence < min_confidence)
    points[missing] = np.nan
    members: Members = {"points": points}
    if any(view.confidence is not None for view in views):
        # A file may give points without a score, such as ones that a person has corrected.
        confidence[np.isnan(confidence)] = 1.0
        confidence[missing] = 0.0
        members["confidence"] = confidence
    if covariance is not None:
        covariance[missing] = np.nan
        members["covariance"] = covariance
    return members


def _calibration(cameras: Calibration, chosen: Sequence[int]) -> Members:
    own = list(chosen)
    return {
        "intrinsics": cameras.intrinsics[own],
        "extrinsics": cameras.extrinsics[own],
        "distortion": cameras.distortion[own],
        "lens": np.array([cameras.lenses[c] for c in own]),
        "units": np.array(cameras.unit),
    }


def _sizes(
    views: Sequence[ViewTracks], cameras: Calibration, chosen: Sequence[int]
) -> tuple[Floats | None, list[str]]:
    """Return width and height (V, 2) if all are known, and lines where two sources differ."""
    notes, sizes = [], []
    for view, c in zip(views, chosen, strict=True):
        own = view.image_size
        size = None if cameras.image_size is None else tuple(cameras.image_size[c].tolist())
        if own is not None and size not in (None, own):
            assert size is not None
            notes.append(
                f"{view.name} was calibrated for images of {size[0]:g} x {size[1]:g}, its tracks"
                f" are of {own[0]} x {own[1]}: nothing was scaled; if the video was scaled or"
                " cropped, correct the calibration"
            )
        sizes.append(own or size)
    known = [size for size in sizes if size is not None]
    return (np.array(known, np.float64) if len(known) == len(sizes) else None), notes


def _true(found: Found, keypoints: Sequence[str], start: int, stop: int) -> Floats:
    """Return the truth (T, K, 3) of the frames and keypoints that are kept; NaN elsewhere."""
    view = found.views[0]
    assert found.truth is not None
    truth = np.full((stop - start, len(keypoints), 3), np.nan)
    low, high = max(view.first_frame, start), min(view.first_frame + len(found.truth), stop)
    for k, name in enumerate(keypoints):
        if name in view.keypoints and low < high:
            rows = found.truth[low - view.first_frame : high - view.first_frame]
            truth[low - start : high - start, k] = rows[:, view.keypoints.index(name)]
    return truth
