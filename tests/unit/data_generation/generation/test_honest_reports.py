"""What a run says it made is what lies on the disk."""

import logging
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from data_generation.RLBench import convert_data
from data_generation.RLBench.config import DatasetConfig
from data_generation.RLBench.errors import StoreLostError
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.store import RawStore
from tests.unit.data_generation import fake_source
from tests.unit.data_generation.fake_source import make_episode
from tests.unit.data_generation.generated import generate, report

ROOT = Path(__file__).parents[4]


class During(threading.Thread):
    """Does something to a data set once it has some episodes; `done` is set after it."""

    def __init__(self, data, action, episodes=4):
        super().__init__(daemon=True)
        self.done = threading.Event()
        self._data, self._action, self._episodes = data, action, episodes
        self.start()

    def run(self):
        deadline = time.monotonic() + 120
        while len(list(self._data.glob("train/0/episodes/*/*/episode.json"))) < self._episodes:
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)
        self._action(self._data)
        self.done.set()


def rename(data):
    data.rename(data.with_name("elsewhere"))


def replace(data):
    rename(data)
    data.mkdir()


def empty(data):
    for path in list(data.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            delete(path)
        elif not path.name.startswith("."):
            path.unlink(missing_ok=True)


def delete(data):
    while data.exists():  # again where the run removed or wrote something at the same time
        shutil.rmtree(data, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.parametrize("action", [delete, rename, replace, empty])
def test_a_data_set_that_goes_away_during_the_run(
    tmp_path, write_config, capsys, monkeypatch, action
):
    monkeypatch.setenv("FAKE_DELAY", "0.05")
    # More than it comes to make: it ends when the data set goes.
    data, config = tmp_path / "d", write_config(n_ex_per_task=1000, cams=[])
    thread = During(data, action)
    assert generate(data, config) == 2
    thread.join()
    said = capsys.readouterr()
    lines = said.err.strip().splitlines()
    assert len(lines) == 1
    assert (
        f"{data} was deleted, renamed, emptied or replaced while this run wrote there" in lines[0]
    )
    assert "episodes in" not in said.out
    left = (
        [p for p in data.rglob("*") if p.is_file() and not p.name.startswith(".")]
        if data.exists()
        else []
    )
    assert not left
    assert data.exists() == (action in (replace, empty))
    if action is rename:  # nothing of it is lost
        store = RawStore(tmp_path / "elsewhere")
        for key in store.episodes(0):
            store.check(key)
        assert len(store.episodes(0)) >= 4


def lose_episodes(data):
    for path in sorted(data.glob("train/0/episodes/*/*"))[:3]:
        shutil.rmtree(path)


def lose_images(data):
    shutil.rmtree(data / "train/0/obs/left/0")


def lose_train(data):
    (data / "train").rename(data / "old")


@pytest.mark.slow
@pytest.mark.parametrize("action", [lose_episodes, lose_images, lose_train])
def test_the_summary_counts_what_is_on_disk(
    tmp_path, write_config, capsys, caplog, monkeypatch, action
):
    data, config = tmp_path / "d", write_config(n_ex_per_task=20)
    thread = During(data, action)
    attempt = fake_source.FakeSource.attempt

    def some_come_later(source, *args):
        if source.attempts == 15:
            assert thread.done.wait(120)
        return attempt(source, *args)

    monkeypatch.setattr(fake_source.FakeSource, "attempt", some_come_later)
    assert generate(data, config) == 1
    thread.join()
    store = RawStore(data)
    whole = [k for k in store.episodes(0) if store.frames_if_whole(k) is not None]
    assert 0 < len(whole) < 20
    result = report(data)
    assert (result["done"], result["tasks"]["0"]["done"], result["n_missing"]) == (
        len(whole),
        len(whole),
        20 - len(whole),
    )
    assert len(result["missing"]) == 20 - len(whole)
    assert f"{len(whole)} of 20 episodes" in capsys.readouterr().out
    assert any(
        f"{20 - len(whole)} episodes that were there are gone or damaged" in m
        for m in caplog.messages
    )


def test_a_store_that_is_not_its_own_writes_nothing(tmp_path):
    store, key = RawStore(tmp_path / "d"), EpisodeKey(0, 0, 0)
    store.create(0, {})
    other = RawStore(tmp_path / "d")  # as a worker has it
    other.folder.identity = store.folder.identity
    config = DatasetConfig("x", obs_dim=(12, 16, 3), cams=(), track_cams=("left",))
    other.write(key, make_episode(key, config))
    rename(store.root)
    with pytest.raises(StoreLostError, match="deleted, renamed"):
        other.write(key, make_episode(key, config))
    assert not store.root.exists()
    store.close()


def test_too_few_examples_are_said_before_the_work(tmp_path, write_config, caplog, capsys):
    caplog.set_level(logging.INFO)
    data, config = (
        tmp_path / "d",
        write_config(train_task_ids=[0, 1], n_ex_per_task=2, n_variation_per_task=1),
    )
    assert generate(data, config) == 0
    assert [
        m
        for m in caplog.messages
        if "2 example(s) are asked for; the conversion needs at least 3" in m
    ] == [m for m in caplog.messages if m.startswith("task ")]
    assert len([m for m in caplog.messages if m.startswith("task ")]) == 2
    argv = [
        "--path_dataset",
        str(data),
        "--path_dataset_config",
        config,
        "--output",
        str(tmp_path / "x.npz"),
    ]
    capsys.readouterr()
    assert convert_data.main(argv) == 2
    assert "task 0 has 2 train episode(s); at least 3 are needed" in capsys.readouterr().err
    caplog.clear()
    enough = write_config(
        train_task_ids=[0, 1], n_ex_per_task=None, n_ex_per_variation=2, n_variation_per_task=2
    )
    assert generate(data, enough) == 0
    assert not [m for m in caplog.messages if "asked for" in m]


COUNTS = {
    "n_ex_per_task": {"n_ex_per_task": 100_000_000},
    "n_ex_per_variation": {
        "n_ex_per_task": None,
        "n_ex_per_variation": 10**9,
        "n_variation_per_task": 10**9,
    },
}


@pytest.mark.parametrize("changes", COUNTS.values(), ids=COUNTS)
def test_a_hundred_million_episodes_take_no_memory(tmp_path, write_config, changes):
    """The task always fails: given up after one episode, all others are counted and reported."""
    data, config = tmp_path / "d", write_config(train_task_ids=[2], cams=[], **changes)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    flags = ("--skip_task_on_multi_fails", "--max_traj_trials_bef_skip", "1")
    assert generate(data, config, *flags) == 1
    assert time.monotonic() - started < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 << 10
    result = report(data)
    assert result["n_missing"] == result["requested"] >= 100_000_000
    assert len(result["missing"]) == 1000
    assert (data / "report.json").stat().st_size < 1 << 20


def test_a_run_of_a_hundred_million_begins_at_once(tmp_path, write_config):
    data, config = tmp_path / "d", write_config(n_ex_per_task=100_000_000, cams=[])
    (tmp_path / "run.py").write_text(fake_source.PROGRAM)
    command = [
        sys.executable,
        tmp_path / "run.py",
        "--path_dataset",
        data,
        "--path_dataset_config",
        config,
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        done = During(data, lambda _: None)
        done.join()
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.kill()
    assert len(RawStore(data).episodes(0)) >= 4
    peak_kib = int(status.split("VmHWM:")[1].split()[0])
    assert peak_kib < 200 << 10


def test_a_data_set_that_cannot_be_written_is_converted(
    tmp_path, write_config, monkeypatch, caplog
):
    data, config = tmp_path / "d", write_config(cams=[])
    assert generate(data, config) == 0
    real = convert_data.write_whole

    def refuse(path, content):
        if path.is_relative_to(data):
            raise PermissionError(13, "Permission denied")
        real(path, content)

    monkeypatch.setattr(convert_data, "write_whole", refuse)
    caplog.set_level(logging.INFO)
    argv = [
        "--path_dataset",
        str(data),
        "--path_dataset_config",
        config,
        "--output",
        str(tmp_path / "out/x.npz"),
    ]
    before = sorted(p.name for p in data.iterdir())
    assert convert_data.main(argv) == 0
    assert sorted(p.name for p in data.iterdir()) == before
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["x.npz", "x_dataset_stats.json"]
    assert any(
        "dataset_stats.json cannot be written (Permission denied)" in m for m in caplog.messages
    )


@pytest.mark.slow
def test_two_conversions_at_once_do_not_disturb_each_other(tmp_path, write_config):
    data, config = tmp_path / "d", write_config(cams=[], n_ex_per_task=12)
    assert generate(data, config) == 0
    script = ROOT / "data_generation" / "RLBench" / "convert_data.py"
    command = [
        sys.executable,
        script,
        "--path_dataset",
        data,
        "--path_dataset_config",
        config,
        "--output",
        tmp_path / "o/x.npz",
    ]
    runs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(2)
    ]
    for run in runs:
        out, _ = run.communicate(timeout=200)
        assert run.returncode == 0, out
    assert [p.name for p in (tmp_path / "o").iterdir()] == ["x.npz"]
    assert not list(data.rglob("*.tmp"))
    assert os.path.getsize(tmp_path / "o/x.npz") > 1000  # noqa: PTH202
