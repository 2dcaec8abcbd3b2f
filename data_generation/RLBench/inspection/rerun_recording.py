"""An episode as a recording of Rerun's viewer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.inspection.pictures import colour_of
from data_generation.RLBench.inspection.sources import Example
from pose_obj_3d.common import rerun_scene
from pose_obj_3d.common.rerun_scene import Scene, Track2D, Track3D
from pose_obj_3d.formal import UV_DETECTED, UV_EXACT, VISIBILITY, XYZ_WORLD

GetFrame = Callable[[Example, int, int], npt.NDArray[np.uint8] | None]  # example, view, frame

HIDDEN_ALPHA = 90  # of 255: hidden points are pale, those outside of a picture left out


def save(example: Example, get_frame: GetFrame, frame_period_s: float, path: Path) -> None:
    """Write the recording of an example; the file is replaced in one step."""
    scene = scene_of(example, frame_period_s)
    rerun_scene.save(scene, lambda v, t: get_frame(example, v, t), path)


def show(example: Example, get_frame: GetFrame, frame_period_s: float) -> None:
    """Open Rerun's viewer on an example."""
    scene = scene_of(example, frame_period_s)
    rerun_scene.show(scene, lambda v, t: get_frame(example, v, t))


def scene_of(example: Example, frame_period_s: float) -> Scene:
    """Collect what is shown: the exact keypoints, and the detected ones where there are any."""
    rig, tracks = example.rig, example.tracks
    state = tracks[..., VISIBILITY]
    alpha = np.where(state == 1, 255, np.where(state > 0, HIDDEN_ALPHA, 0)).astype(np.uint8)
    layers = [Track2D("keypoints", tracks[..., UV_EXACT].astype(np.float64), alpha)]
    detected = tracks[..., UV_DETECTED].astype(np.float64)
    if np.isfinite(detected).any():
        layers.append(Track2D("detected", detected, radius_px=2.0))
    names = example.keypoint_names
    return Scene(
        recording_id=f"{example.section.stem}_{example.number}",
        camera_names=rig.camera_names,
        image_sizes=np.tile(rig.image_size, (len(rig.camera_names), 1)),
        intrinsics=rig.intrinsics,
        extrinsics=rig.extrinsics,
        keypoint_names=names,
        colours=np.array([colour_of(k) for k in range(len(names))], np.uint8),
        tracks_3d=[
            Track3D("keypoints", tracks[0, ..., XYZ_WORLD].astype(np.float64), has_trail=True)
        ],
        tracks_2d=layers,
        frame_period_s=frame_period_s,
    )
