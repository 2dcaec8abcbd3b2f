import numpy as np
import pytest

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.transforms import box_corners
from pyrep_mujoco.vision.mesh_rays import Mesh, box_triangles

BOX = box_triangles(box_corners(np.array([-1.0, 1.0, -2.0, 2.0, -3.0, 3.0])))


def hits(starts, ends, T=None, **kwargs):
    T = np.eye(4) if T is None else T
    return Mesh(BOX).first_hits(np.array(starts, float), np.array(ends, float), T, **kwargs)


def test_a_box_is_closed_and_of_its_size():
    assert BOX.shape == (12, 3, 3)
    areas = np.linalg.norm(np.cross(BOX[:, 1] - BOX[:, 0], BOX[:, 2] - BOX[:, 0]), axis=1) / 2
    assert areas.sum() == pytest.approx(2 * (2 * 4 + 2 * 6 + 4 * 6))


@pytest.mark.parametrize(("axis", "half"), [(0, 1.0), (1, 2.0), (2, 3.0)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_first_face_along_an_axis(axis, half, sign):
    start = np.full(3, 0.1)
    start[axis] = 10.0 * sign
    end = np.full(3, 0.1)
    end[axis] = -10.0 * sign
    assert hits([start], [end]) == pytest.approx((10 - half) / 20)


def test_beside_behind_and_short_of_the_box():
    assert np.isinf(hits([[5, 0, 0]], [[5, 9, 0]])).all()  # beside
    assert np.isinf(hits([[5, 0, 0]], [[9, 0, 0]])).all()  # away from it
    assert np.isinf(hits([[5, 0, 0]], [[1.1, 0, 0]])).all()  # ends before it
    assert hits([[0, 0, 0]], [[2, 0, 0]]) == pytest.approx(0.5)  # from inside


def test_limits_leave_later_hits_out():
    starts, ends = [[5, 0.1, 0.1]] * 2, [[-5, 0.1, 0.1]] * 2
    assert hits(starts, ends, limits=np.array([0.39, 0.41])) == pytest.approx([np.inf, 0.4])


def test_moving_mesh_and_rays_together_changes_nothing():
    rng = np.random.default_rng(0)
    starts, ends = 6 * rng.normal(size=(2, 50, 3))
    T = tf.transform(rng.normal(size=3), tf.euler_to_matrix(rng.normal(size=3)))
    here = hits(starts, ends)
    there = hits(starts @ T[:3, :3].T + T[:3, 3], ends @ T[:3, :3].T + T[:3, 3], T)
    assert 5 < np.isfinite(here).sum() < 50
    assert np.allclose(here, there)


def test_no_triangles_no_hits():
    nothing = np.zeros((0, 3, 3))
    assert np.isinf(Mesh(nothing).first_hits(np.zeros((2, 3)), np.ones((2, 3)), np.eye(4))).all()
