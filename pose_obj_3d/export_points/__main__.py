"""Write lifted points in other formats: `python -m pose_obj_3d.export_points points3d.npz`.

`lift --write` does the same while it lifts. See docs/results.md.
"""

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("python -m pose_obj_3d.export_points", 850)

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pose_obj_3d.common.command import run_command
from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.importing.tracks import opening
from pose_obj_3d.lifting.showing import outputs
from pose_obj_3d.lifting.showing.skeleton import skeleton_of
from pose_obj_3d.lifting.track_files.members import METRES
from pose_obj_3d.lifting.writing.points import read_points


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m pose_obj_3d.export_points",
        description="Write lifted points in the formats of other tools, or show them.",
    )
    add = parser.add_argument
    add("points", type=Path, help="points3d.npz that `python -m pose_obj_3d.lift` wrote")
    add(
        "--points2d",
        nargs="+",
        default=[],
        metavar="SOURCE",
        help="the tracks that were lifted, as lift takes them: for columns about the images, videos"
        " and views",
    )
    add("--units", choices=sorted(METRES), help="unit of the tracks, if their file does not say it")
    add("--out", type=Path, help="folder for the files (default: that of the points)")
    outputs.add_flags(parser)
    opening.add_flags(parser)
    add("--debug", action="store_true", help="show tracebacks of errors")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run; 0 on success, 2 on a user's error (one line on stderr)."""
    args = build_parser().parse_args(argv)
    return run_command(lambda: run(args), args.debug)


def run(args: argparse.Namespace) -> None:
    """Read, write, and name the files."""
    wanted = outputs.read_flags(args)
    if not wanted.is_any:
        raise ConfigError("nothing to write: give --write csv, or another format of --help")
    lifted = read_points(args.points)
    file = None
    if args.points2d:
        chosen = opening.options_of(args)
        file = opening.open_tracks(args.points2d, chosen, args.units, lifted.camera_names)
    out = args.out or args.points.parent
    out.mkdir(parents=True, exist_ok=True)
    skeleton = skeleton_of(wanted.skeleton, lifted)
    for path in outputs.write(out / args.points.stem, lifted, file, wanted, skeleton):
        print(path)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
