"""Keypoints that look alike are scored up to one exchange of names in each example."""

import dataclasses

import numpy as np
import pytest
import torch

from pose_obj_3d.formal import Witness, read_formal
from pose_obj_3d.tracks.choosing import choose_detections
from pose_obj_3d.tracks.exchanging import best_order, count_exchanged
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig
from tests.unit.pose_obj_3d.synthetic import example, write_scene

GROUPS = ("waypoints", "robot")
DETECTED = Witness("detected", "detector")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "a.npz"
    return read_formal(write_scene(path, examples=5, detected=True))


def exchanged(data, number, frames=slice(None)):
    """Exchange the two waypoints in what the detector says of an example."""
    says = [x.copy() for x in data.detections[0]]
    says[number][:, frames, :2] = data.detections[0][number][:, frames, 1::-1]
    return dataclasses.replace(data, detections={0: says})


def load(data, split="train", with_truth=True):
    chosen = choose_detections(data, DETECTED, [0])
    ids = keypoint_ids(chosen, [0], GROUPS)
    return load_tracks(chosen, make_rig(chosen), [0], split, ids, with_truth=with_truth)


def error(tracks):
    return (tracks.xyz - tracks.truth).norm(dim=-1)


def test_an_exchanged_example_is_scored_under_its_own_names(data):
    plain, other = load(data), load(exchanged(data, 1))
    assert error(other).max() < 1.001 * error(plain).max()
    assert torch.equal(other.truth[24:48, [1, 0, 2]], plain.truth[24:48])
    assert torch.equal(other.truth[:24], plain.truth[:24])


def test_one_order_holds_for_the_whole_example(data):
    tracks = load(exchanged(data, 1, slice(0, 10)))  # ten frames of 24: the others decide
    plain = load(data)
    assert torch.equal(tracks.truth, plain.truth)
    assert (error(tracks)[24:34, :2] > 0.05).any()


def test_only_the_truth_is_renamed(data):
    a, b = (load(exchanged(data, 1), with_truth=truth) for truth in (True, False))
    assert torch.equal(a.uv, b.uv)
    assert torch.equal(a.xyz, b.xyz)


def test_the_examples_are_counted(data):
    test = data.split(0)["test"][0]
    chosen = choose_detections(exchanged(data, test), DETECTED, [0])
    assert count_exchanged(chosen, [0], "test") == (1, 1)
    assert count_exchanged(chosen, [0], "train") == (0, 3)
    # Simulated detections know their names.
    assert count_exchanged(data, [0], "test") == (0, 1)


def test_three_alike_among_others():
    x = example(np.random.default_rng(0), 12, [True] * 5)
    renamed = x.copy()
    renamed[:, :, [0, 2, 4], 2:4] = x[:, :, [2, 4, 0], 2:4]
    assert best_order(renamed, [[0, 2, 4]], 20).tolist() == [2, 1, 4, 3, 0]
    assert best_order(x, [[0, 2, 4], [1, 3]], 20).tolist() == [0, 1, 2, 3, 4]
    nothing = x.copy()
    nothing[..., 7] = 0
    assert best_order(nothing, [[0, 2, 4]], 20).tolist() == [0, 1, 2, 3, 4]


def test_gross_errors_do_not_decide():
    x = example(np.random.default_rng(0), 12, [True] * 3)
    x[0, :3, 0, 2:4] = x[0, :3, 1, 2:4] + 3000  # far off, and nearer to the other one
    assert best_order(x, [[0, 1]], 20).tolist() == [0, 1, 2]
