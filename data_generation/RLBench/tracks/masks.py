"""Which thing each keypoint hangs on, and which keypoints look alike: for detectors.

The thing is given by its id in segmentation images: where several look alike, the first frame's
mask says which is meant. The fingers of the robot look alike, too, and no mask tells them apart.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.errors import StoreError
from data_generation.RLBench.raw import layout
from data_generation.RLBench.raw.episode import segmentation_names
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.json_files import JsonError, read_json
from data_generation.RLBench.raw.records import MAX_TRACKS_BYTES
from data_generation.RLBench.raw.store import RawStore, RawTracks

SLACK = 0.02  # [m] a waypoint without a known parent may lie so far outside the box of its thing
PART = 0.3  # a thing with less of the parent's volume is a part in or on it
_FINGER = re.compile(r"robot/((left|right)_finger|finger[0-9]+)")
MAX_POSES_BYTES = 8 * MAX_TRACKS_BYTES


def mask_meta(
    store: RawStore, raw: Mapping[int, Sequence[RawTracks]], output: Path
) -> dict[str, Any]:
    """Give `mask_pattern`, `mask_ids`, `descriptions`, `exchangeable`; only what the data has.

    Args:
        store: The raw data.
        raw: Task id -> its episodes, in the order of the examples.
        output: The archive; the pattern is relative to its folder.
    """
    records = {e.key: store.read_record(e.key) for episodes in raw.values() for e in episodes}
    found: dict[str, Any] = {}
    texts = {t: [_description(records[e.key]) for e in xs] for t, xs in raw.items()}
    if all(text for lines in texts.values() for text in lines):
        found["descriptions"] = {f"T{t}": lines for t, lines in texts.items()}
    alike = {f"T{t}": _fingers(xs[0].keypoint_names) for t, xs in raw.items()}
    if any(alike.values()):
        found["exchangeable"] = {task: [group] for task, group in alike.items() if group}
    if all(_has_masks(records[e.key], e) for xs in raw.values() for e in xs):
        frames = layout.mode_dir(Path(os.path.relpath(store.root, output.parent)), store.mode)
        found["mask_pattern"] = f"{frames}/{layout.MASK_PATTERN}"
        found["mask_ids"] = {
            f"T{t}": [_ids(store, e, records[e.key], drawn) for e in xs]
            for t, xs in raw.items()
            for drawn in [_drawn(store, xs)]
        }
    return found


def _fingers(names: Sequence[str]) -> list[str]:
    """List the robot's fingertips, where there are several."""
    found = [name for name in names if _FINGER.fullmatch(name)]
    return found if len(found) > 1 else []


def _description(record: Mapping[str, Any]) -> str:
    lines = record.get("descriptions")
    first = lines[0] if isinstance(lines, list) and lines else ""
    return first if isinstance(first, str) and first.isprintable() else ""


def _has_masks(record: Mapping[str, Any], episode: RawTracks) -> bool:
    names = [layout.image(episode.key, cam, "seg", 0) for cam in episode.track_cams]
    return all(name in record["files"] for name in names) and bool(segmentation_names(record))


def _drawn(store: RawStore, episodes: Sequence[RawTracks]) -> set[int]:
    """List the ids in the first images of a task: of things that are ever to be seen."""
    images = [store.read_ids(e.key, cam, 0) for e in episodes for cam in e.track_cams]
    return {int(i) for image in images for i in np.unique(image)}


def _ids(
    store: RawStore, episode: RawTracks, record: Mapping[str, Any], drawn: set[int]
) -> list[int | None]:
    """Give the id of the thing that each keypoint hangs on; None where no image shows it."""
    by_name = {name: number for number, name in segmentation_names(record).items()}
    scene = FirstFrame(_annotations(store, episode.key))
    found: list[int | None] = []
    first = dict(zip(episode.keypoint_names, episode.xyz[0], strict=True))
    for name, point in first.items():
        group, _, own = name.partition("/")
        if group == "waypoints":
            found.append(scene.thing_at(own, point, drawn))
        elif group == "frames":  # its other points may lie beside the thing
            waypoint = own.rpartition("/")[0]
            origin = first.get(f"{group}/{waypoint}/origin", point)
            found.append(scene.thing_at(waypoint, origin, drawn))
        elif group in ("objects", "boxes"):
            number = by_name.get(own if group == "objects" else own.rpartition("/")[0])
            found.append(number if number in drawn else None)
        else:  # the robot: there is one
            found.append(None)
    return found


def _annotations(store: RawStore, key: EpisodeKey) -> Mapping[str, Any]:
    """Read the annotations of an episode's first frame."""
    path = store.task_dir(key.task_id) / layout.object_poses(key)
    try:
        frames = read_json(path, MAX_POSES_BYTES)
    except (OSError, JsonError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from None
    first = frames[0] if isinstance(frames, list) and frames else {}
    return first if isinstance(first, dict) else {}


def _volume(box: npt.NDArray[np.float64]) -> float:
    return float(np.prod(box[:, 1] - box[:, 0]))


class FirstFrame:
    """The annotations of a first frame, as `Observation.obj_annotations` has them."""

    def __init__(self, annotations: Mapping[str, Any]) -> None:
        """Take the annotations."""
        self._first = annotations

    def thing_at(
        self, waypoint: str, point: npt.NDArray[np.float64], drawn: set[int]
    ) -> int | None:
        """Give the thing that a waypoint is on.

        That is its parent, or the smallest thing whose box holds the point: where there is no
        parent, or where it is one of the parts that lie in or on the parent. Tasks put waypoints on
        such a part when an episode begins, and do not change the parent.
        """
        waypoints = self._first.get("waypoints")
        entry = waypoints.get(waypoint) if isinstance(waypoints, dict) else None
        parent = entry.get("parent_id") if isinstance(entry, dict) else None
        boxes = {number: box for number, box in self._boxes() if number in drawn}
        is_known = isinstance(parent, int) and parent in drawn
        slack, largest = SLACK, np.inf
        if is_known:
            slack, largest = 0.0, PART * _volume(boxes[parent]) if parent in boxes else 0.0
        around = [
            (_volume(box), number)
            for number, box in boxes.items()
            if (box[:, 0] - slack <= point).all()
            and (point <= box[:, 1] + slack).all()
            and _volume(box) < largest
        ]
        if around:
            return min(around)[1]
        return parent if is_known else None

    def _boxes(self) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
        """Yield id and box (3, 2) [m], world, of each annotated thing."""
        objects = self._first.get("objects")
        for thing in objects if isinstance(objects, list) else ():
            number = thing.get("id") if isinstance(thing, dict) else None
            box = np.asarray(thing.get("bbox") if isinstance(thing, dict) else None)
            if isinstance(number, int) and box.shape == (6,) and box.dtype.kind in "fi":
                yield number, box.astype(np.float64).reshape(3, 2)
