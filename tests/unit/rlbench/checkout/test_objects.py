"""Objects by PyRep's names: making them, reading meshes, and helpers of RLBench's tasks."""

import numpy as np
import pytest

from pyrep_mujoco.objects.mesh_import import read_obj
from pyrep_mujoco.objects.object_types import ObjectType, PrimitiveShape
from pyrep_mujoco.robots.arm import Arm
from pyrep_mujoco.robots.gripper import Gripper
from rlbench.backend import utils
from rlbench.backend.conditions import ColorCondition, FollowCondition
from rlbench.backend.exceptions import SceneError, TaskFileError
from rlbench.backend.pyrep_names.pyrep_objects import Dummy, Joint, Object, Shape
from rlbench.backend.pyrep_names.pyrep_simulation import PyRep
from rlbench.backend.pyrep_names.scene_context import announce, current_robot, using
from rlbench.backend.robot import Robot
from rlbench.backend.task_utils import sample_procedural_objects
from rlbench.engines.mujoco import MujocoEngine
from rlbench.tasks import builtin_scene

CUBE = """# two cubes side by side
o left
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
v 0 0 1
v 1 0 1
v 1 1 1
v 0 1 1
f 4 3 2 1
f 5 6 7 8
f 1 2 6 5
f 2/1 3/1 7/1 6/1
f 3 4 8 7
f 4 1 5 8
o right
v 3 0 0
v 4 0 0
v 4 1 0
v 3 1 1
f -4 -2 -3
f -4 -3 -1
f -3 -2 -1
f -2 -4 -1
"""


@pytest.fixture(scope="module")
def made_engine():
    return MujocoEngine(builtin_scene("pick_and_lift"))


@pytest.fixture
def engine(made_engine):
    made_engine.reset()
    with using(made_engine):
        yield made_engine


@pytest.fixture
def cube(tmp_path):
    path = tmp_path / "cube.obj"
    path.write_text(CUBE)
    return path


def test_meshes_are_read_in_parts(cube):
    (left, faces), (right, _) = read_obj(cube)
    assert left.shape == (8, 3)
    assert faces.shape == (12, 3)
    assert right.shape == (4, 3)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.stl", "", r"read from \.obj files only"),
        ("no.obj", None, "no such mesh file"),
        ("x.obj", "v 0 0 0\n", "has no faces"),
        ("x.obj", "v 0 0 a\n", r"x\.obj:1: 'v 0 0 a' is not valid"),
        ("x.obj", "v 0 0 0\nf 1 2 3\n", "names a vertex that is not there"),
        ("x.obj", "v 0 0 nan\nv 0 1 0\nv 1 0 0\nf 1 2 3\n", "not finite"),
    ],
)
def test_broken_meshes_are_one_line(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(SceneError, match=message):
        read_obj(tmp_path / name)


def test_an_imported_mesh_is_static_and_lies_where_its_points_are(engine, cube):
    shape = Shape.import_mesh(str(cube), scaling_factor=0.01)
    assert not shape.is_dynamic()
    assert not shape.is_respondable()
    assert np.allclose(shape.get_position(), [0.02, 0.005, 0.005])
    assert np.allclose(shape.get_bounding_box(), [-0.02, 0.02, -0.005, 0.005, -0.005, 0.005])
    shape.set_position([0.3, 0, 1])
    shape.set_respondable(True)
    assert shape.is_respondable()
    points, indices = read_obj(cube)[0]
    other = Shape.create_mesh(points.ravel(), indices.ravel())
    assert np.allclose(other.get_bounding_box(), [-0.5, 0.5] * 3)


def test_primitives_are_made_as_asked(engine):
    shape = Shape.create(
        PrimitiveShape.CYLINDER,
        [0.04, 0.04, 0.1],
        mass=0.3,
        position=[0.3, 0.1, 1.0],
        orientation=[0, np.pi / 2, 0],
        color=[1, 0, 0],
        respondable=False,
        static=True,
    )
    assert shape.get_name() == "Cylinder"
    assert np.allclose(shape.get_position(), [0.3, 0.1, 1.0])
    assert np.allclose(shape.get_orientation(), [0, np.pi / 2, 0])
    assert np.allclose(shape.get_color(), [1, 0, 0])
    assert not shape.is_dynamic()
    assert ColorCondition(shape, [1, 0, 0]).condition_met() == (True, False)
    assert ColorCondition(shape, [1, 0, 0.1]).condition_met() == (False, False)
    with pytest.raises(SceneError, match="must be a PrimitiveShape, found 'cube'"):
        Shape.create("cube", [1, 1, 1])


def test_a_copy_is_another_shape(engine):
    block = Shape("pick_and_lift_target")
    other = block.copy()
    assert other.get_name() == "pick_and_lift_target_copy"
    assert np.allclose(other.get_pose(), block.get_pose())
    assert np.allclose(other.get_bounding_box(), block.get_bounding_box(), atol=1e-6)
    assert other.is_dynamic()
    assert other.get_mass() == pytest.approx(block.get_mass())
    other.set_position([0.3, 0.3, 1.0])
    engine.step()
    assert block.get_position()[2] < 0.85


def test_look_ups_know_joints_and_the_robot(engine):
    assert Object.exists("waypoint0")
    assert not Object.exists("waypoint99")
    assert Object.get_object_name(Shape("pick_and_lift_target").get_handle()) == (
        "pick_and_lift_target"
    )
    fridge = MujocoEngine(builtin_scene("close_fridge"))
    with using(fridge):
        assert Joint("top_joint").get_type() == ObjectType.JOINT
        assert Object.get_object("top_joint") is fridge.joint("top_joint")
        with pytest.raises(SceneError, match="no joint named 'door'"):
            Joint("door")
    announce(fridge, Robot(Arm(fridge), Gripper(fridge)))
    with using(fridge):
        assert current_robot().arm.get_tip().get_name() == "Panda_tip"


def test_the_simulation_object_knows_its_scene(engine):
    sim = PyRep()
    below = sim.get_objects_in_tree(Dummy("pick_and_lift"), ObjectType.SHAPE)
    assert Shape("pick_and_lift_target") in below
    assert all(isinstance(obj, Shape) for obj in below)
    tops = sim.get_objects_in_tree(first_generation_only=True)
    assert Dummy("pick_and_lift") in tops
    assert Shape("pick_and_lift_target") not in tops
    handle = Dummy("pick_and_lift").get_handle()
    whole = sim.get_objects_in_tree(handle, exclude_base=False)
    assert whole == Dummy("pick_and_lift").get_objects_in_tree(ObjectType.ALL, False)
    assert whole[0] is Dummy("pick_and_lift")
    assert sim.get_simulation_timestep() == 0.05
    with pytest.raises(SceneError, match=r"PyRep\.launch belongs to CoppeliaSim"):
        sim.launch("scene.ttt")


def test_procedural_objects_come_from_the_checkout(made_engine, tmp_path):
    engine = made_engine
    engine.reset()
    folder = tmp_path / "rlbench" / "assets" / "procedural_objects"
    for name in ("000", "001", "002"):
        (folder / name).mkdir(parents=True)
        for suffix in ("", "_coll"):
            (folder / name / f"{name}{suffix}.obj").write_text(CUBE)
    with using(engine, tmp_path):
        np.random.seed(0)  # noqa: NPY002
        base = Dummy("pick_and_lift")
        objects = sample_procedural_objects(base, 2, mass=0.2)
        assert len(objects) == 2
        for i, obj in enumerate(objects):
            assert obj.is_model()
            assert obj.get_mass() == pytest.approx(0.2)
            (skin,) = obj.get_objects_in_tree(exclude_base=True)
            obj.set_position([0.3, 0.2 * i, 1.0])
            assert np.allclose(skin.get_position(obj), 0, atol=1e-9)
            assert not obj.is_renderable()
            assert skin.is_renderable()
        with pytest.raises(TaskFileError, match="4 procedural objects are wanted, but .* holds 3"):
            sample_procedural_objects(base, 4)


def test_following_a_line():
    class Thing:
        x = -1.0

        def get_position(self, _=None):
            return np.array([self.x, 0, 0])

    thing = Thing()
    watch = FollowCondition(thing, [[0, 0, 0], [0.1, 0, 0]], delta_limit=0.02)
    assert watch.condition_met() == (False, False)  # far from the first point
    thing.x = 0.004
    assert watch.condition_met() == (False, False)
    thing.x = 0.1
    assert watch.condition_met() == (True, False)
    watch.reset()
    thing.x = 0.0
    watch.condition_met()
    thing.x = 1.0
    assert [watch.condition_met()[1] for _ in range(5)][-1]


def test_codes_of_images():
    handles = np.array([[0, 5], [300, 70000]])
    coded = np.stack([handles & 255, handles >> 8 & 255, handles >> 16], -1)
    assert np.array_equal(utils.rgb_handles_to_mask(coded), handles)
    assert np.array_equal(utils.rgb_handles_to_mask(coded / 255.0), handles)
    depth = np.array([[0.0, 0.5], [1.234567, 60.0]])
    back = utils.image_to_float_array(utils.float_array_to_rgb_image(depth))
    assert np.allclose(back, depth, atol=1 / 256_000)


def test_classes_by_file_name(monkeypatch):
    monkeypatch.delenv("RLBENCH_ROOT", raising=False)
    assert utils.task_file_to_task_class("reach_target.py").__name__ == "ReachTarget"
