"""Who hangs on whom, and moving whole trees."""

import numpy as np
import pytest

from pyrep_mujoco.errors import SceneError
from tests.unit.pyrep_mujoco.small_world import at, body, parts_of, small_world


@pytest.fixture
def world():
    return small_world()


@pytest.fixture
def graph(world):
    return parts_of(world)[1]


def place_of(world, name):
    return world.transform(body(world, name))[:3, 3]


def test_a_tree_lists_parents_first(world, graph):
    graph.reparent(body(world, "cup"), body(world, "drawer"))
    names = [world.body_name(b) for b in graph.tree(body(world, "table"))]
    assert names == ["table", "drawer", "cup"]


@pytest.mark.parametrize("name", ["cup", "lamp"])
def test_what_hangs_on_a_body_moves_with_it(world, graph, name):
    graph.reparent(body(world, name), body(world, "table"))
    before = place_of(world, name)
    graph.move(body(world, "table"), at(0.1, 0.2, 0.7))
    assert place_of(world, name) == pytest.approx(np.add(before, [0.1, 0.2, 0.2]))


def test_a_fixed_body_follows_what_physics_moves(world, graph):
    graph.reparent(body(world, "lamp"), body(world, "drawer"))
    before = place_of(world, "lamp")
    world.data.qpos[world.model.joint("slide").qposadr[0]] = 0.05
    world.refresh()
    assert place_of(world, "lamp") == pytest.approx(before)
    graph.follow()
    assert place_of(world, "lamp") == pytest.approx(np.add(before, [0.05, 0, 0]))


def test_moving_what_follows_keeps_it_there(world, graph):
    graph.reparent(body(world, "lamp"), body(world, "drawer"))
    graph.move(body(world, "lamp"), at(2, 0, 0))
    graph.follow()
    assert place_of(world, "lamp") == pytest.approx([2, 0, 0])


def test_a_moved_body_stands_still_unless_asked(world, graph):
    cup = body(world, "cup")
    world.data.qvel[world.model.body_dofadr[cup]] = 0.5
    graph.move(cup, at(0, 0, 2), keeps_velocity=True)
    assert world.data.qvel[world.model.body_dofadr[cup]] == 0.5
    graph.move(cup, at(0, 0, 3))
    assert world.data.qvel[world.model.body_dofadr[cup]] == 0.0


def test_a_kept_velocity_turns_with_the_body_not_in_the_world(world, graph):
    cup = body(world, "cup")
    start = world.model.body_dofadr[cup]
    world.data.qvel[start + 3 : start + 6] = [0, 0, 1]  # about the body's own z
    turned = at(0, 0, 2)
    turned[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    graph.move(cup, turned, keeps_velocity=True)
    spin = world.transform(cup)[:3, :3] @ world.data.qvel[start + 3 : start + 6]
    assert spin == pytest.approx([0, 0, 1])


def test_a_cycle_is_refused(world, graph):
    with pytest.raises(SceneError, match="table cannot become a child of its own descendant"):
        graph.reparent(body(world, "table"), body(world, "drawer"))


def test_what_hangs_on_a_joint_cannot_follow_what_moves(world, graph):
    with pytest.raises(SceneError, match="drawer hangs on a joint of table: it cannot follow cup"):
        graph.reparent(body(world, "drawer"), body(world, "cup"))


def test_a_pose_of_no_numbers_is_refused(world, graph):
    before = world.data.qpos.copy()
    with pytest.raises(SceneError, match="cup cannot be put at"):
        graph.move(body(world, "cup"), at(float("nan"), 0, 0))
    assert np.array_equal(world.data.qpos, before)


def test_a_shift_leaves_what_hangs_on_the_body(world, graph):
    graph.reparent(body(world, "lamp"), body(world, "hand"))
    graph.reparent(body(world, "hand"), body(world, "cup"))
    before = place_of(world, "cup")
    graph.shift(body(world, "cup"), np.array([0.0, 0.0, 0.01]))
    assert place_of(world, "cup") == pytest.approx(np.add(before, [0, 0, 0.01]))
