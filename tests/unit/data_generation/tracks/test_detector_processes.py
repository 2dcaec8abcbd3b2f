"""A simulated detector whose errors last, differ between keypoints, and are far off at times."""

from dataclasses import replace

import numpy as np
import pytest

from data_generation.RLBench.tracks.detector import PRESETS, RANGES, DetectorNoise, detect

MEASURED = DetectorNoise(**PRESETS["as_measured"])
SIGMA = 0.00504 * 256
V, T, K = 4, 120, 11
GROSS_PX = 10


def scene(hidden=0.62, seed=0):
    """Give points (V, T, K, 2) [px], apart from each other, and their visibility."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(30, 200, (V, 1, K, 2))
    uv = start + rng.uniform(0, 0.3, (V, 1, K, 2)) * np.arange(T)[:, None, None]
    visibility = np.where(rng.random((V, 1, K)) < hidden, 0.5, 1.0)
    return uv, np.broadcast_to(visibility, (V, T, K))


def simulate(noise, examples=60, hidden=0.62, task=9):
    """Give the errors (N, V, T, K, 2) [px], and where the points are hidden (N, V, T, K)."""
    errors, is_hidden = [], []
    for n in range(examples):
        uv, visibility = scene(hidden, n)
        errors.append(detect(uv, visibility, 256, task, n, noise) - uv)
        is_hidden.append(visibility == 0.5)
    return np.array(errors), np.array(is_hidden)


@pytest.fixture(scope="module")
def measured():
    return simulate(MEASURED)


def autocorrelation(errors, frames):
    return (errors[:, :, frames:] * errors[:, :, :-frames]).mean() / (errors**2).mean()


def test_the_default_is_todays_white_noise():
    """The same as one generator for each view gives, written out."""
    uv, visibility = scene()
    settings = {"noise_scale": 2, "occlusion_noise": 3, "outlier_rate": 0.1, "drop_rate": 0.2}
    found = detect(uv, visibility, 256, 9, 4, DetectorNoise(**settings, noise_seed=8))
    for view in range(V):
        rng = np.random.default_rng(np.random.SeedSequence(8, spawn_key=(9, 4, view)))
        error = rng.standard_normal((T, K, 2)) * (SIGMA * 2)
        is_outlier = rng.random((T, K)) < 0.1
        outlier = rng.uniform(-0.1, 0.1, (T, K, 2)) * 256
        is_dropped = rng.random((T, K)) < 0.2
        error[visibility[view] == 0.5] *= 3
        error[is_outlier] = outlier[is_outlier]
        error[is_dropped] = np.nan
        expected = np.rint((uv[view] + error) * 16) / 16
        np.testing.assert_array_equal(found[view], expected)


def test_sizes_and_gross_shares_are_those_measured(measured):
    errors, is_hidden = measured
    length = np.linalg.norm(errors, axis=-1)
    for points, sd, gross in ((~is_hidden, 0.85, 0.09), (is_hidden, 3.5, 0.29)):
        assert 1.4826 * np.median(np.abs(errors[points])) == pytest.approx(sd, rel=0.1)
        assert (length[points] > GROSS_PX).mean() == pytest.approx(gross, abs=0.03)
    assert 20 < np.median(length[length > GROSS_PX]) < 35


def test_errors_last_as_long_as_measured():
    errors, _ = simulate(replace(MEASURED, gross_rate=0.0), examples=120, hidden=0)
    for frames, expected in ((1, 0.88), (5, 0.67), (10, 0.53), (20, 0.39)):
        assert autocorrelation(errors, frames) == pytest.approx(expected, abs=0.03)
    # What two far halves of a demonstration have in common is the constant part.
    early, late = errors[:, :, :20].mean(axis=2), errors[:, :, -20:].mean(axis=2)
    assert (early * late).mean() / (errors**2).mean() == pytest.approx(1 / 3, abs=0.04)
    assert errors.std() == pytest.approx(MEASURED.sigma_px(256, V)[0], rel=0.03)


def test_gross_errors_last_too(measured):
    errors, _ = measured
    for frames, expected in ((1, 0.88), (5, 0.67), (10, 0.53), (20, 0.39)):
        assert autocorrelation(errors, frames) == pytest.approx(expected, abs=0.08)


def test_variances_differ_between_keypoints_as_measured():
    ratios = []
    for task in range(24):
        errors, _ = simulate(DetectorNoise(noise_per_keypoint=0.36), 4, hidden=0, task=task)
        variance = (errors**2).mean(axis=(0, 2, 4))
        assert variance.mean(axis=1) == pytest.approx(SIGMA**2, rel=0.15)
        ratios += list(variance.max(axis=1) / variance.min(axis=1))
    assert 7 < np.median(ratios) < 15


def test_a_keypoints_size_is_the_same_in_all_examples():
    noise = DetectorNoise(noise_per_keypoint=0.5)
    errors, _ = simulate(noise, 8, hidden=0)
    sizes = np.log((errors**2).mean(axis=(2, 4)))  # (N, V, K)
    assert sizes.mean(axis=0).std() > 5 * sizes.std(axis=0).mean()
    other = np.log((simulate(noise, 8, hidden=0, task=8)[0] ** 2).mean(axis=(0, 2, 4)))
    assert np.abs(np.corrcoef(sizes.mean(axis=0).ravel(), other.ravel())[0, 1]) < 0.5


def test_a_gross_error_moves_with_the_point():
    noise = DetectorNoise(noise_scale=0, noise_time_constant=20, gross_rate=0.5)
    uv, visibility = scene(hidden=0)
    error = detect(uv, visibility, 256, 9, 0, noise) - uv
    is_gross = np.linalg.norm(error, axis=-1) > 1
    both = is_gross[:, 1:] & is_gross[:, :-1]
    still = np.abs(np.diff(error, axis=1)).max(axis=-1) < 1 / 8
    assert both.mean() > 0.4
    assert still[both].mean() > 0.9


def test_a_hidden_stretch_has_its_own_rate():
    noise = DetectorNoise(noise_time_constant=10, gross_rate=0.05, gross_rate_hidden=0.6)
    uv, _ = scene()
    visibility = np.ones((V, T, K))
    visibility[:, 40:80] = 0.5
    far = np.array([np.abs(detect(uv, visibility, 256, 9, n, noise) - uv) for n in range(40)])
    far = (far.max(axis=-1) > 8).mean(axis=(0, 1, 3))
    assert far[40:80].mean() == pytest.approx(0.58, abs=0.05)
    assert np.r_[far[:40], far[80:]].mean() == pytest.approx(0.05, abs=0.015)


def test_a_view_depends_on_its_own_numbers_only():
    uv, visibility = scene()
    found = detect(uv, visibility, 256, 9, 3, MEASURED)
    np.testing.assert_array_equal(found, detect(uv, visibility, 256, 9, 3, MEASURED))
    np.testing.assert_array_equal(found[:2], detect(uv[:2], visibility[:2], 256, 9, 3, MEASURED))
    one_changed = replace(MEASURED, gross_rate=(0.09, 0.09, 0.09, 0.9))
    np.testing.assert_array_equal(found[:3], detect(uv, visibility, 256, 9, 3, one_changed)[:3])
    for other in (
        detect(uv, visibility, 256, 9, 4, MEASURED),
        detect(uv, visibility, 8, 9, 3, MEASURED),
        detect(uv, visibility, 256, 9, 3, replace(MEASURED, noise_seed=1)),
    ):
        assert (other != found).any(axis=-1).mean() > 0.5


def test_one_kind_leaves_the_others_as_they_were():
    uv, visibility = scene()
    base = replace(MEASURED, gross_rate=0.0, gross_rate_hidden=0.0)
    clean, gross = (detect(uv, visibility, 256, 9, 0, n) for n in (base, MEASURED))
    changed = (clean != gross).any(axis=-1)
    assert 0.05 < changed.mean() < 0.5
    dropped = detect(uv, visibility, 256, 9, 0, replace(base, drop_rate=0.1))
    there = ~np.isnan(dropped)
    np.testing.assert_array_equal(dropped[there], clean[there])


def test_keypoints_at_one_place_share_their_errors():
    uv, visibility = scene(hidden=0)
    uv[:, :, 2] = uv[:, :, 0]
    uv[:, 60:, 4] = uv[:, 60:, 3]  # they meet half-way

    def errors(**settings):
        return detect(uv, visibility, 256, 9, 0, replace(MEASURED, **settings)) - uv

    one = errors(share_identical=1, drop_rate=0.2, outlier_rate=0.1)
    np.testing.assert_array_equal(one[:, :, 2], one[:, :, 0])
    np.testing.assert_array_equal(one[:, 60:, 4], one[:, 60:, 3])
    assert (one[:, :60, 4] != one[:, :60, 3]).any(axis=-1).mean() > 0.9
    alone = errors(share_identical=0)
    np.testing.assert_array_equal(
        np.delete(errors(share_identical=1), [2, 4], axis=2), np.delete(alone, [2, 4], axis=2)
    )
    assert (alone[:, :, 2] != alone[:, :, 0]).any(axis=-1).mean() > 0.9


def test_the_share_is_a_correlation():
    uv = np.full((V, 2000, 2, 2), 100.0)
    noise = DetectorNoise(share_identical=0.7, noise_per_keypoint=0.5)
    error = detect(uv, np.ones((V, 2000, 2)), 256, 9, 0, noise) - uv
    for view in error:
        found = np.corrcoef(view[:, 0].ravel(), view[:, 1].ravel())[0, 1]
        assert found == pytest.approx(0.7, abs=0.04)
        assert view[:, 0].std() == pytest.approx(view[:, 1].std(), rel=0.06)


def test_points_that_are_no_numbers_stay_so():
    uv, visibility = scene()
    uv[0, :, 1] = np.nan
    found = detect(uv, visibility, 256, 9, 0, MEASURED)
    assert np.isnan(found[0, :, 1]).all()
    assert np.isfinite(np.delete(found[0], 1, axis=1)).all()


def test_an_archive_states_what_is_not_white():
    white = DetectorNoise(noise_scale=2, drop_rate=(0.1, 0, 0, 0)).stated(V)
    assert white == {
        "noise_scale": [2] * V,
        "occlusion_noise": [1] * V,
        "outlier_rate": [0] * V,
        "drop_rate": [0.1, 0, 0, 0],
    }
    stated = MEASURED.stated(V)
    assert set(stated) == set(RANGES)
    assert stated["noise_time_constant"] == [8.5] * V
