"""Cameras, pictures, 2D and 3D keypoints as a recording of Rerun's viewer.

Only who shows something imports this module: the package `rerun-sdk` is optional. Lengths are in
metres, pixels are those of the recorded pictures.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rerun as rr
import rerun.blueprint as rrb

from pose_obj_3d.common.whole_files import folder_in_the_making

Floats = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]
GetFrame = Callable[[int, int], Picture | None]  # view, frame

SUFFIX = ".rrd"
FRAME, TIME = "frame", "time"
JPEG_QUALITY = 90
RADIUS_PX = 3.0
RADIUS_PART, PLANE_PART = 0.005, 0.2  # of the distance between the cameras and the points
TRAIL_S, TRAIL_POINTS = 1.0, 12
MAX_TRAIL_POINTS = 5_000_000  # of all trails of a recording
CHI2_95 = 7.815  # of three coordinates
REGION_ALPHA = 110  # of 255
_BLOCK = 4096  # frames that are sent at once


@dataclass(frozen=True)
class Track3D:
    """Points on their way.

    Attributes:
        name: Of the entity below `world`.
        points: (T, K, 3) [m]; NaN = unknown.
        covariance: (T, K, 3, 3) [m^2] for regions that hold 95 %; NaN = not claimed.
        has_trail: Whether the last second is drawn as a line.
        bones: Pairs of keypoints that a line joins.
    """

    name: str
    points: Floats
    covariance: Floats | None = None
    has_trail: bool = False
    bones: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True)
class Track2D:
    """Points in the pictures.

    Attributes:
        name: Of the entity below each camera.
        uv: (V, T, K, 2) [px]; NaN = missing.
        alpha: (V, T, K) 0 to 255: how opaque each one is; opaque when None.
        radius_px: Of the dots.
    """

    name: str
    uv: Floats
    alpha: npt.NDArray[np.uint8] | None = None
    radius_px: float = RADIUS_PX


@dataclass(frozen=True)
class Scene:
    """What is recorded.

    Attributes:
        recording_id: Names the recording.
        camera_names: V names.
        image_sizes: (V, 2) width and height [px].
        intrinsics: (V, 3, 3) [px].
        extrinsics: (V, 3, 4) world to camera [m].
        keypoint_names: K names.
        colours: (K, 3) of 0 to 255.
        tracks_3d: Points in space.
        tracks_2d: Points in the pictures.
        frame_period_s: Seconds between frames.
        starts: First frame of each sequence; trails do not cross from one to the next.
        up: Axis of the world that points up, `z` or `-y` for example.
    """

    recording_id: str
    camera_names: Sequence[str]
    image_sizes: npt.NDArray[np.generic]
    intrinsics: Floats
    extrinsics: Floats
    keypoint_names: Sequence[str]
    colours: npt.NDArray[np.uint8]
    tracks_3d: Sequence[Track3D]
    tracks_2d: Sequence[Track2D]
    frame_period_s: float
    starts: Sequence[int] = field(default=(0,))
    up: str = "z"

    @property
    def length(self) -> int:
        """Number of frames."""
        return len(self.tracks_3d[0].points)

    @property
    def reach(self) -> float:
        """Distance between the cameras and the points [m]; 1 where nothing is known."""
        points = self.tracks_3d[0].points.reshape(-1, 3)
        known = points[np.isfinite(points).all(-1)]
        if len(known) == 0:
            return 1.0
        R, t = self.extrinsics[:, :, :3], self.extrinsics[:, :, 3]
        centres = -np.einsum("vji,vj->vi", R, t)
        return float(np.median(np.linalg.norm(centres - np.median(known, 0), axis=-1))) or 1.0


def save(scene: Scene, get_frame: GetFrame, path: Path) -> None:
    """Write the recording; the file is there when it is complete, and replaces an older one."""
    with folder_in_the_making(path) as folder:
        recording = rr.RecordingStream("keypoint_tracks", recording_id=scene.recording_id)
        recording.save(folder / path.name, default_blueprint=_blueprint(scene))
        _log(recording, scene, get_frame)
        recording.flush()
        recording.disconnect()
        (folder / path.name).replace(path)


def show(scene: Scene, get_frame: GetFrame) -> None:
    """Open Rerun's viewer."""
    recording = rr.RecordingStream("keypoint_tracks")
    recording.spawn(default_blueprint=_blueprint(scene))
    _log(recording, scene, get_frame)
    recording.flush()


def has_display() -> bool:
    """Tell whether a window can be opened."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _camera(name: str) -> str:
    return f"world/cameras/{rr.escape_entity_path_part(name)}"


def _blueprint(scene: Scene) -> rrb.Blueprint:
    """Put the 3D view beside the pictures of all cameras."""
    views = [rrb.Spatial2DView(origin=_camera(name), name=name) for name in scene.camera_names]
    space = rrb.Spatial3DView(origin="world", name="3D")
    return rrb.Blueprint(rrb.Horizontal(space, rrb.Grid(*views)))


def _log(recording: rr.RecordingStream, scene: Scene, get_frame: GetFrame) -> None:
    _log_rig(recording, scene)
    _hide_labels(recording, scene)
    blocks = [
        np.arange(start, min(start + _BLOCK, scene.length))
        for start in range(0, scene.length, _BLOCK)
    ]
    for frames in blocks:
        for track in scene.tracks_3d:
            _send_3d(recording, scene, track, frames)
        for layer in scene.tracks_2d:
            for v in range(len(scene.camera_names)):
                _send_2d(recording, scene, layer, v, frames)
    times = _times(scene, np.arange(scene.length))
    for t in range(scene.length):
        recording.set_time(FRAME, sequence=t)
        recording.set_time(TIME, duration=float(times[t]))
        for v, name in enumerate(scene.camera_names):
            picture = get_frame(v, t)
            if picture is not None:
                image = rr.Image(picture).compress(jpeg_quality=JPEG_QUALITY)
                recording.log(f"{_camera(name)}/image", image)


def _log_rig(recording: rr.RecordingStream, scene: Scene) -> None:
    """Say where the cameras are, and how keypoints are called and coloured."""
    sign, axis = ("-" if scene.up.startswith("-") else ""), scene.up[-1].upper()
    name = f"RIGHT_HAND_{axis}_{'DOWN' if sign else 'UP'}"
    recording.log("world", getattr(rr.ViewCoordinates, name), static=True)
    classes = [
        rr.AnnotationInfo(id=k, label=label, color=scene.colours[k].tolist())
        for k, label in enumerate(scene.keypoint_names)
    ]
    recording.log("world", rr.AnnotationContext(classes), static=True)
    rig = zip(
        scene.camera_names, scene.image_sizes, scene.intrinsics, scene.extrinsics, strict=True
    )
    for name, size, K, E in rig:
        pose = rr.Transform3D(translation=-E[:, :3].T @ E[:, 3], mat3x3=E[:, :3].T)
        lens = rr.Pinhole(
            image_from_camera=K,
            resolution=size,
            camera_xyz=rr.ViewCoordinates.RDF,
            image_plane_distance=PLANE_PART * scene.reach,
        )
        recording.log(_camera(name), pose, lens, static=True)


def _hide_labels(recording: rr.RecordingStream, scene: Scene) -> None:
    """Show a point's name where the mouse is: all names at once would cover pictures and points."""
    for track in scene.tracks_3d:
        points = rr.Points3D.from_fields(show_labels=False)
        recording.log(f"world/{track.name}", points, static=True)
        if track.has_trail:
            lines = rr.LineStrips3D.from_fields(show_labels=False)
            recording.log(f"world/{track.name}/trails", lines, static=True)
    for name in scene.camera_names:
        for layer in scene.tracks_2d:
            hidden = rr.Points2D.from_fields(show_labels=False)
            recording.log(f"{_camera(name)}/{layer.name}", hidden, static=True)


def _times(scene: Scene, frames: npt.NDArray[np.int64]) -> Floats:
    """Give the seconds of frames from the start of the recording."""
    return np.asarray(frames * scene.frame_period_s, np.float64)


def _indexes(scene: Scene, frames: npt.NDArray[np.int64]) -> list[rr.TimeColumn]:
    return [
        rr.TimeColumn(FRAME, sequence=frames),
        rr.TimeColumn(TIME, duration=_times(scene, frames)),
    ]


def _send_3d(
    recording: rr.RecordingStream, scene: Scene, track: Track3D, frames: npt.NDArray[np.int64]
) -> None:
    xyz = track.points[frames]
    known = np.isfinite(xyz).all(-1)  # (t, K)
    ids = np.nonzero(known)[1].astype(np.uint16)
    indexes, entity = _indexes(scene, frames), f"world/{track.name}"
    radii = np.full(len(ids), RADIUS_PART * scene.reach, np.float32)
    points = rr.Points3D.columns(positions=xyz[known], class_ids=ids, radii=radii)
    recording.send_columns(entity, indexes, points.partition(known.sum(1)))
    if track.covariance is not None:
        _send_regions(recording, scene, track, frames)
    if track.has_trail:
        _send_trails(recording, scene, track, frames)
    if track.bones:
        pairs = np.array(track.bones)
        ends = xyz[:, pairs]  # (t, B, 2, 3)
        drawn = np.isfinite(ends).all((-1, -2))
        lines = rr.LineStrips3D.columns(strips=list(ends[drawn]))
        recording.send_columns(f"{entity}/bones", indexes, lines.partition(drawn.sum(1)))


def _send_regions(
    recording: rr.RecordingStream, scene: Scene, track: Track3D, frames: npt.NDArray[np.int64]
) -> None:
    """Send the ellipsoids that hold 95 % by the claimed covariances."""
    assert track.covariance is not None
    xyz, covariance = track.points[frames], track.covariance[frames]
    known = np.isfinite(xyz).all(-1) & np.isfinite(covariance).all((-1, -2))
    half_sizes, quaternions = ellipsoids(covariance[known])
    ids = np.nonzero(known)[1]
    alpha = np.full((len(ids), 1), REGION_ALPHA, np.uint8)
    regions = rr.Ellipsoids3D.columns(
        centers=xyz[known],
        half_sizes=half_sizes,
        quaternions=quaternions,
        colors=np.concatenate([scene.colours[ids], alpha], 1),
    )
    entity = f"world/{track.name}/regions_95"
    recording.send_columns(entity, _indexes(scene, frames), regions.partition(known.sum(1)))


def ellipsoids(covariance: Floats) -> tuple[Floats, Floats]:
    """Give half axes (n, 3) and quaternions (n, 4; x y z w) of regions that hold 95 %."""
    values, axes = np.linalg.eigh(covariance)
    axes[np.linalg.det(axes) < 0, :, 0] *= -1  # a rotation, no mirror image
    half_sizes = np.sqrt(CHI2_95 * np.clip(values, 0, None))
    # The quaternion of a rotation R is the main eigenvector of this matrix (Bar-Itzhack, 2000).
    R = axes
    K = np.zeros((len(R), 4, 4))
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        K[:, i, i] = R[:, i, i] - R[:, j, j] - R[:, k, k]
        K[:, i, j] = K[:, j, i] = R[:, i, j] + R[:, j, i]
        K[:, i, 3] = K[:, 3, i] = R[:, k, j] - R[:, j, k]
    K[:, 3, 3] = np.trace(R, axis1=1, axis2=2)
    return half_sizes, np.linalg.eigh(K)[1][..., -1]


def _send_trails(
    recording: rr.RecordingStream, scene: Scene, track: Track3D, frames: npt.NDArray[np.int64]
) -> None:
    """Send the last second of each point as a line."""
    strips, ids, counts = [], [], []
    for t in frames.tolist():
        found = list(_trails(scene, track.points, t))
        counts.append(len(found))
        ids += [k for k, _ in found]
        strips += [strip for _, strip in found]
    lines = rr.LineStrips3D.columns(strips=strips, class_ids=np.array(ids, np.uint16))
    entity = f"world/{track.name}/trails"
    recording.send_columns(entity, _indexes(scene, frames), lines.partition(counts))


def _trails(scene: Scene, points: Floats, t: int) -> Iterator[tuple[int, Floats]]:
    """Give each keypoint's number and the line (n, 3) that leads to frame t."""
    first = max(start for start in scene.starts if start <= t)
    count = int(np.clip(MAX_TRAIL_POINTS // max(points[..., 0].size, 1), 3, TRAIL_POINTS))
    begin = max(first, t - max(2, round(TRAIL_S / scene.frame_period_s)))
    rows = np.unique(np.linspace(begin, t, count).round().astype(int))
    part = points[rows]
    is_known = np.isfinite(part).all(-1)
    for k in np.flatnonzero(is_known[-1] & (is_known.sum(0) > 1)):
        yield int(k), part[is_known[:, k], k]


def _send_2d(
    recording: rr.RecordingStream,
    scene: Scene,
    layer: Track2D,
    view: int,
    frames: npt.NDArray[np.int64],
) -> None:
    uv = layer.uv[view, frames]
    known = np.isfinite(uv).all(-1)
    if layer.alpha is not None:
        known &= layer.alpha[view, frames] > 0
    ids = np.nonzero(known)[1]
    alpha = np.full(len(ids), 255) if layer.alpha is None else layer.alpha[view, frames][known]
    points = rr.Points2D.columns(
        positions=uv[known],
        colors=np.concatenate([scene.colours[ids], alpha[:, None]], 1).astype(np.uint8),
        radii=np.full(len(ids), layer.radius_px, np.float32),
        class_ids=ids.astype(np.uint16),
    )
    entity = f"{_camera(scene.camera_names[view])}/{layer.name}"
    recording.send_columns(entity, _indexes(scene, frames), points.partition(known.sum(1)))
