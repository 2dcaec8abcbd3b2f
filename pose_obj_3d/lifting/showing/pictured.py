"""What the pictures of lifted tracks show, and what they share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pose_obj_3d.common.colours import colour, marker
from pose_obj_3d.lifting.showing.frames import Frames
from pose_obj_3d.lifting.showing.skeleton import Bone
from pose_obj_3d.lifting.track_files.track_file import TrackFile

MAX_DRAWN = 1500  # frames of a sequence in one picture
BRIDGE: dict[str, Any] = {"ls": (0, (2, 2)), "lw": 1.1, "alpha": 0.45}  # dashed and faint
TRUTH: dict[str, Any] = {"color": "black", "lw": 0.7, "ls": (0, (4, 1.5))}
CHI2_95 = {2: 5.991, 3: 7.815}  # by the number of coordinates
_LEGEND_SIZE = 8  # [pt]
_INCHES_PER_LETTER, _INCHES_PER_ROW = 0.068, 0.165


@dataclass(frozen=True)
class Pictured:
    """One sequence of T frames and K keypoints, in the unit of its file.

    Attributes:
        file: What was read.
        rows: (T,) numbers of the frames in the file.
        is_cut: Whether the sequence has more frames than these.
        xyz: (T, K, 3) lifted points; NaN = unknown.
        covariance: (T, K, 3, 3).
        measured: (T, K) where the frame's own detections went in.
        single: (T, K, 3) triangulations of single frames.
        truth: (T, K, 3), or None.
        bones: Pairs of keypoints that a line joins.
        frames: The recorded frames.
        far: Frames of the file (n,) -> (n, V, K) detections that are outliers.
    """

    file: TrackFile
    rows: np.ndarray
    is_cut: bool
    xyz: np.ndarray
    covariance: np.ndarray
    measured: np.ndarray
    single: np.ndarray
    truth: np.ndarray | None
    bones: list[Bone]
    frames: Frames
    far: Callable[[np.ndarray], np.ndarray]

    @property
    def known(self) -> np.ndarray:
        """(K,) where a keypoint has a point in some frame."""
        return np.asarray(np.isfinite(self.xyz).all(-1).any(0))

    @property
    def scope(self) -> str:
        """What part of the file is shown; "" for all of it."""
        first, last = int(self.rows[0]), int(self.rows[-1])
        several = len(self.file.sequence_starts) > 1
        return f"frames {first} to {last} of the file" if several or self.is_cut else ""


def stretches(xyz: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split a track (T, ...) into measured stretches, and bridges with the frames at their ends.

    Args:
        xyz: (T, ...), NaN where unknown.
        measured: (T,) bool.

    Returns:
        Both of the shape of `xyz`, NaN where the other holds.
    """
    solid, bridge = xyz.copy(), xyz.copy()
    solid[~measured] = np.nan
    beside = ~measured
    beside[1:] |= ~measured[:-1]
    beside[:-1] |= ~measured[1:]
    bridge[~beside] = np.nan
    return solid, bridge


def keypoint_marks(pictured: Pictured) -> list[Line2D]:
    """Give a legend's entry for every keypoint; it says which ones were not lifted."""
    known = pictured.known
    return [
        Line2D(
            [],
            [],
            color=colour(k),
            lw=2.5,
            marker=marker(k),
            ms=5,
            mec="black",
            mew=0.5,
            label=name if known[k] else f"{name} (not lifted)",
        )
        for k, name in enumerate(pictured.file.keypoint_names)
    ]


def columns_of(marks: Sequence[Line2D], width: float) -> int:
    """Give the number of columns that a legend of this width [inches] has room for."""
    longest = max(len(str(mark.get_label())) for mark in marks)
    return int(np.clip(width // (0.45 + _INCHES_PER_LETTER * longest), 1, 6))


def add_legend(figure: Figure, marks: Sequence[Line2D], place: str) -> float:
    """Put a legend above or below; returns the height that it needs [inches]."""
    columns = columns_of(marks, figure.get_figwidth())
    loc: Any = f"outside {place} center"
    figure.legend(handles=list(marks), loc=loc, ncols=columns, fontsize=_LEGEND_SIZE)
    return float(-(-len(marks) // columns) * _INCHES_PER_ROW)


def heighten(figure: Figure, inches: float) -> None:
    """Make room for legends."""
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + inches)
