import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_generation.RLBench.raw.store import RawStore
from tests.unit.data_generation import fake_source
from tests.unit.data_generation.generated import generate, report


def digests(data):
    kinds = ("traj_keypoints", "ee_state", "actions", "obs")
    return {
        str(p.relative_to(data)): hashlib.sha256(p.read_bytes()).hexdigest()
        for kind in kinds
        for p in sorted(data.glob(f"*/*/{kind}/**/*"))
        if p.is_file()
    }


def test_generate_and_resume(tmp_path, write_config, capsys):
    data, config = tmp_path / "d", write_config(train_task_ids=[0, 1])
    assert generate(data, config) == 0
    first = report(data)
    assert (first["done"], first["made_now"], first["failures"]) == (8, 8, {"no_path": 2})
    assert first["attempts"] == 10
    assert first["frames"] > 0
    assert first["missing"] == []
    store = RawStore(data)
    assert [(k.variation, k.example) for k in store.episodes(0)] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    before = digests(data)
    store.remove(store.episodes(1)[2])
    assert generate(data, config) == 0
    assert report(data)["made_now"] == 1
    assert digests(data) == before
    assert "8 of 8 episodes" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("engines", [("mujoco", "coppeliasim"), ("coppeliasim", "mujoco")])
def test_engines_are_not_mixed(tmp_path, write_config, capsys, engines):
    data, config = tmp_path / "d", write_config(train_task_ids=[0])
    first, second = (("--engine", engine) for engine in engines)
    assert generate(data, config, *first) == 0
    assert generate(data, config, *first) == 0
    before = digests(data)
    assert generate(data, config, *second) == 2
    assert f"made with engine {engines[0]}, now it is {engines[1]}" in capsys.readouterr().err
    assert digests(data) == before


def test_robots_are_not_mixed(tmp_path, write_config, capsys):
    data, config = tmp_path / "d", write_config(train_task_ids=[0])
    assert generate(data, config, "--robot_setup", "ur5") == 0
    assert generate(data, config, "--robot_setup", "ur5") == 0
    assert generate(data, config) == 2
    assert "made with robot_setup ur5, now it is panda" in capsys.readouterr().err


def test_result_does_not_depend_on_the_number_of_workers(tmp_path, write_config):
    config = write_config(train_task_ids=[0, 1])
    for n in (1, 3):
        assert generate(tmp_path / str(n), config, "--n_processes", str(n)) == 0
    assert digests(tmp_path / "1") == digests(tmp_path / "3")


def test_test_episodes_are_not_training_episodes(tmp_path, write_config):
    config = write_config()
    assert generate(tmp_path / "d", config) == 0
    assert generate(tmp_path / "d", config, "--mode", "test") == 0
    files = digests(tmp_path / "d")
    train = {v for k, v in files.items() if k.startswith("train") and "ee_state" in k}
    test = {v for k, v in files.items() if k.startswith("test") and "ee_state" in k}
    assert len(train) == len(test) == 4
    assert not train & test


def test_what_always_fails_is_reported_and_exits_1(tmp_path, write_config, capsys):
    data, config = tmp_path / "d", write_config(train_task_ids=[2, 0])
    assert generate(data, config, "--max_traj_trials_bef_skip", "3") == 1
    result = report(data)
    assert result["done"] == 4
    assert result["failures"] == {"no_path": 12}
    assert result["tasks"]["2"] == {
        "requested": 4,
        "done": 0,
        "attempts": 12,
        "failures": {"no_path": 12},
    }
    assert "missing: task 2 variation 0 example 0 (task_2)" in capsys.readouterr().out


def test_skip_task(tmp_path, write_config):
    data, config = tmp_path / "d", write_config(train_task_ids=[2, 0], n_ex_per_task=40, cams=[])
    assert (
        generate(data, config, "--skip_task_on_multi_fails", "--max_traj_trials_bef_skip", "1") == 1
    )
    result = report(data)
    assert result["tasks"]["2"]["attempts"] < 40
    assert result["tasks"]["0"]["done"] == 40


@pytest.mark.slow
def test_damaged_episode_is_named_skipped_and_remade_on_demand(
    tmp_path, write_config, capsys, caplog
):
    data, config = tmp_path / "d", write_config()
    assert generate(data, config) == 0
    store = RawStore(data)
    key = store.episodes(0)[1]
    path = store.image_path(key, "left", "rgb", 0)
    whole = path.read_bytes()
    path.write_bytes(whole[:10])
    assert generate(data, config) == 1
    assert any("variation 1 example 0 is damaged: obs/left" in m for m in caplog.messages)
    assert report(data)["damaged"] == [str(key)]
    assert path.read_bytes() == whole[:10]
    assert generate(data, config, "--overwrite") == 0
    assert path.read_bytes() == whole


def test_too_long_demo_is_a_failed_attempt(tmp_path, write_config):
    assert (
        generate(tmp_path / "d", write_config(max_seq_len=2), "--max_traj_trials_bef_skip", "1")
        == 1
    )
    assert report(tmp_path / "d")["failures"] == {"longer than max_seq_len 2": 4}


def test_star_means_all_available(tmp_path, write_config):
    assert (
        generate(
            tmp_path / "d",
            write_config(train_task_ids=["*"], cams=[]),
            "--max_traj_trials_bef_skip",
            "2",
        )
        == 1
    )
    assert set(report(tmp_path / "d")["tasks"]) == {"0", "1", "2"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "flags", "message"),
    [
        (
            {"train_task_ids": [7]},
            (),
            "holds 7; ids go from 0 to 3 (tasks_ids.txt), of which 3 run here",
        ),
        (
            {"train_task_ids": [3]},
            (),
            (
                "3 (task_3), which this engine cannot run; it has task_0, task_1, task_2; looked"
                " for in RLBench"
            ),
        ),
        (
            {"train_task_ids": ["x"]},
            ("--tasks_from", "builtin"),
            "x, which this engine cannot run; it has task_0",
        ),
        ({"train_task_ids": ...}, (), "train_task_ids is missing or empty"),
        ({"test_task_ids": []}, ("--mode", "test"), "test_task_ids is missing or empty"),
        ({"cams": ["lefd"]}, (), "unknown camera 'lefd'"),
        ({"camz": []}, (), "did you mean 'cams'"),
    ],
)
def test_user_errors_are_one_line_exit_2_and_write_nothing(
    tmp_path, write_config, capsys, changes, flags, message
):
    assert generate(tmp_path / "d", write_config(**changes), *flags) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / "d").exists()


def test_foreign_folder(tmp_path, write_config, capsys):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine.txt").write_text("x")
    assert generate(tmp_path / "d", write_config()) == 2
    assert "not empty and not a data set" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    "flags",
    [
        ("--n_processes", "0"),
        ("--seed", "-1"),
        ("--mode", "x"),
        ("--nonsense",),
        ("--engine", "y"),
        ("--robot_setup", "hal"),
        ("--skip_task_on_multi_fails", "perhaps"),
    ],
)
def test_bad_flags(tmp_path, write_config, capsys, flags):
    with pytest.raises(SystemExit) as stop:
        generate(tmp_path / "d", write_config(), *flags)
    assert stop.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def living_members(group):
    """List the processes of a group that are not zombies."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, member_of = stat.read_text().rpartition(")")[2].split()[:3]
            if int(member_of) == group and state != "Z":
                members.append(stat.parent.name)
    return members


@pytest.mark.slow
def test_kill_minus_9_and_rerun(tmp_path, write_config):
    data, config = tmp_path / "d", write_config(n_ex_per_task=12)
    (tmp_path / "run.py").write_text(fake_source.PROGRAM)
    command = [
        sys.executable,
        tmp_path / "run.py",
        "--path_dataset",
        data,
        "--path_dataset_config",
        config,
        "--n_processes",
        "2",
    ]
    process = subprocess.Popen(
        command,
        env={**os.environ, "FAKE_HOLD": "4"},  # of about 6 each
        start_new_session=True,
    )
    store = RawStore(data)
    deadline = time.monotonic() + 120
    while len(store.episodes(0)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 60
    while living_members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not living_members(process.pid), "the workers must end with their parent"
    survived = len(store.episodes(0))
    assert 3 <= survived < 12
    assert generate(data, config) == 0
    assert report(data)["already_there"] == survived
    assert generate(tmp_path / "whole", config) == 0
    assert digests(data) == digests(tmp_path / "whole")
