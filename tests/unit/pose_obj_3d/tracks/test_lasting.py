"""Tracks whose detections' errors last: noise, triangulation, and what averages claim."""

import dataclasses

import numpy as np
import pytest
import torch

from pose_obj_3d.evaluation import metrics
from pose_obj_3d.formal import UV_DETECTED, UV_EXACT, XYZ_WORLD, read_formal
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.noise_parts import ClaimScale
from pose_obj_3d.smoothing.kalman import MOTIONS, smooth
from pose_obj_3d.tracks import loading, track_smoothing
from pose_obj_3d.tracks.lasting import smoother_inflation, with_shared
from pose_obj_3d.tracks.stated_noise import check_noise
from tests.unit.pose_obj_3d.synthetic import write_scene
from tests.unit.pose_obj_3d.tracks.test_noise_of_tracks import Errors

TRUE = Errors(slow=0.6, offset=0.3, time_constant=8.0, gross=0.15)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """White detections, of the synthetic scene."""
    path = tmp_path_factory.mktemp("lasting") / "a.npz"
    return read_formal(write_scene(path, examples=30, frames=40))


@pytest.fixture(scope="module")
def lasting(archive):
    """The same with errors that last; the archive states white ones."""
    rng = np.random.default_rng(0)
    changed = []
    for x in archive.tracks[0]:
        y = x.copy()
        sigma = np.full((4, x.shape[2]), 1.5)
        y[..., UV_DETECTED] = y[..., UV_EXACT] + TRUE.draw(rng, sigma, x.shape[1])
        changed.append(y)
    return dataclasses.replace(archive, tracks={0: changed})


def ids_of(data):
    return loading.keypoint_ids(data, [0], ("waypoints", "objects", "robot"))


def load(data, split="train"):
    rig = loading.make_rig(data)
    return loading.load_tracks(data, rig, [0], split, ids_of(data)), rig


@pytest.fixture(scope="module")
def found(lasting):
    data, message = check_noise(lasting, [0], ids_of(lasting))
    return data, message


def coverage(estimate, tracks):
    points = estimate.covariance.isfinite().all(-1).all(-1) & tracks.is_real
    return [
        100 * metrics.coverage(estimate.xyz, tracks.truth, estimate.covariance, points, p).mean
        for p in (68, 95)
    ]


def test_white_archives_keep_their_tracks(archive):
    data, message = check_noise(archive, [0], ids_of(archive))
    assert message == ""
    assert data is archive
    tracks, _ = load(data)
    assert tracks.noise is None
    assert tracks.floor is None
    assert set(tracks.weights.unique().tolist()) <= {0.0, 1.0}


def test_the_log_says_how_long_errors_last(found):
    data, message = found
    for word in ("a.npz", "left_shoulder 1.", "is constant", "gross errors"):
        assert word in message
    assert "\n" not in message
    noise = loading.estimated_noise(data)
    assert noise is not None
    assert float(noise.sigma.mean()) == pytest.approx(1.5, rel=0.15)
    assert noise.shares[1] + noise.shares[2] > 0.7


def test_no_error_is_taken_for_that_of_the_core_that_agrees(found):
    """The archive states 1.29 px, the truth is 1.5: the estimate is not below what is stated."""
    _, rig = load(found[0])
    assert rig.sigma_px > 1.3


def test_points_are_nearer_and_regions_hold_their_shares(lasting, found):
    before, _ = load(lasting)
    after, _ = load(found[0])
    error = [
        (t.xyz - t.truth).norm(dim=-1)[t.is_real & (t.info.flatten(2) != 0).any(-1)].mean()
        for t in (before, after)
    ]
    assert error[1] < 0.9 * error[0]
    smoothed = [track_smoothing.rts(t, "constant velocity", 1.0, 0.05) for t in (before, after)]
    error = [
        (s.xyz - t.truth).norm(dim=-1)[t.is_real].nanmean()
        for s, t in zip(smoothed, (before, after), strict=True)
    ]
    assert error[1] < 0.95 * error[0]
    overconfident, honest = (coverage(s, t) for s, t in zip(smoothed, (before, after), strict=True))
    assert overconfident[0] < 45
    assert 55 < honest[0] < 85
    assert 82 < honest[1] < 99
    frame = torch.where(
        (after.info.flatten(2) != 0).any(-1)[..., None, None],
        geometry.invert_3x3(after.info.double() + 1e-9 * torch.eye(3)),
        torch.nan,
    )
    assert 50 < coverage(Estimate(after.xyz, frame), after)[0] < 75


def test_a_part_of_the_frames_lasts_in_all_averages(found):
    tracks, _ = load(found[0])
    assert tracks.floor is not None
    window = track_smoothing.window_mean(tracks, 21)
    known = window.covariance.isfinite().all(-1).all(-1)
    trace = window.covariance.diagonal(dim1=-2, dim2=-1).sum(-1)[known]
    frames = 1 / (tracks.info.diagonal(dim1=-2, dim2=-1).sum(-1)[known] / 9)
    # 21 independent frames have a 21st of a frame's variance.
    assert float((trace / frames).median()) > 0.3


def test_few_views_keep_their_noise(found):
    data = found[0]
    rig = loading.make_rig(data, (0, 3))
    tracks = loading.load_tracks(data, rig, [0], "test", ids_of(data))
    assert tracks.noise is not None
    assert tracks.noise.sigma.shape[0] == 2
    one = loading.one_view(tracks, 1)
    assert one.noise.sigma.shape[0] == 1


def test_the_truth_changes_nothing(lasting, found):
    rng = np.random.default_rng(1)
    scrambled = []
    for x in lasting.tracks[0]:
        y = x.copy()
        for channels in (UV_EXACT, XYZ_WORLD):
            y[..., channels] = rng.normal(size=y[..., channels].shape)
        scrambled.append(y)
    other = dataclasses.replace(lasting, tracks={0: scrambled})
    other, message = check_noise(other, [0], ids_of(other))
    assert message == found[1]
    rig = loading.make_rig(other)
    a, b = (
        loading.load_tracks(data, rig, [0], "train", ids_of(data), with_truth=False)
        for data in (found[0], other)
    )
    for name in ("weights", "xyz", "info", "robust", "floor"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name), rtol=0, atol=0)


def claiming(data, claimed_px):
    """Tracks whose detector claims so many px for each detection."""
    tracks, rig = load(data)
    claims = claimed_px**2 * torch.eye(2, dtype=torch.float64).expand(*tracks.weights.shape, 2, 2)
    scale = ClaimScale(torch.full((4,), claimed_px, dtype=torch.float64), 1.0, 0.0)
    assert tracks.noise is not None
    return dataclasses.replace(
        tracks, claims=claims, noise=dataclasses.replace(tracks.noise, claims=scale)
    ), rig


def test_claims_beyond_what_views_show_are_errors_that_they_share(found):
    """All views see a point that is 20 mm off: only the detector's claims can tell."""
    data, _ = found
    tracks, rig = claiming(data, 8.0)
    shift = 0.02 * torch.nn.functional.normalize(torch.ones(3), dim=0)
    covariance = 1e-6 * torch.eye(3).expand(*tracks.xyz.shape, 3)
    wrong = Estimate(tracks.truth + shift, covariance)
    wider = with_shared(wrong, tracks, rig)
    assert torch.equal(wider.xyz, wrong.xyz)
    assert coverage(wrong, tracks)[1] < 1
    assert coverage(wider, tracks)[1] > 80
    added = wider.covariance - covariance
    torch.testing.assert_close(added, torch.diag_embed(added.diagonal(dim1=-2, dim2=-1)))


@pytest.mark.parametrize("claimed_px", [0.3, None])
def test_small_claims_and_none_add_nothing(found, claimed_px):
    data, _ = found
    tracks, rig = load(data) if claimed_px is None else claiming(data, claimed_px)
    estimate = Estimate(tracks.xyz, torch.eye(3).expand(*tracks.xyz.shape, 3))
    assert torch.equal(with_shared(estimate, tracks, rig).covariance, estimate.covariance)


@pytest.mark.parametrize("motion", list(MOTIONS))
@pytest.mark.parametrize("index", [0.05, 0.7, 10.0])
def test_information_is_divided_by_what_the_smoother_averages(found, motion, index):
    """Its own answer to an impulse, weighed by how alike errors are, gives the factor again."""
    tracks, _ = load(found[0])
    factor = smoother_inflation(tracks, motion, torch.tensor([index], dtype=torch.float64))
    half = 400
    impulse = torch.zeros(2 * half + 1, 1, 3, dtype=torch.float64)
    impulse[half] = 1.0
    info = torch.eye(3, dtype=torch.float64).expand(len(impulse), 1, 3, 3) / factor
    kernel = smooth(impulse, info, motion, index, 1.0).xyz[:, 0, 0]
    frame = torch.arange(len(kernel))
    alike = tracks.noise.varying_autocorrelation(frame[:, None] - frame)
    exact = (kernel @ alike @ kernel) / kernel.square().sum()
    assert float(factor) == pytest.approx(float(exact), rel=0.01)


def test_fast_motion_takes_frames_for_what_they_claim(found):
    tracks, _ = load(found[0])
    index = torch.tensor([1e-5, 1e3], dtype=torch.float64)
    slow, fast = smoother_inflation(tracks, "constant position", index).tolist()
    white, lasting, _ = tracks.noise.shares
    assert fast == pytest.approx(white + lasting, rel=0.01)
    assert slow == pytest.approx((white + lasting) * tracks.noise.long_run, rel=0.02)
