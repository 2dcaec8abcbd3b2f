"""Filters: exact on what they fit, blind where they must be, kernels that tell the truth."""

import dataclasses

import pytest
import torch

from pose_obj_3d.formal import read_formal
from pose_obj_3d.smoothing import filter_banks as filters
from pose_obj_3d.smoothing.kalman import smooth
from pose_obj_3d.tracks import track_smoothing as smoothers
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig
from pose_obj_3d.tracks.track_smoothing import drop_strays, filter_bank, measurement_noise
from tests.unit.pose_obj_3d.synthetic import write_scene

POLYNOMIALS = (filters.CENTRE, *filters.SYMMETRIC, *filters.ONE_SIDED)
T = torch.arange(-3.0, 4, dtype=torch.float64)


@pytest.mark.parametrize("blind", [False, True])
def test_polynomials_reproduce_what_they_fit(blind):
    table = filters.polynomial_table(POLYNOMIALS, 7, blind).double()
    every = table[-1]
    torch.testing.assert_close(
        every.sum(-1), torch.ones(len(POLYNOMIALS)).double(), rtol=0, atol=1e-4
    )
    assert (every[:, 3] == 0).all() if blind else every[0, 3] == 1
    for weights, (_, _, degree) in zip(every, POLYNOMIALS, strict=True):
        for power in range(1, degree + 1):
            assert float(weights @ T**power) == pytest.approx(0, abs=1e-3)


def test_polynomials_use_measured_frames_only():
    table = filters.polynomial_table(POLYNOMIALS, 7, False)
    patterns = (torch.arange(128)[:, None] >> torch.arange(7)) & 1
    assert (table * (1 - patterns)[:, None] == 0).all()
    sums = table[1:].sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums), rtol=0, atol=2e-3)
    assert (table[0] == 0).all()
    without_centre = table[0b1110111, 0]  # the centre is missing: its neighbours take its place
    torch.testing.assert_close(
        without_centre, torch.tensor([0, 0, 0.5, 0, 0.5, 0, 0]), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("blind", [False, True])
def test_kernels_are_what_the_smoother_does(blind):
    kernels = filters.smoother_kernels(filters.SMOOTHERS, blind)
    torch.testing.assert_close(
        kernels.sum(-1), torch.ones(len(kernels)).double(), rtol=0, atol=1e-3
    )
    assert kernels[:, [0, -1]].abs().max() < 1e-3
    x = torch.randn(241, 1, 3, generator=torch.Generator().manual_seed(0)).double()
    info = torch.eye(3).double().expand(241, 1, 3, 3)
    for kernel, (motion, index) in zip(kernels, filters.SMOOTHERS, strict=True):
        expected = smooth(x, info, motion, index, 1.0, blind).xyz[120, 0]
        reach = filters.KERNEL_REACH
        torch.testing.assert_close(
            kernel @ x[120 - reach : 121 + reach, 0], expected, rtol=0, atol=1e-2
        )
    if blind:
        assert kernels[:, filters.KERNEL_REACH].abs().max() < 1e-12


def test_a_bank_does_not_depend_on_units_or_noise(tmp_path):
    """Twice the noise of detections at twice the distance between everything: twice the answer."""
    data = read_formal(write_scene(tmp_path / "a.npz", examples=3))
    tracks = load_tracks(data, make_rig(data), [0], "train", keypoint_ids(data, [0], ("robot",)))
    full, blind = filter_bank(tracks, filters.SMOOTHERS)
    assert full.shape == blind.shape == (len(tracks), len(filters.SMOOTHERS), *tracks.xyz.shape[1:])
    assert filter_bank(tracks, filters.SMOOTHERS)[0] is full
    double = dataclasses.replace(tracks, xyz=2 * tracks.xyz, info=tracks.info / 4)
    assert measurement_noise(double) == pytest.approx(2 * measurement_noise(tracks))
    torch.testing.assert_close(
        filter_bank(double, filters.SMOOTHERS)[0], 2 * full, rtol=1e-4, atol=1e-5
    )


def test_long_examples_are_smoothed_in_smaller_batches(tmp_path, monkeypatch):
    data = read_formal(write_scene(tmp_path / "a.npz", examples=3))
    tracks = load_tracks(data, make_rig(data), [0], "train", keypoint_ids(data, [0], ("robot",)))
    at_once = filter_bank(tracks, filters.SMOOTHERS)
    tracks.cache.clear()
    sizes, smooth = [], smoothers.smooth_both

    def counted(xyz, *rest):
        sizes.append(xyz.shape[1])
        return smooth(xyz, *rest)

    monkeypatch.setattr(smoothers, "smooth_both", counted)
    monkeypatch.setattr(smoothers, "CELL_CHUNK", 1)
    for found, expected in zip(filter_bank(tracks, filters.SMOOTHERS), at_once, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert set(sizes) == {1}


def test_tracks_without_strays_stay_as_they_are(tmp_path):
    data = read_formal(write_scene(tmp_path / "a.npz", examples=3))
    tracks = load_tracks(data, make_rig(data), [0], "train", keypoint_ids(data, [0], ("robot",)))
    assert drop_strays(tracks) is tracks
    assert drop_strays(tracks) is tracks  # from the cache
