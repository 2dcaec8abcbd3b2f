"""What every engine promises to tasks, conditions and placement."""

import numpy as np
import pytest

from rlbench.backend.exceptions import SceneError
from rlbench.sim import base


@pytest.fixture
def engine(make_engine):
    return make_engine("pick_and_lift")


def test_objects_fulfil_the_protocols(engine):
    assert isinstance(engine, base.Engine)
    assert isinstance(engine.shape("pick_and_lift_target"), base.Shape)
    assert isinstance(engine.dummy("waypoint0"), base.Dummy)
    assert isinstance(engine.sensor("pick_and_lift_success"), base.ProximitySensor)
    assert isinstance(engine.joint("Panda_joint1"), base.Joint)


def test_missing_object_is_named_with_those_there(engine):
    with pytest.raises(SceneError, match=r"no shape named 'cube'.*pick_and_lift_target"):
        engine.shape("cube")
    with pytest.raises(SceneError, match="no joint named"):
        engine.joint("waypoint0")


@pytest.mark.parametrize("name", ["pick_and_lift", "pick_and_lift_target", "distractors"])
def test_moving_an_object_moves_all_logical_descendants(engine, name):
    obj = engine.object(name)
    tree = obj.get_objects_in_tree(exclude_base=True)
    assert tree
    before = [child.get_matrix(obj) for child in tree]
    obj.set_pose(
        [0.1, 0.2, 0.9, *np.array([0.1, 0.2, 0.3, 0.9]) / np.linalg.norm([0.1, 0.2, 0.3, 0.9])]
    )
    for child, relative in zip(tree, before, strict=True):
        assert np.allclose(child.get_matrix(obj), relative, atol=1e-9), child.get_name()


def test_moving_a_hinged_body_keeps_its_joint_value(make_engine):
    engine = make_engine("close_fridge")
    engine.joint("top_joint").set_joint_position(0.5)
    door = engine.shape("door_top")
    goal = door.get_matrix()
    goal[:3, 3] += [0.1, 0, 0.2]
    door.set_matrix(goal)
    assert np.allclose(door.get_matrix(), goal, atol=1e-9)
    assert engine.joint("top_joint").get_joint_position() == 0.5


def test_reset_brings_the_scene_back(engine):
    shape = engine.shape("pick_and_lift_target")
    pose, colour = shape.get_pose(), shape.get_color()
    root = engine.dummy("pick_and_lift").get_pose()
    engine.dummy("pick_and_lift").set_position([0, 0, 1])
    shape.set_color([0, 0, 1])
    engine.step()
    engine.reset()
    assert np.array_equal(shape.get_pose(), pose)
    assert np.array_equal(engine.dummy("pick_and_lift").get_pose(), root)
    assert np.array_equal(shape.get_color(), colour)


def test_state_round_trip_repeats_the_same_physics(engine):
    shape = engine.shape("pick_and_lift_target")
    shape.set_position([0.2, 0.1, 1.0])
    state = engine.get_state()
    runs = []
    for _ in range(2):
        engine.set_state(state)
        for _ in range(10):
            engine.step()
        runs.append(engine.data.qpos.copy())
    assert np.array_equal(*runs)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_euler_angles_round_trip(engine, axis):
    dummy = engine.dummy("waypoint3")
    angles = np.zeros(3)
    angles[axis] = 0.7
    dummy.set_orientation(angles)
    assert np.allclose(dummy.get_orientation(), angles, atol=1e-9)


def test_bounding_box_and_collision(engine):
    block, other = (engine.shape(n) for n in ("pick_and_lift_target", "stack_blocks_distractor0"))
    assert np.allclose(block.get_bounding_box(), [-0.025, 0.025] * 3, atol=1e-6)
    assert not block.check_collision(other)
    other.set_position(block.get_position() + np.array([0.049, 0, 0]))
    assert block.check_collision(other)
    other.set_position(block.get_position() + np.array([0.051, 0, 0]))
    assert not block.check_collision(other)


def test_a_fixed_object_cannot_follow_a_moving_one(engine):
    with pytest.raises(SceneError, match="cannot follow"):
        engine.object("pick_and_lift_success").set_parent(engine.shape("pick_and_lift_target"))
    with pytest.raises(SceneError, match="descendant"):
        engine.object("pick_and_lift").set_parent(engine.shape("pick_and_lift_target"))
