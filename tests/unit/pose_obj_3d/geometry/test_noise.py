"""The noise of each view, found without labels."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from pose_obj_3d import train_command as cli
from pose_obj_3d.common.errors import DataError
from pose_obj_3d.common.facts import DETECTION_GRID_PX
from pose_obj_3d.formal import make_split, read_formal, shipped_archive, write_formal
from pose_obj_3d.geometry import noise
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks import loading as datasets
from pose_obj_3d.tracks.stated_noise import check_noise
from pose_obj_3d.training.config import PACKAGE_DIR
from tests.unit.pose_obj_3d.synthetic import motion, project, rig, write_scene

SIGMA = np.array([0.7, 1.3, 1.3, 2.6])
ARCHIVE = shipped_archive(PACKAGE_DIR / "data" / "RLBench_pose_est_data")


def scene(sigma=SIGMA, outliers=0.0, missing=0.0, frames=2000, seed=0):
    """uv (N, V, K, 2), weights (N, V, K), rig: 4 keypoints seen with a noise for each view."""
    rng = np.random.default_rng(seed)
    K, E = rig()
    uv = project(motion(rng, frames, [True, False, True, True]), K, E)
    uv = uv + rng.normal(size=uv.shape) * np.asarray(sigma)[:, None, None, None]
    is_outlier = rng.random(uv.shape[:-1]) < outliers
    uv[is_outlier] += rng.uniform(-40, 40, (int(is_outlier.sum()), 2))
    weights = (rng.random(uv.shape[:-1]) >= missing).astype(float)
    uv[weights == 0] = 1e6
    return (
        torch.tensor(uv).transpose(0, 1),
        torch.tensor(weights).transpose(0, 1),
        Rig(torch.tensor(K), torch.tensor(E), 9.0, (0, 1, 2, 3)),
    )


def views(scene, count):
    uv, weights, cameras = scene
    cut = Rig(cameras.intrinsics[:count], cameras.extrinsics[:count], 9.0, tuple(range(count)))
    return uv[:, :count], weights[:, :count], cut


@pytest.mark.parametrize(("outliers", "missing"), [(0, 0), (0.05, 0.2)])
def test_each_view_has_its_noise(outliers, missing):
    found = noise.estimate_sigma(*scene(outliers=outliers, missing=missing)).numpy()
    np.testing.assert_allclose(found, SIGMA, rtol=0.05)


def test_three_views_suffice_two_share_one_noise():
    found = noise.estimate_sigma(*views(scene(outliers=0.05, frames=1000), 3)).numpy()
    np.testing.assert_allclose(found, SIGMA[:3], rtol=0.08)
    pair = noise.estimate_sigma(*views(scene(frames=300), 2)).numpy()
    assert pair[0] == pair[1]
    assert 0.7 < pair[0] < 1.3


def test_confidence_is_precision():
    uv, weights, cameras = scene(sigma=(1.0,) * 4)
    low = torch.rand(weights.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    rng = torch.Generator().manual_seed(1)
    extra = (
        torch.randn(uv.shape, generator=rng, dtype=torch.float64) * 3**0.5
    )  # variance 1 + 3 where the weight is 1/4
    found = noise.estimate_sigma(
        uv + extra * low[..., None], torch.where(low, 0.25, 1.0) * weights, cameras
    )
    np.testing.assert_allclose(found, 1.0, rtol=0.05)


def test_exact_points_keep_a_floor():
    assert (
        noise.estimate_sigma(*scene(sigma=(0,) * 4, frames=100)).tolist() == [DETECTION_GRID_PX] * 4
    )


def test_nothing_in_two_views():
    uv, weights, cameras = scene(frames=20)
    weights[:, 1:] = 0
    with pytest.raises(DataError, match="seen by two views in any frame"):
        noise.estimate_sigma(uv, weights, cameras)


@pytest.fixture(scope="module")
def shipped():
    if not ARCHIVE.is_file():
        pytest.skip("the ready data set is not here")
    return read_formal(ARCHIVE)


def test_the_shipped_data(shipped):
    data = shipped
    cameras = datasets.make_rig(data)
    x = np.concatenate([data.tracks[9][n] for n in range(15)], axis=1)
    uv, visible = (
        torch.tensor(x[..., 2:4]).transpose(0, 1),
        torch.tensor(x[..., 7] > 0).transpose(0, 1).float(),
    )
    found = noise.estimate_sigma(uv, visible, cameras)
    np.testing.assert_allclose(found, data.sigma_px, rtol=0.05)


def statement(data, **noise):
    """The archive, with another statement of its noise."""
    return dataclasses.replace(data, meta={**data.meta, "noise": {**data.meta["noise"], **noise}})


def test_a_true_statement_stands(tmp_path):
    data = read_formal(write_scene(tmp_path / "a.npz", examples=12, frames=40))
    ids = datasets.keypoint_ids(data, [0], ("waypoints", "objects", "robot"))
    found, message = check_noise(data, [0], ids)
    assert message == ""
    assert found is data


def test_few_detections_contradict_no_statement(tmp_path):
    data = read_formal(write_scene(tmp_path / "a.npz", examples=3))
    ids = datasets.keypoint_ids(data, [0], ("waypoints",))
    found, message = check_noise(statement(data, sigma_px=9.0), [0], ids)
    assert (found.sigma_px, message) == (9.0, "")


def test_a_wrong_statement_is_corrected(tmp_path):
    data = read_formal(write_scene(tmp_path / "a.npz", examples=12, frames=40))
    ids = datasets.keypoint_ids(data, [0], ("waypoints", "objects", "robot"))
    true = data.sigma_px
    found, message = check_noise(statement(data, sigma_px=true / 2), [0], ids)
    for word in ("a.npz", "left_shoulder", f"({true / 2:.2f})"):
        assert word in message
    rig = datasets.make_rig(found)
    assert rig.sigma_px == pytest.approx(true, rel=0.05)
    assert check_noise(found, [0], ids)[1] == ""
    # A camera that is worse than the others weighs less, as it should.
    for x in data.tracks[0]:
        x[3, ..., 2:4] += np.random.default_rng(1).normal(
            scale=true * 3**0.5, size=x[3, ..., 2:4].shape
        )
    found, _ = check_noise(data, [0], ids)
    tracks = datasets.load_tracks(found, datasets.make_rig(found, (0, 3)), [0], "test", ids)
    weights = [tracks.weights[:, v].amax().item() for v in range(2)]
    assert weights[0] / weights[1] == pytest.approx(4, rel=0.15)
    assert tracks.precision[0, 0, 0] == pytest.approx(weights[0], rel=1e-4)


def drifting(shape, period, rng):
    """Noise of deviation 1 (V, T, K, 2) that lasts `period` frames."""
    V, T, K, C = shape
    return rng.normal(size=(V, -(-T // period), K, C)).repeat(period, 1)[:, :T]


@pytest.mark.parametrize("period", [1, 10])
@pytest.mark.parametrize("seed", range(6))
def test_chance_contradicts_no_statement(seed, period):
    """In few frames, whose noise may last for several, chance is no contradiction."""
    rng = np.random.default_rng([seed, period])
    K, E = rig()
    uv = project(motion(rng, 90, [True, False, True, True]), K, E)
    uv = torch.tensor(uv + 1.3 * drifting(uv.shape, period, rng)).transpose(0, 1)
    cameras = Rig(torch.tensor(K), torch.tensor(E), 1.3, (0, 1, 2, 3))
    claimed = torch.full((4,), 1.3, dtype=torch.float64)
    weights = torch.ones(uv.shape[:-1], dtype=torch.float64)
    assert noise.contradiction(uv, weights, cameras, claimed) is None
    if period == 1:
        found = noise.contradiction(uv, weights, cameras, claimed / 1.3)
        np.testing.assert_allclose(found.numpy(), 1.3, rtol=0.1)
        assert found.std() == 0  # all views alike: one factor, which is surer than four


def test_one_view_of_another_noise_is_found():
    uv, weights, cameras = scene(sigma=(1.3, 1.3, 2.6, 1.3), frames=300)
    found = noise.contradiction(uv, weights, cameras, torch.full((4,), 1.3, dtype=torch.float64))
    np.testing.assert_allclose(found.numpy(), [1.3, 1.3, 2.6, 1.3], rtol=0.12)


@pytest.mark.parametrize("examples", [3, 6])
def test_small_parts_of_the_shipped_data_overrule_nothing(shipped, examples):
    data = shipped
    for task in data.tracks:
        chosen = [
            data.tracks[task][n]
            for n in np.random.default_rng([task, examples]).permutation(len(data.tracks[task]))[
                :examples
            ]
        ]
        meta = {**data.meta, "split": {f"T{task}": make_split(examples)}}
        part = dataclasses.replace(data, tracks={task: chosen}, meta=meta)
        ids = datasets.keypoint_ids(part, [task], ("waypoints",))
        assert check_noise(part, [task], ids)[1] == ""
        if sum(x.shape[1] for x in chosen) > 300:
            assert check_noise(
                statement(
                    part, sigma_px=data.sigma_px / 1.3, sigma_px_per_view=[data.sigma_px / 1.3] * 4
                ),
                [task],
                ids,
            )[1]


def test_the_training_command_works_with_the_true_noise(tmp_path, capsys):
    archive = write_scene(tmp_path / "a.npz", examples=8, frames=40)
    data = read_formal(archive)
    meta = {**data.meta, "noise": {"sigma_px": data.sigma_px / 2}}
    write_formal(archive, data.tracks, meta, data.intrinsics, data.extrinsics)
    config = tmp_path / "c.yaml"
    config.write_text(
        f"NETWORK: {{TYPE: triangulation}}\nOBJ_POSE_DATA: {{ROOT_DIR: '{archive}', KEYPOINTS:"
        " [waypoints, objects, robot]}\n"
    )
    assert cli.main(["--cfg", str(config), "--log", str(tmp_path)]) == 0
    results = json.loads(next(tmp_path.rglob("results.json")).read_text())
    assert results["noise_sigma_px"] == pytest.approx(data.sigma_px, rel=0.1)
