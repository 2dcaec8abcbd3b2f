"""SLEAP's analysis files: HDF5 with the tracks of one video, all animals."""

import json
from pathlib import Path

import numpy as np

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.importing.tracks.readers.hdf5 import Hdf5, as_text, has, opened
from pose_obj_3d.importing.tracks.views import ALONE, Floats, Found, ViewTracks, Wanted

MEMBERS = ("tracks", "node_names", "track_occupancy")
_AXES = ("frame", "track", "node", "xy")
_STORED = ("track", "xy", "node", "frame")  # where the file does not say it


def knows(path: Path) -> bool:
    """Tell an analysis file."""
    return path.is_file() and has(path, *MEMBERS)


def read_analysis(path: Path, wanted: Wanted) -> Found:
    """Read the tracks of one view."""
    with opened(path) as file:
        points = _in_order(file, "tracks", _STORED)
        T, A, K, _ = points.shape
        keypoints = tuple(file.texts("node_names"))
        names = tuple(file.texts("track_names")) if "track_names" in file else ()
        if len(keypoints) != K or points.shape[3] != 2 or (names and len(names) != A):
            raise DataError(
                f"{path}: tracks have the shape {points.shape} (frames, tracks, nodes, 2), but"
                f" {len(keypoints)} nodes and {len(names)} tracks are named; export it again"
            )
        score = None
        if "point_scores" in file:
            score = _in_order(file, "point_scores", tuple(a for a in _STORED if a != "xy"))
            if score.shape != (T, A, K):
                raise DataError(
                    f"{path}: point_scores have the shape {score.shape}, the tracks {(T, A, K)};"
                    " export it again"
                )
        video = as_text(file.array("video_path").item()) if "video_path" in file else ""
    points[np.isnan(points).any(-1)] = np.nan
    alone = A == 1 or not names
    if alone and A > 1:
        names = tuple(f"track_{a}" for a in range(A))
    return Found(
        (
            ViewTracks(
                name=analysis_name(path, video),
                source=path,
                points=points,
                keypoints=keypoints,
                individuals=(ALONE,) if A == 1 else names,
                confidence=score,
            ),
        )
    )


def _in_order(file: Hdf5, name: str, stored: tuple[str, ...]) -> Floats:
    """Return an array with the axes in the order of `_AXES`."""
    said = file.attribute(name, "dims")
    if said is not None:
        try:
            stored = tuple(json.loads(as_text(said)))
        except (ValueError, TypeError):
            stored = ()
    wanted = [axis for axis in _AXES if axis in stored]
    x = file.floats(name, len(stored))
    if sorted(wanted) != sorted(stored):
        raise DataError(f"{file.path}: the axes of {name} are not those of SLEAP; export it again")
    return x.transpose([stored.index(axis) for axis in wanted])


def analysis_name(path: Path, video: str) -> str:
    """Return the video's name; the file's where the file does not name its video."""
    stem = video.replace("\\", "/").rsplit("/", 1)[-1].rpartition(".")[0]
    return stem or path.name.removesuffix(path.suffix).removesuffix(".analysis")
