"""PyRep's model files of arms and hands, and sensors that are models."""

import importlib

import numpy as np
import pytest

ARMS = [
    ("Sawyer", "sawyer", "Sawyer"),
    ("Mico", "mico", "Mico"),
    ("Jaco", "jaco", "Jaco"),
    ("Baxter", "baxter", "BaxterLeft"),
    ("Baxter", "baxter", "BaxterRight"),
    ("LBR_iiwa_7_R800", "lbr_iiwa_7_r800", "LBRIwaa7R800"),
    ("LBR_iiwa_14_R820", "lbr_iiwa_14_r820", "LBRIwaa14R820"),
    ("UR3", "ur3", "UR3"),
    ("UR5", "ur5", "UR5"),
    ("UR10", "ur10", "UR10"),
]
HANDS = [
    ("BaxterGripper", "baxter_gripper", "BaxterGripper", 0.1),
    ("MicoHand", "mico_gripper", "MicoGripper", 1.0),
    ("JacoHand", "jaco_gripper", "JacoGripper", 1.0),
    ("Robotiq85", "robotiq85_gripper", "Robotiq85Gripper", 0.1),
]


def class_of(room, module, name):
    return getattr(importlib.import_module(f"pyrep.robots.{room}.{module}"), name)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "module", "name"), ARMS)
def test_arms_go_where_they_are_told(samples, launch, file, module, name):
    simulator = launch()
    simulator.import_model(str(samples / "robots" / f"{file}.ttm"))
    arm = class_of("arms", module, name)()
    tip = arm.get_tip()
    away = np.array(arm.get_joint_positions()) + 0.1  # off limits and singular poses
    arm.set_joint_positions(list(away), disable_dynamics=True)
    goal = tip.get_pose()
    arm.set_joint_positions(list(away - 0.1), disable_dynamics=True)
    path = arm.get_path(goal[:3], quaternion=goal[3:], ignore_collisions=True)
    done = False
    while not done:
        done = path.step()
        simulator.step()
    for _ in range(3):
        simulator.step()
    np.testing.assert_allclose(tip.get_position(), goal[:3], atol=3e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "module", "name", "speed"), HANDS)
def test_hands_close_and_open(samples, launch, file, module, name, speed):
    simulator = launch()
    simulator.import_model(str(samples / "robots" / f"{file}.ttm")).set_dynamic(False)
    hand = class_of("end_effectors", module, name)()
    for amount in (0.0, 1.0):
        steps = 0
        while not hand.actuate(amount, speed):
            simulator.step()
            steps += 1
            assert steps < 100
        opening = hand.get_open_amount()
        assert opening == pytest.approx([amount] * len(opening), abs=0.06)


def test_linked_dummies_close_a_chain(samples, launch):
    from pyrep.objects.dummy import Dummy
    from pyrep.robots.end_effectors.robotiq85_gripper import Robotiq85Gripper

    simulator = launch()
    simulator.import_model(str(samples / "robots" / "Robotiq85.ttm")).set_dynamic(False)
    hand = Robotiq85Gripper()
    for _ in range(10):
        hand.actuate(0.0, 0.05)
        simulator.step()
    moved = [joint.get_joint_position() for joint in hand._open_amount_query_joints]
    assert min(moved) > 0.1
    ends = [Dummy(f"ROBOTIQ_85_RclosureDummy{end}1").get_position() for end in "AB"]
    assert np.linalg.norm(ends[0] - ends[1]) < 1e-3


def test_a_suction_cup_holds_what_it_detects(samples, launch):
    from pyrep.const import PrimitiveShape
    from pyrep.objects.shape import Shape
    from pyrep.robots.end_effectors.baxter_suction_cup import BaxterSuctionCup

    simulator = launch()
    simulator.import_model(str(samples / "robots" / "BaxterSuctionCup.ttm")).set_dynamic(False)
    cup = BaxterSuctionCup()
    cup.set_position([0, 0, 1])
    cube = Shape.create(PrimitiveShape.CUBOID, [0.03, 0.03, 0.03])
    cube.set_position([0, 0, 0.017], relative_to=cup._proximity_sensor)
    assert cup.grasp(cube)
    assert cup.get_grasped_objects() == [cube]
    before = cube.get_position()
    for _ in range(5):
        simulator.step()
    np.testing.assert_allclose(cube.get_position(), before, atol=1e-4)
    assert cube.get_parent() == cup._attach_point
    cup.release()
    assert cube.get_parent() is None
    assert cup.get_grasped_objects() == []
    cube.set_position([0, 0, 3])
    assert not cup.grasp(cube)


@pytest.fixture(scope="module")
def pyreps_scene(samples):
    from pyrep import PyRep

    simulator = PyRep()
    simulator.launch(str(samples / "test_scene.ttt"), headless=True)
    simulator.start()
    simulator.step()
    yield simulator
    simulator.shutdown()


def test_what_an_accelerometer_and_a_gyroscope_tell(pyreps_scene):
    from pyrep.sensors.accelerometer import Accelerometer
    from pyrep.sensors.gyroscope import Gyroscope

    assert np.linalg.norm(Accelerometer("accelerometer").read()) == pytest.approx(9.81, abs=0.3)
    gyroscope = Gyroscope("gyroscope")
    assert gyroscope.read() == [0.0, 0.0, 0.0]
    pyreps_scene.step()
    gyroscope.rotate([0, 0, 0.02])
    assert gyroscope.read()[2] == pytest.approx(0.4, abs=0.05)


def test_a_sensor_that_sees_all_around(pyreps_scene):
    from pyrep.errors import PyRepError
    from pyrep.sensors.spherical_vision_sensor import SphericalVisionSensor

    sensor = SphericalVisionSensor("sphericalVisionRGBAndDepth")
    sensor.set_resolution([64, 32])
    try:
        image = sensor.capture_rgb()
    except PyRepError as error:
        pytest.skip(str(error))
    assert image.shape == (32, 64, 3)
    depth = sensor.capture_depth(in_meters=True)
    front, left = sensor._six_sensors[0], sensor._six_sensors[4]
    for view, column in ((front, 32), (left, 16)):
        straight = view.capture_depth(in_meters=True)[7:9, 7:9]
        around = depth[15:17, column - 1 : column + 1]
        assert around.mean() == pytest.approx(straight.mean(), rel=0.15)
    with pytest.raises(PyRepError, match="twice the height"):
        sensor.set_resolution([64, 64])
