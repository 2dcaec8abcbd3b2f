"""Grasps, pins and force sensors."""

import numpy as np
import pytest

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.robots.robot_model import YIELDING
from pyrep_mujoco.world import ROBOT_BIT, WORLD_BIT
from tests.unit.pyrep_mujoco.small_world import at, body, parts_of, small_world, step


@pytest.fixture
def world():
    return small_world(robot_root="hand")


@pytest.fixture
def welds(world):
    return parts_of(world)[0]


def height(world):
    return world.transform(body(world, "cup"))[2, 3]


def test_what_is_held_stays_and_what_is_let_go_falls(world, welds):
    cup, hand = body(world, "cup"), body(world, "hand")
    before = height(world)
    welds.attach(cup, hand)
    step(world, 100)
    assert height(world) == pytest.approx(before, abs=1e-3)
    assert world.parents[cup] == hand
    welds.detach(cup)
    assert world.parents[cup] == 0
    step(world, 100)
    assert height(world) < before - 0.04


def test_what_is_held_spares_the_robot(world, welds):
    cup = body(world, "cup")
    (geom,) = np.flatnonzero(world.model.geom_bodyid == cup)
    welds.attach(cup, body(world, "hand"))
    assert world.model.geom_contype[geom] == 0
    assert not world.model.geom_conaffinity[geom] & ROBOT_BIT
    welds.detach(cup)
    assert world.model.geom_contype[geom] == WORLD_BIT
    assert world.model.geom_conaffinity[geom] & ROBOT_BIT


def test_what_is_not_free_cannot_be_grasped(world, welds):
    with pytest.raises(SceneError, match="lamp is not free: it cannot be grasped"):
        welds.attach(body(world, "lamp"), body(world, "hand"))


def test_a_yielding_grip_gives_way(world, welds):
    welds.attach(body(world, "cup"), body(world, "hand"))
    before = height(world)
    step(world, 100)
    firm = before - height(world)
    welds.change_grip(YIELDING)
    step(world, 100)
    assert before - height(world) > 10 * abs(firm)


def test_a_pinned_body_stays_where_it_is_put(world):
    welds, graph = parts_of(world)
    cup = body(world, "cup")
    welds.pin(cup, True)
    graph.move(cup, at(0, 0, 0.8))
    step(world, 100)
    assert height(world) == pytest.approx(0.8, abs=1e-3)
    assert not welds.is_loose(cup)
    welds.pin(cup, False)
    assert welds.is_loose(cup)


def test_a_pin_outlives_a_grasp(world, welds):
    cup = body(world, "cup")
    welds.pin(cup, True)
    welds.attach(cup, body(world, "hand"))
    welds.detach(cup)
    before = height(world)
    step(world, 100)
    assert height(world) == pytest.approx(before, abs=1e-3)


def test_a_force_sensor_carries_what_hangs_on_it_until_it_hangs_elsewhere():
    world = small_world(kinds={"lamp": "force_sensor"}, parents={"cup": "lamp"})
    welds, graph = parts_of(world)
    welds.attach_to_sensors()
    before = height(world)
    step(world, 100)
    assert height(world) == pytest.approx(before, abs=1e-3)
    graph.reparent(body(world, "cup"), 0)
    step(world, 100)
    assert height(world) < before - 0.04
