"""A scene that changes while it runs: what comes, goes and hangs elsewhere."""

import numpy as np
import pytest

MJCF = """
<mujoco>
  <worldbody>
    <light name="sun" pos="0 0 3" dir="0 0 -1"/>
    <geom name="floor" type="plane" size="2 2 .1"/>
    <body name="cube" pos="0 0 .3"><freejoint/><geom type="box" size=".05 .05 .05"/></body>
    <body name="door" pos="1 0 .5">
      <joint name="hinge" axis="0 0 1" pos="-.2 0 0" range="-60 60"/>
      <geom type="box" size=".2 .01 .3" rgba="1 0 0 1"/>
    </body>
    <camera name="eye" pos="0 -2 1" xyaxes="1 0 0 0 .4 .9"/>
  </worldbody>
</mujoco>
"""
MODEL = """
<mujoco>
  <worldbody>
    <body name="brick" pos="0 1 .3">
      <freejoint/><geom type="box" size=".05 .05 .05"/>
      <body name="lid"><joint name="pin"/><geom type="box" pos="0 0 .1" size=".05 .05 .01"/></body>
    </body>
  </worldbody>
</mujoco>
"""


@pytest.fixture
def scene(tmp_path, launch):
    file = tmp_path / "small.xml"
    file.write_text(MJCF, encoding="utf-8")
    return launch(file)


def test_an_mjcf_scene_has_its_objects_by_name(scene):
    from pyrep.const import JointType, ObjectType
    from pyrep.objects.joint import Joint
    from pyrep.objects.object import Object
    from pyrep.objects.shape import Shape

    assert Object.get_object_type("eye") == ObjectType.VISION_SENSOR
    assert Joint("hinge").get_joint_type() == JointType.REVOLUTE
    assert np.allclose(Shape("door").get_position(), [1, 0, 0.5])
    assert Shape("door").get_parent() == Joint("hinge")
    assert np.allclose(Shape("cube").get_bounding_box(), [-0.05, 0.05] * 3)


def test_handles_poses_and_speeds_outlive_changes(scene):
    from pyrep.const import PrimitiveShape
    from pyrep.objects.shape import Shape

    cube = Shape("cube")
    scene.step()
    before, (speed, _) = cube.get_position(), cube.get_velocity()
    made = Shape.create(PrimitiveShape.SPHERE, [0.1] * 3, position=[0.5, 0.5, 0.05])
    assert np.allclose(cube.get_position(), before)
    assert np.allclose(cube.get_velocity()[0], speed)
    assert speed[2] < -0.4
    made.remove()
    assert not made.still_exists()
    again = Shape.create(PrimitiveShape.SPHERE, [0.1] * 3)
    assert again.get_handle() != made.get_handle()
    assert np.allclose(Shape("cube").get_velocity()[0], speed)


def test_what_is_held_by_a_force_sensor_moves_with_it_and_falls_after(scene):
    from pyrep.objects.force_sensor import ForceSensor
    from pyrep.objects.joint import Joint
    from pyrep.objects.shape import Shape

    cube, door = Shape("cube"), Shape("door")
    cube.set_position([0.6, 0, 0.5])
    holder = ForceSensor.create()
    holder.set_parent(door)
    cube.set_parent(holder)
    held = cube.get_matrix(door)
    for _ in range(5):
        scene.step()
    weight = 9.81 * cube.get_mass()
    # It gives way by 1 mm for 100 N.
    sagged = held.copy()
    sagged[2, 3] -= weight / 1e5
    assert np.allclose(cube.get_matrix(door), sagged, atol=1e-5)
    # What the cube does to the sensor: it pulls down, and turns it about y.
    force, torque = holder.read()
    assert np.allclose(force, [0, 0, -weight], atol=0.2 * weight)
    assert np.allclose(torque, [0, 0.6 * weight, 0], atol=0.2 * weight)
    Joint("hinge").set_motor_enabled(True)
    Joint("hinge").set_joint_force(1000)
    Joint("hinge").set_joint_target_velocity(2.0)
    scene.step()
    speed = cube.get_velocity()
    assert np.linalg.norm(speed[0]) > 0.3
    cube.set_parent(None)
    assert np.allclose(cube.get_velocity(), speed, atol=1e-6)
    for _ in range(5):
        scene.step()
    assert cube.get_position()[2] < 0.35


def test_stop_brings_the_start_back(scene):
    from pyrep.objects.shape import Shape

    cube = Shape("cube")
    before = cube.get_pose()
    for _ in range(5):
        scene.step()
    assert not np.allclose(cube.get_pose(), before)
    cube.set_parent(Shape("door"))
    scene.stop()
    assert np.allclose(cube.get_pose(), before)


def test_a_second_simulator_in_the_process_is_one_clear_line(scene):
    from pyrep import PyRep
    from pyrep.errors import PyRepError

    with pytest.raises(PyRepError, match=r"runs in this process already, with small\.xml") as found:
        PyRep().launch("")
    assert len(str(found.value)) < 500


def test_unknown_and_wrong_objects_are_one_clear_line(scene):
    from pyrep.errors import ObjectAlreadyRemovedError, PyRepError, WrongObjectTypeError
    from pyrep.objects.dummy import Dummy
    from pyrep.objects.shape import Shape

    with pytest.raises(PyRepError, match=r"small\.xml has no object named 'cub'.*cube"):
        Shape("cub")
    with pytest.raises(RuntimeError, match="cub"):
        Shape("cub")
    with pytest.raises(WrongObjectTypeError, match=r"small\.xml: 'cube' is of type SHAPE"):
        Dummy("cube")
    cube = Shape("cube")
    cube.remove()
    with pytest.raises(ObjectAlreadyRemovedError, match=r"small\.xml: 'cube'.*removed already"):
        cube.remove()
    calls = (cube.get_position, cube.reset_dynamic_object, cube.get_size_factor)
    for call in (*calls, cube.get_explicit_handling, lambda: cube.set_explicit_handling(1)):
        with pytest.raises(RuntimeError, match="removed already"):  # what PyRep's calls raise
            call()
    with pytest.raises(TypeError, match="integer"):
        Shape(1.5)
    with pytest.raises(PyRepError, match=r"missing\.ttm"):
        scene.import_model("missing.ttm")
    with pytest.raises(PyRepError, match="Lua"):
        scene.script_call("f@s", 1)


def test_a_matrix_that_scales_only_turns(scene):
    from pyrep.objects.shape import Shape

    cube, T = Shape("cube"), np.eye(4)
    T[:3, :3] = 2.0 * np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    T[:3, 3] = [0.1, 0.2, 0.3]
    cube.set_matrix(T)
    np.testing.assert_allclose(cube.get_matrix()[:3, :3], T[:3, :3] / 2.0, atol=1e-9)
    np.testing.assert_allclose(cube.get_position(), T[:3, 3], atol=1e-9)
    for bad in (np.diag([1.0, 1.0, -1.0, 1.0]), np.diag([1.0, 1.0, 0.0, 1.0])):
        with pytest.raises(ValueError, match="mirrors or flattens"):
            cube.set_matrix(bad)


def test_export_writes_mjcf_under_the_name_that_was_asked_for(scene, tmp_path, launch):
    from pyrep.errors import ObjectIsNotModelError, PyRepError
    from pyrep.objects.shape import Shape

    file = tmp_path / "saved.xml"
    with pytest.warns(UserWarning, match=r"saved\.xml holds MJCF"):
        scene.export_scene(str(file))
    cube = Shape("cube")
    with pytest.raises(ObjectIsNotModelError, match="'cube' is not a model"):
        cube.save_model(str(tmp_path / "cube.ttm"))
    cube.set_model(True)
    with pytest.warns(UserWarning, match=r"cube\.ttm holds MJCF"):
        cube.save_model(str(tmp_path / "cube.ttm"))
    with pytest.raises(PyRepError, match="cannot be written"):
        scene.export_scene(str(tmp_path / "saved.xml" / "below.xml"))
    place = cube.get_position()
    scene.shutdown()
    again = launch(file)
    assert np.allclose(Shape("cube").get_position(), place, atol=1e-6)
    assert again.import_model(str(tmp_path / "cube.ttm")).get_name() == "cube#0"


def test_files_that_are_no_scenes_are_one_clear_line(tmp_path, launch):
    from pyrep.errors import PyRepError

    (tmp_path / "text.ttt").write_text("no scene", encoding="utf-8")
    (tmp_path / "broken.xml").write_text("<mujoco><else/></mujoco>", encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"")
    for name in ("text.ttt", "broken.xml", "picture.png", "absent.ttt"):
        with pytest.raises(PyRepError, match=name.replace(".", r"\.")) as found:
            launch(tmp_path / name)
        assert len(str(found.value)) < 500
        assert "\n" not in str(found.value)
    simulator = launch("")
    with pytest.raises(PyRepError, match="positive number of seconds"):
        simulator.set_simulation_timestep(0)
    simulator.shutdown()
    with pytest.raises(PyRepError, match="not been launched"):
        simulator.step()


def test_a_step_lasts_as_long_as_it_is_told(scene):
    from pyrep.objects.shape import Shape

    assert scene.get_simulation_timestep() == 0.05
    scene.set_simulation_timestep(0.01)
    cube = Shape("cube")
    for _ in range(10):
        scene.step()
    assert cube.get_position()[2] == pytest.approx(0.3 - 9.81 * 0.1**2 / 2, abs=2e-3)
    with pytest.warns(UserWarning, match=r"at most 10 s, found 50: it stays 0\.01 s"):
        scene.set_simulation_timestep(50.0)
    assert scene.get_simulation_timestep() == 0.01


def test_a_shape_touches_others_and_not_itself(scene):
    from pyrep.objects.shape import Shape

    cube, door = Shape("cube"), Shape("door")
    assert not cube.check_collision(cube)
    assert not cube.check_collision(door)
    cube.set_position(door.get_position())
    assert cube.check_collision(door)
    assert not cube.check_collision(cube)


def test_what_came_while_it_ran_goes_when_it_stops(tmp_path, launch):
    from pyrep.objects.dummy import Dummy
    from pyrep.objects.object import Object
    from pyrep.objects.shape import Shape

    (tmp_path / "small.xml").write_text(MJCF, encoding="utf-8")
    (tmp_path / "more.xml").write_text(MODEL, encoding="utf-8")
    simulator = launch(tmp_path / "small.xml", run=False)
    kept = Dummy.create()
    for _ in range(2):
        simulator.start()
        simulator.import_model(str(tmp_path / "more.xml"))
        marker = Dummy.create()
        Shape("brick").set_parent(marker)
        Shape("cube").set_parent(marker)
        simulator.step()
        simulator.stop()
        assert not marker.still_exists()
        assert not any(Object.exists(name) for name in ("brick", "lid", "pin"))
        assert kept.still_exists()
        assert np.allclose(Shape("cube").get_position(), [0, 0, 0.3])


def test_a_child_of_fork_has_a_simulator_of_its_own(scene):
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(_launch_and_fall) < 0.3
        # A child of fork has our handlers of signals: it ends by itself, not by SIGTERM.
        pool.close()
        pool.join()


def _launch_and_fall():
    from pyrep import PyRep
    from pyrep.const import PrimitiveShape
    from pyrep.objects.shape import Shape

    simulator = PyRep()
    simulator.launch("")
    simulator.start()
    ball = Shape.create(PrimitiveShape.SPHERE, [0.1] * 3, position=[0, 0, 0.3])
    simulator.step()
    height = float(ball.get_position()[2])
    simulator.shutdown()
    return height


def test_what_starts_asleep_waits_until_it_is_touched(scene):
    from pyrep.const import PrimitiveShape
    from pyrep.objects.shape import Shape

    cube = Shape("cube")
    scene._session.need(cube.get_handle()).starts_asleep = True
    for _ in range(3):
        scene.step()
    assert cube.get_position()[2] == 0.3
    ball = Shape.create(PrimitiveShape.SPHERE, [0.1] * 3, position=[0.03, 0, 0.45])
    for _ in range(4):
        scene.step()
    assert cube.get_position()[2] < 0.29
    ball.remove()
    scene.stop()
    scene.start()
    scene.step()
    assert cube.get_position()[2] == 0.3


def test_a_thing_that_is_hung_back_is_where_it_was_in_lists(scene):
    from pyrep.objects.dummy import Dummy
    from pyrep.objects.shape import Shape

    before = [obj.get_handle() for obj in scene.get_objects_in_tree()]
    holder = Dummy.create()
    cube = Shape("cube")
    cube.set_parent(holder)
    cube.set_parent(None)
    holder.remove()
    assert [obj.get_handle() for obj in scene.get_objects_in_tree()] == before


def test_what_stands_still_may_have_no_mass(scene):
    from pyrep.const import PrimitiveShape
    from pyrep.errors import PyRepError
    from pyrep.objects.shape import Shape

    size = [0.005, 0.005, 0.001]
    spot = Shape.create(PrimitiveShape.CUBOID, size, mass=0, static=True, respondable=False)
    scene.step()
    assert spot.get_bounding_box()[1] == pytest.approx(0.0025)
    with pytest.raises(PyRepError, match="positive"):
        Shape.create(PrimitiveShape.CUBOID, size, mass=0)
