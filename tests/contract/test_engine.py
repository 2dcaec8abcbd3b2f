"""What every engine promises to tasks, conditions and placement."""

import numpy as np
import pytest

from pyrep_mujoco.objects.object_types import ObjectType
from rlbench.backend.exceptions import SceneError
from rlbench.engines import protocols as base
from rlbench.engines.mujoco import MujocoEngine
from rlbench.tasks import builtin_scene


@pytest.fixture
def engine(make_engine):
    return make_engine("pick_and_lift")


@pytest.fixture
def mujoco_engine():
    return MujocoEngine(builtin_scene("pick_and_lift"))


def test_objects_fulfil_the_protocols(engine):
    assert isinstance(engine, base.Engine)
    assert isinstance(engine.shape("pick_and_lift_target"), base.Shape)
    assert isinstance(engine.dummy("waypoint0"), base.Dummy)
    assert isinstance(engine.sensor("pick_and_lift_success"), base.ProximitySensor)
    assert isinstance(engine.joint("Panda_joint1"), base.Joint)


def test_all_that_masks_may_show_has_a_name_of_its_own(make_engine):
    engine = make_engine("reach_target")
    names = engine.mask_names()
    assert len(set(names.values())) == len(names)
    assert {"target", "distractor0", "distractor1"} <= set(names.values())
    assert any(engine.robot.owns(name) for name in names.values())
    assert any("table" in name.lower() for name in names.values())
    for handle, name in names.items():
        assert engine.object_of_handle(handle).get_name() == name


def test_missing_object_is_named_with_those_there(engine):
    with pytest.raises(SceneError, match=r"no shape named 'pick_and_drop'.*pick_and_lift_target"):
        engine.shape("pick_and_drop")
    with pytest.raises(SceneError, match="no joint named"):
        engine.joint("waypoint0")


@pytest.mark.parametrize("name", ["pick_and_lift", "pick_and_lift_target", "distractors"])
def test_moving_an_object_moves_all_logical_descendants(engine, name, tolerance):
    if not engine.has(name):
        pytest.skip(f"{engine.scene} has no {name}")
    obj = engine.object(name)
    tree = obj.get_objects_in_tree(exclude_base=True)
    assert tree
    before = [child.get_matrix(obj) for child in tree]
    obj.set_pose(
        [0.1, 0.2, 0.9, *np.array([0.1, 0.2, 0.3, 0.9]) / np.linalg.norm([0.1, 0.2, 0.3, 0.9])]
    )
    for child, relative in zip(tree, before, strict=True):
        assert np.allclose(child.get_matrix(obj), relative, atol=tolerance), child.get_name()


def moving_block(engine):
    """Let the block fly; return it with its velocities, world axes."""
    block = engine.shape("pick_and_lift_target")
    block.set_pose([0.2, 0.3, 1.4, 0, 0, 0, 1])
    start = engine.model.body_dofadr[block.body]
    engine.data.qvel[start : start + 6] = [0.3, -0.2, 0.5, 1.0, -2.0, 3.0]
    return block, np.concatenate(block.get_velocity())


PLACES = {
    "set_position": [0.1, 0.2, 1.3],
    "set_quaternion": [0.5, 0.5, 0.5, 0.5],
    "set_orientation": [0.3, -0.4, 0.5],
    "set_pose": [0.1, 0.2, 1.3, 0.5, -0.5, 0.5, 0.5],
}


@pytest.mark.parametrize("method", PLACES)
@pytest.mark.parametrize("moved", ["pick_and_lift_target", "pick_and_lift"])
def test_reset_dynamics_decides_whether_things_move_on(mujoco_engine, method, moved):
    """The block itself is placed, or what it hangs below in the scene graph."""
    block, velocity = moving_block(mujoco_engine)
    assert np.allclose(velocity, [0.3, -0.2, 0.5, 1.0, -2.0, 3.0])
    obj = mujoco_engine.object(moved)
    getattr(obj, method)(PLACES[method], reset_dynamics=False)
    if method != "set_position":
        turned = obj.get_quaternion()
        assert not np.allclose(np.abs(turned), [0, 0, 0, 1], atol=0.1)
    assert np.allclose(np.concatenate(block.get_velocity()), velocity, atol=1e-9)
    getattr(obj, method)(PLACES[method])
    assert np.allclose(np.concatenate(block.get_velocity()), 0.0)


def test_a_block_that_is_moved_flies_on(mujoco_engine):
    engine = mujoco_engine
    block, velocity = moving_block(engine)
    block.set_position([0.1, 0.2, 1.6], reset_dynamics=False)
    start = block.get_position()
    for _ in range(2):
        engine.step()
    flown = (block.get_position() - start)[:2]
    assert np.allclose(flown, velocity[:2] * 0.1, atol=2e-3)


@pytest.mark.parametrize("keeps", [True, False])
def test_reset_dynamics_holds_for_hinges(keeps):
    engine = MujocoEngine(builtin_scene("close_fridge"))
    joint, base = engine.joint("top_joint"), engine.object("close_fridge")
    dof = engine.model.joint(joint.joint).dofadr[0]
    engine.data.qvel[dof] = -0.7
    base.set_position([0.3, 0.1, 0.9], reset_dynamics=not keeps)
    assert engine.data.qvel[dof] == (-0.7 if keeps else 0.0)


def test_moving_a_hinged_body_keeps_its_joint_value(make_engine, tolerance):
    engine = make_engine("close_fridge")
    engine.joint("top_joint").set_joint_position(0.5, disable_dynamics=True)
    door = engine.shape("door_top")
    goal = door.get_matrix()
    goal[:3, 3] += [0.1, 0, 0.2]
    door.set_matrix(goal)
    assert np.allclose(door.get_matrix(), goal, atol=tolerance)
    assert engine.joint("top_joint").get_joint_position() == pytest.approx(0.5, abs=tolerance)


def test_a_joint_is_an_object_of_its_own(make_engine, tolerance):
    engine = make_engine("close_fridge")
    joint, door = engine.joint("top_joint"), engine.shape("door_top")
    assert joint.get_handle() != door.get_handle()
    assert engine.object_of_handle(joint.get_handle()).get_name() == "top_joint"
    joint.set_joint_position(0.4)
    place, frame = door.get_matrix(), joint.get_matrix()
    joint.set_position(joint.get_position())
    joint.set_quaternion(joint.get_quaternion())
    assert np.allclose(door.get_matrix(), place, atol=tolerance)
    # A joint's frame does not turn with it, and carries what hangs on it where it goes.
    joint.set_joint_position(0.1)
    assert np.allclose(joint.get_matrix(), frame, atol=tolerance)
    relative = door.get_matrix(joint)
    joint.set_position(joint.get_position() + np.array([0.0, 0.1, 0.2]))
    assert np.allclose(joint.get_position(), frame[:3, 3] + [0.0, 0.1, 0.2], atol=tolerance)
    assert np.allclose(door.get_matrix(joint), relative, atol=tolerance)
    assert joint.get_joint_position() == pytest.approx(0.1, abs=tolerance)


def test_trees_are_pyreps(make_engine):
    engine = make_engine("close_fridge")
    joint, door = engine.joint("top_joint"), engine.shape("door_top")
    assert door.get_parent().get_name() == "top_joint"
    above = joint.get_parent()

    def names(obj, **options):
        return {o.get_name() for o in obj.get_objects_in_tree(**options)}

    tree = names(above)
    assert {"top_joint", "door_top"} <= tree
    assert above.get_name() not in tree
    assert names(above, exclude_base=False) == tree | {above.get_name()}
    assert "top_joint" in names(above, first_generation_only=True)
    assert "door_top" not in names(above, first_generation_only=True)
    assert names(joint, first_generation_only=True) == {"door_top"}
    assert names(joint, exclude_base=False) == {"top_joint", "door_top"} | names(door)
    kinds = {o.get_name() for o in above.get_objects_in_tree(ObjectType.JOINT)}
    assert "top_joint" in kinds
    assert "door_top" not in kinds


def test_objects_can_hang_on_a_joint(make_engine, tolerance):
    engine = make_engine("close_fridge")
    joint, way = engine.joint("top_joint"), engine.dummy("waypoint0")
    place = way.get_pose()
    way.set_parent(parent_object=joint, keep_in_place=True)
    assert way.get_parent().get_name() == "top_joint"
    assert np.allclose(way.get_pose(), place, atol=tolerance)
    hanging = {o.get_name() for o in joint.get_objects_in_tree(first_generation_only=True)}
    assert hanging == {"door_top", "waypoint0"}
    assert "waypoint0" not in {o.get_name() for o in engine.shape("door_top").get_objects_in_tree()}
    way.set_parent(engine.dummy("close_fridge"))
    assert way.get_parent().get_name() == "close_fridge"
    way.set_matrix(matrix=way.get_matrix(), relative_to=None)
    engine.reset()
    assert {o.get_name() for o in joint.get_objects_in_tree(first_generation_only=True)} == {
        "door_top"
    }


def test_reset_brings_the_scene_back(engine, engine_kind, tolerance):
    shape = engine.shape("pick_and_lift_target")
    pose, colour = shape.get_pose(), shape.get_color()
    root = engine.dummy("pick_and_lift").get_pose()
    engine.dummy("pick_and_lift").set_position([0, 0, 1])
    shape.set_color([0, 0, 1])
    engine.step()
    engine.reset()
    allowed = 0.0 if engine_kind == "mujoco" else tolerance
    assert np.allclose(shape.get_pose(), pose, rtol=0, atol=allowed)
    assert np.allclose(engine.dummy("pick_and_lift").get_pose(), root, rtol=0, atol=allowed)
    assert np.allclose(shape.get_color(), colour, rtol=0, atol=allowed)


def test_a_saved_state_brings_poses_parents_and_colours_back(engine, tolerance):
    shape = engine.shape("pick_and_lift_target")
    shape.set_position([0.2, 0.1, 1.0])
    shape.set_color([0, 1, 0])
    pose, parent = shape.get_pose(), shape.get_parent().get_name()
    state = engine.get_state()
    shape.set_parent(None)
    shape.set_position([0, 0, 2])
    shape.set_color([0, 0, 1])
    engine.set_state(state)
    assert np.allclose(shape.get_pose(), pose, atol=tolerance)
    assert shape.get_parent().get_name() == parent
    assert np.allclose(shape.get_color(), [0, 1, 0])


def test_state_round_trip_repeats_the_same_physics(mujoco_engine):
    engine = mujoco_engine
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


@pytest.mark.needs_physics
def test_a_free_object_falls(engine):
    shape = engine.shape("pick_and_lift_target")
    shape.set_position([0.2, 0.3, 1.2])
    for _ in range(4):
        engine.step()
    fallen = 1.2 - shape.get_position()[2]
    assert fallen == pytest.approx(0.5 * 9.81 * 0.2**2, rel=0.2)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_euler_angles_round_trip(engine, axis, tolerance):
    dummy = engine.dummy("waypoint3")
    angles = np.zeros(3)
    angles[axis] = 0.7
    dummy.set_orientation(angles)
    assert np.allclose(dummy.get_orientation(), angles, atol=tolerance)


def test_bounding_box_and_collision(engine):
    block, other = (engine.shape(n) for n in ("pick_and_lift_target", "stack_blocks_distractor0"))
    assert np.allclose(block.get_bounding_box(), [-0.025, 0.025] * 3, atol=1e-6)
    assert not block.check_collision(other)
    other.set_position(block.get_position() + np.array([0.049, 0, 0]))
    assert block.check_collision(other)
    other.set_position(block.get_position() + np.array([0.051, 0, 0]))
    assert not block.check_collision(other)


def test_a_fixed_object_follows_its_new_parent(mujoco_engine):
    engine = mujoco_engine
    block, goal = engine.shape("pick_and_lift_target"), engine.object("pick_and_lift_success")
    goal.set_parent(block)
    relative = goal.get_pose(block)
    block.set_position(block.get_position() + np.array([0, 0, 0.1]))
    assert np.allclose(goal.get_pose(block), relative, atol=1e-9)
    before = goal.get_position()
    engine.step()  # the block falls
    assert np.allclose(goal.get_pose(block), relative, atol=1e-9)
    assert goal.get_position()[2] < before[2] - 0.005
    engine.reset()
    assert goal.get_parent().get_name() == "pick_and_lift"


def test_a_hinged_object_cannot_follow_a_moving_one(make_engine):
    engine = make_engine("close_fridge")
    if engine.name != "mujoco":
        pytest.skip("CoppeliaSim moves whatever it is told")
    with pytest.raises(SceneError, match="cannot follow"):
        engine.object("door_top").set_parent(engine.object(engine.robot.hand))


def test_the_scene_graph_stays_a_tree(engine):
    with pytest.raises(SceneError, match="descendant"):
        engine.object("pick_and_lift").set_parent(engine.shape("pick_and_lift_target"))


def test_handles_lead_back_to_objects(engine):
    for name in ("pick_and_lift_target", "waypoint0", "pick_and_lift_success"):
        handle = engine.object(name).get_handle()
        assert engine.object_of_handle(handle).get_name() == name
    assert {"waypoint0", "workspace"} <= set(engine.object_names())


def test_an_observer_reads_poses_in_bulk(engine, tolerance):
    objects = [engine.shape("pick_and_lift_target"), engine.dummy("waypoint1")]
    handles = np.array([obj.get_handle() for obj in objects])
    observer = engine.observer()
    positions, rotations = observer.frames(handles)
    poses = observer.poses(handles)
    for i, obj in enumerate(objects):
        assert np.allclose(rotations[i], obj.get_matrix()[:3, :3], atol=tolerance)
        assert np.allclose(positions[i], obj.get_position(), atol=tolerance)
        assert np.allclose(poses[i, :3], positions[i], atol=tolerance)
        assert abs(poses[i, 3:] @ obj.get_quaternion()) == pytest.approx(1.0, abs=1e-5)


def test_the_robot_and_the_task_have_their_own_joints(make_engine):
    engine = make_engine("close_fridge")
    assert {j.get_name() for j in engine.task_joints()} == {"top_joint", "bottom_joint"}
    assert engine.joint(engine.robot.joints[0]).get_joint_interval()[1] == pytest.approx(
        [-2.8973, 2.8973], abs=1e-4
    )
    names = {shape.get_name() for shape in engine.shapes()}
    assert "door_top" in names
    assert not any(name.startswith("Panda") for name in names)
