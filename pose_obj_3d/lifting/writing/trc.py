"""Lifted points as marker trajectories in OpenSim's TRC format, which Pose2Sim reads too."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.whole_files import writing
from pose_obj_3d.lifting.writing.points import LiftedPoints
from pose_obj_3d.lifting.writing.tables import AXES, text_of

HEADER = (
    *("DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units"),
    *("OrigDataRate", "OrigDataStartFrame", "OrigNumFrames"),
)
MISSING = "NaN"  # both readers take it in each column; an empty last one only some do
FIRST_FRAME = 1


def write_trc(path: Path, lifted: LiftedPoints) -> None:
    """Write one sequence: a line for each frame, three columns for each keypoint.

    The coordinates are written as they are; `turned_up` turns the world before.
    """
    T, K = lifted.is_measured.shape
    rate = f"{lifted.fps:.10g}"
    facts = (rate, rate, T, K, lifted.units, rate, FIRST_FRAME, T)
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "\t".join(HEADER),
        "\t".join(map(str, facts)),
        "Frame#\tTime\t" + "\t\t\t".join(marker_names(lifted.keypoint_names)) + "\t\t",
        "\t\t" + "\t".join(f"{axis.upper()}{k + 1}" for k in range(K) for axis in AXES),
        "",
    ]
    with writing(path) as file:
        file.write(("\n".join(lines) + "\n").encode())
        for t, points in enumerate(lifted.points):
            cells = text_of(points.ravel(), MISSING)
            file.write("\t".join([f"{t + FIRST_FRAME}", f"{t / lifted.fps:.9g}", *cells]).encode())
            file.write(b"\n")


def marker_names(names: list[str]) -> list[str]:
    """Give the names without blanks, which separate columns; the others stay as they are."""
    return ["_".join(name.split()) or f"marker{k}" for k, name in enumerate(names)]


UP = ("x", "y", "z", "-x", "-y", "-z")


def turned_up(points: npt.NDArray[np.float64], up: str | None) -> npt.NDArray[np.float64]:
    """Turn the world so that its axis `up` becomes y, which points up in OpenSim's models.

    Args:
        points: (*, 3).
        up: One of `UP`, None to leave the points as they are. z becomes y as in Pose2Sim: (y, z,
            x). With a sign, the world is first turned half around.
    """
    x, y, z = np.moveaxis(points, -1, 0)
    turned = {
        None: (x, y, z),
        "x": (z, x, y),
        "y": (x, y, z),
        "z": (y, z, x),
        "-x": (-z, -x, y),
        "-y": (x, -y, -z),
        "-z": (-y, -z, x),
    }
    return np.stack(turned[up], -1)
