import numpy as np

from pose_obj_3d.detector.learning.linking import carried, link


def test_a_jump_to_a_look_alike_is_refused():
    """For three frames the wrong candidate is a little better; going there costs two jumps."""
    T = 12
    right = np.stack([10.0 + np.arange(T), np.full(T, 20.0)], -1)
    wrong = np.full((T, 2), 90.0)
    uv = np.stack([right, wrong], 1)[:, None]
    cost = np.tile([0.0, 1.0], (T, 1, 1))
    cost[5:8] = [1.0, 0.0]
    assert not link(uv, cost, 256).any()


def test_a_lasting_better_candidate_wins():
    uv = np.zeros((20, 1, 2, 2))
    uv[:, :, 1] = 90.0
    cost = np.tile([0.0, 5.0], (20, 1, 1))
    cost[8:] = [5.0, 0.0]
    assert link(uv, cost, 256)[:, 0].tolist() == [0] * 8 + [1] * 12


def test_one_frame_takes_the_cheapest():
    cost = np.array([[[3.0, 1.0], [0.0, 2.0]]])
    assert link(np.zeros((1, 2, 2, 2)), cost, 256).tolist() == [[1, 0]]


def test_certain_frames_before_and_after_are_found():
    cost = np.array([5.0, 0.1, 5.0, 5.0, 0.2, 5.0])[:, None]
    found = carried(cost)[:, 0].tolist()
    assert found == [[-1, 1], [1, 1], [1, 4], [1, 4], [4, 4], [4, -1]]
