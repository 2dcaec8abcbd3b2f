"""From what cameras see of a board to calibrated cameras, with numbers on how good they are."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pose_obj_3d.calibrate import quality
from pose_obj_3d.calibrate.adjustment import BoardProblem, Scene, adjust
from pose_obj_3d.calibrate.boards import Board
from pose_obj_3d.calibrate.cameras import Cameras
from pose_obj_3d.calibrate.sightings import MIN_SIGHTINGS, View
from pose_obj_3d.calibrate.starting import alone, together
from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.geometry.adjusting.least_squares import Solution

logger = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]
# A sighting is dropped beyond so many typical residuals of its camera, and so many px.
_FAR, _FAR_PX = 6.0, 2.0
_ROUNDS = 3
_UP = np.diag([1.0, -1.0, -1.0])  # z out of the board's front, y up its columns


@dataclass(frozen=True)
class Calibrated:
    """Calibrated cameras.

    Attributes:
        cameras: The cameras.
        board: The board.
        scene: The same cameras in the frame of the first one, with the board in every frame.
        views: The sightings that were used.
        residuals: For each camera (n, 4): x, y of each corner, and predicted less measured [px].
        quality: How good it is.
    """

    cameras: Cameras
    board: Board
    scene: Scene
    views: list[View]
    residuals: list[Floats]
    quality: quality.Quality


def calibrate(
    views: Sequence[View],
    board: Board,
    kinds: Sequence[str],
    world: str = "camera",
    notes: Sequence[str] = (),
) -> Calibrated:
    """Calibrate.

    Args:
        views: What each camera sees.
        board: The board.
        kinds: `pinhole` or `fisheye` for each camera.
        world: The world's frame: `camera` (the first one's) or `board:FRAME` (the board's there).
        notes: What is known already, for the report.

    Raises:
        DataError: The views do not suffice, or contradict each other.
        ConfigError: The board is not seen in the world's frame.
    """
    singles = []
    for view, kind in zip(views, kinds, strict=True):
        singles.append(alone(view, board, kind))
        focal = singles[-1].intrinsics[0, 0, 0]
        logger.info("%s alone: focal length %.1f px", view.name, focal)
    scene, ordered = together(views, singles, board)
    solution, problem, kept, dropped = _settled(scene, ordered, board)
    logger.info("Adjusted %d frames", len(solution.state.frames))
    found = quality.measure(solution, problem, kept, board)
    lines = [*notes, *_dropped_lines(ordered, dropped)]
    found = replace(found, notes=[*lines, *found.notes])
    cameras = in_world(solution.state, world)
    residuals = [
        np.concatenate([problem.uv[own], solution.residual[own]], -1)
        for own in (problem.camera == v for v in range(len(kept)))
    ]
    return Calibrated(cameras, board, solution.state, kept, residuals, found)


def _settled(
    scene: Scene, views: list[View], board: Board
) -> tuple[Solution[Scene], BoardProblem, list[View], dict[str, list[int]]]:
    """Adjust, and drop sightings that contradict the rest, until there are none."""
    dropped: dict[str, list[int]] = {}
    for _ in range(_ROUNDS):
        solution, problem = adjust(scene, views, board)
        off = _medians(solution, problem, views, scene.frames)
        kept = []
        for view in views:
            typical = float(np.median([off[view.name, s.frame] for s in view.sightings]))
            limit = max(_FAR * typical, _FAR_PX)
            far = [s.frame for s in view.sightings if off[view.name, s.frame] > limit]
            dropped.setdefault(view.name, []).extend(far)
            kept.append(view.only(set(view.frames) - set(far)))
        if kept == views:
            break
        views = kept
        short = [view for view in views if len(view.sightings) < MIN_SIGHTINGS]
        if short:
            raise DataError(
                f"camera {short[0].name}: {len(dropped[short[0].name])} of its sightings of the"
                " board contradict those of other cameras; the frames are not simultaneous, or the"
                " lens model does not fit (--lens)"
            )
        used = {frame for view in views for frame in view.frames}
        index = [i for i, frame in enumerate(solution.state.frames) if frame in used]
        state = solution.state
        scene = Scene(
            state.cameras,
            tuple(state.frames[i] for i in index),
            state.rotation[index],
            state.translation[index],
        )
    return solution, problem, views, dropped


def _medians(
    solution: Solution[Scene], problem: BoardProblem, views: Sequence[View], frames: Sequence[int]
) -> dict[tuple[str, int], float]:
    """Return the median residual of each sighting [px]."""
    distance = np.linalg.norm(solution.residual, axis=-1)
    key = problem.camera * len(frames) + problem.block
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    parts = np.split(distance, starts[1:])
    return {
        (views[problem.camera[i]].name, frames[problem.block[i]]): float(np.median(part))
        for i, part in zip(starts, parts, strict=True)
    }


def _dropped_lines(views: Sequence[View], dropped: dict[str, list[int]]) -> list[str]:
    return [
        f"{view.name}: {len(frames)} of {len(view.sightings)} sightings contradict the others and"
        f" are dropped (frames {', '.join(map(str, sorted(frames)[:8]))}"
        f"{', ...' if len(frames) > 8 else ''})"
        for view in views
        if (frames := dropped.get(view.name, []))
    ]


def in_world(scene: Scene, world: str) -> Cameras:
    """Return the cameras in a frame of `check_world`.

    Raises:
        ConfigError: The board is not seen in that frame.
    """
    if world == "camera":
        return scene.cameras
    frame = int(world.partition(":")[2])
    if frame not in scene.frames:
        near = sorted(scene.frames, key=lambda f: abs(f - frame))[:5]
        raise ConfigError(
            f"--world board:{frame}: the board is not found in frame {frame}; frames near it where"
            f" it is: {', '.join(map(str, sorted(near)))}"
        )
    i = scene.frames.index(frame)
    return scene.cameras.in_world(scene.rotation[i] @ _UP, scene.translation[i])


def check_world(world: str) -> str:
    """Return a frame of the world that can be meant; others are a ConfigError."""
    kind, _, frame = world.partition(":")
    if world == "camera" or (kind == "board" and frame.isdigit()):
        return world
    raise ConfigError(
        f"--world {world[:40]}: allowed: camera (the first camera's frame), or board:FRAME (the"
        " board's in that frame, z out of its front)"
    )
