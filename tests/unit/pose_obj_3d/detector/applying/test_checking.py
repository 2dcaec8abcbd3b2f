"""Detections of another program are compared with the truth; usual mistakes are named."""

import numpy as np
import pytest

from pose_obj_3d.detector.applying.checking import compare
from pose_obj_3d.formal import read_formal
from tests.unit.pose_obj_3d.synthetic import IMAGE, write_scene

SIZE = (IMAGE, IMAGE)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("checking") / "a.npz"
    return read_formal(write_scene(path, examples=8, frames=20, detected=True))


def told(data, change, numbers=None):
    """What is said of the drawn detections, each changed: the summary, and the mistakes."""
    parts = [x.copy() for x in data.detections[0]]
    for x in parts:
        change(x)
    summary, *mistakes = compare(data, {0: [parts[n] for n in numbers or range(len(parts))]})
    assert all(line.startswith("check: T0: ") for line in mistakes)
    return summary, mistakes


def test_sound_detections_have_no_mistakes(data):
    summary, mistakes = told(data, lambda x: None)
    assert mistakes == []
    assert "100 % of the" in summary
    assert "0 % more than 10 px" in summary
    assert "hold 6" in summary
    assert "% and 9" in summary


def test_names_that_are_exchanged_in_a_demo_are_no_mistake(data):
    def exchange(x):
        x[:, :, [0, 1]] = x[:, :, [1, 0]]

    assert told(data, exchange)[1] == []


def put(channels, value):
    def change(x):
        x[..., channels] = value(x)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(slice(0, 2), lambda x: x[..., 1::-1]), "look like u and v exchanged"),
        (put(slice(0, 2), lambda x: x[..., :2] / SIZE), "look like shares of the picture's size"),
        (put(slice(0, 2), lambda x: x[..., :2] * 3), "pixels of pictures of about 768 x 768 px"),
        (put(slice(0, 2), lambda x: x[..., :2] + 50), "in the order of the archive?"),
        (
            put(slice(2, 4), lambda x: x[..., 2:4] / 3),
            "3.0 times too small: regions of 68 % hold 1",
        ),
        (
            put(slice(2, 4), lambda x: x[..., 2:4] * 3),
            "times too large: regions of 68 % hold 100 %",
        ),
        (put(slice(2, 4), lambda x: x[..., 2:4] ** 2), "their square roots: are they variances?"),
        (put(slice(2, 4), lambda x: x[..., 3:1:-1]), "fit the errors better with sd_u and sd_v ex"),
        (put(4, lambda x: -x[..., 4]), "better with rho of the other sign"),
        (put(slice(2, 4), lambda x: 1.3), "all claims are the same"),
        (put(5, lambda x: 0.2), "p_inside is below 0.5 for most points"),
    ],
)
def test_mistakes_are_named(data, change, message):
    _, mistakes = told(data, change)
    assert message in " ".join(mistakes)
    assert all(len(line) <= 300 for line in mistakes)


@pytest.mark.parametrize(("offset", "why"), [(0.5, "been added twice"), (-0.5, "needs 0.5 added")])
def test_pixels_that_are_counted_from_another_corner(data, offset, why):
    # Errors of several px hide half a pixel in so few frames.
    near = [x.copy() for x in data.detections[0]]
    for x, true in zip(near, data.tracks[0], strict=True):
        x[..., :2] = true[..., :2] + (x[..., :2] - true[..., :2]) / 4 + offset
    _, line = compare(data, {0: near})
    assert "the centre of a picture's first pixel is at (0.5, 0.5)" in line
    assert why in line


def test_examples_in_another_order(data):
    _, mistakes = told(data, lambda x: None, [1, 2, 3, 4, 5, 6, 7, 0])
    assert "in the order of the archive?" in mistakes[0]


def test_views_and_keypoints_without_detections(data):
    def change(x):
        x[1, ..., :4] = x[:, :, 2, :4] = np.nan

    _, mistakes = told(data, change)
    assert "in view right_shoulder" in mistakes[0]
    assert "of keypoint objects/block" in mistakes[1]


def test_nothing_at_all(data):
    summary, mistakes = told(data, put(slice(0, 4), lambda x: np.nan))
    assert "0 % of the" in summary
    assert mistakes == []
