"""Training by several processes, as `torchrun` starts them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pose_obj_3d.train_command import main
from pose_obj_3d.training.checkpoints import store as checkpoints
from tests.unit.pose_obj_3d.synthetic import write_scene

ROOT = Path(__file__).parents[4]
CONFIG = """
NETWORK:
  TYPE: MHT
  NUM_CHANNELS: 32
  AFTER_MHF_DIM: 32
  DROPOUT: 0.2
  MASK_RATE: 0.2
  T_FORMER: {NUM_CHANNELS: 32, NUM_LAYERS: 3, NUM_HEADS: 2}
  M_FORMER: {DROPOUT: 0.1}
TRAIN: {NUM_EPOCHES: %d, BATCH_SIZE: 61, AUTOCAST: "off", CONSIS_LOSS_WEIGHT: 1.0}
OBJ_POSE_DATA:
  ROOT_DIR: ./a.npz
  SUBJECTS_TRAIN: [T0]
  KEYPOINTS: [waypoints, objects, robot]
  MEMORY_GB: 0.0015
"""
EXAMPLES = 30  # more than fit: some blocks

STC = """
NETWORK: {TYPE: STC, DROPOUT: 0.1}
TRAIN: {NUM_EPOCHES: 2, BATCH_SIZE: 61, LEARNING_RATE: 0.003}
OBJ_POSE_DATA: {ROOT_DIR: ./a.npz, SUBJECTS_TRAIN: [T0], KEYPOINTS: [waypoints, objects, robot]}
"""


ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


def command(folder, *flags):
    """Give the command that trains by two processes."""
    script = ROOT / "pose_obj_3d" / "run_h36m_waypoints_unsup.py"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    return [
        *(*launch, "--", str(script)),
        *("--cfg", str(folder / "c.yaml"), "--log", str(folder), *flags),
    ]


def together(folder, *flags):
    """Train by two processes; the finished command."""
    return subprocess.run(
        command(folder, *flags),
        check=False,
        env=ONE_THREAD,
        capture_output=True,
        text=True,
        timeout=300,
    )


def last(folder):
    (run,) = (folder / "checkpoint" / "submit").iterdir()
    return checkpoints.load(run / "last.pt")


def curve(state):
    return [{k: v for k, v in row.items() if k[:5] != "time/"} for row in state["history"]]


@pytest.mark.slow
def test_two_processes_train_as_one_and_one_goes_on(tmp_path):
    """MHT: what is dropped, which views are left out, and blocks are those of one process."""
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    for folder, epochs in ((alone, 3), (shared, 2)):
        folder.mkdir()
        write_scene(folder / "a.npz", examples=EXAMPLES)
        (folder / "c.yaml").write_text(CONFIG % epochs, encoding="utf-8")
    arguments = ["--cfg", str(alone / "c.yaml"), "--log", str(alone)]
    assert main(arguments, unsupervised=True) == 0
    done = together(shared)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Results: ") == 1
    assert done.stderr.count("Unsupervised training on") == 1
    assert done.stderr.count("OBJ_POSE_DATA.MEMORY_GB 0.0015: ") >= 1
    assert len(list((shared / "log" / "submit").iterdir())) == 1
    for a, b in zip(curve(last(alone)), curve(last(shared)), strict=False):
        assert b == pytest.approx(a, rel=1e-4)

    (shared / "c.yaml").write_text(CONFIG % 3, encoding="utf-8")
    (run,) = (shared / "checkpoint" / "submit").iterdir()
    go_on = ["--cfg", str(shared / "c.yaml"), "--log", str(shared)]
    assert main([*go_on, "--resume_checkpoint", str(run / "last.pt")], unsupervised=True) == 0
    one, two = last(alone), last(shared)
    assert two["epoch"] == 3
    assert two["best_epoch"] == one["best_epoch"]
    for a, b in zip(curve(one), curve(two), strict=True):
        assert b == pytest.approx(a, rel=1e-4)


def children(pid):
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
def test_a_killed_process_ends_all_and_one_goes_on(tmp_path):
    write_scene(tmp_path / "a.npz")
    (tmp_path / "c.yaml").write_text(CONFIG % 1000, encoding="utf-8")
    with (tmp_path / "err.txt").open("w") as err:
        launcher = subprocess.Popen(command(tmp_path), env=ONE_THREAD, stdout=err, stderr=err)
    try:
        deadline = time.monotonic() + 200
        while not list(tmp_path.glob("checkpoint/submit/*/last.pt")):
            assert launcher.poll() is None, (tmp_path / "err.txt").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        started = children(launcher.pid)
        assert len(started) == 2
        os.kill(started[1], signal.SIGKILL)
        assert launcher.wait(timeout=100) != 0
    finally:
        launcher.terminate()  # and with it what it has started
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)

    before = last(tmp_path)  # whole, not half written
    assert 1 <= before["epoch"] < 1000
    (tmp_path / "c.yaml").write_text(CONFIG % (before["epoch"] + 1), encoding="utf-8")
    (path,) = tmp_path.glob("checkpoint/submit/*/last.pt")
    flags = ["--cfg", str(tmp_path / "c.yaml"), "--log", str(tmp_path)]
    assert main([*flags, "--resume_checkpoint", str(path)], unsupervised=True) == 0
    assert last(tmp_path)["epoch"] == before["epoch"] + 1
    assert curve(last(tmp_path))[:-1] == curve(before)


@pytest.mark.slow
def test_two_processes_drop_what_one_drops(tmp_path):
    """STC with dropout: the draws are those of the whole batch."""
    states = []
    for name in ("alone", "shared"):
        folder = tmp_path / name
        folder.mkdir()
        write_scene(folder / "a.npz")
        (folder / "c.yaml").write_text(STC, encoding="utf-8")
        if name == "alone":
            flags = ["--cfg", str(folder / "c.yaml"), "--log", str(folder)]
            assert main(flags, unsupervised=True) == 0
        else:
            done = together(folder)
            assert done.returncode == 0, done.stderr
        states.append(curve(last(folder)))
    alone, shared = states
    for a, b in zip(alone, shared, strict=True):
        assert b == pytest.approx(a, rel=1e-4)


@pytest.mark.slow
def test_what_is_wrong_for_all_is_said_once(tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIG % 1, encoding="utf-8")
    done = together(tmp_path)
    assert done.returncode != 0
    assert [line for line in done.stderr.splitlines() if "no such file" in line] == [
        line for line in done.stderr.splitlines() if line.startswith("error:")
    ]
    assert done.stderr.count("no such file") == 1
