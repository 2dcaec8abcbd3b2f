"""Read one recording of a data set in VideoPose3D's form; or all of them as an archive."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.common.names import near_names
from pose_obj_3d.geometry.lenses import PINHOLE
from pose_obj_3d.importing.calibrations.types import Calibration
from pose_obj_3d.importing.people.archive import ArchiveOptions, Written, write_archive
from pose_obj_3d.importing.people.data_sets import (
    POSITIONS_2D,
    POSITIONS_3D,
    Recording,
    holds,
    read_data_set,
)
from pose_obj_3d.importing.people.subject_cameras import (
    VIDEOPOSE3D,
    SubjectCamera,
    find_cameras,
    read_subject_cameras,
    straightened,
)
from pose_obj_3d.importing.tracks.views import Floats, Found, ViewTracks, Wanted

TOOL, FILES = "VideoPose3D", "data_2d_*.npz"
_COEFFICIENTS = 14


def knows(path: Path) -> bool:
    """Tell whether a file holds 2D positions in this form."""
    return holds(path, POSITIONS_2D)


def pair_of(sources: Sequence[str]) -> tuple[Path, Path] | None:
    """Return the files of 2D and 3D positions where the sources are such a pair; else None."""
    paths = [Path(source).expanduser() for source in sources]
    with_2d = [path for path in paths if holds(path, POSITIONS_2D)]
    with_3d = [path for path in paths if holds(path, POSITIONS_3D)]
    if len(paths) != 2 or len(with_2d) != 1 or len(with_3d) != 1:
        return None
    return with_2d[0], with_3d[0]


def make_archive(
    pair: tuple[Path, Path], cameras: Path | None, out: Path, options: ArchiveOptions
) -> Written:
    """Write an archive of all recordings.

    Args:
        pair: The files of 2D and 3D positions.
        cameras: See `subject_cameras`; None: sought near the files.
        out: The archive.
        options: What the user chose.

    Raises:
        PoseObj3DError: Something is damaged, or does not fit.
    """
    data = read_data_set(*pair)
    subjects = list(dict.fromkeys(recording.subject for recording in data.recordings))
    wanted = [s for s in subjects if not options.subjects or s in options.subjects]
    place = _place(pair[0], cameras)
    return write_archive(out, data, read_subject_cameras(place, wanted), options)


def _place(path: Path, cameras: Path | None) -> Path:
    place = cameras or find_cameras(path)
    if place is None:
        raise DataError(
            f"{path}: nothing says where the cameras are; add --calibration with VideoPose3D's"
            " common/h36m_dataset.py, a folder with a calibration for each subject, or one for all"
        )
    if not place.exists():
        raise DataError(f"{place}: no such file or folder of cameras")
    return place


def read(path: Path, wanted: Wanted) -> Found:
    """Read one recording, named by subject and action: `S9/Walking`.

    Raises:
        DataError: The file is damaged, or nothing says which recording.
        ConfigError: There is no such recording.
    """
    data = read_data_set(path)
    recording = _recording(path, data.recordings, wanted)
    given = wanted.cameras
    own = None
    if given is None:
        subject = recording.subject
        own = read_subject_cameras(_place(path, None), [subject])[subject]
    names = list(given.names) if given else [camera.name for camera in own or []]
    if len(names) != len(recording.views):
        raise DataError(
            f"{path}: {recording.name} has {len(recording.views)} views, but {len(names)} cameras"
            f" are calibrated ({', '.join(names)[:200]}); both must have the same order"
        )
    views = tuple(
        ViewTracks(
            name=names[v],
            source=path,
            points=_straight(view, own[v] if own else None)[:, None],
            keypoints=data.names_2d,
            individuals=(recording.name,),
            image_size=own[v].size if own else None,
        )
        for v, view in enumerate(recording.views)
        if view is not None
    )
    return Found(views, None if own is None else _calibration(path, own))


def _recording(path: Path, recordings: Sequence[Recording], wanted: Wanted) -> Recording:
    names = [recording.name for recording in recordings]
    if len(wanted.individuals) > 1 or (not wanted.individuals and len(names) > 1):
        raise DataError(
            f"{path}: {len(names)} recordings: {', '.join(names)[:200]}; choose one, such as"
            f" --individual '{names[0]}'; for an archive of all of them, import_tracks with the"
            " data_3d file, too"
        )
    if not wanted.individuals:
        return recordings[0]
    name = wanted.individuals[0]
    if name not in names:
        raise ConfigError(f"--individual {name[:60]}: {near_names(name, names)}")
    return recordings[names.index(name)]


def _straight(points: Floats, camera: SubjectCamera | None) -> Floats:
    """Return points in float64, without VideoPose3D's distortion where OpenCV has another model."""
    points = points.astype(np.float64)
    if camera is None or camera.lens != VIDEOPOSE3D:
        return points
    return straightened(points, camera)


def _calibration(path: Path, cameras: Sequence[SubjectCamera]) -> Calibration:
    """Return the cameras; those whose distortion was taken out have none."""
    distortion = np.zeros((len(cameras), _COEFFICIENTS))
    for v, camera in enumerate(cameras):
        if camera.lens != VIDEOPOSE3D:
            distortion[v] = camera.distortion
    sizes = [camera.size for camera in cameras if camera.size is not None]
    return Calibration(
        source=str(path),
        tool=TOOL,
        names=[camera.name for camera in cameras],
        intrinsics=np.stack([camera.intrinsics for camera in cameras]),
        extrinsics=np.stack([camera.extrinsics for camera in cameras]),
        distortion=distortion,
        lenses=[PINHOLE if c.lens == VIDEOPOSE3D else c.lens for c in cameras],
        image_size=np.array(sizes, np.float64) if len(sizes) == len(cameras) else None,
        unit="m",
        is_unit_known=True,
        notes=[],
    )
