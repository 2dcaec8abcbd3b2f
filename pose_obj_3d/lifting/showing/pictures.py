"""Draw lifted tracks: in 3D, against time with their uncertainty, and in the cameras' images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.common.names import near_names
from pose_obj_3d.common.whole_files import writing
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.lifting.gaps import is_measured
from pose_obj_3d.lifting.lift_file import Lifted
from pose_obj_3d.lifting.showing import picture_of_images, picture_of_space, picture_of_time
from pose_obj_3d.lifting.showing.frames import Frames
from pose_obj_3d.lifting.showing.pictured import MAX_DRAWN, Pictured
from pose_obj_3d.lifting.showing.skeleton import Bone
from pose_obj_3d.lifting.track_files.members import METRES
from pose_obj_3d.lifting.track_files.track_file import TrackFile
from pose_obj_3d.lifting.tracks_from_file import OwnData, is_outlier
from pose_obj_3d.lifting.writing.points import LiftedPoints
from pose_obj_3d.tracks.types import Tracks

NAMES = ("tracks_3d", "coordinates", "reprojection")
FORMATS = ("png", "pdf", "svg")
DPI, PAPER_DPI = 110, 300
_PLAIN_TEXT: dict[Any, Any] = {
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "pictures",
}
_NO_DATE: dict[str, dict[str, Any]] = {
    "png": {},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}


@dataclass(frozen=True)
class PictureFormats:
    """Formats of the pictures.

    Attributes:
        names: Of `FORMATS`; none for no pictures.
        dpi: Points of an inch, for PNG and for images in the others.
    """

    names: Sequence[str] = FORMATS[:1]
    dpi: int = DPI

    @property
    def linked(self) -> list[str]:
        """Pictures that a report can show."""
        suffix = next((name for name in self.names if name != "pdf"), None)
        return [f"{name}.{suffix}" for name in NAMES] if suffix else []


def chosen_pictures(given: Sequence[str] | None, is_none: bool) -> PictureFormats:
    """Check `--pictures` and `--no_pictures`; formats that are asked for are fit for print."""
    if is_none or not given:
        return PictureFormats(() if is_none else FORMATS[:1])
    names = list(dict.fromkeys(name for part in given for name in part.split(",") if name))
    for name in names:
        if name not in FORMATS:
            raise ConfigError(f"--pictures {name[:40]}: {near_names(name, FORMATS)}")
    return PictureFormats(names, PAPER_DPI)


def draw(
    out: Path,
    points: LiftedPoints,
    outcome: tuple[TrackFile, OwnData, Lifted],
    bones: list[Bone],
    images: str | None,
    formats: PictureFormats,
) -> list[Path]:
    """Save the pictures `NAMES` of the longest sequence.

    Args:
        out: Folder.
        points: The result, in the unit of its file.
        outcome: What was read, the tracks with all detections, and the result.
        bones: Pairs of keypoints that a line joins.
        images: Pattern of the frames, or None.
        formats: Which files to write.
    """
    if not formats.names:
        return []
    file, data, lifted = outcome
    with Frames(images, file.camera_names) as frames:
        pictured = _pictured(points, file, data, lifted, bones, frames)
        figures = (
            picture_of_space.draw(pictured),
            picture_of_time.draw(pictured),
            picture_of_images.draw(pictured),
        )
        return [
            save(out / f"{name}.{suffix}", figure, formats.dpi)
            for name, figure in zip(NAMES, figures, strict=True)
            for suffix in formats.names
        ]


def _pictured(
    points: LiftedPoints,
    file: TrackFile,
    data: OwnData,
    lifted: Lifted,
    bones: list[Bone],
    frames: Frames,
) -> Pictured:
    longest = max(points.sequences(), key=lambda part: part.stop - part.start)
    rows = np.arange(longest.start, min(longest.stop, longest.start + MAX_DRAWN))
    single = (data.world(lifted.kept.xyz) / METRES[file.unit]).numpy()[rows]
    single[~is_measured(lifted.kept).numpy()[rows]] = np.nan
    truth = None if file.truth is None else file.truth[rows] / METRES[file.unit]

    def far(chosen: np.ndarray) -> np.ndarray:
        at = torch.as_tensor(chosen)
        shown = Estimate(lifted.estimate.xyz[at], lifted.estimate.covariance[at])
        found = is_outlier(shown, _rows(data.tracks, at), _rows(lifted.kept, at), data.rig)
        return np.asarray(found.numpy())

    return Pictured(
        file=file,
        rows=rows,
        is_cut=longest.stop - longest.start > MAX_DRAWN,
        xyz=points.points[rows],
        covariance=points.covariance[rows],
        measured=points.is_measured[rows],
        single=single,
        truth=truth,
        bones=bones,
        frames=frames,
        far=far,
    )


def save(path: Path, figure: Figure, dpi: int) -> Path:
    """Write a figure in the format of its file's suffix; the same figure gives the same bytes."""
    suffix = path.suffix[1:]
    with mpl.rc_context(_PLAIN_TEXT), writing(path) as file:
        figure.savefig(file, dpi=dpi, format=suffix, metadata=_NO_DATE[suffix])
    return path


def _rows(tracks: Tracks, at: torch.Tensor) -> Tracks:
    return Tracks(
        uv=tracks.uv[at],
        weights=tracks.weights[at],
        robust=tracks.robust[at],
        xyz=tracks.xyz[at],
        info=tracks.info[at],
        truth=None,
        precision=None,
        keypoint=tracks.keypoint[at],
        first=tracks.first[at],
        last=tracks.last[at],
        source=tracks.source[at],
    )
