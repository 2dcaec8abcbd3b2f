"""The real commands, from simulation to a table of errors; and a kill in between."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pose_obj_3d.formal import read_formal

ROOT = Path(__file__).resolve().parents[2]
STAGE1 = ROOT / "data_generation" / "RLBench"
STAGE2 = ROOT / "pose_obj_3d"
pytestmark = pytest.mark.e2e


def environment(**extra):
    return {
        **os.environ,
        "PYTHON": sys.executable,
        "LP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        **extra,
    }


def run(*command, cwd=STAGE1, code=0, **extra):
    """Run a command and return what it printed; fail with all of it on another exit code."""
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said = result.stdout + result.stderr
    assert result.returncode == code, said
    return said


def write_config(folder, **changes):
    path = folder / "config.json"
    base = {
        "train_task_ids": [0],
        "n_variation_per_task": 4,
        "obs_dim": [64, 64, 3],
        "max_seq_len": 200,
    }
    path.write_text(json.dumps({**base, **changes}), encoding="utf-8")
    return path


def generate(folder, config, *flags, code=0):
    command = [sys.executable, "generate_data.py", "--path_dataset", folder / "data"]
    return run(*command, "--path_dataset_config", config, *flags, code=code)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Generate and convert 4 episodes of reach_target at 64 px through the real commands."""
    folder = tmp_path_factory.mktemp("e2e")
    config = write_config(folder)
    said = generate(folder, config)
    assert "4 of 4 episodes" in said
    assert "4 made now" in said
    assert "0 made now" in generate(folder, config)  # a second run finds all of it
    output = folder / "sim_all_formal.npz"
    run(
        "sh",
        "convert_data_to_3D_pose_estimation.sh",
        "--output",
        output,
        path_dataset=str(folder / "data"),
        path_dataset_config=str(config),
    )
    return output


@pytest.mark.slow
def test_archive_agrees_with_itself(archive):
    data = read_formal(archive)
    assert list(data.tracks) == [0]
    assert len(data.tracks[0]) == 4
    P = data.intrinsics @ data.extrinsics
    for track in data.tracks[0]:
        uvw = np.einsum(
            "vij,vtkj->vtki", P, np.insert(track[..., 4:7].astype(float), 3, 1, axis=-1)
        )
        inside = track[..., 7] > 0
        error = np.abs(uvw[..., :2] / uvw[..., 2:] - track[..., :2])[inside]
        assert error.max() < 1e-3
        assert inside.any()


def test_the_same_from_the_root(archive, tmp_path):
    """The script finds the data set under data_generation/RLBench, and writes the same tracks."""
    output = tmp_path / "again.npz"
    relative = os.path.relpath(archive.parent / "data", STAGE1)
    run(
        "sh",
        "convert_data_to_3D_pose_estimation.sh",
        "--output",
        output,
        cwd=ROOT,
        path_dataset=relative,
        path_dataset_config=str(archive.parent / "config.json"),
    )
    first, second = read_formal(archive), read_formal(output)
    assert all(np.array_equal(a, b) for a, b in zip(first.tracks[0], second.tracks[0], strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "config"),
    [
        ("run_h36m_waypoints.py", "config_waypoints_task_0.yaml"),
        ("run_h36m_waypoints_unsup.py", "config_u_waypoints_task_0.yaml"),
    ],
)
def test_training_ends_with_a_table_and_resumes(archive, tmp_path, script, config):
    text = (STAGE2 / "cfg" / "submit" / config).read_text(encoding="utf-8")
    text = re.sub(r"ROOT_DIR: .*", f"ROOT_DIR: '{archive}'", text)
    text = re.sub(r"NUM_EPOCHES: \d+", "NUM_EPOCHES: 2", text)
    path = tmp_path / config
    path.write_text(text, encoding="utf-8")
    command = [sys.executable, script, "--cfg", path, "--log", tmp_path / "out"]
    said = run(*command, cwd=STAGE2)
    for line in (
        "model: STC",
        "linear triangulation (DLT)",
        "maximum likelihood",
        "7-frame",
        "Cramer-Rao",
    ):
        assert line in said
    results = next((tmp_path / "out").rglob("results.json"))
    table = json.loads(results.read_text(encoding="utf-8"))["results"]
    methods = next(iter(table.values()))["methods"]
    assert all(np.isfinite(m["all"]["mpjpe_mm"]) for m in methods.values())
    again = run(*command, "--resume_checkpoint", "auto", cwd=STAGE2)
    assert "epoch 1/" not in again
    evaluated = run(*command, "--eval", cwd=STAGE2)
    model = [line for line in said.splitlines() if line.startswith("model")]
    assert model == [line for line in evaluated.splitlines() if line.startswith("model")]
    assert list((tmp_path / "out").rglob("events.out.tfevents*"))


def has_episode(folder):
    try:
        return bool(list(folder.rglob("*episode.json")))
    except FileNotFoundError:  # the staging folder was renamed while it was looked through
        return False


@pytest.mark.slow
def test_a_killed_generation_continues_to_the_same_bytes(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    changes = {"cams": [], "n_variation_per_task": 12}
    generate(whole, write_config(whole, **changes), "--n_processes", "2")
    config = write_config(broken, **changes)
    process = subprocess.Popen(
        [
            sys.executable,
            "generate_data.py",
            "--path_dataset",
            broken / "data",
            "--path_dataset_config",
            config,
        ],
        cwd=STAGE1,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not has_episode(broken / "data") and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    made = len(list((broken / "data").rglob("*episode.json")))
    assert made > 0
    said = generate(broken, config)
    assert "12 of 12 episodes" in said
    for kind in ("traj_keypoints", "ee_state", "actions", "obj_poses", "waypoints"):
        first = {
            p.relative_to(whole): p.read_bytes()
            for p in (whole / "data" / "train" / "0" / kind).rglob("*.*")
        }
        second = {
            p.relative_to(broken): p.read_bytes()
            for p in (broken / "data" / "train" / "0" / kind).rglob("*.*")
        }
        assert first
        assert first == second


def test_a_damaged_episode_is_named_refused_and_made_again(archive, tmp_path):
    shutil.copytree(archive.parent / "data", tmp_path / "data")
    config = write_config(tmp_path)
    victim = sorted((tmp_path / "data").rglob("*_traj_keypoints.json"))[0]
    victim.write_text(victim.read_text(encoding="utf-8").replace("0.", "1.", 1), encoding="utf-8")
    said = run(
        "sh",
        "convert_data_to_3D_pose_estimation.sh",
        "--output",
        tmp_path / "x.npz",
        code=2,
        path_dataset=str(tmp_path / "data"),
        path_dataset_config=str(config),
    )
    assert victim.name in said
    assert "Traceback" not in said
    assert not (tmp_path / "x.npz").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_task_ids": [1]}, "it has close_fridge, meat_off_grill, pick_and_lift"),
        ({"train_task_ids": [95]}, "0 to 94"),
        ({"obs_dim": [0, 64, 3]}, "obs_dim"),
        ({"n_ex_per_varation": 2}, "did you mean 'n_ex_per_variation'"),
        ({"keypoints": ["corners"]}, "boxes, frames, objects, robot, waypoints"),
    ],
)
def test_bad_configs_say_one_line_and_write_nothing(tmp_path, changes, message):
    said = generate(tmp_path, write_config(tmp_path, **changes), code=2)
    assert message in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "data").exists()
