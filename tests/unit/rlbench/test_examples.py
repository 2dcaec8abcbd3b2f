"""The examples run with small arguments, and learn."""

import importlib.util
import os
import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[3] / "RLBench" / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_imitation_learning(capsys):
    rate = example("imitation_learning").main(n_demos=30, episodes=5)
    out = capsys.readouterr().out
    assert rate >= 0.4  # a policy that learned nothing reaches none
    assert f"success rate over 5 episodes: {rate:.2f}" in out
    assert float(re.search(r"loss ([0-9.]+) ", out)[1]) < 0.01


@pytest.mark.slow
def test_reinforcement_learning(capsys):
    before, after, _ = example("reinforcement_learning").main(3, population=10, episodes=1)
    assert after < before
    assert "iteration 3" in capsys.readouterr().out


def test_gymnasium_loop(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent), prepend=os.pathsep)
    arguments = ["--env", "rlbench/reach_target-state-v0", "--steps", "5"]
    assert example("gymnasium_loop").main(arguments) > 0


@pytest.mark.slow
def test_behaviour_cloning_succeeds():
    assert example("imitation_learning").main() > 0.7


@pytest.mark.slow
def test_cross_entropy_method_learns():
    learn = example("reinforcement_learning").main
    before, after, rate = learn(iterations=10, population=12, episodes=2)
    assert after < before / 4
    assert rate > 0.7
