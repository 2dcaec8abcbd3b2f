"""Make an archive of a LeRobot data set: `python -m pose_obj_3d.import_lerobot --help`.

It needs two or more calibrated cameras, and 2D keypoints of each. See docs/exporting.md.
"""

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("python -m pose_obj_3d.import_lerobot", 850)

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from pose_obj_3d.common.errors import PoseObj3DError, one_line
from pose_obj_3d.importing.lerobot_archive import ImportOptions, import_lerobot
from pose_obj_3d.importing.mapping import Mapped

FEATURES = {
    "uv": "(K, 2) [px]; (2 K,), or (K, 3) with a confidence, are read, too",
    "visibility": "(K,): 1 seen, 0.5 hidden, 0 outside the image; may be missing",
    "xyz": "(K, 3) [m]; may be missing",
    "intrinsics": "(3, 3) [px]",
    "extrinsics": "(3, 4) or (4, 4), world to camera [m], OpenCV's axes",
    "image": "images, whose shape gives the size; may be missing",
}


def build_parser() -> argparse.ArgumentParser:
    """Give the command's flags."""
    parser = argparse.ArgumentParser(
        prog="python -m pose_obj_3d.import_lerobot",
        description="Make an archive of a LeRobot data set with calibrated cameras and keypoints.",
    )
    add = parser.add_argument
    add("data_set", type=Path, help="folder that holds meta/ and data/")
    add("--output", type=Path, required=True, help="archive to write, .npz")
    add("--cameras", nargs="+", help="cameras to take (default: all that have keypoints)")
    add("--keypoints", nargs="+", help="keypoints to take (default: all)")
    add("--calibration", type=Path, help="JSON file of the cameras, if no features hold it")
    add("--image_size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="[px]")
    add("--task_name", default="lerobot", help="if the data set does not say it (default lerobot)")
    add("--sigma_px", type=float, help="standard deviation of the detections (default: measured)")
    group = parser.add_argument_group("names of features", "{camera} stands for each camera")
    for feature in fields(Mapped):
        group.add_argument(
            f"--{feature.name}",
            default=feature.default,
            help=f"{FEATURES[feature.name]} (default {feature.default})",
        )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 on success, 2 on a user's error."""
    args = build_parser().parse_args(argv)
    try:
        mapped = Mapped(**{f.name: getattr(args, f.name) for f in fields(Mapped)})
        own = {f.name: getattr(args, f.name) for f in fields(ImportOptions) if f.name != "mapped"}
        found = import_lerobot(
            args.data_set.expanduser(), args.output.expanduser(), ImportOptions(mapped, **own)
        )
    except (PoseObj3DError, OSError) as error:
        print(f"error: {one_line(str(error))}", file=sys.stderr)  # noqa: T201
        return 2
    if found.is_triangulated:
        print(  # noqa: T201
            "no 3D positions: those in the archive are triangulated from the detections; errors in"
            " mm say how methods differ from them, not from the truth",
            file=sys.stderr,
        )
    counts = ", ".join(f"{name} {n} examples" for name, n in found.examples.items())
    print(f"{counts}, {len(found.cameras)} views written to {args.output}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
