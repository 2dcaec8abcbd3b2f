"""Read the people of all views: folders of OpenPose, and projects of Pose2Sim.

A folder has a sub-folder with json files for each camera. A project of Pose2Sim has them in
`pose/` (or `pose-sync/`, or `pose-associated/`), and its cameras in `calibration/`.
"""

from pathlib import Path

import numpy as np

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.importing.calibrations.reading import find_calibration, read_calibration
from pose_obj_3d.importing.calibrations.types import Calibration
from pose_obj_3d.importing.people.agreeing import choose_person
from pose_obj_3d.importing.people.json_folders import People, is_view, read_view
from pose_obj_3d.importing.tracks.naming import match_names
from pose_obj_3d.importing.tracks.readers.videos import with_video
from pose_obj_3d.importing.tracks.views import Floats, Found, ViewTracks, Wanted

TOOL, FILES = "OpenPose and Pose2Sim", "folders of json files"
MAX_VIEWS = 100
# Folders of a Pose2Sim project; later ones are made of earlier ones.
_POSES = ("pose-associated", "pose-sync", "pose")
_ENDINGS = ("_json", "_keypoints")
_VIDEOS = "videos"  # folder of a Pose2Sim project; it says frame rate and size of the images


def knows(path: Path) -> bool:
    """Tell whether a folder has json files of people, its own or those of each camera."""
    try:
        return path.is_dir() and (is_view(path) or bool(_views(path)) or _poses(path) is not None)
    except OSError:
        return False


def read(path: Path, wanted: Wanted) -> Found:
    """Read a view's folder, a folder of views, or a project.

    Raises:
        DataError: A file is damaged; or there are several people, and nothing says who is who.
    """
    notes: list[str] = []
    if is_view(path):
        folders = [path]
    else:
        poses = path if _views(path) else _poses(path)
        folders = _views(poses) if poses else []
        if poses and poses != path:
            notes.append(f"the people in {poses.name}/ are read")
    if len(folders) > MAX_VIEWS:
        raise DataError(f"{path}: has {len(folders)} views; at most {MAX_VIEWS} are read")
    views = [read_view(folder) for folder in folders]
    notes += [note for view in views for note in view.notes]
    given: Calibration | None = wanted.cameras
    own = None if given else _cameras(path, wanted.units)
    people = _same_keypoints(path, views)
    chosen, lines = _chosen(path, people, given or own)
    places = [path, path / _VIDEOS, path.parent / _VIDEOS]
    tracks = tuple(with_video(view, [view.name, view.source.name], places) for view in chosen)
    return Found(tracks, own, notes=(*notes, *lines))


def _views(folder: Path) -> list[Path]:
    """Return the sub-folders that are views."""
    return [sub for sub in sorted(folder.iterdir()) if sub.is_dir() and is_view(sub)]


def _poses(project: Path) -> Path | None:
    """Return the folder of a project's views."""
    found = (project / name for name in _POSES)
    return next((folder for folder in found if folder.is_dir() and _views(folder)), None)


def _cameras(path: Path, units: str | None) -> Calibration | None:
    """Return the cameras of a project: of its `calibration/`, or of that beside it."""
    for folder in (path / "calibration", path.parent / "calibration"):
        place = find_calibration(folder) if folder.is_dir() else None
        if place is not None:
            return read_calibration(place, units)
    return None


def _same_keypoints(path: Path, views: list[People]) -> list[People]:
    first = views[0]
    for view in views:
        if view.keypoints != first.keypoints and len(view.keypoints) != len(first.keypoints):
            raise DataError(
                f"{path}: {view.folder.name} has {len(view.keypoints)} keypoints,"
                f" {first.folder.name} {len(first.keypoints)}; detect all views with one model"
            )
    return views


def _name(folder: Path) -> str:
    name = folder.name
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name or folder.name


def _chosen(
    path: Path, people: list[People], cameras: Calibration | None
) -> tuple[list[ViewTracks], list[str]]:
    """Return one person of each view."""
    names = [_name(view.folder) for view in people]
    if max(view.most for view in people) <= 1:
        alone = [np.isfinite(view.points[..., 0]).any(-1).argmax(-1) for view in people]
        return [_of_person(v, n, p) for v, n, p in zip(people, names, alone, strict=True)], []
    if len(people) < 2 or cameras is None:
        need = "its parent folder, with all views," if len(people) < 2 else "--calibration"
        raise DataError(
            f"{path}: up to {max(view.most for view in people)} people in a frame; to find the one"
            f" whom the views agree on, give {need} or remove the others from the files"
        )
    matched = match_names(names, cameras.names)
    order = sorted(matched)
    if len(order) < 2:
        raise DataError(
            f"{path}: {len(order)} of the views {', '.join(names)[:150]} have the name of a"
            f" calibrated camera ({', '.join(cameras.names)[:150]}); rename the folders"
        )
    used = [people[v] for v in order]
    start = min(view.first_frame for view in used)
    stop = max(view.first_frame + len(view.points) for view in used)
    persons, agreeing = choose_person(
        [_in_time(view.points, view, start, stop, np.nan) for view in used],
        [_in_time(view.confidence, view, start, stop, 0.0) for view in used],
        cameras.chosen([cameras.names[matched[v]] for v in order]),
    )
    views = []
    for i, v in enumerate(order):
        own = people[v].first_frame - start
        views.append(_of_person(people[v], names[v], persons[i, own : own + len(people[v].points)]))
    most = max(view.most for view in people)
    count = np.bincount(agreeing, minlength=2)
    line = (
        f"up to {most} people in a frame: the one whom most views agree on is taken, steadily in"
        f" time; two or more views agree in {count[2:].sum()} of {len(agreeing)} frames"
    )
    return views, [line]


def _in_time(values: Floats, view: People, start: int, stop: int, empty: float) -> Floats:
    """Return values of the frames from start to stop; `empty` where the view has none."""
    rest = stop - view.first_frame - len(view.points)
    pad = [(view.first_frame - start, rest)] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, pad, constant_values=empty)


def _of_person(
    view: People, name: str, person: "np.ndarray[tuple[int], np.dtype[np.int64]]"
) -> ViewTracks:
    """Take one person of each frame; -1 = nobody."""
    rows = np.arange(len(person))
    points = np.where((person >= 0)[:, None, None], view.points[rows, person], np.nan)
    confidence = np.where((person >= 0)[:, None], view.confidence[rows, person], 0.0)
    return ViewTracks(
        name=name,
        source=view.folder,
        points=points[:, None],
        keypoints=view.keypoints,
        confidence=confidence[:, None],
        first_frame=view.first_frame,
    )
