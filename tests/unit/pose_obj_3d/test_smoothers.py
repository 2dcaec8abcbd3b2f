"""Smoothers: exact where they must be, calibrated where their model holds."""

import pytest
import torch

from pose_obj_3d import geometry
from pose_obj_3d.exceptions import DataError
from pose_obj_3d.smoothers import NOISE_GRID, ORDERS, fit_process_noise, rts, savitzky_golay
from pose_obj_3d.windows import Tracks

DT = 0.05


def make_tracks(truth, noise=0.004, seed=0, lengths=None):
    """Tracks whose triangulations have anisotropic noise of known information; truth (N, K, 3)."""
    N, K, _ = truth.shape
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(N, K, 3, 3, generator=generator, dtype=torch.float64)
    cov = noise**2 * (0.3 * a @ a.transpose(-1, -2) + torch.eye(3))
    error = (torch.linalg.cholesky(cov) @ torch.randn(N, K, 3, 1, generator=generator, dtype=torch.float64)).squeeze(-1)
    lengths = lengths or [N]
    first = torch.cat([torch.full((n,), sum(lengths[:i])) for i, n in enumerate(lengths)])
    last = torch.cat([torch.full((n,), sum(lengths[: i + 1]) - 1) for i, n in enumerate(lengths)])
    one = torch.ones(N, 4, K)
    return Tracks(
        uv=torch.zeros(N, 4, K, 2), weights=one, robust=one, xyz=truth + error, info=torch.linalg.inv(cov),
        truth=truth, precision=one, keypoint=torch.arange(K).expand(N, K), first=first, last=last,
        source=torch.zeros(N, 3, dtype=torch.int64),
    )


def path(N, K, power, seed=1):
    """Polynomial motion of a degree (N, K, 3) [m]."""
    t = (torch.arange(N, dtype=torch.float64) * DT)[:, None, None]
    c = torch.randn(power + 1, K, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 0.1
    return sum(c[p] * t**p for p in range(power + 1))


def test_a_still_point_is_averaged_by_information():
    tracks = make_tracks(path(30, 3, 0))
    expected, info = geometry.weighted_mean(tracks.xyz.transpose(0, 1), tracks.info.transpose(0, 1))
    smoothed = rts(tracks, "constant position", 0.0, DT)
    torch.testing.assert_close(smoothed.xyz, expected.expand(30, 3, 3), rtol=0, atol=1e-8)
    torch.testing.assert_close(smoothed.cov[7], torch.linalg.inv(info), rtol=1e-4, atol=1e-12)
    xyz, cov = savitzky_golay(tracks, 7, 0)
    window, window_info = geometry.weighted_mean(tracks.xyz[5:12].transpose(0, 1), tracks.info[5:12].transpose(0, 1))
    torch.testing.assert_close(xyz[8], window, rtol=0, atol=1e-9)
    torch.testing.assert_close(cov[8], torch.linalg.inv(window_info), rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize(("model", "power"), [(m, n - 1) for m, n in ORDERS.items()])
def test_motion_of_the_model_is_reproduced(model, power):
    truth = path(40, 2, power)
    smoothed = rts(make_tracks(truth, noise=1e-7), model, 1e-9, DT)
    assert (smoothed.xyz - truth).abs().max() < 1e-6
    xyz, _ = savitzky_golay(make_tracks(truth, noise=1e-7), 7, 2)
    assert (xyz - truth).abs().max() < 1e-5


@pytest.mark.parametrize("model", list(ORDERS))
def test_covariance_is_calibrated_on_motion_of_the_model(model):
    """Normalised squared errors of 3 coordinates average to 3."""
    N, K, order, q = 120, 40, ORDERS[model], NOISE_GRID[model][4]
    generator = torch.Generator().manual_seed(5)
    state = torch.zeros(order, K, 3, dtype=torch.float64)
    rows, fine = [], 20
    for _ in range(N):
        for _ in range(fine):
            for i in range(order - 1):
                state[i] += state[i + 1] * DT / fine
            kick = torch.randn(K, 3, generator=generator, dtype=torch.float64)
            state[-1] += kick * (q * DT / fine) ** 0.5
        rows.append(state[0].clone())
    tracks = make_tracks(torch.stack(rows))
    smoothed = rts(tracks, model, q, DT)
    error = (smoothed.xyz - tracks.truth).unsqueeze(-1)
    square = (error.transpose(-1, -2) @ torch.linalg.solve(smoothed.cov, error)).mean()
    assert float(square) == pytest.approx(3.0, rel=0.1)
    raw = (tracks.xyz - tracks.truth).norm(dim=-1).mean()
    assert error.squeeze(-1).norm(dim=-1).mean() < raw
    best, found = fit_process_noise(tracks, model, DT)
    assert best == pytest.approx(q)
    torch.testing.assert_close(found.xyz, smoothed.xyz)


def test_examples_do_not_mix_and_gaps_are_bridged():
    truth = torch.cat([path(20, 2, 1), path(33, 2, 1, seed=3) + 1.0])
    both = make_tracks(truth, lengths=[20, 33])
    both.info[25:30] = 0
    both.xyz[25:30] = 77.0  # without information it must not matter
    alone = Tracks(**{
        name: getattr(both, name)[20:] - (20 if name in ("first", "last") else 0)
        for name in Tracks.__dataclass_fields__
    })
    for run in (lambda t: rts(t, "constant velocity", 0.1, DT).xyz, lambda t: savitzky_golay(t)[0]):
        a, b = run(both)[20:], run(alone)
        keep = [n for n in range(33) if not 5 <= n < 10] if run(both)[26].abs().max() > 50 else range(33)
        torch.testing.assert_close(a[list(keep)], b[list(keep)], rtol=0, atol=1e-9)
    bridged = rts(both, "constant velocity", 0.1, DT)
    assert (bridged.xyz - truth).norm(dim=-1).max() < 0.02
    assert (bridged.cov[27].diagonal(dim1=-2, dim2=-1) > bridged.cov[40].diagonal(dim1=-2, dim2=-1)).all()


def test_bad_requests():
    tracks = make_tracks(path(5, 1, 0))
    with pytest.raises(DataError, match="smoother 'jerk' is unknown; allowed: constant position"):
        rts(tracks, "jerk", 1.0, DT)
    with pytest.raises(DataError, match="odd window"):
        savitzky_golay(tracks, 6)
