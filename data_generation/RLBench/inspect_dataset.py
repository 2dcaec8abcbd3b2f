"""Look at a data set: one page with pictures, statistics, damage and suspicious episodes.

python inspect_dataset.py data/my_expe
python inspect_dataset.py ../../pose_obj_3d/data/RLBench_pose_est_data/sim_all_formal.npz --tasks 0
9
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("inspect_dataset.py", 490)

import importlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from data_generation.RLBench import command_line
from data_generation.RLBench.errors import ConfigError, DataGenerationError, StoreError
from data_generation.RLBench.inspection import page as inspect_page
from data_generation.RLBench.inspection import statistics as limits
from data_generation.RLBench.inspection.archive import ArchiveSource, check_is_file
from data_generation.RLBench.inspection.sources import (
    Example,
    RawSource,
    Section,
    Source,
    choose_sections,
)
from data_generation.RLBench.inspection.statistics import SectionStatistics
from data_generation.RLBench.raw.json_files import read_json
from data_generation.RLBench.raw.layout import INSPECTION
from pose_obj_3d.common.facts import MOVING_M_PER_S
from pose_obj_3d.common.whole_files import is_temporary, write_whole
from rlbench.tools.video import VideoError, check_encoder

FORMAT = "inspection of keypoint tracks"
FORMAT_VERSION = 1
STATISTICS = "statistics.json"
MAX_STATISTICS_BYTES = 64 << 20
PAGE = "index.html"


def build_parser() -> command_line.Parser:
    """Give the command's flags."""
    parser = command_line.Parser(
        prog="inspect_dataset.py", description=__doc__.split("\n", maxsplit=1)[0]
    )
    add, at_least = parser.add_argument, command_line.at_least
    add(
        "data_set",
        help="folder that generate_data.py filled, or an archive such as sim_all_formal.npz",
    )
    add(
        "--output",
        help=(
            "folder to write (default: inspection/ in a data set, <name>_inspection/ beside an"
            " archive)"
        ),
    )
    add("--tasks", type=at_least(0), nargs="+", help="task ids (default all)")
    add(
        "--episode",
        type=at_least(0),
        help="number of the example to draw (default the first readable one)",
    )
    add(
        "--max_examples",
        type=at_least(1),
        help="number of examples of each task to look at (default all)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 all is well, 1 something is damaged, 2 a mistake in the command."""
    args = build_parser().parse_args(argv)
    command_line.log_to_stderr()
    try:
        source = open_source(args.data_set)
        try:
            sections = choose_sections(source, args.tasks)
            output = (
                Path(args.output).expanduser().absolute() if args.output else default_output(source)
            )
            report = inspect(source, sections, output, args.episode, args.max_examples)
        finally:
            source.close()
    except DataGenerationError as error:
        return command_line.report_error("inspect_dataset.py", error)
    except OSError as error:
        return command_line.report_error(
            "inspect_dataset.py", StoreError(f"cannot be written: {error}")
        )
    counts = ", ".join(f"{s['label']} {s['examples']} examples" for s in report["sections"])
    found = f"{len(report['damage'])} damaged, {len(report['suspicious'])} suspicious"
    print(f"{counts}; {found}; see {output / PAGE}")
    return command_line.INCOMPLETE if report["damage"] else 0


def open_source(path: str) -> Source:
    """Open a raw data set's folder (looked for as the other commands do) or an archive."""
    given = Path(path).expanduser()
    if given.is_file() or given.suffix == ".npz":
        check_is_file(given)
        return ArchiveSource(path)
    return RawSource(path)


def default_output(source: Source) -> Path:
    """Give the folder that is written where none is named."""
    if source.path.is_dir():
        return source.path / INSPECTION
    return source.path.with_name(f"{source.path.stem}_{INSPECTION}")


def inspect(
    source: Source,
    sections: Sequence[Section],
    output: Path,
    episode: int | None,
    limit: int | None,
) -> dict[str, Any]:
    """Read every example once, write pictures, page and statistics; return the statistics."""
    pictures_module = _import_pictures()
    check_episode(source, sections, episode)
    files = [PAGE, STATISTICS, *(f"{s.stem}.{kind}" for s in sections for kind in ("jpg", "mp4"))]
    prepare(output, files)
    rows, suspicious, pictures = [], [], {}
    counts = {s: source.numbers[s][:limit] for s in sections}
    with tqdm(
        total=sum(map(len, counts.values())), unit="example", disable=not sys.stderr.isatty()
    ) as bar:
        for section, numbers in counts.items():
            bar.set_description(section.label)
            statistics = SectionStatistics(section, source.sigma_px, source.frame_period_s)
            drawn = None if episode is None else _read(source, section, episode)
            for number in numbers:
                example = source.read(section, number)
                bar.update()
                if example is not None:
                    statistics.add(example)
                    drawn = example if drawn is None and episode is None else drawn
            if drawn is not None:
                bar.set_description(f"{section.label}, drawing")
                for kind, make in (
                    ("jpg", pictures_module.contact_sheet),
                    ("mp4", pictures_module.animation),
                ):
                    pictures[f"{section.stem}.{kind}"] = make(
                        drawn, source.frame, source.frame_period_s
                    )
            rows.append({"stem": section.stem, **statistics.result()})
            suspicious += statistics.suspicions
    report = {
        **_head(files),
        "data_set": source.path.name,
        "kind": source.kind,
        "frame_period_s": source.frame_period_s,
        "sigma_px": source.sigma_px,
        "bounds": {
            "max_step_m": limits.MAX_STEP,
            "volume_low_m": list(limits.VOLUME_LOW),
            "volume_high_m": list(limits.VOLUME_HIGH),
            "max_reprojection_px": limits.MAX_REPROJECTION,
            "moving_m_per_s": MOVING_M_PER_S,
        },
        "notes": source.notes,
        "damage": [asdict(d) for d in source.damage],
        "suspicious": [asdict(s) for s in suspicious],
        "sections": rows,
    }
    write(output, report, pictures)
    return report


def _import_pictures() -> Any:
    try:
        module = importlib.import_module("data_generation.RLBench.inspection.pictures")
        check_encoder()
        return module
    except VideoError as error:
        raise DataGenerationError(str(error)) from None
    except ModuleNotFoundError as error:
        raise DataGenerationError(
            f"package {error.name} is not installed; pip install -r data_gen_requirements.txt"
        ) from None


def _read(source: Source, section: Section, episode: int) -> Example | None:
    return source.read(section, episode) if episode in source.numbers[section] else None


def check_episode(source: Source, sections: Sequence[Section], episode: int | None) -> None:
    """Refuse the number of an example that no task has."""
    if episode is None or any(episode in source.numbers[s] for s in sections):
        return
    there = ", ".join(f"{s.label} has {len(source.numbers[s])}" for s in sections)
    raise ConfigError(f"--episode {episode}: no such example (they count from 0; {there})")


def prepare(output: Path, files: Sequence[str]) -> None:
    """Make the folder ready: refuse to overwrite what is not ours, remove what an older run wrote.

    The list of our files is written before them, so that a run killed half-way can be repeated.
    """
    if output.exists() and not output.is_dir():
        raise ConfigError(f"--output {output} is a file; name a new or empty folder")
    output.mkdir(parents=True, exist_ok=True)
    older = _older_files(output)
    if older is None and not all(is_temporary(p.name) for p in output.iterdir()):
        raise ConfigError(
            f"--output {output} is not empty and no inspection; name a new or empty folder"
        )
    foreign = [name for name in files if (output / name).exists() and name not in (older or ())]
    if foreign:
        raise ConfigError(
            f"--output {output / foreign[0]} was not written by an inspection; move it away"
        )
    for name in older or ():
        if name != STATISTICS:
            (output / name).unlink(missing_ok=True)
    write_whole(output / STATISTICS, json.dumps({**_head(files), "is_complete": False}).encode())


def _older_files(output: Path) -> set[str] | None:
    """Give the files that an older inspection wrote here, None where there was none."""
    try:
        older = read_json(output / STATISTICS, MAX_STATISTICS_BYTES)
    except (OSError, ValueError):
        return None
    if not isinstance(older, dict) or older.get("format") != FORMAT:
        return None
    names = older.get("files")
    listed = names if isinstance(names, list) else []
    return {STATISTICS, *(n for n in listed if isinstance(n, str) and Path(n).name == n)}


def _head(files: Sequence[str]) -> dict[str, Any]:
    return {"format": FORMAT, "format_version": FORMAT_VERSION, "files": list(files)}


def write(output: Path, report: dict[str, Any], pictures: dict[str, bytes]) -> None:
    """Write pictures, page, and the statistics last."""
    for name, data in pictures.items():
        write_whole(output / name, data)
    write_whole(output / PAGE, inspect_page.render(report, pictures).encode())
    text = json.dumps({**report, "is_complete": True}, indent=1, allow_nan=False)
    write_whole(output / STATISTICS, f"{text}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
