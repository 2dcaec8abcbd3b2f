"""The command of a robot that acts, with real processes: killed, continued, the same numbers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_generation.RLBench.config import load_config
from data_generation.RLBench.executing import run
from data_generation.RLBench.executing.results import ResultFolder
from data_generation.RLBench.executing.scene import Executor
from data_generation.RLBench.executing.settings import Settings, parse_method, simulated_noises

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "data_generation" / "RLBench"


def start(out, *flags):
    command = [sys.executable, "execute_keypoints.py", "--path_out", str(out)]
    tasks = ["--tasks", "0", "12", "--scenes", "3", "--methods", "truth", "dlt"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, *tasks, *flags],
        cwd=FOLDER,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return out


def test_a_killed_run_goes_on_and_ends_the_same(tmp_path):
    killed = start(tmp_path / "out")
    first = tmp_path / "out" / "scenes" / "T0"
    deadline = time.monotonic() + 100
    while not list(first.glob("v*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    table = finished(start(tmp_path / "out", "--n_processes", "2"))
    assert "| all | truth | exact | start | 100 %" in table

    config = load_config(ROOT / "configs" / "dataset_config.json")
    methods = tuple(parse_method(name) for name in ("truth", "dlt"))
    settings = Settings(config, 0, 7, methods, simulated_noises(config, [1.0]))
    executor, folder = Executor(settings), ResultFolder(tmp_path / "out")
    empty = ResultFolder(tmp_path / "empty")
    counts = {task: executor.variations(task) for task in (0, 12)}
    jobs = [job for t, n in counts.items() for job in run.missing(settings, empty, t, n, 3)]
    assert len(jobs) == 6
    for job in jobs:
        assert executor.run(job) == folder.outcomes(job.key)
    executor.close()


def test_an_unknown_task_is_one_line(tmp_path):
    process = start(tmp_path / "out", "--tasks", "no_such_task")
    _, err = process.communicate(timeout=100)
    assert process.returncode == 2
    assert "task no_such_task: not available" in err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
