"""PyRep's own test scene on MuJoCo: what its objects say and do."""

import numpy as np
import pytest

from pyrep_mujoco.errors import SimulatorError


@pytest.fixture
def scene(samples, launch):
    return launch(samples / "test_scene.ttt")


def step(scene, count):
    for _ in range(count):
        scene.step()


def test_the_tree_is_that_of_the_file(scene):
    from pyrep.const import ObjectType
    from pyrep.objects.dummy import Dummy
    from pyrep.objects.object import Object
    from pyrep.objects.shape import Shape

    nested = [Dummy(f"nested_dummy{i}") for i in range(3)]
    assert nested[0].get_objects_in_tree(exclude_base=False) == nested
    assert nested[0].get_objects_in_tree(first_generation_only=True) == nested[1:2]
    assert Dummy("dummy").get_parent() is None
    assert Shape("dynamic_cube").get_extension_string() == "test"
    assert Object.get_object_type("DefaultCamera") == ObjectType.CAMERA
    assert Object.exists("cam0")
    assert not Object.exists("cam1")
    cubes = Dummy("cubes_under_dummy").get_objects_in_tree(ObjectType.SHAPE)
    assert [c.get_name() for c in cubes] == ["cube0", "cube1", "cube2"]
    assert scene.get_collection_handle_by_name("Panda_arm") > 0
    with pytest.raises(SimulatorError, match=r"test_scene\.ttt has no collection named 'Panda'"):
        scene.get_collection_handle_by_name("Panda")


def test_poses_relative_to_others_survive_new_parents(scene):
    from pyrep.objects.dummy import Dummy
    from pyrep.objects.shape import Shape

    cube, frame = Shape("cube0"), Dummy("cubes_under_dummy")
    cube.set_position([0.1, 0.2, 0.3], frame)
    assert np.allclose(cube.get_position(frame), [0.1, 0.2, 0.3])
    cube.set_quaternion([2.0, 0, 0, 0], frame)
    assert np.allclose(cube.get_quaternion(frame), [1, 0, 0, 0])
    cube.set_orientation([0.1, -0.2, 0.3])
    assert np.allclose(cube.get_orientation(), [0.1, -0.2, 0.3])
    pose = cube.get_pose()
    cube.set_parent(Dummy("dummy"))
    assert np.allclose(cube.get_pose(), pose)
    cube.set_parent(None, keep_in_place=False)
    assert not np.allclose(cube.get_pose(), pose)
    frame.set_parent(cube)
    with pytest.raises(SimulatorError, match="cube0' cannot hang on 'cubes_under_dummy'"):
        cube.set_parent(frame)


def test_motors_hold_velocities_positions_and_forces(scene):
    from pyrep.objects.joint import Joint

    slide, servo = Joint("prismatic_joint"), Joint("prismatic_joint_control_loop")
    servo.set_joint_target_position(0.5)
    slide.set_joint_target_velocity(0.5)
    step(scene, 2)
    assert slide.get_joint_velocity() == pytest.approx(0.5, abs=0.02)
    step(scene, 8)
    assert servo.get_joint_position() == pytest.approx(0.5, abs=0.01)
    assert slide.get_joint_position() == pytest.approx(0.25, abs=0.02)
    slide.set_joint_target_velocity(-99999)
    slide.set_joint_force(0.6)
    scene.step()
    assert slide.get_joint_force() == pytest.approx(0.6, abs=0.01)
    arm = [Joint(f"Panda_joint{i}") for i in range(1, 8)]
    assert abs(arm[1].get_joint_force()) == pytest.approx(23.6, abs=0.5)
    slide.set_joint_interval(False, [-0.2, 0.1])
    assert slide.get_joint_interval() == (False, pytest.approx([-0.2, 0.1]))


def test_a_model_comes_twice_and_goes(scene, samples):
    from pyrep.errors import ObjectAlreadyRemovedError
    from pyrep.objects.object import Object
    from pyrep.objects.shape import Shape

    first = scene.import_model(str(samples / "loadable_model.ttm"))
    second = scene.import_model(str(samples / "loadable_model.ttm"))
    assert isinstance(first, Shape)
    assert second.get_name() == f"{first.get_name()}#0"
    names = [o.get_name() for o in second.get_objects_in_tree(exclude_base=False)]
    second.remove()
    assert first.still_exists()
    assert not any(Object.exists(name) for name in names)
    with pytest.raises(ObjectAlreadyRemovedError):
        second.get_position()


def test_groups_come_and_go(scene):
    from pyrep.objects.dummy import Dummy
    from pyrep.objects.shape import Shape

    top = Dummy("cubes_under_dummy")
    cubes = [Shape(f"cube{i}") for i in range(3)]
    places = [c.get_position() for c in cubes]
    whole = scene.group_objects(cubes)
    assert len(top.get_objects_in_tree()) == 1
    vertices, triangles, normals = whole.get_mesh_data()
    assert (len(vertices), len(triangles), len(normals)) == (24, 36, 108)
    corners = vertices @ whole.get_matrix()[:3, :3].T + whole.get_position()
    assert np.allclose(corners[:8].mean(0), places[0], atol=1e-6)
    parts = whole.ungroup()
    assert len(parts) == 3
    merged = scene.merge_objects(parts)
    assert len(merged.get_mesh_data()[1]) == 36
    with pytest.raises(SimulatorError, match="one part only"):
        merged.ungroup()


def test_configurations_are_kept_and_brought_back(scene):
    from pyrep.objects.joint import Joint
    from pyrep.objects.shape import Shape

    panda, joint = Shape("Panda"), Joint("Panda_joint1")
    kept, pose = panda.get_configuration_tree(), panda.get_pose()
    joint.set_joint_position(0.7, disable_dynamics=True)
    panda.set_position([1, 2, 3])
    assert joint.get_joint_position() == pytest.approx(0.7)
    scene.set_configuration_tree(kept)
    assert np.allclose(panda.get_pose(), pose)
    assert joint.get_joint_position() == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(SimulatorError, match="no configuration tree"):
        scene.set_configuration_tree(b"else")


def test_what_touches_is_told(scene):
    from pyrep.objects.dummy import Dummy
    from pyrep.objects.proximity_sensor import ProximitySensor
    from pyrep.objects.shape import Shape

    cubes = [Shape(f"colliding_cube{i}") for i in range(2)]
    assert cubes[0].check_collision(cubes[1])
    assert cubes[0].check_collision()
    assert not cubes[0].check_collision(Shape("cube0"))
    assert Dummy("dummy").check_distance(Shape("cube0")) == pytest.approx(1.4629, abs=1e-3)
    assert cubes[0].check_distance(cubes[1]) == 0.0
    step(scene, 20)
    found = Shape("dynamic_cube").get_contact()
    force = sum(np.array(each["contact"][3:6]) for each in found)
    assert force[2] == pytest.approx(9.81, rel=0.05)
    sensor = ProximitySensor("proximity_sensor")
    assert sensor.read() == pytest.approx(0.1, abs=1e-7)
    assert sensor.is_detected(Shape("simple_model"))
    assert not sensor.is_detected(Shape("dynamic_cube"))


def test_flags_of_models_reach_all_below(scene):
    from pyrep.errors import ObjectIsNotModelError
    from pyrep.objects.shape import Shape

    panda, cube = Shape("Panda"), Shape("dynamic_cube")
    for what in ("collidable", "measurable", "detectable", "renderable", "dynamic", "respondable"):
        getattr(panda, f"set_model_{what}")(False)
        assert not getattr(panda, f"is_model_{what}")()
        getattr(panda, f"set_model_{what}")(True)
        assert getattr(panda, f"is_model_{what}")()
    assert not cube.is_model()
    with pytest.raises(ObjectIsNotModelError, match="dynamic_cube"):
        cube.get_model_bounding_box()
    cube.set_model(True)
    assert np.allclose(cube.get_model_bounding_box(), [-0.05, 0.05] * 3)


def test_lights_and_signals_keep_what_they_are_given(scene):
    from pyrep.errors import PyRepError
    from pyrep.misc.signals import IntegerSignal, StringSignal
    from pyrep.objects.light import Light

    spot = Light("spot_light")
    spot.set_diffuse([0.2, 0.5, 0.9])
    spot.turn_off()
    assert spot.is_off()
    assert np.allclose(spot.get_diffuse(), [0.2, 0.5, 0.9])
    spot.set_intensity_properties(cast_shadows=False, spot_exponent=4, spot_cutoff=0.3)
    assert spot.get_intensity_properties()[:3] == (False, 4.0, 0.3)
    session = scene._session
    number = session.built.lights[spot.get_handle()]
    model = session.model
    assert not model.light_active[number]
    assert np.allclose(model.light_diffuse[number], [0.2, 0.5, 0.9])
    assert model.light_cutoff[number] == pytest.approx(np.rad2deg(0.3))
    spot.set_position([0.1, 0.2, 3.0])
    assert np.allclose(session.data.light_xpos[number], [0.1, 0.2, 3.0])
    assert session.model is model
    with pytest.raises(NotImplementedError, match="attenuation"):
        spot.set_intensity_properties(const_atten_factor=1.0)
    IntegerSignal("a").set(3)
    assert IntegerSignal("a").get() == 3
    with pytest.raises(PyRepError, match="Signal a of type string"):
        StringSignal("a").get()
    assert IntegerSignal("a").clear() == 1
