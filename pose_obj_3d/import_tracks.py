"""Make a `tracks.npz` of the 2D tracks that other tools write: `--help` lists the flags.

`python -m pose_obj_3d.import_tracks SOURCE... --out tracks.npz`. What a file is, its content tells.
See docs/own_videos.md.
"""

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("python -m pose_obj_3d.import_tracks", 600)

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pose_obj_3d.common.command import run_command
from pose_obj_3d.common.whole_files import writing
from pose_obj_3d.importing.tracks import opening
from pose_obj_3d.importing.tracks.registry import READERS
from pose_obj_3d.lifting.track_files.members import METRES
from pose_obj_3d.lifting.track_files.track_file import tracks_of


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m pose_obj_3d.import_tracks",
        description="Make a tracks.npz of other tools' 2D tracks.",
        epilog="Files of: " + "; ".join(f"{r.tool} ({r.files})" for r in READERS) + ".",
    )
    add = parser.add_argument
    add(
        "source",
        nargs="+",
        metavar="SOURCE",
        help="a file for each view, or a folder; VIEW=FILE says which view a file is of",
    )
    add("--out", type=Path, default=Path("tracks.npz"), help="file to write (tracks.npz)")
    add(
        "--units",
        choices=sorted(METRES),
        help="unit of the calibration, if it does not say it (default m)",
    )
    opening.add_flags(parser)
    add("--debug", action="store_true", help="show tracebacks of errors")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run; 0 on success, 2 on a user's error (one line on stderr)."""
    args = build_parser().parse_args(argv)
    return run_command(lambda: run(args), args.debug)


def run(args: argparse.Namespace) -> None:
    """Read, check, write, and print a summary."""
    joined = opening.import_tracks(args.source, opening.options_of(args, args.units))
    tracks_of(joined.members, opening.source_name(args.source))
    out = args.out.expanduser()
    with writing(out) as file:
        np.savez_compressed(file, allow_pickle=False, **joined.members)
    for note in joined.notes:
        print(note)  # noqa: T201
    points = joined.members["points"]
    V, T, K, _ = points.shape
    seen = 100 * float(np.isfinite(points).all(-1).mean())
    cameras = ", ".join(joined.members["camera_names"].tolist())
    print(f"{out}: {V} views ({cameras[:200]}), {T} frames, {K} keypoints, {seen:.1f} % seen")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
