"""Reads `sim_all_formal.npz` member by member for an inspection, also where it is damaged."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data_generation.RLBench.errors import ConfigError, StoreError
from data_generation.RLBench.inspection.sources import Array, Example, Rig, Section, Source
from pose_obj_3d.common.archive.detections import check_detections, check_detections_shape
from pose_obj_3d.common.archive.members import DETECTIONS
from pose_obj_3d.common.archive.meta import CALIBRATION_NAMES, CALIBRATIONS, MAX_TEXT, VERSIONS
from pose_obj_3d.common.archive.shards import OpenArchive
from pose_obj_3d.common.errors import ArchiveError, FormalError
from pose_obj_3d.common.safe_reading.safe_npz import SINGLE_ARRAY
from pose_obj_3d.formal import FRAME_PERIOD_S

DEFAULT_SIZE = (256, 256)  # [px], where an archive does not say
MAX_NAME = 80
MAX_NUMBER = 1e9  # of seconds or pixels
_EXAMPLE = re.compile(r"T([0-9]{1,9})/exemple_([0-9]{1,9})")
_REGULAR = ("meta", "intrinsics", "extrinsics")


class ArchiveSource(Source):
    """An npz archive; never unpickles."""

    def __init__(self, path: str) -> None:
        file = Path(path).expanduser().absolute()
        super().__init__(file, "archive of tracks")
        try:
            self._archive = OpenArchive(file)
        except (OSError, ArchiveError, FormalError) as error:
            if str(error) == SINGLE_ARRAY:
                raise StoreError(
                    f"{file} is a single array, not an archive of convert_data.py"
                ) from None
            raise StoreError(f"{file} is not a readable npz archive ({error})") from None
        names = self._archive.names
        if names == ["pose"]:
            raise StoreError(
                f"{file} has the older pickled layout; convert it first with"
                " python -m pose_obj_3d.formal_legacy"
            )
        self._list(names)
        self._meta = self._read_meta(names)
        self._task_names = self._table("task_names")
        self._keypoint_names = self._table("keypoint_names")
        self._sources = self._table("sources", is_required=False)
        self._calibration = {
            name: self._member(None, name) for name in ("intrinsics", "extrinsics")
        }
        about = self._meta.get("detections")
        if isinstance(about, dict):
            self.notes.append(f"holds detections by {str(about.get('detector'))[:MAX_NAME]}")
        self._rigs: dict[int, Rig] = {}
        self._calibrations = self._table(CALIBRATIONS, is_required=False)
        self.has_one_rig = not self._calibrations
        self.frame_period_s = self._number(self._meta.get("frame_period_s"), FRAME_PERIOD_S)

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()

    # --- what the archive says about itself ---

    def _list(self, names: list[str]) -> None:
        unknown, there = [], set(names)
        for name in names:
            match = _EXAMPLE.fullmatch(name)
            if match:
                self.numbers.setdefault(Section("train", int(match[1])), []).append(int(match[2]))
            elif name not in _REGULAR and not self._is_of_example(name, there):
                unknown.append(name)
        if not self.numbers:
            raise StoreError(
                f"{self.path} holds no examples T<task>/exemple_<n>; it is not a converted data set"
            )
        for name in unknown:
            allowed = f"T<task>/exemple_<n>, and {DETECTIONS}... of these"
            self.note_damage(None, "", name, f"unknown member; allowed are {allowed}")
        for section, numbers in self.numbers.items():
            numbers.sort()
            n_missing = numbers[-1] + 1 - len(numbers)
            if n_missing > 0:
                first = next((i for i, n in enumerate(numbers) if n != i), len(numbers))
                more = f" and {n_missing - 1} more" if n_missing > 1 else ""
                self.note_damage(
                    section, "", f"T{section.task_id}/exemple_{first}", f"is missing{more}"
                )

    @staticmethod
    def _is_of_example(name: str, there: set[str]) -> bool:
        """Tell whether a member holds the detections of an example that is there."""
        example = name.removeprefix(DETECTIONS)
        return example != name and example in there and _EXAMPLE.fullmatch(example) is not None

    def _read_meta(self, names: list[str]) -> Mapping[str, Any]:
        member = self._member(None, "meta")
        if member is None:
            return {}
        if member.size != 1 or member.itemsize > 4 * MAX_TEXT:
            self.note_damage(None, "", "meta", f"is not one text of at most {MAX_TEXT} characters")
            return {}
        try:
            meta = json.loads(str(member))
        except (ValueError, RecursionError) as error:
            meta = None
            self.note_damage(None, "", "meta", f"is not JSON: {error}")
        if not isinstance(meta, dict):
            self.note_damage(None, "", "meta", "is not a JSON object")
            return {}
        if meta.get("format_version") not in VERSIONS:
            found = str(meta.get("format_version"))[:40]
            known = f"{VERSIONS[0]} to {VERSIONS[-1]}"
            self.note_damage(
                None, "", "meta", f"format version {found}, this program reads {known}"
            )
        noise = meta.get("noise")
        self.sigma_px = self._number(
            noise.get("sigma_px") if isinstance(noise, dict) else None, None
        )
        return meta

    def _member(self, section: Section | None, name: str) -> Array | None:
        try:
            return self._archive.read(name)
        except ArchiveError as error:
            is_absent = name not in self._archive.names
            what = "is missing" if is_absent else f"cannot be read: {error}"
            label = name.removeprefix(DETECTIONS).partition("/")[2]
            self.note_damage(section, label, name, what)
            return None

    def _table(self, key: str, is_required: bool = True) -> Mapping[str, Any]:
        """Give an object of `meta`; where there is none, note that and give an empty one."""
        value = self._meta.get(key)
        if isinstance(value, dict):
            return value
        if is_required and self._meta:
            self.note_damage(None, "", "meta", f"{key} is missing")
        return {}

    @staticmethod
    def _number(value: object, default: Any) -> Any:
        is_number = isinstance(value, int | float) and 0 < value < MAX_NUMBER
        return float(value) if is_number else default  # type: ignore[arg-type]

    # --- examples ---

    def read_example(self, section: Section, number: int) -> Example | None:
        """Read one member; where `meta` lacks names, numbers are the names."""
        name = f"T{section.task_id}/exemple_{number}"
        x = self._member(section, name)
        if x is None:
            return None
        label = f"exemple_{number}"
        if x.ndim != 4 or not x.size:
            self.note_damage(
                section, label, name, f"shape {x.shape} instead of (views, frames, keypoints, 8)"
            )
            return None
        if x.dtype != np.float32:
            self.note_damage(section, label, name, f"type {x.dtype} instead of float32")
        self._note_detections(section, label, name, x)
        key, origin = f"T{section.task_id}", self._origin(section, number)
        return Example(
            section=section,
            number=number,
            label=label,
            variation=origin,
            task_name=str(self._task_names.get(key, "")),
            keypoint_names=self._names(
                self._keypoint_names.get(key), "keypoint_names", "keypoints", x.shape[2]
            ),
            rig=self._get_rig(x.shape[0], self._calibration_of(section, number)),
            tracks=x,
        )

    def _note_detections(self, section: Section, label: str, name: str, x: Array) -> None:
        """Check what a detector says of an example, where the archive has it of its task."""
        start = f"{DETECTIONS}T{section.task_id}/"
        if not any(other.startswith(start) for other in self._archive.names):
            return
        says = self._member(section, f"{DETECTIONS}{name}")
        if says is None:
            return
        try:
            check_detections_shape("detections", x.shape[:3], says)
            check_detections("detections", says)
        except FormalError as error:
            self.note_damage(section, label, f"{DETECTIONS}{name}", str(error))

    def _origin(self, section: Section, number: int) -> int | None:
        sources = self._sources.get(f"T{section.task_id}")
        if (
            not isinstance(sources, list)
            or number >= len(sources)
            or not isinstance(sources[number], dict)
        ):
            return None
        variation = sources[number].get("variation")
        return variation if isinstance(variation, int) else None

    def _names(self, value: object, key: str, word: str, count: int) -> tuple[str, ...]:
        """Give the names in `meta`, or numbers as names where those are no list of texts."""
        if isinstance(value, list) and value and all(isinstance(v, str) for v in value):
            return tuple(value)
        if self._meta:
            self.note_damage(None, "", "meta", f"{key} is missing or no list of names")
        return tuple(f"{word}/{i}" for i in range(count))

    def _calibration_of(self, section: Section, number: int) -> int:
        """Give the number of an example's calibration; 0 where all have one, or none is said."""
        numbers = self._calibrations.get(f"T{section.task_id}")
        is_there = isinstance(numbers, list) and number < len(numbers)
        which = numbers[number] if is_there and isinstance(numbers, list) else 0
        is_number = isinstance(which, int) and 0 <= which < len(self._calibration_names())
        if self._calibrations and not (is_there and is_number):
            label = f"exemple_{number}"
            self.note_damage(
                section, label, "meta", f"{CALIBRATIONS} has no number of a calibration"
            )
            return 0
        return which if self._calibrations else 0

    def _calibration_names(self) -> list[object]:
        names = self._meta.get(CALIBRATION_NAMES)
        return names if isinstance(names, list) and names else [""]

    def _get_rig(self, n_views: int, which: int) -> Rig:
        if which not in self._rigs:
            names = self._names(self._meta.get("camera_names"), "camera_names", "view", n_views)
            many = (len(self._calibration_names()),) if self._calibrations else ()
            K, E = (
                self._matrix(name, (*many, len(names), 3, n))
                for name, n in (("intrinsics", 3), ("extrinsics", 4))
            )
            K, E = (K[which], E[which]) if many else (K, E)
            self._rigs[which] = Rig(names, self._image_size(), K, E)
        return self._rigs[which]

    def _matrix(self, name: str, shape: tuple[int, ...]) -> Array:
        """Give a calibration, NaN where it cannot be used."""
        found = self._calibration[name]
        if found is None:
            return np.full(shape, np.nan)
        if found.shape != shape or found.dtype.kind not in "fiu" or not np.isfinite(found).all():
            self.note_damage(
                None, "", name, f"must be finite {shape}, found {found.dtype} {found.shape}"
            )
            return np.full(shape, np.nan)
        return found.astype(np.float64)

    def _image_size(self) -> tuple[int, int]:
        size = self._meta.get("image_size")
        is_size = (
            isinstance(size, list)
            and len(size) == 2
            and all(isinstance(s, int) and 0 < s <= 10000 for s in size)
        )
        if is_size and isinstance(size, list):
            return int(size[0]), int(size[1])
        if self._meta:
            self.note_damage(None, "", "meta", f"image_size {size} is not [width, height]")
        return DEFAULT_SIZE


def check_is_file(path: Path) -> None:
    """Refuse what is neither a folder nor an npz file."""
    if not path.exists():
        raise ConfigError(f"{path} does not exist; name a raw data set's folder or an npz archive")
    if path.suffix != ".npz":
        raise ConfigError(f"{path} is neither a folder nor an npz archive")
