"""Modules of PyRep's names that stand in for it where it is not installed.

They are in `sys.modules` while task files are loaded and run, or for good after `enable()`. No
module of PyRep itself is loaded or changed.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from rlbench.backend import exceptions
from rlbench.backend.pyrep_names import pyrep_constants as constants
from rlbench.backend.pyrep_names import pyrep_objects as objects
from rlbench.backend.pyrep_names import pyrep_robots as robots
from rlbench.backend.pyrep_names import pyrep_simulation as simulation


class PyRepError(exceptions.RLBenchError):
    """Base of PyRep's errors."""


def _errors() -> dict[str, Any]:
    names: dict[str, Any] = dict.fromkeys(
        ("ConfigurationError", "GripperError", "PyRepError"), PyRepError
    )
    return names | {
        "ObjectAlreadyRemovedError": exceptions.ObjectAlreadyRemovedError,
        "ObjectIsNotModelError": exceptions.SceneError,
        "WrongObjectTypeError": exceptions.WrongObjectTypeError,
        "ConfigurationPathError": exceptions.ConfigurationPathError,
        "IKError": exceptions.IKError,
    }


_OBJECTS = {
    "camera": objects.Camera,
    "cartesian_path": objects.CartesianPath,
    "dummy": objects.Dummy,
    "force_sensor": objects.ForceSensor,
    "joint": objects.Joint,
    "light": objects.Light,
    "object": objects.Object,
    "octree": objects.Octree,
    "proximity_sensor": objects.ProximitySensor,
    "shape": objects.Shape,
    "vision_sensor": objects.VisionSensor,
}


def _contents() -> dict[str, dict[str, Any]]:
    constant = {name: getattr(constants, name) for name in constants.__all__}
    classes = {cls.__name__: cls for cls in _OBJECTS.values()}
    out: dict[str, dict[str, Any]] = {
        "pyrep": {"PyRep": simulation.PyRep, "__version__": "4.1.0.3"},
        "pyrep.pyrep": {"PyRep": simulation.PyRep},
        "pyrep.const": constant,
        "pyrep.errors": _errors(),
        "pyrep.objects": classes,
        "pyrep.robots": {},
        "pyrep.robots.arms": {},
        "pyrep.robots.arms.arm": {"Arm": robots.Arm},
        "pyrep.robots.end_effectors": {},
        "pyrep.robots.end_effectors.gripper": {"Gripper": robots.Gripper},
        "pyrep.robots.configuration_paths": {},
        "pyrep.robots.configuration_paths.arm_configuration_path": {
            "ArmConfigurationPath": robots.ArmConfigurationPath
        },
    }
    for name, arm in robots.ARMS.items():
        out[f"pyrep.robots.arms.{name.lower()}"] = {name: arm}
    for name, gripper in robots.GRIPPERS.items():
        module = f"{name.removesuffix('Gripper').lower()}_gripper"
        out[f"pyrep.robots.end_effectors.{module}"] = {name: gripper}
    for name, cls in _OBJECTS.items():
        out[f"pyrep.objects.{name}"] = {cls.__name__: cls, "ObjectType": constants.ObjectType}
    return out


class _StandIn(ModuleType):
    """A module whose missing names are one clear line."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(
            f"{self.__name__} has no {name!r} in the stand-in for PyRep of rlbench.checkout"
        )


def _build() -> dict[str, _StandIn]:
    modules: dict[str, _StandIn] = {}
    for name, content in _contents().items():
        module = _StandIn(name, "Stand-in for PyRep's module, see rlbench.checkout.")
        vars(module).update(content)
        module.__path__ = []
        module.__spec__ = ModuleSpec(name, None, is_package=True)
        modules[name] = module
    for name, inner in modules.items():
        parent, _, child = name.rpartition(".")
        if parent and not hasattr(modules[parent], child):
            setattr(modules[parent], child, inner)
    return modules


_MODULES = _build()
_enabled = False


def _theirs() -> dict[str, ModuleType]:
    names = [n for n in sys.modules if n == "pyrep" or n.startswith("pyrep.")]
    return {name: sys.modules.pop(name) for name in names}


def enable() -> None:
    """Let `from pyrep.objects.shape import Shape` work in this process from now on.

    Twice is harmless. Raises nothing: a PyRep that was imported before stays where its users have
    it, imports from now on give the stand-in.
    """
    global _enabled  # noqa: PLW0603 - a fact about sys.modules, which is global too
    _theirs()
    sys.modules.update(_MODULES)
    _enabled = True


@contextmanager
def stand_in() -> Iterator[None]:
    """Let imports of PyRep give the stand-in meanwhile; what was there before comes back."""
    if sys.modules.get("pyrep") is _MODULES["pyrep"]:
        yield
        return
    before = _theirs()
    sys.modules.update(_MODULES)
    try:
        yield
    finally:
        _theirs()
        sys.modules.update(before)
