"""Smoothers of tracks: they keep to their example, bridge gaps, find noise without labels."""

import dataclasses

import pytest
import torch

from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.smoothing.kalman import MOTIONS
from pose_obj_3d.tracks import track_smoothing as smoothers
from pose_obj_3d.tracks.types import Tracks

DT = 0.05
METHODS = {
    "mean": lambda t, blind=False: smoothers.window_mean(t, 7, blind),
    "savitzky_golay": lambda t, blind=False: smoothers.savitzky_golay(t, 7, 2, blind),
    **{m: lambda t, blind=False, m=m: smoothers.rts(t, m, 1.0, DT, blind) for m in MOTIONS},
}
every = pytest.mark.parametrize("method", list(METHODS.values()), ids=list(METHODS))


def make_tracks(truth, noise=0.004, seed=0, lengths=None):
    """Tracks whose triangulations have anisotropic noise of known information; truth (N, K, 3)."""
    N, K, _ = truth.shape
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(N, K, 3, 3, generator=generator, dtype=torch.float64)
    cov = noise**2 * (0.3 * a @ a.transpose(-1, -2) + torch.eye(3))
    error = (
        torch.linalg.cholesky(cov)
        @ torch.randn(N, K, 3, 1, generator=generator, dtype=torch.float64)
    ).squeeze(-1)
    counts = torch.tensor(lengths or [N])
    end = counts.cumsum(0)
    one = torch.ones(N, 4, K)
    return Tracks(
        uv=torch.zeros(N, 4, K, 2),
        weights=one,
        robust=one,
        xyz=truth + error,
        info=torch.linalg.inv(cov),
        truth=truth,
        precision=one,
        keypoint=torch.arange(K).expand(N, K),
        first=(end - counts).repeat_interleave(counts),
        last=(end - 1).repeat_interleave(counts),
        source=torch.zeros(N, 3, dtype=torch.int64),
    )


def path(N, K, power, seed=1):
    """Polynomial motion of a degree (N, K, 3) [m]."""
    t = (torch.arange(N, dtype=torch.float64) * DT)[:, None, None]
    c = (
        torch.randn(
            power + 1, K, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        * 0.1
    )
    return sum(c[p] * t**p for p in range(power + 1))


def cut(tracks, start):
    """The examples from frame `start` on, by themselves."""
    given = {f.name: getattr(tracks, f.name) for f in dataclasses.fields(tracks) if f.init}
    values = {name: x[start:] for name, x in given.items() if x is not None}
    return Tracks(**{k: v - start if k in ("first", "last") else v for k, v in values.items()})


@every
@pytest.mark.parametrize("blind", [False, True])
def test_examples_do_not_mix(method, blind):
    lengths = [20, 9, 33, 1]
    both = make_tracks(torch.cat([path(n, 3, 1, seed=n) + n for n in lengths]), lengths=lengths)
    both.info[25] = 0
    found = method(both, blind)
    for start in (20, 29, 62):
        alone = method(cut(both, start), blind)
        torch.testing.assert_close(found.xyz[start:], alone.xyz, rtol=0, atol=1e-9, equal_nan=True)
        torch.testing.assert_close(
            found.covariance[start:], alone.covariance, rtol=1e-6, atol=1e-12, equal_nan=True
        )
    assert found.xyz[62].isnan().all() == blind  # an example of one frame has nothing else


@every
def test_missing_frames_do_not_matter_and_are_bridged(method):
    truth = path(40, 2, 0)
    tracks = make_tracks(truth)
    tracks.info[10:14, 0] = 0
    found = method(tracks)
    tracks.xyz[10:14, 0] = 77.0
    assert torch.equal(found.xyz, method(tracks).xyz)
    assert (found.xyz - truth).norm(dim=-1).max() < 0.05
    spread = found.covariance.diagonal(dim1=-2, dim2=-1).sum(-1)
    assert spread[11, 0] > spread[30, 0]


@every
def test_the_blind_estimate_has_not_seen_its_frame(method):
    tracks = make_tracks(path(30, 2, 1))
    before = method(tracks, True)
    tracks.xyz[12] += 0.5
    tracks.info[12] *= 3
    after = method(tracks, True)
    torch.testing.assert_close(after.xyz[12], before.xyz[12], rtol=0, atol=1e-9)
    torch.testing.assert_close(after.covariance[12], before.covariance[12], rtol=1e-6, atol=1e-12)
    assert (after.xyz[13] - before.xyz[13]).norm(dim=-1).min() > 1e-3


def test_the_window_is_cut_at_the_edges():
    tracks = make_tracks(path(20, 2, 0), lengths=[8, 12])
    found = smoothers.window_mean(tracks, 5)
    for frame, rows in ((4, slice(2, 7)), (0, slice(0, 3)), (7, slice(5, 8)), (8, slice(8, 11))):
        mean, info = geometry.weighted_mean(
            tracks.xyz[rows].transpose(0, 1), tracks.info[rows].transpose(0, 1)
        )
        torch.testing.assert_close(found.xyz[frame], mean, rtol=0, atol=1e-9)
        torch.testing.assert_close(found.info[frame], info, rtol=1e-6, atol=1e-3)
    curve = path(20, 2, 2)
    exact = smoothers.savitzky_golay(make_tracks(curve, noise=1e-9), 7, 2)
    assert (exact.xyz - curve).abs().max() < 1e-7


def test_absent_keypoints_keep_what_they_had():
    tracks = make_tracks(path(12, 3, 0))
    keypoint = tracks.keypoint.clone()
    keypoint[:, 1] = -1
    tracks = dataclasses.replace(tracks, keypoint=keypoint)
    found = smoothers.rts(tracks, "constant velocity", 1.0, DT)
    assert found.xyz[:, 1].isnan().all()
    assert torch.equal(found.filled(tracks.xyz)[:, 1], tracks.xyz[:, 1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("motion", "q"),
    [("constant position", 0.08), ("constant velocity", 0.6), ("constant acceleration", 9.0)],
)
def test_process_noise_is_found_without_truth(motion, q):
    E, T, K = 12, 50, 5
    generator = torch.Generator().manual_seed(5)
    order = MOTIONS[motion]
    step = torch.matrix_exp(torch.diag(torch.ones(order, dtype=torch.float64), 1) * DT)
    state, rows = torch.zeros(E, K, 3, order, dtype=torch.float64), []
    for _ in range(T):
        rows.append(state[..., 0])
        kick = torch.randn(E, K, 3, 1, generator=generator, dtype=torch.float64)
        state = state @ step[:order, :order].T + q * kick * step[:order, order]
    tracks = make_tracks(torch.stack(rows, 1).flatten(0, 1), lengths=[T] * E)
    blind = dataclasses.replace(tracks, truth=None)
    assert smoothers.fit_process_noise(blind, motion, DT) == pytest.approx(q, rel=0.1)
    assert smoothers.fit_process_noise(blind, motion, DT, max_examples=6) == pytest.approx(
        q, rel=0.2
    )
    assert smoothers.fit_motion(blind, DT) == (
        motion,
        smoothers.fit_process_noise(blind, motion, DT),
    )
    assert smoothers.hindsight_process_noise(tracks, motion, DT, tracks.is_real) == pytest.approx(
        q, rel=0.3
    )
    raw = (tracks.xyz - tracks.truth).norm(dim=-1).mean()
    assert (smoothers.rts(tracks, motion, q, DT).xyz - tracks.truth).norm(dim=-1).mean() < 0.9 * raw
    with pytest.raises(DataError, match="fit_process_noise needs none"):
        smoothers.hindsight_process_noise(blind, motion, DT, tracks.is_real)


def test_errors_name_what_is_allowed():
    tracks = make_tracks(path(5, 1, 0))
    with pytest.raises(ConfigError, match="a window of 6 frames has no centre; allowed: odd"):
        smoothers.savitzky_golay(tracks, 6)
    with pytest.raises(ConfigError, match="'jerk' is unknown; allowed: constant position"):
        smoothers.rts(tracks, "jerk", 1.0, DT)
    with pytest.raises(ConfigError, match="'jerk' is unknown; allowed: constant position"):
        smoothers.fit_process_noise(tracks, "jerk", DT)
