"""Settings of the whole suite."""

import os

import numpy as np
import pytest
from hypothesis import settings

# Tests of built-in tasks must not meet those of a checkout that RLBENCH_ROOT may name.
os.environ.setdefault("RLBENCH_TASKS_FROM", "builtin")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each process renders on one thread: the others have the remaining cores.
    os.environ.setdefault("LP_NUM_THREADS", "1")


# On a busy machine a call may take any time; and who changes nothing gets the same result again.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")


# Episodes that a test does not seed follow NumPy's generator: so they are the same in every run.
@pytest.fixture(autouse=True, scope="module")
def _seed_of_modules_fixtures():
    np.random.seed(0)  # noqa: NPY002


@pytest.fixture(autouse=True)
def _seed_of_a_test():
    np.random.seed(0)  # noqa: NPY002
