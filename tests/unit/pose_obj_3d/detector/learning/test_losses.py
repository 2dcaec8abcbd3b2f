import math

import pytest
import torch

from pose_obj_3d.detector.learning.batches import Targets
from pose_obj_3d.detector.learning.losses import (
    claim_loss,
    claim_of,
    heatmap_target,
    square_distance,
    told_apart,
)
from pose_obj_3d.detector.learning.network import Candidates


def test_gradient_of_the_claims_is_right():
    torch.manual_seed(0)
    numbers = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    error = 3 * torch.randn(5, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: claim_loss(x, error), (numbers,))


def test_claim_is_a_density():
    """Its integral over the plane is 1."""
    numbers = torch.tensor([0.3, -0.2, 0.5, -1.0], dtype=torch.float64)
    at = torch.linspace(-200, 200, 801, dtype=torch.float64)
    error = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1)
    density = torch.exp(-claim_loss(numbers.expand(*error.shape[:-1], 4), error))
    assert float(density.sum()) * 0.5**2 == pytest.approx(1, abs=0.01)


def test_loss_prefers_the_true_scale():
    torch.manual_seed(1)
    error = 2 * torch.randn(4000, 2)
    loss = {
        sd: float(claim_loss(torch.tensor([math.log(sd)] * 2 + [0.0, -6.0]), error).mean())
        for sd in (0.5, 1.0, 2.0, 4.0, 8.0)
    }
    assert min(loss, key=loss.__getitem__) in (1.0, 2.0)


def test_claims_stay_in_their_range():
    claim = claim_of(torch.tensor([[1e6, -1e6, 1e6, 0.0]]))
    assert torch.isfinite(claim.log_sd).all()
    assert claim.rho.abs().max() < 1


def test_distance_knows_the_correlation():
    along, across = torch.tensor([1.0, 1.0]), torch.tensor([1.0, -1.0])
    rho, log_sd = torch.tensor(0.9), torch.zeros(2)
    assert square_distance(along, log_sd, rho) < 2 < square_distance(across, log_sd, rho)


def test_look_alikes_may_have_the_other_name():
    """Where the network clearly shows them exchanged, it learns their places as they are."""
    size = (16, 16)
    uv = torch.tensor([[[10.0, 12.0], [50.0, 40.0]]])
    targets = Targets(uv, torch.ones(1, 2), torch.tensor([[1.0, 0.0]]))
    shown = (heatmap_target(uv.flip(1), size) + 1e-6).log()
    unsure = torch.full_like(shown, 1 / 256).log()
    for log_heat, order in ((shown, [1, 0]), (shown.flip(1), [0, 1]), (unsure, [0, 1])):
        found = Candidates(log_heat, *([torch.zeros(1)] * 6))
        told = told_apart(found, targets, size, [(0, 1)])
        assert torch.equal(told.uv, uv[:, order])
        assert torch.equal(told.seen, targets.seen[:, order])
        assert torch.equal(told_apart(found, targets, size, []).uv, uv)


def test_target_has_its_middle_at_the_point():
    uv = torch.tensor([[[22.0, 34.0]]])
    share = heatmap_target(uv, (16, 16)).view(16, 16)
    at = 4 * (torch.arange(16) + 0.5)
    assert float(share.sum()) == pytest.approx(1)
    assert float((share.sum(0) * at).sum()) == pytest.approx(22, abs=0.05)
    assert float((share.sum(1) * at).sum()) == pytest.approx(34, abs=0.05)
