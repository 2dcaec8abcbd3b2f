"""Ratios with confidence intervals, from the cells of the accuracy benchmark."""

import math
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor

from pose_obj_3d.evaluation import intervals
from pose_obj_3d.evaluation.intervals import ExampleSums, Interval
from tests.benchmarks.accuracy_cases import COLUMNS, median

BEST_OF = {
    "R": ("ml", "mean7", "savgol7"),
    "S": ("hindsight", "hindsight_all", "map"),
}
"""Methods to beat: the best of these for each task, condition and column. R is simple; S smooths
whole tracks. Those of S that were not run do not count."""
TOGETHER = "together"
Results = Mapping[tuple[int, str, str], dict[str, Any]]


class Table:
    """Cells as sums by example, of one task or of all tasks together.

    Args:
        results: (task, condition, method) -> cell.
        tasks: Which tasks.
        resamples: Of the bootstrap.
        seed: Of its draws.
    """

    def __init__(
        self, results: Results, tasks: list[int], resamples: int = 1000, seed: int = 0
    ) -> None:
        self.results, self.tasks = results, tasks
        self._resamples, self._seed = resamples, seed
        generator = torch.Generator().manual_seed(seed)
        sizes = {t: self._number_of_examples(t) for t in tasks}
        self._draws = {
            (t, n): intervals.resample([n], resamples, generator) for t, n in sizes.items()
        }

    def _number_of_examples(self, task: int, condition: str | None = None) -> int:
        for (t, c, _), cell in self.results.items():
            if t == task and condition in (None, c):
                return len(next(iter(next(iter(cell["sums"].values())).values()))["count"])
        return 1

    def draws(self, tasks: list[int], condition: str) -> Tensor:
        """Return (resamples, E) draws of the examples that a condition is tested on."""
        return torch.cat([self._drawn(t, self._number_of_examples(t, condition)) for t in tasks], 1)

    def _drawn(self, task: int, count: int) -> Tensor:
        if (task, count) not in self._draws:  # another archive, as the one with detections
            generator = torch.Generator().manual_seed(self._seed + count)
            self._draws[task, count] = intervals.resample([count], self._resamples, generator)
        return self._draws[task, count]

    def sums(
        self,
        tasks: list[int],
        condition: str,
        method: str,
        column: str,
        group: str = "all",
        kind: str = "",
    ) -> ExampleSums | None:
        """Join the tasks' sums; `BEST_OF` has R and S. None if a cell is missing."""
        parts = [self._of_task(t, condition, method, column, group, kind) for t in tasks]
        known = [p for p in parts if p is not None]
        if len(known) < len(tasks) or not known:
            return None
        total, count = (torch.cat([getattr(p, name) for p in known]) for name in ("total", "count"))
        return ExampleSums(total, count) if float(count.sum()) > 0 else None

    def _of_task(
        self, task: int, condition: str, method: str, column: str, group: str, kind: str
    ) -> ExampleSums | None:
        if method in BEST_OF:
            methods = BEST_OF[method]
            found = [self._of_task(task, condition, m, column, group, kind) for m in methods]
            known = [x for x in found if x is not None and float(x.count.sum()) > 0]
            if not known or (method == "R" and len(known) < len(methods)):
                return None
            return min(known, key=lambda x: x.mean)
        entry = (
            self.results.get((task, condition, method), {})
            .get("sums", {})
            .get(group, {})
            .get(column)
        )
        if entry is not None and kind:
            entry = entry.get(kind)
        if entry is None:
            return None
        return ExampleSums(
            *(torch.tensor(entry[name], dtype=torch.float64) for name in ("total", "count"))
        )

    def mean(
        self,
        tasks: list[int],
        condition: str,
        method: str,
        column: str,
        group: str = "all",
        kind: str = "",
    ) -> Interval | None:
        """Return a mean [mm], or for `inside_*` a share, with its interval."""
        found = self.sums(tasks, condition, method, column, group, kind)
        return (
            None if found is None else intervals.mean_interval(found, self.draws(tasks, condition))
        )

    def keypoints(self, task: int, condition: str) -> list[str]:
        """Return the keypoints whose sums a task's cells of a condition have."""
        cells = (cell for (t, c, _), cell in self.results.items() if (t, c) == (task, condition))
        names = (name for cell in cells for name in cell["sums"] if "/" in name)
        return list(dict.fromkeys(names))

    def median(self, tasks: list[int], condition: str, method: str, column: str) -> float | None:
        """Return the median [mm] over all points, of all tasks alike; None if a cell is missing."""
        entries = [
            self.results.get((t, condition, method), {})
            .get("sums", {})
            .get("all", {})
            .get(column, {})
            .get("histogram")
            for t in tasks
        ]
        if not entries or None in entries:
            return None
        return median([sum(counts) for counts in zip(*entries, strict=True)])

    def product(self, tasks: list[int], *factors: tuple[str, str, str, int]) -> Interval | None:
        """Return a product of powers: (condition, method, column, exponent) each."""
        found = [(self.sums(tasks, c, m, column), power) for c, m, column, power in factors]
        known = [(s, power) for s, power in found if s is not None]
        if len(known) < len(found):
            return None
        draws = [self.draws(tasks, condition) for condition, _, _, _ in factors]
        return intervals.product_interval(known, draws)


Quantity = Callable[[Table, list[int]], Interval | None]


ACROSS = "across conditions"


def quantities(condition: str) -> dict[str, Quantity]:
    """Name the quantities of one condition: how each is computed from a table for some tasks."""
    c = condition
    found = {
        "STC window / R, moving": _ratio(c, "stc_window", "R", "moving"),
        "STC window / R, still": _ratio(c, "stc_window", "R", "still"),
        "STC window / window bound, still": _ratio(c, "stc_window", "bound_window", "still"),
        "STC track / H, moving": _ratio(c, "stc_track", "hindsight", "moving"),
        "STC track / RTS tuned without true positions, moving": _ratio(
            c, "stc_track", "rts", "moving"
        ),
        "STC track / whole-track bound, never moving": _ratio(
            c, "stc_track", "bound_track", "never"
        ),
    }
    for column in COLUMNS:
        found[f"STC track / S, {column}"] = _ratio(c, "stc_track", "S", column)
        found[f"STC track / MAP, {column}"] = _ratio(c, "stc_track", "map", column)
    for method, column in product(("stc_window", "stc_track"), COLUMNS[:3]):
        name = f"{_short(method)}, unsupervised / supervised, {column}"
        found[name] = _ratio(c, method, f"{method}_sup", column)
    for method, percent, column in product(
        ("stc_window", "stc_track", "map"), (68, 95), COLUMNS[:4]
    ):
        found[f"{_short(method)}, {percent} % region holds [%], {column}"] = _inside(
            c, method, column, percent
        )
    return found


def quantities_across() -> dict[str, Quantity]:
    """Name the quantities that compare a condition with the clean one."""
    found: dict[str, Quantity] = {}
    for method, bound, column in (
        ("stc_window", "bound_window", "still"),
        ("stc_track", "bound_track", "never"),
    ):
        found[f"{_short(method)}, 20 % dropped / (clean x bound with / without mask), {column}"] = (
            _product(
                ("drop20", method, column, 1),
                ("clean", method, column, -1),
                ("drop20", bound, column, -1),
                ("clean", bound, column, 1),
            )
        )
    for method, column in product(
        ("stc_window", "stc_track", "huber", "consensus", "ml"), COLUMNS[:3]
    ):
        name = f"{_short(method)}, 5 % outliers / clean, {column}"
        found[name] = _product(("outlier5", method, column, 1), ("clean", method, column, -1))
    return found


def _product(*factors: tuple[str, str, str, int]) -> Quantity:
    return lambda table, tasks: table.product(tasks, *factors)


def _ratio(condition: str, a: str, b: str, column: str) -> Quantity:
    return _product((condition, a, column, 1), (condition, b, column, -1))


def _inside(condition: str, method: str, column: str, percent: int) -> Quantity:
    def share(table: Table, tasks: list[int]) -> Interval | None:
        found = table.mean(tasks, condition, method, column, kind=f"inside_{percent}")
        return found and Interval(100 * found.value, 100 * found.low, 100 * found.high)

    return share


def _short(method: str) -> str:
    return {"huber": "Huber", "ml": "maximum likelihood", "map": "MAP"}.get(
        method, method.replace("stc_", "STC ")
    )


def scopes(table: Table) -> dict[str, list[int]]:
    """Return the tasks of each column of a report: every task, then all together."""
    return {f"T{t}": [t] for t in table.tasks} | (
        {TOGETHER: table.tasks} if len(table.tasks) > 1 else {}
    )


def derive(table: Table, conditions: list[str]) -> dict[str, dict[str, dict[str, Interval]]]:
    """Compute condition (or `ACROSS`) -> quantity -> scope -> interval, of what is there."""
    result: dict[str, dict[str, dict[str, Interval]]] = {}
    for place, found in {
        **{c: quantities(c) for c in conditions},
        ACROSS: quantities_across(),
    }.items():
        for name, compute in found.items():
            values = {scope: compute(table, tasks) for scope, tasks in scopes(table).items()}
            kept = {
                scope: x for scope, x in values.items() if x is not None and math.isfinite(x.value)
            }
            if kept:
                result.setdefault(place, {})[name] = kept
    return result
