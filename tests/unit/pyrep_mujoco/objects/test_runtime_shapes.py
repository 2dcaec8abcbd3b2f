"""Shapes that a task makes, and what it changes of those that are there."""

import numpy as np
import pytest

from pyrep_mujoco.objects.object_types import ObjectType, PrimitiveShape
from pyrep_mujoco.objects.shape_forms import mesh_form, primitive_form
from pyrep_mujoco.robots.arm import Arm
from pyrep_mujoco.robots.gripper import Gripper
from pyrep_mujoco.transforms import euler_to_matrix
from rlbench.backend.exceptions import SceneError
from rlbench.engines.mujoco import MujocoEngine
from rlbench.tasks import builtin_scene


@pytest.fixture(scope="module")
def made_engine():
    return MujocoEngine(builtin_scene("pick_and_lift"))


@pytest.fixture
def engine(made_engine):
    made_engine.reset()
    return made_engine


def at(x, y, z):
    T = np.eye(4)
    T[:3, 3] = x, y, z
    return T


def make(engine, kind=PrimitiveShape.CUBOID, size=(0.02, 0.04, 0.06), free=True, T=None):
    form = primitive_form(kind, size, free, 0.1)
    return engine.editor.make("Cuboid", form, at(0.3, 0.0, 1.0) if T is None else T)


@pytest.mark.parametrize("kind", list(PrimitiveShape))
def test_a_made_shape_has_its_size_and_falls(engine, kind):
    shape = make(engine, kind, size=(0.04, 0.04, 0.06))
    box = shape.get_bounding_box()
    assert np.allclose(box, [-0.02, 0.02, -0.02, 0.02, -0.03, 0.03], atol=1e-3)
    assert np.allclose(shape.get_position(), [0.3, 0.0, 1.0])
    for _ in range(30):
        engine.step()
    assert 0.75 < shape.get_position()[2] < 0.79  # on the table
    assert shape.get_type() == ObjectType.SHAPE
    assert shape.is_dynamic()


def test_what_is_there_is_not_disturbed(engine):
    block, arm = engine.shape("pick_and_lift_target"), Arm(engine)
    q, pose, handle = arm.get_joint_positions(), block.get_pose(), block.get_handle()
    shapes = [make(engine, T=at(0.2, -0.3 + 0.05 * i, 0.9)) for i in range(9)]
    assert len({s.get_handle() for s in shapes}) == 9
    assert np.array_equal(arm.get_joint_positions(), q)
    assert np.allclose(block.get_pose(), pose, atol=1e-12)
    assert engine.shape("pick_and_lift_target").get_handle() == handle
    assert engine.object_of_handle(shapes[3].get_handle()) is shapes[3]


def test_a_reset_forgets_made_shapes_and_repeats_itself(engine):
    def run():
        shapes = [make(engine, T=at(0.3, 0.0, 0.9 + 0.07 * i)) for i in range(3)]
        for _ in range(20):
            engine.step()
        return np.array([s.get_pose() for s in shapes])

    first = run()
    engine.reset()
    assert not engine.has("Cuboid")
    assert np.array_equal(run(), first)


def test_names_are_numbered_and_come_free(engine):
    first, second = make(engine), make(engine)
    assert [first.get_name(), second.get_name()] == ["Cuboid", "Cuboid0"]
    first.remove()
    assert not first.still_exists()
    assert not engine.has("Cuboid")
    assert make(engine).get_name() == "Cuboid"
    with pytest.raises(SceneError, match="removed already"):
        first.remove()


def test_a_removed_shape_is_neither_touched_nor_seen(engine):
    shape = make(engine, T=at(0.25, 0.1, 0.85), free=False)
    block = engine.shape("pick_and_lift_target")
    block.set_position([0.25, 0.1, 0.85])
    assert block.check_collision(shape)
    shape.remove()
    assert not block.check_collision()
    assert engine.observer().images("front", (32, 32), rgb=True).rgb.shape == (32, 32, 3)


def test_kind_and_mass_can_be_chosen_before_and_after(engine):
    shape = make(engine, free=False)
    shape.set_mass(0.25)
    shape.set_dynamic(True)
    assert not shape.is_built
    assert shape.is_dynamic()
    assert shape.get_mass() == 0.25
    shape.set_position([0.3, 0.1, 1.1])
    assert shape.is_built
    shape.set_dynamic(False)
    for _ in range(5):
        engine.step()
    assert np.allclose(shape.get_position(), [0.3, 0.1, 1.1], atol=1e-3)
    shape.set_mass(0.5)
    assert shape.get_mass() == pytest.approx(0.5)
    static = make(engine, free=False)
    static.set_position([0.3, -0.2, 1.0])
    static.set_dynamic(True)
    engine.step()
    assert static.get_position()[2] < 1.0


def test_a_child_follows_and_goes_with_a_model(engine):
    body, skin = make(engine), make(engine, free=False, T=at(0.3, 0.0, 1.05))
    skin.set_parent(body)
    skin.set_respondable(False)
    body.set_model(True)
    relative = skin.get_pose(body)
    for _ in range(10):
        engine.step()
    assert np.allclose(skin.get_pose(body), relative, atol=1e-9)
    assert skin.get_parent() is body
    assert np.allclose(body.get_model_bounding_box()[4:], [-0.03, 0.08], atol=1e-6)
    body.remove()
    assert not skin.still_exists()


def test_a_made_shape_can_be_grasped(engine):
    arm, gripper = Arm(engine), Gripper(engine)
    arm.home()
    gripper.reset()
    shape = make(engine, size=(0.03, 0.03, 0.03), T=arm.get_tip().get_matrix())
    assert gripper.grasp(shape)
    for _ in range(5):
        engine.step()
    assert np.linalg.norm(shape.get_position(arm.get_tip())) < 2e-3
    gripper.release()
    for _ in range(10):
        engine.step()
    assert shape.get_position()[2] < arm.get_tip().get_position()[2] - 0.05


def test_a_drop_runs_down_a_groove(engine):
    # A spinning friction like that of large objects would hold it, as a cup held its liquid.
    slope = np.eye(4)
    slope[:3, :3] = euler_to_matrix([0.0, np.deg2rad(20), 0.0])
    slope[:3, 3] = 0.3, 0.3, 1.0
    wall = primitive_form(PrimitiveShape.CUBOID, (0.4, 0.2, 0.02), False, 0.0)
    for side in (-45, 45):
        turn = np.eye(4)
        turn[:3, :3] = euler_to_matrix([np.deg2rad(side), 0.0, 0.0])
        engine.editor.make("wall", wall, slope @ turn @ at(0, 0, -0.01))
    form = primitive_form(PrimitiveShape.SPHERE, (0.005,) * 3, True, 1e-4)
    assert form.is_crumb
    drop = engine.editor.make("drop", form, slope @ at(-0.15, 0, 0.0036))
    for _ in range(8):
        engine.step()
    here = np.linalg.inv(slope) @ np.append(drop.get_position(), 1)
    assert here[0] > -0.05  # 10 cm on
    assert np.allclose(here[1:3], [0, 0.0035], atol=3e-4)


def test_states_hold_made_shapes(engine):
    shape = make(engine)
    shape.set_color([1, 0, 0])
    engine.step()
    saved = engine.get_state()
    engine.step()
    later = shape.get_pose()
    engine.reset()
    engine.set_state(saved)
    assert engine.shape("Cuboid") is shape
    assert shape.still_exists()
    engine.step()
    assert np.allclose(shape.get_pose(), later, atol=1e-9)
    assert np.allclose(shape.get_color(), [1, 0, 0])


def test_a_remembered_start_comes_back(made_engine):
    engine = MujocoEngine(made_engine.scene)
    block = engine.shape("pick_and_lift_target")
    block.set_position([0.3, 0.2, 0.8])
    mark = make(engine, free=False)
    mark.set_position([0.4, 0.0, 0.8])
    engine.remember_start()
    block.set_position([0.2, -0.2, 0.8])
    mark.remove()
    engine.reset()
    assert np.allclose(block.get_position(), [0.3, 0.2, 0.8])
    assert np.allclose(engine.shape("Cuboid").get_position(), [0.4, 0.0, 0.8])


def test_a_mesh_collides_as_its_hull(engine):
    vertices = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * 0.02
    faces = np.array(
        [
            [0, 1, 3],
            [0, 3, 2],
            [4, 6, 7],
            [4, 7, 5],
            [0, 4, 5],
            [0, 5, 1],
            [2, 3, 7],
            [2, 7, 6],
            [0, 2, 6],
            [0, 6, 4],
            [1, 5, 7],
            [1, 7, 3],
        ]
    )
    shape = engine.editor.make("thing", mesh_form([(vertices, faces)], True, 0.1), at(0.3, 0, 0.8))
    assert np.allclose(shape.get_bounding_box(), [-0.02, 0.02] * 3, atol=1e-6)
    for _ in range(30):
        engine.step()
    assert shape.get_position()[2] == pytest.approx(0.772, abs=2e-3)


@pytest.mark.parametrize("size", [(1, 1), (0.1, 0.1, 0.0), (0.1, np.nan, 0.1)])
def test_a_bad_size_is_one_line(size):
    with pytest.raises(SceneError, match="three positive lengths"):
        primitive_form(PrimitiveShape.CUBOID, size, True, 0.1)


def test_objects_of_the_scene_can_leave_until_the_reset(engine):
    block = engine.shape("stack_blocks_distractor0")
    block.remove()
    assert not engine.has("stack_blocks_distractor0")
    with pytest.raises(SceneError, match="no shape named 'stack_blocks_distractor0'"):
        engine.shape("stack_blocks_distractor0")
    engine.step()
    engine.reset()
    assert engine.shape("stack_blocks_distractor0") is block


def test_flags_and_mass_come_back(engine):
    block = engine.shape("pick_and_lift_target")
    mass = block.get_mass()
    block.set_mass(2 * mass)
    block.set_respondable(False)
    block.set_renderable(False)
    block.set_collidable(False)
    assert block.get_mass() == pytest.approx(2 * mass)
    assert not block.is_respondable()
    assert not block.is_collidable()
    height = block.get_position()[2]
    engine.step()
    engine.step()
    assert block.get_position()[2] < height - 5e-3  # through the table
    engine.reset()
    assert block.get_mass() == mass
    assert block.is_respondable()
    assert block.is_renderable()
    assert block.is_collidable()


def test_a_dynamic_shape_can_be_held_and_a_fixed_one_cannot_be_freed(engine):
    block = engine.shape("pick_and_lift_target")
    block.set_position(block.get_position() + np.array([0, 0, 0.2]))
    block.set_dynamic(False)
    here = block.get_position()
    for _ in range(5):
        engine.step()
    assert np.allclose(block.get_position(), here, atol=1e-3)
    block.set_dynamic(True)
    engine.step()
    assert block.get_position()[2] < here[2] - 5e-3
    with pytest.raises(SceneError, match="cannot become dynamic"):
        engine.shape("pick_and_lift_boundary").set_dynamic(True)


def test_joints_can_be_locked_and_driven():
    engine = MujocoEngine(builtin_scene("close_fridge"))
    joint = engine.joint("top_joint")
    start = joint.get_joint_position()
    joint.set_motor_locked_at_zero_velocity(True)
    assert joint.is_motor_locked_at_zero_velocity()
    joint.set_joint_target_velocity(-0.5)
    for _ in range(10):
        engine.step()
    assert abs(joint.get_joint_position() - start) < 1e-3
    joint.set_motor_locked_at_zero_velocity(False)
    for _ in range(20):
        engine.step()
    assert joint.get_joint_velocity() == pytest.approx(-0.5, abs=0.1)
    joint.set_joint_target_position(start)
    for _ in range(60):
        engine.step()
    assert joint.get_joint_position() == pytest.approx(start, abs=0.02)


def test_a_proximity_sensor_reads_a_distance(engine):
    sensor, block = engine.sensor("pick_and_lift_success"), engine.shape("pick_and_lift_target")
    assert sensor.read() == -1.0
    centre = sensor.get_matrix() @ [0, 0, 0.1, 1]
    block.set_position(centre[:3])
    if sensor.is_detected(block):
        assert 0 <= sensor.read() < 0.12


def test_a_mesh_without_volume_is_refused_and_the_scene_goes_on(engine):
    corners = np.array([[0, 0, 0], [0.1, 0, 0], [0.1, 0.1, 0], [0, 0.1, 0]], float)
    flat = mesh_form([(corners, np.array([[0, 1, 2], [0, 2, 3]]))], True, 0.1)
    sheet = engine.editor.make("sheet", flat, at(0.3, 0, 0.8))
    with pytest.raises(SceneError, match="MuJoCo refuses a made shape") as error:
        sheet.get_bounding_box()
    assert "\n" not in str(error.value)
    assert not sheet.still_exists()
    assert not engine.has("sheet")
    block = make(engine)
    assert block in engine.shapes()
    before = block.get_position()[2]
    engine.step()
    assert block.get_position()[2] < before
