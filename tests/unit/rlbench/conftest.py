"""What tests of several rooms share: an engine with a scene, and the need of OpenGL."""

import pytest

from pyrep_mujoco.vision.rendering import select_gl_backend
from rlbench.backend.exceptions import RenderingError
from rlbench.engines.mujoco import MujocoEngine
from rlbench.tasks import builtin_scene


@pytest.fixture
def engine():
    """Give an engine with the scene of pick_and_lift."""
    return MujocoEngine(builtin_scene("pick_and_lift"))


@pytest.fixture
def needs_gl():
    """Skip where nothing can be rendered."""
    try:
        select_gl_backend()
    except RenderingError as error:
        pytest.skip(str(error))
