"""The noise in three parts, by view and keypoint, found without labels."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.geometry.noise_parts import NoiseParts, white_noise
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.noise_of_tracks import noise_parts
from tests.unit.pose_obj_3d.synthetic import motion, project, rig

SIGMA = np.array([0.8, 1.3, 1.3, 2.4])
FACTORS = np.array([0.6, 0.9, 1.1, 1.6])  # of four keypoints


@dataclass(frozen=True)
class Errors:
    """How simulated detections err; shares of the square error, and of the detections."""

    slow: float = 0.0
    offset: float = 0.0
    time_constant: float = 8.0
    gross: float = 0.0

    def draw(self, rng, sigma, frames):
        """(V, T, K, 2) with a deviation of sigma (V, K)."""
        V, K = sigma.shape
        a = np.exp(-1 / self.time_constant)
        slow = rng.normal(size=(V, frames, K, 2))
        for t in range(1, frames):
            slow[:, t] = a * slow[:, t - 1] + np.sqrt(1 - a * a) * slow[:, t]
        white = rng.normal(size=slow.shape) * np.sqrt(1 - self.slow - self.offset)
        offset = rng.normal(size=(V, 1, K, 2)) * np.sqrt(self.offset)
        found = (white + np.sqrt(self.slow) * slow + offset) * sigma[:, None, :, None]
        # Gross errors last, too: they are there in stretches of ten frames.
        level = rng.random((V, -(-frames // 10), K)).repeat(10, 1)[:, :frames]
        angle = rng.uniform(0, 2 * np.pi, (V, 1, K))
        far = 25 * np.stack([np.cos(angle), np.sin(angle)], -1)
        return found + (level < self.gross)[..., None] * far


def scene(sigma, errors, sequences=40, frames=60, seed=0, views=4):
    """uv (N, V, K, 2), weights, keypoint (N, K), first (N,) and the rig."""
    rng = np.random.default_rng(seed)
    K, E = rig()
    parts = []
    for _ in range(sequences):
        exact = project(motion(rng, frames, [True, False, True, True]), K, E)
        parts.append(exact + errors.draw(rng, sigma, frames))
    uv = torch.tensor(np.concatenate(parts, 1)).transpose(0, 1)[:, :views]
    number = torch.arange(len(uv))
    return (
        uv,
        torch.ones(uv.shape[:-1], dtype=torch.float64),
        torch.arange(4).expand(len(uv), 4),
        number - number % frames,
        Rig(torch.tensor(K)[:views], torch.tensor(E)[:views], 9.0, tuple(range(views))),
    )


def difference(found: Tensor, sigma: np.ndarray) -> np.ndarray:
    """Logarithm of the ratio to the truth."""
    return np.log(found.numpy() / sigma)


def test_white_noise_stays_white():
    found = noise_parts(*scene(np.tile(SIGMA[:, None], (1, 4)), Errors()))
    assert found.is_white
    assert found.time_constant == 0
    assert found.shares == (1.0, 0.0, 0.0)
    assert float(found.gross_rate.mean()) < 0.01
    assert abs(difference(found.sigma, SIGMA[:, None])).max() < 0.06
    n = torch.tensor([1, 7, 100])
    assert found.inflation(n).tolist() == [1.0, 1.0, 1.0]
    assert (found.long_run, found.floor_share) == (1.0, 0.0)


@pytest.mark.parametrize("gross", [0.0, 0.15])
def test_lasting_errors_are_found_in_their_parts(gross):
    sigma = SIGMA[:, None] * FACTORS
    found = noise_parts(*scene(sigma, Errors(0.55, 0.3, 8.0, gross)))
    white, slow, offset = found.shares
    assert slow == pytest.approx(0.55, abs=0.08)
    assert offset == pytest.approx(0.3, abs=0.08)
    assert white == pytest.approx(0.15, abs=0.06)
    assert found.time_constant == pytest.approx(8, rel=0.35)
    off = difference(found.sigma, sigma)
    assert abs(off.mean()) < 0.08
    assert off.std() < 0.15  # without any estimate by view and keypoint it is 0.5
    assert float(found.gross_rate.mean()) == pytest.approx(gross, abs=0.03)
    if gross:
        assert found.gross_scale == pytest.approx(25, rel=0.2)


def test_the_noise_is_not_that_of_the_core_that_agrees():
    """A quarter of the detections gross, errors of many sizes: the root mean square is found."""
    sigma = 1.85 * SIGMA[:, None] / 1.3 * FACTORS
    found = noise_parts(*scene(sigma, Errors(0.6, 0.33, 8.5, 0.25)))
    rms = float(found.sigma.square().mean().sqrt())
    assert rms == pytest.approx(np.sqrt(np.mean(sigma**2)), rel=0.12)


def test_few_data_are_drawn_to_what_is_common():
    """From one short sequence the spread of chance between keypoints is not taken for theirs."""
    sigma = np.full((4, 4), 1.3)
    spreads = []
    for seed in range(3):
        found = noise_parts(*scene(sigma, Errors(), sequences=1, frames=40, seed=seed))
        spreads.append(float(found.sigma.log().std()))
        assert abs(difference(found.sigma, sigma).mean()) < 0.2
    assert np.mean(spreads) < 0.06  # one variance for each has 0.1


def test_two_views_share_one_noise():
    found = noise_parts(*scene(np.full((4, 4), 1.3), Errors(), sequences=10, views=2))
    assert float(found.sigma.log().std()) < 1e-6
    assert float(found.sigma.mean()) == pytest.approx(1.3, rel=0.1)


def test_a_third_camera_that_sees_nothing_changes_nothing():
    sigma = np.tile(SIGMA[:, None], (1, 4))
    uv, weights, *where = scene(sigma, Errors(), sequences=4, views=3)
    weights[:, 2] = 0
    found = noise_parts(uv, weights, *where)
    two = noise_parts(*scene(sigma, Errors(), sequences=4, views=2))
    torch.testing.assert_close(found.sigma[:2], two.sigma, rtol=0.05, atol=0)
    assert found.is_white == two.is_white


def test_many_views_and_missing_detections():
    """Six views, by repeating two of them: sets near the consensus are enough."""
    uv, weights, keypoint, first, cameras = scene(np.full((4, 4), 1.3), Errors(gross=0.1))
    more = Errors(gross=0.1).draw(np.random.default_rng(5), np.full((2, 4), 1.3), len(uv))
    exact = scene(np.full((4, 4), 1e-9), Errors())[0][:, :2]
    uv = torch.cat([uv, exact + torch.tensor(more).transpose(0, 1)], 1)
    index = [0, 1, 2, 3, 0, 1]
    cameras = Rig(cameras.intrinsics[index], cameras.extrinsics[index], 9.0, tuple(range(6)))
    weights = (torch.rand(uv.shape[:-1], generator=torch.Generator().manual_seed(0)) > 0.2).double()
    uv = torch.where(weights[..., None] > 0, uv, torch.nan).nan_to_num(1e6)
    found = noise_parts(uv, weights, keypoint, first, cameras)
    assert abs(difference(found.sigma, np.full((6, 4), 1.3))).max() < 0.1
    assert float(found.gross_rate.mean()) == pytest.approx(0.1, abs=0.03)


def test_a_keypoint_that_is_not_there_has_no_say():
    uv, weights, keypoint, first, cameras = scene(np.full((4, 4), 1.3), Errors(), sequences=5)
    keypoint = torch.where(torch.arange(4) == 3, -1, keypoint)
    uv[:, :, 3] = 1e6
    found = noise_parts(uv, weights, keypoint, first, cameras)
    assert found.sigma.shape == (4, 3)
    assert float(found.sigma.mean()) == pytest.approx(1.3, rel=0.1)
    looked_up = found.of(keypoint, found.sigma)
    assert looked_up.shape == (len(uv), 4, 4)
    assert (looked_up[:, :, 3] == 0).all()


def test_nothing_in_two_views():
    uv, weights, keypoint, first, cameras = scene(np.full((4, 4), 1.3), Errors(), sequences=1)
    weights[:, 1:] = 0
    with pytest.raises(DataError, match="seen by two views in any frame"):
        noise_parts(uv, weights, keypoint, first, cameras)


def test_what_an_average_claims():
    """The inflation is that of a sum over the correlations of all pairs of frames."""
    one = torch.ones(4, 2, dtype=torch.float64)
    parts = NoiseParts(0.3 * one, 0.8 * one, 0.5 * one, 8.0, 0 * one, 0.0)
    n = 23
    t = torch.arange(n)
    correlations = parts.autocorrelation(t[:, None] - t)
    assert correlations.diagonal().tolist() == pytest.approx([1.0] * n)
    assert float(parts.inflation(torch.tensor(n))) == pytest.approx(float(correlations.sum()) / n)
    slowly = float(parts.inflation(torch.tensor(100_000))) - 100_000 * parts.floor_share
    assert slowly == pytest.approx(parts.long_run * (1 - parts.floor_share), rel=1e-3)
    assert white_noise(one).is_white


def claimed(deviation):
    """Covariances (N, V, K, 2, 2) of equal axes from deviations (N, V, K)."""
    return torch.eye(2, dtype=torch.float64) * deviation.square()[..., None, None]


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_claims_are_recalibrated(power):
    """A detector claims half of what it errs by, and too much or too little spread of it."""
    uv, weights, keypoint, first, cameras = scene(np.full((4, 4), 1e-9), Errors(), sequences=30)
    generator = torch.Generator().manual_seed(3)
    spread = torch.randn(weights.shape, generator=generator, dtype=torch.float64)
    noise = torch.randn(uv.shape, generator=generator, dtype=torch.float64)
    uv = uv + noise * (1.3 * spread.exp() ** (0.6 * power))[..., None]
    claims = claimed(0.6 * (0.6 * spread).exp())
    # Of what claims much, a third is far off.
    is_gross = (torch.rand(weights.shape, generator=generator) < 0.33) & (spread > 1)
    uv = uv + is_gross[..., None] * torch.tensor([20.0, -20.0])
    found = noise_parts(uv, weights, keypoint, first, cameras, claims)
    assert found.claims is not None
    assert found.claims.exponent == power
    assert found.claims.usual_px.tolist() == pytest.approx([0.6] * 4, rel=0.05)
    assert abs(difference(found.sigma, np.full((4, 4), 1.3))).max() < 0.1
    # The recalibrated precision is that of the noise, and the gross ones are expected where they
    # are.
    precision = found.precision(keypoint, claims)
    true = (1.3 * spread.exp() ** (0.6 * power)).pow(-2)
    assert float((precision / true).log().abs().median()) < 0.2
    rates = found.gross_rates(keypoint, claims)
    low, high = rates[spread < 0].mean(), rates[spread > 1].mean()
    assert float(low) < 0.06
    assert float(high) > 0.12


def test_claims_that_say_nothing_are_not_used():
    uv, weights, keypoint, first, cameras = scene(np.full((4, 4), 1.3), Errors(), sequences=20)
    spread = torch.randn(weights.shape, generator=torch.Generator().manual_seed(3)).double()
    claims = claimed((0.5 * spread).exp())
    claims[:, 0] = torch.nan  # one view claims nothing
    found = noise_parts(uv, weights, keypoint, first, cameras, claims)
    assert found.claims is not None
    assert found.claims.exponent == 0
    precision = found.precision(keypoint, claims)
    assert precision.isfinite().all()
    assert float(precision.std() / precision.mean()) < 0.05
    none = noise_parts(uv, weights, keypoint, first, cameras, torch.full_like(claims, torch.nan))
    assert none.claims is None


@pytest.mark.parametrize(("slow", "offset"), [(0.8, 0.0), (0.0, 0.8), (0.0, 0.0)])
def test_one_recording_shows_whether_errors_last(slow, offset):
    """Its keypoints err independently of each other, so that they show how sure the parts are."""
    sigma = SIGMA[:, None] * FACTORS
    found = noise_parts(*scene(sigma, Errors(slow, offset), sequences=1, frames=400))
    lasting = 1 - found.shares[0]
    assert lasting == pytest.approx(slow + offset, abs=0.15 if slow + offset else 0.0)
