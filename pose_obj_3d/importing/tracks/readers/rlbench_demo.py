"""Read a demonstration that RLBench has stored: an episode's folder with `low_dim_obs.pkl`.

A stored demonstration has no 2D keypoints. Known in each frame are the poses of the gripper and of
the arm's joints, which are projected into the cameras; and masks, if images were stored: the centre
of what an image shows of each object is its keypoint. The pickle is read without Python's
unpickler and without RLBench: it may hold `Demo`, `Observation` and NumPy's arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pose_obj_3d.common.errors import ArchiveError, DataError
from pose_obj_3d.common.safe_reading import plain_pickle
from pose_obj_3d.common.safe_reading.numpy_pickles import NUMPY_CALLS, plain
from pose_obj_3d.geometry.lenses import PINHOLE
from pose_obj_3d.importing.calibrations.types import Calibration
from pose_obj_3d.importing.tracks.views import Floats, Found, ViewTracks, Wanted

PICKLE = "low_dim_obs.pkl"
MAX_BYTES, MAX_IMAGE_BYTES, MAX_FRAMES, MAX_JOINTS = 512 << 20, 32 << 20, 100_000, 100
FPS = 20.0  # of RLBench's simulation
AXIS_M = 0.05
"""Distance from the gripper's tip of the points that show its axes."""
# Of an image: smaller ones are uncertain, larger ones are floor, table and walls.
AREA_SHARES = (0.0005, 0.2)
MIN_FRAMES_SHARE = 0.25  # in which two cameras see an object as a whole
_FIXED = 1e-4  # m; a camera that moves more, such as that of the wrist, is left out
_SENSOR_TO_OPENCV = np.diag([-1.0, -1.0, 1.0])  # RLBench's camera: x left, y up


class _Stored(plain_pickle.Built):
    """An object of RLBench: its attributes."""

    def __init__(self, *_: object) -> None:
        self.values: dict[str, Any] = {}

    def build(self, state: object) -> None:
        """Take the attributes."""
        if not isinstance(state, dict):
            raise ArchiveError("has an object without attributes")
        self.values = state


_CLASSES: plain_pickle.Calls = {
    ("rlbench.demo", "Demo"): _Stored,
    ("rlbench.backend.observation", "Observation"): _Stored,
    ("rlbench.backend.observation", "CameraImages"): _Stored,
}


def knows(path: Path) -> bool:
    """Tell whether a folder is an episode's."""
    return path.is_dir() and (path / PICKLE).is_file()


@dataclass(frozen=True)
class StoredEpisode:
    """What is known of an episode: V cameras that stand still, T frames.

    Attributes:
        cameras: The cameras.
        moving: Names of those that move, and are left out.
        names: Of the points whose positions are known: gripper and joints.
        xyz: (T, len(names), 3) [m], world.
        objects: Numbers of the objects that masks show as a whole, in enough frames.
        centres: Of each view (T, len(objects), 2) [px]; NaN where no mask shows it as a whole.
        numbers: Of all objects that masks show, parts of them too.
        planes: (V, 2) near and far plane [m], between which depth is stored; NaN where unknown.
    """

    cameras: Calibration
    moving: list[str]
    names: list[str]
    xyz: Floats
    objects: list[int]
    centres: list[Floats]
    numbers: frozenset[int]
    planes: Floats

    def projected(self, v: int) -> Floats:
        """Return (T, len(names), 2) [px] of a view; NaN outside the image."""
        return _projected(self.xyz, self.cameras, v)


def read_episode(path: Path) -> StoredEpisode:
    """Read an episode's folder.

    Raises:
        DataError: The pickle is damaged, holds more than data, or has fewer than two fixed cameras.
    """
    moments = _moments(path / PICKLE)
    cameras, moving = _cameras(path, moments)
    names, xyz = _known_points(path, moments)
    centres, objects, numbers = _objects(path, cameras, len(moments))
    planes = _planes(plain(moments[0].get("misc")), cameras.names)
    return StoredEpisode(cameras, moving, names, xyz, objects, centres, numbers, planes)


def read_demo(path: Path, wanted: Wanted) -> Found:
    """Read an episode's folder.

    Raises:
        DataError: As `read_episode`.
    """
    del wanted
    episode = read_episode(path)
    cameras, ids = episode.cameras, episode.objects
    views = []
    for v, camera in enumerate(cameras.names):
        points = np.concatenate([episode.projected(v), episode.centres[v]], axis=1)
        views.append(
            ViewTracks(
                name=camera,
                source=path,
                points=points[:, None],
                keypoints=(*episode.names, *(f"object/{number}" for number in ids)),
                fps=FPS,
                image_size=image_size(cameras, v),
            )
        )
    known = len(episode.names)
    truth = np.full((len(episode.xyz), known + len(ids), 3), np.nan)
    truth[:, :known] = episode.xyz
    moving = ", ".join(episode.moving)
    notes = [f"moving cameras are left out: {moving}"] if moving else []
    if ids:
        notes.append(
            f"{len(ids)} objects of the masks are keypoints, by the centre of what an image shows:"
            " object/<number>"
        )
    return Found(tuple(views), cameras, truth, tuple(notes))


def _moments(path: Path) -> list[dict[str, Any]]:
    """Return the attributes of each observation."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: has more than {MAX_BYTES >> 20} MiB; store images as files")
        with path.open("rb") as file:
            demo = plain_pickle.load(file, NUMPY_CALLS, classes=_CLASSES)
    except (ArchiveError, OSError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); store the demonstration again"
        ) from error
    found = demo.values.get("_observations") if isinstance(demo, _Stored) else demo
    if not isinstance(found, list) or not all(isinstance(x, _Stored) for x in found):
        raise DataError(f"{path}: is no Demo with a list of observations; store it again")
    if not 0 < len(found) <= MAX_FRAMES:
        raise DataError(f"{path}: has {len(found)} observations; allowed: 1 to {MAX_FRAMES}")
    return [moment.values for moment in found]


def _numbers(where: str, value: Any, shape: tuple[int, ...]) -> Floats:
    found = plain(value)
    ok = isinstance(found, np.ndarray) and found.dtype.kind in "fiu" and found.shape == shape
    if not ok or not np.isfinite(found).all():
        raise DataError(f"{where} must be finite numbers of shape {shape}; store it again")
    values: Floats = found.astype(np.float64)
    return values


def _cameras(path: Path, moments: list[dict[str, Any]]) -> tuple[Calibration, list[str]]:
    """Return the cameras that stand still, and the names of those that do not."""
    misc = [plain(moment.get("misc")) for moment in moments]
    if not all(isinstance(m, dict) for m in misc):
        raise DataError(f"{path / PICKLE}: an observation has no misc, which has the cameras")
    ending = "_camera_extrinsics"
    names = [key.removesuffix(ending) for key in misc[0] if str(key).endswith(ending)]
    kept, moving, intrinsics, extrinsics = [], [], [], []
    for name in names[:100]:
        where = f"{path / PICKLE}: {name[:60]}{ending}"
        poses = np.stack([_numbers(where, m.get(name + ending), (4, 4)) for m in misc])
        if np.abs(poses - poses[0]).max() > _FIXED:
            moving.append(name)
            continue
        key = f"{name}_camera_intrinsics"
        K = _numbers(f"{path / PICKLE}: {key[:80]}", misc[0].get(key), (3, 3)) @ _SENSOR_TO_OPENCV
        if not (K[[0, 1], [0, 1]] > 0).all() or np.array_equal(poses[0], np.eye(4)):
            continue  # one that was not there
        R = _SENSOR_TO_OPENCV @ poses[0, :3, :3].T
        kept.append(name)
        intrinsics.append(K)
        extrinsics.append(np.concatenate([R, -R @ poses[0, :3, 3:]], axis=1))
    if len(kept) < 2:
        raise DataError(
            f"{path / PICKLE}: {len(kept)} cameras stand still ({', '.join(kept)}); 3D needs two"
        )
    sizes = np.rint(2 * np.stack(intrinsics)[:, :2, 2])
    return (
        Calibration(
            source=str(path),
            tool="RLBench",
            names=kept,
            intrinsics=np.stack(intrinsics),
            extrinsics=np.stack(extrinsics),
            distortion=np.zeros((len(kept), 14)),
            lenses=[PINHOLE] * len(kept),
            image_size=sizes,
            unit="m",
            is_unit_known=True,
            notes=[],
        ),
        moving,
    )


def _known_points(path: Path, moments: list[dict[str, Any]]) -> tuple[list[str], Floats]:
    """Return names and positions (T, K, 3) [m] of gripper and joints."""
    where = f"{path / PICKLE}: gripper_pose"
    tip = np.stack([_numbers(where, moment.get("gripper_pose"), (7,)) for moment in moments])
    x, y, z, w = (tip[:, 3:] / np.linalg.norm(tip[:, 3:], axis=1, keepdims=True)).T
    axes = [
        np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)], -1),
        np.stack([2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)], -1),
        np.stack([2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)], -1),
    ]
    names = ["gripper/tip", "gripper/x", "gripper/y", "gripper/z"]
    xyz = [tip[:, :3], *(tip[:, :3] + AXIS_M * axis for axis in axes)]
    joints = [plain(plain(moment.get("misc")).get("joint_poses")) for moment in moments]
    if all(
        isinstance(found, np.ndarray | list) and 0 < len(found) <= MAX_JOINTS for found in joints
    ):
        count = len(joints[0])
        where = f"{path / PICKLE}: joint_poses"
        poses = np.stack([_joints(where, found, count) for found in joints])
        names += [f"arm/joint{j}" for j in range(count)]
        xyz += [poses[:, j, :3] for j in range(count)]
    return names, np.stack(xyz, axis=1)


def _joints(where: str, found: Any, count: int) -> Floats:
    """Return (count, 7) of an array, or of a list of arrays."""
    if isinstance(found, np.ndarray):
        return _numbers(where, found, (count, 7))
    if len(found) != count:
        raise DataError(f"{where} must be of {count} joints in all observations; store it again")
    return np.stack([_numbers(where, pose, (7,)) for pose in found])


def image_size(cameras: Calibration, v: int) -> tuple[int, int]:
    """Return width and height [px] of a view's images."""
    assert cameras.image_size is not None
    width, height = cameras.image_size[v]
    return int(width), int(height)


def _projected(xyz: Floats, cameras: Calibration, v: int) -> Floats:
    """Return (T, K, 2) [px]; NaN outside the image."""
    E, K = cameras.extrinsics[v], cameras.intrinsics[v]
    local = xyz @ E[:, :3].T + E[:, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        uv = (local @ K.T)[..., :2] / local[..., 2:]
    inside = (local[..., 2] > 0) & (uv >= 0).all(-1) & (uv < image_size(cameras, v)).all(-1)
    return np.where(inside[..., None], uv, np.nan)


def _planes(misc: dict[str, Any], names: Sequence[str]) -> Floats:
    """Return near and far plane (V, 2) [m]; NaN where they were not stored."""
    found = np.full((len(names), 2), np.nan)
    for v, name in enumerate(names):
        pair = [plain(misc.get(f"{name}_camera_{end}")) for end in ("near", "far")]
        if all(isinstance(x, int | float) for x in pair) and 0 < pair[0] < pair[1] < np.inf:
            found[v] = pair
    return found


def _objects(
    path: Path, cameras: Calibration, frames: int
) -> tuple[list[Floats], list[int], frozenset[int]]:
    """Return of each view the centres (T, K, 2) [px] of K objects in masks, and their numbers.

    The last value holds the numbers of all objects.
    """
    seen: dict[int, Floats] = {}
    numbers: set[int] = set()
    for v, name in enumerate(cameras.names):
        folder = path / f"{name}_mask"
        for t in range(frames if folder.is_dir() else 0):
            ids = coded_image(folder / f"{t}.png", lowest_first=True)
            if ids is None:
                continue
            numbers.update(np.unique(ids).tolist())
            for number, centre in _centres(ids):
                empty = np.full((len(cameras.names), frames, 2), np.nan)
                seen.setdefault(number, empty)[v, t] = centre
    kept = [
        number
        for number, centres in sorted(seen.items())
        if (np.isfinite(centres[..., 0]).sum(0) > 1).mean() >= MIN_FRAMES_SHARE
    ]
    views = [
        np.stack([seen[number][v] for number in kept], axis=1) if kept else np.empty((frames, 0, 2))
        for v in range(len(cameras.names))
    ]
    return views, kept, frozenset(numbers)


def coded_image(path: Path, *, lowest_first: bool) -> "np.ndarray[Any, np.dtype[np.int64]] | None":
    """Return the numbers (H, W) that an image codes in three bytes; None where there is no image.

    Args:
        path: The image.
        lowest_first: Red is the lowest byte, as in masks, and not the highest, as in depth.

    Raises:
        DataError: It is no image.
    """
    if not path.is_file():
        return None
    if path.stat().st_size > MAX_IMAGE_BYTES:
        raise DataError(f"{path}: has more than {MAX_IMAGE_BYTES >> 20} MiB")
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"{path}: is no image; store the demonstration again")
    blue, green, red = (image[..., i].astype(np.int64) for i in range(3))
    low, high = (red, blue) if lowest_first else (blue, red)
    coded: np.ndarray[Any, np.dtype[np.int64]] = low + 256 * green + 65536 * high
    return coded


def _centres(ids: "np.ndarray[Any, np.dtype[np.int64]]") -> list[tuple[int, Floats]]:
    """Return number and centre of each object that is whole in the image, and of some size."""
    edge = np.concatenate([ids[0], ids[-1], ids[:, 0], ids[:, -1]])
    numbers, place, counts = np.unique(ids, return_inverse=True, return_counts=True)
    place = place.reshape(-1)
    rows, columns = (x.ravel() for x in np.indices(ids.shape))
    y, x = (np.bincount(place, axis) / counts for axis in (rows, columns))
    low, high = (share * ids.size for share in AREA_SHARES)
    is_whole = (numbers > 0) & (counts >= low) & (counts <= high) & ~np.isin(numbers, edge)
    return [(int(numbers[i]), np.array([x[i], y[i]])) for i in np.flatnonzero(is_whole)]
