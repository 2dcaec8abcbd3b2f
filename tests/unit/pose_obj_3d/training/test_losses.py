"""Losses: known values, and gradients against finite differences in float64."""

import pytest
import torch

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.training import losses
from tests.unit.pose_obj_3d.synthetic import rig

K, E = (torch.from_numpy(x) for x in rig())
CENTRE = torch.tensor([0.25, 0.0, 0.9]).double()


def scene(sigma_m: float = 0.003):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    truth = CENTRE + 0.1 * normal(2, 3, 3)
    uv = geometry.project(truth, K, E)[0].transpose(1, 2)  # (B, V, K, 2)
    uv = uv + normal(*uv.shape)
    weights = torch.ones(2, 4, 3).double()
    weights[0, 1, 2] = weights[1, :, 0] = 0
    factor = torch.eye(3).double() / sigma_m + 20 * normal(2, 3, 3, 3)
    return truth + sigma_m * normal(2, 3, 3), factor, uv, weights, truth


def test_mpjpe_loss_value_and_mask():
    predicted = torch.tensor([[[3.0, 4, 0], [100, 0, 0]]])
    loss = losses.mpjpe_loss(predicted, torch.zeros(1, 2, 3), torch.tensor([[True, False]]))
    assert float(loss) == pytest.approx(5)


def test_mpjpe_loss_gradient_is_finite_at_zero_error():
    x = torch.zeros(1, 1, 3, requires_grad=True)
    losses.mpjpe_loss(x, torch.zeros(1, 1, 3), torch.ones(1, 1)).backward()
    assert x.grad.isfinite().all()


def test_gradcheck_mpjpe():
    blind, _, _, _, truth = scene()
    mask = torch.ones(2, 3).double()
    assert torch.autograd.gradcheck(
        lambda x: losses.mpjpe_loss(x, truth, mask), blind.requires_grad_()
    )


def test_gradcheck_blind_likelihood():
    blind, factor, uv, weights, _ = scene()

    def loss(x: torch.Tensor, L: torch.Tensor) -> torch.Tensor:
        return losses.blind_reprojection_nll(x, L @ L.transpose(-1, -2), uv, weights, (K, E), 1.29)[
            0
        ]

    assert torch.autograd.gradcheck(
        loss, (blind.requires_grad_(), factor.requires_grad_()), rtol=1e-3
    )


def test_blind_likelihood_is_the_dense_normal_density():
    blind, factor, uv, weights, _ = scene()
    info = factor @ factor.transpose(-1, -2)
    found, count = losses.blind_reprojection_nll(blind, info, uv, weights, (K, E), 1.29)
    assert count.tolist() == [[8, 8, 6], [0, 8, 8]]
    assert float(found[1, 0]) == 0
    predicted, J = geometry.projection_jacobian(blind[0, 0], K, E)
    J = J.reshape(8, 3)
    S = 1.29**2 * torch.eye(8).double() + J @ torch.linalg.inv(info[0, 0]) @ J.T
    r = (uv[0, :, 0] - predicted).reshape(8)
    distance = r @ torch.linalg.solve(S, r)
    inlier = (torch.tensor(1 - losses.OUTLIER_RATE)).log() - distance / 2
    wide = losses.OUTLIER_SCALE
    outlier = torch.tensor(losses.OUTLIER_RATE / wide**8).log() - distance / (2 * wide**2)
    expected = (torch.logdet(S) - 8 * torch.tensor(1.29**2).double().log()) / 2 - torch.logaddexp(
        inlier, outlier
    )
    assert float(found[0, 0]) == pytest.approx(float(expected), rel=1e-6)


def test_reprojection_loss_is_quadratic_then_linear():
    K, E = (torch.tensor(x) for x in rig())
    xyz = torch.tensor([[[0.2, 0.1, 0.8], [0.3, -0.1, 0.9]]], dtype=torch.float64)
    uv = geometry.project(xyz, K, E)[0].transpose(1, 2)
    weights = torch.ones(uv.shape[:-1], dtype=torch.float64)

    def loss(offset_px):
        moved = uv + torch.tensor([offset_px, 0.0], dtype=torch.float64)
        return float(losses.reprojection_loss(xyz, moved, weights, (K, E), 1.3))

    assert loss(0.0) == 0
    assert loss(0.013) == pytest.approx(0.01**2 / 2, rel=1e-4)
    assert loss(1300.0) - loss(1298.7) == pytest.approx(losses.ROBUST_SIGMAS, rel=1e-4)
    weights[:, 1:] = 0
    uv[:, 1:] = 1e4
    assert loss(0.0) == 0
    assert float(losses.reprojection_loss(xyz, uv, 0 * weights, (K, E), 1.3)) == 0


def test_gradcheck_reprojection():
    K, E = (torch.tensor(x) for x in rig())
    xyz = torch.tensor([[[0.2, 0.1, 0.8]]], dtype=torch.float64, requires_grad=True)
    uv = torch.full((1, 4, 1, 2), 120.0, dtype=torch.float64)
    weights = torch.tensor([[[1.0], [1], [0], [1]]], dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x: losses.reprojection_loss(x, uv, weights, (K, E), 1.3), xyz
    )


def test_an_unused_measurement_may_hold_anything():
    blind, factor, uv, weights, _ = scene()
    info = factor @ factor.transpose(-1, -2)
    other = torch.where(weights[..., None] > 0, uv, 1e4)
    a, b = (
        losses.blind_reprojection_nll(blind, info, x, weights, (K, E), 1.29)[0] for x in (uv, other)
    )
    torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_prediction_behind_the_cameras_costs_what_an_outlier_costs():
    """And no cancellation of huge residuals makes it look good."""
    cameras = K.float(), E.float()
    truth = torch.tensor([[[0.3, 0.0, 0.9]]])
    uv = geometry.project(truth, *cameras)[0].transpose(1, 2)
    weights, know_little = torch.ones(1, 4, 1), 2.0 * torch.eye(3).expand(1, 1, 3, 3)
    good, _ = losses.blind_reprojection_nll(truth, 1e6 * know_little, uv, weights, cameras, 1.29)
    for x in ([-1.24, -0.32, 2.296], [0.0, 0.0, 5.0], [-0.17, 0.0, 2.43], [-0.16, 0.01, 2.428]):
        wrong = torch.tensor([[x]], requires_grad=True)
        nll, _ = losses.blind_reprojection_nll(wrong, know_little, uv, weights, cameras, 1.29)
        nll.sum().backward()
        assert nll.isfinite().all()
        assert float(nll.detach()) > float(good) + 20
        assert wrong.grad.isfinite().all()
