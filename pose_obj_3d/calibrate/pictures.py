"""Draw a calibration: corners with their residuals in each camera, and the cameras in 3D."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.axes3d import Axes3D

from pose_obj_3d.calibrate.calibrating import Calibrated
from pose_obj_3d.common.colours import colour
from pose_obj_3d.common.whole_files import writing

Floats = npt.NDArray[np.float64]
_COLUMNS, _DPI = 3, 110
_SHOWN = 3000  # corners of a camera
_ARROW = 0.05  # length of the 95 % residual, as a share of the picture's width


def draw(path: Path, found: Calibrated) -> None:
    """Save one picture of everything."""
    V = len(found.cameras.names)
    panels = V + 1
    columns = min(_COLUMNS, panels)
    rows = -(-panels // columns)
    figure = Figure(figsize=(4.6 * columns, 3.9 * rows), layout="constrained")
    for v in range(V):
        _residuals(figure.add_subplot(rows, columns, v + 1), found, v)
    place = figure.add_subplot(rows, columns, panels, projection="3d")
    assert isinstance(place, Axes3D)
    _cameras(place, found)
    with writing(path) as file:
        figure.savefig(file, format="png", dpi=_DPI)


def _residuals(axes: Axes, found: Calibrated, v: int) -> None:
    width, height = found.cameras.sizes[v]
    data = found.residuals[v]
    data = data[:: max(1, len(data) // _SHOWN)]
    uv, off = data[:, :2], data[:, 2:]
    long = float(np.percentile(np.linalg.norm(off, axis=-1), 95))
    axes.scatter(uv[:, 0], uv[:, 1], s=3, color="#9f8f9f", linewidths=0)
    axes.quiver(
        uv[:, 0],
        uv[:, 1],
        off[:, 0],
        off[:, 1],
        angles="xy",
        scale_units="xy",
        scale=max(long, 1e-6) / (_ARROW * width),
        color=colour(v),
        width=0.003,
    )
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")
    axes.tick_params(labelsize=7)
    axes.set_title(
        f"{found.cameras.names[v]}: residuals of corners;\n{100 * _ARROW:.0f} % of the width is"
        f" {long:.2g} px",
        fontsize=9,
    )


def _cameras(axes: Axes3D, found: Calibrated) -> None:
    """Draw where cameras are and look, and the middles of the board, in the first camera's frame.

    The first camera's z axis, which it looks along, is drawn to the back, and its y axis down.
    """
    scene, corners = found.scene, found.board.corners
    middle = np.einsum("bij,j->bi", scene.rotation, corners.mean(0)) + scene.translation
    x, y, z = _shown(middle)
    axes.scatter(x, y, z, s=5, color="#9f8f9f", label="board")
    size = 0.15 * float(np.median(np.linalg.norm(middle[:, None] - scene.cameras.centres, axis=-1)))
    reach = [middle]
    for v, name in enumerate(scene.cameras.names):
        lines = _pyramid(found, v, size)
        reach.append(lines.reshape(-1, 3))
        for line in lines:
            axes.plot(*_shown(line), color=colour(v), lw=1.1)
        at = _shown(scene.cameras.centres[v])
        axes.text(float(at[0]), float(at[1]), float(at[2]), name, fontsize=8)
    points = np.concatenate(reach)
    low, high = points.min(0), points.max(0)
    span = np.maximum(high - low, 0.05 * (high - low).max())
    axes.set_box_aspect((span[0], span[2], span[1]))
    axes.set(xlabel="x [m]", ylabel="z [m]", zlabel="-y [m]")
    axes.tick_params(labelsize=7)
    axes.set_title("cameras, and middles of the board", fontsize=9)


def _shown(points: Floats) -> tuple[Floats, Floats, Floats]:
    return points[..., 0], points[..., 2], -points[..., 1]


def _pyramid(found: Calibrated, v: int, size: float) -> Floats:
    """Return the lines (8, 2, 3) of a camera's field of view, `size` deep [m]."""
    cameras = found.scene.cameras
    width, height = cameras.sizes[v]
    K = cameras.intrinsics[v]
    edge = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]])
    rays = np.clip(edge @ np.linalg.inv(K).T, -2, 2) * size
    world = (rays - cameras.translation[v]) @ cameras.rotation[v]
    centre = cameras.centres[v]
    sides = [(centre, corner) for corner in world]
    return np.array([*sides, *zip(world, np.roll(world, -1, 0), strict=True)])
