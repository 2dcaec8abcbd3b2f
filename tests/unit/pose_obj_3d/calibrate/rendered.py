"""Pictures of boards, rendered through known cameras."""

import cv2
import numpy as np

from pose_obj_3d.calibrate.boards import CHARUCO
from pose_obj_3d.geometry.adjusting.rotations import rotation
from pose_obj_3d.geometry.lenses import inverted

PX_PER_SQUARE = 24
SIZE = (320, 240)
FIRST = 2


def printed(board):
    """Draw the board with a white border of a square; its first corner is `FIRST` squares in."""
    if board.kind == CHARUCO:
        board_size = (board.columns * PX_PER_SQUARE, board.rows * PX_PER_SQUARE)
        image = board._detector.getBoard().generateImage(board_size)
        image = cv2.copyMakeBorder(image, *[PX_PER_SQUARE] * 4, cv2.BORDER_CONSTANT, value=255)
        return cv2.GaussianBlur(image, (0, 0), 1.0)
    y, x = np.mgrid[: board.rows + 3, : board.columns + 3]
    black = (x + y) % 2 == 0
    black[[0, -1]], black[:, [0, -1]] = False, False
    squares = np.where(black, 0, 255).astype(np.uint8)
    image = np.kron(squares, np.ones((PX_PER_SQUARE, PX_PER_SQUARE), np.uint8))
    return cv2.GaussianBlur(image, (0, 0), 1.0)


class Camera:
    """A camera that takes pictures; rays of its pixels are found once."""

    def __init__(self, K, distortion, kind="pinhole", size=SIZE, fine=1):
        self.K, self.distortion, self.kind, self.size = K, distortion, kind, size
        self.fine = fine
        x, y = np.meshgrid(*((np.arange(n * fine) + 0.5) / fine - 0.5 for n in size))
        ideal = inverted(np.stack([x.ravel(), y.ravel()], -1), K, distortion, kind)
        rays = (ideal - K[:2, 2]) / K[[0, 1], [0, 1]]
        self.rays = np.concatenate([rays, np.ones((len(rays), 1))], -1)

    def take(self, board, image, R, t, rng):
        """Render the board's picture at a pose (board to camera) [m]; grey beside it."""
        (width, height), fine = self.size, self.fine
        depth = (R[:, 2] @ t) / (self.rays @ R[:, 2])
        on_board = (self.rays * depth[:, None] - t) @ R[:, :2]
        at = (on_board / board.square_m + FIRST) * PX_PER_SQUARE - 0.5
        at[~(depth > 0)] = -1e6
        at = np.nan_to_num(at, nan=-1e6).clip(-1e6, 1e6).astype(np.float32)
        at = at.reshape(height * fine, width * fine, 2)
        drawn = cv2.remap(image, at, None, cv2.INTER_LINEAR, borderValue=128)
        drawn = drawn.reshape(height, fine, width, fine).mean((1, 3))
        drawn = drawn + rng.normal(size=drawn.shape) * 2.0
        return drawn.clip(0, 255).round().astype(np.uint8)


def poses(board, count, rng, distance=0.55, spread=0.12, tilt=0.6):
    """Return poses of the board before a camera that looks along z: turns (n, 3, 3), middles."""
    middle = board.corners.mean(0)
    found = []
    for _ in range(count):
        R = rotation(rng.uniform(-1, 1, 3) * [tilt, tilt, 0.5])
        place = rng.uniform(-1, 1, 3) * [spread, 0.7 * spread, 0.12] + [0, 0, distance]
        found.append((R, place - R @ middle))
    return found


def look_at(position, target):
    """Return world-to-camera (R, t) of a camera at a place that looks at another [m]."""
    z = np.asarray(target, float) - position
    z = z / np.linalg.norm(z)
    x = np.cross([0.0, 1.0, 0.0], z)
    x = x / np.linalg.norm(x)
    R = np.stack([x, np.cross(z, x), z])
    return R, -R @ np.asarray(position, float)
