"""The files of tasks, and where they come from: this package, or a checkout of RLBench."""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rlbench.backend.exceptions import TaskNotAvailableError

SOURCES = ("auto", "builtin", "rlbench")
"""auto: the checkout's version where it has one; else only one of the two."""
ROOT_VARIABLE, SOURCE_VARIABLE = "RLBENCH_ROOT", "RLBENCH_TASKS_FROM"
_TASKS, _SCENES = Path("rlbench") / "tasks", Path("rlbench") / "task_ttms"


@dataclass(frozen=True)
class Origin:
    """The two files of a task.

    Attributes:
        name: snake_case.
        source: `builtin` or `rlbench`.
        file: Python.
        scene: `.ttm` or MJCF.
        root: the checkout, None for a built-in task.
    """

    name: str
    source: str
    file: Path
    scene: Path
    root: Path | None = None

    @cached_property
    def label(self) -> str:
        """What stored data says of the source: a checkout's files by the start of their digest."""
        if self.source == "builtin":
            return "builtin"
        content = self.file.read_bytes() + b"\0" + self.scene.read_bytes()
        return f"{self.source}:{hashlib.sha256(content).hexdigest()[:12]}"


@dataclass(frozen=True)
class Checkout:
    """A checkout of RLBench.

    Attributes:
        root: its top folder.
    """

    root: Path

    def file(self, name: str) -> Path:
        """Return a task's Python file, there or not."""
        return self.root / _TASKS / f"{name}.py"

    def scene(self, name: str) -> Path:
        """Return a task's scene, there or not: a `.ttm`, else MJCF as this package's."""
        mjcf = self.root / _SCENES / f"{name}.xml"
        binary = mjcf.with_suffix(".ttm")
        return mjcf if mjcf.is_file() and not binary.is_file() else binary

    def names(self) -> list[str]:
        """Return the tasks that have both files, sorted."""
        files = (self.root / _TASKS).glob("*.py")
        return sorted(f.stem for f in files if self.scene(f.stem).is_file())

    def incomplete(self) -> dict[str, str]:
        """Return what is missing for each task that has one of its two files only."""
        files = {f.stem for f in (self.root / _TASKS).glob("*.py")} - {"__init__"}
        return {name: self.lack(name) for name in sorted(files - set(self.names()))}

    def origin(self, name: str) -> Origin | None:
        """Return a task's files, None where one is missing."""
        file, scene = self.file(name), self.scene(name)
        if not (file.is_file() and scene.is_file()):
            return None
        return Origin(name, "rlbench", file, scene, self.root)

    def lack(self, name: str) -> str:
        """Say what is missing for a task."""
        missing = [str(p) for p in (self.file(name), self.scene(name)) if not p.is_file()]
        return f"{' and '.join(missing)} not found"


def open_checkout(root: str | Path | None) -> Checkout | None:
    """Return the checkout at `root`, by default at $RLBENCH_ROOT; None where neither is given.

    Raises:
        TaskNotAvailableError: it is no checkout.
    """
    given = root if root is not None else os.environ.get(ROOT_VARIABLE) or None
    if given is None:
        return None
    where = "rlbench_root" if root is not None else ROOT_VARIABLE
    path = Path(given).expanduser().absolute()
    if not (path / _SCENES).is_dir():
        reason = f"has no {_SCENES}" if path.is_dir() else "is no folder"
        raise TaskNotAvailableError(
            f"{where}={given} {reason}; it must be the top folder of a checkout of "
            "https://github.com/stepjam/RLBench"
        )
    return Checkout(path)


def chosen_source(tasks_from: str | None) -> str:
    """Return `tasks_from`, by default $RLBENCH_TASKS_FROM or auto.

    Raises:
        TaskNotAvailableError: it is none of `SOURCES`.
    """
    value = tasks_from or os.environ.get(SOURCE_VARIABLE) or "auto"
    if value not in SOURCES:
        where = "tasks_from" if tasks_from else SOURCE_VARIABLE
        raise TaskNotAvailableError(f"{where}={value!r} is unknown; it may be {', '.join(SOURCES)}")
    return value
