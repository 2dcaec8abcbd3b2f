"""Writes demonstrations as RLBench stores them.

`<root>/<task>/variation<v>/episodes/episode<e>/{<camera>_<kind>/<frame>.png, low_dim_obs.pkl}` and
`<root>/<task>/variation<v>/variation_descriptions.pkl`. A part is the folder of an episode.

PerAct's fork of RLBench has one folder `all_variations` in the place of `variation<v>`; there each
episode has its own `variation_descriptions.pkl`, and a `variation_number.pkl`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.errors import ConfigError
from data_generation.RLBench.exporting.episodes import EpisodeFacts, ExportEpisode, Selection
from data_generation.RLBench.exporting.folder import ExportFolder
from data_generation.RLBench.exporting.stored_objects import StoredObject, pickled
from data_generation.RLBench.raw.episode import Float
from data_generation.RLBench.raw.images import encode_rgb
from pose_obj_3d.common.whole_files import write_whole
from rlbench.backend import const
from rlbench.cameras import CAMERAS, intrinsics, pyrep_extrinsics, pyrep_intrinsics
from rlbench.observation_config import LOW_DIM, RLBENCH_CAMERAS

DEMO = ("rlbench.demo", "Demo")
OBSERVATION = ("rlbench.backend.observation", "Observation")
IMAGES = ("rgb", "depth", "mask", "point_cloud")
FAR_AWAY = 65.536
"""Far plane [m] where depth does not end at the camera's own; raw depth ends before it."""
Pixels = npt.NDArray[np.uint8]


class RLBenchExporter:
    """See `exporting.run.Exporter`."""

    def __init__(self, selection: Selection, as_peract: bool = False) -> None:
        """Choose the folders of the episodes.

        Args:
            selection: The episodes.
            as_peract: Write what PerAct's fork reads: all variations of a task together.

        Raises:
            ConfigError: There are images of other cameras only.
        """
        self.settings: Mapping[str, Any] = {"to": "peract" if as_peract else "rlbench"}
        self._as_peract = as_peract
        self._selection = selection
        if not set(selection.cams) & set(RLBENCH_CAMERAS):
            raise ConfigError(
                f"the data set has images of {', '.join(selection.cams)}, and RLBench reads those"
                f" of {', '.join(RLBENCH_CAMERAS)}; generate with them in cams"
            )
        self._places: dict[int, Path] = {}
        counts: dict[Path, int] = {}
        for facts in selection.facts:
            together = self._variation_folder(facts)
            number = counts.get(together, 0)
            counts[together] = number + 1
            self._places[facts.number] = (
                together / const.EPISODES_FOLDER / (const.EPISODE_FOLDER % number)
            )
        self.notes: Sequence[str] = tuple(_notes(selection.cams, as_peract))

    def names(self) -> list[str]:
        """List the folders of the tasks."""
        return list(dict.fromkeys(f.task_name for f in self._selection.facts))

    def place(self, folder: ExportFolder, number: int) -> Path:
        """Give the folder of an episode."""
        return folder.root / self._places[number]

    def write_part(self, episode: ExportEpisode, folder: Path) -> None:
        """Write images and readings of an episode."""
        planes = {}
        width, height = self._selection.image_size[self._selection.cams[0]]
        black = encode_rgb(np.zeros((height, width, 3), np.uint8))
        for camera in RLBENCH_CAMERAS:
            is_there = camera in self._selection.cams
            planes[camera] = _planes(episode, camera, is_there)
            for kind in const.IMAGE_KINDS:
                target = folder / const.image_folder(camera, kind)
                target.mkdir()
                files = _images(episode, camera, kind, planes[camera]) if is_there else None
                for t in range(episode.facts.n_frames):
                    data = black if files is None else next(files, black)
                    (target / (const.IMAGE_FORMAT % t)).write_bytes(data)
        more = {"ignore_collisions": np.array(1.0)} if self._as_peract else {}
        moments = [
            StoredObject(*OBSERVATION, moment | more)
            for moment in _moments(episode, planes, (width, height))
        ]
        seed = [int(number) for number in episode.record["random_seed"]]
        demo: dict[str, Any] = {"_observations": moments, "random_seed": seed}
        demo |= {"variation_number": 0} if self._as_peract else {"num_reset_attempts": None}
        (folder / const.LOW_DIM_PICKLE).write_bytes(pickled(StoredObject(*DEMO, demo)))
        if self._as_peract:
            facts = episode.facts
            (folder / const.VARIATION_NUMBER).write_bytes(pickled(facts.key.variation))
            sentences = pickled(list(facts.descriptions))
            (folder / const.VARIATION_DESCRIPTIONS).write_bytes(sentences)

    def finish(self, folder: ExportFolder) -> None:
        """Write the sentences of each variation, where its episodes have none."""
        for facts in () if self._as_peract else self._selection.facts:
            path = folder.root / self._variation_folder(facts) / const.VARIATION_DESCRIPTIONS
            if not path.exists():
                write_whole(path, pickled(list(facts.descriptions)))

    def _variation_folder(self, facts: EpisodeFacts) -> Path:
        name = const.VARIATIONS_FOLDER % facts.key.variation
        return Path(facts.task_name) / (const.VARIATIONS_ALL_FOLDER if self._as_peract else name)


def _notes(cams: tuple[str, ...], as_peract: bool) -> Iterator[str]:
    """Say which cameras RLBench has and the data set has not, and the other way round."""
    missing = [c for c in RLBENCH_CAMERAS if c not in cams]
    if missing:
        yield (
            f"no images of {', '.join(missing)}: they are black, since RLBench reads all five"
            " cameras; to have them, generate with all five in cams"
        )
    others = [c for c in cams if c not in RLBENCH_CAMERAS]
    if others:
        yield f"images of {', '.join(others)} are left out: RLBench has no such camera"
    if as_peract:
        yield "ignore_collisions is 1 at all moments: the data set does not know it"


def _planes(episode: ExportEpisode, camera: str, is_there: bool) -> tuple[float, float]:
    """Give near and far plane [m] between which depth is stored."""
    spec = CAMERAS[camera]
    if is_there and max(float(depth.max()) for depth in episode.depth(camera)) > spec.far:
        return spec.near, FAR_AWAY
    return spec.near, spec.far


def _images(
    episode: ExportEpisode, camera: str, kind: str, planes: tuple[float, float]
) -> Iterator[bytes]:
    """Yield the files of a camera, in the order of the frames; none where there are no masks."""
    if kind == "rgb":
        for t in range(episode.facts.n_frames):
            yield episode.image_bytes(camera, kind, t)
    elif kind == "depth":
        for depth in episode.depth(camera):
            yield encode_rgb(_coded_depth(depth, *planes))
    elif episode.has_images(camera, "seg"):
        for ids in episode.ids(camera):
            yield encode_rgb(_in_bytes(ids, lowest_first=True))


def _coded_depth(depth: npt.NDArray[np.float32], near: float, far: float) -> Pixels:
    """Code (H, W) depth [m] as RLBench does: 24 bits between the planes, the highest in red."""
    share = np.clip((depth.astype(np.float64) - near) / (far - near), 0, 1)
    share[depth == 0] = 1  # unknown: nothing is there
    return _in_bytes(np.floor(share * const.DEPTH_SCALE + 0.5), lowest_first=False)


def _in_bytes(values: npt.NDArray[Any], lowest_first: bool) -> Pixels:
    """Split (H, W) numbers below 2^24 into three bytes, (H, W, 3)."""
    whole = values.astype(np.uint32)
    parts = [(whole >> shift) & 255 for shift in (0, 8, 16)]
    return np.stack(parts if lowest_first else parts[::-1], axis=-1).astype(np.uint8)


def _moments(
    episode: ExportEpisode, planes: Mapping[str, tuple[float, float]], size: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    """Yield the attributes of each observation; images are in their files."""
    pose = episode.ee_state[:, :7]
    matrices = _matrices(pose)
    views = {c: _view(episode, c, size) for c in RLBENCH_CAMERAS}
    for t in range(episode.facts.n_frames):
        misc: dict[str, Any] = {"variation_index": episode.facts.key.variation}
        for camera, (K, T_world_cam) in views.items():
            near, far = planes[camera]
            misc |= {
                f"{camera}_camera_intrinsics": pyrep_intrinsics(K),
                f"{camera}_camera_extrinsics": pyrep_extrinsics(T_world_cam[t]),
                f"{camera}_camera_near": near,
                f"{camera}_camera_far": far,
            }
        readings: dict[str, Any] = dict.fromkeys(LOW_DIM)
        readings |= {name: values[t].copy() for name, values in episode.readings.items()}
        yield {
            **{f"{camera}_{kind}": None for camera in RLBENCH_CAMERAS for kind in IMAGES},
            **readings,
            "gripper_open": float(episode.ee_state[t, 7]),
            "gripper_pose": pose[t].copy(),
            "gripper_matrix": matrices[t],
            "misc": misc,
        }


def _view(episode: ExportEpisode, camera: str, size: tuple[int, int]) -> tuple[Float, Float]:
    """Give intrinsics (3, 3) and poses (T, 4, 4) in the world; of a camera not there, the world."""
    poses = np.tile(np.eye(4), (episode.facts.n_frames, 1, 1))
    if camera not in episode.record["cameras"]:
        return intrinsics(CAMERAS[camera].fov_deg, *size), poses
    E = episode.extrinsics(camera)
    R = E[:, :, :3].transpose(0, 2, 1)
    poses[:, :3, :3] = R
    poses[:, :3, 3:] = -R @ E[:, :, 3:]
    return episode.intrinsics(camera), poses


def _matrices(pose: Float) -> Float:
    """Turn (T, 7) position and quaternion xyzw into (T, 4, 4)."""
    x, y, z, w = pose[:, 3:].T / np.linalg.norm(pose[:, 3:], axis=1)
    out = np.tile(np.eye(4), (len(pose), 1, 1))
    out[:, :3, :3] = np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], axis=-1),
            np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], axis=-1),
            np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], axis=-1),
        ],
        axis=1,
    )
    out[:, :3, 3] = pose[:, :3]
    return out
