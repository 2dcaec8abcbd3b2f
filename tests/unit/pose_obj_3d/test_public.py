"""The public functions, as another program uses them: from its own folder, with its own logging."""

import dataclasses
import json
import logging
import subprocess
import sys

import numpy as np
import pytest

import pose_obj_3d
from pose_obj_3d import (
    FormalData,
    PoseObj3DError,
    project,
    read_formal,
    train,
    triangulate,
    write_formal,
)
from pose_obj_3d.training.config import load_config
from tests.unit.pose_obj_3d.synthetic import SIGMA_PX, rig, write_scene

CONFIG = """
NETWORK: {TYPE: STC, DROPOUT: 0.0, STC: {WIDTH: 16, NUM_LAYERS: 1}}
TRAIN: {NUM_EPOCHES: 2, BATCH_SIZE: 64, LEARNING_RATE: 0.003}
OBJ_POSE_DATA: {ROOT_DIR: ./a.npz, SUBJECTS_TRAIN: [T0], KEYPOINTS: [waypoints]}
"""
DISTORTION = np.tile([-0.2, 0.05, 1e-3, -1e-3], (4, 1))


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working directory that has nothing to do with the data's folder, which it returns."""
    data, here = tmp_path / "data", tmp_path / "here"
    data.mkdir()
    here.mkdir()
    write_scene(data / "a.npz")
    (data / "c.yaml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.chdir(here)
    return data


def test_importing_is_light_and_sets_nothing_up(tmp_path):
    program = (
        "import logging, sys, pose_obj_3d\n"
        "heavy = {'torch', 'matplotlib', 'cv2', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from pose_obj_3d import train, triangulate\n"
        "assert 'torch' in sys.modules\n"
        "assert not logging.getLogger().handlers\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_every_public_name_is_there():
    for name in pose_obj_3d.__all__:
        assert getattr(pose_obj_3d, name).__doc__, name
        assert name in dir(pose_obj_3d)
    with pytest.raises(AttributeError, match="no attribute 'lift_everything'"):
        _ = pose_obj_3d.lift_everything


def points(count=50, seed=0):
    return np.random.default_rng(seed).uniform([0.1, -0.3, 0.76], [0.4, 0.3, 0.95], (count, 3))


@pytest.mark.parametrize("distortion", [None, DISTORTION])
@pytest.mark.parametrize("method", ["dlt", "ml", "huber", "consensus"])
def test_triangulating_what_was_projected_gives_the_points(method, distortion):
    xyz = points(60).reshape(12, 5, 3)
    uv = project(xyz, *rig(), distortion)
    assert uv.shape == (4, 12, 5, 2)
    found = triangulate(uv, *rig(), distortion=distortion, method=method)
    assert found.points.shape == (12, 5, 3)
    assert found.covariance.shape == (12, 5, 3, 3)
    assert found.weights.shape == (4, 12, 5)
    assert np.allclose(found.points, xyz, atol=1e-6)


def test_the_covariance_is_that_of_the_errors():
    xyz = points(4000)
    rng = np.random.default_rng(1)
    uv = project(xyz, *rig()) + rng.normal(scale=SIGMA_PX, size=(4, 4000, 2))
    found = triangulate(uv, *rig(), method="ml", sigma_px=SIGMA_PX)
    error = found.points - xyz
    square = np.einsum("ni,nij,nj->n", error, np.linalg.inv(found.covariance), error)
    assert square.mean() == pytest.approx(3, rel=0.05)  # chi-squared, 3 degrees of freedom


def test_a_wrong_view_is_left_out_and_missing_ones_may_be_many():
    xyz = points(3)
    uv = project(xyz, *rig())
    uv[2, 0] += 40
    uv[:2, 1] = np.nan
    uv[:3, 2] = np.nan
    found = triangulate(uv, *rig())
    assert np.allclose(found.points[:2], xyz[:2], atol=1e-6)
    assert found.weights[:, 0].tolist() == [1, 1, 0, 1]
    assert found.weights[:, 1].tolist() == [0, 0, 1, 1]
    assert np.isnan(found.points[2]).all()
    assert np.isnan(found.covariance[2]).all()


def test_what_lies_behind_a_camera_has_no_image():
    uv = project([[10.0, 0.0, 1.0]], *rig())  # behind the front camera, before none of the others
    assert np.isnan(uv[3]).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"points": np.zeros((3, 5, 2))}, "points must have shape (4 views, ..., 2)"),
        ({"intrinsics": np.eye(3)}, "intrinsics must have shape (views, 3, 3)"),
        ({"extrinsics": np.zeros((4, 4, 4))}, "extrinsics must have shape (4 views, 3, 4)"),
        ({"extrinsics": np.full((4, 3, 4), np.nan)}, "extrinsics must be finite"),
        ({"weights": np.ones(4)}, "weights must have shape (4, 5)"),
        ({"distortion": np.zeros((4, 6))}, "n one of 4, 5, 8, 12, 14"),
        ({"method": "magic"}, "allowed: dlt, ml, huber, consensus"),
        ({"sigma_px": 0.0}, "sigma_px is 0.0"),
    ],
)
def test_wrong_arguments_are_named(change, words):
    K, E = rig()
    given = {"points": np.zeros((4, 5, 2)), "intrinsics": K, "extrinsics": E} | change
    with pytest.raises(PoseObj3DError) as caught:
        triangulate(**given)
    assert words in str(caught.value)


def test_archives_are_written_and_read(elsewhere):
    data = read_formal(elsewhere / "a.npz")
    assert isinstance(data, FormalData)
    meta = {k: v for k, v in data.meta.items() if k != "format_version"}
    write_formal("copy.npz", data.tracks, meta, data.intrinsics, data.extrinsics)
    copy = read_formal("copy.npz")
    assert copy.meta == data.meta
    assert all(map(np.array_equal, copy.tracks[0], data.tracks[0]))


@pytest.mark.slow
@pytest.mark.parametrize("unsupervised", [False, True])
def test_training_from_a_config_file(elsewhere, unsupervised, capsys):
    handlers = list(logging.getLogger().handlers)
    found = train(elsewhere / "c.yaml", unsupervised=unsupervised, output="out")
    assert capsys.readouterr().out == ""
    assert logging.getLogger().handlers == handlers
    assert found.folder.parent == found.folder.parents[2] / "log" / "submit"
    assert found.checkpoint.is_file()
    assert found.epochs == 2 == len(found.history)
    assert found.best == min(h[found.criterion] for h in found.history)
    assert found.best == found.history[found.best_epoch - 1][found.criterion]
    written = json.loads((found.folder / "results.json").read_text(encoding="utf-8"))
    assert written["results"] == json.loads(json.dumps(found.results))
    (test,) = found.results.values()
    label = "model: STC (unsupervised)" if unsupervised else "model: STC"
    assert 0 < test["methods"][label]["all"]["mpjpe_mm"] < 20


@pytest.mark.slow
def test_training_from_a_config_in_memory_and_going_on(elsewhere):
    config = load_config(elsewhere / "c.yaml")
    data = dataclasses.replace(config.OBJ_POSE_DATA, ROOT_DIR=str(elsewhere / "a.npz"))
    config = dataclasses.replace(config, OBJ_POSE_DATA=data)
    found = train(config, output="out", name="mine")
    assert found.folder.name.startswith("mine_")
    longer = dataclasses.replace(config, TRAIN=dataclasses.replace(config.TRAIN, NUM_EPOCHES=3))
    again = train(longer, output="out", resume=found.checkpoint.with_name("last.pt"))
    assert again.folder == found.folder
    assert again.epochs == 3
    assert again.history[:2] == found.history


def test_a_wrong_config_is_one_error(elsewhere):
    with pytest.raises(PoseObj3DError, match="no such file"):
        train(load_config(elsewhere / "c.yaml"), output="out")
