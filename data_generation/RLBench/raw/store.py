"""A raw data set on disk: writing, checking and reading episodes. `layout` knows its paths."""

import shutil
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.errors import DamagedEpisodeError, StoreError
from data_generation.RLBench.raw import images as image_files
from data_generation.RLBench.raw import layout
from data_generation.RLBench.raw import records as raw_records
from data_generation.RLBench.raw.episode import ROBOT_STATE, STATE_DIM, Episode, Float, npy_bytes
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.episode_writer import remove_episode, write_episode
from data_generation.RLBench.raw.folder import FORMAT_VERSION, StoreFolder
from data_generation.RLBench.raw.json_files import JsonError, read_json
from data_generation.RLBench.raw.regular_files import regular_size, sha256_of
from pose_obj_3d.common.errors import ArchiveError
from pose_obj_3d.common.safe_reading.npy_arrays import read_npy
from pose_obj_3d.common.whole_files import write_whole


@dataclass(frozen=True)
class RawTracks:
    """The keypoints of one stored episode: T frames, K keypoints, V track cameras.

    Attributes:
        xyz: (T, K, 3) [m], world.
        visibility: (V, T, K) in {0, 0.5, 1}.
        intrinsics: (V, 3, 3).
        extrinsics: (V, 3, 4) world to camera, OpenCV convention.
    """

    key: EpisodeKey
    task_name: str
    keypoint_names: tuple[str, ...]
    track_cams: tuple[str, ...]
    image_size: tuple[int, int]
    xyz: Float
    visibility: npt.NDArray[np.float32]
    intrinsics: Float
    extrinsics: Float
    random_seed: tuple[int, ...]


class RawStore:
    """One data set folder in one mode (train or test)."""

    def __init__(self, root: Path, mode: str = "train") -> None:
        self.root = Path(root)
        self.mode = mode
        self.folder = StoreFolder(self.root)

    # --- the folder ---

    def create(self, seed: int, settings: Mapping[str, object], overwrite: bool = False) -> None:
        """Make the folder, or continue one made with the same seed and settings.

        Args:
            seed: The data set's seed.
            settings: What decides the content of an episode, plain values.
            overwrite: Accept another seed or other settings; the episodes made with the old ones
                are removed.
        """
        self.folder.check_target()
        wanted = {"seed": seed, "settings": dict(settings)}
        try:
            self.folder.take()
            if (self.root / layout.MARKER).exists():
                found = self.folder.marker()
                if not overwrite:
                    self.folder.compare(found, wanted)
                if all(found.get(k) == v for k, v in wanted.items()):
                    return
                self._remove_all()
            self.folder.sign(wanted)
        except OSError as error:
            raise StoreError(f"--path_dataset {self.root} cannot be written: {error}") from None

    def join(self, seed: int, settings: Mapping[str, object]) -> None:
        """Write beside other processes that do the same; the first one makes the folder.

        Args:
            seed: The data set's seed.
            settings: As of `create`.

        Raises:
            StoreError: It was made with another seed or other settings, or a process is alone here.
        """
        self.folder.check_target()
        wanted = {"seed": seed, "settings": dict(settings)}
        try:
            self.folder.take(with_others=True)
            if not (self.root / layout.MARKER).exists():
                self.folder.sign(wanted, replace=False)
            self.folder.compare(self.folder.marker(), wanted)
        except OSError as error:
            raise StoreError(f"--path_dataset {self.root} cannot be written: {error}") from None

    def close(self) -> None:
        """Let other runs write into the folder."""
        self.folder.close()

    def marker(self) -> dict[str, Any]:
        """Read `dataset.json`."""
        return self.folder.marker()

    def task_dir(self, task_id: int) -> Path:
        """Give a task's folder."""
        return layout.task_dir(self.root, self.mode, task_id)

    def episode_path(self, key: EpisodeKey) -> Path:
        """Give the file that makes an episode exist."""
        return self.task_dir(key.task_id) / layout.record(key)

    # --- writing ---

    def write(self, key: EpisodeKey, episode: Episode) -> None:
        """Write an episode; it exists when this returns and not before.

        Raises:
            StoreLostError: The data set's folder is not the one that the run began with.
            StoreError: It cannot be written.
        """
        self.folder.check_own()
        try:
            try:
                write_episode(self.folder, self.mode, key, episode)
            except (
                FileNotFoundError
            ):  # somebody moved a folder away meanwhile; the root may still be ours
                self.folder.check_own()
                write_episode(self.folder, self.mode, key, episode)
        except OSError as error:
            self.folder.check_own()
            raise StoreError(f"{self.root}: {key} cannot be written: {error}") from None
        self.folder.check_own()

    def write_variations(self, task_id: int, variations: Iterable[int]) -> None:
        """Write the task's variation numbers."""
        numbers = np.array(sorted(set(variations)), dtype=np.int64)
        try:
            self.folder.make(self.task_dir(task_id))
            write_whole(self.task_dir(task_id) / layout.VARIATIONS, npy_bytes(numbers))
        except OSError as error:
            raise StoreError(f"{self.root}: task {task_id} cannot be written: {error}") from None

    def remove(self, key: EpisodeKey) -> None:
        """Remove every file of an episode."""
        remove_episode(self.task_dir(key.task_id), key)

    def _remove_all(self) -> None:
        for mode in layout.MODES:
            store = RawStore(self.root, mode)
            for key in [k for t in store.task_ids() for k in store.episodes(t)]:
                store.remove(key)

    def clean(self, own: Mapping[int, Container[EpisodeKey]] | None = None) -> list[EpisodeKey]:
        """Remove what a killed run left; return the episodes that it had not finished.

        Args:
            own: Task id -> episodes that no other process makes; all by default.
        """
        interrupted = []
        for task_id in self.task_ids():
            for staging, key in layout.staged(self.task_dir(task_id)):
                if own is not None and key not in own.get(task_id, ()):
                    continue
                if not self.episode_path(key).exists():
                    self.remove(key)
                    interrupted.append(key)
                shutil.rmtree(staging)
        return sorted(interrupted)

    # --- reading ---

    def episodes(self, task_id: int, among: Iterable[EpisodeKey] | None = None) -> list[EpisodeKey]:
        """List a task's episodes by example, then variation.

        Args:
            task_id: The task.
            among: Look for these alone, which lists no folder: the others may be a thousand times
                as many.

        Raises:
            StoreError: A folder that holds an `episode.json` has another name than a number.
        """
        if among is not None:
            return sorted(key for key in among if self.exists(key))
        keys = []
        for path, numbers in layout.records(self.task_dir(task_id)):
            if numbers is None:
                raise StoreError(
                    f"{path.parent}: folders of episodes are named by numbers; move this one away"
                )
            variation, example = numbers
            keys.append(EpisodeKey(task_id, example, variation))
        return sorted(keys)

    def interrupted(self, task_id: int) -> int:
        """Count the episodes of a task that are being written, or whose writer was killed."""
        return sum(1 for _ in layout.staged(self.task_dir(task_id)))

    def tracks_without_record(self, task_id: int) -> list[tuple[str, str, str]]:
        """Give variation, example and missing `episode.json` of tracks that have none."""
        return list(layout.tracks_without_record(self.task_dir(task_id)))

    def task_ids(self) -> list[int]:
        """List the tasks that have a folder."""
        return layout.task_ids(self.root, self.mode)

    def exists(self, key: EpisodeKey) -> bool:
        """Tell whether the episode was written."""
        return self.episode_path(key).exists()

    def check(self, key: EpisodeKey, deep: bool = True) -> dict[str, Any]:
        """Check an episode against its checksums and return `episode.json`.

        Args:
            key: Which episode.
            deep: Also hash images and point clouds; else their sizes are compared.

        Raises:
            DamagedEpisodeError: Names episode and file.
        """
        record = self.read_record(key)
        for name, fault in self.faults(key, record, deep):
            raise self._damaged(key, f"{name} {fault}")
        return record

    def frames_if_whole(self, key: EpisodeKey) -> int | None:
        """Give an episode's number of frames; None where one of its files is missing or cut."""
        try:
            record = self.read_record(key)
        except StoreError:
            return None
        is_whole = all(
            regular_size(self.task_dir(key.task_id) / n) == size
            for n, (size, _) in record["files"].items()
        )
        return int(record["n_frames"]) if is_whole else None

    def faults(
        self, key: EpisodeKey, record: Mapping[str, Any], deep: bool = True
    ) -> Iterator[tuple[str, str]]:
        """Yield every file, inside the task's folder, that is not as written, and what is wrong."""
        for name, (size, digest) in record["files"].items():
            path = self.task_dir(key.task_id) / name
            is_hashed = deep or not layout.is_bulky(name)
            found = regular_size(path)
            if found is None:
                yield name, "is missing or unreadable"
            elif found != size:
                yield name, f"has {found} bytes, not {size}"
            elif is_hashed and sha256_of(path) != digest:
                yield name, "was changed after it was written"

    def _damaged(self, key: EpisodeKey, fault: str) -> DamagedEpisodeError:
        remedy = f"delete {self.episode_path(key)} and run generate_data.py again"
        place = f"{self.root}: {self.mode} {key}"
        return DamagedEpisodeError(f"{place} is damaged: {fault}; {remedy}", fault)

    def read_record(self, key: EpisodeKey) -> dict[str, Any]:
        """Read `episode.json`, checked against its own checksum."""
        path = self.episode_path(key)
        try:
            record = read_json(path, raw_records.MAX_RECORD_BYTES)
        except FileNotFoundError:
            raise StoreError(f"{self.root}: {self.mode} {key} does not exist") from None
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror or error}") from None
        except JsonError as error:
            raise self._damaged(
                key, f"episode.json is not valid JSON of an episode: {error}"
            ) from None
        if not isinstance(record, dict) or record.pop("checksum", None) != raw_records.checksum(
            record
        ):
            raise self._damaged(key, "episode.json was changed after it was written")
        version = record.get("format_version")
        if version != FORMAT_VERSION:
            raise StoreError(f"{path}: format version {str(version)[:40]}, not {FORMAT_VERSION}")
        try:
            raw_records.check_record(record)
        except ValueError as error:
            raise self._damaged(key, f"episode.json: {error}") from None
        if (record["task_id"], record["example"], record["variation"]) != (
            key.task_id,
            key.example,
            key.variation,
        ):
            raise self._damaged(key, "episode.json belongs to another episode")
        return record

    def read_tracks(self, key: EpisodeKey) -> RawTracks:
        """Read the keypoints of an episode after checking every file."""
        return self.tracks_of(key, self.check(key))

    def tracks_of(self, key: EpisodeKey, record: Mapping[str, Any]) -> RawTracks:
        """Read the keypoints of an episode whose `episode.json` is known.

        Raises:
            DamagedEpisodeError: The tracks do not fit the record.
        """
        name = layout.tracks(key)
        try:
            tracks = read_json(self.task_dir(key.task_id) / name, raw_records.MAX_TRACKS_BYTES)
            xyz, visibility = raw_records.check_tracks(record, tracks)
        except OSError:
            raise self._damaged(key, f"{name} is missing or unreadable") from None
        except ValueError as error:
            raise self._damaged(key, f"{name}: {error}") from None
        cameras = [raw_records.calibration(record, c) for c in record["track_cams"]]
        if any(c.extrinsics.ndim != 2 for c in cameras):
            raise self._damaged(key, "episode.json: a track camera moves")
        return RawTracks(
            key=key,
            task_name=record["task_name"],
            keypoint_names=tuple(record["keypoint_names"]),
            track_cams=tuple(record["track_cams"]),
            image_size=cameras[0].image_size,
            xyz=xyz,
            visibility=visibility.astype(np.float32),
            intrinsics=np.stack([c.intrinsics for c in cameras]),
            extrinsics=np.stack([c.extrinsics for c in cameras]),
            random_seed=tuple(int(s) for s in record["random_seed"]),
        )

    def read_array(self, key: EpisodeKey, kind: str) -> npt.NDArray[Any]:
        """Read `ee_state`, `waypoints`, or `actions/<registered action>`.

        Raises:
            DamagedEpisodeError: It is missing, or no array of finite numbers of the right shape.
        """
        path = self.task_dir(key.task_id) / _array_name(key, kind)
        try:
            array = read_npy(path)
            if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
                raise ArchiveError("must hold finite numbers")
            if array.ndim != (1 if kind == "waypoints" else 2) or array.shape[1:] not in (
                (),
                (STATE_DIM,),
            ):
                raise ArchiveError(f"has the shape {array.shape}")
            return array
        except OSError as error:
            raise self._damaged(
                key, f"{path.name} cannot be read: {error.strerror or error}"
            ) from None
        except ArchiveError as error:
            raise self._damaged(key, f"{path.name} {error}") from None

    def read_robot_state(self, key: EpisodeKey, record: Mapping[str, Any]) -> dict[str, Float]:
        """Read the robot's readings, (T, n) each; empty where the episode has none.

        Raises:
            DamagedEpisodeError: They are missing, or do not fit `episode.json`.
        """
        columns: dict[str, int] = record.get(ROBOT_STATE, {})
        if not columns:
            return {}
        name = layout.robot_state(key)
        try:
            array = read_npy(self.task_dir(key.task_id) / name)
        except (OSError, ArchiveError) as error:
            raise self._damaged(key, f"{name} cannot be read: {error}") from None
        wanted = (record["n_frames"], sum(columns.values()))
        if array.dtype != np.float64 or array.shape != wanted or not np.isfinite(array).all():
            raise self._damaged(key, f"{name} must hold finite numbers of shape {wanted}")
        parts = np.split(array, np.cumsum(list(columns.values()))[:-1], axis=1)
        return dict(zip(columns, parts, strict=True))

    def image_path(self, key: EpisodeKey, cam: str, kind: str, frame: int) -> Path:
        """Give the path of an image; `kind` is rgb, depth, or seg."""
        return self.task_dir(key.task_id) / layout.image(key, cam, kind, frame)

    def read_rgb(self, key: EpisodeKey, cam: str, frame: int) -> npt.NDArray[np.uint8]:
        """Read (H, W, 3) RGB."""
        return image_files.decode_rgb(self.image_path(key, cam, "rgb", frame).read_bytes())

    def read_depth(self, key: EpisodeKey, cam: str, frame: int) -> npt.NDArray[np.float32]:
        """Read (H, W) depth [m]."""
        return image_files.decode_depth(self.image_path(key, cam, "depth", frame).read_bytes())

    def read_ids(self, key: EpisodeKey, cam: str, frame: int) -> npt.NDArray[np.int32]:
        """Read (H, W) object ids; see `episode.segmentation_names`."""
        return image_files.decode_ids(self.image_path(key, cam, "seg", frame).read_bytes())


def _array_name(key: EpisodeKey, kind: str) -> str:
    if kind in ("ee_state", "waypoints"):
        return layout.ee_state(key) if kind == "ee_state" else layout.waypoints(key)
    return layout.actions(key, kind.removeprefix("actions/"))
