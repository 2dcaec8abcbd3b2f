"""Arms whose tip hangs on joints that links move along."""

import mujoco
import numpy as np
import pytest

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.motion.arm_planner import ArmPlanner
from pyrep_mujoco.motion.chains import Chain, chain_kinematics, form_of

# A parallelogram: `crank`, beside the arm's own link, turns `forearm` by a rod.
MJCF = """
<mujoco><compiler angle="radian"/><worldbody>
  <body name="base"><joint name="turn" axis="0 0 1"/><geom size="0.05"/>
    <body name="upper" pos="0 0 0.1"><joint name="lift" axis="0 1 0"/><geom size="0.02"/>
      <body name="forearm" pos="0 0 0.3"><joint name="elbow" axis="0 1 0"/><geom size="0.02"/>
        <site name="a" pos="-0.1 0 0"/><site name="tip" pos="0.25 0 0"/></body></body>
    <body name="crank" pos="0 0 0.1"><joint name="crank" axis="0 1 0"/><geom size="0.02"/>
      <body name="rod" pos="-0.1 0 0"><joint name="rod" axis="0 1 0"/><geom size="0.02"/>
        <site name="b" pos="0 0 0.3"/></body></body>
    <body name="flag" pos="0 0 -0.1"><joint name="flag" axis="0 1 0"/><geom size="0.02"/></body>
  </body></worldbody>
  <equality><connect site1="a" site2="b"/></equality></mujoco>
"""
T_TIP = np.array([[1.0, 0, 0, 0.25], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
LEADERS = "turn", "lift", "crank"
PLACE_ONLY = (True,) * 3 + (False,) * 3


@pytest.fixture
def scene():
    model = mujoco.MjModel.from_xml_string(MJCF)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def chain_of(model, names=LEADERS):
    ids = tuple(model.joint(name).id for name in names)
    bounds = np.full(len(ids), 1.5)
    return Chain(ids, -bounds, bounds, model.body("forearm").id, T_TIP, PLACE_ONLY)


def tip_at(q):
    """Return (3,) where the tip is: the forearm stays parallel to the crank."""
    turn, lift, crank = q
    out = 0.3 * np.sin(lift) + 0.25 * np.cos(crank)
    up = 0.1 + 0.3 * np.cos(lift) - 0.25 * np.sin(crank)
    return np.array([out * np.cos(turn), out * np.sin(turn), up])


def test_joints_that_follow_are_found(scene):
    form = form_of(scene[0], chain_of(scene[0]))
    assert {scene[0].joint(j).name for j in form.followers} == {"elbow", "rod"}


def test_the_tip_goes_where_the_links_lead_it(scene):
    kin = chain_kinematics(*scene, chain_of(scene[0]))
    rng = np.random.default_rng(0)
    for _ in range(20):
        q = rng.uniform(-1.4, 1.4, 3)
        np.testing.assert_allclose(kin.fk(q)[0], tip_at(q), atol=1e-9)
        elbow = kin.with_followers(q)[3]
        assert elbow == pytest.approx(q[2] - q[1], abs=1e-9)
        step = np.array([1e-6, -1e-6, 2e-6])
        moved = (tip_at(q + step) - tip_at(q - step)) / 2
        np.testing.assert_allclose(kin.jacobian(q)[:3] @ step, moved, atol=1e-11)


def test_places_are_reached_on_straight_lines(scene):
    plan = ArmPlanner(scene[0], chain_of(scene[0])).begin(scene[1], np.zeros(scene[0].ngeom, bool))
    goal = np.array([0.5, 0.6, 0.4])
    T = np.eye(4)
    T[:3, 3] = tip_at(goal)
    np.testing.assert_allclose(plan.configuration(T), goal, atol=1e-5)
    rows = plan.line(T, 11, ignore_collisions=False)
    tips = np.array([tip_at(row) for row in rows])
    np.testing.assert_allclose(tips, np.linspace(tips[0], tips[-1], 11), atol=1e-5)
    np.testing.assert_allclose(tips[-1], T[:3, 3], atol=1e-5)


def test_a_joint_that_moves_nothing_of_it_is_named(scene):
    with pytest.raises(SceneError, match="flag do not move it"):
        form_of(scene[0], chain_of(scene[0], [*LEADERS, "flag"]))
