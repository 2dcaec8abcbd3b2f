"""Engines under contract. `--engine coppeliasim` waits for that engine."""

import pytest

from rlbench.sim.compose import task_scene_path
from rlbench.sim.mujoco_engine import MujocoEngine


@pytest.fixture
def make_engine():
    """Return a function that loads a task's scene."""
    return lambda name: MujocoEngine(task_scene_path(name))
