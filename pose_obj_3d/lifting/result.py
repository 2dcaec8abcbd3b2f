"""What a user gets: 3D points in the unit and the world of the cameras, and what supports them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.whole_files import writing
from pose_obj_3d.lifting.frame_poses import LiftedFrames, lifted_frames, note_on
from pose_obj_3d.lifting.pipeline import Outcome
from pose_obj_3d.lifting.report import Report
from pose_obj_3d.lifting.track_files.members import METRES

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LiftResult:
    """Lifted tracks of T frames and K keypoints, from V cameras.

    Attributes:
        points: (T, K, 3) in `units`, in the world of the extrinsics; NaN where nothing is known.
        covariance: (T, K, 3, 3) of the points, in `units` squared; NaN where nothing is claimed.
        is_measured: (T, K) True where detections of the frame itself support the point; False
            where it is NaN or filled in between measured frames.
        weights: (V, T, K) weight of each detection in the point: 0 = missing or an outlier.
        noise_px: (V,) standard deviation of each camera's detections [px].
        method: How the points were found.
        units: `m` or `mm`.
        fps: Frames a second.
        camera_names: V names.
        keypoint_names: K names.
        sequence_starts: First frame of each sequence.
        warnings: What looks wrong with the data or the result, one line each.
        report: How far the points can be trusted, in numbers.
        intrinsics: (V, 3, 3) camera matrices that the points rest on [px].
        extrinsics: (V, 3, 4) world to camera, in `units`; as given, unless they were adjusted.
        frames: Whole poses, where keypoints are `frames/<name>/origin`, `/x` and `/y`.
    """

    points: Floats
    covariance: Floats
    is_measured: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float32]
    noise_px: Floats
    method: str
    units: str
    fps: float
    camera_names: list[str]
    keypoint_names: list[str]
    sequence_starts: list[int]
    warnings: list[str]
    report: Report
    intrinsics: Floats
    extrinsics: Floats
    frames: LiftedFrames | None = None


def result_of(outcome: Outcome) -> LiftResult:
    """Bring an outcome to the unit and the world of its file."""
    file, data, lifted = outcome.file, outcome.data, outcome.lifted
    scale = METRES[file.unit]
    points = (data.world(lifted.estimate.xyz) / scale).numpy()
    covariance = (lifted.estimate.covariance.double() * (data.unit_m / scale) ** 2).numpy()
    frames = lifted_frames(file.keypoint_names, points, covariance)
    report = outcome.report
    if frames is not None:
        report = replace(report, notes=[*report.notes, note_on(frames)])
    return LiftResult(
        points=points,
        covariance=covariance,
        is_measured=lifted.measured.numpy(),
        weights=lifted.weights.permute(1, 0, 2).numpy(),
        noise_px=data.sigma_px.numpy(),
        method=lifted.name,
        units=file.unit,
        fps=file.fps,
        camera_names=list(file.camera_names),
        keypoint_names=list(file.keypoint_names),
        sequence_starts=list(file.sequence_starts),
        warnings=list(outcome.report.warnings),
        report=report,
        frames=frames,
        intrinsics=file.intrinsics,
        extrinsics=file.extrinsics / [1.0, 1.0, 1.0, scale],
    )


def save_points(path: Path, result: LiftResult) -> None:
    """Write `points3d.npz`; the file is replaced in one step."""
    members: dict[str, Any] = {
        "points": result.points,
        "covariance": result.covariance,
        "is_measured": result.is_measured,
        "weights": result.weights,
        "noise_px": result.noise_px,
        "intrinsics": result.intrinsics,
        "extrinsics": result.extrinsics,
        "keypoint_names": np.array(result.keypoint_names),
        "camera_names": np.array(result.camera_names),
        "sequence_starts": np.array(result.sequence_starts),
        "units": np.array(result.units),
        "fps": np.array(result.fps),
        "method": np.array(result.method),
    }
    if result.frames is not None:
        members |= {
            "frame_names": np.array(result.frames.names),
            "frame_rotation": result.frames.rotation,
            "frame_position": result.frames.position,
            "frame_covariance": result.frames.covariance,
        }
    with writing(path) as file:
        np.savez_compressed(file, **members)
