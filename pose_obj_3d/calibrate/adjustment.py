"""Adjust all cameras and all poses of the board together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pose_obj_3d.calibrate import cameras as lenses
from pose_obj_3d.calibrate.boards import Board
from pose_obj_3d.calibrate.cameras import Cameras
from pose_obj_3d.calibrate.sightings import View
from pose_obj_3d.geometry.adjusting.least_squares import Linear, Prior, Solution, minimise
from pose_obj_3d.geometry.adjusting.rotations import cross_matrix, rotation
from pose_obj_3d.geometry.lenses import FISHEYE

Floats = npt.NDArray[np.float64]
POSE = 6
# Standard deviations of what is known of any lens: they hold only what the board hardly shows.
_ASPECT, _CENTRE = 0.01, 0.03  # of fx / fy; of the centre, as a share of the width
_PINHOLE, _FISHEYE = (0.5, 0.5, 0.005, 0.005, 0.3), (0.3, 0.3, 0.3, 0.3, 1.0)


@dataclass(frozen=True)
class Scene:
    """Cameras, and the board in each of B frames.

    Attributes:
        cameras: The cameras.
        frames: B numbers of frames.
        rotation: (B, 3, 3) board to world.
        translation: (B, 3) board to world [m].
    """

    cameras: Cameras
    frames: tuple[int, ...]
    rotation: Floats
    translation: Floats


class BoardProblem:
    """Corners of the board in the pictures; see `least_squares.Problem`."""

    block_size = POSE

    def __init__(
        self, views: Sequence[View], frames: Sequence[int], board: Board, free: Floats
    ) -> None:
        place = {frame: i for i, frame in enumerate(frames)}
        rows = [
            (v, place[s.frame], s.numbers, s.uv)
            for v, view in enumerate(views)
            for s in view.sightings
            if s.frame in place
        ]
        counts = [len(row[2]) for row in rows]
        self.camera = np.repeat([row[0] for row in rows], counts).astype(np.intp)
        self.block = np.repeat([row[1] for row in rows], counts).astype(np.intp)
        self.number = np.concatenate([row[2] for row in rows])
        self.corners = board.corners[self.number]
        self.uv = np.concatenate([row[3] for row in rows])
        self.free = free.astype(bool)
        self.blocks = len(frames)

    def _in_camera(self, state: Scene) -> tuple[Floats, Floats, Floats]:
        """Return the corners turned by the board's pose, in the world, and in the camera."""
        turned = np.einsum("nij,nj->ni", state.rotation[self.block], self.corners)
        world = turned + state.translation[self.block]
        R = state.cameras.rotation[self.camera]
        seen = np.einsum("nij,nj->ni", R, world)
        return turned, seen, seen + state.cameras.translation[self.camera]

    def residual(self, state: Scene) -> Floats:
        """Predicted less measured (N, 2) [px]."""
        _, _, points = self._in_camera(state)
        found = np.empty_like(self.uv)
        for v, kind in enumerate(state.cameras.kinds):
            own = self.camera == v
            found[own] = lenses.project(points[own], state.cameras.lens[v], kind)
        # A point beside or behind the camera has no picture: far off, but finite.
        far = np.where(points[:, 2:] > 1e-6, found - self.uv, 1e4)
        return np.clip(far, -1e6, 1e6)

    def linearise(self, state: Scene) -> Linear:
        """Differentiate by turn, shift and lens of the cameras, and by turn and shift of boards."""
        turned, seen, points = self._in_camera(state)
        N = len(points)
        by_point, by_lens = np.empty((N, 2, 3)), np.empty((N, 2, lenses.SIZE))
        for v, kind in enumerate(state.cameras.kinds):
            own = self.camera == v
            by_point[own], by_lens[own] = lenses.derivatives(
                points[own], state.cameras.lens[v], kind
            )
        by_world = by_point @ state.cameras.rotation[self.camera]
        by_camera = np.concatenate([-by_point @ cross_matrix(seen), by_point, by_lens], -1)
        by_block = np.concatenate([-by_world @ cross_matrix(turned), by_world], -1)
        return Linear(self.residual(state), by_camera, by_block)

    def prior(self, state: Scene) -> Prior:
        """What is known of any lens."""
        cameras = state.cameras
        V = len(cameras.lens)
        deviation, precision = np.zeros((V, POSE + lenses.SIZE)), np.zeros((V, POSE + lenses.SIZE))
        deviation[:, POSE:] = cameras.lens
        deviation[:, POSE + 2 : POSE + 4] -= (cameras.sizes - 1) / 2
        deviation[:, POSE] = 0.0
        for v, kind in enumerate(cameras.kinds):
            centre = _CENTRE * cameras.sizes[v, 0]
            spread = (_ASPECT, centre, centre, *(_FISHEYE if kind == FISHEYE else _PINHOLE))
            precision[v, POSE + 1 :] = 1 / np.square(spread)
        return Prior(deviation, precision)

    def moved(self, state: Scene, cameras: Floats, blocks: Floats) -> Scene:
        """Turn, shift and change."""
        old = state.cameras
        # A lens changes by at most a factor of 1.6 in a step, for the sake of poor starts.
        step = cameras[:, POSE:].copy()
        step[:, 0] = step[:, 0].clip(-0.5, 0.5)
        new = replace(
            old,
            rotation=rotation(cameras[:, :3]) @ old.rotation,
            translation=old.translation + cameras[:, 3:POSE],
            lens=old.lens + step,
        )
        return Scene(
            new,
            state.frames,
            rotation(blocks[:, :3]) @ state.rotation,
            state.translation + blocks[:, 3:],
        )


def free_parameters(
    cameras: Cameras, first_is_fixed: bool, lens: bool = True, poses: bool = True
) -> Floats:
    """Return which parameters (V, 15) may change: 1 or 0."""
    V = len(cameras.lens)
    free = np.zeros((V, POSE + lenses.SIZE))
    free[:, :POSE] = poses
    if first_is_fixed:
        free[0, :POSE] = 0
    if lens:
        for v, kind in enumerate(cameras.kinds):
            free[v, POSE : POSE + 4 + lenses.coefficients(kind)] = 1
    return free


def adjust(
    scene: Scene,
    views: Sequence[View],
    board: Board,
    free: Floats | None = None,
    sigma: Floats | None = None,
) -> tuple[Solution[Scene], BoardProblem]:
    """Adjust a scene to what the views see of its frames; the first camera keeps its pose."""
    allowed = free_parameters(scene.cameras, True) if free is None else free
    problem = BoardProblem(views, scene.frames, board, allowed)
    return minimise(problem, scene, sigma), problem
