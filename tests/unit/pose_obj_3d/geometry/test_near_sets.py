"""Sets of many views judged where their consensus lies, against triangulating each of them."""

import math

import pytest
import torch

from pose_obj_3d.geometry import estimators, multi_view, near_sets, view_sets
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.geometry.view_sets import Errors

VIEWS, POINTS, SIGMA = 9, 400, 1.5


def _rig() -> Rig:
    """Cameras in a ring of 2 m around the origin, looking at it."""
    extrinsics = []
    for v in range(VIEWS):
        angle = 2 * math.pi * v / VIEWS
        centre = torch.tensor([2 * math.cos(angle), 2 * math.sin(angle), 1.0 + 0.2 * (v % 3)])
        z = -centre / centre.norm()
        x = torch.linalg.cross(z, torch.tensor([0.0, 0.0, 1.0]))
        x = x / x.norm()
        rotation = torch.stack([x, torch.linalg.cross(z, x), z])
        extrinsics.append(torch.cat([rotation, -(rotation @ centre)[:, None]], 1))
    intrinsics = torch.tensor([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]).expand(VIEWS, 3, 3)
    return Rig(intrinsics.double(), torch.stack(extrinsics).double(), 1.0, tuple(range(VIEWS)))


@pytest.fixture(scope="module")
def scene():
    """Points with noise; one detection in twelve is far off, one in ten is missing."""
    rig, generator = _rig(), torch.Generator().manual_seed(3)
    draw = {"generator": generator, "dtype": torch.float64}
    truth = 0.4 * torch.randn(POINTS, 3, **draw)
    uv, _ = multi_view.project(truth, rig.intrinsics, rig.extrinsics)
    uv = uv + SIGMA * torch.randn(uv.shape, **draw)
    is_gross = torch.rand(uv.shape[:-1], **draw) < 1 / 12
    uv[is_gross] += 40 * torch.randn(int(is_gross.sum()), 2, **draw)
    is_there = torch.rand(uv.shape[:-1], **draw) < 0.9
    variance = torch.where(is_there, SIGMA**2, torch.inf)
    errors = Errors(variance, torch.full_like(variance, 0.08), 20.0)
    return rig, truth, uv, errors, is_gross & is_there


def test_it_says_what_triangulating_every_set_says(scene):
    rig, _, uv, errors, _ = scene
    space = view_sets.describe_scene(uv, 1 / errors.variance, rig)
    near = near_sets.weigh(uv, errors, rig, space)
    fits = view_sets.fit_sets(uv, errors, rig)
    verdict, fits = view_sets.judge(uv, errors, rig, space, fits)
    best = verdict.share.argmax(0)
    rows = torch.arange(POINTS)
    sound = (verdict.share[..., None] * fits.members).nansum(0)
    assert near.is_known.all()
    torch.testing.assert_close(near.used, fits.members[best, rows])
    torch.testing.assert_close(near.xyz, fits.xyz[best, rows], atol=1e-6, rtol=0)
    torch.testing.assert_close(near.sound, sound, atol=5e-3, rtol=0)
    torch.testing.assert_close(near.covariance, verdict.covariance[best, rows], rtol=0.02, atol=0)


def test_gross_errors_are_found(scene):
    rig, truth, uv, errors, is_gross = scene
    space = view_sets.describe_scene(uv, 1 / errors.variance, rig)
    found = near_sets.weigh(uv, errors, rig, space)
    off = (uv - multi_view.project(truth, rig.intrinsics, rig.extrinsics)[0]).norm(dim=-1)
    many = (errors.is_there & ~is_gross).sum(-1, keepdim=True) >= 4
    assert float(found.sound[many & is_gross & (off > 8 * SIGMA)].max()) < 0.05
    assert float(found.sound[errors.is_there & ~is_gross].median()) > 0.98
    assert float((found.xyz - truth).norm(dim=-1).median()) < 0.0045


def test_points_of_too_few_views_are_unknown(scene):
    rig, _, uv, errors, _ = scene
    variance = errors.variance[:20].clone()
    variance[:10, 1:] = torch.inf
    few = Errors(variance, errors.gross_rate[:20], errors.gross_scale)
    space = view_sets.describe_scene(uv, 1 / errors.variance, rig)
    found = near_sets.weigh(uv[:20], few, rig, space)
    assert not found.is_known[:10].any()
    assert found.is_known[10:].all()


def test_the_consensus_of_many_views_needs_no_pairs(scene, monkeypatch):
    rig, truth, uv, errors, _ = scene
    weights = SIGMA**2 / errors.variance
    rig = Rig(rig.intrinsics, rig.extrinsics, SIGMA, rig.view_ids)
    found = estimators.consensus(uv, weights, rig)
    monkeypatch.setattr(estimators, "_CLEAR_SHARE", 2.0)  # none is clear: all are searched
    searched = estimators.consensus(uv, weights, rig)
    same = ((found.inliers > 0) == (searched.inliers > 0)).all(-1)
    assert float(same.double().mean()) > 0.97
    torch.testing.assert_close(found.xyz[same], searched.xyz[same], atol=1e-6, rtol=0)
    errors_mm = [1000 * float((x.xyz - truth).norm(dim=-1).mean()) for x in (found, searched)]
    assert errors_mm[0] < 1.02 * errors_mm[1]
