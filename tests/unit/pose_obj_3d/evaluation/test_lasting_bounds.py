"""Bounds where the stated errors last."""

import dataclasses

import pytest
import torch

from pose_obj_3d.evaluation.lasting_bounds import track_precision, window_precision
from pose_obj_3d.evaluation.protocol import Protocol, cramer_rao, whole_track_bound
from pose_obj_3d.formal import read_formal
from pose_obj_3d.tracks import loading
from tests.unit.pose_obj_3d.synthetic import write_scene

LASTING = {"noise_persistent_share": [0.25] * 4, "noise_time_constant": [0.0] * 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return read_formal(write_scene(tmp_path_factory.mktemp("bounds") / "a.npz", frames=15))


def load(data, **noise):
    stated = dataclasses.replace(data, meta={**data.meta, "noise": {**data.meta["noise"], **noise}})
    ids = loading.keypoint_ids(stated, [0], ("waypoints", "objects", "robot"))
    rig = loading.make_rig(stated)
    return loading.load_tracks(stated, rig, [0], "test", ids), rig


def test_independent_errors_are_not_stated_to_last(data):
    assert load(data)[0].lasting is None
    assert load(data, noise_time_constant=[3.0] * 4)[0].lasting[:, 2].tolist() == [3.0] * 4


def test_a_constant_part_is_not_averaged_out(data):
    tracks, _ = load(data, **LASTING)
    one = torch.ones(*tracks.keypoint.shape, 4, dtype=torch.float64)
    centre = tracks.first + 7
    found = window_precision(tracks, one, 5)[centre]
    assert found.flatten().tolist() == pytest.approx([5 / (1 + 4 * 0.25)] * found.numel())
    found = track_precision(tracks, one)
    assert found.flatten().tolist() == pytest.approx([15 / (1 + 14 * 0.25)] * found.numel())
    # A frame without detection tells nothing: neither of the point nor of the others' errors.
    one[7] = 0
    found = window_precision(tracks, one, 5)[7]
    assert found.flatten().tolist() == pytest.approx([4 / (1 + 3 * 0.25)] * found.numel())


def test_without_lasting_parts_precisions_add_up(data):
    tracks, _ = load(data, **LASTING)
    tracks = dataclasses.replace(tracks, lasting=torch.zeros(4, 3))
    precision = torch.rand(*tracks.keypoint.shape, 4, dtype=torch.float64)
    summed = track_precision(tracks, precision)
    torch.testing.assert_close(summed[0], precision[: int(tracks.last[0]) + 1].sum(0))


def test_bounds_know_that_errors_last(data):
    white, rig = load(data)
    protocol = Protocol(7)
    lasting, _ = load(data, noise_persistent_share=[0.33] * 4, noise_time_constant=[8.5] * 4)
    names = list(cramer_rao(white, rig, protocol))
    a, b = (cramer_rao(tracks, rig, protocol) for tracks in (white, lasting))
    torch.testing.assert_close(a[names[0]], b[names[0]])  # one frame is one frame
    still = a[names[1]] < 0.9 * a[names[0]]
    assert still.any()
    ratio = (b[names[1]] / b[names[0]])[still]
    assert float(ratio.min()) > 0.8  # 7 frames are hardly more than one
    assert float(ratio.max()) < 1
    bound, independent = (whole_track_bound(tracks, rig, protocol) for tracks in (lasting, white))
    known = bound.isfinite()
    assert known.any()
    assert (bound[known] > 1.5 * independent[known]).all()


def test_weights_are_no_part_of_the_bound(data):
    tracks, rig = load(data)
    heavier = dataclasses.replace(tracks, weights=tracks.weights * 4)
    for x, y in zip(
        *(cramer_rao(t, rig, Protocol(7)).values() for t in (tracks, heavier)), strict=True
    ):
        torch.testing.assert_close(x, y)
