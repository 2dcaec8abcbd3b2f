"""A small archive with pictures and masks: two blocks that look alike but for their colour."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pose_obj_3d.formal import write_formal
from tests.unit.pose_obj_3d.synthetic import IMAGE, NAMES, motion, project, rig

TASK = 9
KEYPOINTS = ["waypoints/waypoint0", "objects/block", "objects/other", "robot/tip"]
MASK_IDS = [40, 40, 41, None]  # of the things that the keypoints hang on
COLOURS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0)}
TIP = (255, 0, 255)
PICTURES = "raw/{task}/{camera}/{variation}/{example}_rgb_{frame}.png"
MASKS = "raw/{task}/{camera}/{variation}/{example}_seg_{frame}.png"


@dataclass(frozen=True)
class Pictured:
    """What is written.

    Attributes:
        examples: Number of demos.
        frames: Frames of each.
        size: Width and height of the pictures [px].
        masks: Also write masks and what they belong to.
        seed: Of motion and noise.
    """

    examples: int = 6
    frames: int = 4
    size: int = 64
    masks: bool = True
    seed: int = 0


def write_pictured(folder: Path, wanted: Pictured = Pictured()) -> Path:
    """Write archive and pictures; return the archive."""
    K, E = rig()
    K[:, :2] *= wanted.size / IMAGE
    tracks, texts = [], []
    for n in range(wanted.examples):
        rng = np.random.default_rng([wanted.seed, n])
        xyz = motion(rng, wanted.frames, [True, True, False, True])
        xyz[:, 1] = xyz[:, 0]
        uv = project(xyz, K, E)
        names = [list(COLOURS)[(n + i) % len(COLOURS)] for i in range(2)]
        texts.append(f"lift the {names[0]} block")
        for v, camera in enumerate(NAMES):
            for t in range(wanted.frames):
                _draw(folder, camera, n, t, uv[v, t], [COLOURS[c] for c in names], wanted)
        inside = ((uv >= 0) & (uv < wanted.size)).all(-1)
        world = np.broadcast_to(xyz, (4, *xyz.shape))
        parts = [uv, uv + rng.normal(size=uv.shape), world, inside[..., None]]
        tracks.append(np.concatenate(parts, -1).astype(np.float32))
    meta = {
        "image_size": [wanted.size, wanted.size],
        "camera_names": list(NAMES),
        "noise": {"sigma_px": 1.0},
        "task_names": {f"T{TASK}": "lift_block"},
        "keypoint_names": {f"T{TASK}": KEYPOINTS},
        "image_pattern": PICTURES,
        "sources": {f"T{TASK}": [{"variation": 0, "example": n} for n in range(wanted.examples)]},
        "descriptions": {f"T{TASK}": texts},
    }
    if wanted.masks:
        meta["mask_pattern"] = MASKS
        meta["mask_ids"] = {f"T{TASK}": [MASK_IDS] * wanted.examples}
    path = folder / "archive.npz"
    write_formal(path, {TASK: tracks}, meta, K, E)
    return path


def place(folder: Path, pattern: str, camera: str, example: int, frame: int) -> Path:
    """Give the file of a frame."""
    names = {"task": TASK, "camera": camera, "variation": 0, "example": example, "frame": frame}
    return folder / pattern.format(**names)


def _draw(folder, camera, example, frame, uv, colours, wanted):
    """Draw discs at the block, the other block and the tip (K, 2) [px]."""
    size, radius = wanted.size, max(2, wanted.size // 20)
    ramp = np.linspace(60, 120, size)
    picture = np.repeat((ramp[:, None] + ramp[None] / 4)[..., None], 3, -1).astype(np.uint8)
    ids = np.full((size, size), 4, np.uint16)
    discs = [(uv[1], colours[0], 40), (uv[2], colours[1], 41), (uv[3], TIP, 29)]
    for centre, colour, number in discs:
        at = tuple(int(c) for c in np.floor(centre))
        cv2.circle(picture, at, radius, colour, -1)
        cv2.circle(ids, at, radius, number, -1)
    path = place(folder, PICTURES, camera, example, frame)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[:, :, ::-1])
    if wanted.masks and frame == 0:
        cv2.imwrite(str(place(folder, MASKS, camera, example, 0)), ids)
