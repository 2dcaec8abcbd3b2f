"""Training by several processes, as `torchrun` starts them."""

import os
import subprocess
import sys
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
  DROPOUT: 0.0
  T_FORMER: {NUM_CHANNELS: 32, NUM_LAYERS: 3, NUM_HEADS: 2}
  M_FORMER: {DROPOUT: 0.0}
TRAIN: {NUM_EPOCHES: %d, BATCH_SIZE: 61, AUTOCAST: "off", CONSIS_LOSS_WEIGHT: 0.0}
OBJ_POSE_DATA:
  ROOT_DIR: ./a.npz
  SUBJECTS_TRAIN: [T0]
  KEYPOINTS: [waypoints, objects, robot]
"""


def together(folder, *flags):
    """Train by two processes; the finished command."""
    script = ROOT / "pose_obj_3d" / "run_h36m_waypoints_unsup.py"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    wanted = ["--cfg", str(folder / "c.yaml"), "--log", str(folder), *flags]
    return subprocess.run(
        [*launch, "--", str(script), *wanted],
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
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
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    for folder, epochs in ((alone, 3), (shared, 2)):
        folder.mkdir()
        write_scene(folder / "a.npz")
        (folder / "c.yaml").write_text(CONFIG % epochs, encoding="utf-8")
    arguments = ["--cfg", str(alone / "c.yaml"), "--log", str(alone)]
    assert main(arguments, unsupervised=True) == 0
    done = together(shared)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Results: ") == 1
    assert done.stderr.count("Unsupervised training on") == 1
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


@pytest.mark.slow
def test_what_is_wrong_for_all_is_said_once(tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIG % 1, encoding="utf-8")
    done = together(tmp_path)
    assert done.returncode != 0
    assert [line for line in done.stderr.splitlines() if "no such file" in line] == [
        line for line in done.stderr.splitlines() if line.startswith("error:")
    ]
    assert done.stderr.count("no such file") == 1
