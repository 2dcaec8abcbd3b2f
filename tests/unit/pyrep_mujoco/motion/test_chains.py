"""Chains between any base and any tip, whatever stands in the model beside them."""

import mujoco
import numpy as np
import pytest

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.motion.chains import Chain, chain_kinematics, moved_bodies
from pyrep_mujoco.motion.planning import even_line, solve_ik

# A turned base on a cart; an arm of a slide and five hinges, one more joint in between that is not
# the arm's, and a finger.
MJCF = """
<mujoco><compiler angle="radian"/><worldbody>
  <body name="cart" pos="0.3 -0.2 0.1" euler="0 0 0.5"><freejoint/><geom size="0.1"/>
    <body name="lift" pos="0 0 0.2"><joint name="j0" type="slide" axis="0 0 1" range="0 0.5"/>
      <geom size="0.05"/>
      <body name="a" pos="0 0 0.1"><joint name="j1" axis="0 0 1" range="-3 3"/>
        <geom size="0.05"/>
        <body name="fixed" pos="0.1 0 0" euler="0 0.2 0"><geom size="0.02"/>
          <body name="b"><joint name="j2" axis="0 1 0" range="-2.5 2.5"/><geom size="0.05"/>
            <body name="c" pos="0.3 0 0"><joint name="other" axis="1 0 0" range="-1 1"/>
              <geom size="0.05"/>
              <body name="d"><joint name="j3" axis="0 1 0" range="-2.5 2.5"/><geom size="0.04"/>
                <body name="e" pos="0.25 0 0"><joint name="j4" axis="1 0 0" range="-3 3"/>
                  <geom size="0.03"/>
                  <body name="f"><joint name="j5" axis="0 1 0" range="-2 2"/><geom size="0.02"/>
                    <body name="finger" pos="0.1 0 0"><joint name="grip" type="slide"/>
                      <geom size="0.01"/></body>
  </body></body></body></body></body></body></body></body></body>
</worldbody></mujoco>
"""
T_TIP = np.array([[0.0, 0, 1, 0.12], [0, 1, 0, 0.01], [-1, 0, 0, 0], [0, 0, 0, 1]])
STEP = np.array([0.02, 0.02, 0.03])
NAMES = [f"j{i}" for i in range(6)]


@pytest.fixture
def scene():
    model = mujoco.MjModel.from_xml_string(MJCF)
    data = mujoco.MjData(model)
    values = dict.fromkeys(NAMES, 0.2) | {"other": 0.4}
    for name, value in values.items():
        data.qpos[model.joint(name).qposadr[0]] = value
    data.qpos[:3] = 1.0, 2.0, 0.3
    mujoco.mj_forward(model, data)
    return model, data


def chain_of(model, names=NAMES, constraints=(True,) * 6):
    ids = tuple(model.joint(name).id for name in names)
    lower, upper = model.jnt_range[list(ids)].T
    return Chain(ids, lower, upper, model.body("f").id, T_TIP, constraints)


def tip_of(scene, q):
    model, data = scene
    for name, value in zip(NAMES, q, strict=True):
        data.qpos[model.joint(name).qposadr[0]] = value
    mujoco.mj_kinematics(model, data)
    body = model.body("f").id
    return data.xpos[body] + data.xmat[body].reshape(3, 3) @ T_TIP[:3, 3]


def test_the_tip_is_where_the_model_has_it(scene):
    kin = chain_kinematics(*scene, chain_of(scene[0]))
    rng = np.random.default_rng(0)
    for _ in range(5):
        q = rng.uniform(kin.lower, kin.upper)
        np.testing.assert_allclose(kin.fk(q)[0], tip_of(scene, q), atol=1e-12)


def test_poses_are_reached_within_the_limits_asked_for(scene):
    kin = chain_kinematics(*scene, chain_of(scene[0]))
    goal = np.array([0.3, 0.5, -0.4, 0.6, 0.3, -0.5])
    pos, quat = kin.fk(goal)
    found = solve_ik(kin, pos, quat, np.full(6, 0.2), np.random.default_rng(0))
    assert found
    for q in found:
        assert kin.is_within_limits(q)
        np.testing.assert_allclose(tip_of(scene, q), pos, atol=1e-5)


def test_a_turn_about_the_tip_can_be_left_open(scene):
    free = chain_kinematics(*scene, chain_of(scene[0], constraints=(True,) * 5 + (False,)))
    q = np.array([0.3, 0.5, -0.4, 0.6, 0.3, -0.5])
    pos, quat = free.fk(q)
    turned, about_z = np.zeros(4), np.array([np.cos(0.4), 0.0, 0.0, np.sin(0.4)])
    mujoco.mju_mulQuat(turned, quat, about_z)
    reached = free.refine(q, pos, turned)
    assert reached is not None
    np.testing.assert_allclose(reached, q, atol=1e-6)


def test_a_line_in_even_steps(scene):
    kin = chain_kinematics(*scene, chain_of(scene[0]))
    q = np.array([0.2, 0.2, -0.8, 0.9, 0.3, 0.6])
    pos, quat = kin.fk(q)
    path = even_line(kin, q, pos + STEP, quat, points=11)
    assert path is not None
    assert path.shape == (11, 6)
    tips = np.array([kin.fk(row)[0] for row in path])
    np.testing.assert_allclose(tips, np.linspace(tips[0], tips[-1], 11), atol=1e-5)
    np.testing.assert_allclose(tips[-1] - pos, STEP, atol=1e-5)


def test_joints_that_do_not_move_the_tip_are_named(scene):
    with pytest.raises(SceneError, match="grip do not move it"):
        chain_kinematics(*scene, chain_of(scene[0], [*NAMES, "grip"]))


def test_what_joints_move(scene):
    model = scene[0]
    moved = moved_bodies(model, [model.joint("j4").id])
    assert {model.body(b).name for b in moved} == {"e", "f", "finger"}
