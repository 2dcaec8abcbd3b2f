"""The tree with joints: a joint hangs where its link does, and the link on it."""

import mujoco
import pytest

from pyrep_mujoco.scene.tree import JOINT_HANDLES, ObjectTree
from pyrep_mujoco.world import Notes, World
from tests.unit.pyrep_mujoco.small_world import body, parts_of, small_world


@pytest.fixture
def world():
    return small_world()


@pytest.fixture
def tree(world):
    welds, graph = parts_of(world)
    return ObjectTree(world, graph, welds)


@pytest.fixture
def slide(world):
    return JOINT_HANDLES + world.model.joint("slide").id


def test_a_link_hangs_on_its_joint_and_the_joint_on_what_carries_it(world, tree, slide):
    table, drawer = body(world, "table"), body(world, "drawer")
    assert tree.parent(drawer) == slide
    assert tree.parent(slide) == table
    assert tree.parent(table) is None
    assert tree.below(table) == [slide, drawer]
    assert tree.below(slide) == [drawer]
    assert tree.body_of(slide) == drawer


def test_what_hangs_on_the_link_is_below_the_joint(world, tree, slide):
    drawer, cup = body(world, "drawer"), body(world, "cup")
    tree.hang(cup, drawer)
    assert tree.parent(cup) == drawer
    assert tree.below(drawer) == [cup]
    assert tree.below(slide) == [drawer, cup]


def test_what_hangs_on_the_joint_is_beside_the_link(world, tree, slide):
    drawer, cup = body(world, "drawer"), body(world, "cup")
    tree.hang(cup, slide)
    assert tree.parent(cup) == slide
    assert tree.below(drawer) == []
    assert set(tree.below(slide)) == {drawer, cup}


def test_a_link_can_leave_its_joint_and_come_back(world, tree, slide):
    drawer = body(world, "drawer")
    tree.hang(drawer, None)
    assert tree.parent(drawer) is None
    assert tree.below(slide) == []
    tree.hang(drawer, slide)
    assert tree.parent(drawer) == slide


BARE = """
<mujoco><worldbody><body name="post"><geom size="0.1"/><body name="hinge">
  <joint name="hinge"/><inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>
  <body name="door"><geom size="0.1"/></body>
</body></body></worldbody></mujoco>
"""


def test_a_body_that_is_only_there_for_a_joint_stands_for_it():
    world = World("bare.xml", mujoco.MjModel.from_xml_string(BARE), Notes())
    welds, graph = parts_of(world)
    tree = ObjectTree(world, graph, welds)
    assert tree.handle_at(body(world, "hinge")) == JOINT_HANDLES
    assert tree.parent(body(world, "door")) == JOINT_HANDLES
    assert tree.below(body(world, "post")) == [JOINT_HANDLES, body(world, "door")]
