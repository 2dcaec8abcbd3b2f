"""Whatever a user's task does, it ends that task with one line, and the others go on."""

import hashlib
from collections import Counter

import pytest

from data_generation.RLBench.raw.store import RawStore
from tests.unit.data_generation import simulated_source, troubled_source
from tests.unit.data_generation.generated import generate, report

SAID = {
    "value": "task 0 (value): ValueError: one line and another (",
    "exit": "task 1 (exit): SystemExit: 3 (",
    "interrupt": "task 2 (interrupt): KeyboardInterrupt: no message (",
    "base": "task 3 (base): BaseException: strange (",
    "memory": "task 4 (memory): MemoryError: no message (",
    "recursion": "task 5 (recursion): RecursionError: maximum recursion depth exceeded",
    "nan_tracks": "task 6 (nan_tracks): ValueError: xyz must be finite",
    "nan_poses": "task 7 (nan_poses): ValueError: Out of range float",
    "object_poses": "task 8 (object_poses): TypeError: object cannot be written as JSON",
    "fork": "task 9 (fork): its process ended with exit code 5, at several attempts",
    "os_exit": "task 10 (os_exit): its process ended with exit code 7, at several attempts",
    "segfault": "task 11 (segfault): its process died of SIGSEGV, at several attempts",
    "endless": "task 12 (endless): attempt 1 at task 12 variation ",  # either of two workers
    "no_variations": "task 14 (no_variations): it has 0 variations; at least 1 is needed",
    "exits_when_asked": "task 15 (exits_when_asked): its process ended with exit code 9",
}


@pytest.mark.slow
def test_every_trouble_ends_its_task_alone(tmp_path, write_config, caplog, capfd):
    data, config = tmp_path / "d", write_config(train_task_ids="*", cams=[])
    assert (
        generate(
            data,
            config,
            *("--max_seconds", "2", "--n_processes", "2"),
            source=troubled_source.open_source,
        )
        == 1
    )
    result = report(data)
    names = troubled_source.NAMES
    assert {names[int(t)]: why for t, why in result["broken"].items()}.keys() == SAID.keys()
    lines = [m for m in caplog.messages if m.startswith("skipped: ")]
    for name, start in SAID.items():
        own = [line for line in lines if line.startswith(f"skipped: {start}")]
        assert len(own) == 1, (name, lines)
        assert "\n" not in own[0]
        assert len(own[0]) < 500
    assert len(lines) == len(SAID)
    good = names.index("good")
    assert result["done"] == result["tasks"][str(good)]["done"] == 4
    out = capfd.readouterr()
    assert "4 of 56 episodes" in out.out
    assert "a task may print" in out.out
    assert "Traceback" not in out.err


def digests(data):
    return {
        str(p.relative_to(data)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(data.rglob("*"))
        if p.is_file() and p.name != "report.json"
    }


@pytest.mark.slow
def test_an_accident_does_not_change_what_is_made(tmp_path, write_config, monkeypatch, caplog):
    config = write_config(train_task_ids=[0, 1])
    monkeypatch.setenv("FAKE_ACCIDENTS", str(tmp_path))
    assert (
        generate(
            tmp_path / "a", config, "--n_processes", "2", source=troubled_source.open_accidents
        )
        == 0
    )
    assert (
        sum("it is tried again" in m for m in caplog.messages) == 5
    )  # two episodes of each task; one needs two attempts
    assert generate(tmp_path / "b", config) == 0
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


@pytest.mark.slow
def test_scenes_and_task_files_with_nan(tmp_path, write_config, caplog, capfd, monkeypatch):
    """A scene, an object, a motor at NaN, a task file that raises; one task is good."""
    monkeypatch.setenv("FAULTY_SCENES", str(tmp_path))
    cams = ["left_shoulder", "front"]
    config = write_config(
        train_task_ids=[0, 8, 9, 12, 40],
        cams=[],
        track_cams=cams,
        n_variation_per_task=1,
        n_ex_per_task=3,
    )
    data = tmp_path / "d"
    assert (
        generate(
            data, config, "--max_traj_trials_bef_skip", "2", source=simulated_source.open_source
        )
        == 1
    )
    result = report(data)
    assert {t: row["done"] for t, row in result["tasks"].items()} == {
        "0": 3,
        "9": 0,
        "12": 0,
        "40": 0,
    }
    broken = result["broken"]
    assert broken.keys() == {"8", "9", "12", "40"}
    assert "body_pos of body 'zz' holds nan" in broken["8"]
    assert "cannot be put at [nan, " in broken["9"]
    assert "unstable" in broken["12"]
    assert "ZeroDivisionError: " in broken["40"]
    assert Counter(m.split(":")[0] for m in caplog.messages if m.startswith("skipped: ")) == {
        "skipped": 4
    }
    assert "WARNING" not in capfd.readouterr().err  # MuJoCo's own lines
    assert len(RawStore(data).episodes(0)) == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["maker", "gone"])
def test_a_simulator_that_cannot_be_opened(tmp_path, write_config, capsys, name):
    source = {"maker": simulated_source.fail_to_open, "gone": simulated_source.die_at_start}[name]
    assert generate(tmp_path / "d", write_config(), source=source) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert {
        "maker": "OSError: no licence",
        "gone": "the simulator cannot be opened: its process ended",
    }[name] in lines[0]
    assert not (tmp_path / "d").exists()
