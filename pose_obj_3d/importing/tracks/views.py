"""What a reader of another tool's files returns: the tracks of some views.

T frames, A individuals, K keypoints. Missing points are NaN.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pose_obj_3d.importing.calibrations.types import Calibration

Floats = npt.NDArray[np.float64]
ALONE = ""
"""Name of the individual in files that know only one."""


@dataclass(frozen=True)
class ViewTracks:
    """What a file says of one view.

    Attributes:
        name: Of the view: the camera's, or the name of the file until a calibration names it.
        source: The file, for messages.
        points: (T, A, K, 2) [px], in the image as recorded; NaN = missing.
        keypoints: K names.
        individuals: A names; `ALONE` where the file knows one individual, without a name.
        confidence: (T, A, K), 0 to 1; NaN = unknown; or None.
        covariance: (T, A, K, 2, 2) of the errors, as the tool claims them [px^2]; or None.
        first_frame: Number of the first of the T frames; frame 0 is the recording's first one.
        fps: Frames a second, if the file says it.
        image_size: Width and height [px], if the file says it.
    """

    name: str
    source: Path
    points: Floats
    keypoints: tuple[str, ...]
    individuals: tuple[str, ...] = (ALONE,)
    confidence: Floats | None = None
    covariance: Floats | None = None
    first_frame: int = 0
    fps: float | None = None
    image_size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Found:
    """What a reader found in a file or a folder.

    Attributes:
        views: Of each view the tracks.
        cameras: Calibration, if the files hold one.
        truth: (T, K, 3) true positions of the first view's frames and keypoints, in the unit of
            the cameras; or None.
        notes: One line for each thing that a user should know.
        sequence_starts: First frame of each recording, where views hold several, one after the
            other; all views then have the same frames.
    """

    views: tuple[ViewTracks, ...]
    cameras: Calibration | None = None
    truth: Floats | None = None
    notes: tuple[str, ...] = ()
    sequence_starts: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Wanted:
    """What a user asks for, as far as a reader needs it.

    Attributes:
        individuals: Names of individuals; empty: the only one.
        cameras: Calibration that was given with the files, or None.
        units: Unit of a calibration that does not say it, or None.
    """

    individuals: tuple[str, ...] = ()
    cameras: Calibration | None = None
    units: str | None = None
