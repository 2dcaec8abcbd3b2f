"""Make an archive of RLBench's stored demonstrations.

`python -m pose_obj_3d.importing.rlbench --help` lists the flags.
See docs/from_rlbench.md.
"""

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("python -m pose_obj_3d.importing.rlbench", 850)

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pose_obj_3d.common.errors import PoseObj3DError, one_line
from pose_obj_3d.importing.rlbench.archive import RLBenchOptions, import_rlbench


def build_parser() -> argparse.ArgumentParser:
    """Give the command's flags."""
    parser = argparse.ArgumentParser(
        prog="python -m pose_obj_3d.importing.rlbench",
        description="Make an archive of demonstrations that RLBench, or PerAct's fork, has stored.",
    )
    add = parser.add_argument
    add("data_set", type=Path, help="folder that has a folder for each task; or one task's folder")
    add("--output", type=Path, required=True, help="archive to write, .npz")
    add("--tasks", nargs="+", help="names of tasks to take (default: all)")
    add("--cameras", nargs="+", help="cameras to take (default: all that stand still)")
    add("--max_examples", type=int, help="episodes of each task at most (default: all)")
    add(
        "--noise_scale",
        type=float,
        default=1.0,
        help="noise of the simulated detections of gripper and joints; 1: 0.00504 of the image's"
        " width (default 1)",
    )
    add("--seed", type=int, default=0, help="of that noise (default 0)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 on success, 2 on a user's error."""
    args = build_parser().parse_args(argv)
    try:
        options = RLBenchOptions(
            args.tasks, args.cameras, args.max_examples, args.noise_scale, args.seed
        )
        found = import_rlbench(args.data_set.expanduser(), args.output.expanduser(), options)
    except (PoseObj3DError, OSError) as error:
        print(f"error: {one_line(str(error))}", file=sys.stderr)  # noqa: T201
        return 2
    for note in found.notes:
        print(note, file=sys.stderr)  # noqa: T201
    counts = ", ".join(f"{name} {n} examples" for name, n in found.examples.items())
    print(f"{counts}, {len(found.cameras)} views written to {args.output}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
