"""Convert an older, pickled `sim_all_formal.npz`: `python -m pose_obj_3d.formal_legacy --help`.

The older layout has no calibration and no names. Another archive, filmed by the same cameras,
lends them: `python -m pose_obj_3d.formal_legacy old.npz new.npz --like archive.npz`.
"""

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("python -m pose_obj_3d.formal_legacy", 120)

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pose_obj_3d.common.archive.legacy import read_legacy
from pose_obj_3d.common.errors import PoseObj3DError, one_line
from pose_obj_3d.formal import make_split, read_formal, write_formal


def convert(old: Path, new: Path, like: Path) -> None:
    """Write `old` in the present layout, with calibration, names and noise of `like`."""
    tracks, model = read_legacy(old), read_formal(like)
    model.require_tasks(sorted(tracks))
    meta = {k: v for k, v in model.meta.items() if k not in ("sources", "image_pattern")}
    meta["split"] = {f"T{t}": make_split(len(x), f"{old}: T{t}") for t, x in tracks.items()}
    for key in ("task_names", "keypoint_names"):
        meta[key] = {f"T{t}": model.meta[key][f"T{t}"] for t in tracks}
    meta["source_seeds"] = {}
    write_formal(new, tracks, meta, model.intrinsics, model.extrinsics)


def main(argv: Sequence[str] | None = None) -> int:
    """Convert a file; 0 on success, 2 on a user's error."""
    parser = argparse.ArgumentParser(
        prog="python -m pose_obj_3d.formal_legacy",
        description="Convert an older, pickled sim_all_formal.npz.",
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument(
        "--like",
        type=Path,
        required=True,
        help="an archive of the present layout, filmed by the same cameras",
    )
    args = parser.parse_args(argv)
    try:
        convert(args.old, args.new, args.like)
    except (PoseObj3DError, OSError) as error:
        print(f"error: {one_line(str(error))}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
