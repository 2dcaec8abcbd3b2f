"""Read the cameras of a calibration file or folder, whatever tool has written it."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.importing.calibrations.colmap import CAMERAS, IMAGES, read_colmap
from pose_obj_3d.importing.calibrations.opencv_files import opencv_files, read_opencv
from pose_obj_3d.importing.calibrations.opencv_values import SUFFIXES
from pose_obj_3d.importing.calibrations.own_files import read_own
from pose_obj_3d.importing.calibrations.toml_files import read_toml
from pose_obj_3d.importing.calibrations.types import Calibration, CameraFile, Floats
from pose_obj_3d.lifting.track_files.members import METRES, read_extrinsics, read_intrinsics

# Cameras further from each other than this are not given in metres.
LARGEST_RIG = 30.0
MIN_CAMERAS = 2  # with a pose; then others may lack theirs
_TOML_NAMES = ("calibration.toml", "camera_array.toml", "config.toml")
_KNOWN = (
    "anipose, caliscope and Pose2Sim (.toml), OpenCV (.yml, .yaml, .xml, .json), COLMAP's text"
    " (cameras.txt, images.txt), and our own .npz"
)


def read_calibration(path: Path | str, units: str | None = None) -> Calibration:
    """Read cameras with their poses.

    Args:
        path: A file; or a folder that has one toml, COLMAP's text, or OpenCV's files.
        units: The unit of the poses, `m` or `mm`, where the file does not say it.

    Raises:
        DataError: It is damaged, of no known format, or a camera has no pose.
        ConfigError: `units` contradicts the file.
    """
    found = read_cameras(path)
    posed = [camera for camera in found.cameras if camera.extrinsics is not None]
    without = [camera.name for camera in found.cameras if camera.extrinsics is None]
    if without and len(posed) < MIN_CAMERAS:
        raise DataError(_no_pose(found, without))
    notes = [f"camera {name} has no pose: it is left out" for name in without]
    return validated(replace(found, cameras=posed, notes=found.notes + notes), units)


def read_cameras(path: Path | str) -> CameraFile:
    """Read cameras; some may have no pose.

    Raises:
        DataError: It is damaged, or of no known format.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder; known are calibrations of {_KNOWN}")
    suffix = path.suffix.lower()
    if suffix == ".toml":
        return read_toml(path)
    if suffix in SUFFIXES:
        return read_opencv(path)
    if suffix == ".npz":
        return read_own(path)
    if path.name in (CAMERAS, IMAGES):
        return read_colmap(path.parent)
    raise DataError(f"{path}: unknown kind of calibration; known are {_KNOWN}")


def find_calibration(folder: Path) -> Path | None:
    """Return what `read_cameras` would read in a folder: a file, the folder itself, or None."""
    if (folder / CAMERAS).is_file() and (folder / IMAGES).is_file():
        return folder
    tomls = sorted(folder.glob("*.toml"))
    named = [folder / name for name in _TOML_NAMES if folder / name in tomls]
    likely = named or [path for path in tomls if "calib" in path.name.lower()] or tomls
    if likely:
        return likely[0]
    return folder if opencv_files(folder) else None


def _read_folder(folder: Path) -> CameraFile:
    found = find_calibration(folder)
    if found is None:
        raise DataError(f"{folder}: no calibration in it; known are {_KNOWN}")
    if found != folder:
        return read_toml(found)
    return read_colmap(folder) if (folder / CAMERAS).is_file() else read_opencv(folder)


def _no_pose(found: CameraFile, without: list[str]) -> str:
    line = (
        f"{found.source}: camera {without[0][:80]} has no pose (rotation and translation, world to"
        " camera)"
    )
    if found.tool == "OpenCV":
        return f"{line}; if another file has the poses, give the folder of both"
    return f"{line}; finish the calibration of the cameras' places, or take the camera out"


def validated(found: CameraFile, units: str | None) -> Calibration:
    """Check cameras that all have poses; arguments and errors as of `read_calibration`."""
    cameras, source = found.cameras, found.source
    names = [camera.name for camera in cameras]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{source}: two cameras are named {twice[0][:80]!r}; rename one")
    if units not in (None, *METRES):
        raise ConfigError(f"--units {units!r}: allowed are {', '.join(METRES)}")
    if None not in (units, found.unit) and units != found.unit:
        raise ConfigError(f"--units {units}, but {source} is in {found.unit}; leave the flag out")
    poses = [camera.extrinsics for camera in cameras if camera.extrinsics is not None]
    members = {
        "intrinsics": np.stack([camera.intrinsics for camera in cameras]),
        "extrinsics": np.stack(poses),
    }
    intrinsics = read_intrinsics(source, members, len(names), names)
    extrinsics = read_extrinsics(source, members, len(names), names)
    sizes = [camera.size for camera in cameras if camera.size is not None]
    unit, notes = units or found.unit, list(found.notes)
    if unit is None:
        unit, note = _guessed_unit(extrinsics)
        notes.append(note)
    return Calibration(
        source=source,
        tool=found.tool,
        names=names,
        intrinsics=intrinsics,
        extrinsics=extrinsics,
        distortion=np.stack([camera.distortion for camera in cameras]),
        lenses=[camera.lens for camera in cameras],
        image_size=np.array(sizes, np.float64) if len(sizes) == len(names) else None,
        unit=unit,
        is_unit_known=(units or found.unit) is not None,
        notes=notes,
    )


def _guessed_unit(extrinsics: Floats) -> tuple[str, str]:
    """Return the likely unit, and a line that says why."""
    centres = -np.einsum("vji,vj->vi", extrinsics[:, :, :3], extrinsics[:, :, 3])
    widest = float(np.linalg.norm(centres[:, None] - centres, axis=-1).max())
    unit = "mm" if widest > LARGEST_RIG else "m"
    return unit, (
        f"the calibration does not say its unit: the cameras are up to {widest:.4g} apart, so"
        f" {unit} is assumed; --units sets it"
    )
