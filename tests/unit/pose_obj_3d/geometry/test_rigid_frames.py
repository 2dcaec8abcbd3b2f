"""Poses of frames from three points."""

import math

import pytest
import torch

from pose_obj_3d.common.errors import PoseObj3DError
from pose_obj_3d.geometry.rigid_frames import fit_frames, turn_between

LENGTHS = torch.tensor([0.08, 0.08], dtype=torch.float64)


def turns(vectors):
    x, y, z = vectors.unbind(-1)
    o = torch.zeros_like(x)
    rows = [torch.stack(r, -1) for r in ((o, -z, y), (z, o, -x), (-y, x, o))]
    return torch.linalg.matrix_exp(torch.stack(rows, -2))


def frames(count, seed=0):
    rng = torch.Generator().manual_seed(seed)
    R = turns(torch.randn(count, 3, generator=rng, dtype=torch.float64))
    p = torch.randn(count, 3, generator=rng, dtype=torch.float64)
    model = torch.diag(torch.tensor([0.08, 0.08, 0.0], dtype=torch.float64))[[2, 0, 1]]
    return R, p, model @ R.transpose(-1, -2) + p[:, None], rng


def test_exact_points_give_the_exact_pose():
    R, p, points, _ = frames(50)
    found = fit_frames(points, LENGTHS)
    assert (found.rotation - R).abs().max() < 1e-9
    assert (found.position - p).abs().max() < 1e-9
    assert found.covariance.isnan().all()


def test_the_covariance_holds_what_it_claims():
    R, p, points, rng = frames(4000)
    root = 0.0008 * torch.randn(4000, 3, 3, 3, generator=rng, dtype=torch.float64)
    C = root @ root.transpose(-1, -2) + 1e-7 * torch.eye(3, dtype=torch.float64)
    noise = torch.randn(4000, 3, 3, 1, generator=rng, dtype=torch.float64)
    seen = points + (torch.linalg.cholesky(C) @ noise).squeeze(-1)
    found = fit_frames(seen, LENGTHS, C)
    error = torch.cat([turn_between(R, found.rotation), p - found.position], -1)
    square = (error * torch.linalg.solve(found.covariance, error)).sum(-1)
    assert abs(float((square < 7.0384).double().mean()) - 0.68) < 0.03  # chi-squared, 6
    assert abs(float((square < 12.5916).double().mean()) - 0.95) < 0.015
    plain = fit_frames(seen, LENGTHS)
    weighted_error = turn_between(R, found.rotation).norm(dim=-1).mean()
    assert weighted_error < 0.9 * turn_between(R, plain.rotation).norm(dim=-1).mean()


def test_a_missing_point_gives_no_pose_and_a_missing_claim_no_covariance():
    _, _, points, _ = frames(3)
    C = 1e-6 * torch.eye(3, dtype=torch.float64).expand(3, 3, 3, 3).clone()
    points[0, 1, 2] = torch.nan
    C[1, 2, 0, 0] = torch.nan
    found = fit_frames(points, LENGTHS, C)
    assert found.rotation[0].isnan().all()
    assert found.position[0].isnan().all()
    assert found.rotation[1:].isfinite().all()
    assert found.covariance[:2].isnan().all()
    assert found.covariance[2].isfinite().all()


def test_points_on_one_line_say_that_an_angle_is_open():
    points = torch.tensor([[[0.0, 0, 0], [0.08, 0, 0], [0.08, 0, 0]]])
    found = fit_frames(points, LENGTHS, 1e-6 * torch.eye(3).expand(1, 3, 3, 3))
    assert found.rotation.isfinite().all()
    assert torch.linalg.det(found.rotation) == pytest.approx(1)


@pytest.mark.parametrize("angle", [0.0, 1e-7, 0.3, math.pi - 1e-6, math.pi])
def test_turns_of_every_size(angle):
    axis = torch.nn.functional.normalize(torch.tensor([[1.0, -2, 0.5]], dtype=torch.float64))
    b = turns(torch.tensor([[0.3, 0.2, -1]], dtype=torch.float64))
    found = turn_between(turns(angle * axis) @ b, b)
    assert float(found.norm()) == pytest.approx(angle, abs=1e-7)
    assert float((turns(found) - turns(angle * axis)).abs().max()) < 1e-6


def test_wrong_shapes_are_named():
    with pytest.raises(PoseObj3DError, match="points must have shape"):
        fit_frames(torch.zeros(4, 3), LENGTHS)
