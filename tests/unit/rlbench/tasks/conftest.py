"""The task that a file of tests is about: its `NAME`."""

import pytest

from rlbench.environment import Environment
from rlbench.tasks import get_task_class


@pytest.fixture(scope="module")
def task(request):
    env = Environment()
    env.launch()
    yield env.get_task(get_task_class(request.module.NAME))
    env.shutdown()
