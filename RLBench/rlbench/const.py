"""Constants that tasks share: colours in the order of variations, robots, seconds of a step."""

from typing import Any

from rlbench.engines.constants import STEP, UNSTABLE

colors: list[tuple[str, tuple[float, float, float]]] = [
    ("red", (1.0, 0.0, 0.0)),
    ("maroon", (0.5, 0.0, 0.0)),
    ("lime", (0.0, 1.0, 0.0)),
    ("green", (0.0, 0.5, 0.0)),
    ("blue", (0.0, 0.0, 1.0)),
    ("navy", (0.0, 0.0, 0.5)),
    ("yellow", (1.0, 1.0, 0.0)),
    ("cyan", (0.0, 1.0, 1.0)),
    ("magenta", (1.0, 0.0, 1.0)),
    ("silver", (0.75, 0.75, 0.75)),
    ("gray", (0.5, 0.5, 0.5)),
    ("orange", (1.0, 0.5, 0.0)),
    ("olive", (0.5, 0.5, 0.0)),
    ("purple", (0.5, 0.0, 0.5)),
    ("teal", (0.0, 0.5, 0.5)),
    ("azure", (0.0, 0.5, 1.0)),
    ("violet", (0.5, 0.0, 1.0)),
    ("rose", (1.0, 0.0, 0.5)),
    ("black", (0.0, 0.0, 0.0)),
    ("white", (1.0, 1.0, 1.0)),
]

DEMO_DT = STEP
"""Seconds between two observations."""

UNSTABLE_PHYSICS = UNSTABLE
"""Cause of a `DemoError`: the simulation went wrong, through what the task itself did."""

ROBOTS = ("panda", "sawyer", "jaco", "mico", "ur5")
"""Robots that `robot_setup` may name; all but the first come from a checkout of RLBench."""


def __getattr__(name: str) -> Any:
    """Return `SUPPORTED_ROBOTS`: name -> classes of arm and gripper, number of joints."""
    if name == "SUPPORTED_ROBOTS":
        # Imported late: built-in tasks, which need colours, need none of it.
        from rlbench.backend.pyrep_names.pyrep_robots import SUPPORTED_ROBOTS  # noqa: PLC0415

        return SUPPORTED_ROBOTS
    raise AttributeError(f"module 'rlbench.const' has no {name!r}")
