import pytest
import torch

from pose_obj_3d.detector.learning.claims import (
    RADII,
    Calibration,
    Raw,
    calibrate,
    choose_gate,
    interpolate,
)
from pose_obj_3d.detector.learning.linking import Links
from pose_obj_3d.detector.learning.losses import square_distance

LINKS = Links(torch.zeros(3), (2,))


def detections(count, seed=0, overconfidence=3.0):
    """Heavy-tailed errors; the claims know their size up to a factor, and a fact knows more."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.randn(count, generator=generator)
    facts = torch.randn(count, 6, generator=generator)
    true = size[:, None] + 0.5 * facts[:, :1]
    chi = torch.randn(count, 5, generator=generator).square().sum(-1, keepdim=True)
    error = true.exp() * torch.randn(count, 2, generator=generator) * (5 / chi).sqrt()
    log_sd = (size - torch.tensor(overconfidence).log())[:, None].expand(-1, 2)
    return Raw(log_sd.clone(), torch.zeros(count), facts, torch.arange(count) % 2 == 0), error


def held(calibration, raw, error):
    log_sd = calibration.log_sd(raw.double())
    distance = square_distance(error.double(), log_sd, raw.rho.double())
    return {share: float((distance <= radius).double().mean()) for share, radius in RADII.items()}


def test_overconfident_claims_hold_after_calibration_on_other_data():
    raw, error = detections(6000)
    calibration = calibrate(raw, error, torch.ones(6000, dtype=torch.bool), 256, LINKS)
    share = held(calibration, *detections(6000, seed=1))
    assert share[0.68] == pytest.approx(0.70, abs=0.06)
    assert share[0.95] == pytest.approx(0.93, abs=0.03)


def test_calibration_learns_what_a_fact_says():
    raw, error = detections(6000)
    calibration = calibrate(raw, error, torch.ones(6000, dtype=torch.bool), 256, LINKS)
    assert float(calibration.weights[2]) == pytest.approx(0.5, abs=0.08)


def test_calibration_survives_a_checkpoint():
    raw, error = detections(400)
    calibration = calibrate(raw, error, torch.ones(400, dtype=torch.bool), 256, LINKS)
    again = Calibration.from_state(calibration.state(), 3, 1, 6)
    assert held(again, raw, error) == held(calibration, raw, error)


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"gate_px": 0.0},
        {"weights": torch.zeros(2)},
        {"rest_cost": torch.zeros(2)},
        {"middles": None},
        {"middles": torch.tensor([3])},
        {"middles": torch.tensor([0, 1])},
    ],
)
def test_a_damaged_calibration_is_refused(fault):
    raw, error = detections(400)
    state = calibrate(raw, error, torch.ones(400, dtype=torch.bool), 256, LINKS).state()
    with pytest.raises(ValueError, match="calibration"):
        Calibration.from_state({**state, **fault} if fault else {}, 3, 1, 6)


def test_gate_keeps_what_it_must_and_more_where_errors_are_few():
    size = torch.arange(1, 101).float()
    seen = torch.zeros(100, dtype=torch.bool)
    assert choose_gate(size, torch.zeros(100, dtype=torch.bool), seen) == 100
    assert 55 <= choose_gate(size, size > 20, seen) < 57


def test_interpolation_is_level_beyond_the_ends():
    at, values = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 5.0])
    found = interpolate(torch.tensor([-1.0, 1.0, 9.0]), at, values)
    assert found.tolist() == [1.0, 3.0, 5.0]
