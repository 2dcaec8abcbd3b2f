"""The older layout of `sim_all_formal.npz`: one pickled dict, read by a restricted unpickler.

`pose["T<task>"]["exemple_<n>"] = [view0, view1, ...]`, each float (frames, keypoints, 8), without
calibration. To convert a file: `python formal_legacy.py old.npz new.npz --like archive.npz`, where
`archive.npz` is one of ours filmed by the same cameras: it lends calibration and names.
"""

import argparse
import io
import os
import pickle
import re
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_ROOT = Path(__file__).resolve().parents[1]
if not __package__:  # run as a script
    sys.path.insert(0, str(_ROOT))

from pose_obj_3d.exceptions import FormalError, PoseObj3DError  # noqa: E402
from pose_obj_3d.formal import (  # noqa: E402
    NUM_CHANNELS,
    Array,
    FormalData,
    make_split,
    read_formal,
    write_formal,
)

_CORE = ("numpy.core", "numpy._core")
_ALLOWED = {
    *((f"{core}.multiarray", name) for core in _CORE for name in ("_reconstruct", "scalar")),
    *((f"{core}.numeric", "_frombuffer") for core in _CORE),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}
"""All that a pickle of dicts, lists, strings, numbers and arrays needs."""


class _RestrictedUnpickler(pickle.Unpickler):
    """Refuses every global but those that rebuild arrays."""

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed global."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which data does not need")
        return super().find_class(module, name)


def read_legacy(path: Path) -> dict[int, list[Array]]:
    """Read an older archive.

    Returns:
        Task id -> examples in number order, each float32 (V, T, K, 8).

    Raises:
        FormalError: it is no such archive, or its pickle holds more than data.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open("pose.npy") as member:
            stream = io.BytesIO(member.read())
        version = np.lib.format.read_magic(stream)
        read_header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        read_header(stream)
        content = _RestrictedUnpickler(stream, encoding="latin1").load()
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise FormalError(f"{path}: not an older archive with a member pose: {error}") from error
    except (pickle.UnpicklingError, ValueError, EOFError, TypeError, AttributeError) as error:
        raise FormalError(f"{path}: pose is refused: {error}") from error
    pose = content.item() if isinstance(content, np.ndarray) and content.shape == () else content
    if not isinstance(pose, dict) or not pose:
        raise FormalError(f"{path}: pose must be a dict of tasks, found {type(pose).__name__}")
    return {_number(path, "T", key): _examples(path, key, value) for key, value in pose.items()}


def _number(path: Path, prefix: str, key: Any) -> int:
    match = re.fullmatch(rf"{prefix}(\d+)", str(key))
    if match is None:
        raise FormalError(f"{path}: key {key!r} must be {prefix}<number>")
    return int(match.group(1))


def _examples(path: Path, task: str, examples: Any) -> list[Array]:
    if not isinstance(examples, dict):
        raise FormalError(f"{path}: {task} must be a dict of examples")
    numbered = sorted((_number(path, "exemple_", key), views) for key, views in examples.items())
    if [number for number, _ in numbered] != list(range(len(numbered))):
        raise FormalError(f"{path}: {task} must hold exemple_0 .. exemple_{len(numbered) - 1}")
    tracks = []
    for number, views in numbered:
        shapes = {np.shape(view) for view in views}
        if len(shapes) != 1 or (shape := shapes.pop())[-1:] != (NUM_CHANNELS,) or len(shape) != 3:
            raise FormalError(
                f"{path}: {task}/exemple_{number}: views must all be (frames, keypoints, 8)"
            )
        tracks.append(np.stack([np.asarray(view, np.float32) for view in views]))
    return tracks


def write_legacy(path: Path, data: FormalData) -> None:
    """Write the older layout; calibration and names are lost.

    Args:
        path: where; replaced in one step.
        data: the archive.
    """
    pose = {
        f"T{task}": {f"exemple_{n}": list(track) for n, track in enumerate(tracks)}
        for task, tracks in data.tracks.items()
    }
    holder = np.empty((), object)
    holder[()] = pose
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as stream:
        np.savez_compressed(stream, pose=holder)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def convert(old: Path, new: Path, like: Path) -> None:
    """Write `old` in the present layout, with calibration, names and noise of `like`."""
    tracks, model = read_legacy(old), read_formal(like)
    model.require_tasks(sorted(tracks))
    meta = {k: v for k, v in model.meta.items() if k not in ("sources", "image_pattern")}
    meta["split"] = {f"T{t}": make_split(len(x), f"{old}: T{t}") for t, x in tracks.items()}
    for key in ("task_names", "keypoint_names"):
        meta[key] = {f"T{t}": model.meta[key][f"T{t}"] for t in tracks}
    meta["source_seeds"] = {}
    write_formal(new, tracks, meta, model.intrinsics, model.extrinsics)


def main(argv: Sequence[str] | None = None) -> int:
    """Convert a file; 0 on success, 2 on a user's error."""
    parser = argparse.ArgumentParser(description="Convert an older, pickled sim_all_formal.npz.")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument(
        "--like", type=Path, required=True, help="archive of ours filmed by the same cameras"
    )
    args = parser.parse_args(argv)
    try:
        convert(args.old, args.new, args.like)
    except (PoseObj3DError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
