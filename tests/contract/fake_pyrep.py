"""PyRep's modules on a kinematic world, for tests where CoppeliaSim is not installed.

`install` puts modules of PyRep's names into `sys.modules`, so that the engine's own imports are
what is tested.
"""

import importlib.machinery
import sys
from types import ModuleType

from rlbench.const import DEMO_DT
from tests.contract.fake_objects import (
    CLASSES,
    ConfigurationError,
    ConfigurationPathAlgorithms,
    ConfigurationPathError,
    Dummy,
    IKError,
    Object,
    ObjectType,
    PyRepError,
    RenderMode,
    in_tree,
    recorded,
)
from tests.contract.fake_robot import ArmConfigurationPath, Panda, PandaGripper
from tests.contract.fake_world import ACTIVE, VISIBLE_LAYERS, World, world


@recorded
class PyRep:
    def launch(self, scene_file="", headless=False, responsive_ui=False, blocking=False):
        if not scene_file.endswith("task_design.ttt"):
            raise PyRepError(f"Scene file does not exist: {scene_file}")

    def start(self):
        world().is_running = True

    def step(self):
        world().step()

    def shutdown(self):
        world().is_running = False

    def get_simulation_timestep(self):
        return DEMO_DT

    def import_model(self, filename):
        return Dummy(world().load_task(filename).handle)

    def set_configuration_tree(self, config_tree):
        world().configure(config_tree)

    def get_objects_in_tree(self, root_object=None, object_type=ObjectType.ALL, exclude_base=True):
        return in_tree(root_object, object_type, exclude_base)


def _backend() -> ModuleType:
    sim = ModuleType("pyrep.backend.sim")
    sim.sim_intparam_program_version = 1
    sim.sim_intparam_visible_layers = 11
    sim.sim_objintparam_visibility_layer = 10
    sim.simGetJointMaxForce = lambda handle: 87.0
    sim.simGetInt32Parameter = lambda parameter: {1: 40100, 11: VISIBLE_LAYERS}[parameter]
    sim.simGetObjectInt32Parameter = lambda handle, parameter: {10: world().nodes[handle].layer}[
        parameter
    ]
    return sim


def install(monkeypatch, tmp_path, tasks=("reach_target",)) -> World:
    """Make a new world, and modules, a checkout and settings that the engine takes for real."""
    made = World()
    ACTIVE[:] = [made]  # one simulator in a process, as with PyRep
    names = {
        "pyrep": {"PyRep": PyRep, "__version__": "4.1.0.3"},
        "pyrep.backend": {},
        "pyrep.robots": {},
        "pyrep.robots.arms": {},
        "pyrep.robots.end_effectors": {},
        "pyrep.robots.configuration_paths": {},
        "pyrep.errors": [PyRepError, ConfigurationError, ConfigurationPathError, IKError],
        "pyrep.const": [ObjectType, RenderMode, ConfigurationPathAlgorithms],
        "pyrep.objects": [Object, *CLASSES.values()],
        "pyrep.robots.arms.panda": [Panda],
        "pyrep.robots.end_effectors.panda_gripper": [PandaGripper],
        "pyrep.robots.configuration_paths.arm_configuration_path": [ArmConfigurationPath],
    }
    for name, content in names.items():
        module = ModuleType(name)
        pairs = content if isinstance(content, dict) else {c.__name__: c for c in content}
        vars(module).update(pairs)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "pyrep.backend.sim", _backend())
    root = tmp_path / "upstream"
    models = root / "rlbench" / "task_ttms"
    models.mkdir(parents=True)
    (root / "rlbench" / "task_design.ttt").touch()
    for task in tasks:
        (models / f"{task}.ttm").touch()
    for name, value in (("COPPELIASIM_ROOT", root), ("RLBENCH_ROOT", root), ("DISPLAY", ":99")):
        monkeypatch.setenv(name, str(value))
    return made
