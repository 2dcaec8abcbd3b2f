"""The command of a robot that acts, with real processes: killed, continued, the same numbers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

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


def scenes(out):
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in out.glob("scenes/*/*.json")}


def test_a_killed_run_goes_on_and_ends_the_same(tmp_path):
    killed = start(tmp_path / "killed")
    first = tmp_path / "killed" / "scenes" / "T0"
    deadline = time.monotonic() + 100
    while not list(first.glob("v*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    table = finished(start(tmp_path / "killed"))
    assert "| all | truth | exact | start |" in table
    assert finished(start(tmp_path / "whole", "--n_processes", "2")) == table
    assert scenes(tmp_path / "killed") == scenes(tmp_path / "whole")
    assert len(scenes(tmp_path / "whole")) == 6
    results = json.loads((tmp_path / "whole" / "results.json").read_text())
    assert results["T12"]["truth | exact | start"]["rate"] == 1.0


def test_an_unknown_task_is_one_line(tmp_path):
    process = start(tmp_path / "out", "--tasks", "no_such_task")
    _, err = process.communicate(timeout=100)
    assert process.returncode == 2
    assert "task no_such_task: not available" in err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
