"""What is missing for CoppeliaSim is said in one line."""

import sys
from importlib.machinery import ModuleSpec

import pytest

from data_generation.RLBench import generate_data
from data_generation.RLBench.generation import engines
from pyrep_mujoco import take_over
from rlbench.backend.exceptions import EngineError, SceneError
from rlbench.engines.coppelia import api as coppelia_api
from rlbench.engines.coppelia.simulator import CoppeliaSimulator
from rlbench.environment import Environment
from rlbench.tools import task_validator
from tests.contract import fake_objects, fake_pyrep


@pytest.fixture
def world(monkeypatch, tmp_path):
    return fake_pyrep.install(monkeypatch, tmp_path)


def refusal():
    with pytest.raises(EngineError) as caught:
        Environment(engine="coppeliasim").launch()
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_without_pyrep(monkeypatch):
    monkeypatch.setattr(coppelia_api, "find_spec", lambda name: None)
    assert "PyRep, which is not installed" in refusal()
    assert "engine mujoco" in refusal()


def test_with_pyrep_of_the_other_engine(monkeypatch):
    spec = ModuleSpec("pyrep", None, is_package=True)
    spec.submodule_search_locations = [str(take_over.FOLDER / "pyrep")]
    monkeypatch.setattr(coppelia_api, "find_spec", lambda name: spec)
    assert "take_over off" in refusal()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("COPPELIASIM_ROOT", "COPPELIASIM_ROOT, which is not set"),
        ("DISPLAY", "an X server and DISPLAY is not set"),
        ("RLBENCH_ROOT", "RLBENCH_ROOT is not set"),
    ],
)
def test_without_a_setting(world, monkeypatch, name, message):
    monkeypatch.delenv(name)
    assert message in refusal()


def test_with_wrong_folders(world, monkeypatch, tmp_path):
    monkeypatch.setenv("RLBENCH_ROOT", str(tmp_path))
    assert "has no rlbench/task_design.ttt" in refusal()
    monkeypatch.setenv("COPPELIASIM_ROOT", str(tmp_path / "nowhere"))
    assert "is no folder" in refusal()


def test_pyrep_that_does_not_find_its_library(world, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrep.backend.sim", None)
    assert "LD_LIBRARY_PATH" in refusal()


def test_a_simulator_that_does_not_start(world, monkeypatch):
    def fails(self, *args, **kwargs):
        raise fake_objects.PyRepError("no luck\ntoday")

    monkeypatch.setattr(fake_pyrep.PyRep, "launch", fails)
    assert refusal() == "CoppeliaSim could not be started: no luck today"


def test_another_time_step(world, monkeypatch):
    monkeypatch.setattr(fake_pyrep.PyRep, "get_simulation_timestep", lambda self: 0.01)
    assert "steps by 0.01 s" in refusal()
    monkeypatch.undo()


def test_one_simulator_in_a_process(world):
    first = CoppeliaSimulator()
    assert "can run one CoppeliaSim" in refusal()
    first.close()
    first.close()
    CoppeliaSimulator().close()


def test_unknown_engine_and_scene(world):
    with pytest.raises(EngineError, match="'gazebo' is unknown; there are mujoco, coppeliasim"):
        Environment(engine="gazebo")
    simulator = CoppeliaSimulator()
    with pytest.raises(SceneError, match=r"scene file fly_to_moon\.ttm not found"):
        simulator.load("fly_to_moon")
    simulator.close()


def test_the_commands_say_it_too(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(coppelia_api, "find_spec", lambda name: None)
    assert task_validator.main(["reach_target", "--engine", "coppeliasim"]) == 2
    assert capsys.readouterr().err.startswith("task_validator: engine coppeliasim needs")
    assert generate_data.ENGINES["coppeliasim"] is engines.open_coppeliasim


def test_a_new_task_replaces_the_one_before(monkeypatch, tmp_path):
    world = fake_pyrep.install(monkeypatch, tmp_path, ["reach_target", "pick_and_lift"])
    simulator = CoppeliaSimulator()
    engine, _ = simulator.load("reach_target")
    assert engine.has("target")
    engine, _ = simulator.load("pick_and_lift")
    assert not engine.has("target")
    assert engine.version == "4.1.0 (PyRep 4.1.0.3)"
    with pytest.raises(SceneError, match=r"pick_and_lift\.ttm has no shape"):
        engine.shape("target")
    loaded = [args[0] for name, args, _ in world.calls if name == "PyRep.import_model"]
    assert [path.rpartition("/")[2] for path in loaded] == ["reach_target.ttm", "pick_and_lift.ttm"]
    simulator.close()
