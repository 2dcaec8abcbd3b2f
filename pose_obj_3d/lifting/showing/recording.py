"""Lifted points as a recording of Rerun's viewer."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np

from pose_obj_3d.common.colours import rgb
from pose_obj_3d.common.optional import require
from pose_obj_3d.lifting.showing.frames import Frames
from pose_obj_3d.lifting.showing.skeleton import Bone
from pose_obj_3d.lifting.track_files.members import METRES
from pose_obj_3d.lifting.track_files.track_file import TrackFile
from pose_obj_3d.lifting.writing.points import LiftedPoints
from pose_obj_3d.lifting.writing.support import Support, image_size

EXTRA = "rerun"
_FAINT, _FULL = 110, 255


def check_rerun() -> None:
    """Refuse to go on without the package."""
    require("rerun", EXTRA)


def write_recording(
    path: Path,
    lifted: LiftedPoints,
    file: TrackFile,
    support: Support,
    images: str | None,
    bones: list[Bone],
    up: str | None,
) -> Path:
    """Write cameras, pictures, detections, reprojections and points with their regions.

    Bridged points are faint in the pictures, as are detections that were not used.
    """
    scene = importlib.import_module("pose_obj_3d.common.rerun_scene")
    scale = METRES[lifted.units]
    used = np.where(lifted.weights > 0, _FULL, _FAINT).astype(np.uint8)
    own = np.where(lifted.is_measured, _FULL, _FAINT).astype(np.uint8)
    tracks = [
        scene.Track3D(
            "lifted", lifted.points * scale, lifted.covariance * scale**2, True, tuple(bones)
        )
    ]
    if file.truth is not None:
        tracks.append(scene.Track3D("truth", file.truth))
    made = scene.Scene(
        recording_id=f"lifted_{Path(file.source).stem}",
        camera_names=file.camera_names,
        image_sizes=np.array([image_size(file, v) for v in range(len(file.camera_names))]),
        intrinsics=file.intrinsics,
        extrinsics=file.extrinsics,
        keypoint_names=lifted.keypoint_names,
        colours=np.array([rgb(k) for k in range(len(lifted.keypoint_names))], np.uint8),
        tracks_3d=tracks,
        tracks_2d=[
            scene.Track2D("detected", file.measured, used, radius_px=4.0),
            scene.Track2D("reprojected", support.uv, np.broadcast_to(own, used.shape), 2.0),
        ],
        frame_period_s=1 / lifted.fps,
        starts=lifted.sequence_starts,
        up=up or "z",
    )
    with Frames(images, file.camera_names) as frames:
        scene.save(made, frames.read, path)
    if scene.has_display():
        subprocess.Popen([sys.executable, "-m", "rerun", str(path)], start_new_session=True)  # noqa: S603
    return path
