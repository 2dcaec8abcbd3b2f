"""A picture of a task: the end of a demonstration, with the trails of its keypoints."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rlbench.cameras import CAMERAS, extrinsics, intrinsics, project
from rlbench.demo import Demo
from rlbench.engines.files import png_bytes
from rlbench.task_environment import TaskEnvironment

CAMERA = "front"
SIZE = (256, 256)
"""Width and height [px]."""
COLOURS = {"waypoints": (230, 110, 0), "objects": (0, 150, 210), "robot": (150, 150, 150)}
"""Of keypoint groups; those that are not named are drawn like objects."""
BACKGROUND, EDGE = 250, (222, 216, 206)
TIP = "robot/tip"
SQUARE = 0.1
"""[m]"""
MARGIN, MOST_ZOOM = 0.12, 4.0
FAR_MOTION = 0.01
"""[m] between the places that a keypoint visits, from which its trail is drawn."""

Floats = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pictures:
    """Where pictures of tasks go.

    Attributes:
        folder: of `<task>.png`, made when it is not there.
        are_plain: leave the scenes out, see `picture_of`.
    """

    folder: Path
    are_plain: bool = False

    def draw(self, task: TaskEnvironment, demo: Demo) -> None:
        """Write the picture of the demonstration that a task has just made."""
        self.folder.mkdir(parents=True, exist_ok=True)
        picture = picture_of(task, demo, self.are_plain)
        (self.folder / f"{task.get_name()}.png").write_bytes(picture)


def picture_of(task: TaskEnvironment, demo: Demo, is_plain: bool = False) -> bytes:
    """Draw the demonstration that a task has just made, as PNG.

    Args:
        task: in the state that the demonstration ended in.
        demo: with keypoints; of the arm's, only the tip is drawn.
        is_plain: leave the scene out, so that the picture shows nothing of a scene's shapes and
            textures; draw squares of 10 cm on the table instead, and look closer.
    """
    names = demo.keypoint_names
    drawn = [k for k, name in enumerate(names) if name == TIP or not name.startswith("robot/")]
    points = np.array([o.keypoints for o in demo])[:, drawn]
    moves = np.ptp(points, axis=0).max(axis=-1) > FAR_MOTION
    tracks, names = _pixels(points), [names[k] for k in drawn]
    if is_plain:
        canvas = np.full((*SIZE[::-1], 3), BACKGROUND, dtype=np.float64)
        zoom, offset = _closer(tracks[:, [k for k, name in enumerate(names) if name != TIP]])
        tracks = zoom * tracks + offset
        for line in _squares(*task.workspace_bounds()):
            draw_line(canvas, zoom * _pixels(line) + offset, EDGE, width=1.0)
    else:
        canvas = task.render(CAMERA, SIZE).astype(np.float64)
    draw_keypoints(canvas, tracks, names, moves)
    return png_bytes(canvas.round().astype(np.uint8), level=9)


def _pixels(points: Floats) -> Floats:
    """Project (..., 3) points [m] into the camera."""
    camera, (width, height) = CAMERAS[CAMERA], SIZE
    K = intrinsics(camera.fov_deg, width, height)
    return project(points, K, extrinsics(camera.T_world_cam()))[0]


def _closer(tracks: Floats) -> tuple[float, Floats]:
    """Return zoom and (2,) offset that bring (T, K, 2) `tracks` into the middle of the picture."""
    size = np.array(SIZE)
    low, high = tracks.min(axis=(0, 1)), tracks.max(axis=(0, 1))
    zoom = min(float(((1 - 2 * MARGIN) * size / np.maximum(high - low, 1.0)).min()), MOST_ZOOM)
    return zoom, size / 2 - zoom * (low + high) / 2


def _squares(low: Floats, high: Floats) -> list[Floats]:
    """Return lines (2, 3) of a square grid on the ground of a box from `low` to `high`."""
    (x, y), z = (
        (SQUARE * np.arange(np.ceil(low[i] / SQUARE), high[i] / SQUARE) for i in (0, 1)),
        low[2],
    )
    along = [np.array([[x[0], at, z], [x[-1], at, z]]) for at in y]
    return along + [np.array([[at, y[0], z], [at, y[-1], z]]) for at in x]


def draw_keypoints(
    canvas: Floats, tracks: Floats, names: Sequence[str], moves: npt.NDArray[np.bool_]
) -> None:
    """Draw trails, and a disc where each keypoint ends up.

    Args:
        canvas: (H, W, 3) rgb of 0 to 255, drawn on.
        tracks: (T, K, 2) [px].
        names: K names `<group>/<name>`.
        moves: (K,) whose trail is drawn.
    """
    # The task's own keypoints over those of the arm.
    order = sorted(range(len(names)), key=lambda k: not names[k].startswith("robot/"))
    for k in order:
        colour = COLOURS.get(names[k].split("/")[0], COLOURS["objects"])
        if moves[k]:
            draw_line(canvas, tracks[:, k], colour, width=1.2)
    for k in order:
        colour = COLOURS.get(names[k].split("/")[0], COLOURS["objects"])
        draw_line(canvas, tracks[-1:, k], (255, 255, 255), width=7.0)
        draw_line(canvas, tracks[-1:, k], colour, width=5.0)


def draw_line(canvas: Floats, points: Floats, colour: Sequence[float], width: float) -> None:
    """Draw a smooth line through points; one point gives a disc.

    Args:
        canvas: (H, W, 3), drawn on.
        points: (N, 2) [px].
        colour: of three numbers.
        width: [px].
    """
    cover = np.zeros(canvas.shape[:2])
    ends = itertools.pairwise(points) if len(points) > 1 else [(points[0],) * 2]
    for start, end in ends:
        _cover_segment(cover, start, end, width / 2)
    canvas += cover[..., None] * (np.asarray(colour, dtype=np.float64) - canvas)


def _cover_segment(cover: Floats, start: Floats, end: Floats, radius: float) -> None:
    """Raise the share that each pixel of (H, W) `cover` has of a segment with round ends."""
    limits = np.array(cover.shape)[::-1]
    low = np.clip(np.floor(np.minimum(start, end) - radius - 1), 0, limits).astype(int)
    high = np.clip(np.ceil(np.maximum(start, end) + radius + 1), 0, limits).astype(int)
    if (low >= high).any():
        return
    x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
    at, along = np.stack([x, y], axis=-1) - start, end - start
    length = max(float(along @ along), 1e-12)
    nearest = np.clip(at @ along / length, 0.0, 1.0)[..., None] * along
    distance = np.linalg.norm(at - nearest, axis=-1)
    part = cover[low[1] : high[1], low[0] : high[0]]
    np.maximum(part, np.clip(radius + 0.5 - distance, 0.0, 1.0), out=part)
