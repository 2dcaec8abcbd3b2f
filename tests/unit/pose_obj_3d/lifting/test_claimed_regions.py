"""Covariances are checked, and widened, by the detections of left-out cameras."""

import numpy as np
import pytest
import torch

from pose_obj_3d import lift_tracks
from pose_obj_3d.lifting.judging.claims import Missed, factor_of, held
from tests.unit.pose_obj_3d.lifting.track_scenes import members


def missed(factor, gross, n=4000, seed=0):
    """Detections whose variance is `factor` times the predicted one (1 px^2), some gross."""
    rng = np.random.default_rng(seed)
    off = rng.normal(size=(n, 2)) * np.sqrt(factor)
    off[rng.random(n) < gross] *= 30
    off = torch.tensor(np.linalg.norm(off, axis=-1))
    block = torch.arange(n) * 10 // n
    return Missed(off.square(), off, torch.full((n,), gross, dtype=torch.float64), 30.0, block)


@pytest.mark.parametrize("factor", [1.0, 9.0])
@pytest.mark.parametrize("gross", [0.0, 0.15])
def test_the_factor_is_found(factor, gross):
    found = held(missed(factor, gross))
    assert found.factor == pytest.approx(factor, rel=0.15)
    assert found.widened_68 == pytest.approx(68, abs=3)
    assert found.widened_95 == pytest.approx(95, abs=2)
    if factor > 1:
        assert found.percent_68 < 25


def test_a_few_detections_say_nothing():
    few = missed(9.0, 0.0, n=20)
    assert held(few) is None
    assert factor_of(few) == 1.0


def test_a_poor_calibration_widens_what_is_claimed():
    """One camera has moved by 4 cm: errors that the frames share, and that hardly average out."""
    file = members(frames=40, sequences=1, outliers=0.0)
    E = file["extrinsics"].copy()
    E[1, 0, 3] += 0.04
    result = lift_tracks(
        file["points"],
        file["intrinsics"],
        E,
        truth=file["truth"],
        keypoint_names=list(file["keypoint_names"]),
    )
    report = result.report
    assert report.error_mm[result.method].coverage_95_percent > 75
    for name, x in report.held.items():
        assert 0 <= x.percent_68 <= x.percent_95 <= 100, name
        assert x.factor > 0
    assert list(report.noise.sigma_px) == ["lid", "handle", "cup", "tip"]
    assert all(len(sigmas) == 4 for sigmas in report.noise.sigma_px.values())
    noise = report.noise
    shares = (noise.white_percent, noise.slow_percent, noise.constant_percent)
    assert sum(shares) == pytest.approx(100, abs=1)
    assert any("of left-out cameras" in line for line in report.notes)
