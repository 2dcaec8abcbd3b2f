"""Fixtures of the tests of the inspection."""

from functools import partial

import pytest

from data_generation.RLBench.inspection import pictures
from tests.unit.data_generation.inspected import fill_raw, write_archive


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    monkeypatch.setattr(pictures, "SHEET_PANEL", 100)
    monkeypatch.setattr(pictures, "MOVIE_PANEL", 100)


@pytest.fixture
def raw(tmp_path, write_config):
    """Fill a raw data set and return its folder."""
    return partial(fill_raw, tmp_path, write_config)


@pytest.fixture
def archive(tmp_path):
    """Write an archive of hand-made tracks and return its path."""
    return partial(write_archive, tmp_path)
