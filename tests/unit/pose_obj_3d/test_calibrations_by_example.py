"""Archives whose examples have calibrations of their own."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from data_generation.RLBench.inspection.archive import ArchiveSource
from data_generation.RLBench.inspection.sources import Section
from pose_obj_3d.common.errors import FormalError
from pose_obj_3d.evaluation.figures import reprojection_figure
from pose_obj_3d.formal import (
    DETECTION_CHANNELS,
    UV_DETECTED,
    UV_EXACT,
    VISIBILITY,
    XYZ_WORLD,
    read_formal,
    write_formal,
)
from pose_obj_3d.models.consensus.scene import blind_views
from pose_obj_3d.tracks.loading import estimated_noise, keypoint_ids, load_tracks, make_rig
from pose_obj_3d.tracks.stated_noise import check_noise
from tests.unit.pose_obj_3d.synthetic import NAMES, project, rig, write_scene

SIGMA = (1.0, 1.0, 2.0, 3.0)
EXAMPLES, FRAMES, TURNS = 6, 40, 3
META = ("image_size", "task_names", "keypoint_names", "frame_period_s")


def turned(E, angle):
    """Turn the whole rig around the vertical axis of the world."""
    c, s = np.cos(angle), np.sin(angle)
    R = E[:, :, :3] @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return np.concatenate([R, E[:, :, 3:]], -1)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Three calibrations; the last one is that of the test examples alone."""
    folder = tmp_path_factory.mktemp("moved")
    plain = read_formal(write_scene(folder / "plain.npz", (0,), EXAMPLES, FRAMES))
    K, E = rig()
    Es = np.stack([turned(E, 0.3 * r) for r in range(TURNS)])
    rng = np.random.default_rng(3)
    numbers = [0, 1, 0, 1, 0, 2]
    tracks, detections = [], []
    for given, r in zip(plain.tracks[0], numbers, strict=True):
        uv = project(given[0, ..., XYZ_WORLD].astype(float), K, Es[r])
        x = given.copy()
        x[..., UV_EXACT] = uv
        x[..., UV_DETECTED] = uv + rng.normal(size=uv.shape) * np.reshape(SIGMA, (4, 1, 1, 1))
        x[..., VISIBILITY] = 1
        tracks.append(x)
        says = np.full((*x.shape[:3], len(DETECTION_CHANNELS)), np.nan, np.float32)
        says[..., :2], says[..., 4], says[..., 5:7] = x[..., UV_DETECTED], 0, 1
        detections.append(says)
    meta = {key: plain.meta[key] for key in META}
    meta |= {
        "camera_names": list(NAMES),
        "split": {"T0": {"train": [0, 1, 2, 3], "val": [4], "test": [5]}},
        "noise": {"sigma_px": 1.0, "sigma_px_per_view": list(SIGMA)},
        "detections": {"detector": "mine", "labelled_frames": None},
        "calibration_names": ["A", "B", "C"],
        "calibrations": {"T0": numbers},
    }
    out = folder / "moved.npz"
    write_formal(out, {0: tracks}, meta, np.stack([K] * TURNS), Es, {0: detections})
    return out


@pytest.fixture(scope="module")
def data(path):
    return read_formal(path)


def test_each_calibration_is_a_view_in_memory_alone(path, data):
    with np.load(path) as file:
        assert file["intrinsics"].shape == (3, 4, 3, 3)
        assert file["T0/exemple_5"].shape[0] == 4
        own = file["T0/exemple_1"]
        assert json.loads(str(file["meta"]))["format_version"] == 3
    assert data.camera_names[4:6] == [f"B_{name}" for name in NAMES[:2]]
    assert data.cameras == list(NAMES)
    assert data.meta["noise"]["sigma_px_per_view"] == list(SIGMA) * 3
    x = data.tracks[0][1]
    np.testing.assert_array_equal(x[4:8], own)
    assert np.isnan(x[[0, 3, 8]][..., UV_DETECTED]).all()
    assert (x[[0, 3, 8]][..., VISIBILITY] == 0).all()
    expected = project(x[0, ..., XYZ_WORLD].astype(float), data.intrinsics, data.extrinsics)
    np.testing.assert_allclose(x[..., UV_EXACT], expected, atol=1e-3)
    says = data.detections[0][1]
    assert np.isfinite(says[4:8, ..., 0]).all()
    assert (says[:4, ..., 5:7] == 0).all()


def test_what_was_read_can_be_written_as_a_plain_archive(data, tmp_path):
    calibration = data.intrinsics, data.extrinsics
    write_formal(tmp_path / "a.npz", data.tracks, data.meta, *calibration, data.detections)
    again = read_formal(tmp_path / "a.npz")
    assert again.calibrations is None
    np.testing.assert_array_equal(again.tracks[0][5], data.tracks[0][5])


def test_numbers_of_cameras_mean_all_calibrations(data):
    assert make_rig(data, (1, 3)).view_ids == (1, 3, 5, 7, 9, 11)
    ids = keypoint_ids(data, [0], ("waypoints", "objects", "robot"))
    tracks = load_tracks(data, make_rig(data, (0, 1, 2)), [0], "test", ids)
    assert (tracks.weights > 0).sum(1).unique().tolist() == [3]
    assert float((tracks.xyz - tracks.truth).norm(dim=-1).median()) < 0.02


def test_a_picture_shows_the_views_of_its_example_with_a_legend(data):
    ids = keypoint_ids(data, [0], ("waypoints", "objects", "robot"))
    rig = make_rig(data)
    tracks = load_tracks(data, rig, [0], "test", ids)
    figure = reprojection_figure(tracks.truth, tracks, 3, rig, data, ids)
    assert [axes.get_title() for axes in figure.axes] == [f"C_{name}" for name in NAMES]
    (legend,) = figure.legends
    assert len(legend.get_texts()) == len(ids)


def test_a_camera_has_the_same_noise_in_all_calibrations(data):
    ids = keypoint_ids(data, [0], ("waypoints", "objects", "robot"))
    found, said = check_noise(data, [0], ids)
    noise = estimated_noise(found)
    sigma = noise.sigma.reshape(3, 4, -1)
    assert torch.equal(sigma[2], sigma[0]), "no training example has the third"
    np.testing.assert_allclose(sigma[0].square().mean(1).sqrt(), SIGMA, rtol=0.15)
    assert said.count("overhead") == 1


def test_an_example_leaves_out_a_view_that_it_has(data):
    ids = keypoint_ids(data, [0], ("waypoints", "objects", "robot"))
    rig = make_rig(data)
    tracks = load_tracks(data, rig, [0], "train", ids)
    view = blind_views.left_out_views(tracks, rig)
    seen = (tracks.weights > 0).any(2)
    assert seen[torch.arange(len(view)), view].all()
    assert len(view.unique()) > 1
    some = dataclasses.replace(tracks, weights=torch.ones_like(tracks.weights))
    assert len(blind_views.left_out_views(some, rig)) == len(view)


def test_an_inspection_sees_each_example_by_its_own_cameras(path):
    source = ArchiveSource(str(path))
    first, last = (source.read(Section("train", 0), n) for n in (0, 5))
    source.close()
    assert source.damage == []
    assert first.rig.camera_names == last.rig.camera_names == NAMES
    uv = project(
        last.tracks[0, ..., XYZ_WORLD].astype(float), last.rig.intrinsics, last.rig.extrinsics
    )
    np.testing.assert_allclose(last.tracks[..., UV_EXACT], uv, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"calibrations": {"T0": [0, 1]}}, "has 2 numbers; the task has 6"),
        ({"calibrations": {"T0": [0, 1, 2, 3, 0, 0]}}, "0 to 2"),
        ({"calibrations": {}}, "has 0 numbers"),
        ({"calibrations": [0]}, "a mapping with keys"),
        ({"calibration_names": ["A", "A", "B"]}, "twice"),
        ({"calibration_names": None}, "a list of names"),
        ({"calibration_names": [f"{i}" for i in range(65)]}, "at most 64"),
        ({"calibration_names": ["A", "B"], "calibrations": {"T0": [0] * 6}}, "(2, 4, 3, 3)"),
        ({"format_version": 2}, "belongs to format version 3"),
        ({"calibrations": None}, "(4, 3, 3)"),
    ],
)
def test_damage_is_one_line(path, tmp_path, changes, says):
    with np.load(path) as file:
        members = {name: file[name] for name in file.files}
    members["meta"] = np.array(json.dumps({**json.loads(str(members["meta"])), **changes}))
    np.savez_compressed(tmp_path / "b.npz", **members)
    with pytest.raises(FormalError) as caught:
        read_formal(tmp_path / "b.npz")
    assert says in str(caught.value)
    assert len(str(caught.value)) < 500
