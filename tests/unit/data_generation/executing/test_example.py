"""The example does a task by what its cameras see."""

import importlib.util
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[4] / "examples" / "act_from_cameras.py"


def test_the_robot_acts_from_cameras(capsys):
    spec = importlib.util.spec_from_file_location(EXAMPLE.stem, EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.main(["--task", "reach_target"])
    out = capsys.readouterr().out
    assert "waypoint0: " in out
    assert out.endswith("success\n")
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 60
