"""Lifted points as C3D, the format of motion capture, written with `ezc3d`."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.common.optional import require
from pose_obj_3d.common.whole_files import folder_in_the_making
from pose_obj_3d.lifting.writing.points import LiftedPoints

MAX_FRAMES = 65535  # the format counts frames with 16 bits
MAX_CAMERAS = 7  # bits for cameras of each point
MAX_STEPS = 255  # a residual has 8 bits
EXTRA = "formats"


def check_c3d(lifted: LiftedPoints) -> None:
    """Refuse what the format cannot hold."""
    require("ezc3d", EXTRA)
    longest = max(part.stop - part.start for part in lifted.sequences())
    if longest > MAX_FRAMES:
        raise DataError(
            f"a C3D file holds at most {MAX_FRAMES} frames, a sequence has {longest}; write csv,"
            " trc or h5, or split the recording with sequence_starts"
        )


def write_c3d(path: Path, lifted: LiftedPoints) -> None:
    """Write one sequence.

    The residual of a measured point is its standard deviation (root mean square of the three axes,
    in the file's unit, in steps of 1 % of the 95th percentile), that of a bridged point 0, that of
    an unknown one -1, as the format wants it. The camera masks say which of the first seven cameras
    were used.
    """
    ezc3d = require("ezc3d", EXTRA)
    T, K = lifted.is_measured.shape
    known = np.isfinite(lifted.points).all(-1)
    residuals, step = _residuals(lifted)
    masks = np.zeros((MAX_CAMERAS, K, T), bool)
    used = (lifted.weights[:MAX_CAMERAS] > 0) & lifted.is_measured
    masks[: len(used)] = used.transpose(0, 2, 1)
    points = np.ones((4, K, T))
    points[:3] = lifted.points.transpose(2, 1, 0)
    made = ezc3d.c3d()
    about = made["parameters"]["POINT"]
    about["UNITS"]["value"] = [lifted.units]
    about["SCALE"]["value"] = [-step]  # negative: coordinates are floats; its size: a step
    about["RATE"]["value"] = [lifted.fps]
    about["LABELS"]["value"] = list(lifted.keypoint_names)
    made["data"]["points"] = points
    meta = made["data"]["meta_points"]
    meta["residuals"] = np.where(known, residuals, -1.0).T[None]
    meta["camera_masks"] = masks
    with folder_in_the_making(path) as folder:
        made.write(str(folder / path.name))
        (folder / path.name).replace(path)


def _residuals(lifted: LiftedPoints) -> tuple[npt.NDArray[np.float64], float]:
    """Give (T, K) residuals, and the step that they are counted in; measured ones are not 0."""
    spread = np.sqrt(np.mean(lifted.deviation**2, -1))
    known = spread[np.isfinite(spread) & (spread > 0)]
    step = float(np.float32(np.percentile(known, 95) / 100)) if len(known) else 1.0
    steps = np.clip(np.nan_to_num(np.round(spread / step)), 1, MAX_STEPS)
    # A quarter more, because the writer cuts what is left of a step.
    return np.where(lifted.is_measured, (steps + 0.25) * step, 0.0), step
