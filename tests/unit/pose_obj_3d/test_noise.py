"""The noise of each view, found without labels."""

import numpy as np
import pytest
import torch

from pose_obj_3d import datasets, noise
from pose_obj_3d.config import PACKAGE_DIR
from pose_obj_3d.exceptions import DataError
from pose_obj_3d.formal import read_formal, shipped_archive
from pose_obj_3d.windows import Rig
from tests.unit.pose_obj_3d.synthetic import motion, project, rig

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
    return torch.tensor(uv).transpose(0, 1), torch.tensor(weights).transpose(0, 1), Rig(torch.tensor(K), torch.tensor(E), 9.0, (0, 1, 2, 3))


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
    extra = torch.randn(uv.shape, generator=rng, dtype=torch.float64) * 3**0.5  # variance 1 + 3 where the weight is 1/4
    found = noise.estimate_sigma(uv + extra * low[..., None], torch.where(low, 0.25, 1.0) * weights, cameras)
    np.testing.assert_allclose(found, 1.0, rtol=0.05)


def test_exact_points_keep_a_floor():
    assert noise.estimate_sigma(*scene(sigma=(0,) * 4, frames=100)).tolist() == [datasets.GRID_PX] * 4


def test_nothing_in_two_views():
    uv, weights, cameras = scene(frames=20)
    weights[:, 1:] = 0
    with pytest.raises(DataError, match="seen by two views in any frame"):
        noise.estimate_sigma(uv, weights, cameras)


@pytest.mark.skipif(not ARCHIVE.is_file(), reason="the ready data set is not here")
def test_the_shipped_data():
    data = read_formal(ARCHIVE)
    cameras = datasets.make_rig(data)
    x = np.concatenate([data.tracks[9][n] for n in range(15)], axis=1)
    uv, visible = torch.tensor(x[..., 2:4]).transpose(0, 1), torch.tensor(x[..., 7] > 0).transpose(0, 1).float()
    found = noise.estimate_sigma(uv, visible, cameras)
    np.testing.assert_allclose(found, data.sigma_px, rtol=0.05)
