"""Registers the tasks with gymnasium.

The simulator is loaded when an environment is made; with a checkout of RLBench, at once.
"""

import os
import warnings
from collections.abc import Sequence

from gymnasium.envs.registration import register, registry

from rlbench.backend.exceptions import TaskNotAvailableError
from rlbench.tasks.registry import AVAILABLE

OBSERVATION_MODES = ("state", "vision")
MAX_EPISODE_STEPS = 500
"""Actions until an episode is cut; 25 s in steps of 50 ms. `gymnasium.make` may change it."""


def env_id(task: str, observation_mode: str) -> str:
    """Return the name of an environment for `gymnasium.make`."""
    return f"rlbench/{task}-{observation_mode}-v0"


def _tasks() -> Sequence[str]:
    if not os.environ.get("RLBENCH_ROOT"):
        return AVAILABLE
    # Imported late: it loads the simulator.
    from rlbench.catalogue import Catalogue  # noqa: PLC0415

    try:
        return Catalogue().names()
    except TaskNotAvailableError as error:
        warnings.warn(f"gymnasium gets the built-in tasks only: {error}", stacklevel=3)
        return AVAILABLE


def register_tasks() -> None:
    """Register every task in both observation modes, those of $RLBENCH_ROOT too; twice is harmless.

    Built-in tasks are registered also where that is no checkout; a warning says so.
    """
    for task in _tasks():
        for mode in OBSERVATION_MODES:
            name = env_id(task, mode)
            if name not in registry:
                register(
                    id=name,
                    entry_point="rlbench.gym:RLBenchEnv",
                    max_episode_steps=MAX_EPISODE_STEPS,
                    kwargs={"task_class": task, "observation_mode": mode},
                )
