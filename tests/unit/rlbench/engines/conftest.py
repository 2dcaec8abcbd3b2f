"""CoppeliaSim's engine on a stand-in for PyRep."""

import pytest

from rlbench.engines.coppelia.simulator import CoppeliaSimulator
from rlbench.tasks import AVAILABLE
from tests.contract import fake_pyrep


@pytest.fixture
def world(monkeypatch, tmp_path):
    """Put the stand-in where PyRep would be; give what it simulates."""
    return fake_pyrep.install(monkeypatch, tmp_path, AVAILABLE)


@pytest.fixture
def simulator(world):
    simulator = CoppeliaSimulator()
    yield simulator
    simulator.close()


@pytest.fixture
def loaded(simulator):
    """Give what the simulator has of pick_and_lift."""
    return simulator.load("pick_and_lift")
