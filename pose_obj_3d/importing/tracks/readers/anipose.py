"""anipose: a session's folder with 2D tracks of each camera and recording, and its calibration.

    project/config.toml
    project/.../session/calibration/calibration.toml
    project/.../session/pose-2d/<recording><camera>.h5
    project/.../session/pose-2d-filtered/<recording><camera>.h5
    project/.../session/videos-raw/<recording><camera>.avi

The config may give other names to the folders. Its `cam_regex` finds the camera in a file's name;
without the camera the name is the recording's. Recordings are joined one after the other.
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.importing.calibrations.reading import read_calibration
from pose_obj_3d.importing.calibrations.types import Calibration
from pose_obj_3d.importing.calibrations.values import read_text
from pose_obj_3d.importing.tracks.naming import match_names
from pose_obj_3d.importing.tracks.readers import scorer_tables, sleap_labels
from pose_obj_3d.importing.tracks.readers.recordings import one_after_another
from pose_obj_3d.importing.tracks.readers.videos import with_video
from pose_obj_3d.importing.tracks.views import Found, ViewTracks, Wanted

CONFIG, CALIBRATION = "config.toml", "calibration.toml"
FOLDERS = {
    "videos_raw": "videos-raw",
    "pose_2d": "pose-2d",
    "pose_2d_filter": "pose-2d-filtered",
    "calibration_results": "calibration",
}
MAX_LEVELS = 4  # from a session up to its project
MAX_FOLDERS = 2000  # on one level
_MAX_REGEX = 100
_MAX_NAME = 120


@dataclass(frozen=True)
class Session:
    """A session's folder, and what the project's config says of it.

    Attributes:
        folder: The session's.
        poses: The folder with 2D tracks that was named; None: as the config says.
        config: The project's config; empty where there is none.
    """

    folder: Path
    poses: Path | None
    config: Mapping[str, Any]

    def name(self, key: str) -> str:
        """Return the name of one of `FOLDERS`."""
        return _name(self.config, key)

    def table(self, key: str) -> Mapping[str, Any]:
        """Return a table of the config; an empty one where there is none."""
        found = self.config.get(key)
        return found if isinstance(found, dict) else {}


def knows(path: Path) -> bool:
    """Tell a project, a session, or a session's folder of 2D tracks."""
    if not path.is_dir():
        return False
    try:
        config = _config(path)
    except DataError:  # said when it is read
        config = {}
    return bool(_sessions(path.resolve(), config))


def read_session(path: Path, wanted: Wanted) -> Found:
    """Read all recordings of a session.

    Raises:
        DataError: The folder has several sessions or no tracks, or a file is damaged.
    """
    path = path.resolve()
    sessions = _sessions(path, _config(path))
    if len(sessions) != 1:
        names = ", ".join(str(s.folder.relative_to(path)) for s in sessions[:8])
        raise DataError(f"{path}: {len(sessions)} sessions of anipose ({names[:200]}); name one")
    (session,) = sessions
    files, notes = _files(session)
    cameras = wanted.cameras or _calibration(session, wanted.units)
    grouped, lines = _grouped(session, files, None if cameras is None else cameras.names)
    found = one_after_another(
        {
            recording: [
                _view(session, camera, file, wanted) for camera, file in sorted(own.items())
            ]
            for recording, own in grouped.items()
        }
    )
    return replace(found, cameras=cameras, notes=(*notes, *lines, *found.notes))


def _sessions(path: Path, config: Mapping[str, Any]) -> list[Session]:
    """Return the sessions in a folder; the folder itself may be one, or lie in one."""
    poses = [_name(config, "pose_2d_filter"), _name(config, "pose_2d")]
    if path.name in poses:
        own = path.parent
        is_session = (own / _name(config, "calibration_results")).is_dir() or bool(config)
        return [Session(own, path, config)] if is_session else []

    def is_one(folder: Path) -> bool:
        return any((folder / name).is_dir() for name in poses)

    if is_one(path):
        return [Session(path, None, config)]
    if not (path / CONFIG).is_file():
        return []
    folders = [path]
    for _ in range(MAX_LEVELS):
        folders = [child for f in folders for child in sorted(f.iterdir()) if child.is_dir()]
        folders = folders[:MAX_FOLDERS]
        found = [Session(folder, None, config) for folder in folders if is_one(folder)]
        if found:
            return found
    return []


def _name(config: Mapping[str, Any], key: str) -> str:
    pipeline = config.get("pipeline")
    said = pipeline.get(key) if isinstance(pipeline, dict) else None
    return said if isinstance(said, str) and re.fullmatch(r"[\w. -]{1,100}", said) else FOLDERS[key]


def _up(folder: Path) -> list[Path]:
    return [folder, *folder.parents][: MAX_LEVELS + 1]


def _config(folder: Path) -> dict[str, Any]:
    """Return the config of a folder or of the nearest one above it; empty if there is none."""
    path = next((f / CONFIG for f in _up(folder) if (f / CONFIG).is_file()), None)
    if path is None:
        return {}
    try:
        return tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise DataError(f"{path}: not valid TOML: {error or type(error).__name__}") from error


def _calibration(session: Session, units: str | None) -> Calibration | None:
    for folder in _up(session.folder):
        for path in (
            folder / session.name("calibration_results") / CALIBRATION,
            folder / CALIBRATION,
        ):
            if path.is_file():
                return read_calibration(path, units)
    return None


def _files(session: Session) -> tuple[list[Path], list[str]]:
    """Return the files of 2D tracks, and a line where they are not those of the config."""
    is_filtered = session.table("filter").get("enabled") is True
    order = ["pose_2d_filter", "pose_2d"] if is_filtered else ["pose_2d", "pose_2d_filter"]
    folders = [session.folder / session.name(key) for key in order]
    for folder in [session.poses] if session.poses else folders:
        files = sorted(folder.glob("*.h5")) if folder.is_dir() else []
        files = files or (sorted(folder.glob("*.slp")) if folder.is_dir() else [])
        if files:
            other = [f.name for f in folders if f != folder and f.is_dir()]
            notes = [
                f"2D tracks of {folder.name}; for those of {name} name that folder"
                for name in other
            ]
            return files, notes if not session.poses else []
    raise DataError(
        f"{session.folder}: no 2D tracks (.h5, .slp) in {folders[0].name} or {folders[1].name}; run"
        " anipose analyze first"
    )


def _grouped(
    session: Session, files: Sequence[Path], cameras: Sequence[str] | None
) -> tuple[dict[str, dict[str, Path]], list[str]]:
    """Return recording -> camera -> file, and lines on files without a camera."""
    split = _by_regex(session) or _by_name(files, cameras or [])
    grouped: dict[str, dict[str, Path]] = {}
    lost = []
    for file in files:
        found = split(_stem(file))
        if found is None:
            lost.append(file.name)
            continue
        recording, camera = found
        own = grouped.setdefault(recording, {})
        if camera in own:
            raise DataError(
                f"{file} and {own[camera].name} are both of camera {camera!r} in recording"
                f" {recording!r}; correct cam_regex in {CONFIG}"
            )
        own[camera] = file
    if not grouped:
        raise DataError(
            f"{files[0]}: its name does not tell the camera; correct cam_regex in {CONFIG}"
        )
    notes = [f"left out, as the name tells no camera: {', '.join(lost)[:300]}"] if lost else []
    return grouped, notes


def _stem(file: Path) -> str:
    return file.stem.replace(".predictions", "")[:_MAX_NAME]


Split = Callable[[str], tuple[str, str] | None]


def _by_regex(session: Session) -> Split | None:
    """Return what splits a name into recording and camera by the config's `cam_regex`."""
    regex = session.table("triangulation").get("cam_regex")
    if not isinstance(regex, str):
        return None
    # A pattern of repetitions in repetitions may take for ever on a short name.
    if (
        len(regex) > _MAX_REGEX
        or re.search(r"\)[*+{]", regex)
        or len(re.findall("[*+{]", regex)) > 3
    ):
        raise DataError(f"cam_regex {regex[:60]!r} is too complex; write a simpler one in {CONFIG}")
    try:
        pattern = re.compile(regex)
    except (re.error, RecursionError, OverflowError) as error:
        raise DataError(f"cam_regex {regex!r} in {CONFIG} is no pattern: {error}") from None
    if pattern.groups < 1:
        raise DataError(f"cam_regex {regex!r} in {CONFIG} needs a group around the camera's name")

    def split(stem: str) -> tuple[str, str] | None:
        found = pattern.search(stem)
        if found is None or found[1] is None:
            return None
        return pattern.sub("", stem).strip(), found[1].strip()

    return split


def _by_name(files: Sequence[Path], cameras: Sequence[str]) -> Split:
    """Return what finds the calibration's cameras in names, where no `cam_regex` tells them."""

    def split(stem: str) -> tuple[str, str] | None:
        found = match_names([stem], cameras)
        if not found:
            return None
        camera = cameras[found[0]]
        at = stem.lower().find(camera.lower())
        return (stem[:at].rstrip("_-. ") + stem[at + len(camera) :]).strip("_-. "), camera

    return split


def _view(session: Session, camera: str, file: Path, wanted: Wanted) -> ViewTracks:
    reader = sleap_labels.read_labels if file.suffix == ".slp" else scorer_tables.read_table
    views = reader(file, wanted).views
    if len(views) != 1:
        raise DataError(f"{file}: holds {len(views)} views; anipose has a file for each")
    view = with_video(
        replace(views[0], name=camera),
        [_stem(file)],
        [session.folder / session.name("videos_raw")],
    )
    offset = _offset(session, camera)
    return view if offset is None else replace(view, points=view.points + offset)


def _offset(session: Session, camera: str) -> Any:
    """Return the upper left corner (2,) of the camera's cropped images [px], or None."""
    own = session.table("cameras").get(camera)
    said = own.get("offset") if isinstance(own, dict) else None
    if said is None:
        return None
    if (
        not isinstance(said, list)
        or len(said) < 2
        or not all(isinstance(n, int | float) for n in said[:2])
    ):
        raise DataError(f"{CONFIG}: offset of camera {camera!r} must be two numbers [px]")
    return np.array(said[:2], np.float64)
