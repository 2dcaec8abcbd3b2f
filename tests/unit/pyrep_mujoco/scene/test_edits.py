"""Bodies that leave a scene, come in, or are no longer solid."""

import numpy as np
import pytest

from pyrep_mujoco.scene.edits import HIDDEN_GROUP, Edits
from pyrep_mujoco.world import CRUMB_BIT
from tests.unit.pyrep_mujoco.small_world import body, parts_of, small_world, step


@pytest.fixture
def world():
    return small_world()


@pytest.fixture
def parts(world):
    welds, graph = parts_of(world)
    return Edits(world, graph, welds), graph, welds


def geoms(world, name):
    return np.flatnonzero(world.model.geom_bodyid == body(world, name))


def test_what_is_taken_out_is_unseen_untouchable_and_stays(world, parts):
    edits, _, welds = parts
    cup = body(world, "cup")
    welds.attach(cup, body(world, "hand"))
    edits.take_out({cup: "cup"})
    assert not welds.held
    assert world.changes.removed == {"cup"}
    assert (world.model.geom_group[geoms(world, "cup")] == HIDDEN_GROUP).all()
    before = world.transform(cup)
    step(world, 50)
    edits.keep_away()
    assert np.allclose(world.transform(cup), before)
    assert world.contacts([cup]) == set()


def test_what_hung_on_a_body_that_is_cut_off_hangs_on_nothing(world, parts):
    edits, graph, _ = parts
    graph.reparent(body(world, "lamp"), body(world, "cup"))
    edits.cut_off(body(world, "cup"))
    assert body(world, "cup") not in world.parents
    assert world.parents[body(world, "lamp")] == 0
    edits.bring_in(body(world, "cup"))
    assert world.parents[body(world, "cup")] == 0


def test_solid_or_not(world, parts):
    edits, cup = parts[0], geoms(world, "cup")
    edits.set_solid(cup, False)
    step(world, 300)
    assert world.transform(body(world, "cup"))[2, 3] < 0.4  # fell through the table
    assert not world.solid[cup].any()
    edits.set_solid(cup, True, is_crumb=True)
    assert (world.model.geom_contype[cup] == CRUMB_BIT).all()
    assert not (world.model.geom_conaffinity[cup] & CRUMB_BIT).any()
