"""Which keypoints a line joins: as the user says, or learned from distances that hardly vary."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.common.names import near_names
from pose_obj_3d.lifting.writing.points import LiftedPoints

LEARNED, NONE = "learned", "none"
MAX_FRAMES = 2000  # of a recording, evenly spread, that distances are taken from
MIN_FRAMES = 20  # in which both keypoints are measured
MAX_VARIATION = 0.05  # of a bone's length: standard deviation of the distance
NOISE_FACTOR = 2.0  # or so many standard deviations of the distance by the claimed covariances
MAX_NOISY_VARIATION = 0.15  # of a bone's length, whatever is claimed
MIN_MOTION = 5.0  # both keypoints move so many times more than their distance
MAX_FILE_BYTES = 1_000_000
_MIDDLE = (2.5, 97.5)  # percentiles: 3.92 standard deviations of a normal distribution apart
_LISTED = 8  # bones that the report names

Bone = tuple[int, int]


@dataclass(frozen=True)
class Skeleton:
    """Pairs of keypoints that a line joins.

    Attributes:
        bones: Their numbers.
        note: One line for the report; "" for none.
    """

    bones: list[Bone]
    note: str


def skeleton_of(wanted: str, lifted: LiftedPoints) -> Skeleton:
    """Take the skeleton that `--skeleton` names, or learn it.

    Args:
        wanted: `learned`, `none`, pairs `a-b,b-c`, or a file with a pair in each line or a JSON
            list of pairs.
        lifted: The points, whose keypoints the names are.

    Raises:
        ConfigError: A name is unknown, or a pair is none.
    """
    if wanted == NONE:
        return Skeleton([], "")
    if wanted == LEARNED:
        return learned(lifted)
    bones = given_bones(wanted, lifted.keypoint_names)
    return Skeleton(bones, f"skeleton: {len(bones)} lines, as given")


def given_bones(wanted: str, names: Sequence[str]) -> list[Bone]:
    """Read the pairs that the user gives; none where they are learned, or not wanted.

    Raises:
        ConfigError: A name is unknown, or a pair is none.
    """
    if wanted in (LEARNED, NONE):
        return []
    bones = [_bone(pair, names) for pair in _pairs(wanted)]
    if not bones:
        raise ConfigError(f"--skeleton {wanted[:60]}: no pairs; give a-b,b-c, learned or none")
    return list(dict.fromkeys(bones))


def _pairs(wanted: str) -> list[str | list[object]]:
    path = Path(wanted)
    try:
        is_file = path.is_file()
    except OSError:  # a name too long for a file
        is_file = False
    if not is_file:
        if path.suffix in (".json", ".txt"):
            raise ConfigError(f"--skeleton {wanted[:200]}: no such file")
        return [pair.strip() for pair in wanted.split(",") if pair.strip()]
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError("it is larger than 1 MB")
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix != ".json":
            lines = [line.strip() for line in text.splitlines()]
            return [line for line in lines if line and not line.startswith("#")]
        read = json.loads(text)
        if not isinstance(read, list):
            raise ValueError("no list")
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"--skeleton {wanted[:200]}: {error}; give a text file with a pair a-b in each line, or"
            ' a JSON list [["a", "b"], ...]'
        ) from error
    return read


def _bone(pair: object, names: Sequence[str]) -> Bone:
    """Give the numbers of a pair; a name may be the last part of a keypoint's."""
    if isinstance(pair, str):
        halves = [(pair[:i].strip(), pair[i + 1 :].strip()) for i, c in enumerate(pair) if c == "-"]
        found = [(a, b) for a, b in halves if _number(a, names) and _number(b, names)]
        if len(found) > 1:
            raise ConfigError(f"--skeleton {pair[:60]}: several ways to split it; give a JSON file")
        if not halves:
            raise ConfigError(f"--skeleton {pair[:60]}: no pair; write two keypoints as a-b")
        ends: Sequence[object] = found[0] if found else halves[0]
    else:
        ends = pair if isinstance(pair, list) else [pair]
    numbers = []
    for name in ends:
        number = _number(str(name), names)
        if not number:
            raise ConfigError(
                f"--skeleton: keypoint {str(name)[:60]!r} is unknown or has several meanings;"
                f" {near_names(name, names)}"
            )
        numbers.append(number[0])
    if len(numbers) != 2 or numbers[0] == numbers[1]:
        raise ConfigError(f"--skeleton {str(pair)[:60]}: a bone joins two different keypoints")
    return min(numbers), max(numbers)


def _number(name: str, names: Sequence[str]) -> list[int]:
    """Give the only keypoint of a name, in a list; an empty one where there is none."""
    exact = [k for k, other in enumerate(names) if other == name]
    short = [k for k, other in enumerate(names) if other.rsplit("/", 1)[-1] == name]
    found = exact or short
    return found if len(found) == 1 else []


def learned(lifted: LiftedPoints) -> Skeleton:
    """Join keypoints whose distance hardly varies although both move.

    The distance's standard deviation (from percentiles, so that few bad frames do not count) is
    below `MAX_VARIATION` of the length or what the claimed covariances explain (but never above
    `MAX_NOISY_VARIATION`), and both keypoints move `MIN_MOTION` times more. Of such pairs the
    shortest are kept that form no loop.
    """
    length, variation, is_bone = _distances(lifted)
    pairs = np.argwhere(np.triu(is_bone, 1))
    pairs = pairs[np.argsort(length[tuple(pairs.T)], kind="stable")]
    part = list(range(len(length)))  # of each keypoint: pieces joined so far
    bones: list[Bone] = []
    for a, b in pairs.tolist():
        if part[a] != part[b]:
            bones.append((a, b))
            old, new = part[b], part[a]
            part = [new if piece == old else piece for piece in part]
    if not bones:
        return Skeleton([], "skeleton: no pair of moving keypoints keeps its distance; no lines")
    names = lifted.keypoint_names
    listed = [
        f"{names[a]}-{names[b]} ({length[a, b]:.3g} {lifted.units}, varies by"
        f" {variation[a, b]:.2g})"
        for a, b in bones[:_LISTED]
    ]
    more = f", and {len(bones) - _LISTED} more" if len(bones) > _LISTED else ""
    note = (
        f"skeleton: {len(bones)} lines, learned from distances that hardly vary:"
        f" {', '.join(listed)}{more}; --skeleton names others"
    )
    return Skeleton(bones, note)


def _distances(
    lifted: LiftedPoints,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Give (K, K) lengths, their standard deviations, and which pairs may be bones."""
    T, K = lifted.is_measured.shape
    rows = np.unique(np.linspace(0, T - 1, min(T, MAX_FRAMES)).round().astype(int))
    points = np.where(lifted.is_measured[rows, :, None], lifted.points[rows], np.nan)
    covariance = lifted.covariance[rows]
    length, variation = np.zeros((K, K)), np.full((K, K), np.inf)
    is_bone = np.zeros((K, K), bool)
    for a in range(K):
        step = points - points[:, a : a + 1]  # (n, K, 3)
        distance = np.linalg.norm(step, axis=-1)
        for b in range(a + 1, K):
            shared = np.isfinite(distance[:, b])
            if shared.sum() < MIN_FRAMES:
                continue
            d = distance[shared, b]
            length[a, b] = np.median(d)
            variation[a, b] = np.subtract(*np.percentile(d, _MIDDLE[::-1])) / 3.92
            along = step[shared, b] / np.maximum(d, 1e-12)[:, None]
            both = covariance[shared, a] + covariance[shared, b]
            noise = np.sqrt(np.clip(np.einsum("ni,nij,nj->n", along, both, along), 0, None))
            known = noise[np.isfinite(noise)]
            explained = NOISE_FACTOR * float(np.median(known)) if len(known) else 0.0
            limit = min(MAX_NOISY_VARIATION * length[a, b], explained)
            limit = max(MAX_VARIATION * length[a, b], limit)
            motion = min(_motion(points[shared, k]) for k in (a, b))
            is_bone[a, b] = variation[a, b] <= min(limit, motion / MIN_MOTION) and motion > 0
    return length, variation, is_bone


def _motion(points: npt.NDArray[np.float64]) -> float:
    """Give the standard deviation of a keypoint's way (n, 3)."""
    return float(np.sqrt(points.var(0).sum()))
