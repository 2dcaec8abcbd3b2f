"""Write a data set in the format of another project: LeRobot, robomimic, or RLBench.

python export_dataset.py data/my_expe --to lerobot
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("export_dataset.py", 480)

import argparse
from collections.abc import Sequence

from data_generation.RLBench import command_line
from data_generation.RLBench.config import find_dataset
from data_generation.RLBench.errors import ConfigError, DataGenerationError, StoreError
from data_generation.RLBench.exporting.episodes import Selection, output_beside, select
from data_generation.RLBench.exporting.lerobot.writer import LeRobotExporter
from data_generation.RLBench.exporting.rlbench_layout import RLBenchExporter
from data_generation.RLBench.exporting.robomimic import RobomimicExporter
from data_generation.RLBench.exporting.run import Exporter, run
from data_generation.RLBench.raw.layout import MODES
from data_generation.RLBench.raw.store import RawStore

PROGRAM = "export_dataset.py"
IMAGES = {
    "lerobot": ("video", "png", "none"),
    "robomimic": ("array", "none"),
    "rlbench": ("png",),
    "peract": ("png",),
}
"""Format -> how images may be stored, the default first."""


def build_parser() -> command_line.Parser:
    """Give the command's flags."""
    parser = command_line.Parser(prog=PROGRAM, description=__doc__.split("\n", maxsplit=1)[0])
    add, at_least = parser.add_argument, command_line.at_least
    add("data_set", help="folder that generate_data.py filled")
    add("--to", required=True, choices=tuple(IMAGES), help="format to write")
    add("--output", help="folder to write (default: beside the data set, <name>_<format>)")
    add("--mode", choices=MODES, default="train", help="which episodes (default train)")
    add("--tasks", type=at_least(0), nargs="+", help="task ids (default all)")
    add("--max_examples", type=at_least(1), help="episodes of each task at most (default all)")
    add(
        "--images",
        choices=("video", "png", "array", "none"),
        help="how images are stored: video, png or none with lerobot; array or none with"
        " robomimic; png with rlbench and peract (default: the first of these)",
    )
    add("--crf", type=at_least(0), default=23, help="quality of videos, 0 (best) to 51 (23)")
    add("--depth", action="store_true", help="with robomimic: depth images, too")
    add("--action", help="registered action to export (default: the first that was registered)")
    add("--overwrite", action="store_true", help="replace an export that the folder holds")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = build_parser().parse_args(argv)
    command_line.log_to_stderr()
    try:
        line = export(args)
    except DataGenerationError as error:
        return command_line.report_error(PROGRAM, error)
    except OSError as error:
        return command_line.report_error(PROGRAM, StoreError(f"cannot be written: {error}"))
    print(line)
    return 0


def export(args: argparse.Namespace) -> str:
    """Write the export; return a line that says what was written."""
    store = RawStore(find_dataset(args.data_set), args.mode)
    images = check_flags(args)
    selection = select(store, args.tasks, args.action, args.max_examples)
    if images != "none" and not selection.cams:
        hint = "generate with cameras in cams"
        if "none" in IMAGES[args.to]:
            hint += ", or export without them: --images none"
        raise ConfigError(f"{store.root} has no images (cams is empty); {hint}")
    output = Path(args.output).expanduser() if args.output else output_beside(store.root, args.to)
    output = output.absolute()
    exporter = make_exporter(args, images, selection)
    for note in exporter.notes:
        print(note, file=sys.stderr)
    outcome = run(store, selection, exporter, output, args.overwrite)
    return (
        f"{outcome.episodes} episodes, {outcome.frames} frames in {output}"
        f" ({outcome.written} episodes written now)"
    )


def check_flags(args: argparse.Namespace) -> str:
    """Give how images are stored.

    Raises:
        ConfigError: The format does not have it, or a flag belongs to another format.
    """
    allowed = IMAGES[args.to]
    images = args.images or allowed[0]
    if images not in allowed:
        raise ConfigError(
            f"--images {images} is not for --to {args.to}; allowed: {', '.join(allowed)}"
        )
    if args.crf > 51:
        raise ConfigError(f"--crf is {args.crf}; it must be 0 (best) to 51")
    if args.depth and args.to != "robomimic":
        raise ConfigError(
            "--depth is for --to robomimic alone; rlbench and peract always have them"
        )
    return images


def make_exporter(args: argparse.Namespace, images: str, selection: Selection) -> Exporter:
    """Give what writes the format."""
    if args.to == "lerobot":
        return LeRobotExporter(selection, images, args.crf)
    if args.to == "robomimic":
        return RobomimicExporter(selection, images != "none", args.depth)
    return RLBenchExporter(selection, as_peract=args.to == "peract")


if __name__ == "__main__":
    sys.exit(main())
