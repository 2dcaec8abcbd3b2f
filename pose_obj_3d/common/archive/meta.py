"""The `meta` of `sim_all_formal.npz`: decoded with limits, and every field typed, with its range.

`formal.py` has the list of the fields.
"""

import json
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from pose_obj_3d.common.errors import FormalError

VERSIONS = (1, 2, 3)  # 1: no optional members; 3: calibrations by example
CALIBRATIONS, CALIBRATION_NAMES = "calibrations", "calibration_names"
OPTIONAL_META = {"detections": 2, "exchangeable": 2, CALIBRATIONS: 3}
"""Fields that not every version has: the first one that has them."""
MAX_CALIBRATIONS = 64  # each camera of each is a view in memory
SPLIT_NAMES = ("train", "val", "test")
REQUIRED_META = ("image_size", "camera_names", "task_names", "keypoint_names")
COMPLETE_META = (*REQUIRED_META, "noise", "split", "frame_period_s")
MIN_EXAMPLES = 3  # of a task: one each to train, validate and test
MAX_TEXT = 32_000_000  # characters of meta: 100,000 examples of 320 characters each
MAX_MASK_ID = 65535  # masks have 16 bits
MAX_IMAGE, MAX_SIGMA_PX, MAX_FACTOR, MAX_PERIOD_S = 100_000, 1e5, 1e6, 86_400.0
PER_VIEW = {
    "sigma_px_per_view": MAX_SIGMA_PX,
    "noise_scale": MAX_FACTOR,
    "occlusion_noise": MAX_FACTOR,
    "outlier_rate": 1.0,
    "drop_rate": 1.0,
    "noise_time_constant": MAX_FACTOR,
    "noise_persistent_share": 1.0,
    "noise_per_keypoint": MAX_FACTOR,
    "gross_rate": 1.0,
    "gross_rate_hidden": 1.0,
    "gross_scale": MAX_FACTOR,
    "gross_scale_hidden": MAX_FACTOR,
    "share_identical": 1.0,
}
"""Fields of `noise` with one number for each view, from 0 to this."""
ESTIMATED_NOISE = (  # key of the noise in memory only: found by `stated_noise.check_noise`
    "estimated_px_per_view"
)
MAX_ALIKE = 6  # keypoints of a group that look alike: all 720 orders of them are tried
_NUMBER = r"(0|[1-9][0-9]{0,8})"
_TASK = re.compile(f"T{_NUMBER}")
_PATTERNS = ("image_pattern", "mask_pattern")
_PLACES = ("task", "camera", "variation", "example", "frame")  # what a pattern may name
_SPEC = re.compile(r"(0?[0-9]{1,2}d?)?")
_SHOWN = 60

Meta = dict[str, Any]


def decode_meta(text: str) -> Meta:
    """Decode the text of `meta`, and check its version and that no field is missing.

    `check_meta` checks the fields.

    Raises:
        FormalError: It is damaged, of another version, or incomplete.
    """
    if len(text) > MAX_TEXT:
        raise FormalError(f"member 'meta' has {len(text)} characters; at most {MAX_TEXT} are read")
    try:
        meta = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FormalError(f"member 'meta' is not JSON ({error}); convert the data again") from error
    version = meta.get("format_version") if isinstance(meta, dict) else None
    if not _is_count(version, VERSIONS[0], VERSIONS[-1]):
        raise FormalError(
            f"format version {_show(version)}, this program reads"
            f" {VERSIONS[0]} to {VERSIONS[-1]}; convert the data again"
        )
    absent = [k for k in COMPLETE_META if k not in meta]
    if absent:
        raise FormalError(f"meta lacks {', '.join(absent)}; convert the data again")
    return dict(meta)


def _no_constant(name: str) -> float:
    raise ValueError(f"it holds {name}, which is no number")


def _show(value: object) -> str:
    """Describe a foreign value in a few characters, whatever its size."""
    if isinstance(value, list | dict):
        return f"a {'list' if isinstance(value, list) else 'mapping'} of {len(value)}"
    if isinstance(value, int) and not -(10**18) < value < 10**18:
        return "a huge number"
    return repr(value)[:_SHOWN]


def _require(ok: bool, key: str, allowed: str, value: object) -> None:
    if not ok:
        raise FormalError(
            f"meta: {key} must be {allowed}, found {_show(value)}; convert the data again"
        )


def _is_number(value: object, low: float, high: float) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and low <= value <= high  # type: ignore[operator]  # NaN fails


def _is_count(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()


def _check_names(key: str, value: object) -> None:
    ok = isinstance(value, list) and len(value) > 0 and all(_is_name(v) for v in value)
    _require(ok, key, "a list of names", value)
    names: list[str] = value  # type: ignore[assignment]
    twice = (
        [name for name in names if names.count(name) > 1] if len(set(names)) < len(names) else []
    )
    if twice:
        raise FormalError(f"meta: {key} has {twice[0]!r} twice; each name must be there once")


def _tasks(meta: Meta, key: str) -> dict[str, Any]:
    value = meta[key]
    ok = isinstance(value, dict) and all(_TASK.fullmatch(k) for k in value)
    _require(ok, key, "a mapping with keys T<task>", value)
    return dict(value)


def check_meta(meta: Meta) -> None:
    """Check the type and the range of every field.

    Raises:
        FormalError: A field is not what it must be; the message names it.
    """
    size = meta["image_size"]
    ok = isinstance(size, list) and len(size) == 2 and all(_is_count(n, 1, MAX_IMAGE) for n in size)
    _require(ok, "image_size", f"[width, height], whole numbers from 1 to {MAX_IMAGE}", size)
    _check_names("camera_names", meta["camera_names"])
    for task, name in _tasks(meta, "task_names").items():
        _require(_is_name(name), f"task_names of {task}", "a name", name)
    for task, names in _tasks(meta, "keypoint_names").items():
        _check_names(f"keypoint_names of {task}", names)
    period = meta["frame_period_s"]
    _require(
        _is_number(period, 1e-9, MAX_PERIOD_S),
        "frame_period_s",
        f"a number above 0, at most {MAX_PERIOD_S:g}",
        period,
    )
    _check_noise(meta["noise"], len(meta["camera_names"]))
    for task, split in _tasks(meta, "split").items():
        _check_split(f"split of {task}", split)
    _check_sources(meta)
    _check_optional(meta)


def _check_optional(meta: Meta) -> None:
    """Check the fields of later versions: detector, keypoints that look alike, calibrations."""
    there = [key for key in OPTIONAL_META if meta.get(key) is not None]
    early = next((key for key in there if meta["format_version"] < OPTIONAL_META[key]), None)
    if early is not None:
        raise FormalError(
            f"meta: {early} belongs to format version {OPTIONAL_META[early]}, found"
            f" {meta['format_version']}; write the archive again"
        )
    if CALIBRATIONS in there:
        _check_calibrations(meta)
    if "detections" in there:
        _check_detector(meta["detections"])
    if "exchangeable" in there:
        for task, groups in _tasks(meta, "exchangeable").items():
            _check_groups(task, groups, meta["keypoint_names"].get(task, []))


def _check_calibrations(meta: Meta) -> None:
    """Check which calibration each example has; `check_split_numbers` looks at their number."""
    names = meta.get(CALIBRATION_NAMES)
    _check_names(CALIBRATION_NAMES, names)
    count = len(names or ())
    _require(
        count <= MAX_CALIBRATIONS, CALIBRATION_NAMES, f"at most {MAX_CALIBRATIONS} names", names
    )
    for task, numbers in _tasks(meta, CALIBRATIONS).items():
        ok = isinstance(numbers, list) and all(_is_count(n, 0, count - 1) for n in numbers)
        allowed = f"for each example a number of a calibration, 0 to {count - 1}"
        _require(ok, f"{CALIBRATIONS} of {task}", allowed, numbers)


def _check_detector(value: object) -> None:
    if not isinstance(value, dict) or not _is_name(value.get("detector")):
        raise FormalError(
            'meta: detections must be a mapping with the name of the "detector", found'
            f" {_show(value)}"
        )
    frames = value.get("labelled_frames")
    _require(
        frames is None or _is_count(frames, 0, 10**9),
        "detections.labelled_frames",
        "a whole number, or null where all were",
        frames,
    )
    if value.get("folds") is None:
        return
    for task, folds in _tasks(value, "folds").items():
        ok = isinstance(folds, dict) and all(
            re.fullmatch(_NUMBER, n) and _is_count(fold, 0, 10**6) for n, fold in folds.items()
        )
        allowed = 'a mapping from example numbers to folds, {"12": 0}'
        _require(ok, f"detections.folds of {task}", allowed, folds)


def _check_groups(task: str, groups: object, names: list[str]) -> None:
    allowed = f"lists of two to {MAX_ALIKE} of the task's keypoints, each at most once"
    ok = isinstance(groups, list) and all(
        isinstance(group, list) and 2 <= len(group) <= MAX_ALIKE for group in groups
    )
    _require(ok, f"exchangeable of {task}", allowed, groups)
    listed: list[object] = [name for group in groups for name in group]  # type: ignore[attr-defined]
    for number, name in enumerate(listed):
        ok = name in names and name not in listed[:number]
        _require(ok, f"exchangeable of {task}", allowed, name)


def _check_noise(noise: object, views: int) -> None:
    if not isinstance(noise, dict):
        raise FormalError(
            f"meta: noise must be a mapping with sigma_px, found {_show(noise)}; convert the data"
            " again"
        )
    _require(
        ESTIMATED_NOISE not in noise,
        "noise",
        f"without {ESTIMATED_NOISE}, which each reader estimates itself",
        noise,
    )
    sigma = noise.get("sigma_px")
    _require(
        _is_number(sigma, 0, MAX_SIGMA_PX),
        "noise.sigma_px",
        f"a number from 0 to {MAX_SIGMA_PX:g} [px]",
        sigma,
    )
    for key, most in PER_VIEW.items():
        if key in noise:
            value = noise[key]
            numbers = value if isinstance(value, list) else [value]
            ok = len(numbers) in (1, views) and all(_is_number(n, 0, most) for n in numbers)
            _require(
                ok,
                f"noise.{key}",
                f"one number from 0 to {most:g}, or a list of {views}, one for each view",
                value,
            )


def _check_split(key: str, split: object) -> None:
    if not isinstance(split, dict) or set(split) != set(SPLIT_NAMES):
        raise FormalError(f"meta: {key} needs {', '.join(SPLIT_NAMES)}, found {_show(split)}")
    for name, numbers in split.items():
        ok = isinstance(numbers, list) and all(_is_count(n, 0, 10**9) for n in numbers)
        _require(ok, f"{key}, {name}", "a list of example numbers", numbers)


def _check_sources(meta: Meta) -> None:
    for key in _PATTERNS:
        pattern = meta.get(key)
        if pattern is not None:
            _require(
                isinstance(pattern, str) and _is_pattern(pattern),
                key,
                f"a path with {{{'}, {'.join(_PLACES)}}}",
                pattern,
            )
    if meta.get("mask_ids") is not None:
        _check_mask_ids(meta)
    if meta.get("descriptions") is not None:
        for task, texts in _tasks(meta, "descriptions").items():
            ok = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
            _require(ok, f"descriptions of {task}", "a list of texts", texts)
    if meta.get("sources") is None:
        return
    for task, sources in _tasks(meta, "sources").items():
        ok = isinstance(sources, list) and all(_is_source(s) for s in sources)
        _require(ok, f"sources of {task}", 'a list of {"variation": n, "example": n}', sources)


def _check_mask_ids(meta: Meta) -> None:
    """Check `mask_ids`: for each example one id, or null, for each keypoint."""
    for task, examples in _tasks(meta, "mask_ids").items():
        n = len(meta["keypoint_names"].get(task, ()))
        ok = isinstance(examples, list) and all(
            isinstance(ids, list)
            and len(ids) == n
            and all(i is None or _is_count(i, 0, MAX_MASK_ID) for i in ids)
            for ids in examples
        )
        allowed = f"for each example a list of {n} ids from 0 to {MAX_MASK_ID}, or null"
        _require(ok, f"mask_ids of {task}", allowed, examples)


def _is_source(value: object) -> bool:
    return isinstance(value, dict) and all(
        _is_count(value.get(key), 0, 10**9) for key in ("variation", "example")
    )


def _is_pattern(pattern: str) -> bool:
    """Say whether a pattern is safe to format: it names known fields only, with small widths."""
    if not (pattern.isprintable() and len(pattern) <= 4096):
        return False
    try:
        fields = list(string.Formatter().parse(pattern))
    except ValueError:
        return False
    return all(
        name is None
        or (name in _PLACES and not conversion and _SPEC.fullmatch(spec or "") is not None)
        for _, name, spec, conversion in fields
    )


def make_split(n: int, where: str = "data set") -> dict[str, list[int]]:
    """Split n examples by number: the last fifth is test, the tenth before it validation.

    Args:
        n: Number of examples of one task, at least 3.
        where: Names the data in the error message.

    Returns:
        `train`, `val`, `test` -> sorted example numbers; disjoint, together 0..n-1.
    """
    if n < MIN_EXAMPLES:
        raise FormalError(
            f"{where}: {n} example(s) cannot be split into train, val and test; at least"
            f" {MIN_EXAMPLES} are needed: generate more examples"
        )
    n_test, n_val = max(1, round(0.2 * n)), max(1, round(0.1 * n))
    n_train = n - n_test - n_val
    return {
        "train": list(range(n_train)),
        "val": list(range(n_train, n_train + n_val)),
        "test": list(range(n_train + n_val, n)),
    }


def check_split_numbers(where: str, split: Mapping[str, Sequence[int]], n: int) -> None:
    """Check the split of a task against its number of examples."""
    numbers = [i for name in SPLIT_NAMES for i in split[name]]
    if len(set(numbers)) != len(numbers):
        raise FormalError(f"{where}: an example is in two parts; the parts must be disjoint")
    if any(not 0 <= i < n for i in numbers):
        raise FormalError(f"{where}: example {max(numbers)} is out of range, the file holds {n}")
    empty = [name for name in SPLIT_NAMES if not split[name]]
    if empty:
        raise FormalError(
            f"{where}: no examples left for {', '.join(empty)}; at least 3 examples are needed"
        )
