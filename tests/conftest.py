"""Settings of the whole suite."""

import os

# Tests of built-in tasks must not meet those of a checkout that RLBENCH_ROOT may name.
os.environ.setdefault("RLBENCH_TASKS_FROM", "builtin")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each process renders on one thread: the others have the remaining cores.
    os.environ.setdefault("LP_NUM_THREADS", "1")
