"""Several processes make one data set, each its part."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from data_generation.RLBench.errors import ConfigError
from data_generation.RLBench.generation import shards, versions
from data_generation.RLBench.generation.episode_plan import Shard, TaskPlan, owner, part_of
from data_generation.RLBench.generation.shards import read_shard
from data_generation.RLBench.raw.store import RawStore
from tests.unit.data_generation import fake_source
from tests.unit.data_generation.generated import files, generate, report

PLAN = {0: TaskPlan(0, 2, 7), 5: TaskPlan(5, 1, 1), 9: TaskPlan(9, 3, 12)}
FLAGS = ("--n_processes", "1")


@pytest.mark.parametrize("number", [1, 2, 3, 8, 40])
def test_shards_share_the_plan_out(number):
    everything = [key for keys in PLAN.values() for key in keys]
    parts = [part_of(PLAN, Shard(i, number)) for i in range(number)]
    shared = [[key for keys in part.values() for key in keys] for part in parts]
    assert sorted(key for keys in shared for key in keys) == sorted(everything)
    sizes = [len(part) for part in shared]
    assert max(sizes) - min(sizes) <= 1
    for i, (part, keys) in enumerate(zip(parts, shared, strict=True)):
        assert sizes[i] == sum(len(p) for p in part.values())
        assert all(key in part[key.task_id] and owner(PLAN, key, number) == i for key in keys)
        assert not any(key in part[key.task_id] for key in set(everything) - set(keys))
        assert all(p.whole() == PLAN[t] for t, p in part.items())


@pytest.mark.parametrize(
    ("array", "place"),
    [
        ({"ID": "0", "COUNT": "4"}, Shard(0, 4)),
        ({"ID": "4", "COUNT": "4", "MIN": "1", "MAX": "4"}, Shard(3, 4)),
        ({"ID": "30", "COUNT": "4", "MIN": "0", "STEP": "10"}, Shard(3, 4)),
    ],
)
def test_the_place_in_a_slurm_array(array, place):
    environment = {f"SLURM_ARRAY_TASK_{name}": value for name, value in array.items()}
    assert read_shard("auto", environment) == place
    assert read_shard("1/3", environment) == Shard(1, 3)


@pytest.mark.parametrize(
    ("text", "array", "message"),
    [
        ("auto", {}, "SLURM_ARRAY_TASK_ID is not set; start it with sbatch --array"),
        ("auto", {"ID": "3"}, "SLURM_ARRAY_TASK_COUNT is not set"),
        ("auto", {"ID": "x", "COUNT": "4"}, "SLURM_ARRAY_TASK_ID is 'x'"),
        ("auto", {"ID": "7", "COUNT": "2", "STEP": "1"}, "ID 7 is none of 2 from 0 in steps of 1"),
        ("4/4", {}, "the first of N shards is 0/N, the last one N-1/N"),
        ("1/0", {}, "the first of N shards is 0/N"),
        ("one", {}, "'one': it must be I/N, such as 0/4"),
    ],
)
def test_wrong_shards_are_refused(text, array, message):
    environment = {f"SLURM_ARRAY_TASK_{name}": value for name, value in array.items()}
    with pytest.raises(ConfigError, match=message):
        read_shard(text, environment)


@pytest.mark.slow
def test_shards_make_what_one_process_makes(tmp_path, write_config, capsys):
    config = write_config(train_task_ids=[0, 1])
    assert generate(tmp_path / "one", config) == 0
    data = tmp_path / "d"
    for i in (2, 0):
        assert generate(data, config, "--shard", f"{i}/3") == 0
    said = capsys.readouterr()
    assert "shard 2/3: 2 of 2 episodes" in said.out
    assert not (data / "report.json").exists()
    assert generate(data, config, "--finish") == 1  # one has not run
    out = capsys.readouterr().out
    assert "5 of 8 episodes" in out
    assert "missing: task 0 variation 1 example 0 (task_0)" in out
    assert "shards to run again: 1/3" in out
    assert generate(data, config, "--shard", "1/3") == 0
    assert generate(data, config, "--finish") == 0
    assert "8 of 8 episodes" in capsys.readouterr().out
    assert files(data) == files(tmp_path / "one")
    ours, theirs = report(data), report(tmp_path / "one")
    for key in ("done", "made_now", "attempts", "failures", "frames", "frames_made_now", "tasks"):
        assert ours[key] == theirs[key], key
    assert ours["n_processes"] == 3


def test_a_report_of_what_was_never_made(tmp_path, write_config, capsys):
    assert generate(tmp_path / "d", write_config(), "--finish") == 2
    assert "is not a data set" in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ("--shard", "0/2", "--finish"),
        ("--shard", "0/2", "--overwrite"),
        ("--finish", "--overwrite"),
    ],
)
def test_flags_that_do_not_go_together(tmp_path, write_config, capsys, flags):
    assert generate(tmp_path / "d", write_config(), *flags) == 2
    assert flags[-1] in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("config", "flags", "message"),
    [
        ({}, ("--shard", "1/3"), "were begun with shards 2, now it is 3"),
        ({"n_ex_per_task": 6}, (), "were begun with episodes of task 0 4, now it is 6"),
        ({"train_task_ids": [0, 1]}, (), "were begun with variations of task 1 none, now it is 2"),
        ({"obs_dim": [16, 16, 3]}, (), "was made with obs_dim"),
        ({}, ("--seed", "5"), "was made with seed 0, now it is 5"),
        ({}, ("--max_traj_trials_bef_skip", "3"), "were begun with attempts 10, now it is 3"),
    ],
)
def test_shards_that_differ_are_refused(tmp_path, write_config, capsys, config, flags, message):
    data = tmp_path / "d"
    assert generate(data, write_config(), "--shard", "0/2") == 0
    before = files(data)
    capsys.readouterr()
    assert generate(data, write_config(**config), *("--shard", "1/2"), *flags) == 2
    line = capsys.readouterr().err.strip()
    assert message in line
    assert "\n" not in line
    assert len(line) < 500
    assert files(data) == before


def test_other_versions_are_refused(tmp_path, write_config, capsys, monkeypatch):
    data, config = tmp_path / "d", write_config()
    assert generate(data, config, "--shard", "0/2") == 0
    now = {**versions.versions(), "mujoco": "2.0"}
    monkeypatch.setattr(shards, "versions", lambda: now)
    assert generate(data, config, "--shard", "1/2") == 2
    assert "version of mujoco" in capsys.readouterr().err
    assert generate(data, config, "--finish") == 1  # makes nothing, so versions do not matter


@pytest.mark.slow
def test_who_must_be_alone_waits_for_shards(tmp_path, write_config, capsys, monkeypatch):
    """A lone run and a report are refused while a shard works, and so is its twin."""
    data, config = tmp_path / "d", write_config()
    assert generate(data, config, "--shard", "0/2") == 0
    store = RawStore(data)
    store.join(0, store.marker()["settings"])
    for flags in ((), ("--finish",), ("--overwrite",)):
        assert generate(data, config, *flags) == 2
        assert "another generation is writing here" in capsys.readouterr().err
    held = shards.ShardSet(store, {}, 10, {})
    held._hold(Shard(1, 2))
    assert generate(data, config, "--shard", "1/2") == 2
    assert "another process is making shard 1/2" in capsys.readouterr().err
    held.close()
    assert generate(data, config, "--shard", "1/2") == 0
    store.close()
    lone = RawStore(data)
    lone.create(0, lone.marker()["settings"])
    monkeypatch.setattr("data_generation.RLBench.raw.folder.PATIENCE_S", 0.1)
    assert generate(data, config, "--shard", "0/2") == 2
    assert "another generation is writing here" in capsys.readouterr().err
    lone.close()


def test_a_shard_leaves_what_others_are_writing(tmp_path, write_config):
    data, config = tmp_path / "d", write_config()
    assert generate(data, config, "--shard", "0/2") == 0
    store = RawStore(data)
    theirs, own = store.task_dir(0) / ".staging/1_0", store.task_dir(0) / ".staging/0_1"
    for folder in (theirs, own):
        folder.mkdir(parents=True)
    assert generate(data, config, "--shard", "0/2") == 0
    assert theirs.exists()
    assert not own.exists()


def test_many_make_the_folder_at_once(tmp_path, write_config):
    """Of several with different seeds, one makes the folder and the others are refused."""
    results = {}

    def begin(seed):
        store = RawStore(tmp_path / "d")
        try:
            store.join(seed, {})
            results[seed] = "in"
        except Exception as error:  # noqa: BLE001 - asserted below
            results[seed] = str(error)

    threads = [threading.Thread(target=begin, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = (seed for seed, result in results.items() if result == "in")
    assert json.loads((tmp_path / "d/dataset.json").read_text())["seed"] == winner
    assert all(f"made with seed {winner}" in r for s, r in results.items() if s != winner)


@pytest.mark.slow
def test_four_at_once_and_kills(tmp_path, write_config):
    config = write_config(train_task_ids=[0, 1], n_ex_per_task=14)
    (tmp_path / "run.py").write_text(fake_source.PROGRAM)
    data = tmp_path / "d"

    def start(i, **environment):
        command = [sys.executable, tmp_path / "run.py", "--path_dataset", data, *FLAGS]
        return subprocess.Popen(
            [*command, "--path_dataset_config", config, "--shard", f"{i}/4"],
            env={**os.environ, **environment},
            start_new_session=True,
        )

    slow, killed = {"FAKE_DELAY": "0.1"}, {"FAKE_HOLD": "4"}  # of 7 episodes
    running = {i: start(i, **slow, **(killed if i in (1, 3) else {})) for i in range(4)}
    store, deadline = RawStore(data), time.monotonic() + 120
    while len(store.episodes(0)) < 6 and time.monotonic() < deadline:
        time.sleep(0.02)
    for i in (1, 3):
        os.killpg(running[i].pid, signal.SIGKILL)
    assert [running[i].wait(200) for i in (0, 2)] == [0, 0]
    made = len(store.episodes(0)) + len(store.episodes(1))
    assert 14 <= made <= 14 + 2 * 4
    assert generate(data, config, "--finish") == 1
    assert report(data)["n_missing"] == 28 - made
    again = [start(i) for i in (1, 3)]
    assert [process.wait(200) for process in again] == [0, 0]
    assert len(store.episodes(0)) + len(store.episodes(1)) == 28
    assert generate(data, config, "--finish") == 0
    assert generate(tmp_path / "one", config) == 0
    assert files(data) == files(tmp_path / "one")
