"""The features of an exported LeRobot data set: names, types, shapes, and values of an episode."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.exporting.episodes import ExportEpisode, Selection
from pose_obj_3d.common import lerobot_names as names
from rlbench.const import DEMO_DT

Feature = dict[str, Any]
Array = npt.NDArray[Any]
FPS = round(1 / DEMO_DT)
POSE = ["x", "y", "z", "qx", "qy", "qz", "qw"]
STATE, EE_STATE, ACTION = "observation.state", "observation.ee_state", "action"
INDICES = ("frame_index", "episode_index", "index", "task_index")
JOINTS = "joint_positions"


def features(selection: Selection, images: str) -> dict[str, Feature]:
    """Give every feature with type, shape and names.

    Args:
        selection: The episodes.
        images: video, png, or none.
    """
    found: dict[str, Feature] = {}
    for camera in selection.cams if images != "none" else ():
        found[names.IMAGE.format(camera=camera)] = _image(selection.image_size[camera], images)
    found[STATE] = _vector(_state_names(selection))
    found[EE_STATE] = _vector([*POSE, "gripper_open"])
    found[ACTION] = _vector(_action_names(selection.action))
    keypoints = list(selection.all_keypoints)
    found[names.XYZ] = _numbers((len(keypoints), 3), {"keypoints": keypoints, "axes": list("xyz")})
    for camera in selection.track_cams:
        found[names.UV.format(camera=camera)] = _numbers(
            (len(keypoints), 2), {"keypoints": keypoints, "axes": list("uv")}
        )
        found[names.VISIBILITY.format(camera=camera)] = _vector(keypoints)
    for camera in selection.cameras:
        size = {"image_size": list(selection.image_size[camera])}
        found[names.INTRINSICS.format(camera=camera)] = {**_numbers((3, 3), None), "info": size}
        found[names.EXTRINSICS.format(camera=camera)] = _numbers((3, 4), None)
    found["timestamp"] = _numbers((1,), None)
    for name in INDICES:
        found[name] = {"dtype": "int64", "shape": [1], "names": None}
    return found


def _vector(labels: list[str]) -> Feature:
    return _numbers((len(labels),), labels)


def _numbers(shape: tuple[int, ...], labels: object) -> Feature:
    return {"dtype": "float32", "shape": list(shape), "names": labels}


def _image(size: tuple[int, int], images: str) -> Feature:
    width, height = size
    feature: Feature = {
        "dtype": "video" if images == "video" else "image",
        "shape": [height, width, 3],
        "names": ["height", "width", "channels"],
    }
    if images == "video":
        feature["info"] = {
            "video.height": height,
            "video.width": width,
            "video.codec": "h264",
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": FPS,
            "video.channels": 3,
            "has_audio": False,
        }
    return feature


def _state_names(selection: Selection) -> list[str]:
    """Name the numbers of the state: joints where all episodes have them, else the tip's pose."""
    n = selection.shared_readings.get(JOINTS)
    return [*(f"joint_{i}" for i in range(n)), "gripper_open"] if n else [*POSE, "gripper_open"]


def _action_names(action: str) -> list[str]:
    if action.endswith("ee_pose"):
        return [*POSE, "gripper_open"]
    return [*(f"joint_{i}" for i in range(7)), "gripper_open"]


def values(episode: ExportEpisode, selection: Selection) -> dict[str, Array]:
    """Give the numbers of an episode by feature, (T, ...) each; images are not among them.

    Keypoints that the episode's task does not have are NaN, and their visibility is 0.
    """
    T = episode.facts.n_frames
    opening = episode.ee_state[:, 7:]
    found: dict[str, Array] = {STATE: episode.ee_state}
    if selection.shared_readings.get(JOINTS):
        found[STATE] = np.concatenate([episode.readings[JOINTS], opening], axis=1)
    found[EE_STATE], found[ACTION] = episode.ee_state, episode.action
    place = {name: i for i, name in enumerate(selection.all_keypoints)}
    own = [place[name] for name in episode.tracks.keypoint_names]
    found[names.XYZ] = _spread(episode.tracks.xyz, own, len(place), np.nan)
    for v, camera in enumerate(selection.track_cams):
        found[names.UV.format(camera=camera)] = _spread(episode.uv[v], own, len(place), np.nan)
        seen = episode.tracks.visibility[v]
        found[names.VISIBILITY.format(camera=camera)] = _spread(seen, own, len(place), 0)
    for camera in selection.cameras:
        K = np.broadcast_to(episode.intrinsics(camera), (T, 3, 3))
        found[names.INTRINSICS.format(camera=camera)] = K
        found[names.EXTRINSICS.format(camera=camera)] = episode.extrinsics(camera)
    found["timestamp"] = np.arange(T) / FPS
    found = {name: np.asarray(x, np.float32) for name, x in found.items()}
    frames = np.arange(T)
    task = selection.sentences.index(episode.facts.description)
    indices = (
        frames,
        np.full(T, episode.facts.number),
        frames + episode.facts.first_frame,
        np.full(T, task),
    )
    return found | {n: x.astype(np.int64) for n, x in zip(INDICES, indices, strict=True)}


def _spread(given: Array, places: list[int], count: int, missing: float) -> Array:
    """Put (T, K, ...) into (T, count, ...) at some places."""
    out = np.full((given.shape[0], count, *given.shape[2:]), missing, np.float64)
    out[:, places] = given
    return out


def info(selection: Selection, images: str, files: Mapping[str, int]) -> dict[str, Any]:
    """Give the content of `meta/info.json`; `files`: limits of the sizes of files."""
    n_frames = sum(f.n_frames for f in selection.facts)
    path = "chunk-{chunk_index:03d}/file-{file_index:03d}"
    has_videos = images == "video" and bool(selection.cams)
    return {
        "codebase_version": names.CODEBASE_VERSION,
        "robot_type": selection.robot or None,
        "total_episodes": len(selection.facts),
        "total_frames": n_frames,
        "total_tasks": len(selection.sentences),
        **files,
        "fps": FPS,
        "splits": {"train": f"0:{len(selection.facts)}"},
        "data_path": f"data/{path}.parquet",
        "video_path": f"videos/{{video_key}}/{path}.mp4" if has_videos else None,
        "features": features(selection, images),
    }
