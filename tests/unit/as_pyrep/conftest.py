"""Lets `import pyrep` mean the package in `as_pyrep` for the tests of this folder only."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "RLBench" / "pyrep_mujoco" / "as_pyrep"
SAMPLES = ROOT.parent / "shared" / "pyrep_samples"


def _take_out() -> dict:
    names = [n for n in sys.modules if n == "pyrep" or n.startswith("pyrep.")]
    return {name: sys.modules.pop(name) for name in names}


@pytest.fixture(autouse=True, scope="module")
def pyrep_on_path():
    before = _take_out()
    sys.path.insert(0, str(FOLDER))
    try:
        yield
    finally:
        sys.path.remove(str(FOLDER))
        _take_out()
        sys.modules.update(before)


@pytest.fixture(scope="session")
def samples():
    if not SAMPLES.is_dir():
        pytest.skip("PyRep's own files are not beside this repository")
    return SAMPLES


@pytest.fixture
def launch():
    """Launch scenes; whatever is open at the end is shut down."""
    from pyrep import PyRep

    open_ones = []

    def start(scene="", *, run=True):
        simulator = PyRep()
        simulator.launch(str(scene), headless=True)
        open_ones.append(simulator)
        if run:
            simulator.start()
        return simulator

    yield start
    for simulator in open_ones:
        if simulator._session is not None:
            simulator.shutdown()
