"""Two keypoints that look alike are followed through time, whatever each frame calls them."""

import numpy as np

from pose_obj_3d.detector.learning.pairs import Middle, link_pair

T = 30
STEP = 3.0


def candidates(first, second, second_map_prefers_first):
    """Both maps have peaks at both places; names are right in the first frames only."""
    uv = np.stack([first, second], 1)[:, None].repeat(2, 1)  # (T, 2, M, 2)
    cost = np.tile([[0.1, 2.0], [2.0, 0.1]], (T, 1, 1))
    cost[second_map_prefers_first] = [[0.1, 2.0], [0.1, 2.0]]
    return uv, cost


def track(start, step):
    return np.asarray(start) + np.arange(T)[:, None] * np.asarray(step, float)


def test_both_are_found_where_both_maps_prefer_one():
    first, second = track([10, 20], [1, 0]), track([40, 20], [1, 0])
    found = link_pair(*candidates(first, second, slice(5, None)), None, 256, STEP)
    np.testing.assert_allclose(found.uv, np.stack([first, second], 1))
    assert not found.is_mirrored.any()
    assert not found.off_middle.any()


def test_names_that_turn_for_many_frames_do_not_make_things_jump():
    first, second = track([10, 20], [1, 0]), track([40, 20], [1, 0])
    uv, cost = candidates(first, second, slice(0, 0))
    cost[18:] = cost[18:, :, ::-1]  # from here on the maps say the other name
    found = link_pair(uv, cost, None, 256, STEP)
    np.testing.assert_allclose(found.uv, np.stack([first, second], 1))
    assert found.whose[20].tolist() == [1, 0]  # the map that is surest of the place


def test_the_middle_tells_where_the_hidden_one_is():
    first, second = track([60, 50], [0.5, 0]), track([90, 70], [0.5, 0])
    uv, cost = candidates(first, second, slice(0, 0))
    uv[10:20, :, 1] = 200.0  # neither map has a peak on the second one
    cost[10:20, :, 1] = 5.0
    middle = Middle((first + second) / 2, np.full(T, 0.05))
    found = link_pair(uv, cost, middle, 256, STEP)
    np.testing.assert_allclose(found.uv, np.stack([first, second], 1))
    assert found.is_mirrored[:, 1].tolist() == [10 <= t < 20 for t in range(T)]
    assert not found.is_mirrored[:, 0].any()
    np.testing.assert_allclose(found.off_middle, 0, atol=1e-9)


def test_a_middle_that_is_not_sure_does_not_lead_away():
    """The keypoint in the middle is lost for some frames; both others are found well."""
    first, second = track([60, 50], [0.5, 0]), track([90, 70], [0.5, 0])
    uv, cost = candidates(first, second, slice(0, 0))
    lost = np.arange(T) % 10 > 6
    middle = (first + second) / 2 + np.where(lost, 40.0, 0.0)[:, None]
    found = link_pair(uv, cost, Middle(middle, np.where(lost, 4.0, 0.05)), 256, STEP)
    np.testing.assert_allclose(found.uv, np.stack([first, second], 1))
    assert not found.is_mirrored.any()
