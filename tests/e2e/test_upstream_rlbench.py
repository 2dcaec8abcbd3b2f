"""RLBench's own package, unmodified, on `import pyrep` of ours.

RLBENCH_ROOT names a checkout of RLBench; its base scene may be missing.
"""

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from pyrep_mujoco.take_over import FOLDER

CHECKOUT = Path(os.environ.get("RLBENCH_ROOT", "none"))
NEEDED = ("pyquaternion", "natsort")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHECKOUT / "rlbench" / "backend").is_dir(),
        reason="RLBENCH_ROOT names no checkout of RLBench",
    ),
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in NEEDED),
        reason="RLBench needs pyquaternion and natsort",
    ),
]
REPRODUCED = """
import sys
import numpy as np
from rlbench.action_modes.action_mode import MoveArmThenGripper
from rlbench.action_modes.arm_action_modes import JointPosition
from rlbench.action_modes.gripper_action_modes import Discrete
from rlbench.environment import Environment
from rlbench.observation_config import ObservationConfig
from rlbench.tasks import PickAndLift

config = ObservationConfig()
config.set_all_high_dim(False)
config.set_all_low_dim(True)
mode = MoveArmThenGripper(JointPosition(True), Discrete())
env = Environment(mode, sys.argv[1], config, headless=True)
task = env.get_task(PickAndLift)
(demo,) = env.get_demos("pick_and_lift", 1)
_, first = task.reset_to_demo(demo)
np.testing.assert_allclose(first.task_low_dim_state, demo[0].task_low_dim_state, atol=1e-3)
np.testing.assert_allclose(first.joint_positions, demo[0].joint_positions, atol=1e-3)
env.shutdown()
"""


def run(*command, cwd=CHECKOUT):
    """Run Python as a user of the checkout does; return what it printed."""
    environment = {
        **{k: v for k, v in os.environ.items() if k != "COPPELIASIM_ROOT"},
        "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{FOLDER}{os.pathsep}{FOLDER.parents[1]}",
    }
    done = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """What RLBench's own generator writes of one task."""
    folder = tmp_path_factory.mktemp("rlbench_data")
    few = ("--tasks", "pick_and_lift", "--variations", "1", "--episodes_per_task", "1")
    command = ("rlbench/dataset_generator.py", "--save_path", str(folder), *few)
    assert "failed collecting" not in run(*command, "--processes", "1")
    return folder


def test_the_checkouts_package_is_the_one_that_is_used():
    code = "import rlbench, pyrep; print(rlbench.__file__, pyrep.__file__)"
    assert run("-c", code).split() == [
        str(CHECKOUT / "rlbench" / "__init__.py"),
        str(FOLDER / "pyrep" / "__init__.py"),
    ]


def test_its_validator_finds_a_task_good():
    printed = run("tools/task_validator.py", "reach_target.py")
    assert "Validation successful!" in printed


def test_its_generator_writes_what_its_recordings_hold(data):
    episode = data / "pick_and_lift" / "variation0" / "episodes" / "episode0"
    recorded = CHECKOUT / "tests/unit/assets/tasks/reach_target/variation0/episodes/episode0"
    assert {p.name for p in episode.iterdir()} == {p.name for p in recorded.iterdir()}
    counts = {len(list(p.iterdir())) for p in episode.iterdir() if p.is_dir()}
    assert len(counts) == 1
    with (episode.parents[1] / "variation_descriptions.pkl").open("rb") as file:
        assert all(isinstance(text, str) for text in pickle.load(file))  # noqa: S301 - just made


def test_a_stored_demonstration_is_read_and_reset_to(data):
    run("-c", REPRODUCED, str(data))
