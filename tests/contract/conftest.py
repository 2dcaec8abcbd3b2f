"""Engines under contract: MuJoCo, and CoppeliaSim's engine on a kinematic stand-in for PyRep.

`pytest tests/contract --engine coppeliasim` runs the suite against a real CoppeliaSim instead.
Tests marked `needs_physics` leave the stand-in out.
"""

from pathlib import Path

import pytest

from rlbench.backend.exceptions import EngineError
from rlbench.engines.coppelia.api import load_api, rlbench_checkout
from rlbench.engines.coppelia.simulator import CoppeliaSimulator
from rlbench.engines.mujoco import MujocoEngine
from rlbench.environment import ENGINES, Environment
from rlbench.tasks import AVAILABLE, builtin_scene
from tests.contract import fake_pyrep

FAKE = "kinematic coppeliasim"
FOLDER = Path(__file__).resolve().parent


def pytest_addoption(parser):
    parser.addoption(
        "--engine", choices=ENGINES, help="run the contract suite against this engine alone"
    )


def _chosen(config):
    return config.getoption("--engine", None)


def pytest_configure(config):
    if _chosen(config) == "coppeliasim":
        try:
            load_api()
            rlbench_checkout()
        except EngineError as error:
            raise pytest.UsageError(str(error)) from None


def pytest_generate_tests(metafunc):
    if "engine_kind" in metafunc.fixturenames:
        chosen = _chosen(metafunc.config)
        kinds = ["mujoco", FAKE] if chosen is None else [chosen]
        if metafunc.definition.get_closest_marker("needs_physics"):
            kinds = [kind for kind in kinds if kind != FAKE]
        metafunc.parametrize("engine_kind", kinds)


def pytest_collection_modifyitems(config, items):
    """With `--engine coppeliasim`, leave out what is about MuJoCo alone."""
    if _chosen(config) != "coppeliasim":
        return
    mine = [item for item in items if FOLDER in Path(item.path).parents]
    out = [item for item in mine if "engine_kind" not in item.fixturenames]
    items[:] = [item for item in items if item not in out]
    config.hook.pytest_deselected(items=out)


@pytest.fixture
def prepare_engine(engine_kind, monkeypatch, tmp_path):
    """Put the stand-in where PyRep would be, if it is wanted; give the engine's name."""
    if engine_kind == FAKE:
        fake_pyrep.install(monkeypatch, tmp_path, AVAILABLE)
    return "mujoco" if engine_kind == "mujoco" else "coppeliasim"


@pytest.fixture
def tolerance(engine_kind):
    """Give how exactly poses are kept: CoppeliaSim computes in single precision."""
    return 1e-5 if engine_kind == "coppeliasim" else 1e-9


@pytest.fixture
def make_engine(prepare_engine):
    """Return a function that loads a task's scene."""
    if prepare_engine == "mujoco":
        yield lambda name: MujocoEngine(builtin_scene(name))
        return
    simulator = CoppeliaSimulator()
    try:
        yield lambda name: simulator.load(name)[0]
    finally:
        simulator.close()


@pytest.fixture
def make_environment(prepare_engine):
    """Return a function that makes and launches an environment; it is shut down afterwards."""
    made = []

    def make(**kwargs):
        for env in made:  # one simulator in a process
            env.shutdown()
        made.append(Environment(engine=prepare_engine, **kwargs))
        made[-1].launch()
        return made[-1]

    yield make
    for env in made:
        env.shutdown()
