"""PyRep's modules, loaded only when this engine is chosen, and what must be there for that."""

import os
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from pyrep_mujoco.take_over import is_ours
from rlbench.engines.errors import EngineError

BASE_SCENE = Path("rlbench") / "task_design.ttt"
TASK_MODELS = Path("rlbench") / "task_ttms"
_NEEDS = "engine coppeliasim needs"
_ELSE = "or choose engine mujoco, which needs nothing of it"


@dataclass(frozen=True)
class PyRepApi:
    """The modules of PyRep that the engine uses, by what they hold."""

    pyrep: ModuleType
    sim: ModuleType
    objects: ModuleType
    const: ModuleType
    errors: ModuleType
    arms: ModuleType
    grippers: ModuleType
    paths: ModuleType


def load_api() -> PyRepApi:
    """Import PyRep.

    Raises:
        EngineError: PyRep, CoppeliaSim or an X server is missing.
    """
    _check_installation()
    try:
        return PyRepApi(
            pyrep=import_module("pyrep"),
            sim=import_module("pyrep.backend.sim"),
            objects=import_module("pyrep.objects"),
            const=import_module("pyrep.const"),
            errors=import_module("pyrep.errors"),
            arms=import_module("pyrep.robots.arms.panda"),
            grippers=import_module("pyrep.robots.end_effectors.panda_gripper"),
            paths=import_module("pyrep.robots.configuration_paths.arm_configuration_path"),
        )
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise EngineError(
            f"PyRep is installed but cannot be loaded ({reason}); add COPPELIASIM_ROOT to "
            f"LD_LIBRARY_PATH and set QT_QPA_PLATFORM_PLUGIN_PATH to it, {_ELSE}"
        ) from error


def _check_installation() -> None:
    found = find_spec("pyrep")
    if found is not None and any(
        is_ours(Path(folder).parent) for folder in found.submodule_search_locations or ()
    ):
        raise EngineError(
            f"{_NEEDS} PyRep, and `import pyrep` means pyrep_mujoco's package here; undo that "
            f"(python -m pyrep_mujoco.take_over off), {_ELSE}"
        )
    if found is None:
        raise EngineError(
            f"{_NEEDS} the package PyRep, which is not installed; install CoppeliaSim 4.1 and "
            f"https://github.com/stepjam/PyRep, {_ELSE}"
        )
    root = os.environ.get("COPPELIASIM_ROOT", "")
    if not root:
        raise EngineError(
            f"{_NEEDS} COPPELIASIM_ROOT, which is not set; set it to CoppeliaSim's folder, {_ELSE}"
        )
    if not Path(root).is_dir():
        raise EngineError(
            f"COPPELIASIM_ROOT={root} is no folder; set it to where CoppeliaSim was unpacked"
        )
    if not os.environ.get("DISPLAY"):
        raise EngineError(
            f"{_NEEDS} an X server and DISPLAY is not set; start one "
            f"(Xvfb :99 & export DISPLAY=:99), {_ELSE}"
        )


def rlbench_checkout() -> Path:
    """Return the checkout of upstream RLBench that holds the scenes.

    Raises:
        EngineError: RLBENCH_ROOT is not set, or is no checkout.
    """
    root = os.environ.get("RLBENCH_ROOT", "")
    if not root:
        raise EngineError(
            f"{_NEEDS} RLBench's scenes and RLBENCH_ROOT is not set; set it to a checkout of "
            f"https://github.com/stepjam/RLBench, {_ELSE}"
        )
    for part in (BASE_SCENE, TASK_MODELS):
        if not (Path(root) / part).exists():
            raise EngineError(
                f"RLBENCH_ROOT={root} has no {part}; set it to the top folder of a checkout of "
                "https://github.com/stepjam/RLBench"
            )
    return Path(root).absolute()
