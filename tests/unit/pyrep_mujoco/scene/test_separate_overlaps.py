"""What stands in something else is moved out of it before physics runs."""

import mujoco
import numpy as np
import pytest

from pyrep_mujoco.scene.separate_overlaps import FURTHEST
from rlbench.engines.mujoco import MujocoEngine

TABLE = 0.75207
"""Height of the table's top [m]."""
SCENE = """
<mujoco model="overlaps">
  <worldbody>
    <body name="overlaps" pos="0.3 0 0.752"/>
    {bodies}
  </worldbody>
</mujoco>
"""


def cube(name, x, z, half=0.02):
    return (
        f'<body name="{name}" pos="{x} 0.3 {z}"><freejoint/>'
        f'<geom type="box" size="{half} {half} {half}" mass="0.1"/></body>'
    )


@pytest.fixture
def load(tmp_path):
    def engine_of(*bodies):
        path = tmp_path / "overlaps.xml"
        path.write_text(SCENE.format(bodies="\n".join(bodies)))
        return MujocoEngine(path)

    return engine_of


def deepest(engine):
    mujoco.mj_collision(engine.model, engine.data)
    return max((-c.dist for c in engine.data.contact), default=0.0)


def test_a_block_in_the_table_is_lifted_and_rests(load):
    engine = load(cube("block", 0.3, TABLE + 0.02 - 0.005))
    block = engine.shape("block")
    engine.separate_overlaps()
    assert block.get_position() == pytest.approx([0.3, 0.3, TABLE + 0.02], abs=1e-4)
    before = block.get_position()
    for _ in range(20):
        engine.step()
        assert np.linalg.norm(block.get_position() - before) < 5e-4


def test_of_a_pile_the_upper_block_goes(load):
    low, high = cube("low", 0.3, TABLE + 0.02), cube("high", 0.3, TABLE + 0.056)
    engine = load(low, high)
    engine.separate_overlaps()
    assert engine.shape("low").get_position()[2] == pytest.approx(TABLE + 0.02, abs=1e-6)
    assert engine.shape("high").get_position()[2] == pytest.approx(TABLE + 0.06, abs=1e-4)


def test_a_pile_in_the_table_is_lifted_as_a_whole(load):
    engine = load(cube("low", 0.3, TABLE + 0.017), cube("high", 0.3, TABLE + 0.057))
    engine.separate_overlaps()
    assert engine.shape("low").get_position()[2] == pytest.approx(TABLE + 0.02, abs=1e-4)
    assert engine.shape("high").get_position()[2] == pytest.approx(TABLE + 0.06, abs=1e-4)
    assert deepest(engine) < 1e-3


def test_two_blocks_side_by_side_go_half_the_way_each(load):
    engine = load(cube("a", 0.3, TABLE + 0.021), cube("b", 0.336, TABLE + 0.021))
    engine.separate_overlaps()
    assert engine.shape("a").get_position()[0] == pytest.approx(0.298, abs=1e-4)
    assert engine.shape("b").get_position()[0] == pytest.approx(0.338, abs=1e-4)


def test_less_than_a_millimetre_is_left_to_physics(load):
    engine = load(cube("block", 0.3, TABLE + 0.02 - 9e-4))
    before = engine.shape("block").get_pose()
    engine.separate_overlaps()
    assert np.array_equal(engine.shape("block").get_pose(), before)


def test_what_is_put_deep_inside_something_stays(load):
    engine = load(cube("block", 0.3, TABLE + 0.02 - 2 * FURTHEST))
    before = engine.shape("block").get_pose()
    engine.separate_overlaps()
    assert np.allclose(engine.shape("block").get_pose(), before, atol=1e-9)


def test_what_is_pinned_stays(load):
    engine = load(cube("block", 0.3, TABLE + 0.015))
    block = engine.shape("block")
    engine.welds.pin(block.body, True)
    before = block.get_pose()
    engine.separate_overlaps()
    assert np.array_equal(block.get_pose(), before)


def test_only_the_body_itself_goes_not_what_hangs_on_it_in_the_tree(load):
    engine = load(cube("low", 0.3, TABLE + 0.015), cube("other", 0.5, TABLE + 0.02))
    engine.shape("other").set_parent(engine.shape("low"))
    before = engine.shape("other").get_pose()
    engine.separate_overlaps()
    assert np.array_equal(engine.shape("other").get_pose(), before)
