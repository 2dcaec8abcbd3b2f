"""The examples run with small arguments, and learn with the usual ones."""

import importlib.util
import os
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[3] / "RLBench" / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_imitation_learning(capsys):
    assert 0.0 <= example("imitation_learning").main(["--demos", "5", "--episodes", "2"]) <= 1.0
    out = capsys.readouterr().out
    assert "loss" in out
    assert "success rate over 2 episodes" in out


def test_reinforcement_learning(capsys):
    arguments = ["--iterations", "2", "--population", "6", "--episodes", "1"]
    example("reinforcement_learning").main(arguments)
    assert "iteration 2" in capsys.readouterr().out


def test_gymnasium_loop(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent), prepend=os.pathsep)
    arguments = ["--env", "rlbench/reach_target-state-v0", "--steps", "5"]
    assert example("gymnasium_loop").main(arguments) > 0


@pytest.mark.slow
def test_behaviour_cloning_succeeds():
    assert example("imitation_learning").main([]) > 0.7


@pytest.mark.slow
def test_cross_entropy_method_learns():
    before, after, rate = example("reinforcement_learning").main([])
    assert after < before / 4
    assert rate > 0.7
