"""Ways of any arm: at a pose, straight, around a wall, along a path."""

import mujoco
import numpy as np
import pytest

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import ConfigurationPathError, IKError
from pyrep_mujoco.motion.arm_planner import ArmPlan, ArmPlanner
from pyrep_mujoco.motion.chains import Chain

# Two slides carry a ball over a floor; a wall stands on its way, a shelf cannot be seen.
MJCF = """
<mujoco><worldbody>
  <body name="x"><joint name="x" type="slide" axis="1 0 0"/>
    <geom size="0.01" contype="0" conaffinity="0"/>
    <body name="y"><joint name="y" type="slide" axis="0 1 0"/><geom size="0.05"/>
      <body name="turn"><joint name="turn" axis="0 0 1"/><geom size="0.02"/></body></body></body>
  <body name="wall" pos="0.5 0 0"><geom name="wall" type="box" size="0.02 0.4 0.2"/></body>
</worldbody></mujoco>
"""
GOAL = tf.transform(np.array([1.0, 0.0, 0.0]), np.eye(3))


def plan(
    at: tuple[float, float, float] = (0.0, 0.0, 0.0),
    *,
    is_blocked: bool = True,
    holds: bool = False,
) -> ArmPlan:
    model = mujoco.MjModel.from_xml_string(MJCF)
    data = mujoco.MjData(model)
    data.qpos[:] = at
    mujoco.mj_forward(model, data)
    constraints = (True, True, False, False, False, True)
    bounds = np.array([1.5, 1.0, 3.0])
    chain = Chain((0, 1, 2), -bounds, bounds, model.body("turn").id, np.eye(4), constraints)
    obstacles = np.zeros(model.ngeom, bool)
    obstacles[model.geom("wall").id] = is_blocked
    parts = np.full(model.ngeom, not holds)  # nothing but what is held is thick enough to touch
    return ArmPlanner(model, chain).begin(data, obstacles, parts)


def test_a_line_is_even_and_blocked_by_what_counts():
    path = plan(is_blocked=False).line(GOAL, 11, ignore_collisions=False)
    np.testing.assert_allclose(path[:, 0], np.linspace(0, 1, 11), atol=1e-6)
    assert len(plan().line(GOAL, 11, ignore_collisions=True)) == 11
    with pytest.raises(ConfigurationPathError, match="in its way"):
        plan().line(GOAL, 11, ignore_collisions=False)


def test_a_way_leads_around_and_is_the_same_each_time():
    ways = [plan().way(GOAL, False, restarts=20, most=2) for _ in range(2)]
    np.testing.assert_array_equal(*ways)
    assert np.abs(ways[0][:, 1]).max() > 0.4
    np.testing.assert_allclose(ways[0][-1][:2], [1.0, 0.0], atol=1e-5)
    straight = plan().way(GOAL, True, restarts=20, most=2)
    assert np.abs(straight[:, 1]).max() < 1e-6


def test_what_touches_at_the_start_may_be_left():
    pressed = plan((0.44, 0.0, 0.0))
    assert len(pressed.touched()) == 1
    back = tf.transform(np.array([0.0, 0.0, 0.0]), np.eye(3))
    assert len(pressed.line(back, 5, ignore_collisions=False)) == 5
    assert plan().touched() == set()


def test_what_hangs_on_an_arm_is_in_nothings_way():
    assert len(plan(holds=True).line(GOAL, 11, ignore_collisions=False)) == 11


def test_overlaps_of_things_that_rest_do_not_count():
    radius, wall = 0.05, 0.5 - 0.02
    for depth, is_free in ((0.001, True), (0.004, False)):
        goal = tf.transform(np.array([wall - radius + depth, 0.0, 0.0]), np.eye(3))
        if is_free:
            assert len(plan().line(goal, 5, ignore_collisions=False)) == 5
        else:
            with pytest.raises(ConfigurationPathError, match="in its way"):
                plan().line(goal, 5, ignore_collisions=False)


def test_out_of_reach_is_told():
    far = tf.transform(np.array([9.0, 0.0, 0.0]), np.eye(3))
    with pytest.raises(ConfigurationPathError, match="out of reach"):
        plan().way(far, True, restarts=5, most=1)
    with pytest.raises(IKError):
        plan().configuration(far)


def test_locked_joints_stay():
    turned = tf.transform(np.array([0.3, 0.0, 0.0]), tf.euler_to_matrix(np.array([0, 0, 0.5])))
    # Where a pose is partly left open, its turn is reached to 0.1 degrees.
    assert plan().configuration(turned)[2] == pytest.approx(0.5, abs=2e-3)
    with pytest.raises(IKError):
        plan().configuration(turned, locked={2: 0.0})


def test_a_path_is_followed():
    poses = [tf.transform(np.array([x, x, 0.0]), np.eye(3)) for x in (0.1, 0.2, 0.3)]
    path = plan().along(poses)
    np.testing.assert_allclose(path[-1][:2], [0.3, 0.3], atol=1e-5)
    assert np.abs(np.diff(path, axis=0)).max() < 0.02


def test_the_jacobian():
    jacobian = plan((0.2, 0.0, 0.5)).jacobian()
    assert jacobian.shape == (6, 3)
    np.testing.assert_allclose(jacobian[:2, :2], np.eye(2), atol=1e-9)
    np.testing.assert_allclose(jacobian[5], [0, 0, 1], atol=1e-9)
