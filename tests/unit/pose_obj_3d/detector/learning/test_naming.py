"""Names of look-alikes that changed in single views are found from all views together."""

import numpy as np
import pytest

from pose_obj_3d.detector.learning.naming import MOST_VIEWS, find_exchanges

T = 25


def cameras(count):
    """Cameras on a circle of 1 m around the scene, 200 px focal length."""
    found = []
    for angle in np.linspace(0, 2, count):
        c, s = np.cos(angle), np.sin(angle)
        R = np.array([[-s, c, 0], [0, 0, -1], [-c, -s, 0]])
        K = np.array([[200, 0, 128], [0, 200, 128], [0, 0, 1.0]])
        found.append(K @ np.column_stack([R, [0, 0, 1.0]]))
    return np.stack(found)


def seen(projections, seed=0):
    """A pair 10 cm apart that turns by 100 degrees: (V, T, 2, 2) [px]."""
    turn = np.linspace(0, 1.75, T)
    half = 0.05 * np.stack([np.cos(turn), np.sin(turn), np.full(T, 0.3)], -1)
    points = np.stack([half, -half], 1)
    points[..., 0] += 0.05
    there = np.einsum("vci,tki->vtkc", projections[..., :3], points)
    there += projections[:, None, None, :, 3]
    uv = there[..., :2] / there[..., 2:]
    return uv + np.random.default_rng(seed).normal(0, 0.5, uv.shape)


def exchanged(uv, which):
    return np.where(which[..., None, None], uv[:, :, ::-1], uv)


@pytest.mark.parametrize("count", [3, 4])
def test_names_that_changed_in_some_views_are_changed_back(count):
    projections = cameras(count)
    which = np.zeros((count, T), bool)
    which[1, 10:] = True
    which[2, 5:18] = True
    uv = exchanged(seen(projections), which)
    found = find_exchanges(uv, np.ones(uv.shape[:3]), projections)
    assert (found == which).mean() > 0.98


def test_right_names_stay():
    projections = cameras(4)
    uv = seen(projections)
    assert not find_exchanges(uv, np.ones(uv.shape[:3]), projections).any()


@pytest.mark.parametrize("count", [1, MOST_VIEWS + 1])
def test_a_single_view_and_very_many_are_left_alone(count):
    projections = cameras(count)
    uv = seen(projections)
    assert not find_exchanges(uv, np.ones(uv.shape[:3]), projections).any()


def test_claims_decide_which_rays_count():
    """A view whose claims are wide does not overrule the others, however far off it is."""
    projections = cameras(4)
    uv = seen(projections)
    sd = np.ones(uv.shape[:3])
    uv[3] += np.random.default_rng(1).normal(0, 40, uv[3].shape)
    sd[3] = 40
    which = np.zeros(uv.shape[:2], bool)
    which[1, 10:] = True
    found = find_exchanges(exchanged(uv, which), sd, projections)
    assert (found[:3] == which[:3]).mean() > 0.98


def test_rays_that_meet_nowhere_decide_nothing():
    projections = np.repeat(cameras(2)[:1], 2, 0)  # one camera twice: any depth will do
    uv = seen(projections)
    assert not find_exchanges(uv, np.ones(uv.shape[:3]), projections).any()
