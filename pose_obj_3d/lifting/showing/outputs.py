"""What is written beside `points3d.npz`: the flags that ask for it, and the files."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.lifting.showing.frames import check_pattern
from pose_obj_3d.lifting.showing.recording import check_rerun, write_recording
from pose_obj_3d.lifting.showing.skeleton import LEARNED, Skeleton
from pose_obj_3d.lifting.showing.video import Shown, write_video
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
        images: Pattern of the frames, or None.
        skeleton: What joins keypoints, as `skeleton_of` takes it.
        video: Whether a labelled video is wanted.
        view: Whether a recording of Rerun's viewer is wanted.
    """

    formats: Sequence[str]
    up: str | None
    images: str | None
    skeleton: str
    video: bool
    view: bool

    @property
    def is_any(self) -> bool:
        """Whether anything is wanted."""
        return bool(self.formats or self.needs_tracks)

    @property
    def needs_tracks(self) -> bool:
        """Whether something is wanted that shows the 2D tracks."""
        return self.view or self.video


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
    add(
        "--images",
        metavar="PATTERN",
        help="recorded frames, such as 'frames/{view}_{frame:06d}.png', or 'videos/{view}.mp4' for"
        " a video of each camera",
    )
    add(
        "--skeleton",
        default=LEARNED,
        metavar="PAIRS",
        help="keypoints that lines join: 'hip-knee,knee-foot', a file with a pair in each line,"
        " none, or learned (default): moving keypoints whose distance hardly varies",
    )
    add(
        "--video",
        action="store_true",
        help=f"write {STEM}.mp4: detections and reprojections in all cameras, 3D beside them",
    )
    add(
        "--view",
        action="store_true",
        help=f"write {STEM}.rrd for Rerun's viewer, and open it where there is a display",
    )


def read_flags(args: argparse.Namespace) -> Outputs:
    """Check the flags; what cannot be made is a ConfigError before any work."""
    check_pattern(args.images)
    if args.view:
        check_rerun()
    return Outputs(
        formats=chosen_formats("--write", args.write),
        up=args.up,
        images=args.images,
        skeleton=args.skeleton,
        video=args.video,
        view=args.view,
    )


def write(
    stem: Path,
    lifted: LiftedPoints,
    file: TrackFile | None,
    wanted: Outputs,
    skeleton: Skeleton,
) -> list[Path]:
    """Write what is wanted.

    Args:
        stem: Path of the files without ending.
        lifted: The points.
        file: The tracks that they were lifted from; None where they are not there.
        wanted: What to write.
        skeleton: Which keypoints lines join.

    Returns:
        The files.

    Raises:
        ConfigError: The tracks are needed, and not there.
    """
    if wanted.needs_tracks and file is None:
        raise ConfigError(
            "--video and --view show the 2D tracks, too: name them with --points2d tracks.npz"
        )
    support = None if file is None else support_of(lifted, file)
    made = write_formats(stem, lifted, wanted.formats, support, wanted.up)
    if file is None or support is None:
        return made
    if wanted.video:
        shown = Shown(lifted, file, support, skeleton.bones, wanted.up)
        made.append(write_video(stem.with_suffix(".mp4"), shown, wanted.images))
    if wanted.view:
        path = stem.with_suffix(".rrd")
        about = wanted.images, skeleton.bones, wanted.up
        made.append(write_recording(path, lifted, file, support, *about))
    return made
