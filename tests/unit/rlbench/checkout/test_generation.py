"""Data sets and validations from a checkout of RLBench."""

import json
import os

import numpy as np
import pytest

from data_generation.RLBench import generate_data
from data_generation.RLBench.config import find_config, load_config
from data_generation.RLBench.generation import simulator
from rlbench.const import SUPPORTED_ROBOTS
from rlbench.tools import task_validator
from tests.unit.rlbench.checkout.checkout_files import BY_NAME, REACH, write_checkout, write_task

pytestmark = pytest.mark.usefixtures("own_settings")

CHECKOUT = os.environ.get("RLBENCH_ROOT", "")
needs_checkout = pytest.mark.skipif(
    not CHECKOUT, reason="RLBENCH_ROOT names no checkout of RLBench"
)


@pytest.fixture
def generate(tmp_path):
    def run(tasks, *flags, data="d", **more):
        config = tmp_path / "config.json"
        settings = {"train_task_ids": tasks, "cams": [], "n_ex_per_task": 1, **more}
        config.write_text(json.dumps(settings))
        path = tmp_path / data
        argv = ["--path_dataset", str(path), "--path_dataset_config", str(config), *flags]
        return generate_data.main(argv)

    run.record = lambda task, data="d": json.loads(
        (
            tmp_path / data / "train" / str(task) / "episodes" / "0" / "0" / "episode.json"
        ).read_text()
    )
    return run


@pytest.mark.slow
def test_episodes_say_where_their_task_comes_from(tmp_path, generate, capsys):
    root = write_checkout(tmp_path / "root")
    flags = ("--rlbench_root", str(root))
    assert generate(["reach_target", 8], *flags) == 0
    source = generate.record(0)["task_source"]
    assert source.startswith("rlbench:")
    assert generate.record(8)["task_source"] == "builtin"
    assert generate([0, 8], *flags) == 0  # nothing to do
    capsys.readouterr()
    assert generate([0]) == 2
    message = capsys.readouterr().err
    assert f"was made from the {source} version of the task, now it is the builtin" in message
    assert generate([0], *flags, "--tasks_from", "builtin") == 2
    assert generate([8], *flags, "--tasks_from", "rlbench", data="e") == 2
    assert "holds 8 (close_fridge), which this engine cannot run" in capsys.readouterr().err


@pytest.mark.slow
def test_a_misspelt_task_is_answered_with_near_names_only(tmp_path, generate, capsys):
    root = write_checkout(tmp_path / "root")
    for i in range(30):
        write_task(root, f"other_task_{i}", REACH, "reach_target")
    flags = ("--rlbench_root", str(root))
    assert generate(["pik_and_lift"], *flags) == 2
    error = capsys.readouterr().err
    assert "holds pik_and_lift, which this engine cannot run; it has 38, such as pick_and" in error
    assert error.count("task_") < 6
    assert error.endswith(f"looked for in {root} and RLBench/rlbench/tasks\n")
    assert generate(["pik_and_lift"], *flags, "--tasks_from", "rlbench") == 2
    assert f"looked for in {root} alone (--tasks_from rlbench)" in capsys.readouterr().err


@pytest.mark.slow
def test_broken_tasks_are_skipped_and_counted(tmp_path, generate, capsys, caplog):
    root = write_checkout(tmp_path / "root", ["pick_and_lift"])
    text = REACH.replace("colors[index]", "colors[index]['x']")
    write_task(root, "reach_target", text, "reach_target")
    text = REACH.replace("'target'", "'tarjet'").replace("ReachTarget", "CloseFridge")
    write_task(root, "close_fridge", text, "close_fridge")
    write_task(root, "open_box", REACH)
    assert generate([0, 8, 9, "open_box"], "--rlbench_root", str(root)) == 1
    out = capsys.readouterr()
    assert "1 of 2 episodes" in out.out
    assert "tasks that cannot run: 0 reach_target, 8 close_fridge, 10 open_box" in out.out
    text = caplog.text + out.err
    assert "reach_target.py:23: task reach_target, init_episode: TypeError" in text
    assert "close_fridge.py:16: task close_fridge, init_task:" in text
    assert "task 10 (open_box): " in text
    assert "open_box.ttm not found" in text
    assert generate.record(9)["task_source"].startswith("rlbench:")


@pytest.mark.slow
def test_a_task_file_that_exits_does_not_end_the_run(tmp_path, generate, capsys, caplog):
    root = write_checkout(tmp_path / "root", ["reach_target"])
    write_task(root, "open_box", "import sys\nsys.exit('bye')\n", "reach_target")
    assert generate(["open_box", 0], "--rlbench_root", str(root)) == 1
    assert "1 of 1 episodes" in capsys.readouterr().out
    assert "open_box.py:2: task open_box, loading it: SystemExit: bye" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--rlbench_root", "/no/such"], "rlbench_root=/no/such is no folder"),
        (["--tasks_from", "rlbench"], "no checkout is given"),
        (["--robot_setup", "ur5"], "robot_setup 'ur5' is RLBench's own; give rlbench_root"),
    ],
)
def test_a_wrong_root_is_one_line(generate, capsys, flags, message):
    assert generate([0], *flags) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_the_validator_goes_on_after_a_broken_task(tmp_path, capsys):
    root = write_checkout(tmp_path / "root", ["pick_and_lift"])
    text = REACH.replace("colors[index]", "colors[index]['x']")
    write_task(root, "reach_target", text, "reach_target")
    path = tmp_path / "r.json"
    argv = [
        "0",
        "pick_and_lift",
        "--episodes",
        "2",
        "--rlbench_root",
        str(root),
        "--json",
        str(path),
    ]
    assert task_validator.main(argv) == 1
    broken, good = json.loads(path.read_text())
    assert "reach_target.py:23" in broken["error"]
    assert (good["succeeded"], good["is_repeatable"], good["error"]) == (2, True, "")
    assert good["source"].startswith("rlbench:")
    out = capsys.readouterr().out
    assert "problem: reach_target: cannot run: " in out
    assert "| cannot run: " in out


@pytest.mark.slow
def test_the_validator_lists_what_a_checkout_has(tmp_path, capsys):
    root = write_checkout(tmp_path / "root")
    assert sorted(BY_NAME) == ["pick_and_lift", "reach_target"]
    argv = ["all", "--episodes", "1", "--rlbench_root", str(root), "--tasks_from", "rlbench"]
    task_validator.main([*argv, "--attempts", "1", "--keypoints", "robot", "--min_success", "0"])
    out = capsys.readouterr().out
    assert "| 0 | reach_target |" in out
    assert "| 9 | pick_and_lift |" in out
    assert task_validator.main(["8", *argv[1:]]) == 2
    assert "task 'close_fridge' is not available" in capsys.readouterr().err


def test_data_sets_keep_their_own_kind_of_images():
    config = load_config(find_config("dataset_config.json"))
    for camera in simulator.observation_config(config).cameras.values():
        assert camera.depth_in_meters
        assert (camera.image_size, camera.point_cloud) == ((256, 256), False)


def test_both_commands_offer_the_same_robots(tmp_path, capsys):
    parse = generate_data.build_parser().parse_args
    for name in SUPPORTED_ROBOTS:
        assert parse(["--path_dataset", "d", "--robot_setup", name]).robot_setup == name
    assert task_validator.main(["0", "--robot_setup", "ur5"]) == 2
    assert "robot_setup 'ur5' is RLBench's own" in capsys.readouterr().err
    root = write_checkout(tmp_path / "root")
    assert task_validator.main(["0", "--robot_setup", "ur5", "--rlbench_root", str(root)]) == 2
    error = capsys.readouterr().err
    assert f"robot_setup 'ur5' is not in {root}/rlbench/robot_ttms" in error
    assert error.count("\n") == 1


@needs_checkout
def test_another_robot_makes_a_data_set(tmp_path, generate, monkeypatch, capsys):
    monkeypatch.setenv("RLBENCH_CACHE", str(tmp_path / "cache"))
    flags = ("--rlbench_root", CHECKOUT, "--tasks_from", "builtin", "--robot_setup", "ur5")
    kinds = ["abs_joint_position", "delta_joint_position"]
    assert generate([0], *flags, registered_actions=kinds) == 0
    assert generate.record(0)["robot"] == "ur5"
    folder = tmp_path / "d" / "train" / "0" / "actions"
    goals, steps = (np.load(folder / kind / "0" / "0_actions.npy") for kind in kinds)
    assert goals.shape[1] == 7  # six joints, then the opening
    assert np.allclose(goals[:-1, :6] + steps[1:, :6], goals[1:, :6])
    assert np.array_equal(goals[:, 6], steps[:, 6])

    file = tmp_path / "r.json"
    argv = ["0", "--episodes", "1", "--not_every_variation", "--json", str(file), *flags]
    task_validator.main([*argv, "--min_success", "0"])
    (row,) = json.loads(file.read_text())
    assert (row["robot"], row["succeeded"]) == ("ur5", 1)
    hiders = {name for k in row["keypoints"].values() for name in k["hidden_by"]}
    assert hiders <= {"robot", "target", "distractor0", "distractor1"}
    capsys.readouterr()
    assert task_validator.main([*argv[:-2], "--resume"]) == 2
    assert "--robot_setup ur5, not 0, 3, panda" in capsys.readouterr().err
