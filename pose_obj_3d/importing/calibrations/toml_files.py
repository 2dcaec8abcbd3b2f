"""Cameras of anipose, caliscope and Pose2Sim: one toml with a table for each camera.

All have `matrix`, `distortions`, `size`, and the pose world to camera as `rotation` and
`translation`; `fisheye` where the lens is one. They differ in names and units:

- anipose: tables `cam_0`, `cam_1`, ... with `name`; the unit is that of its board.
- Pose2Sim: tables named as the cameras, with `name`; metres.
- caliscope: tables `cameras.0`, or `cam_0` in its older `config.toml`; metres. The rotation may be
  a matrix; a camera without a pose has none.
"""

import tomllib
from pathlib import Path
from typing import Any

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.importing.calibrations.types import Camera, CameraFile
from pose_obj_3d.importing.calibrations.values import camera, read_text

MAX_CAMERAS = 1000
_NOT_CAMERAS = ("metadata", "capture_volume", "charuco", "checkerboard")


def read_toml(path: Path) -> CameraFile:
    """Read a file of one of the three.

    Raises:
        DataError: It is damaged, or has no cameras.
    """
    text = read_text(path)
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise DataError(f"{path}: not valid TOML: {error or type(error).__name__}") from error
    nested = values.get("cameras")
    of_caliscope = isinstance(nested, dict)
    tables = nested if isinstance(nested, dict) else values
    found = {
        key: table
        for key, table in tables.items()
        if isinstance(table, dict)
        and key not in _NOT_CAMERAS
        and ("matrix" in table or "cam_id" in table or "port" in table)
    }
    if not found:
        raise DataError(
            f"{path}: no camera in it; needed are tables with matrix, distortions, rotation and"
            " translation, as anipose, caliscope and Pose2Sim write them"
        )
    if len(found) > MAX_CAMERAS:
        raise DataError(f"{path}: has {len(found)} cameras; at most {MAX_CAMERAS} are read")
    of_caliscope = of_caliscope or any("cam_id" in t or "port" in t for t in found.values())
    cameras: list[Camera] = []
    notes: list[str] = []
    for key, table in found.items():
        name = _name(key, table)
        if table.get("ignore") is True or table.get("matrix") in (None, "null"):
            notes.append(f"camera {name} is marked as ignored, or has no matrix: it is left out")
            continue
        cameras.append(_camera(path, name, table))
    if not cameras:
        raise DataError(f"{path}: {notes[0]}; none is left")
    tool = "caliscope" if of_caliscope else "anipose or Pose2Sim"
    return CameraFile(str(path), tool, cameras, "m" if of_caliscope else None, notes)


def _name(key: str, table: dict[str, Any]) -> str:
    for given, prefix in (("name", ""), ("cam_id", "cam_"), ("port", "port_")):
        value = table.get(given)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value):
            return f"{prefix}{value}"
    return key


def _camera(path: Path, name: str, table: dict[str, Any]) -> Camera:
    def of(key: str) -> Any:
        return None if table.get(key) == "null" else table.get(key)

    fisheye = table.get("fisheye", False)
    if not isinstance(fisheye, bool):
        raise DataError(f"{path}: {name[:80]}: fisheye must be true or false, found {fisheye!r}")
    values = {
        "matrix": of("matrix"),
        "distortion": of("distortions"),
        "rotation": of("rotation"),
        "translation": of("translation"),
        "size": of("size"),
        "fisheye": fisheye,
    }
    return camera(str(path), name, values)
