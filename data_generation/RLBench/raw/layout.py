"""Every path of a raw data set. Only this module knows how folders and files are named.

    dataset.json                   what the data set was made with
    .lock                          held by the run that writes, or by all shards that do
    .shards/                       what shards were begun with, and their accounts, until the report
    report.json                    the account of the last run
    dataset_stats.json             statistics of the last conversion
    inspection/                    pictures and page of the last inspection
    <train|test>/<task id>/
        variation_numbers.npy      the variations that were asked for
        episodes/<v>/<e>/episode.json      written last: without it the episode does not exist
        obs/<camera>/<v>/<e>_rgb_<t>.png, <e>_depth_<t>.png
        obs_segmentations/<camera>/<v>/<e>_seg_<t>.png
        pt_clouds/<camera>/<v>/<e>_pcd_<t>.npy
        actions/<action>/<v>/<e>_actions.npy
        ee_state/<v>/<e>_ee_state.npy
        robot_state/<v>/<e>_robot_state.npy
        waypoints/<v>/actual_waypoints_ts_<e>.npy
        obj_poses/<v>/<e>_obj_poses.json
        traj_keypoints/<v>/<e>_traj_keypoints.json
        seeds/<v>/<e>_seed.npy
        .staging/<v>_<e>/          files of an episode that is being written

<v> is the variation, <e> the example, <t> the frame. Names of an episode's files are given
relative to the task's folder, as `episode.json` lists them.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from data_generation.RLBench.raw.episode_key import EpisodeKey

MODES = ("train", "test")
MARKER = "dataset.json"
LOCK = ".lock"
REPORT = "report.json"
SHARDS = ".shards"
STATISTICS = "dataset_stats.json"
INSPECTION = "inspection"
VARIATIONS = "variation_numbers.npy"
IMAGE_SUFFIX = ".png"

_BULKY = ("obs/", "obs_segmentations/", "pt_clouds/")
_TRACKS = "traj_keypoints/"
_STAGING = ".staging"
_IMAGES = {
    "rgb": "obs/{camera}/{variation}/{example}_rgb_{frame}.png",
    "depth": "obs/{camera}/{variation}/{example}_depth_{frame}.png",
    "seg": "obs_segmentations/{camera}/{variation}/{example}_seg_{frame}.png",
    "pcd": "pt_clouds/{camera}/{variation}/{example}_pcd_{frame}.npy",
}
RGB_PATTERN = "{task}/" + _IMAGES["rgb"]
"""Where the pictures of all tasks lie, relative to the folder of a mode."""
MASK_PATTERN = "{task}/" + _IMAGES["seg"]
"""Where the segmentation images lie, as `RGB_PATTERN`."""
_OF_CAMERAS_AND_ACTIONS = ("obs", "obs_segmentations", "pt_clouds", "actions")
_OTHERS = ("ee_state", "robot_state", "obj_poses", "traj_keypoints", "seeds")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")  # as folders are named


def mode_dir(root: Path, mode: str) -> Path:
    """Give the folder of a mode (train or test)."""
    return root / mode


def task_dir(root: Path, mode: str, task_id: int) -> Path:
    """Give the folder of a task."""
    return mode_dir(root, mode) / str(task_id)


def task_ids(root: Path, mode: str) -> list[int]:
    """List the tasks that have a folder."""
    folders = (path.name for path in mode_dir(root, mode).glob("*"))
    return sorted(int(name) for name in folders if _NUMBER.fullmatch(name))


# --- one episode; all names are relative to the task's folder ---


def record(key: EpisodeKey) -> str:
    """Name `episode.json`, the file that makes an episode exist."""
    return _record(key.variation, key.example)


def _record(variation: int | str, example: int | str) -> str:
    return f"episodes/{variation}/{example}/episode.json"


def image(key: EpisodeKey, camera: str, kind: str, frame: int) -> str:
    """Name an image, or a point cloud; `kind` is rgb, depth, seg or pcd."""
    names = {"camera": camera, "variation": key.variation, "example": key.example, "frame": frame}
    return _IMAGES[kind].format(**names)


def actions(key: EpisodeKey, name: str) -> str:
    """Name the actions of one kind, such as `abs_joint_position`."""
    return f"actions/{name}/{key.variation}/{key.example}_actions.npy"


def ee_state(key: EpisodeKey) -> str:
    """Name the states of the arm's tip."""
    return f"ee_state/{key.variation}/{key.example}_ee_state.npy"


def robot_state(key: EpisodeKey) -> str:
    """Name the readings of joints and hand."""
    return f"robot_state/{key.variation}/{key.example}_robot_state.npy"


def waypoints(key: EpisodeKey) -> str:
    """Name the frames at which waypoints were reached."""
    return f"waypoints/{key.variation}/actual_waypoints_ts_{key.example}.npy"


def object_poses(key: EpisodeKey) -> str:
    """Name the annotations of objects."""
    return f"obj_poses/{key.variation}/{key.example}_obj_poses.json"


def tracks(key: EpisodeKey) -> str:
    """Name the keypoint tracks."""
    return f"{_TRACKS}{key.variation}/{key.example}_traj_keypoints.json"


def seed(key: EpisodeKey) -> str:
    """Name the seed of the episode's generator."""
    return f"seeds/{key.variation}/{key.example}_seed.npy"


def small_files(key: EpisodeKey) -> tuple[str, ...]:
    """Name files that every episode has; they go last when one is removed."""
    return ee_state(key), object_poses(key), tracks(key), seed(key), waypoints(key)


def is_tracks(name: str) -> bool:
    """Tell whether a file holds keypoint tracks."""
    return name.startswith(_TRACKS)


def is_bulky(name: str) -> bool:
    """Tell whether a file is an image or a point cloud."""
    return name.startswith(_BULKY)


def files_of(folder: Path, key: EpisodeKey) -> Iterator[Path]:
    """Yield every file in a task's folder that carries an episode's numbers, but its record."""
    v, e = key.variation, key.example
    patterns = [f"{kind}/*/{v}/{e}_*" for kind in _OF_CAMERAS_AND_ACTIONS]
    patterns += [f"{kind}/{v}/{e}_*" for kind in _OTHERS]
    for pattern in (*patterns, waypoints(key)):
        yield from list(folder.glob(pattern))


# --- what lies in a task's folder ---


def records(folder: Path) -> Iterator[tuple[Path, tuple[int, int] | None]]:
    """Yield every `episode.json` with its variation and example; None where a name is no number."""
    for path in folder.glob(_record("*", "*")):
        names = path.parts[-3], path.parts[-2]
        is_ours = all(map(_NUMBER.fullmatch, names))
        yield path, (int(names[0]), int(names[1])) if is_ours else None


def staging(folder: Path, key: EpisodeKey) -> Path:
    """Give the folder where an episode's files are written before they are moved."""
    return folder / _STAGING / f"{key.variation}_{key.example}"


def staged(folder: Path) -> Iterator[tuple[Path, EpisodeKey]]:
    """Yield the folders of episodes that are being written, or whose writer was killed."""
    for path in folder.glob(f"{_STAGING}/*_*"):
        names = (folder.name, *path.name.split("_")[::-1])
        if len(names) == 3 and all(map(_NUMBER.fullmatch, names)):
            yield path, EpisodeKey(*map(int, names))


def tracks_without_record(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield variation, example and missing `episode.json` of tracks that do not belong to one."""
    busy = {path.name for path, _ in staged(folder)}
    for path in sorted(folder.glob(f"{_TRACKS}*/*_traj_keypoints.json")):
        variation, example = path.parent.name, path.name.partition("_")[0]
        name = _record(variation, example)
        if f"{variation}_{example}" not in busy and not (folder / name).exists():
            yield variation, example, name
