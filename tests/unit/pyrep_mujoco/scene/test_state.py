"""Saved moments: everything comes back, by values that later changes do not touch."""

import numpy as np
import pytest

from pyrep_mujoco.scene.state import StateKeeper
from tests.unit.pyrep_mujoco.small_world import at, body, parts_of, small_world, step


class NoShapes:
    """Makes no shapes; tells which snapshot it is to restore."""

    restored = None

    def snapshot(self):
        return "snapshot"

    def restore(self, saved, /):
        self.restored = saved


@pytest.fixture
def world():
    return small_world(robot_root="hand")


def test_a_moment_comes_back_and_goes_on_the_same(world):
    welds, graph = parts_of(world)
    shapes = NoShapes()
    keeper = StateKeeper(world, graph, welds, shapes)
    graph.reparent(body(world, "lamp"), body(world, "drawer"))
    welds.attach(body(world, "cup"), body(world, "hand"))
    world.model.geom_rgba[0] = 0.5
    world.changes.flags["lamp"] = frozenset({"model"})
    step(world, 20)
    state = keeper.save()
    step(world, 20)
    first = world.data.qpos.copy()

    welds.detach(body(world, "cup"))
    graph.reparent(body(world, "lamp"), 0)
    graph.move(body(world, "cup"), at(0, 0, 3))
    world.model.geom_rgba[0] = 0.9
    world.changes.flags.clear()
    world.solid[:] = False
    step(world, 20)

    keeper.restore(state)
    assert shapes.restored == "snapshot"
    assert welds.held.keys() == {body(world, "cup")}
    assert graph.followers.keys() == {body(world, "lamp")}
    assert world.parents[body(world, "lamp")] == body(world, "drawer")
    assert np.all(world.model.geom_rgba[0] == 0.5)
    assert world.changes.flags == {"lamp": {"model"}}
    assert world.solid.all()
    step(world, 20)
    assert np.array_equal(world.data.qpos, first)


def test_a_saved_moment_does_not_change_with_the_world(world):
    welds, graph = parts_of(world)
    keeper = StateKeeper(world, graph, welds, NoShapes())
    state = keeper.save()
    world.parents[body(world, "cup")] = body(world, "lamp")
    world.changes.pinned.add(1)
    assert state.parents[body(world, "cup")] == 0
    assert not state.changes.pinned
