"""Tables of the accuracy benchmark: errors and claims by task, condition, group and keypoint."""

import math

from pose_obj_3d.evaluation.intervals import Interval
from tests.benchmarks.accuracy_cases import COLUMNS, GROUPS
from tests.benchmarks.accuracy_cells import METHODS
from tests.benchmarks.accuracy_data import CONDITIONS
from tests.benchmarks.accuracy_derived import Table, scopes


def error_tables(table: Table, conditions: list[str], methods: list[str]) -> list[str]:
    """Return errors by task, by condition and by keypoint group, and the claims."""
    places, first = scopes(table), conditions[0]
    title, (last, together) = CONDITIONS[first].title, list(places.items())[-1]
    parts = []
    for column in COLUMNS:
        head = [f"{column}, {title}", *places]
        rows = [
            [METHODS[m], *(shown(table.mean(t, first, m, column)) for t in places.values())]
            for m in methods
        ]
        parts += [f"## {column.capitalize()} points by task\n", as_markdown(head, rows)]
    for column in COLUMNS if len(conditions) > 1 else ():
        head = [f"{column}, {last}", *(CONDITIONS[c].title for c in conditions)]
        rows = [
            [METHODS[m], *(shown(table.mean(together, c, m, column)) for c in conditions)]
            for m in methods
        ]
        parts += [f"## {column.capitalize()} points by condition\n", as_markdown(head, rows)]
    pairs = [(s, c) for s in places for c in ("moving", "still")]
    for group in GROUPS:
        head = [f"{group}, {title}", *(f"{s} {c}" for s, c in pairs)]
        rows = [
            [
                METHODS[m],
                *(shown(table.mean(places[s], first, m, c, group), False) for s, c in pairs),
            ]
            for m in methods
        ]
        parts += [f"## Group {group}\n", as_markdown(head, rows)]
    for c in conditions:
        parts += _claims_table(table, together, c, methods, f"{last}, {CONDITIONS[c].title}")
    parts += _medians(table, together, conditions, methods, last)
    for c in conditions:
        parts += _keypoint_tables(table, c, methods) if CONDITIONS[c].is_detected else []
    return parts


def _keypoint_tables(table: Table, condition: str, methods: list[str]) -> list[str]:
    """Return the mean errors of each task's keypoints."""
    parts = []
    for task in table.tasks:
        names = table.keypoints(task, condition)
        rows = [
            [n, *(shown(table.mean([task], condition, m, "all", n), False) for m in methods)]
            for n in names
        ]
        head = [f"all, T{task}, {CONDITIONS[condition].title}", *(METHODS[m] for m in methods)]
        parts += ["## Keypoints\n", as_markdown(head, rows)] if names else []
    return parts


def _claims_table(
    table: Table, tasks: list[int], condition: str, methods: list[str], title: str
) -> list[str]:
    """Return what the methods claim in a condition, in the columns that they have."""
    kinds = ("68 % region [%]", "95 % region [%]", "claimed [mm]", "true [mm]")
    head = [title, *(f"{k}, {c}" for k in kinds for c in COLUMNS[:4])]
    rows = [[METHODS[m], *_claims(table, tasks, condition, m)] for m in methods]
    rows = [r for r in rows if any(x != "-" for x in r[1:9])]
    return ["## Claimed uncertainty\n", as_markdown(head, rows)] if rows else []


def _medians(
    table: Table, tasks: list[int], conditions: list[str], methods: list[str], title: str
) -> list[str]:
    """Return the medians by condition, of all points that can be lifted."""
    head = [f"median [mm], all, {title}", *(CONDITIONS[c].title for c in conditions)]
    found = {m: [table.median(tasks, c, m, "all") for c in conditions] for m in methods}
    rows = [
        [METHODS[m], *("-" if x is None else f"{x:.2f}" for x in xs)] for m, xs in found.items()
    ]
    return ["## Medians\n", as_markdown(head, rows)]


def _claims(table: Table, tasks: list[int], condition: str, method: str) -> list[str]:
    cells = []
    for kind, factor in (("inside_68", 100), ("inside_95", 100), ("claimed", 1), ("", 1)):
        for column in COLUMNS[:4]:
            found = table.mean(tasks, condition, method, column, kind=kind)
            cells.append(
                "-" if found is None else f"{factor * found.value:.{1 if factor > 1 else 2}f}"
            )
    return cells


def shown(x: Interval | None, with_interval: bool = True) -> str:
    if x is None or not math.isfinite(x.value):
        return "-"
    return f"{x.value:.3f} [{x.low:.3f}, {x.high:.3f}]" if with_interval else f"{x.value:.2f}"


def as_markdown(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table without the rows that have no number."""
    kept = [r for r in rows if any(cell != "-" for cell in r[1:])]
    return (
        "\n".join(
            "| " + " | ".join(r) + " |" for r in [head, ["---", *["---:"] * (len(head) - 1)], *kept]
        )
        + "\n"
    )
