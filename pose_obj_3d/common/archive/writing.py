"""Write an archive, in one file or in shards, one example in memory at a time."""

import hashlib
import json
import logging
import pickle
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pose_obj_3d.common.archive.arrays import Array, check_shape, check_values, expected_shape
from pose_obj_3d.common.archive.detections import check_detections, check_detections_shape
from pose_obj_3d.common.archive.members import DETECTIONS, example_name
from pose_obj_3d.common.archive.meta import Meta
from pose_obj_3d.common.archive.shards import (
    MAX_SHARDS,
    SHARD,
    is_finished,
    parts_of,
    remove_others,
    shard_path,
    shard_text,
)
from pose_obj_3d.common.errors import FormalError
from pose_obj_3d.common.whole_files import writing

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sharding:
    """How an archive is divided into files.

    Attributes:
        shards: Number of files `<name>-00000-of-<shards>.npz`, none larger than it must be: only
            one example is in memory at once; 0 = one file.
        processes: How many of them are written at once. Examples that cannot be pickled, such as
            those of an archive that is read bit by bit, are written by this process alone.
        inputs: A digest of all that the examples are made from, other than `meta` and calibration.
            With it, a shard that is there and has the same digests is not written again.
    """

    shards: int = 0
    processes: int = 1
    inputs: str = ""


ONE_FILE = Sharding()


@dataclass(frozen=True)
class Plan:
    """What an archive will hold.

    Attributes:
        path: The whole.
        meta: With all fields.
        intrinsics: (V, 3, 3), [px].
        extrinsics: (V, 3, 4), world to camera, [m].
        tracks: Task id -> examples (V, T, K, 8), which may be made when they are asked for.
        detections: Task id -> the same of what a detector says, (V, T, K, 7).
        sharding: Into which files.
    """

    path: Path
    meta: Meta
    intrinsics: Array
    extrinsics: Array
    tracks: Mapping[int, Sequence[Array]]
    detections: Mapping[int, Sequence[Array]]
    sharding: Sharding

    @property
    def order(self) -> list[tuple[int, int]]:
        """Task and number of every example, in the order of the archive."""
        return [(task, n) for task, xs in self.tracks.items() for n in range(len(xs))]

    def digest(self) -> str:
        """Return what tells the shards of this archive from those of any other."""
        text = json.dumps(self.meta, sort_keys=True).encode()
        return hashlib.sha256(
            text + self.intrinsics.tobytes() + self.extrinsics.tobytes()
        ).hexdigest()


def write_archive(plan: Plan) -> None:
    """Write one file (0 shards), or shards, some at once; then remove older files of that name.

    Raises:
        FormalError: An example is not as it must be.
    """
    shards = plan.sharding.shards
    if not 0 <= shards <= MAX_SHARDS:
        raise FormalError(f"{plan.path}: {shards} shards; from 1 to {MAX_SHARDS} are possible")
    plan.path.parent.mkdir(parents=True, exist_ok=True)
    if shards == 0:
        files = [plan.path]
        _write_file(plan, plan.path, _heads(plan), plan.order)
    else:
        files = [shard_path(plan.path, i, shards) for i in range(shards)]
        _write_shards(plan, shards, min(plan.sharding.processes, shards))
    remove_others(plan.path, files)


def _write_shards(plan: Plan, shards: int, processes: int) -> None:
    if processes <= 1 or not _can_be_sent(plan):
        for index in range(shards):
            write_shard(plan, index, shards)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(write_shard, plan, index, shards) for index in range(shards)]
        try:
            for job in jobs:
                job.result()
        except BrokenProcessPool as error:
            raise FormalError(
                f"{plan.path}: a process that wrote shards was ended from outside, for want of"
                " memory perhaps; convert again, with fewer processes"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


class _Nowhere:
    """A file that forgets what is written."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        return len(data)


def _can_be_sent(plan: Plan) -> bool:
    """Tell whether other processes can have a plan: asked of a pool, it might wait forever."""
    try:
        pickle.Pickler(_Nowhere(), pickle.HIGHEST_PROTOCOL).dump(plan)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        logger.info(
            "%s: one process writes all shards, since its examples cannot be sent to others (%s)",
            plan.path,
            error,
        )
        return False
    return True


def write_shard(plan: Plan, index: int, of: int) -> None:
    """Write one shard, unless it is finished."""
    order = plan.order
    part = [order[i] for i in parts_of(len(order), of)[index]]
    text = shard_text(index, of, plan.digest(), plan.sharding.inputs)
    heads = {SHARD: np.array(text)}
    if index == 0:
        heads.update(_heads(plan))
    path = shard_path(plan.path, index, of)
    if plan.sharding.inputs and is_finished(path, text, [*heads, *_names(plan, part)]):
        logger.info("%s is finished already", path.name)
        return
    _write_file(plan, path, heads, part)


def _names(plan: Plan, examples: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Give the members of some examples."""
    for task, n in examples:
        yield example_name(task, n)
        if task in plan.detections:
            yield f"{DETECTIONS}{example_name(task, n)}"


def _heads(plan: Plan) -> dict[str, Array]:
    return {
        "meta": np.array(json.dumps(plan.meta, sort_keys=True)),
        "intrinsics": plan.intrinsics,
        "extrinsics": plan.extrinsics,
    }


def _write_file(
    plan: Plan, path: Path, heads: Mapping[str, Array], examples: Sequence[tuple[int, int]]
) -> None:
    with writing(path) as file:
        _save(file, heads, _members(plan, path, examples))


def _members(
    plan: Plan, path: Path, examples: Sequence[tuple[int, int]]
) -> Iterator[tuple[str, Array]]:
    """Give the members of some examples, checked, one by one."""
    for task, n in examples:
        name = example_name(task, n)
        x = plan.tracks[task][n]
        check_shape(f"{path}: {name}", expected_shape(plan.meta, task), x)
        check_values(f"{path}: {name}", x)
        yield name, x
        if task in plan.detections:
            said, name = plan.detections[task][n], f"{DETECTIONS}{name}"
            check_detections_shape(f"{path}: {name}", x.shape[:3], said)
            check_detections(f"{path}: {name}", said)
            yield name, said


def _save(file: BinaryIO, heads: Mapping[str, Array], members: Iterator[tuple[str, Array]]) -> None:
    """Write members as `np.savez_compressed` does, but one by one."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        for name, x in heads.items():
            _add(archive, name, x)
        for name, x in members:
            # Column order puts the views' equal coordinates side by side: a quarter smaller when
            # compressed.
            _add(archive, name, np.asfortranarray(x))


def _add(archive: zipfile.ZipFile, name: str, x: Any) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, x, allow_pickle=False)
