"""200 damaged files of each kind are read, or refused by one line, in bounded time and memory."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from pose_obj_3d.common.errors import DataError
from tests.fuzz import long_run

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="peaks of memory are read from /proc"
)


@pytest.mark.slow
@pytest.mark.parametrize("kind", long_run.NAMES)
def test_damaged_files(kind):
    found = long_run.run(kind, 200)
    assert found["faults"] == {}
    assert sum(found["counts"].values()) == 200
    # Neither reading all nor refusing all would say anything.
    assert found["counts"]["refused"] > 50
    assert found["counts"].get("read", 0) > 0


CLOCK = [0.0]  # [s] it goes on where a reader takes time


def failing(error):
    def read(path):
        raise error(path)

    return read


@pytest.mark.parametrize(
    ("read", "result"),
    [
        (lambda path: None, "read"),
        (failing(lambda path: DataError(f"{path}: broken")), "refused"),
        (failing(lambda path: DataError("broken")), "badly worded"),
        (failing(lambda path: ValueError("broken")), "undocumented"),
        (failing(lambda path: MemoryError()), "undocumented"),
        (lambda path: np.ones(2**24).sum(), "over the limits"),
        (lambda path: CLOCK.append(CLOCK[-1] + 0.3), "over the limits"),
    ],
)
def test_faults_are_noticed(tmp_path, monkeypatch, read, result):
    monkeypatch.setattr(long_run, "SECONDS", 0.2)
    monkeypatch.setattr(long_run, "time", SimpleNamespace(perf_counter=lambda: CLOCK[-1]))
    monkeypatch.setattr(long_run, "MEBIBYTES", 100)
    assert long_run.outcome_of(SimpleNamespace(read=read), tmp_path / "x", 2**20).result == result


def test_a_process_that_dies_is_noticed(monkeypatch):
    monkeypatch.setattr(long_run, "__file__", "/dev/null/none.py")
    assert long_run.run("yaml", 1)["counts"] == {"died": 1}
