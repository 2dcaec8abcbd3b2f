"""What is written beside `points3d.npz`: the flags that ask for it, and the files."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pose_obj_3d.lifting.track_files.track_file import TrackFile
from pose_obj_3d.lifting.writing.formats import FORMATS, chosen_formats, write_formats
from pose_obj_3d.lifting.writing.points import LiftedPoints
from pose_obj_3d.lifting.writing.support import support_of
from pose_obj_3d.lifting.writing.trc import UP

STEM = "points3d"


@dataclass(frozen=True)
class Outputs:
    """What is wanted.

    Attributes:
        formats: Names of `FORMATS`.
        up: Axis of the world that points up; None where nobody said it.
    """

    formats: Sequence[str]
    up: str | None

    @property
    def is_any(self) -> bool:
        """Whether anything is wanted."""
        return bool(self.formats)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `read_flags` reads."""
    listed = "; ".join(f"{name}: {form.about}" for name, form in FORMATS.items())
    add = parser.add_argument
    add(
        "--write",
        nargs="+",
        default=[],
        metavar="FORMAT",
        help=f"formats to write the points in, separated by blanks or commas ({listed})",
    )
    add(
        "--up",
        choices=UP,
        help="axis of your world that points up: trc files are turned, so that y points up as in"
        " OpenSim; write a sign as --up=-y (default: points are written as they are)",
    )


def read_flags(args: argparse.Namespace) -> Outputs:
    """Check the flags; what cannot be made is a ConfigError before any work."""
    return Outputs(chosen_formats("--write", args.write), args.up)


def write(stem: Path, lifted: LiftedPoints, file: TrackFile | None, wanted: Outputs) -> list[Path]:
    """Write what is wanted.

    Args:
        stem: Path of the files without ending.
        lifted: The points.
        file: The tracks that they were lifted from; None where they are not there.
        wanted: What to write.

    Returns:
        The files.
    """
    support = None if file is None else support_of(lifted, file)
    return write_formats(stem, lifted, wanted.formats, support, wanted.up)
