"""Detections of another program come in through a plain npz file."""

import numpy as np
import pytest

from pose_obj_3d.common.errors import MAX_MESSAGE, DataError, FormalError
from pose_obj_3d.detector.applying.importing import read_external
from pose_obj_3d.detector.applying.writing import write_detected
from pose_obj_3d.formal import read_formal
from tests.unit.pose_obj_3d.synthetic import damage, write_scene

RECORD = {"detector": "mine", "folds": {}, "labelled_frames": None}


@pytest.fixture
def data(tmp_path):
    return read_formal(write_scene(tmp_path / "a.npz", (0, 9), examples=4, frames=5))


def saved(tmp_path, data, channels, task=9, prefix=""):
    rng = np.random.default_rng(0)
    members = {}
    for n, x in enumerate(data.tracks[task]):
        part = np.concatenate([x[..., 2:4], np.full((*x.shape[:3], 5), 0.5, np.float32)], -1)
        part[rng.random(x.shape[:3]) < 0.1, :2] = np.nan
        members[f"{prefix}T{task}/exemple_{n}"] = part[..., :channels]
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, **members)
    return path, members


@pytest.mark.parametrize("channels", [2, 4, 5, 7])
def test_what_is_missing_is_filled_in(tmp_path, data, channels):
    path, members = saved(tmp_path, data, channels, prefix="detections/" if channels == 7 else "")
    found = read_external(path, data)
    assert list(found) == [9]
    for x, given in zip(found[9], members.values(), strict=True):
        missed = np.isnan(given[..., :2]).any(-1)
        np.testing.assert_array_equal(x[..., :2], given[..., :2])
        assert np.isnan(x[missed, 2:4]).all()
        claims = x[~missed, 2:4]
        assert np.isnan(claims).all() if channels == 2 else (claims == 0.5).all()
        expected = 0.5 if channels == 7 else 1
        assert (x[~missed, 5:] == expected).all()
    out = tmp_path / "out.npz"
    write_detected(out, data, found, RECORD, {})
    again = read_formal(out)
    assert list(again.tracks) == [9]
    assert again.meta["detections"]["detector"] == "mine"
    np.testing.assert_array_equal(again.detections[9][1], found[9][1])
    np.testing.assert_array_equal(again.tracks[9][1], data.tracks[9][1])
    assert again.split(9) == data.split(9)


def changed(tmp_path, data, change):
    path, members = saved(tmp_path, data, 2)
    change(members)
    np.savez(path, **members)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m.pop("T9/exemple_2"),
            "T9/exemple_2 is missing; a task needs all .* 4 examples",
        ),
        (lambda m: m.update({"T9/exemple_4": np.zeros(3)}), "'T9/exemple_4' is no example"),
        (lambda m: m.update({"x": np.zeros(3)}), "'x' is no example"),
        (lambda m: m.clear() or m.update({"T3/exemple_0": np.zeros(3)}), "'T3/exemple_0' is no"),
        (
            lambda m: m.update({"T9/exemple_1": np.zeros((4, 5, 4, 3), np.float32)}),
            r"T9/exemple_1 is float32 \(4, 5, 4, 3\); .* shape \(4, 5, 4, C\)",
        ),
        (lambda m: m.update({"T9/exemple_1": m["T9/exemple_1"][:, :3]}), r"\(4, 3, 4, 2\)"),
        (lambda m: m.update({"T9/exemple_1": m["T9/exemple_1"].astype("U3")}), "must be numbers"),
    ],
)
def test_files_that_do_not_fit_are_one_line(tmp_path, data, change, message):
    with pytest.raises(DataError, match=message) as found:
        read_external(changed(tmp_path, data, change), data)
    assert len(str(found.value)) <= MAX_MESSAGE


def test_damaged_files_are_one_line(tmp_path, data):
    path, _ = saved(tmp_path, data, 2)
    damage(path)
    with pytest.raises(DataError, match="not a readable npz file"):
        read_external(path, data)
    with pytest.raises(DataError, match="not a readable npz file"):
        read_external(tmp_path / "none.npz", data)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([3, 4, 1, 1, 1.5, 1, 1], "positive definite"),
        ([3, 4, 1, 0, 0, 1, 1], "positive definite"),
        ([3, 4, np.nan, 1, 0, 1, 1], "positive definite"),
        ([3, 4, 1, 1, 0, 1.5, 1], "probabilities from 0 to 1"),
        ([3, 4, 1, 1, 0, 1, np.nan], "probabilities from 0 to 1"),
        ([np.inf, 4, 1, 1, 0, 1, 1], "both NaN where nothing was detected"),
    ],
)
def test_impossible_claims_are_refused_and_name_the_file(tmp_path, data, values, message):
    path, members = saved(tmp_path, data, 7)
    members["T9/exemple_2"][1, 2, 3] = values
    np.savez(path, **members)
    where = "--import .*mine.npz: T9/exemple_2 at view 1, frame 2, keypoint 3"
    with pytest.raises(FormalError, match=f"{where}.*{message}") as found:
        read_external(path, data)
    assert len(str(found.value)) <= MAX_MESSAGE


def test_all_may_be_nan_where_nothing_was_detected(tmp_path, data):
    path, members = saved(tmp_path, data, 7)
    members["T9/exemple_2"][1, 2, 3] = np.nan
    np.savez(path, **members)
    found = read_external(path, data)[9][2][1, 2, 3]
    assert np.isnan(found[:4]).all()
    assert (found[4:] == 0).all()
