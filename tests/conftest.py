"""Settings of the whole suite."""

import os

# Tests of built-in tasks must not meet those of a checkout that RLBENCH_ROOT may name.
os.environ.setdefault("RLBENCH_TASKS_FROM", "builtin")
