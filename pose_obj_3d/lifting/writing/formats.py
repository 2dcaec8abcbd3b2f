"""The formats that lifted points are written in, by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.common.names import near_names
from pose_obj_3d.common.optional import require
from pose_obj_3d.lifting.writing.c3d import check_c3d, write_c3d
from pose_obj_3d.lifting.writing.hdf5 import EXTRA, write_hdf5
from pose_obj_3d.lifting.writing.points import LiftedPoints
from pose_obj_3d.lifting.writing.support import Support
from pose_obj_3d.lifting.writing.tables import write_anipose, write_tidy
from pose_obj_3d.lifting.writing.trc import turned_up, write_trc

Writer = Callable[[Path, LiftedPoints, Support | None], None]


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        ending: Of the file's name, behind its stem.
        about: One phrase for the help.
        write: Writes a file.
        package: What must be installed; "" for nothing.
        is_split: Whether a file holds one sequence only; each one then has a file of its own.
    """

    ending: str
    about: str
    write: Writer
    package: str = ""
    is_split: bool = False


FORMATS = {
    "csv": Format(".csv", "a row for each frame and keypoint", write_tidy),
    "anipose": Format("_anipose.csv", "anipose's pose-3d", write_anipose, is_split=True),
    "trc": Format(
        ".trc", "OpenSim, Pose2Sim", lambda path, lifted, _: write_trc(path, lifted), is_split=True
    ),
    "c3d": Format(
        ".c3d",
        "motion capture",
        lambda path, lifted, _: write_c3d(path, lifted),
        "ezc3d",
        is_split=True,
    ),
    "h5": Format(".h5", "HDF5 with all arrays", write_hdf5, "h5py"),
}


def chosen_formats(flag: str, names: Sequence[str]) -> list[str]:
    """Check names of formats, separated by blanks or commas, and that their packages are there.

    Args:
        flag: Names the flag in messages.
        names: What was given.

    Raises:
        ConfigError: A name is unknown, or a package missing.
    """
    found = [name for part in names for name in part.split(",") if name]
    for name in found:
        if name not in FORMATS:
            raise ConfigError(f"{flag} {name[:40]}: {near_names(name, FORMATS)}")
        if FORMATS[name].package:
            require(FORMATS[name].package, EXTRA)
    return list(dict.fromkeys(found))


def write_formats(
    stem: Path,
    lifted: LiftedPoints,
    formats: Sequence[str],
    support: Support | None = None,
    up: str | None = None,
) -> list[Path]:
    """Write points in each format; each file is replaced in one step.

    Args:
        stem: Path of the files without ending.
        lifted: What to write.
        formats: Names of `FORMATS`.
        support: What the images say of the points, for columns about it; None leaves them empty.
        up: Axis of the world that points up, one of `trc.UP`; TRC files are turned by it.

    Returns:
        The files.
    """
    if "c3d" in formats:
        check_c3d(lifted)
    turned = replace(lifted, points=turned_up(lifted.points, up))
    return [
        path
        for name in formats
        for path in _write(stem, FORMATS[name], turned if name == "trc" else lifted, support)
    ]


def _write(stem: Path, form: Format, lifted: LiftedPoints, support: Support | None) -> list[Path]:
    sequences = list(lifted.sequences())
    if not form.is_split or len(sequences) == 1:
        path = stem.with_name(stem.name + form.ending)
        form.write(path, lifted, support)
        return [path]
    paths = []
    for number, frames in enumerate(sequences):
        path = stem.with_name(f"{stem.name}_{number:03d}{form.ending}")
        form.write(path, _cut(lifted, frames), _cut_support(support, frames))
        paths.append(path)
    return paths


def _cut(lifted: LiftedPoints, frames: slice) -> LiftedPoints:
    return replace(
        lifted,
        points=lifted.points[frames],
        covariance=lifted.covariance[frames],
        is_measured=lifted.is_measured[frames],
        weights=lifted.weights[:, frames],
        sequence_starts=[0],
    )


def _cut_support(support: Support | None, frames: slice) -> Support | None:
    if support is None:
        return None
    return Support(
        support.uv[:, frames], support.distance_px[:, frames], support.confidence[:, frames]
    )
