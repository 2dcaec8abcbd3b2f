"""Cameras by subject, of data sets in VideoPose3D's form.

The files of positions hold no cameras. These come from

- VideoPose3D's own `common/h36m_dataset.py`, whose tables are read as text: nothing in it is run;
- a folder with a calibration file for each subject, `S1.toml` and so on; or one calibration for
  all.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.importing.calibrations.reading import read_calibration
from pose_obj_3d.importing.calibrations.values import numbers, read_text
from pose_obj_3d.importing.tracks.views import Floats
from pose_obj_3d.lifting.track_files.members import METRES

MODULE = "h36m_dataset.py"
MAX_CAMERAS = 1000
_MM = 0.001
_STEPS = 20  # of the inversion; each makes the error many times smaller


@dataclass(frozen=True)
class SubjectCamera:
    """One camera as one subject's recordings have it.

    Attributes:
        name: Such as `54138969`.
        intrinsics: (3, 3) [px].
        extrinsics: (3, 4), world to camera, OpenCV's axes [m].
        size: Width and height [px], or None.
        distortion: Radial k1 k2 k3 and tangential p1 p2 of VideoPose3D (5,); or OpenCV's (14,).
        lens: `videopose3d`, or OpenCV's `pinhole` or `fisheye`.
    """

    name: str
    intrinsics: Floats
    extrinsics: Floats
    size: tuple[int, int] | None
    distortion: Floats
    lens: str


VIDEOPOSE3D = "videopose3d"
"""The lens model of Human3.6M as VideoPose3D projects; it differs a little from OpenCV's."""


def find_cameras(path: Path) -> Path | None:
    """Return the cameras' file near a data set, as in a clone of VideoPose3D."""
    here = path.resolve().parent
    folders = (here, here / "common", here.parent / "common")
    return next((f / MODULE for f in folders if (f / MODULE).is_file()), None)


def read_subject_cameras(path: Path, subjects: list[str]) -> dict[str, list[SubjectCamera]]:
    """Read the cameras of each subject.

    Args:
        path: A module of VideoPose3D, a folder with a calibration for each subject, or one
            calibration for all.
        subjects: Their names.

    Raises:
        DataError: It is damaged, or lacks a subject.
    """
    if path.suffix == ".py":
        return _of_module(path, subjects)
    if path.is_dir():
        own = {p.stem if p.is_file() else p.name: p for p in sorted(path.iterdir())}
        names = {subject: _person(subject) for subject in subjects}  # `Train/S1` is of S1
        if any(name in own for name in names.values()):
            absent = [name for name in names.values() if name not in own]
            if absent:
                raise DataError(f"{path}: no calibration of {absent[0]}, such as {absent[0]}.toml")
            read = {name: _of_calibration(own[name]) for name in set(names.values())}
            return {subject: read[name] for subject, name in names.items()}
    shared = _of_calibration(path)
    return dict.fromkeys(subjects, shared)


def _person(subject: str) -> str:
    return subject.rsplit("/", maxsplit=1)[-1]


def _of_calibration(path: Path) -> list[SubjectCamera]:
    found = read_calibration(path)
    poses = found.extrinsics.copy()
    poses[:, :, 3] *= METRES[found.unit]
    sizes = found.image_size
    return [
        SubjectCamera(
            name,
            found.intrinsics[v],
            poses[v],
            None if sizes is None else (int(sizes[v, 0]), int(sizes[v, 1])),
            found.distortion[v],
            found.lenses[v],
        )
        for v, name in enumerate(found.names)
    ]


def _of_module(path: Path, subjects: list[str]) -> dict[str, list[SubjectCamera]]:
    tables = _tables(path)
    inner = next((v for k, v in tables.items() if k.endswith("cameras_intrinsic_params")), None)
    outer = next((v for k, v in tables.items() if k.endswith("cameras_extrinsic_params")), None)
    if not isinstance(inner, list) or not isinstance(outer, dict) or len(inner) > MAX_CAMERAS:
        raise DataError(
            f"{path}: has no tables ..._cameras_intrinsic_params and ..._cameras_extrinsic_params;"
            " give VideoPose3D's common/h36m_dataset.py"
        )
    found = {}
    for subject in subjects:
        poses = outer.get(subject, outer.get(_person(subject)))
        if not isinstance(poses, list) or len(poses) != len(inner) or not all(poses):
            raise DataError(f"{path}: has no cameras of the subject {subject[:40]!r}")
        found[subject] = [
            _camera(f"{path}: camera {v} of {subject}", v, inner[v], pose)
            for v, pose in enumerate(poses)
        ]
    return found


def _tables(path: Path) -> dict[str, Any]:
    """Return the literals that a Python file assigns to names; nothing is run."""
    try:
        tree = ast.parse(read_text(path))
        return {
            target.id: ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name) and target.id.endswith("_params")
        }
    except (SyntaxError, ValueError, RecursionError, MemoryError, TypeError) as error:
        raise DataError(f"{path}: its tables of cameras cannot be read ({error})") from error


def _camera(where: str, v: int, inner: Any, pose: Any) -> SubjectCamera:
    if not isinstance(inner, dict) or not isinstance(pose, dict):
        raise DataError(f"{where} is no table")

    def of(table: Mapping[str, Any], key: str, count: int) -> Floats:
        found = numbers(f"{where}: {key}", table.get(key, []))
        if found.size != count or not np.isfinite(found).all():
            raise DataError(f"{where}: {key} must be {count} numbers, found {found.size}")
        return found

    K = np.eye(3)
    K[[0, 1], [0, 1]] = of(inner, "focal_length", 2)
    K[:2, 2] = of(inner, "center", 2)
    size = of({"size": [inner.get("res_w", 0), inner.get("res_h", 0)]}, "size", 2)
    # The camera's orientation and place in the world, turned around.
    R = _rotation(of(pose, "orientation", 4)).T
    t = -R @ of(pose, "translation", 3) * _MM
    radial, tangential = (
        of(inner, f"{k}_distortion", n) for k, n in (("radial", 3), ("tangential", 2))
    )
    return SubjectCamera(
        str(inner.get("id", f"cam{v}"))[:80],
        K,
        np.concatenate([R, t[:, None]], axis=1),
        (int(size[0]), int(size[1])),
        np.concatenate([radial, tangential]),
        VIDEOPOSE3D,
    )


def _rotation(quaternion: Floats) -> Floats:
    """Return the rotation of a quaternion w x y z."""
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def bent(rays: Floats, distortion: Floats) -> Floats:
    """Distort rays at depth 1 (*, 2) as VideoPose3D does."""
    k, p = distortion[:3], distortion[3:]
    r2 = (rays * rays).sum(-1, keepdims=True)
    radial = 1 + r2 * (k[0] + r2 * (k[1] + r2 * k[2]))
    found: Floats = rays * (radial + (rays * p).sum(-1, keepdims=True)) + p * r2
    return found


def straightened(points: Floats, camera: SubjectCamera) -> Floats:
    """Return pixels (*, 2) as a camera without distortion and of the same intrinsics sees them."""
    focal, centre = camera.intrinsics[[0, 1], [0, 1]], camera.intrinsics[:2, 2]
    measured = (points - centre) / focal
    rays = measured.copy()
    for _ in range(_STEPS):
        rays = rays + (measured - bent(rays, camera.distortion))
    found: Floats = rays * focal + centre
    return found
