from types import SimpleNamespace

import numpy as np
import pytest

from data_generation.RLBench.tracks.detector import (
    PRESETS,
    DetectorNoise,
    assemble,
    camera_numbers,
    detect,
    rounded,
)
from data_generation.RLBench.tracks.examples import make_example
from tests.unit.pose_obj_3d.synthetic import rig

V, T, K = 3, 4000, 2
UV = np.random.default_rng(0).uniform(0, 256, (V, T, K, 2))
VISIBILITY = np.ones((V, T, K), np.float32)


def test_noise_has_the_stated_size():
    error = detect(UV, VISIBILITY, 256, 9, 0, DetectorNoise()) - UV
    assert abs(error.std() - 0.00504 * 256) < 0.02
    assert abs(error.mean()) < 0.02
    correlation = np.corrcoef(error[0, :-1, 0, 0], error[0, 1:, 0, 0])[0, 1]
    assert abs(correlation) < 0.06  # independent per frame


def test_rounding_to_a_sixteenth():
    detected = detect(UV, VISIBILITY, 256, 9, 0, DetectorNoise())
    np.testing.assert_array_equal(detected * 16, np.rint(detected * 16))


def test_no_noise_is_the_rounded_truth():
    detected = detect(UV, VISIBILITY, 256, 9, 0, DetectorNoise(noise_scale=0))
    assert np.abs(detected - UV).max() <= 1 / 32


def test_generators_differ_by_task_example_and_view_only():
    def errors(task, example, views=3):
        return (
            detect(UV[:views], VISIBILITY[:views], 256, task, example, DetectorNoise()) - UV[:views]
        )

    base = errors(9, 0)
    np.testing.assert_array_equal(base, errors(9, 0))
    np.testing.assert_array_equal(base[:2], errors(9, 0, views=2))
    for other in (errors(8, 0), errors(9, 1)):
        assert abs(np.corrcoef(base.ravel(), other.ravel())[0, 1]) < 0.05
    assert abs(np.corrcoef(base[0].ravel(), base[1].ravel())[0, 1]) < 0.05


def test_a_camera_errs_alike_whichever_others_there_are():
    names = ("left_shoulder", "right_shoulder", "overhead", "front", "side")
    K, E = (np.concatenate([x, x[3:]]) for x in rig())
    xyz = np.random.default_rng(0).uniform(0.1, 0.4, (50, 3, 3))
    xyz[..., 2] += 0.7
    noise = DetectorNoise(**PRESETS["as_measured"])

    def errors(*views):
        episode = SimpleNamespace(
            key=SimpleNamespace(task_id=9),
            track_cams=tuple(names[v] for v in views),
            xyz=xyz,
            intrinsics=K[list(views)],
            extrinsics=E[list(views)],
            visibility=np.ones((len(views), 50, 3), np.float32),
        )
        x = make_example(episode, 0, 256, noise)
        return dict(zip(views, x[..., 2:4] - x[..., :2], strict=True))

    every, some = errors(0, 1, 2, 3, 4), errors(4, 3, 1)
    for view, error in some.items():
        np.testing.assert_array_equal(error, every[view])
    assert camera_numbers(names[:4]) == [0, 1, 2, 3]  # as archives were made before
    assert np.abs(every[3] - every[4]).max() > 1


def test_outliers_leave_the_other_detections_as_they_were():
    clean = detect(UV, VISIBILITY, 256, 9, 0, DetectorNoise())
    wild = detect(UV, VISIBILITY, 256, 9, 0, DetectorNoise(outlier_rate=0.05))
    changed = (clean != wild).any(axis=-1)
    assert 0.04 < changed.mean() < 0.06


def test_hidden_points_are_noisier_when_asked():
    visibility = VISIBILITY.copy()
    visibility[:, ::2] = 0.5
    error = detect(UV, visibility, 256, 9, 0, DetectorNoise(occlusion_noise=3)) - UV
    assert error[:, ::2].std() / error[:, 1::2].std() == pytest.approx(3, rel=0.05)


def test_missing_detections_are_nan_and_leave_the_others_as_they_were():
    clean = detect(UV, VISIBILITY, 256, 9, 0, DetectorNoise(outlier_rate=0.05))
    some = detect(UV, VISIBILITY, 256, 9, 0, DetectorNoise(outlier_rate=0.05, drop_rate=0.2))
    missing = np.isnan(some)
    assert (missing[..., 0] == missing[..., 1]).all()
    assert np.abs(missing.mean(axis=(1, 2, 3)) - 0.2).max() < 0.02
    np.testing.assert_array_equal(some[~missing], clean[~missing])
    together = missing[0, ..., 0] & missing[1, ..., 0]
    assert abs(together.mean() - 0.04) < 0.01  # views miss a point independently


def test_settings_may_differ_by_view():
    noise = DetectorNoise(noise_scale=(1, 2, 0), drop_rate=(0, 0, 1))
    detected = detect(UV, VISIBILITY, 256, 9, 0, noise)
    error = detected[:2] - UV[:2]
    assert error[1].std() / error[0].std() == pytest.approx(2, rel=0.05)
    assert np.isnan(detected[2]).all()
    np.testing.assert_allclose(noise.sigma_px(256, 3), [1.29024, 2.58048, 0])
    with pytest.raises(ValueError, match="lists 3 numbers for 4 views"):
        noise.sigma_px(256, 4)


@pytest.mark.parametrize(
    "bad",
    [
        {"noise_scale": -1},
        {"noise_scale": float("nan")},
        {"outlier_rate": 2},
        {"noise_seed": -1},
        {"occlusion_noise": -1},
        {"drop_rate": (0, 1.5)},
        {"noise_time_constant": -1},
        {"noise_time_constant": float("nan")},
        {"noise_persistent_share": 1.1},
        {"noise_per_keypoint": 3},
        {"gross_rate": (0, 2)},
        {"gross_rate_hidden": -0.1},
        {"gross_scale": 1.1},
        {"gross_scale_hidden": -1},
        {"share_identical": 1.5},
    ],
)
def test_bad_noise(bad):
    with pytest.raises(ValueError, match=r"must be|at least"):
        DetectorNoise(**bad)


def test_channels():
    xyz = np.arange(24.0).reshape(4, 2, 3)
    uv, detected = UV[:, :4], UV[:, :4] + 1
    visibility = np.full((V, 4, K), 0.5)
    x = assemble(uv, detected, xyz, visibility)
    assert x.shape == (V, 4, K, 8)
    assert x.dtype == np.float32
    assert np.abs(x[..., 0:2] - uv).max() <= 1 / 2048 + 1e-5
    np.testing.assert_array_equal(x[..., 0:2] * 1024, np.rint(x[..., 0:2] * 1024))
    np.testing.assert_array_equal(x[..., 2:4], detected.astype(np.float32))
    np.testing.assert_array_equal(x[1, ..., 4:7], xyz)
    assert (x[..., 7] == 0.5).all()
    with pytest.raises(ValueError, match="xyz must have shape"):
        assemble(uv, detected, xyz[:3], visibility)


def test_positions_are_rounded_to_micrometres():
    xyz = np.random.default_rng(1).uniform(-2, 2, (50, 3))
    assert np.abs(rounded(xyz) - xyz).max() <= 2**-18
    np.testing.assert_array_equal(rounded(xyz), rounded(xyz).astype(np.float32))
