"""Lifted points as they are written and shown: of a result, or read from a `points3d.npz`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import ArchiveError, DataError
from pose_obj_3d.common.safe_reading.safe_npz import Archive
from pose_obj_3d.lifting.result import LiftResult

Floats = npt.NDArray[np.float64]
Members = dict[str, npt.NDArray[Any]]
KEYS = (
    *("points", "covariance", "is_measured", "weights", "noise_px", "camera_names"),
    *("keypoint_names", "sequence_starts", "units", "fps", "method"),
)


@dataclass(frozen=True)
class LiftedPoints:
    """Lifted points of T frames and K keypoints, from V cameras.

    Attributes:
        points: (T, K, 3) in `units`, in the world of the cameras; NaN where nothing is known.
        covariance: (T, K, 3, 3) of the points, in `units` squared; NaN where nothing is claimed.
        is_measured: (T, K) True where detections of the frame itself support the point.
        weights: (V, T, K) weight of each detection; 0 = missing or an outlier.
        noise_px: (V,) standard deviation of each camera's detections [px].
        camera_names: V names.
        keypoint_names: K names.
        sequence_starts: First frame of each sequence, ascending from 0.
        units: `m` or `mm`.
        fps: Frames a second.
        method: How the points were found.
    """

    points: Floats
    covariance: Floats
    is_measured: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float32]
    noise_px: Floats
    camera_names: list[str]
    keypoint_names: list[str]
    sequence_starts: list[int]
    units: str
    fps: float
    method: str

    @property
    def deviation(self) -> Floats:
        """(T, K, 3) standard deviations along x, y, z."""
        variance = np.diagonal(self.covariance, axis1=-2, axis2=-1)
        return np.asarray(np.sqrt(np.clip(variance, 0, None)))

    @property
    def camera_counts(self) -> npt.NDArray[np.int64]:
        """(T, K) numbers of cameras whose detections were used."""
        return np.asarray(np.count_nonzero(self.weights > 0, axis=0))

    def sequences(self) -> Iterator[slice]:
        """Give the frames of each sequence."""
        ends = [*self.sequence_starts[1:], len(self.points)]
        for start, end in zip(self.sequence_starts, ends, strict=True):
            yield slice(start, end)


def points_of(result: LiftResult) -> LiftedPoints:
    """Take the points of a result."""
    return LiftedPoints(**{key: getattr(result, key) for key in KEYS})


def read_points(path: Path) -> LiftedPoints:
    """Read a `points3d.npz`.

    Raises:
        DataError: It is no such file, or damaged.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; `python -m pose_obj_3d.lift` writes points3d.npz")
    try:
        with Archive(path) as archive:
            missing = [key for key in KEYS if key not in archive.names]
            if missing:
                raise DataError(
                    f"{path}: key {missing[0]!r} is missing; give a points3d.npz that `python -m"
                    " pose_obj_3d.lift` wrote"
                )
            members = {key: archive.read(key) for key in KEYS}
    except ArchiveError as error:
        raise DataError(
            f"{path}: cannot be read ({error}); give a points3d.npz that `python -m"
            " pose_obj_3d.lift` wrote"
        ) from error
    _check_shapes(path, members)
    return LiftedPoints(
        points=members["points"].astype(np.float64),
        covariance=members["covariance"].astype(np.float64),
        is_measured=members["is_measured"].astype(np.bool_),
        weights=members["weights"].astype(np.float32),
        noise_px=members["noise_px"].astype(np.float64),
        camera_names=[str(name) for name in members["camera_names"]],
        keypoint_names=[str(name) for name in members["keypoint_names"]],
        sequence_starts=[int(start) for start in members["sequence_starts"]],
        units=str(members["units"]),
        fps=float(members["fps"]),
        method=str(members["method"]),
    )


def _check_shapes(path: Path, members: Members) -> None:
    """Compare the shapes with each other: a file of this kind may come from anywhere."""
    T, K = (*members["points"].shape, 0, 0)[:2]
    V = members["camera_names"].size
    expected = {
        "points": (T, K, 3),
        "covariance": (T, K, 3, 3),
        "is_measured": (T, K),
        "weights": (V, T, K),
        "noise_px": (V,),
        "keypoint_names": (K,),
        "camera_names": (V,),
        "sequence_starts": (members["sequence_starts"].size,),
        **dict.fromkeys(("units", "fps", "method"), ()),
    }
    for key, shape in expected.items():
        array = members[key]
        is_text = key.endswith("names") or key in ("units", "method")
        if array.shape != shape or (array.dtype.kind in "US") != is_text:
            kind = "text" if is_text else "numbers"
            raise DataError(
                f"{path}: {key} is {array.dtype} {array.shape}, {kind} {shape} is expected; give a"
                " points3d.npz that `python -m pose_obj_3d.lift` wrote"
            )
    starts = members["sequence_starts"]
    if T == 0 or K == 0 or starts.size == 0 or starts[0] != 0 or (np.diff([*starts, T]) < 1).any():
        raise DataError(
            f"{path}: no points, or sequence_starts {str(starts.tolist())[:60]} do not ascend from"
            f" 0 to below {T}; the file is damaged, lift again"
        )
    if not float(members["fps"]) > 0 or str(members["units"]) not in ("m", "mm"):
        raise DataError(
            f"{path}: fps {members['fps']} or units {str(members['units'])[:20]!r}: a positive"
            " number, and m or mm are allowed; the file is damaged, lift again"
        )
