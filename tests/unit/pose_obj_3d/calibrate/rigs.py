"""Cameras around a board, and what they see of it."""

import numpy as np

from pose_obj_3d.calibrate.boards import parse_board
from pose_obj_3d.calibrate.cameras import lens_of, project
from pose_obj_3d.calibrate.sightings import Sighting, View
from tests.unit.pose_obj_3d.calibrate.rendered import SIZE, look_at, poses

NAMES = ("left", "middle", "right")
PLACES = np.array([[-0.3, 0.0, 0.0], [0.0, -0.1, -0.05], [0.32, 0.05, 0.03]])
TARGET = np.array([0.0, 0.0, 0.55])
PINHOLE, FISHEYE = np.array([-0.2, 0.05, 0.001, -0.0005, 0]), np.array([0.02, -0.01, 0.003, 0, 0])


class Rig:
    """Three cameras that look at a place; their true numbers."""

    def __init__(self, kind="pinhole", size=SIZE):
        focal = (0.9 if kind == "pinhole" else 0.55) * size[0]
        self.kind, self.size = kind, size
        self.K = np.array(
            [
                [
                    [focal * (1 + 0.05 * v), 0, size[0] / 2 + 3 * v - 2],
                    [0, focal * (1 + 0.05 * v), size[1] / 2 - 2],
                    [0, 0, 1],
                ]
                for v in range(3)
            ]
        )
        self.distortion = PINHOLE if kind == "pinhole" else FISHEYE
        self.poses = [look_at(place, TARGET) for place in PLACES]

    def in_camera(self, v, R, t):
        """Bring a pose of the board (board to world) to a camera's frame."""
        own, shift = self.poses[v]
        return own @ R, own @ t + shift

    @property
    def centres(self):
        """Where the cameras are in the frame of the first."""
        R, t = self.poses[0]
        return PLACES @ R.T + t

    def views(self, board, frames=14, noise=0.05, seed=0):
        """Project the board's corners; those outside of the picture are not seen."""
        rng = np.random.default_rng(seed)
        found = [[] for _ in NAMES]
        for frame, (R, t) in enumerate(poses(board, frames, rng)):
            for v in range(3):
                own, shift = self.in_camera(v, R, t)
                points = board.corners @ own.T + shift
                uv = project(points, lens_of(self.K[v], self.distortion), self.kind)
                inside = ((uv > 0) & (uv < np.array(self.size) - 1)).all(-1)
                numbers = np.flatnonzero(inside)
                least = len(uv) if board.kind == "chessboard" else 6
                if len(numbers) < least:
                    continue
                uv = uv[numbers] + rng.normal(size=(len(numbers), 2)) * noise
                found[v].append(Sighting(frame, numbers, uv))
        return [
            View(name, self.size, tuple(s), frames) for name, s in zip(NAMES, found, strict=True)
        ]


def board(text="chessboard:7x5:0.03"):
    return parse_board(text)
