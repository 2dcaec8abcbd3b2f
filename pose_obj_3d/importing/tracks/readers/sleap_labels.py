"""SLEAP's `.slp` files, read by sleap-io: the tracks of one or several videos, each a view."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.importing.calibrations.reading import MIN_CAMERAS, validated
from pose_obj_3d.importing.calibrations.types import Calibration, CameraFile
from pose_obj_3d.importing.calibrations.values import camera
from pose_obj_3d.importing.tracks.readers.hdf5 import has
from pose_obj_3d.importing.tracks.readers.sleap_analysis import analysis_name
from pose_obj_3d.importing.tracks.readers.tables import MAX_VALUES
from pose_obj_3d.importing.tracks.views import ALONE, Found, ViewTracks, Wanted

MEMBERS = ("metadata", "instances", "frames")
_DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    AssertionError,
    ArithmeticError,
)


def knows(path: Path) -> bool:
    """Tell a file of SLEAP's labels or predictions."""
    return path.is_file() and has(path, *MEMBERS)


def read_labels(path: Path, wanted: Wanted) -> Found:
    """Read the tracks of all videos that have any.

    Raises:
        DataError: sleap-io is not installed, the file is damaged, or animals are not tracked.
    """
    try:
        sleap = importlib.import_module("sleap_io")
    except ImportError:
        raise DataError(
            f"{path}: a .slp file needs the package sleap-io; install it: pip install"
            " -e '.[sleap]', or export an analysis file from SLEAP"
        ) from None
    try:
        labels = sleap.load_slp(str(path), open_videos=False)
        frames: dict[int, list[Any]] = {}
        for frame in labels.labeled_frames:
            frames.setdefault(id(frame.video), []).append(frame)
        used = [video for video in labels.videos if id(video) in frames]
        names = [_name(path, labels, video) for video in used]
        lost: list[str] = []
        views = tuple(
            _view(path, name if len(used) > 1 else _only_name(path, name), frames[id(video)], lost)
            for video, name in zip(used, names, strict=True)
        )
    except _DAMAGE as error:
        said = " ".join(str(error).split())[:150]
        raise DataError(f"{path} is damaged ({type(error).__name__}: {said})") from None
    if not views:
        raise DataError(f"{path}: no frame in it has a point; run inference in SLEAP first")
    cameras = None if wanted.cameras is not None else _cameras(path, labels, wanted.units)
    return Found(views, cameras, notes=tuple(lost))


def _cameras(path: Path, labels: Any, units: str | None) -> Calibration | None:
    """Return the cameras of the file's only session; None where there is none, or none posed."""
    sessions = list(getattr(labels, "sessions", []))
    if len(sessions) != 1:
        return None
    found = []
    for number, own in enumerate(sessions[0].camera_group.cameras):
        if np.array_equal(own.matrix, np.eye(3)):
            continue  # was never calibrated
        values = {
            "matrix": np.asarray(own.matrix),
            "distortion": np.asarray(own.dist),
            "rotation": np.asarray(own.rvec),
            "translation": np.asarray(own.tvec),
            "size": None if own.size is None else list(own.size),
        }
        found.append(camera(str(path), str(own.name or f"camera{number}"), values))
    if len(found) < MIN_CAMERAS:
        return None
    return validated(CameraFile(str(path), "SLEAP", found, None, []), units)


def _name(path: Path, labels: Any, video: Any) -> str:
    """Return the name of the camera that a session gives a video; else the video's."""
    for session in getattr(labels, "sessions", []):
        camera = session.get_camera(video)
        if camera is not None and camera.name:
            return str(camera.name)
    filename = video.filename
    first = filename[0] if isinstance(filename, list) and filename else filename
    return analysis_name(path, str(first))


def _only_name(path: Path, name: str) -> str:
    return name or path.stem


def _view(path: Path, name: str, frames: Sequence[Any], lost: list[str]) -> ViewTracks:
    """Return the tracks of one video; add a line to `lost` where instances have no track."""
    chosen = [(int(frame.frame_idx), _instances(frame)) for frame in frames]
    chosen = [(number, own) for number, own in chosen if own]
    if not chosen:
        raise DataError(f"{path}: no frame of {name} has an instance; run inference in SLEAP first")
    alone = max(len(own) for _, own in chosen) == 1
    tracks = dict.fromkeys(
        ALONE if alone else str(instance.track.name)
        for _, own in chosen
        for instance in own
        if alone or instance.track is not None
    )
    if not tracks:
        raise DataError(
            f"{path}: {name} has several animals without tracks; track them in SLEAP first"
        )
    individual = {track: a for a, track in enumerate(tracks)}
    skeletons = {id(i.skeleton): i.skeleton for _, own in chosen for i in own}
    nodes = {key: [str(n) for n in skeleton.node_names] for key, skeleton in skeletons.items()}
    keypoints = tuple(dict.fromkeys(n for own in nodes.values() for n in own))
    places = {key: [keypoints.index(n) for n in own] for key, own in nodes.items()}
    first = min(number for number, _ in chosen)
    T = max(number for number, _ in chosen) - first + 1
    if T * len(tracks) * len(keypoints) * 2 > MAX_VALUES or first < 0:
        raise DataError(f"{path}: frames {first} to {first + T - 1} of {name} are too many")
    points = np.full((T, len(tracks), len(keypoints), 2), np.nan)
    score = np.full(points.shape[:3], np.nan)
    untracked = 0
    for number, own in chosen:
        for instance in own:
            if not alone and instance.track is None:
                untracked += 1
                continue
            a = individual[ALONE if alone else str(instance.track.name)]
            at = (number - first, a, places[id(instance.skeleton)])
            values = instance.points
            xy = np.where(values["visible"][:, None], values["xy"], np.nan)
            points[at] = np.where(np.isnan(xy).any(-1, keepdims=True), np.nan, xy)
            # What a person has labelled has no score: it counts in full.
            score[at] = values["score"] if "score" in (values.dtype.names or ()) else 1.0
    if untracked:
        lost.append(f"{name}: {untracked} instances without a track are left out")
    return ViewTracks(
        name=name,
        source=path,
        points=points,
        keypoints=keypoints,
        individuals=tuple(tracks),
        confidence=score,
        first_frame=first,
    )


def _instances(frame: Any) -> list[Any]:
    """Return what a person has labelled, and predictions that it does not replace."""
    own = list(frame.user_instances)
    replaced = {id(instance.from_predicted) for instance in own}
    tracks = {id(instance.track) for instance in own if instance.track is not None}
    return own + [
        instance
        for instance in frame.predicted_instances
        if id(instance) not in replaced and id(instance.track) not in tracks
    ]
