"""Kinds of geoms, joints and files that a scene may hold."""

import numpy as np
import pytest
from PIL import Image

from pyrep_mujoco.errors import SimulatorError
from pyrep_mujoco.session.objects.joints import set_mode

MJCF = """
<mujoco>
  <asset>
    <mesh name="wedge" vertex="0 0 0  .2 0 0  0 .2 0  0 0 .2"/>
    <material name="shiny" rgba=".2 .4 .6 1" specular=".5"/>
  </asset>
  <worldbody>
    <body name="wedge" pos="0 0 1"><geom type="mesh" mesh="wedge" material="shiny"/></body>
    <body name="pill" pos="1 0 1"><geom type="capsule" size=".05 .2"/></body>
    <body name="egg" pos="2 0 1"><geom type="ellipsoid" size=".1 .2 .3"/></body>
    <body name="can" pos="3 0 1"><geom type="cylinder" size=".1 .2"/></body>
    <body name="post" pos="0 2 1">
      <geom type="box" size=".02 .02 .02"/>
      <site name="tip" pos="0 0 .1"/>
      <body name="pendulum">
        <joint name="ball" type="ball"/>
        <geom type="sphere" size=".05" pos=".3 0 0"/>
      </body>
    </body>
    <body name="rail" pos="0 3 1">
      <geom type="box" size=".02 .02 .02"/>
      <body name="first"><joint name="slide1" type="slide" axis="1 0 0" range="-1 1"/>
        <geom size=".05" contype="0" conaffinity="0"/></body>
      <body name="second"><joint name="slide2" type="slide" axis="0 1 0" range="-1 1"/>
        <geom size=".05" contype="0" conaffinity="0"/></body>
      <body name="third"><joint name="slide3" type="slide" axis="0 1 0" damping="5"/>
        <geom size=".05" contype="0" conaffinity="0"/></body>
      <body name="fourth">
        <joint name="spring" type="slide" axis="0 1 0" stiffness="50" damping="20" springref=".2"/>
        <geom size=".05" contype="0" conaffinity="0"/></body>
    </body>
  </worldbody>
  <actuator>
    <position name="servo" joint="slide1" kp="100" forcerange="-30 30"/>
    <velocity name="turner" joint="slide3" kv="10"/>
  </actuator>
</mujoco>
"""


@pytest.fixture
def scene(tmp_path, launch):
    file = tmp_path / "kinds.xml"
    file.write_text(MJCF, encoding="utf-8")
    return launch(file)


@pytest.mark.parametrize(
    ("name", "box"),
    [
        ("pill", [-0.05, 0.05, -0.05, 0.05, -0.25, 0.25]),
        ("egg", [-0.1, 0.1, -0.2, 0.2, -0.3, 0.3]),
        ("can", [-0.1, 0.1, -0.1, 0.1, -0.2, 0.2]),
        ("wedge", [0.0, 0.2, 0.0, 0.2, 0.0, 0.2]),
    ],
)
def test_geoms_have_their_size_and_colour(scene, name, box):
    from pyrep.objects.shape import Shape

    shape = Shape(name)
    assert np.allclose(shape.get_bounding_box(), box, atol=2e-3)
    assert not shape.is_dynamic()
    if name == "wedge":
        assert np.allclose(shape.get_color(), [0.2, 0.4, 0.6])


def test_balls_swing_and_stay_where_they_are_between_steps(scene):
    from pyrep.const import JointType
    from pyrep.objects.dummy import Dummy
    from pyrep.objects.joint import Joint
    from pyrep.objects.shape import Shape

    ball, pendulum = Joint("ball"), Shape("pendulum")
    assert ball.get_joint_type() == JointType.SPHERICAL
    assert np.allclose(Dummy("tip").get_position(), [0, 2, 1.1])
    heights = []
    for _ in range(8):
        scene.step()
        weight = pendulum.get_matrix() @ [0.3, 0, 0, 1]
        heights.append(weight[2])
        assert np.linalg.norm(weight[:3] - [0, 2, 1]) == pytest.approx(0.3, abs=1e-6)
    assert min(heights) < 0.75
    assert ball.get_joint_position() == 0  # RLBench asks every joint
    with pytest.raises(SimulatorError, match="'ball' is a spherical joint"):
        ball.set_joint_position(0.1)


def test_actuators_and_springs_of_mjcf_are_motors(scene):
    from pyrep.objects.joint import Joint

    servo, turner, spring = Joint("slide1"), Joint("slide3"), Joint("spring")
    assert servo.is_control_loop_enabled()
    assert not turner.is_control_loop_enabled()
    servo.set_joint_target_position(0.3)
    turner.set_joint_target_velocity(0.5)
    for _ in range(20):
        scene.step()
    assert servo.get_joint_position() == pytest.approx(0.3, abs=1e-3)
    assert turner.get_joint_velocity() == pytest.approx(0.5, abs=1e-2)
    assert turner.get_joint_force() == pytest.approx(-2.5, rel=0.1)
    assert 0.15 < spring.get_joint_position() < 0.2
    assert spring.get_joint_force() == pytest.approx(0.0, abs=0.1)


def test_a_dependent_joint_follows_its_master(scene):
    from pyrep.const import JointMode
    from pyrep.objects.joint import Joint
    from pyrep.objects.shape import Shape

    first, second = Joint("slide1"), Joint("slide2")
    own = scene._session.need(second.get_handle())
    own.master, own.is_hybrid = (first.get_handle(), 0.5, 0.1), False
    second.set_joint_mode(JointMode.DEPENDENT)
    assert second.get_joint_mode() == JointMode.DEPENDENT
    first.set_joint_position(0.4)
    scene.step()
    value = 0.1 + 0.5 * first.get_joint_position()
    assert second.get_joint_position() == pytest.approx(value, abs=1e-3)
    assert Shape("second").get_position()[1] == pytest.approx(3 + value, abs=1e-3)
    with pytest.raises(SimulatorError, match="no joint mode has number 9"):
        set_mode(scene._session, second.get_handle(), 9)


def test_paths_go_through_their_points(scene):
    from pyrep.objects.cartesian_path import CartesianPath

    path = CartesianPath.create(automatic_orientation=False)
    with pytest.raises(SimulatorError, match="has no control points"):
        path.get_pose_on_path(0.5)
    path.insert_control_points([[0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0.8]])
    path.set_position([0, 0, 2])
    position, angles = path.get_pose_on_path(0.5)
    assert np.allclose(position, [0.5, 0, 2], atol=1e-6)
    assert np.allclose(angles, [0, 0, 0.4], atol=1e-6)
    with pytest.raises(SimulatorError, match="three Euler angles"):
        path.insert_control_points([[0, 0, 0]])


def test_meshes_come_with_their_colours_and_images(scene, tmp_path):
    pytest.importorskip("trimesh", reason="trimesh is an extra")
    from pyrep.objects.shape import Shape

    image = np.zeros((2, 2, 3), np.uint8)
    image[0] = 255
    Image.fromarray(image).save(tmp_path / "picture.png")
    (tmp_path / "look.mtl").write_text("newmtl a\nKd 0.5 0.25 0\nmap_Kd picture.png\n")
    (tmp_path / "look.obj").write_text(
        "mtllib look.mtl\nusemtl a\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\n"
        "f 1/1 2/2 3/3\n"
    )
    shape = Shape.import_shape(str(tmp_path / "look.obj"), scaling_factor=0.1)
    assert np.allclose(np.ptp(shape.get_mesh_data()[0], axis=0), [0.1, 0.1, 0])
    info = shape.get_shape_viz(0)
    assert info.texture.shape == (2, 2, 4)
    assert info.texture[-1, 0, 0] == 255
    assert np.allclose(info.texture_coords, [[0, 0], [1, 0], [0, 1]])
    plain = Shape.import_shape(str(tmp_path / "look.obj"), ignore_texture=True)
    assert plain.get_texture().get_texture_id() == -1
    (tmp_path / "notes.md").write_text("no mesh")
    with pytest.raises(SimulatorError, match=r"notes\.md: cannot be read as a mesh"):
        Shape.import_mesh(str(tmp_path / "notes.md"))
    (tmp_path / "broken.ply").write_bytes(b"ply")
    with pytest.raises(SimulatorError, match=r"broken\.ply"):
        Shape.import_shape(str(tmp_path / "broken.ply"))
    with pytest.raises(SimulatorError, match="scaled by a positive number"):
        Shape.import_mesh(str(tmp_path / "look.obj"), scaling_factor=-1)


def test_small_things_behave_as_pyreps(scene):
    from pyrep.errors import PyRepError
    from pyrep.misc.distance import Distance
    from pyrep.objects.camera import Camera
    from pyrep.objects.dummy import Dummy
    from pyrep.objects.shape import Shape

    dummy = Dummy.create(0.02)
    assert dummy.get_name() == "Dummy"
    assert np.allclose(dummy.get_bounding_box(), [-0.01, 0.01] * 3)
    dummy.set_name("here")
    assert Dummy("here") == dummy
    with pytest.raises(PyRepError, match="'here' cannot be named 'can': it is taken"):
        dummy.set_name("can")
    with pytest.raises(NotImplementedError):
        Camera.create()
    with pytest.raises(PyRepError, match="check_distance"):
        Distance("d")
    with pytest.raises(ValueError, match="4x4"):
        dummy.set_matrix([[1]])
    with pytest.raises(ValueError, match="3 numbers are needed"):
        dummy.set_position([1, 2])
    with pytest.raises(PyRepError, match="pose must be finite"):
        dummy.set_position([np.nan, 0, 0])
    egg = Shape("egg")
    assert egg.check_distance(dummy) == pytest.approx(np.sqrt(4 + 1) - 0.13, abs=0.05)
    egg.set_explicit_handling(1)
    assert egg.get_explicit_handling() == 1
    with pytest.raises(PyRepError, match="mass of 'egg' must be a positive number"):
        egg.set_mass(0)
