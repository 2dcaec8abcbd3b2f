"""An episode as a recording of Rerun's viewer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rerun as rr
import rerun.blueprint as rrb

from data_generation.RLBench.inspection.pictures import colour_of
from data_generation.RLBench.inspection.sources import Example
from pose_obj_3d.formal import UV_EXACT, VISIBILITY, XYZ_WORLD

GetFrame = Callable[[Example, int, int], npt.NDArray[np.uint8] | None]  # example, view, frame

JPEG_QUALITY = 90
RADIUS_M, RADIUS_PX = 0.008, 3.0
HIDDEN_ALPHA = 90  # of 255: hidden points are pale, those outside of a picture left out
PLANE_M = 0.3  # distance at which the 3D view shows a camera's picture


def save(example: Example, get_frame: GetFrame, frame_period_s: float, path: Path) -> None:
    """Write the recording of an example."""
    recording = rr.RecordingStream(
        "keypoint_tracks", recording_id=f"{example.section.stem}_{example.number}"
    )
    recording.save(path, default_blueprint=_blueprint(example))
    _log(recording, example, get_frame, frame_period_s)
    recording.flush()
    recording.disconnect()


def show(example: Example, get_frame: GetFrame, frame_period_s: float) -> None:
    """Open Rerun's viewer on an example."""
    recording = rr.RecordingStream("keypoint_tracks")
    recording.spawn(default_blueprint=_blueprint(example))
    _log(recording, example, get_frame, frame_period_s)
    recording.flush()


def _blueprint(example: Example) -> rrb.Blueprint:
    """Put the 3D view beside the pictures of all cameras."""
    views = [
        rrb.Spatial2DView(origin=f"world/cameras/{name}", name=name)
        for name in example.rig.camera_names
    ]
    scene = rrb.Spatial3DView(origin="world", name="3D")
    return rrb.Blueprint(rrb.Horizontal(scene, rrb.Grid(*views)))


def _log(
    recording: rr.RecordingStream, example: Example, get_frame: GetFrame, frame_period_s: float
) -> None:
    colours = np.array([colour_of(k) for k in range(len(example.keypoint_names))], np.uint8)
    _log_rig(recording, example)
    for t in range(example.tracks.shape[1]):
        recording.set_time("frame", sequence=t)
        recording.set_time("time", duration=t * frame_period_s)
        xyz = example.tracks[0, t, :, XYZ_WORLD]
        found = np.flatnonzero(np.isfinite(xyz).all(axis=-1))
        names = [example.keypoint_names[k] for k in found]
        recording.log(
            "world/keypoints",
            rr.Points3D(
                xyz[found],
                radii=RADIUS_M,
                colors=colours[found],
                labels=names,
                show_labels=False,
            ),
        )
        for v, camera in enumerate(example.rig.camera_names):
            picture = get_frame(example, v, t)
            if picture is not None:
                image = rr.Image(picture).compress(jpeg_quality=JPEG_QUALITY)
                recording.log(f"world/cameras/{camera}/image", image)
            _log_points(recording, example, v, t, colours)


def _log_rig(recording: rr.RecordingStream, example: Example) -> None:
    """Say where the cameras are; the world's z points up."""
    recording.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    rig = example.rig
    for name, K, E in zip(rig.camera_names, rig.intrinsics, rig.extrinsics, strict=True):
        place = f"world/cameras/{name}"
        pose = rr.Transform3D(translation=-E[:, :3].T @ E[:, 3], mat3x3=E[:, :3].T)
        lens = rr.Pinhole(
            image_from_camera=K,
            resolution=rig.image_size,
            camera_xyz=rr.ViewCoordinates.RDF,
            image_plane_distance=PLANE_M,
        )
        recording.log(place, pose, lens, static=True)


def _log_points(
    recording: rr.RecordingStream,
    example: Example,
    view: int,
    t: int,
    colours: npt.NDArray[np.uint8],
) -> None:
    """Log the exact 2D keypoints in one picture."""
    uv, state = example.tracks[view, t, :, UV_EXACT], example.tracks[view, t, :, VISIBILITY]
    drawn = np.flatnonzero(np.isfinite(uv).all(axis=-1) & (state > 0))
    alpha = np.where(state == 1, 255, HIDDEN_ALPHA).astype(np.uint8)
    rgba = np.concatenate([colours, alpha[:, None]], axis=-1)[drawn]
    names = [example.keypoint_names[k] for k in drawn]
    recording.log(
        f"world/cameras/{example.rig.camera_names[view]}/keypoints",
        rr.Points2D(uv[drawn], radii=RADIUS_PX, colors=rgba, labels=names, show_labels=False),
    )
