"""Cameras of files that OpenCV's FileStorage, its samples and their users write.

No format is fixed: OpenCV stores named matrices. So keys are found by their usual names. A file may
have one camera; or several, as mappings of their own (`cam0: {K: ...}`) or with numbered keys
(`K_01`, `M1`). A stereo pair has `R` and `T`, from the first camera to the second. A folder has one
file for each camera, or a file with the intrinsics and one with the poses.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.importing.calibrations.opencv_values import SUFFIXES, read_values
from pose_obj_3d.importing.calibrations.types import Camera, CameraFile
from pose_obj_3d.importing.calibrations.values import camera, numbers

MAX_FILES = 1000
# Lower case, without "_" and "-". The first that is there counts.
_KEYS = {
    "matrix": (
        *("cameramatrix", "k", "m", "mtx", "intrinsics", "intrinsic", "intrinsicmatrix"),
        *("cameraintrinsics", "intrinsicsmatrix", "cammatrix", "matrix"),
    ),
    "distortion": (
        *("distortioncoefficients", "distcoeffs", "distcoeff", "d", "dist", "distortion"),
        *("distortions", "distcoefs", "distortioncoeffs"),
    ),
    "rotation": ("rot", "r", "rotationmatrix", "rotation", "rvec", "rotationvector"),
    "translation": ("t", "tvec", "translation", "translationvector", "trans"),
    "pose": ("extrinsics", "extrinsic", "extrinsicmatrix", "rt", "tcamworld", "worldtocamera"),
    "size": ("imagesize", "size", "resolution", "imgsize"),
    "width": ("imagewidth", "width", "w", "imgwidth"),
    "height": ("imageheight", "height", "h", "imgheight"),
    "lens": ("fisheyemodel", "fisheye", "distortionmodel", "lens", "cameramodel"),
    "name": ("cameraname", "name"),
}
_MEANING = {key: (meaning, i) for meaning, keys in _KEYS.items() for i, key in enumerate(keys)}
_FISHEYE_NAMES = ("fisheye", "equidistant", "kannala_brandt", "kannalabrandt")
_PINHOLE_NAMES = ("pinhole", "plumb_bob", "radtan", "rational_polynomial", "brown")
_PAIRS = (("intri", "extri"), ("intrinsics", "extrinsics"), ("intrinsic", "extrinsic"))
_STEREO_SIDES = ("left", "right")

Values = dict[str, Any]


def read_opencv(path: Path) -> CameraFile:
    """Read a file, or a folder of files.

    Raises:
        DataError: A file is damaged, or nothing in it looks like a camera.
    """
    notes: list[str] = []
    if path.is_dir():
        cameras = _folder(path, notes)
    else:
        cameras = _cameras(path, read_values(path), path.stem)
    if not cameras:
        raise DataError(
            f"{path}: no camera matrix in it; needed is a key such as camera_matrix or K"
        )
    return CameraFile(str(path), "OpenCV", cameras, None, notes)


def opencv_files(folder: Path) -> list[Path]:
    """Return the files of a folder that may be OpenCV's: the pair of intrinsics and poses, or all.

    Raises:
        DataError: There are too many.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    if len(files) > MAX_FILES:
        raise DataError(f"{folder}: has {len(files)} files; at most {MAX_FILES} are read")
    stems = {path.stem.lower(): path for path in files}
    for pair in _PAIRS:
        if set(pair) <= stems.keys():
            return [stems[name] for name in pair]
    return files


def _folder(folder: Path, notes: list[str]) -> list[Camera]:
    files = opencv_files(folder)
    read = {path: read_values(path) for path in files}
    if {path.stem.lower() for path in files} in [set(pair) for pair in _PAIRS]:
        merged: Values = {}
        for path, values in read.items():
            twice = sorted((merged.keys() & values.keys()) - {"names"})
            if twice:
                raise DataError(f"{path}: the key {twice[0][:60]!r} is in {files[0].name}, too")
            merged.update(values)
        return _cameras(folder, merged, folder.name)
    cameras: list[Camera] = []
    for path, values in read.items():
        found = _cameras(path, values, path.stem)
        cameras += found
        if not found:
            notes.append(f"{path.name} has no camera matrix: it is left out")
    return cameras


def _cameras(path: Path, values: Values, default: str) -> list[Camera]:
    """Return the cameras of a file's values; none where there is no camera matrix."""
    own = _meanings(values)
    if "matrix" in own and not _several(own["matrix"]):
        return [_camera(path, str(own.get("name", default)), own)]
    nested = _nested(values)
    if nested:
        return [
            _camera(path, str(found.get("name", name)), found)
            for name, found in nested.items()
            if "matrix" in found
        ]
    numbered = {name: of for name, of in _numbered(values).items() if "matrix" in of}
    if len(numbered) == 2 and {"rotation", "translation"} <= own.keys():
        first, second = numbered.values()
        for of in (first, second):  # R1 and R2 turn rectified images
            of.pop("rotation", None)
            of.pop("translation", None)
        first.update(rotation=np.eye(3), translation=np.zeros(3))
        second.update(rotation=own["rotation"], translation=own["translation"])
    for of in numbered.values():
        for meaning in ("size", "width", "height", "lens"):
            if meaning in own:
                of.setdefault(meaning, own[meaning])
    return [_camera(path, name, of) for name, of in numbered.items()]


def _several(value: Any) -> bool:
    return isinstance(value, dict) or not np.size(value) or np.size(value) > 9


def _meanings(values: Values) -> Values:
    """Return what the usual keys mean -> value."""
    best: dict[str, tuple[int, Any]] = {}
    for key, value in values.items():
        meaning, order = _MEANING.get(_plain(key), ("", 0))
        if meaning and (meaning not in best or order < best[meaning][0]):
            best[meaning] = (order, value)
    return {meaning: value for meaning, (_, value) in best.items()}


def _plain(key: str) -> str:
    return re.sub(r"[_\-\s]", "", key).lower()


def _nested(values: Values) -> dict[str, Values]:
    """Return the cameras that are mappings of their own, or items of a list."""
    found: dict[str, Values] = {}
    for key, value in values.items():
        items = value if isinstance(value, list) else [value]
        for i, item in enumerate(items):
            if isinstance(item, dict):
                name = f"cam{i}" if isinstance(value, list) else key
                means = _meanings(item)
                if "matrix" in means:
                    found[name] = means
                else:
                    found.update(_nested({k: v for k, v in item.items() if isinstance(v, dict)}))
    return found


def _numbered(values: Values) -> dict[str, Values]:
    """Return the cameras of keys such as K_01, M1 or camera_matrix_left, by what ends the key."""
    found: dict[str, Values] = {}
    for key, value in values.items():
        for name, base in _endings(key):
            if _plain(base) in _MEANING:
                found.setdefault(name, {})[base] = value
                break
    return {name: _meanings(of) for name, of in found.items()}


def _endings(key: str) -> list[tuple[str, str]]:
    """Split a key into camera and rest, in each way that is possible."""
    ways = [(side, key[: -len(side)]) for side in _STEREO_SIDES if key.lower().endswith(side)]
    match = re.fullmatch(r"(.*?)[_\-.]?(\d+)", key)
    if match:
        ways.append((match[2], match[1]))
    for place in [i for i, c in enumerate(key) if c in "_-." and 0 < i < len(key) - 1]:
        ways.append((key[place + 1 :], key[:place]))
    return [(name, base) for name, base in ways if base]


def _camera(path: Path, name: str, found: Values) -> Camera:
    where = f"{path}: {name[:80]}"
    values: Values = {
        "matrix": _intrinsics(where, found["matrix"]),
        "distortion": found.get("distortion"),
        "rotation": found.get("rotation"),
        "translation": found.get("translation"),
        "fisheye": _is_fisheye(where, found.get("lens")),
        "size": found.get("size"),
    }
    if values["size"] is None and {"width", "height"} <= found.keys():
        values["size"] = [found["width"], found["height"]]
    if "pose" in found:
        rows = numbers(f"{where}: extrinsics", found["pose"])
        if rows.size not in (12, 16):
            raise DataError(
                f"{where}: extrinsics must be [R | t], 3 x 4 or 4 x 4, found {rows.size} numbers"
            )
        rows = rows.reshape(-1, 4)
        values.update(rotation=rows[:3, :3], translation=rows[:3, 3])
    return camera(str(path), name, values)


def _intrinsics(where: str, value: Any) -> Any:
    """Return the matrix of fx fy cx cy, or the matrix as it is."""
    found = numbers(f"{where}: matrix", value)
    if found.size == 4:
        return [[found[0], 0, found[2]], [0, found[1], found[3]], [0, 0, 1]]
    return found


def _is_fisheye(where: str, value: Any) -> bool:
    text = str(value).strip().lower()
    if value is None or text in ("0", "false", "0.0", *_PINHOLE_NAMES):
        return False
    if text in ("1", "true", "1.0", *_FISHEYE_NAMES):
        return True
    allowed = ", ".join((*_PINHOLE_NAMES, *_FISHEYE_NAMES))
    raise DataError(f"{where}: lens {text[:40]!r} is unknown; allowed: {allowed}")
