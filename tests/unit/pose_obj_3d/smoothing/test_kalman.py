"""Smoothers of sequences: as in textbooks, calibrated, differentiable, blind where asked."""

import numpy as np
import pytest
import torch

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.smoothing.kalman import (
    MOTIONS,
    PRIOR_INFO,
    innovation_nll,
    local_polynomial,
    smooth,
    smooth_both,
)

DT = 0.05
every_motion = pytest.mark.parametrize("motion", list(MOTIONS))


def measurements(T, B, seed=0, missing=0.0):
    """Random positions [m] and random anisotropic information, some of it missing."""
    g = torch.Generator().manual_seed(seed)
    a = torch.randn(T, B, 3, 3, generator=g, dtype=torch.float64)
    info = (a @ a.transpose(-1, -2) + 0.3 * torch.eye(3)) * 2e5
    xyz = 0.8 + 0.05 * torch.randn(T, B, 3, generator=g, dtype=torch.float64)
    lost = torch.rand(T, B, generator=g) < missing
    return xyz.masked_fill(lost[..., None], 9.0), info.masked_fill(lost[..., None, None], 0.0)


def transition(order, dt=DT):
    """Scalar transition and noise gain of a state with `order` derivatives, from its equation."""
    A = torch.diag(torch.ones(order, dtype=torch.float64), 1)
    full = torch.matrix_exp(A * dt)
    return full[:order, :order], full[:order, order]


def recursion(xyz, info, order, q):
    """The smoother of Rauch, Tung and Striebel for one sequence, as textbooks print it."""
    eye = torch.eye(3, dtype=torch.float64)
    f, g = transition(order)
    F, Q = torch.kron(f, eye), torch.kron(torch.outer(g, g), eye) * q**2
    seen = info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0
    x, P = (
        torch.zeros(3 * order, dtype=torch.float64),
        torch.eye(3 * order, dtype=torch.float64) / PRIOR_INFO,
    )
    x[:3] = xyz[seen].mean(0)
    H = torch.eye(3 * order, dtype=torch.float64)[:3]
    predicted, filtered = [], []
    for t in range(len(xyz)):
        if t:
            x, P = F @ x, F @ P @ F.T + Q
        predicted.append((x, P))
        if seen[t]:
            R = torch.linalg.inv(info[t])
            gain = P @ H.T @ torch.linalg.inv(H @ P @ H.T + R)
            left = torch.eye(3 * order, dtype=torch.float64) - gain @ H
            x, P = x + gain @ (xyz[t] - H @ x), left @ P @ left.T + gain @ R @ gain.T
        filtered.append((x, P))
    smoothed = [filtered[-1]]
    for t in range(len(xyz) - 2, -1, -1):
        (x, P), (ahead, spread), (later, cov) = filtered[t], predicted[t + 1], smoothed[-1]
        gain = torch.linalg.solve(spread, F @ P).T
        smoothed.append((x + gain @ (later - ahead), P + gain @ (cov - spread) @ gain.T))
    smoothed.reverse()
    return torch.stack([x[:3] for x, _ in smoothed]), torch.stack([P[:3, :3] for _, P in smoothed])


def batch_solution(xyz, info, order, q, skip=None):
    """The same posterior as one dense least squares problem over all states: one sequence."""
    eye, T, n = torch.eye(3, dtype=torch.float64), len(xyz), 3 * order
    f, g = transition(order)
    # The states are functions of the first one and of the noise of each frame; that has no singular
    # Q.
    columns = n + 3 * (T - 1)
    state = torch.zeros(T, n, columns, dtype=torch.float64)
    state[0, :, :n] = torch.eye(n)
    for t in range(1, T):
        state[t] = torch.kron(f, eye) @ state[t - 1]
        state[t, :, n + 3 * (t - 1) : n + 3 * t] += torch.kron(g[:, None], eye) * q
    normal = torch.diag(torch.cat([torch.full((n,), PRIOR_INFO), torch.ones(columns - n)])).double()
    moment = torch.zeros(columns, dtype=torch.float64)
    seen = info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0
    centre = xyz[seen].mean(0)
    for t in range(T):
        if t != skip:
            H = state[t, :3]
            normal += H.T @ info[t] @ H
            moment += H.T @ info[t] @ (xyz[t] - centre)
    inverse = torch.linalg.inv(normal)
    mean = state[:, :3] @ (inverse @ moment) + centre
    return mean, state[:, :3] @ inverse @ state[:, :3].transpose(1, 2)


@every_motion
def test_it_is_the_smoother_of_rauch_tung_and_striebel(motion):
    xyz, info = measurements(15, 4, missing=0.3)
    found = smooth(xyz, info, motion, 1.5, DT)
    for b in range(4):
        mean, cov = recursion(xyz[:, b], info[:, b], MOTIONS[motion], 1.5)
        torch.testing.assert_close(
            found.xyz[:, b], mean, rtol=0, atol=1e-5
        )  # the recursion loses digits to its prior
        torch.testing.assert_close(found.covariance[:, b], cov, rtol=1e-3, atol=1e-8)
        mean, cov = batch_solution(xyz[:, b], info[:, b], MOTIONS[motion], 1.5)
        torch.testing.assert_close(found.xyz[:, b], mean, rtol=0, atol=1e-8)
        torch.testing.assert_close(found.covariance[:, b], cov, rtol=1e-6, atol=1e-12)


@every_motion
@pytest.mark.parametrize("q", [0.0, 0.3, 3.0])
def test_leaving_one_out_equals_refitting_without_it(motion, q):
    xyz, info = measurements(9, 2, seed=3)
    info[4, 1] = 0  # a missing frame
    found = smooth(xyz, info, motion, q, DT, leave_one_out=True)
    for b in range(2):
        for t in range(9):
            less = info[:, b].clone()
            less[t] = 0
            again = smooth(xyz[:, b : b + 1], less[:, None], motion, q, DT)
            torch.testing.assert_close(found.xyz[t, b], again.xyz[t, 0], rtol=0, atol=1e-8)
            torch.testing.assert_close(
                found.covariance[t, b], again.covariance[t, 0], rtol=1e-6, atol=1e-12
            )
            mean, cov = batch_solution(xyz[:, b], info[:, b], MOTIONS[motion], q, skip=t)
            torch.testing.assert_close(found.xyz[t, b], mean[t], rtol=0, atol=1e-8)
            torch.testing.assert_close(found.covariance[t, b], cov[t], rtol=1e-5, atol=1e-12)


def test_leaving_one_out_is_the_smoothed_information_less_the_measurement():
    xyz, info = measurements(20, 3)
    with_it, without = (
        smooth(xyz, info, "constant velocity", 0.5, DT, blind) for blind in (False, True)
    )
    torch.testing.assert_close(with_it.info - info, without.info, rtol=1e-6, atol=1e-3)


def test_a_still_point_is_the_weighted_mean():
    xyz, info = measurements(60, 5, missing=0.2)
    mean, total = geometry.weighted_mean(xyz.transpose(0, 1), info.transpose(0, 1))
    for q in (0.0, 1e-12):
        found = smooth(xyz, info, "constant position", q, DT)
        torch.testing.assert_close(found.xyz, mean.expand(60, 5, 3), rtol=0, atol=1e-9)
        torch.testing.assert_close(found.info, total.expand(60, 5, 3, 3), rtol=1e-8, atol=1e-3)
    found = local_polynomial(xyz.transpose(0, 1), info.transpose(0, 1), torch.arange(60), 0)
    torch.testing.assert_close(found.xyz, mean, rtol=0, atol=1e-9)
    torch.testing.assert_close(found.info, total, rtol=1e-8, atol=1e-3)


@every_motion
@pytest.mark.parametrize("q", [0.0, 0.01, 5.0])
@pytest.mark.parametrize("blind", [False, True])
def test_motion_of_the_model_is_reproduced_exactly(motion, q, blind):
    _, info = measurements(30, 4, missing=0.3)
    t = torch.arange(30, dtype=torch.float64)[:, None, None] * DT
    c = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.3
    truth = sum(c[d] * t**d for d in range(MOTIONS[motion]))
    xyz = torch.where(info.abs().sum((-1, -2))[..., None] > 0, truth, 7.0)
    found = smooth(xyz, info, motion, q, DT, blind)
    error = (found.xyz - truth).norm(dim=-1)
    seen = info.abs().sum((-1, -2)) > 0
    # What is extrapolated to an edge feels the prior, which knows 1 km/s.
    assert error.max() < 1e-7
    if not blind:
        assert error[seen].max() < 1e-9


@every_motion
def test_large_noise_keeps_the_measurements_and_positive_covariances(motion):
    xyz, info = measurements(100, 6)
    found = smooth(xyz, info, motion, 1e4, DT)
    assert (found.xyz - xyz).norm(dim=-1).median() < 1e-4
    for q in (0.0, 1e-6, 1.0, 1e3, 1e4):
        for blind in (False, True):
            found = smooth(xyz, info, motion, q, DT, blind)
            assert found.xyz.isfinite().all()
            assert torch.linalg.eigvalsh(found.covariance).min() > 0


@every_motion
def test_covariances_are_calibrated(motion):
    T, B, q, order = (
        25,
        4000,
        {"constant position": 0.1, "constant velocity": 2.0}.get(motion, 40.0),
        MOTIONS[motion],
    )
    g = torch.Generator().manual_seed(7)
    f, gain = transition(order)
    state = torch.randn(B, 3, order, generator=g, dtype=torch.float64) * 0.1
    truth = [state[..., 0]]
    for _ in range(T - 1):
        state = state @ f.T + q * torch.randn(B, 3, 1, generator=g, dtype=torch.float64) * gain
        truth.append(state[..., 0])
    truth = torch.stack(truth)
    _, info = measurements(T, B, missing=0.1)
    noise = torch.linalg.cholesky(torch.linalg.inv(info + 1e-3 * torch.eye(3)))
    xyz = truth + (noise @ torch.randn(T, B, 3, 1, generator=g, dtype=torch.float64)).squeeze(-1)
    for blind in (False, True):
        found = smooth(xyz, info, motion, q, DT, blind)
        e = (found.xyz - truth).unsqueeze(-1)
        squared = (e.transpose(-1, -2) @ torch.linalg.inv(found.covariance) @ e).flatten(1)
        assert squared.mean() == pytest.approx(3.0, rel=0.02)
        assert (squared.mean(1) - 3).abs().max() < 0.3  # in every frame, the edges included
    nll = [
        float(innovation_nll(xyz, info, motion, q * factor, DT)[0].sum())
        for factor in (0.7, 1.0, 1.4)
    ]
    assert nll[1] < min(nll[0], nll[2])


def test_innovations_are_scored_as_gaussians():
    xyz, info = measurements(12, 3, missing=0.2)
    nll, counts = innovation_nll(xyz, info, "constant velocity", 0.8, DT)
    seen = info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0
    assert torch.equal(counts, seen & (seen.cumsum(0) > 2))
    for b in range(3):
        for t in counts[:, b].nonzero().flatten().tolist():
            less = info[: t + 1, b : b + 1].clone()
            less[t] = 0
            before = smooth(xyz[: t + 1, b : b + 1], less, "constant velocity", 0.8, DT)
            spread = before.covariance[t, 0] + torch.linalg.inv(info[t, b])
            law = torch.distributions.MultivariateNormal(before.xyz[t, 0], spread)
            assert float(nll[t, b]) == pytest.approx(-float(law.log_prob(xyz[t, b])), rel=1e-6)


def test_process_noise_may_differ_by_sequence():
    xyz, info = measurements(10, 2)
    both = smooth(xyz, info, "constant velocity", torch.tensor([0.1, 9.0]).double(), DT)
    for b, q in enumerate((float(torch.tensor(0.1)), 9.0)):
        alone = smooth(xyz[:, b : b + 1], info[:, b : b + 1], "constant velocity", q, DT)
        torch.testing.assert_close(both.xyz[:, b], alone.xyz[:, 0], rtol=0, atol=1e-12)


@every_motion
@pytest.mark.parametrize("frames", [1, 2, 7, 8])
def test_several_process_noises_at_once_are_as_one_after_the_other(motion, frames):
    xyz, info = measurements(frames, 3, missing=0.3)
    q = torch.tensor([0.0, 0.5, 9.0]).double()
    for found, blind in zip(
        smooth_both(xyz, info, motion, q[:, None], DT), (False, True), strict=True
    ):
        alone = [smooth(xyz, info, motion, float(one), DT, blind) for one in q]
        torch.testing.assert_close(
            found.xyz, torch.stack([a.xyz for a in alone], 1), rtol=0, atol=1e-12, equal_nan=True
        )
        torch.testing.assert_close(
            found.covariance,
            torch.stack([a.covariance for a in alone], 1),
            rtol=1e-12,
            atol=0,
            equal_nan=True,
        )


def test_time_reversed_is_smoothed_the_same():
    xyz, info = measurements(9, 4, missing=0.2)
    for motion in MOTIONS:
        for blind in (False, True):
            found = smooth(xyz, info, motion, 0.7, DT, blind)
            mirrored = smooth(xyz.flip(0), info.flip(0), motion, 0.7, DT, blind)
            torch.testing.assert_close(mirrored.xyz.flip(0), found.xyz, rtol=0, atol=1e-8)


def test_sequences_without_measurements_are_unknown():
    xyz, info = measurements(6, 3)
    info[:, 0] = 0
    info[1:, 1] = 0  # a single measured frame
    found, blind = (smooth(xyz, info, "constant velocity", 1.0, DT, b) for b in (False, True))
    assert found.xyz[:, 0].isnan().all()
    assert blind.xyz[0, 1].isnan().all()
    torch.testing.assert_close(found.xyz[:, 1], xyz[:1, 1].expand(6, 3))
    assert found.xyz[:, 2].isfinite().all()
    assert (found.info[:, 0] == 0).all()


@pytest.mark.slow
def test_gradients():
    xyz, info = measurements(4, 1)
    info = info / 2e5
    inputs = (
        xyz.requires_grad_(),
        info.requires_grad_(),
        torch.tensor(2.0).double().requires_grad_(),
    )
    for motion in MOTIONS:
        for blind in (False, True):

            def both(x, i, q, m=motion, b=blind):
                found = smooth(x, (i + i.transpose(-1, -2)) / 2, m, q, 1.0, b)
                return found.xyz, found.covariance

            assert torch.autograd.gradcheck(both, inputs, atol=1e-5, rtol=1e-4)
        assert torch.autograd.gradcheck(
            lambda x, i, q, m=motion: innovation_nll(x, i, m, q, 1.0)[0], inputs
        )
    assert torch.autograd.gradcheck(
        lambda x, i: local_polynomial(x, i, torch.arange(-1, 1), 1).xyz, [xyz[:2], info[:2]]
    )


@pytest.mark.parametrize(("frames", "degree"), [(7, 2), (5, 1), (9, 4)])
def test_equal_information_gives_the_filter_of_savitzky_and_golay(frames, degree):
    xyz, _ = measurements(30, 1)
    info = (torch.eye(3) * 4e4).double().expand(30, 3, 3)
    half = frames // 2
    filter_row = np.linalg.pinv(np.vander(np.arange(-half, half + 1), degree + 1, increasing=True))[
        0
    ]
    expected = np.stack([filter_row @ xyz[n : n + frames, 0].numpy() for n in range(31 - frames)])
    windows = xyz[:, 0].unfold(0, frames, 1).transpose(1, 2)
    found = local_polynomial(
        windows,
        info[:frames].expand(30 - 2 * half, -1, -1, -1),
        torch.arange(-half, half + 1),
        degree,
    )
    np.testing.assert_allclose(found.xyz, expected, atol=1e-12)
    if (frames, degree) == (7, 2):
        np.testing.assert_allclose(
            filter_row, np.array([-2, 3, 6, 7, 6, 3, -2]) / 21
        )  # their table I


def test_local_polynomials_lower_their_degree_with_the_frames():
    xyz, info = measurements(7, 4)
    offsets = torch.arange(-3, 4)
    kept = torch.tensor(
        [[1, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0], [1, 1, 1, 0, 1, 0, 0]]
    )
    info = info.transpose(0, 1) * kept[..., None, None]
    xyz = xyz.transpose(0, 1)
    found = local_polynomial(xyz, info, offsets, 2)
    torch.testing.assert_close(
        found.xyz[0], (xyz[0, 0] + xyz[0, 6]) / 2, rtol=0, atol=1e-12
    )  # a line
    assert found.xyz[1].isnan().all()
    torch.testing.assert_close(found.xyz[2], xyz[2, 4])
    curve = 0.2 + 0.03 * offsets + 0.01 * offsets**2
    exact = local_polynomial(curve[:, None].double() * torch.ones(3), info[3], offsets, 2)
    torch.testing.assert_close(exact.xyz, torch.full((3,), 0.2).double())
    assert exact.covariance.shape == (3, 3)


def test_errors_name_what_is_allowed():
    xyz, info = measurements(3, 1)
    with pytest.raises(ConfigError, match="allowed: constant position, constant velocity"):
        smooth(xyz, info, "constant jerk", 1.0, DT)
    with pytest.raises(ConfigError, match="degree"):
        local_polynomial(xyz, info, torch.arange(1), -1)
