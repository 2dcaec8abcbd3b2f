"""All tasks that can run here: built-in ones, and those of a checkout of RLBench."""

import warnings
from pathlib import Path

from rlbench.backend.exceptions import TaskNotAvailableError
from rlbench.backend.task import Task
from rlbench.backend.task_files import Checkout, Origin, chosen_source, open_checkout
from rlbench.checkout.loader import load_task
from rlbench.checkout.task_sets import SET_NAME, read_task_sets
from rlbench.tasks.registry import (
    AVAILABLE,
    TASK_NAMES,
    builtin_class,
    builtin_file,
    builtin_scene,
    class_name,
    task_id,
    unknown_task,
)

OWN_SET = "FS95_V1"
"""The set whose tasks have ids."""


class Catalogue:
    """Tasks by name.

    Attributes:
        checkout: of RLBench, None where there is none.
        source: one of `rlbench.backend.task_files.SOURCES`.
    """

    def __init__(
        self, rlbench_root: str | Path | None = None, tasks_from: str | None = None
    ) -> None:
        """Look where tasks are.

        Args:
            rlbench_root: a checkout of RLBench, by default $RLBENCH_ROOT, else none.
            tasks_from: `auto` (the checkout's version of a task where it has one, else the
                built-in), `builtin` or `rlbench`; by default $RLBENCH_TASKS_FROM, else `auto`.

        Raises:
            TaskNotAvailableError: the root is no checkout, or the source is unknown or missing.
        """
        self.source = chosen_source(tasks_from)
        self.checkout: Checkout | None = None
        if self.source != "builtin":
            self.checkout = open_checkout(rlbench_root)
        if self.source == "rlbench" and self.checkout is None:
            raise TaskNotAvailableError(
                "tasks are to come from RLBench, but no checkout is given; set RLBENCH_ROOT or "
                "--rlbench_root to one"
            )

    def names(self) -> list[str]:
        """Return the tasks that run: those with an id in their order, then the others by name."""
        there = set() if self.source == "rlbench" else set(AVAILABLE)
        if self.checkout is not None:
            there |= set(self.checkout.names())
        known = [name for name in TASK_NAMES if name in there]
        return known + sorted(there - set(known))

    def incomplete(self) -> dict[str, str]:
        """Return name -> what is missing, of tasks of the checkout that cannot run for that."""
        there = {} if self.checkout is None else self.checkout.incomplete()
        runs = set(self.names())
        return {name: why for name, why in there.items() if name not in runs}

    def by_id(self) -> dict[int, str]:
        """Return id -> name of the tasks that run."""
        return {task_id(name): name for name in self.names()}

    def origin(self, name: str) -> Origin:
        """Return the files of the version of a task that is meant.

        Raises:
            TaskNotAvailableError: it does not run here.
        """
        if self.checkout is not None:
            found = self.checkout.origin(name)
            if found is not None:
                return found
        if name in AVAILABLE and self.source != "rlbench":
            return Origin(name, "builtin", builtin_file(name), builtin_scene(name))
        raise unknown_task(
            name, self.names(), None if self.checkout is None else self.checkout.lack(name)
        )

    def task_class(self, name: str) -> type[Task]:
        """Return the class of a task.

        Raises:
            TaskNotAvailableError: it does not run here.
            TaskFileError: its file cannot be loaded.
        """
        origin = self.origin(name)
        return builtin_class(name) if origin.source == "builtin" else load_task(origin)

    def by_class_name(self, name: str) -> type[Task] | dict[str, list[type[Task]]]:
        """Return what `from rlbench.tasks import <name>` means: a class, or a named set of them.

        Raises:
            AttributeError: there is nothing of this name.
            ImportError: there is, but it cannot be used here.
        """
        if SET_NAME.fullmatch(name):
            return self._task_set(name)
        for task in self.names():
            if class_name(task) == name:
                return self.task_class(task)
        for task, lack in self.incomplete().items():
            if class_name(task) == name:
                raise ImportError(f"rlbench.tasks: task {task!r} is not available: {lack}")
        known = ", ".join(class_name(task) for task in self.names())
        raise AttributeError(
            f"module 'rlbench.tasks' has no {name!r}; its task classes are {known}"
        )

    def _task_set(self, name: str) -> dict[str, list[type[Task]]]:
        """Load the classes of a named set; a warning names the tasks that are not there."""
        where = "this package"
        sets: dict[str, dict[str, list[str]]] = {}
        if self.checkout is not None:
            where = str(self.checkout.root)
            sets = read_task_sets(self.checkout)
        elif name != OWN_SET:
            raise ImportError(
                f"rlbench.tasks: {name} is a set of RLBench's tasks; set RLBENCH_ROOT to a checkout"
                " of it"
            )
        sets.setdefault(OWN_SET, {"train": list(TASK_NAMES), "test": []})
        if name not in sets:
            raise ImportError(
                f"rlbench.tasks: there is no {name}; there are {', '.join(sorted(sets))}"
            )
        there = set(self.names())
        lacking = sorted({task for tasks in sets[name].values() for task in tasks} - there)
        if lacking:
            warnings.warn(
                f"{name}: {len(lacking)} tasks are left out, their files are not in {where}: "
                f"{', '.join(lacking)}",
                stacklevel=4,
            )
        return {
            split: [self.task_class(task) for task in tasks if task in there]
            for split, tasks in sets[name].items()
        }
