"""RLBench-style robot learning tasks on an embedded simulator (MuJoCo).

RLBench's names are here too, loaded when first used: `from rlbench import Environment`.
Its gymnasium environments `rlbench/<task>-<state|vision>-v0` are registered as soon as both this
package and gymnasium are imported, in either order.
"""

from importlib import import_module
from typing import Any

from rlbench.on_import import when_imported

__version__ = "0.1.0"

_HOMES = {
    "ActionMode": "rlbench.action_modes.action_mode",
    "ArmActionMode": "rlbench.action_modes.arm_action_modes",
    "CameraConfig": "rlbench.observation_config",
    "Environment": "rlbench.environment",
    "GripperActionMode": "rlbench.action_modes.gripper_action_modes",
    "ObservationConfig": "rlbench.observation_config",
    "RandomizeEvery": "rlbench.sim2real.domain_randomization",
    "VisualRandomizationConfig": "rlbench.sim2real.domain_randomization",
    "name_to_task_class": "rlbench.utils",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Load a public name from where it lives."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rlbench' has no {name!r}; it has {', '.join(_HOMES)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])


when_imported("gymnasium", lambda: import_module("rlbench.registration").register_tasks())
