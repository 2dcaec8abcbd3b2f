"""A synthetic multi-view scene: the four static cameras, smooth tracks, detector noise."""

from pathlib import Path
from typing import Any

import numpy as np

from pose_obj_3d.formal import write_formal

IMAGE = 256
SIGMA_PX = 0.00504 * IMAGE
NAMES = ("left_shoulder", "right_shoulder", "overhead", "front")
POSITIONS = np.array(
    [[-0.175, 0.2, 1.98], [-0.175, -0.2, 1.98], [-0.175, 0, 2.43], [1.35, 0, 1.58]]
)
ROTATIONS = np.array(
    [
        [
            [0.17364818, 0.89253885, 0.4161981],
            [0.98480779, -0.15737867, -0.07338715],
            [0, 0.42261866, -0.9063077],
        ],
        [
            [-0.17364836, 0.89253885, 0.4161981],
            [0.98480779, 0.15737879, 0.07338691],
            [0, 0.42261863, -0.9063077],
        ],
        [[0, 0.9063077, 0.42261863], [1, 0, 0], [0, 0.42261863, -0.9063077]],
        [[0, -0.42261794, -0.90630794], [-1, 0, 0], [0, 0.90630794, -0.42261791]],
    ]
)


def rig() -> tuple[np.ndarray, np.ndarray]:
    """Return intrinsics (4, 3, 3) [px] and world-to-camera extrinsics (4, 3, 4), OpenCV axes."""
    f = 0.5 * IMAGE / np.tan(np.deg2rad(20))
    K = np.tile([[f, 0, IMAGE / 2], [0, f, IMAGE / 2], [0, 0, 1.0]], (4, 1, 1))
    R = np.diag([-1.0, -1, 1]) @ ROTATIONS.transpose(0, 2, 1)
    t = -np.einsum("vij,vj->vi", R, POSITIONS)
    return K, np.concatenate([R, t[..., None]], -1)


def project(xyz: np.ndarray, K: np.ndarray, E: np.ndarray) -> np.ndarray:
    """(T, K, 3) world [m] -> (V, T, K, 2) [px]."""
    camera = np.einsum("vij,tkj->vtki", E[:, :, :3], xyz) + E[:, None, None, :, 3]
    image = np.einsum("vij,vtkj->vtki", K, camera)
    return image[..., :2] / image[..., 2:]


def motion(rng: np.random.Generator, frames: int, moving: list[bool]) -> np.ndarray:
    """(T, K, 3): still points, and points carried together along a smooth minimum-jerk path [m]."""
    start = np.stack(
        [
            rng.uniform(0.1, 0.4, len(moving)),
            rng.uniform(-0.3, 0.3, len(moving)),
            rng.uniform(0.76, 0.95, len(moving)),
        ],
        -1,
    )
    s = np.clip(np.linspace(-0.3, 1.3, frames), 0, 1)
    s = 10 * s**3 - 15 * s**4 + 6 * s**5
    lift = rng.uniform([-0.1, -0.25, 0.1], [0.1, 0.25, 0.35])
    bend = 0.05 * np.sin(np.pi * s)[:, None] * rng.normal(size=3)
    path = s[:, None] * lift + bend
    return start[None] + path[:, None] * np.array(moving)[None, :, None]


def example(
    rng: np.random.Generator, frames: int, moving: list[bool], outliers: float = 0.0
) -> np.ndarray:
    """(4, T, K, 8) float32 in the archive's channels; rng decides motion and noise."""
    K, E = rig()
    xyz = motion(rng, frames, moving)
    uv = project(xyz, K, E)
    noisy = uv + rng.normal(scale=SIGMA_PX, size=uv.shape)
    is_outlier = rng.random(uv.shape[:-1]) < outliers
    noisy[is_outlier] += rng.uniform(-40, 40, (int(is_outlier.sum()), 2))
    noisy = np.round(noisy * 16) / 16
    inside = ((uv >= 0) & (uv < IMAGE)).all(-1)
    hidden = rng.random(uv.shape[:-1]) < 0.1
    visibility = np.where(inside, np.where(hidden, 0.5, 1.0), 0.0)
    world = np.broadcast_to(xyz, (4, *xyz.shape))
    return np.concatenate([uv, noisy, world, visibility[..., None]], -1).astype(np.float32)


def detections_of(rng: np.random.Generator, x: np.ndarray, claim_px: float = 1.0) -> np.ndarray:
    """(V, T, K, 8) -> (V, T, K, 7): what a detector says, true claims of 1 to 3 `claim_px`."""
    sd = claim_px * rng.uniform(1, 3, (*x.shape[:-1], 2))
    rho = rng.uniform(-0.5, 0.5, x.shape[:-1])
    a, b = rng.normal(size=(2, *x.shape[:-1]))
    error = sd * np.stack([a, rho * a + np.sqrt(1 - rho**2) * b], -1)
    inside, seen = x[..., 7] > 0, x[..., 7] == 1
    p = np.stack([np.where(inside, 0.9, 0.1), np.where(seen, 0.8, 0.2)], -1)
    return np.concatenate([x[..., :2] + error, sd, rho[..., None], p], -1).astype(np.float32)


def write_scene(
    path: Path,
    tasks: tuple[int, ...] = (0,),
    examples: int = 6,
    frames: int = 24,
    seed: int = 0,
    outliers: float = 0.0,
    detected: bool = False,
) -> Path:
    """Write a small valid archive with groups waypoints, objects, robot."""
    names = ["waypoints/waypoint0", "waypoints/waypoint1", "objects/block", "robot/tip"]
    moving = [True, False, True, True]
    tracks = {
        t: [
            example(np.random.default_rng([seed, t, n]), frames, moving, outliers)
            for n in range(examples)
        ]
        for t in tasks
    }
    meta: dict[str, Any] = {
        "image_size": [IMAGE, IMAGE],
        "camera_names": list(NAMES),
        "noise": {"sigma_px": SIGMA_PX},
        "task_names": {f"T{t}": f"task_{t}" for t in tasks},
        "keypoint_names": {f"T{t}": names for t in tasks},
    }
    detections = {
        t: [detections_of(np.random.default_rng([seed, t, n, 1]), x) for n, x in enumerate(xs)]
        for t, xs in tracks.items()
        if detected
    }
    if detected:
        meta["detections"] = {"detector": "drawn", "labelled_frames": None}
        meta["exchangeable"] = {f"T{t}": [names[:2]] for t in tasks}
    write_formal(path, tracks, meta, *rig(), detections=detections)
    return path


def damage(path: Path) -> None:
    """Overwrite the middle of an npz's first member with bytes that zlib cannot unpack."""
    raw = bytearray(path.read_bytes())
    start = (
        30 + int.from_bytes(raw[26:28], "little") + int.from_bytes(raw[28:30], "little")
    )  # zip's local header
    raw[start : start + 64] = b"\xff" * 64
    path.write_bytes(raw)
