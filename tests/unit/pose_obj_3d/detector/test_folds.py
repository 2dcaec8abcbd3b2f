"""Each demo is given to a detector that was not trained on it."""

import numpy as np
import pytest

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.detector.folds import choose_detectors, demo_id, make_folds
from pose_obj_3d.formal import UV_DETECTED, make_split, read_formal
from tests.unit.pose_obj_3d.synthetic import write_scene


@pytest.mark.parametrize("count", [2, 3, 7])
def test_no_demo_is_in_the_training_of_its_fold(count):
    split = make_split(40)
    folds = make_folds(split, count, "T9")
    assert [fold.number for fold in folds] == list(range(count))
    known = {*split["train"], *split["val"]}
    for fold in folds:
        assert not set(fold.train) & set(fold.held_out)
        assert not set(fold.train) & set(split["test"])
        assert set(fold.train) == known - set(fold.held_out)
    held_out = [n for fold in folds for n in fold.held_out]
    assert sorted(held_out) == list(range(40))
    assert folds == make_folds(split, count, "again")


def test_folds_do_not_follow_a_pattern_of_the_numbers():
    for fold in make_folds(make_split(120), 4, "T9"):
        assert {n % 4 for n in fold.train} == {n % 4 for n in fold.held_out} == {0, 1, 2, 3}


@pytest.mark.parametrize("count", [0, 1, 9])
def test_too_few_or_too_many_folds(count):
    with pytest.raises(DataError, match=f"a.npz, T9: {count} folds of 8 examples .* 2 to 8"):
        make_folds(make_split(10), count, "a.npz, T9")


@pytest.fixture
def data(tmp_path):
    return read_formal(write_scene(tmp_path / "a.npz", (0,), examples=10, frames=5))


def test_each_example_gets_a_detector_that_has_not_seen_it(data):
    folds = make_folds(data.split(0), 3, "T0")
    names = [demo_id(x) for x in data.tracks[0]]
    assert len(set(names)) == 10
    chosen = choose_detectors(data, 0, [{names[n] for n in fold.train} for fold in folds])
    assert sorted(chosen) == list(range(10))
    for n, i in chosen.items():
        assert n not in folds[i].train
    assert {chosen[n] for n in data.split(0)["test"]} <= {0, 1, 2}


def test_no_fold_left_is_one_line(data):
    names = [demo_id(x) for x in data.tracks[0]]
    with pytest.raises(DataError, match="no fold left for 2 of 10 examples of T0, such as 3"):
        choose_detectors(data, 0, [{names[3], names[4], names[5]}, {names[3], names[4]}])


@pytest.mark.parametrize("known", [True, False])
def test_a_line_says_that_no_demo_is_known(data, caplog, known):
    caplog.set_level("INFO")
    seen = [{demo_id(data.tracks[0][0]) if known else "another conversion's id"}, set()]
    assert len(choose_detectors(data, 0, seen)) == 10
    assert ("have seen none of its 10 demos" in caplog.text) is not known


def test_a_demo_is_known_by_its_truth_not_by_its_detections(data):
    track = data.tracks[0][0]
    other = track.copy()
    other[..., UV_DETECTED] += 1
    assert demo_id(other) == demo_id(track)
    other[0, 0, 0, 4] += np.float32(0.001)
    assert demo_id(other) != demo_id(track)
