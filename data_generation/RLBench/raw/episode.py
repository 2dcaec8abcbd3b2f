"""One episode as arrays, and its files as bytes. Knows formats, not folders."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.raw import images as image_files
from data_generation.RLBench.raw import layout
from data_generation.RLBench.raw.episode_key import EpisodeKey

SEGMENTATION_NAMES = "segmentation_names"
"""Key of `episode.json`: id in segmentation images, as text -> name, each its own."""

STATE_DIM = 8
"""Numbers of a state or an action: seven joints or a pose (3 + 4), then the gripper."""
ROBOT_STATE = "robot_state"
"""Key of `episode.json`: name of a reading -> how many columns of the file of this name it has."""
Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """A camera's calibration at one image size, OpenCV convention.

    Attributes:
        image_size: width, height [px].
        intrinsics: (3, 3).
        extrinsics: (3, 4) world to camera, or (T, 3, 4) of a camera that moves.
    """

    image_size: tuple[int, int]
    intrinsics: Float
    extrinsics: Float

    def to_json(self) -> dict[str, Any]:
        """Give plain lists."""
        return {
            "image_size": list(self.image_size),
            "intrinsics": self.intrinsics.tolist(),
            "extrinsics": self.extrinsics.tolist(),
        }


class CameraFilm:
    """What one camera saw, frame by frame, kept as the bytes of the files to be.

    A frame of four cameras takes 2.9 MB as arrays and 0.4 MB so: a long demo fits into memory.
    """

    def __init__(self) -> None:
        self._frames: list[dict[str, bytes]] = []

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._frames)

    def add(
        self,
        rgb: npt.NDArray[np.uint8],
        depth: npt.NDArray[np.float32],
        ids: npt.NDArray[np.integer] | None = None,
        point_cloud: npt.NDArray[np.floating] | None = None,
    ) -> None:
        """Append a frame.

        Args:
            rgb: (H, W, 3).
            depth: (H, W) [m] along the optical axis.
            ids: (H, W) object ids, or None.
            point_cloud: (H, W, 3) [m], world, or None.
        """
        frame = {"rgb": image_files.encode_rgb(rgb), "depth": image_files.encode_depth(depth)}
        if ids is not None:
            frame["seg"] = image_files.encode_ids(ids)
        if point_cloud is not None:
            frame["pcd"] = npy_bytes(point_cloud.astype(np.float32))
        self._frames.append(frame)

    def files(self, camera: str, key: EpisodeKey) -> Iterator[tuple[str, bytes]]:
        """Yield (path inside the task's folder, content) of an episode's images of a camera."""
        for t, frame in enumerate(self._frames):
            for kind, data in frame.items():
                yield layout.image(key, camera, kind, t), data


@dataclass(frozen=True)
class Episode:
    """A successful demo, T frames, K keypoints, V track cameras.

    Attributes:
        info: Further plain facts for `episode.json` (task name, engine, seeds, descriptions ...).
        keypoint_names: K names "<group>/<name>".
        xyz: (T, K, 3) [m], world.
        visibility: (V, T, K) in {0, 0.5, 1}.
        track_cams: V camera names.
        cameras: Calibration of every track camera and every film.
        ee_state: (T, 8) tip position [m], quaternion xyzw, gripper opening 0 to 1.
        actions: registered action -> (T, 8).
        waypoint_frames: (W,) frame at which each waypoint was reached.
        obj_poses: T object annotations, plain values.
        random_seed: entropy and spawn key of the demo's generator.
        films: camera name -> its images.
        robot_state: name of a reading, such as joint_positions -> (T, n); empty where none is kept.
    """

    info: Mapping[str, Any]
    keypoint_names: tuple[str, ...]
    xyz: Float
    visibility: npt.NDArray[np.float32]
    track_cams: tuple[str, ...]
    cameras: Mapping[str, Calibration]
    ee_state: Float
    actions: Mapping[str, Float]
    waypoint_frames: npt.NDArray[np.int64]
    obj_poses: Sequence[Mapping[str, Any]]
    random_seed: tuple[int, ...]
    films: Mapping[str, CameraFilm] = field(default_factory=dict)
    robot_state: Mapping[str, Float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n_frames, n_keypoints = self.xyz.shape[:2]
        expected = {
            "xyz": (n_frames, n_keypoints, 3),
            "visibility": (len(self.track_cams), n_frames, n_keypoints),
            "ee_state": (n_frames, STATE_DIM),
        }
        for name, shape in expected.items():
            value = getattr(self, name)
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(f"{name} must be finite and of shape {shape}, found {value.shape}")
        if len(self.keypoint_names) != n_keypoints or len(self.obj_poses) != n_frames:
            raise ValueError("keypoint names and object poses must match the track's shape")

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return int(self.xyz.shape[0])


def episode_files(key: EpisodeKey, episode: Episode) -> Iterator[tuple[str, bytes]]:
    """Yield (path inside the task's folder, content) of every file but `episode.json`."""
    for cam, film in episode.films.items():
        yield from film.files(cam, key)
    for name, array in episode.actions.items():
        yield layout.actions(key, name), npy_bytes(array)
    yield layout.ee_state(key), npy_bytes(episode.ee_state)
    if episode.robot_state:
        columns = np.concatenate(list(episode.robot_state.values()), axis=1)
        yield layout.robot_state(key), npy_bytes(columns)
    yield layout.waypoints(key), npy_bytes(episode.waypoint_frames)
    yield layout.object_poses(key), json_bytes(list(episode.obj_poses))
    tracks = {
        "names": list(episode.keypoint_names),
        "xyz": episode.xyz.tolist(),
        "cameras": list(episode.track_cams),
        "visibility": episode.visibility.tolist(),
    }
    yield layout.tracks(key), json_bytes(tracks)
    # Entropy and spawn keys may exceed 64 bits, so they are kept as text without pickles.
    yield layout.seed(key), npy_bytes(np.array([str(s) for s in episode.random_seed]))


def segmentation_names(record: Mapping[str, Any]) -> dict[int, str]:
    """Give id -> name of what an episode's segmentation images show; 0 is the background.

    Empty for an episode of an earlier version, whose `episode.json` has no names.
    """
    return {int(k): str(name) for k, name in dict(record.get(SEGMENTATION_NAMES, {})).items()}


def npy_bytes(array: npt.NDArray[Any]) -> bytes:
    """Give the bytes of a `.npy` file, never a pickle."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def json_bytes(value: object) -> bytes:
    """Give JSON text; numbers keep every digit; NaN is refused."""
    return json.dumps(value, allow_nan=False, default=_plain).encode("utf-8")


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
