"""What `episode.json` and the tracks' JSON hold; a fault is a ValueError of one line."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.raw.episode import ROBOT_STATE, Calibration, Episode, json_bytes
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.folder import FORMAT_VERSION
from pose_obj_3d.common.settings import as_json

MAX_RECORD_BYTES = 16 << 20
MAX_TRACKS_BYTES = 32 << 20
MAX_FILE_BYTES = 1 << 30
MAX_NUMBER = 10**9
MAX_SEED_DIGITS = 100
MAX_SIDE = 1 << 16  # [px]
_PLAIN = re.compile(r"[\w-][\w.-]*")  # a part of a path that leads nowhere else
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DIGITS = re.compile(rf"[0-9]{{1,{MAX_SEED_DIGITS}}}")
Array = npt.NDArray[Any]


def record_of(
    key: EpisodeKey, episode: Episode, mode: str, sums: Mapping[str, Any]
) -> dict[str, Any]:
    """Give what `episode.json` says of an episode; `sums`: size and digest of each file."""
    return {
        **episode.info,
        "format_version": FORMAT_VERSION,
        "mode": mode,
        "task_id": key.task_id,
        "variation": key.variation,
        "example": key.example,
        "success": True,
        "n_frames": episode.n_frames,
        "random_seed": [str(s) for s in episode.random_seed],
        "cams": list(episode.films),
        "track_cams": list(episode.track_cams),
        "cameras": {name: c.to_json() for name, c in episode.cameras.items()},
        "keypoint_names": list(episode.keypoint_names),
        "waypoint_frames": episode.waypoint_frames.tolist(),
        **_robot_state(episode),
        "files": dict(sums),
    }


def _robot_state(episode: Episode) -> dict[str, dict[str, int]]:
    columns = {name: values.shape[1] for name, values in episode.robot_state.items()}
    return {ROBOT_STATE: columns} if columns else {}


def signed(record: Mapping[str, Any]) -> bytes:
    """Give the text of `episode.json` with its own checksum."""
    plain = json.loads(json_bytes(record))
    return json.dumps({**plain, "checksum": checksum(plain)}, indent=0).encode("utf-8")


def checksum(record: Mapping[str, Any]) -> str:
    """Give the digest of a record without its checksum."""
    try:
        text = json.dumps(record, sort_keys=True)
    except RecursionError:
        text = ""  # no record of ours
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def check_record(record: Mapping[str, Any]) -> None:
    """Check the fields of `episode.json` that readers use.

    Raises:
        ValueError: Names the field, what it holds, and what it must hold.
    """
    for name in ("task_id", "example", "variation", "n_frames"):
        _wanted(record, name, _is_count(record.get(name)), f"a whole number of 0 to {MAX_NUMBER}")
    _wanted(record, "task_name", isinstance(record.get("task_name"), str), "a text")
    _wanted(
        record,
        "keypoint_names",
        _is_texts(record.get("keypoint_names")),
        "a list of different texts",
    )
    for name in ("cams", "track_cams"):
        names = record.get(name)
        _wanted(
            record,
            name,
            _is_texts(names) and all(map(_PLAIN.fullmatch, names or ())),
            "a list of different names",
        )
    _wanted(record, "track_cams", bool(record["track_cams"]), "a list of at least one name")
    seeds = record.get("random_seed")
    is_seed = isinstance(seeds, list) and all(
        isinstance(s, str) and _DIGITS.fullmatch(s) for s in seeds
    )
    _wanted(record, "random_seed", is_seed, "a list of whole numbers as text")
    files = record.get("files")
    _wanted(
        record,
        "files",
        isinstance(files, dict) and all(map(_is_file, files.items())),
        "an object of file name -> [size, SHA-256]",
    )
    columns = record.get(ROBOT_STATE, {})
    is_state = isinstance(columns, dict) and all(map(_is_count, columns.values()))
    _wanted(record, ROBOT_STATE, is_state, "an object of name -> number of columns")
    cameras = record.get("cameras")
    _wanted(record, "cameras", isinstance(cameras, dict), "an object")
    for camera in (*record["track_cams"], *record["cams"]):
        calibration(record, camera)
    sizes = {tuple(record["cameras"][c]["image_size"]) for c in record["track_cams"]}
    if len(sizes) != 1:
        raise ValueError(f"image sizes of track_cams differ: {sorted(sizes)[:4]}")


def calibration(record: Mapping[str, Any], camera: str) -> Calibration:
    """Read a camera of `episode.json`; of one that moves, extrinsics are (T, 3, 4)."""
    raw = record["cameras"].get(camera)
    if not isinstance(raw, dict):
        raise ValueError(f"cameras lacks {camera}")
    size = raw.get("image_size")
    if not (
        isinstance(size, list)
        and len(size) == 2
        and all(_is_count(n) and 0 < n <= MAX_SIDE for n in size)
    ):
        raise ValueError(f"image_size of {camera} is {as_json(size)}; it must be [width, height]")
    intrinsics = numbers(raw.get("intrinsics"), f"intrinsics of {camera}", [(3, 3)])
    extrinsics = numbers(
        raw.get("extrinsics"), f"extrinsics of {camera}", [(3, 4), (record["n_frames"], 3, 4)]
    )
    return Calibration((size[0], size[1]), intrinsics, extrinsics)


def check_tracks(record: Mapping[str, Any], tracks: object) -> tuple[Array, Array]:
    """Give xyz (T, K, 3) [m] and visibility (V, T, K) of the tracks that a record describes."""
    if not isinstance(tracks, dict):
        raise ValueError("the tracks must be an object")
    T, K, V = record["n_frames"], len(record["keypoint_names"]), len(record["track_cams"])
    if not T or not K:
        raise ValueError("an episode must have at least one frame and one keypoint")
    xyz = numbers(tracks.get("xyz"), "xyz", [(T, K, 3)])
    visibility = numbers(tracks.get("visibility"), "visibility", [(V, T, K)])
    if not np.isin(visibility, (0.0, 0.5, 1.0)).all():
        raise ValueError("visibility must be 0, 0.5 or 1")
    return xyz, visibility


def numbers(value: object, name: str, shapes: list[tuple[int, ...]]) -> npt.NDArray[np.float64]:
    """Return nested lists of finite numbers as an array of one of some shapes."""
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError, RecursionError, TypeError):
        array = np.asarray(None)
    if array.dtype.kind not in "iuf" or array.shape not in shapes or not np.isfinite(array).all():
        allowed = " or ".join(map(str, shapes))
        raise ValueError(
            f"{name} is {as_json(value)}; it must be finite numbers of shape {allowed}"
        )
    return array.astype(np.float64)


def _wanted(record: Mapping[str, Any], name: str, is_good: object, allowed: str) -> None:
    if not is_good:
        raise ValueError(f"{name} is {as_json(record.get(name))}; it must be {allowed}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_NUMBER


def _is_texts(value: object) -> bool:
    return (
        isinstance(value, list)
        and all(isinstance(v, str) for v in value)
        and len(set(value)) == len(value)
    )


def _is_file(item: tuple[str, object]) -> bool:
    name, entry = item
    is_inside = all(map(_PLAIN.fullmatch, name.split("/")))
    if not is_inside or not isinstance(entry, list) or len(entry) != 2:
        return False
    size, digest = entry
    is_size = isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= MAX_FILE_BYTES
    return is_size and isinstance(digest, str) and _DIGEST.fullmatch(digest) is not None
