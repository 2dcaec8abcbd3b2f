"""What became of each scene, on disk; and what follows of all of them.

`<folder>/scenes/T9/v3_e12.json` holds the outcomes of one scene by condition, written whole.
`settings.json` says what all of them share. Nothing else is needed to continue.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data_generation.RLBench.errors import ConfigError, StoreError
from data_generation.RLBench.executing.jobs import Outcome
from data_generation.RLBench.executing.settings import TRUTH, Condition, Settings
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.json_files import JsonError, read_json
from pose_obj_3d.common.whole_files import write_whole
from rlbench.acting import CAUSES

MAX_BYTES = 1 << 24
ALL_TASKS = "all"
_Z = 1.959964  # of 95 %
Row = dict[str, Any]


class ResultFolder:
    """Outcomes of scenes, by condition."""

    def __init__(self, root: Path) -> None:
        """Use a folder: new, or of an earlier run with the same settings."""
        self.root = root

    def claim(self, settings: Settings) -> None:
        """Note what the results share, or check it.

        Raises:
            ConfigError: The folder holds results of other settings, or other files.
            StoreError: It cannot be written.
        """
        path = self.root / "settings.json"
        wanted = {"run": settings.identity(), "methods": {}}
        if path.exists():
            wanted["methods"] = self._check(path, settings)
        elif self.root.is_dir() and any(self.root.iterdir()):
            raise ConfigError(f"{self.root}: holds other files; name a new or an empty folder")
        wanted["methods"] |= {m.label: m.identity() for m in settings.methods}
        self._write(path, wanted)

    def _check(self, path: Path, settings: Settings) -> dict[str, str]:
        there = self._read(path)
        known = json.loads(json.dumps(settings.identity()))
        run = there.get("run", {})
        for key in known:
            if run.get(key) != known[key]:
                raise ConfigError(
                    f"{path}: its results have {key} {json.dumps(run.get(key))[:80]}, asked for is"
                    f" {json.dumps(known[key])[:80]}; name another folder"
                )
        methods: dict[str, str] = there.get("methods", {})
        for method in settings.methods:
            if methods.get(method.label, identity := method.identity()) != identity:
                raise ConfigError(
                    f"{path}: {method.label!r} names another checkpoint there; give another label:"
                    " --methods LABEL=PATH"
                )
        return methods

    def path(self, key: EpisodeKey) -> Path:
        """Return the file of a scene."""
        return self.root / "scenes" / f"T{key.task_id}" / f"v{key.variation}_e{key.example}.json"

    def outcomes(self, key: EpisodeKey) -> dict[str, Outcome]:
        """Return the outcomes of a scene so far.

        Raises:
            StoreError: The file is damaged.
        """
        path = self.path(key)
        found: dict[str, Outcome] = self._read(path) if path.exists() else {}
        return found

    def add(self, key: EpisodeKey, outcomes: Mapping[str, Outcome]) -> None:
        """Add outcomes to a scene."""
        self._write(self.path(key), {**self.outcomes(key), **outcomes})

    def tasks(self) -> list[int]:
        """List the tasks that have results."""
        folders = (self.root / "scenes").glob("T*")
        return sorted(int(f.name[1:]) for f in folders if f.name[1:].isdecimal())

    def of_task(self, task: int) -> Iterator[dict[str, Outcome]]:
        """Return the outcomes of each scene of a task."""
        for path in sorted((self.root / "scenes" / f"T{task}").glob("v*_e*.json")):
            yield self._read(path)

    def write_summary(self, name: str, content: str) -> Path:
        """Write a file of the folder."""
        path = self.root / name
        self._put(path, content)
        return path

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            found = read_json(path, MAX_BYTES)
        except (JsonError, OSError) as error:
            raise StoreError(f"{path}: {error}; remove it and run again") from None
        if not isinstance(found, dict):
            raise StoreError(f"{path}: it holds no results; remove it and run again")
        return found

    def _write(self, path: Path, content: Mapping[str, Any]) -> None:
        self._put(path, json.dumps(content, indent=1, allow_nan=False) + "\n")

    def _put(self, path: Path, text: str) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text.encode())
        except OSError as error:
            raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from None


def summarise(folder: ResultFolder) -> dict[str, dict[str, Row]]:
    """Return task (`T9`, and `all`: the mean over tasks) -> condition -> numbers.

    Each has `scenes`, `successes`, `rate` with its interval `low` and `high` (Wilson, 95 %),
    `causes`, `median_mm` and `median_deg` of the first look, `waited` (frames that the robot looked
    longer), `doubtful` (grasps above the limit all the same).
    """
    found: dict[str, dict[str, Row]] = {}
    for task in folder.tasks():
        by_condition: dict[str, list[Outcome]] = {}
        for scene in folder.of_task(task):
            for text, outcome in scene.items():
                by_condition.setdefault(text, []).append(outcome)
        found[f"T{task}"] = {text: _row(o) for text, o in sorted(by_condition.items())}
    if len(found) > 1:
        found[ALL_TASKS] = _over_tasks(found)
    return found


def _row(outcomes: list[Outcome]) -> Row:
    count = len(outcomes)
    successes = sum(not o["cause"] for o in outcomes)
    low, high = wilson(successes, count)
    causes = Counter(o["cause"] for o in outcomes if o["cause"])
    looked = [one for o in outcomes for one in o["looked"].values()]
    return {
        "scenes": count,
        "successes": successes,
        "rate": successes / count,
        "low": low,
        "high": high,
        "causes": {cause: causes[cause] for cause in CAUSES if causes[cause]},
        "median_mm": _median([one["mm"] for one in looked]),
        "median_deg": _median([one["deg"] for one in looked]),
        "waited": sum(sum(o["waited"].values()) for o in outcomes),
        "doubtful": sum(len(o["doubtful"]) for o in outcomes),
    }


def _over_tasks(found: Mapping[str, Mapping[str, Row]]) -> dict[str, Row]:
    """Average the conditions that all tasks have; each task counts alike."""
    shared = set.intersection(*(set(rows) for rows in found.values()))
    rows = {}
    for text in sorted(shared):
        parts = [of_task[text] for of_task in found.values()]
        rate = float(np.mean([p["rate"] for p in parts]))
        spread = 1.96 * math.sqrt(
            sum(_variance(p["successes"], p["scenes"]) for p in parts) / len(parts) ** 2
        )
        causes: Counter[str] = Counter()
        for part in parts:
            causes.update(part["causes"])
        rows[text] = {
            "scenes": sum(p["scenes"] for p in parts),
            "successes": sum(p["successes"] for p in parts),
            "rate": rate,
            "low": max(rate - spread, 0.0),
            "high": min(rate + spread, 1.0),
            "causes": {cause: causes[cause] for cause in CAUSES if causes[cause]},
            "median_mm": _median([p["median_mm"] for p in parts]),
            "median_deg": _median([p["median_deg"] for p in parts]),
            "waited": sum(p["waited"] for p in parts),
            "doubtful": sum(p["doubtful"] for p in parts),
        }
    return rows


def wilson(successes: int, count: int) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a rate (Wilson)."""
    p, z2 = successes / count, _Z**2 / count
    middle = (p + z2 / 2) / (1 + z2)
    half = _Z * math.sqrt(p * (1 - p) / count + z2 / (4 * count)) / (1 + z2)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _variance(successes: int, count: int) -> float:
    """Return the variance of a rate; one success and one failure are added, so that it is not 0."""
    p = (successes + 1) / (count + 2)
    return p * (1 - p) / count


def _median(values: list[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return round(float(np.median(known)), 3) if known else None


def table(summary: Mapping[str, Mapping[str, Row]]) -> str:
    """Return the summary as text, for a terminal or a Markdown page."""
    lines = [
        "| task | method | noise | looks | success [95 %] | of the truth's | mm | deg | failures |",
        "|---|---|---|---|---|---:|---:|---:|---|",
    ]
    for task, rows in summary.items():
        for text, row in rows.items():
            condition = Condition.parse(text)
            interval = (
                f"{100 * row['rate']:.0f} % [{100 * row['low']:.0f}, {100 * row['high']:.0f}]"
            )
            causes = ", ".join(f"{c.replace('_', ' ')} {n}" for c, n in row["causes"].items())
            cells = (
                task,
                condition.method,
                condition.noise,
                condition.replan.replace("_", " "),
                f"{interval} of {row['scenes']}",
                _of_truth(rows, row, condition),
                _shown(row["median_mm"]),
                _shown(row["median_deg"]),
                causes or "-",
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _of_truth(rows: Mapping[str, Row], row: Row, condition: Condition) -> str:
    true = rows.get(str(Condition(TRUTH, "exact", condition.replan)))
    if true is None or not true["rate"]:
        return "-"
    return f"{row['rate'] / true['rate']:.2f}"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
