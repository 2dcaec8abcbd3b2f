"""Processes forked after images were made: they say what to do, and do not hang."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyrep_mujoco.vision import rendering
from rlbench.backend.exceptions import RenderingError

PACKAGE = Path(__file__).resolve().parents[4] / "RLBench"
SECONDS = 60
"""A hang ends here; the slowest of the scripts takes 5 s."""

MAKE = """
import gc, os, signal, sys
from rlbench import CameraConfig, Environment, ObservationConfig
from rlbench.backend.exceptions import RenderingError

def task(images):
    camera = CameraConfig(image_size=(16, 16))
    config = ObservationConfig(front_camera=camera) if images else ObservationConfig()
    env = Environment(obs_config=config)
    env.launch()
    return env.get_task("reach_target")

def said(function):
    try:
        function()
    except RenderingError as error:
        print(f"refused: {error}", flush=True)

def forked(function):
    child = os.fork()
    if child == 0:
        signal.alarm(40)  # a child that hangs does not stay
        function()
        sys.stdout.flush()
        sys.exit(0)  # the interpreter ends as usual: what was inherited is let go
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.fixture(autouse=True)
def _gl():
    try:
        rendering.select_gl_backend()
    except RenderingError as error:
        pytest.skip(str(error))


def run(code):
    env = {k: v for k, v in os.environ.items() if not k.startswith("RLBENCH_")}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MAKE + code],
        env={**env, "PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_images_in_a_forked_process_are_one_line_that_says_spawn():
    lines = run("""
here = task(images=True)
before = here.reset()[1].front_rgb

def child():
    said(here.get_observation)
    said(lambda: here.render("front", (16, 16)))
    said(lambda: task(images=True))
    here.close()
    gc.collect()
    said(lambda: task(images=False).render("front", (16, 16)))

forked(child)
print("same images" if (here.get_observation().front_rgb == before).all() else "other images")
""")
    assert len(lines) == 5
    for line in lines[:4]:
        assert line.startswith("refused: process ")
        assert "spawn" in line
        assert len(line) < 500
    assert lines[4] == "same images"


def test_physics_planning_and_tracks_go_on_in_a_forked_process():
    lines = run("""
task(images=True).reset()
alone = task(images=False)
alone.seed(3)

def child():
    demo, = alone.get_demos(1)
    print(len(demo), demo[-1].joint_positions.tolist(), demo[5].keypoint_visibility.tolist())

forked(child)
child()
""")
    assert len(lines) == 2
    assert lines[0] == lines[1]


@pytest.mark.slow
def test_a_process_forked_before_the_first_image_makes_its_own():
    lines = run("""
def child():
    print(task(images=True).reset()[1].front_rgb.mean() > 0)

forked(child)
child()
forked(lambda: said(child))
""")
    assert lines[:2] == ["True", "True"]
    assert "spawn" in lines[2]


ASYNC = """
import gymnasium, rlbench.gym
if __name__ == "__main__":
    try:
        envs = gymnasium.make_vec("rlbench/reach_target-{mode}-v0", num_envs=2,
                                  vectorization_mode="async", {options})
        obs, _ = envs.reset(seed=0)
        obs, *_ = envs.step(envs.action_space.sample())
        print(sorted(k for k in obs if k.endswith("rgb")), obs["joint_positions"].shape)
        print({{v.shape for k, v in obs.items() if k.endswith("rgb")}})
        envs.close()
    except RenderingError as error:
        print(f"refused: {{error}}")
"""
VISION = ["front_rgb", "left_shoulder_rgb", "right_shoulder_rgb", "wrist_rgb"]
SPAWN = 'vector_kwargs={"context": "spawn"}, image_size=(8, 8)'


def test_vector_environments_that_fork_say_spawn_to_their_caller():
    # Not square: the spaces of forked and first environment must agree.
    lines = run(ASYNC.format(mode="vision", options="image_size=(8, 24)"))
    assert len(lines) == 1
    assert lines[0].startswith("refused: process ")
    assert "spawn" in lines[0]


def test_vector_environments_that_fork_step_without_images():
    lines = run(ASYNC.format(mode="state", options=""))
    assert lines == ["[] (2, 7)", "set()"]


@pytest.mark.slow
def test_vector_environments_that_spawn_make_images(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(MAKE + ASYNC.format(mode="vision", options=SPAWN), encoding="utf-8")
    lines = run(f"import subprocess\nsubprocess.run([sys.executable, {str(script)!r}], check=True)")
    assert lines == [f"{VISION} (2, 7)", "{(2, 8, 8, 3)}"]
