"""Tasks as gymnasium environments."""

import os
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import rlbench.gym
from pyrep_mujoco.vision.rendering import Renderer
from rlbench.action_modes.action_mode import MoveArmThenGripper
from rlbench.action_modes.arm_action_modes import EndEffectorPoseViaIK
from rlbench.action_modes.gripper_action_modes import Discrete
from rlbench.backend.exceptions import (
    RenderingError,
    TaskEnvironmentError,
    TaskNotAvailableError,
)
from rlbench.registration import env_id
from rlbench.tasks import AVAILABLE
from tests.unit.rlbench.checkout.checkout_files import REACH, write_checkout, write_task

STATE = "rlbench/reach_target-state-v0"
PACKAGE = Path(rlbench.gym.__file__).parents[1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("task", AVAILABLE)
def test_state_environments_pass_the_checker(task):
    env = gymnasium.make(env_id(task, "state"))
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_vision_passes_the_checker_and_shows_four_cameras(needs_gl):
    env = gymnasium.make("rlbench/pick_and_lift-vision-v0", image_size=(48, 32))
    check_env(env.unwrapped, skip_render_check=True)
    obs, _ = env.reset(seed=0)
    images = {key: value for key, value in obs.items() if key.endswith("_rgb")}
    assert sorted(images) == ["front_rgb", "left_shoulder_rgb", "right_shoulder_rgb", "wrist_rgb"]
    assert all(image.shape == (32, 48, 3) and image.std() > 5 for image in images.values())
    env.close()


def test_every_task_is_registered():
    for task in AVAILABLE:
        for mode in ("state", "vision"):
            assert gymnasium.spec(env_id(task, mode)).max_episode_steps == 500


def test_seed_gives_the_sequence_of_episodes():
    env = gymnasium.make(STATE)

    def targets(seed):
        first, _ = env.reset(seed=seed)
        second, _ = env.reset()
        return np.array([first["task_low_dim_state"], second["task_low_dim_state"]])

    assert np.array_equal(targets(1), targets(1))
    assert not np.array_equal(targets(1), targets(2))
    assert not np.array_equal(*targets(1))
    env.close()


def test_options_of_reset():
    env = gymnasium.make(STATE)
    _, info = env.reset(seed=0, options={"variation": 5})
    assert info["variation"] == 5
    _, info = env.reset()
    assert info["variation"] == 5
    seen = {env.reset(options={"variation": "random"})[1]["variation"] for _ in range(10)}
    assert len(seen) > 3
    demo = env.unwrapped.rlbench_task_env.get_demos(1)[0]
    obs, info = env.reset(options={"reset_to_demo": demo})
    assert np.allclose(obs["task_low_dim_state"], demo[0].task_low_dim_state)
    assert info["text_descriptions"] == demo.descriptions
    with pytest.raises(TaskEnvironmentError, match="options \\['varation'\\] are unknown"):
        env.reset(options={"varation": 1})
    env.close()


def test_success_terminates_and_the_time_limit_truncates():
    mode = MoveArmThenGripper(EndEffectorPoseViaIK(), Discrete())
    env = gymnasium.make(STATE, action_mode=mode, max_episode_steps=2)
    obs, _ = env.reset(seed=0)
    stay = np.append(obs["gripper_pose"], 1.0)
    assert env.step(stay)[1:4] == (0.0, False, False)
    assert env.step(stay)[1:4] == (0.0, False, True)
    obs, _ = env.reset(seed=0)
    goal = [*obs["task_low_dim_state"], *obs["gripper_pose"][3:], 1.0]
    _, reward, terminated, truncated, info = env.step(np.array(goal))
    assert (reward, terminated, truncated, info["success"]) == (1.0, True, False, True)
    env.close()


def test_shaped_rewards():
    env = gymnasium.make(STATE, shaped_rewards=True)
    env.reset(seed=0)
    obs, reward, *_ = env.step(np.zeros(8, np.float32))
    gap = np.linalg.norm(obs["task_low_dim_state"] - obs["gripper_pose"][:3])
    assert reward == pytest.approx(-gap, abs=1e-6)
    env.close()


def test_rgb_array_shows_the_scene_and_close_frees_it(needs_gl, monkeypatch):
    closed, close = [], Renderer.close
    monkeypatch.setattr(Renderer, "close", lambda self: closed.append(self) or close(self))
    env = gymnasium.make(STATE, render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    assert before.shape == (360, 640, 3)
    assert before.dtype == np.uint8
    for _ in range(5):
        env.step(np.array([0.1] * 7 + [0.04], np.float32))
    assert (env.render() != before).any(axis=2).mean() > 0.005
    assert not closed
    env.close()
    assert len(closed) == 1
    env.close()
    assert len(closed) == 1


def test_human_mode_says_that_there_is_no_display(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(RenderingError, match="needs a display .* use 'rgb_array'"):
        gymnasium.make(STATE, render_mode="human")
    with pytest.raises(TaskEnvironmentError, match="observation_mode 'pixels' is unknown"):
        gymnasium.make(STATE, observation_mode="pixels")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_vector_environments_agree(kind, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE), prepend=os.pathsep)
    options = {"vector_kwargs": {"context": "spawn"}} if kind == "async" else {}
    envs = gymnasium.make_vec(STATE, num_envs=2, vectorization_mode=kind, **options)
    obs, _ = envs.reset(seed=[3, 4])
    single = gymnasium.make(STATE)
    alone, _ = single.reset(seed=4)
    action = np.full((2, 8), 0.03, np.float32)
    after, rewards, *_ = envs.step(action)
    alone_after, *_ = single.step(action[1])
    for key, value in alone.items():
        assert np.array_equal(obs[key][1], value)
        assert np.array_equal(after[key][1], alone_after[key])
    assert rewards.tolist() == [0.0, 0.0]
    envs.close()
    single.close()


def python(code, **settings):
    """Run code in a new process, without a checkout of RLBench unless `settings` name one."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("RLBENCH_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**env, "PYTHONPATH": str(PACKAGE), **settings},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "imports",
    [
        "import gymnasium, rlbench",
        "import rlbench, gymnasium",
        "import rlbench; import gymnasium.envs",
        (
            "import rlbench; from rlbench import ObservationConfig; import gymnasium as gym; import"
            " gymnasium"
        ),
        (
            "import rlbench; from importlib.util import find_spec; find_spec('gymnasium'); import"
            " gymnasium"
        ),
        "import rlbench.gym, gymnasium",
    ],
)
def test_importing_rlbench_before_or_after_gymnasium_registers(imports):
    code = f"{imports}; print(gymnasium.spec('{STATE}').entry_point)"
    assert python(code).stdout.strip() == "rlbench.gym:RLBenchEnv"


def test_imports_of_both_load_no_simulator():
    code = "import rlbench, sys; print('gymnasium' in sys.modules); import gymnasium; "
    run = python(code + "print('mujoco' in sys.modules)")
    assert run.stdout.split() == ["False", "False"]


def test_rlbench_does_without_gymnasium():
    code = "import rlbench, sys; sys.path[:] = []; import gymnasium"
    with pytest.raises(subprocess.CalledProcessError) as error:
        python(code)
    assert "No module named 'gymnasium'" in error.value.stderr


def test_tasks_of_a_checkout_are_environments(tmp_path):
    root = write_checkout(tmp_path)
    write_task(root, "touch_it", REACH.replace("ReachTarget", "TouchIt"), "reach_target")
    scene = root / "rlbench" / "task_ttms" / "touch_it.xml"
    scene.write_text(scene.read_text().replace('"reach_target"', '"touch_it"'))
    code = """
import gymnasium, rlbench
gymnasium.spec("rlbench/close_fridge-vision-v0")
env = gymnasium.make("rlbench/touch_it-state-v0")
print(env.reset(seed=0)[1]["text_descriptions"][0])
"""
    assert "touch the" in python(code, RLBENCH_ROOT=str(root)).stdout


def test_a_checkout_can_be_an_argument(tmp_path, monkeypatch):
    monkeypatch.delenv("RLBENCH_ROOT", raising=False)
    root = write_checkout(tmp_path)
    for source, n_descriptions in (("auto", 1), ("builtin", 3)):
        env = gymnasium.make(STATE, rlbench_root=root, tasks_from=source)
        assert len(env.reset(seed=0)[1]["text_descriptions"]) == n_descriptions
        env.close()
    with pytest.raises(TaskNotAvailableError, match="tasks_from='mine' is unknown"):
        gymnasium.make(STATE, tasks_from="mine")


def test_a_wrong_checkout_is_a_warning(tmp_path):
    code = f"import gymnasium, rlbench; gymnasium.spec('{STATE}')"
    run = python(code, RLBENCH_ROOT=str(tmp_path / "none"))
    assert "gymnasium gets the built-in tasks only: RLBENCH_ROOT=" in run.stderr
