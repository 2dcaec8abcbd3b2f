r"""The table of all tasks, from what the validator wrote.

python -m rlbench.tools.task_validator all --rlbench_root ~/RLBench --attempts 10 \
    --not_every_variation --json tasks.json --pictures pictures
python -m rlbench.tools.task_table tasks.json --pictures pictures --out tasks.md
"""

from rlbench.engines import process_start

if __name__ == "__main__":
    process_start.prepare("task_table", 150)

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlbench.engines.files import write_whole
from rlbench.tasks.registry import TASK_NAMES
from rlbench.tools.known_gaps import KNOWN_GAPS
from rlbench.tools.task_report import read_rows

_SHOWN: Mapping[str, Any] = {
    "task": str,
    "episodes": int,
    "first_attempt": int,
    "succeeded": int,
    "failures": dict,
    "source": str,
    "seconds_per_demo": (int, float),
    "keypoints": dict,
}
WANTED = 0.9
"""Share of episodes that succeed, from which a task counts as done."""

Report = Mapping[str, Any]
PICTURE_LEGEND = (
    "Pictures: the front camera at the end of a demonstration. Orange: waypoints; blue: objects;"
    " grey: the arm's tip; lines: their paths. Where the scene is left out, squares are 10 cm"
    " wide."
)


def read_reports(paths: Sequence[Path]) -> dict[str, Report]:
    """Return the validator's reports by task; a later file replaces an earlier one's.

    Raises:
        ValueError: a file is not the validator's.
    """
    found: dict[str, Report] = {}
    for path in paths:
        try:
            rows = read_rows(path)
            for row in rows:
                _check(row)
            found |= {row["task"]: row for row in rows}
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path} is not what `task_validator --json` writes ({str(error)[:100]}); make it"
                " anew"
            ) from error
    return found


def _check(row: Any) -> None:
    """Check the fields that the table shows.

    Raises:
        TypeError: one is of another type.
        KeyError: one is missing.
    """
    if not isinstance(row, dict):
        raise TypeError("an entry is no object")
    for name, kind in _SHOWN.items():
        if not isinstance(row[name], kind) or isinstance(row[name], bool):
            raise TypeError(f"{name} is of another type")
    if not all(isinstance(n, int) for n in row["failures"].values()):
        raise TypeError("failures must be numbers")


def is_done(report: Report) -> bool:
    """Tell whether enough episodes succeed."""
    return bool(report["episodes"]) and report["succeeded"] >= WANTED * report["episodes"]


def _causes(report: Report) -> str:
    if report.get("error"):
        return str(report["error"])
    causes = sorted(report["failures"].items(), key=lambda item: -item[1])
    return ", ".join(f"{n} x {cause.replace('_', ' ')}" for cause, n in causes[:3]) or "-"


def _picture(name: str, folder: Path | None, out: Path) -> str:
    if folder is None or not (folder / f"{name}.png").is_file():
        return ""
    path = (folder / f"{name}.png").resolve().relative_to(out.resolve().parent)
    return f'<img src="{path}" alt="{name}" width="128">'


def table(reports: Mapping[str, Report], out: Path, pictures: Path | None = None) -> str:
    """Return the Markdown page.

    Args:
        reports: by task name.
        out: file that the page goes to; pictures are named relative to it.
        pictures: folder of `<task>.png`, None for no pictures.
    """
    others = sorted(set(reports) - set(TASK_NAMES))
    rows = [(str(i), name) for i, name in enumerate(TASK_NAMES)] + [("-", name) for name in others]
    there = [reports[name] for _, name in rows if name in reports]
    done = sum(is_done(report) for report in there)
    at_once = sum(r["first_attempt"] >= WANTED * r["episodes"] > 0 for r in there)
    lines = [
        "# Tasks",
        "",
        (
            f"{done} of {len(there)} tasks succeed in {WANTED:.0%} of their episodes or more,"
            f" {at_once} at the first attempt. An episode may take several attempts, as in"
            " RLBench; attempts that fail are not recorded. *s per demo*: seconds for one"
            " successful attempt, without images."
        ),
        "",
        *([PICTURE_LEGEND, ""] if pictures else []),
        "| id | task | from | first attempt | succeeded | s per demo | keypoints | failed"
        " attempts |" + (" picture |" if pictures else ""),
        "|---:|---|---|---:|---:|---:|---:|---|" + ("---|" if pictures else ""),
    ]
    for number, name in rows:
        report = reports.get(name)
        if report is None:
            cells = ["not tried: its files are missing", "", "", "", "", ""]
        else:
            n, is_known = report["episodes"], report["succeeded"] > 0
            cells = [
                "RLBench" if report["source"].startswith("rlbench:") else "built-in",
                f"{report['first_attempt']}/{n}",
                f"{report['succeeded']}/{n}",
                f"{report['seconds_per_demo']:.1f}" if is_known else "",
                str(len(report["keypoints"])) if is_known else "",
                _causes(report),
            ]
        if pictures:
            cells.append(_picture(name, pictures, out))
        lines.append(f"| {number} | {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, *_gaps(reports)]) + "\n"


def _gaps(reports: Mapping[str, Report]) -> list[str]:
    """Say why tasks fail more often than wanted, as far as it is known."""
    weak = [
        f"- `{name}`: {KNOWN_GAPS.get(name) or 'not investigated: ' + _causes(reports[name])}"
        for name in sorted(reports)
        if reports[name]["episodes"]
        and reports[name]["first_attempt"] < WANTED * reports[name]["episodes"]
    ]
    title = f"## Fewer than {WANTED:.0%} at the first attempt"
    return ["", title, "", *weak] if weak else []


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="task_table", description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("reports", nargs="+", type=Path, help="what `task_validator --json` wrote")
    add("--out", type=Path, required=True, help="Markdown file to write")
    add("--pictures", type=Path, help="folder with <task>.png")
    args = parser.parse_args(argv)
    try:
        reports = read_reports(args.reports)
        write_whole(args.out, table(reports, args.out, args.pictures).encode())
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
