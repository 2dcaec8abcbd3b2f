"""RLBench's named sets of tasks (`FS10_V1`, `MT30_V1`, ...), read from a checkout.

They stand in `rlbench/tasks/__init__.py` as dictionaries of lists of classes, joined by `+` from
each other. The file is read, never run.
"""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

from rlbench.backend.exceptions import TaskFileError
from rlbench.backend.task_files import Checkout

SET_NAME = re.compile(r"(FS|MT)\d+_V\d+")
_TASKS = "rlbench.tasks."
Sets = dict[str, dict[str, list[str]]]


def read_task_sets(checkout: Checkout) -> Sets:
    """Return set -> split (`train`, `test`) -> names of tasks, there or not.

    Raises:
        TaskFileError: the file is missing or is no Python, or a set is written in another way.
    """
    file = checkout.file("__init__")
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError) as error:
        raise TaskFileError(f"{file} cannot be read: {error}") from None
    tasks: dict[str, str] = {}
    sets: Sets = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_TASKS):
            tasks |= {alias.name: str(node.module)[len(_TASKS) :] for alias in node.names}
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if SET_NAME.fullmatch(name):
                sets[name] = _Reader(file, tasks, sets).splits(node.value)
    return sets


class _Reader:
    """Reads the value of one set."""

    def __init__(self, file: Path, tasks: Mapping[str, str], sets: Sets) -> None:
        self._file, self._tasks, self._sets = file, tasks, sets

    def splits(self, node: ast.expr) -> dict[str, list[str]]:
        if not isinstance(node, ast.Dict):
            raise self._fault(node)
        found = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if not isinstance(key, ast.Constant):
                raise self._fault(node)
            found[str(key.value)] = self._names(value)
        return found

    def _names(self, node: ast.expr) -> list[str]:
        match node:
            case ast.List(elts=items):
                return [self._task(item) for item in items]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._names(left) + self._names(right)
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str() as split)):
                if split in self._sets.get(name, ()):
                    return list(self._sets[name][split])
        raise self._fault(node)

    def _task(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name) and node.id in self._tasks:
            return self._tasks[node.id]
        raise self._fault(node)

    def _fault(self, node: ast.expr) -> TaskFileError:
        return TaskFileError(
            f"{self._file}:{node.lineno}: a task set must be a dictionary of lists of imported task"
            f" classes, found {ast.unparse(node)[:60]!r}"
        )
