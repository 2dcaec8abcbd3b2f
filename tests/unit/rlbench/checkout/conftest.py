"""Settings of a user's shell must not reach the tests that give their own."""

import pytest


@pytest.fixture
def own_settings(monkeypatch):
    """Unset the variables that name a checkout and choose tasks."""
    for name in ("RLBENCH_ROOT", "RLBENCH_TASKS_FROM"):
        monkeypatch.delenv(name, raising=False)
