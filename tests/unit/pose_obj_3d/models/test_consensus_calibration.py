"""Calibration without labels: it finds the scale of claims, and leaves right ones alone."""

import pytest
import torch

from pose_obj_3d.models.consensus.calibration import fit_scales, scales, whitened


def draw(n=60000, factor=2.0, size=0.3, outliers=0.0, seed=0):
    """Claims of variance c where the truth is factor times it, for predictions of two kinds."""
    g = torch.Generator().manual_seed(seed)
    kind = (torch.arange(n) % 2).double()
    features = torch.stack([torch.ones(n).double(), kind], 1)
    c = size * torch.rand(n, 3, generator=g, dtype=torch.float64) + size / 2
    true = torch.where(kind[:, None] == 1, factor * c, c)
    z = torch.randn(n, 3, generator=g, dtype=torch.float64) * (1 + true).sqrt()
    z[torch.rand(n, generator=g) < outliers] *= 30
    return features, c, z


@pytest.mark.parametrize("factor", [0.5, 2.0])
@pytest.mark.parametrize("outliers", [0.0, 0.05])
def test_the_scale_of_each_kind_is_found(factor, outliers):
    weights = fit_scales(*draw(factor=factor, outliers=outliers))
    found, share = scales(torch.tensor([[1.0, 0.0], [1.0, 1.0]]).double(), weights)
    torch.testing.assert_close(found, torch.tensor([1.0, factor]).double(), rtol=0.12, atol=0)
    assert (share < 0.3).all()


def test_claims_far_below_the_noise_stay():
    """A prediction 30 times better than the measurement has a scale that only the prior gives."""
    features, c, z = draw(n=3000, size=0.001, factor=1.0)
    found, _ = scales(features, fit_scales(features, c, z))
    assert ((found > 0.7) & (found < 1.4)).all()


def test_a_claim_too_long_and_thin_becomes_round():
    g = torch.Generator().manual_seed(0)
    features, n = torch.ones(60000, 1).double(), 60000
    c = torch.tensor([0.6, 0.01, 0.01]).double().expand(n, 3)
    true = torch.tensor([0.4, 0.11, 0.11]).double()
    z = torch.randn(n, 3, generator=g, dtype=torch.float64) * (1 + true).sqrt()
    factor, share = scales(features[:1], fit_scales(features, c, z))
    fitted = factor * (c[0] + share * (c[0].mean() - c[0]))
    torch.testing.assert_close(fitted, true, rtol=0.15, atol=0.01)


def test_whitening_makes_the_measurement_round():
    g = torch.Generator().manual_seed(1)
    a, b = (torch.randn(50, 3, 3, generator=g, dtype=torch.float64) for _ in range(2))
    C, info = a @ a.transpose(1, 2) + torch.eye(3), b @ b.transpose(1, 2) + torch.eye(3)
    d = torch.randn(50, 3, generator=g, dtype=torch.float64)
    variances, z = whitened(C, info, d)
    expected = (
        d.unsqueeze(1) @ torch.linalg.inv(C + torch.linalg.inv(info)) @ d.unsqueeze(-1)
    ).squeeze()
    torch.testing.assert_close((z.square() / (1 + variances)).sum(-1), expected)
