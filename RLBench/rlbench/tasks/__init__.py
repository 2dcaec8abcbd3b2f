"""The tasks: their classes by name, those of a checkout of RLBench too.

Names and ids are in `registry`, one file for each built-in task beside it.
"""

from pathlib import Path

from rlbench.backend.task import Task
from rlbench.tasks.registry import AVAILABLE, TASK_NAMES, builtin_scene, task_id

__all__ = ["AVAILABLE", "TASK_NAMES", "builtin_scene", "get_task_class", "task_id"]


def get_task_class(
    name: str, rlbench_root: str | Path | None = None, tasks_from: str | None = None
) -> type[Task]:
    """Return the class of a task.

    Args:
        name: snake_case.
        rlbench_root: a checkout of RLBench whose tasks are available too; default $RLBENCH_ROOT.
        tasks_from: `auto`, `builtin` or `rlbench`, see `rlbench.catalogue.Catalogue`.

    Raises:
        TaskNotAvailableError: there is no such task.
        TaskFileError: its file cannot be loaded.
    """
    # Imported late: the catalogue needs the registry of this package.
    from rlbench.catalogue import Catalogue  # noqa: PLC0415

    return Catalogue(rlbench_root, tasks_from).task_class(name)


def __getattr__(name: str) -> type[Task] | dict[str, list[type[Task]]]:
    """Load the class of an available task: `from rlbench.tasks import ReachTarget`.

    Named sets too: `FS95_V1["train"]`, `MT30_V1["train"]`, lists of classes. They are read from a
    checkout; without one there is `FS95_V1` alone, with the built-in tasks.

    Raises:
        AttributeError: there is nothing of this name.
        ImportError: there is, but it cannot be used here; `from` shows no message of the other.
    """
    if name.startswith("_"):
        raise AttributeError(name)
    from rlbench.catalogue import Catalogue  # noqa: PLC0415

    return Catalogue().by_class_name(name)
