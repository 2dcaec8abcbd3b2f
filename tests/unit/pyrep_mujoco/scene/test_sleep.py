"""What a scene says starts asleep stays where it is until something touches it."""

import numpy as np
import pytest

from rlbench.engines.mujoco import MujocoEngine

SCENE = """
<mujoco model="sleep">
  <custom>
    <text name="flags:block" data="respondable renderable asleep"/>
    <text name="flags:other" data="respondable renderable"/>
  </custom>
  <worldbody>
    <body name="sleep" pos="0.3 0 0.752"/>
    <body name="block" pos="0.3 0.3 0.9"><freejoint/>
      <geom type="box" size="0.02 0.02 0.02" mass="0.1"/></body>
    <body name="other" pos="0.3 0.3 1.1"><freejoint/>
      <geom type="box" size="0.02 0.02 0.02" mass="0.1"/></body>
  </worldbody>
</mujoco>
"""


@pytest.fixture
def engine(tmp_path):
    path = tmp_path / "sleep.xml"
    path.write_text(SCENE)
    return MujocoEngine(path)


def steps(engine, n):
    for _ in range(n):
        engine.step()


def test_it_stays_in_the_air_until_something_falls_on_it(engine):
    block = engine.shape("block")
    before = block.get_pose()
    steps(engine, 3)
    assert np.array_equal(block.get_pose(), before)
    steps(engine, 12)  # the other one has fallen 16 cm by now
    assert block.get_position()[2] < 0.9 - 1e-3
    steps(engine, 30)
    assert block.get_position()[2] < 0.82


def test_it_sleeps_on_where_it_is_put(engine):
    block = engine.shape("block")
    block.set_position([0.5, -0.3, 1.0])
    steps(engine, 10)
    assert block.get_position() == pytest.approx([0.5, -0.3, 1.0], abs=1e-12)


def test_what_the_hand_holds_is_awake(engine):
    block, hand = engine.shape("block"), engine.model.body(engine.robot.hand).id
    engine.welds.attach(block.body, hand)
    steps(engine, 1)
    engine.welds.detach(block.body)
    steps(engine, 10)
    assert block.get_position()[2] < 0.85


def test_a_reset_puts_it_to_sleep_again(engine):
    block = engine.shape("block")
    before = block.get_pose()
    steps(engine, 20)
    assert engine.world.changes.asleep == set()
    engine.reset()
    assert np.array_equal(block.get_pose(), before)
    steps(engine, 3)
    assert np.array_equal(block.get_pose(), before)


def test_a_saved_moment_knows_who_sleeps(engine):
    state = engine.get_state()
    steps(engine, 20)
    engine.set_state(state)
    assert engine.world.changes.asleep == {engine.shape("block").body}
