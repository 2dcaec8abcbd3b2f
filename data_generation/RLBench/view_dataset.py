"""Write an episode as a Rerun recording: cameras, pictures, 2D and 3D keypoints on a time line.

python view_dataset.py data/my_expe --out episode.rrd
python view_dataset.py data/my_expe --task 9 --episode 3 --window
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("view_dataset.py", 490)

import importlib
from collections.abc import Sequence
from typing import Any

from data_generation.RLBench import command_line
from data_generation.RLBench.errors import ConfigError, DataGenerationError, StoreError
from data_generation.RLBench.inspect_dataset import check_episode, open_source
from data_generation.RLBench.inspection.sources import Example, Source, choose_sections

SUFFIX = ".rrd"


def build_parser() -> command_line.Parser:
    """Give the command's flags."""
    parser = command_line.Parser(
        prog="view_dataset.py", description=__doc__.split("\n", maxsplit=1)[0]
    )
    add, at_least = parser.add_argument, command_line.at_least
    add("data_set", help="folder that generate_data.py filled, or an archive")
    add("--out", type=Path, help=f"recording to write, *{SUFFIX}; an older one is replaced")
    add("--window", action="store_true", help="open Rerun's viewer; needs a display")
    add("--task", type=at_least(0), help="task id (default the first one)")
    add("--episode", type=at_least(0), default=0, help="number of the example (default 0)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 all is well, 2 a mistake in the command or an unreadable episode."""
    args = build_parser().parse_args(argv)
    command_line.log_to_stderr()
    try:
        check_out(args.out, args.window)
        recording = _import_recording()
        source = open_source(args.data_set)
        try:
            example = read_example(source, args.task, args.episode)
            if args.window:
                recording.show(example, source.frame, source.frame_period_s)
            else:
                recording.save(example, source.frame, source.frame_period_s, args.out)
        finally:
            source.close()
    except DataGenerationError as error:
        return command_line.report_error("view_dataset.py", error)
    except OSError as error:
        return command_line.report_error(
            "view_dataset.py", StoreError(f"{args.out} cannot be written: {error}")
        )
    where = "shown" if args.window else f"see {args.out} (rerun {args.out})"
    print(f"{example.section.label} {example.label}, {example.tracks.shape[1]} frames; {where}")
    return 0


def check_out(out: Path | None, window: bool) -> None:
    """Refuse a place that nothing can be written to."""
    if (out is None) != window:
        raise ConfigError(f"give either --out episode{SUFFIX}, or --window")
    if out is None:
        return
    if out.suffix != SUFFIX:
        raise ConfigError(f"--out {out}: the name must end with {SUFFIX}")
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise ConfigError(f"--out {out}: name a file in a folder that exists")


def read_example(source: Source, task: int | None, episode: int) -> Example:
    """Read one example; of the training mode where both hold it."""
    sections = choose_sections(source, None if task is None else [task])
    if task is None:
        sections = sections[:1]
    check_episode(source, sections, episode)
    section = next(s for s in sections if episode in source.numbers[s])
    example = source.read(section, episode)
    if example is None:
        what = "; ".join(d.what for d in source.damage[:1])
        raise StoreError(f"{section.label} episode {episode} cannot be shown: {what}"[:400])
    return example


def _import_recording() -> Any:
    try:
        return importlib.import_module("data_generation.RLBench.inspection.rerun_recording")
    except ImportError as error:
        raise DataGenerationError(
            f"package {error.name} is not installed; pip install rerun-sdk"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
