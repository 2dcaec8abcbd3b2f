"""Single-frame estimators: exactness, symmetries, efficiency, outliers, gradients."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.evaluation.protocol import (
    Protocol,
    predict,
    reference_predictions,
    whole_track_predictions,
)
from pose_obj_3d.formal import read_formal
from pose_obj_3d.geometry import estimators
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.choices import ESTIMATORS
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig
from pose_obj_3d.training.config import NetworkConfig
from pose_obj_3d.training.model_registry import build_model
from tests.unit.pose_obj_3d.synthetic import rig as make_cameras
from tests.unit.pose_obj_3d.synthetic import write_scene

SIGMA = 1.29
K, E = (torch.from_numpy(x).double() for x in make_cameras())
ALL = (estimators.dlt, estimators.maximum_likelihood, estimators.huber, estimators.consensus)
every = pytest.mark.parametrize("estimator", ALL, ids=lambda f: f.__name__)


def cameras(views=(0, 1, 2, 3)):
    return Rig(K[list(views)], E[list(views)], SIGMA, tuple(views))


def points(n, seed=0):
    low, high = torch.tensor([0.1, -0.3, 0.76]), torch.tensor([0.4, 0.3, 1.1])
    return (
        low + (high - low) * torch.rand(n, 3, generator=torch.Generator().manual_seed(seed))
    ).double()


def seen(xyz, rig, noise=SIGMA, seed=1):
    uv, _ = geometry.project(xyz, rig.intrinsics, rig.extrinsics)
    drawn = torch.randn(
        uv.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return uv + noise * drawn


def error(a, b):
    return (a - b).norm(dim=-1)


def test_dlt_agrees_with_opencv_for_two_views():
    xyz, rig = points(500), cameras((0, 3))
    uv = seen(xyz, rig, noise=0)
    normalised = geometry.normalise_uv(uv, rig.intrinsics).numpy()
    homogeneous = cv2.triangulatePoints(
        E[0].numpy(),
        E[3].numpy(),
        np.ascontiguousarray(normalised[:, 0].T),
        np.ascontiguousarray(normalised[:, 1].T),
    )
    expected = torch.from_numpy((homogeneous[:3] / homogeneous[3]).T)
    found = estimators.dlt(uv, torch.ones(500, 2), rig).xyz
    assert (error(found, expected) / expected.norm(dim=-1)).max() < 1e-9


@every
@pytest.mark.parametrize("views", [(0, 3), (0, 2, 3), (0, 1, 2, 3)])
def test_exact_points_are_recovered(estimator, views):
    xyz, rig = points(200), cameras(views)
    found = estimator(seen(xyz, rig, noise=0), torch.ones(200, len(views)), rig)
    assert error(found.xyz, xyz).max() < 1e-9
    assert torch.linalg.eigvalsh(found.covariance).min() > 0


@every
def test_the_order_of_views_does_not_matter(estimator):
    xyz, order = points(500), [2, 0, 3, 1]
    uv = seen(xyz, cameras())
    uv[::3, 1] += 30
    weights = torch.ones(500, 4)
    weights[::5, 2] = 0
    a = estimator(uv, weights, cameras())
    b = estimator(uv[:, order], weights[:, order], cameras(order))
    torch.testing.assert_close(a.xyz, b.xyz, rtol=0, atol=1e-8)
    torch.testing.assert_close(a.covariance, b.covariance, rtol=1e-5, atol=1e-12)
    torch.testing.assert_close(a.inliers[:, order], b.inliers, rtol=0, atol=1e-5)


@every
def test_unused_views_change_nothing_and_one_view_is_not_enough(estimator):
    uv, weights = seen(points(60), cameras()), torch.ones(60, 4)
    weights[torch.arange(60), torch.arange(60) % 4] = 0
    weights[0] = torch.tensor([0, 1.0, 0, 0])
    a = estimator(uv, weights, cameras())
    b = estimator(torch.where(weights[..., None] > 0, uv, 3000.0), weights, cameras())
    assert a.xyz[0].isnan().all()
    assert (a.info[0] == 0).all()
    assert torch.equal(a.filled(torch.zeros(60, 3))[0], torch.zeros(3).double())
    assert a.xyz[1:].isfinite().all()
    torch.testing.assert_close(a.xyz[1:], b.xyz[1:], rtol=0, atol=1e-12)


@every
def test_all_view_subsets_at_once(estimator):
    uv, subsets = seen(points(40), cameras()), estimators.view_subsets(4, 3)
    together = estimator(uv.reshape(8, 5, 4, 2), subsets[:, None, None], cameras())
    assert together.xyz.shape == (4, 8, 5, 3)
    for i, views in enumerate([(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)]):
        alone = estimator(uv[:, list(views)], torch.ones(40, 3), cameras(views))
        torch.testing.assert_close(together.xyz[i].reshape(40, 3), alone.xyz, rtol=0, atol=1e-8)
        torch.testing.assert_close(
            together.covariance[i].reshape(40, 3, 3), alone.covariance, rtol=1e-5, atol=1e-12
        )


@pytest.mark.parametrize("views", [(0, 3), (0, 1, 2, 3)])
def test_maximum_likelihood_reaches_its_bound(views):
    xyz, rig, n = points(40000), cameras(views), 40000
    found = estimators.maximum_likelihood(seen(xyz, rig), torch.ones(n, len(views)), rig)
    bound = geometry.information(
        xyz, torch.ones(n, len(views)).double(), rig.intrinsics, rig.extrinsics, SIGMA
    )
    rms = error(found.xyz, xyz).square().mean().sqrt()
    assert rms == pytest.approx(
        float(torch.linalg.inv(bound).diagonal(dim1=-2, dim2=-1).sum(-1).mean().sqrt()), rel=0.02
    )
    assert error(found.xyz, xyz).mean() == pytest.approx(
        float(geometry.expected_error(bound).mean()), rel=0.02
    )


@every
def test_covariances_are_calibrated(estimator):
    xyz = points(20000)
    weights = torch.ones(20000, 4)
    weights[::2, 0] = 0
    found = estimator(seen(xyz, cameras()), weights, cameras())
    e = (found.xyz - xyz).unsqueeze(-1)
    squared = (e.transpose(1, 2) @ torch.linalg.inv(found.covariance) @ e).mean()
    # The robust ones state what their inliers would give, which is a little too confident.
    assert squared == pytest.approx(3.0, rel=0.05 if estimator in ALL[2:] else 0.02)


def test_the_weight_is_the_precision():
    xyz = points(20000)
    weights = torch.tensor([1.0, 0.25, 1.0, 0.1]).double()
    uv, _ = geometry.project(xyz, K, E)
    noise = torch.randn(uv.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    uv = uv + SIGMA * noise / weights.sqrt()[:, None]
    for estimator in ALL[:2]:
        found = estimator(uv, weights, cameras())
        e = (found.xyz - xyz).unsqueeze(-1)
        assert (e.transpose(1, 2) @ torch.linalg.inv(found.covariance) @ e).mean() == pytest.approx(
            3.0, rel=0.03
        )


@pytest.mark.parametrize(
    ("views", "middle"), [((0, 1, 2, 3), torch.mean), ((0, 2, 3), torch.median)]
)
def test_consensus_survives_one_gross_outlier(views, middle):
    xyz, rig, V, n = points(2000), cameras(views), len(views), 2000
    uv, weights = seen(xyz, rig), torch.ones(2000, len(views))
    generator = torch.Generator().manual_seed(5)
    wrong = torch.randint(V, (n,), generator=generator)
    angle = 2 * torch.pi * torch.rand(n, generator=generator, dtype=torch.float64)
    moved = uv.clone()
    moved[torch.arange(n), wrong] += 60 * torch.stack([angle.cos(), angle.sin()], -1)
    clean = middle(error(estimators.consensus(uv, weights, rig).xyz, xyz))
    found = estimators.consensus(moved, weights, rig)
    assert middle(error(found.xyz, xyz)) < 2 * clean
    named = found.inliers[torch.arange(n), wrong] == 0
    assert named.double().mean() > (
        0.99 if V == 4 else 0.75
    )  # three views: along an epipolar line none can tell
    assert middle(error(estimators.huber(moved, weights, rig).xyz, xyz)) > 2 * clean


def test_consensus_is_maximum_likelihood_on_clean_data():
    xyz, weights = points(3000), torch.ones(3000, 4)
    uv = seen(xyz, cameras())
    a, b = (
        estimators.consensus(uv, weights, cameras()),
        estimators.maximum_likelihood(uv, weights, cameras()),
    )
    same = (a.inliers > 0).all(-1)
    assert same.double().mean() > 0.98
    torch.testing.assert_close(a.xyz[same], b.xyz[same], rtol=0, atol=1e-9)
    assert error(a.xyz, xyz).mean() < 1.02 * error(b.xyz, xyz).mean()


def test_gradients_of_the_refinement():
    rig, xyz = cameras(), points(3)
    uv = seen(xyz, rig).requires_grad_()
    weights = torch.tensor([1.0, 0.5, 1.0, 0.3], dtype=torch.float64, requires_grad=True)
    for estimator in (estimators.dlt, estimators.maximum_likelihood):
        assert torch.autograd.gradcheck(
            lambda u, w, f=estimator: f(u, w, rig).xyz, (uv, weights), atol=1e-7, rtol=1e-4
        )
    assert torch.autograd.gradcheck(
        lambda u: estimators.huber(u, torch.ones(4), rig).xyz, (uv,), atol=1e-7, rtol=1e-4
    )


NAMES = {
    "dlt": "linear triangulation (DLT)",
    "ml": "maximum likelihood",
    "huber": "robust (Huber)",
    "consensus": "pairwise consensus",
    "mean": "7-frame weighted mean",
    "savitzky_golay": "Savitzky-Golay (7 frames, degree 2)",
    "rts": None,
    "map": None,
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_model_without_learning_is_a_reference_line(name, tmp_path):
    data = read_formal(write_scene(tmp_path / "a.npz", examples=3, outliers=0.05))
    rig = make_rig(data)
    tracks = load_tracks(data, rig, [0], "train", keypoint_ids(data, [0], ("waypoints", "robot")))
    tracks.info[3, 0], tracks.weights[3, :, 0] = 0, 0
    protocol = Protocol(7)
    model = build_model(NetworkConfig(TYPE="triangulation", ESTIMATOR=name), 3, rig)
    found = predict(model, tracks, rig, protocol)
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    if NAMES[name]:
        expected = reference_predictions(tracks, rig, protocol)[NAMES[name]].xyz
    else:  # whole examples that fit into the window
        short = dataclasses.replace(
            tracks,
            first=torch.arange(len(tracks)) // 4 * 4,
            last=torch.arange(len(tracks)) // 4 * 4 + 3,
        )
        found = predict(model, short, rig, protocol)
        lines = whole_track_predictions(short, rig, protocol)
        expected = next(found for line, found in lines.items() if line.lower().startswith(name)).xyz
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


def test_too_small_subsets_are_refused():
    with pytest.raises(ConfigError, match="allowed: 2 to 4"):
        estimators.view_subsets(4, 1)
