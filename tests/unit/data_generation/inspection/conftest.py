"""What the tests of reports share: small pictures, raw data and archives to look at."""

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
    return partial(fill_raw, tmp_path, write_config)


@pytest.fixture
def archive(tmp_path):
    return partial(write_archive, tmp_path)
