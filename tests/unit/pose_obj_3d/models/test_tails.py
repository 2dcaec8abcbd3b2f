"""Heavy tails of errors: found by a rehearsal, kept in checkpoints, counted in regions."""

import math

import pytest
import torch

from pose_obj_3d.evaluation import metrics
from pose_obj_3d.geometry.estimators import TAILS, Estimate, region_edges
from pose_obj_3d.models.consensus.model import Stc
from pose_obj_3d.models.consensus.scene import claims
from pose_obj_3d.models.consensus.scene.ground import Ground
from pose_obj_3d.models.consensus.size import StcConfig
from pose_obj_3d.training.checkpoints import state


def errors(freedom: float, count: int = 40000) -> torch.Tensor:
    """Draw errors (count, 3) of unit covariance with tails of so many degrees of freedom."""
    generator = torch.Generator().manual_seed(0)
    found = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    if freedom == math.inf:
        return found
    normal = torch.randn(count, int(freedom), generator=generator, dtype=torch.float64)
    return found * ((freedom - 2) / normal.square().sum(-1, keepdim=True)).sqrt()


@pytest.mark.parametrize("freedom", [math.inf, 10.0, 5.0])
def test_the_tail_of_errors_is_found_and_both_regions_hold(freedom):
    square = 3 * errors(freedom).square().sum(-1)
    about = torch.zeros(len(square), claims.COMMON)
    about[:, 0] = 1
    weights, tail = claims.fit_scale(about, square, 1.0, tails=TAILS)
    assert tail == pytest.approx(1 / freedom, abs=0.035)
    factor = float(weights[0].exp())
    assert factor == pytest.approx(3, rel=0.1)
    held = [float((square / factor < edge).double().mean()) for edge in region_edges(tail)]
    assert held == pytest.approx([0.68, 0.95], abs=0.012)
    _, none = claims.fit_scale(about, square, 1.0)
    assert none == 0


@pytest.mark.parametrize("freedom", [math.inf, 12.0, 5.0])
def test_regions_of_heavy_tails_hold_their_share(freedom):
    error = errors(freedom)
    covariance = torch.eye(3, dtype=error.dtype).expand(len(error), 3, 3)
    every = torch.ones(len(error), dtype=torch.bool)
    for percent in metrics.COVERAGE:
        share = metrics.coverage(
            error, torch.zeros_like(error), covariance, every, percent, 1 / freedom
        ).mean
        assert share == pytest.approx(percent / 100, abs=0.008)


def test_edges_between_known_tails_are_interpolated_and_end_with_them():
    small, large = region_edges((1 / 5 + 1 / 7) / 2)
    assert small == pytest.approx((TAILS[1 / 5][0] + TAILS[1 / 7][0]) / 2)
    assert large == pytest.approx((TAILS[1 / 5][1] + TAILS[1 / 7][1]) / 2)
    assert region_edges(0.0) == TAILS[0.0]
    assert region_edges(0.9) == region_edges(1 / 4) == TAILS[1 / 4]
    assert Estimate(torch.zeros(1, 3), torch.eye(3)[None]).tail == 0


def test_weights_of_a_version_without_tails_are_still_read():
    model = Stc(StcConfig(2, width=8, num_heads=2))
    model.ground = Ground(2)
    model.ground.tail.fill_(0.1)
    saved = {name: value.clone() for name, value in model.state_dict().items()}
    again = Stc(StcConfig(2, width=8, num_heads=2))
    state.load_model(again, saved)
    assert again.tail == pytest.approx(0.1)
    state.load_model(again, {k: v for k, v in saved.items() if k != "ground.tail"})
    assert again.ground is not None
    assert again.tail == 0
    again.expect([])
    assert again.tail == 0
