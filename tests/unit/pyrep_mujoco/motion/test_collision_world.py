"""What an arm may touch: obstacles, walls, what it holds, its own parts."""

import mujoco
import numpy as np
import pytest

from pyrep_mujoco.motion.collision_world import CollisionGeoms, CollisionWorld

# A hand on a slide along x; a post, a loose ball and a cup that can be held stand on its way.
MJCF = """
<mujoco><worldbody>
  <body name="hand"><joint name="slide" type="slide" axis="1 0 0"/><geom size="0.05"/></body>
  <body name="post" pos="0.5 0 0"><geom type="box" size="0.05 0.05 0.05"/></body>
  <body name="ball" pos="-0.5 0 0"><freejoint/><geom size="0.05"/></body>
  <body name="cup" pos="0 0 0.2"><freejoint/><geom size="0.05"/></body>
</worldbody></mujoco>
"""
HAND, POST, BALL, CUP = range(1, 5)
IN_HAND = np.eye(4)
IN_HAND[:3, 3] = 0.3, 0.0, 0.0


@pytest.fixture
def scene():
    model = mujoco.MjModel.from_xml_string(MJCF)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def collision_world(scene, collidable=(True, True, True, True)):
    robot = np.array([True, False, False, False])
    moves = np.array([False, False, True, True])
    geoms = CollisionGeoms(np.ones(4, bool), robot, np.array(collidable), moves)
    return CollisionWorld(scene[0], np.array([0]), HAND, geoms)


@pytest.mark.parametrize(("x", "is_free"), [(0.0, True), (0.5, False), (-0.5, False)])
def test_the_arm_is_free_where_it_touches_nothing(scene, x, is_free):
    world = collision_world(scene)
    world.sync(*scene, {})
    assert world.is_free(np.array([x])) is is_free


def test_what_moves_does_not_count_when_only_what_is_fixed_does(scene):
    world = collision_world(scene)
    world.sync(*scene, {})
    assert world.is_free(np.array([-0.5]), only_fixed=True)
    assert not world.is_free(np.array([0.5]), only_fixed=True)


def test_what_is_not_collidable_is_a_wall_if_it_cannot_move_and_nothing_else(scene):
    world = collision_world(scene, (True, False, False, True))
    world.sync(*scene, {})
    assert not world.is_free(np.array([0.5]))
    assert world.is_free(np.array([0.5]), counts_walls=False)
    assert world.is_free(np.array([-0.5]))


def test_a_small_overlap_can_be_accepted(scene):
    world = collision_world(scene)
    world.sync(*scene, {})
    assert not world.is_free(np.array([0.403]))
    assert world.is_free(np.array([0.403]), depth=5e-3)


def test_what_is_ignored_is_no_obstacle(scene):
    world = collision_world(scene)
    world.sync(*scene, {}, ignored=[POST])
    assert world.is_free(np.array([0.5]))


def test_what_is_held_moves_with_the_hand_and_must_be_free_too(scene):
    world = collision_world(scene)
    world.sync(*scene, {CUP: IN_HAND})
    assert not world.is_free(np.array([0.2]))
    assert world.is_free(np.array([0.2]), counts_held=False)


def test_touching_names_the_obstacles(scene):
    world = collision_world(scene)
    world.sync(*scene, {CUP: IN_HAND})
    assert POST in world.touching(np.array([0.2]))
    assert world.touching(np.array([-0.5])) == {BALL}
    assert world.touching(np.array([0.0])) == set()


def test_the_scene_itself_is_left_alone(scene):
    model, data = scene
    before = data.qpos.copy(), model.geom_contype.copy()
    world = collision_world(scene)
    world.sync(*scene, {CUP: IN_HAND})
    world.is_free(np.array([0.5]))
    assert np.array_equal(data.qpos, before[0])
    assert np.array_equal(model.geom_contype, before[1])


def test_poses_are_those_of_the_last_sync(scene):
    model, data = scene
    world = collision_world(scene)
    world.sync(model, data, {})
    model.body_pos[POST] = 0.0, 1.0, 0.0
    assert not world.is_free(np.array([0.5]))
    world.sync(model, data, {})
    assert world.is_free(np.array([0.5]))
