"""The world: model, data and notes, and going on with another model of the same scene."""

import mujoco
import numpy as np
import pytest

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.world import CRUMB_BIT, ROBOT_BIT, WORLD_BIT, Changes, Drive
from tests.unit.pyrep_mujoco.small_world import MJCF, body, small_world, step


def test_bodies_hang_where_the_model_or_an_annotation_says():
    world = small_world(parents={"cup": "drawer"})
    names = {world.body_name(b): world.body_name(p) for b, p in world.parents.items()}
    assert names == {
        "table": "world",
        "drawer": "table",
        "cup": "drawer",
        "lamp": "world",
        "hand": "world",
    }


def test_an_annotation_of_an_unknown_body_is_refused():
    with pytest.raises(
        SceneError, match=r"small\.xml: annotation parent:cup = shelf names 'shelf'"
    ):
        small_world(parents={"cup": "shelf"})


def test_the_robot_has_a_collision_bit_of_its_own():
    world = small_world(robot_root="hand")
    bits = dict(zip(world.model.geom_bodyid, world.model.geom_contype, strict=True))
    assert world.robot_bodies == {body(world, "hand")}
    assert bits[body(world, "hand")] == ROBOT_BIT
    assert bits[body(world, "cup")] == WORLD_BIT
    assert not CRUMB_BIT & world.model.geom_conaffinity.max()


def test_free_bodies_and_nested_ones():
    world = small_world()
    assert [b for b in range(world.model.nbody) if world.is_free(b)] == [body(world, "cup")]
    assert world.nested(body(world, "table")) == [body(world, "table"), body(world, "drawer")]


def test_the_rest_transform_is_that_of_a_joint_at_zero():
    world = small_world()
    drawer = body(world, "drawer")
    rest = world.transform(drawer)
    world.data.qpos[world.model.joint("slide").qposadr[0]] = 0.07
    world.refresh()
    assert np.allclose(world.rest_transform(drawer), rest)
    assert world.transform(drawer)[0, 3] == pytest.approx(0.07)


def test_contacts_are_those_of_the_moment():
    world = small_world()
    cup, table = body(world, "cup"), body(world, "table")
    assert world.contacts([cup]) == set()
    step(world, 200)
    assert world.contacts([cup]) == {table}


def test_notes_are_reset_to_the_scenes():
    world = small_world()
    world.model.body_mass[:] = 3.0
    world.parents[body(world, "cup")] = body(world, "lamp")
    world.changes.flags["cup"] = frozenset({"model"})
    world.reset_notes()
    assert np.array_equal(world.model.body_mass, world.as_compiled("body_mass"))
    assert world.parents == world.scene_parents
    assert world.changes == Changes()


def test_a_model_with_more_bodies_goes_on_where_the_other_was():
    world = small_world()
    step(world, 50)
    before = world.data.qpos.copy(), world.data.qvel.copy(), world.data.time
    world.model.geom_rgba[2] = 0.25
    more = MJCF.replace(
        "</worldbody>", '<body name="more"><freejoint/><geom size="0.1"/></body></worldbody>'
    )
    world.switch_to(world.prepare(mujoco.MjModel.from_xml_string(more)))
    assert world.body_name(world.model.nbody - 1) == "more"
    assert np.array_equal(world.data.qpos[: len(before[0])], before[0])
    assert np.array_equal(world.data.qvel[: len(before[1])], before[1])
    assert world.data.time == before[2]
    assert np.all(world.model.geom_rgba[2] == 0.25)


def test_a_copy_of_changes_is_independent():
    changes = Changes(drives={"slide": Drive(velocity=1.0)}, pinned={3})
    copy = changes.copy()
    changes.drives["slide"].velocity = 2.0
    changes.pinned.add(4)
    assert copy.drives["slide"].velocity == 1.0
    assert copy.pinned == {3}
