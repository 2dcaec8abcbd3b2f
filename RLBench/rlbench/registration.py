"""Tells gymnasium of the tasks; nothing of the simulator is loaded before one is made."""

from gymnasium.envs.registration import register, registry

from rlbench.tasks import AVAILABLE

OBSERVATION_MODES = ("state", "vision")
MAX_EPISODE_STEPS = 500
"""Actions until an episode is cut; 25 s in steps of 50 ms. `gymnasium.make` may change it."""


def env_id(task: str, observation_mode: str) -> str:
    """Return the name of an environment for `gymnasium.make`."""
    return f"rlbench/{task}-{observation_mode}-v0"


def register_tasks() -> None:
    """Register every available task in both observation modes; twice is harmless."""
    for task in AVAILABLE:
        for mode in OBSERVATION_MODES:
            name = env_id(task, mode)
            if name not in registry:
                register(
                    id=name,
                    entry_point="rlbench.gym:RLBenchEnv",
                    max_episode_steps=MAX_EPISODE_STEPS,
                    kwargs={"task_class": task, "observation_mode": mode},
                )
