"""The example does a task by what its cameras see."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[4] / "examples" / "act_from_cameras.py"


def test_the_robot_acts_from_cameras(capsys):
    spec = importlib.util.spec_from_file_location(EXAMPLE.stem, EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.main(["--task", "reach_target"])
    out = capsys.readouterr().out
    assert "waypoint0: " in out
    assert out.endswith("success\n")
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 65


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (["--task", "no_task"], "task 'no_task' is not built in"),
        (["--lift_by", "truth"], "truth lifts nothing; choose one of dlt"),
        (["--seed", "-1"], "must be a whole number of at least 0"),
    ],
)
def test_a_wrong_argument_gets_one_line(wrong, line):
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), *wrong], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert line in done.stderr
    assert done.stderr.count("\n") == 1
