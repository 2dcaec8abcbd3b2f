"""Helpers of RLBench: classes of tasks by name, and stored demonstrations."""

from pathlib import Path

from rlbench.backend.exceptions import TaskNotAvailableError
from rlbench.backend.task import Task
from rlbench.stored_demos import get_stored_demos
from rlbench.tasks import get_task_class

__all__ = ["InvalidTaskName", "get_stored_demos", "name_to_task_class"]

InvalidTaskName = TaskNotAvailableError
"""RLBench's name of the error."""


def name_to_task_class(task_file: str) -> type[Task]:
    """Return the class of a task by its snake_case name, with or without `.py`.

    Raises:
        TaskNotAvailableError: there is no such task.
        TaskFileError: its file cannot be loaded.
    """
    return get_task_class(Path(task_file).name.removesuffix(".py"))
