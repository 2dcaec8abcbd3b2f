"""Lift 2D tracks that are in memory: `lift_tracks`, the command `lift` as a function."""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import ConfigError, PoseObj3DError
from pose_obj_3d.lifting.options import LiftOptions
from pose_obj_3d.lifting.pipeline import lift
from pose_obj_3d.lifting.result import LiftResult, result_of
from pose_obj_3d.lifting.track_files.reading import members_of
from pose_obj_3d.lifting.track_files.track_file import TrackFile, tracks_of

SOURCE = "lift_tracks"
_FLAG = re.compile(r"--(?=[a-z])")


def lift_tracks(  # noqa: PLR0913 - one argument for each key of the file and each flag
    points: npt.ArrayLike,
    intrinsics: npt.ArrayLike,
    extrinsics: npt.ArrayLike,
    confidence: npt.ArrayLike | None = None,
    distortion: npt.ArrayLike | None = None,
    units: Literal["m", "mm"] = "m",
    fps: float = 30.0,
    *,
    camera_names: Sequence[str] | None = None,
    keypoint_names: Sequence[str] | None = None,
    image_size: npt.ArrayLike | None = None,
    sequence_starts: Sequence[int] | None = None,
    lens: str | Sequence[str] | None = None,
    truth: npt.ArrayLike | None = None,
    covariance: npt.ArrayLike | None = None,
    views: Sequence[str | int] = (),
    sigma_px: float | Sequence[float] = (),
    train: bool = False,
    checkpoint: str | Path | None = None,
    context: Literal["window", "track"] | None = None,
    epochs: int | None = None,
    patience: int | None = None,
    seed: int = 0,
    keep: Literal["best", "model", "map", "smoother", "triangulation"] = "best",
    bridge_limit: float | None = None,
    gpu: str | int = 0,
    refine: bool = False,
    refine_prior: float | Sequence[float] = (),
    training_folder: str | Path | None = None,
) -> LiftResult:
    """Lift 2D tracks of V calibrated cameras, T frames and K keypoints to 3D, without labels.

    The numbers are those of `python -m pose_obj_3d.lift` for a file with the same arrays. Nothing
    is written (but to `training_folder`), no logging is set up, and no global state changes.
    docs/own_videos.md explains the methods.

    Args:
        points: (V, T, K, 2) detections [px]; NaN = missing.
        intrinsics: (V, 3, 3), OpenCV's camera matrices [px].
        extrinsics: (V, 3, 4) or (V, 4, 4), world to camera, OpenCV axes (x right, y down, z
            forward), lengths in `units`.
        confidence: (V, T, K) in 0..1; 0 = missing. All 1 by default.
        distortion: (V, n) OpenCV's coefficients, n = 4, 5, 8, 12 or 14. None by default.
        units: Unit of the extrinsics, of `truth` and of the result.
        fps: Frames a second.
        camera_names: V names, for messages and the report.
        keypoint_names: K names; a checkpoint finds its keypoints by them.
        image_size: (2,) or (V, 2) width and height [px].
        sequence_starts: First frame of each recording, ascending from 0; one recording by default.
        lens: `pinhole` (default) or `fisheye`, once or for each camera: what `distortion` means.
        truth: (T, K, 3) true points, for the report alone.
        covariance: (V, T, K, 2, 2) of each detection's error, as the detector claims it [px^2]; NaN
            = no claim.
        views: Names or numbers of the cameras to use; all by default.
        sigma_px: Noise of the detections [px], one number or one for each camera; estimated by
            default.
        train: Learn from these tracks, without labels, how the keypoints move.
        checkpoint: `best.pt` of an earlier training.
        context: With `train`: frames that the model sees, 7 (`window`) or all (`track`, default).
        epochs: With `train`: number of epochs; by default it suits the number of frames.
        patience: With `train`: epochs without a better validation value before it stops (20); 0 =
            it never stops early.
        seed: With `train`: seed of the weights and of the order.
        keep: The result to keep; `best` lets left-out detections decide.
        bridge_limit: Largest standard deviation of a point between measurements, in `units`;
            beyond it the point is NaN. By default 2 to 3 % of the distance to the cameras.
        gpu: CUDA device number; the CPU where there is none.
        refine: Adjust the cameras by the tracks themselves, if held-out frames are then predicted
            better; `report.refinement` says what has changed.
        refine_prior: With `refine`: how well the cameras are known, as standard deviations: of
            their orientation [degrees], and of their focal length [%]. By default 0.5 and 1.
        training_folder: With `train`: where `best.pt` and logs are kept; nowhere by default.

    Raises:
        PoseObj3DError: An argument is not what it must be, or nothing can be lifted; one line
            names the argument and says what to do.
    """
    try:
        file = _track_file(
            {
                "points": points,
                "intrinsics": intrinsics,
                "extrinsics": extrinsics,
                "confidence": confidence,
                "distortion": distortion,
                "units": units,
                "fps": fps,
                "camera_names": camera_names,
                "keypoint_names": keypoint_names,
                "image_size": image_size,
                "sequence_starts": sequence_starts,
                "lens": lens,
                "truth": truth,
                "covariance": covariance,
            },
            views,
        )
        options = LiftOptions(
            train=train,
            checkpoint=None if checkpoint is None else Path(checkpoint),
            sigma_px=_numbers("sigma_px", sigma_px),
            context=context,
            epochs=epochs,
            patience=patience,
            seed=seed,
            keep=keep,
            bridge_limit=bridge_limit,
            gpu=str(gpu),
            refine=refine,
            refine_prior=_numbers("refine_prior", refine_prior),
        )
        return _lifted(file, options, training_folder)
    except PoseObj3DError as error:
        raise type(error)(_named(str(error))) from error


def _track_file(values: dict[str, object], views: Sequence[str | int]) -> TrackFile:
    return tracks_of(members_of(SOURCE, values), SOURCE, None, [str(view) for view in views])


def _numbers(name: str, value: float | Sequence[float]) -> tuple[float, ...]:
    try:
        return tuple(np.asarray(value, np.float64).ravel().tolist())
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} {str(value)[:40]}: allowed: numbers") from error


def _lifted(file: TrackFile, options: LiftOptions, folder: str | Path | None) -> LiftResult:
    if options.train and folder is None:
        with tempfile.TemporaryDirectory() as temporary:
            return _lifted(file, options, temporary)
    result = result_of(lift(file, options, None if folder is None else Path(folder)))
    warnings = [_named(line) for line in result.warnings]
    notes = [_named(line) for line in result.report.notes]
    report = replace(result.report, warnings=warnings, notes=notes)
    return replace(result, warnings=warnings, report=report)


def _named(line: str) -> str:
    """Name arguments instead of flags."""
    return _FLAG.sub("", line)
