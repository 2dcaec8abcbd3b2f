"""Task 12: the charger sits still in its socket until it is pulled out."""

import numpy as np
import pytest

from rlbench.backend.exceptions import DemoError

NAME = "unplug_charger"


def test_the_charger_rests_in_the_socket(task):
    scene = task.scene
    scene.reset()
    scene.task.reset_conditions()
    charger = scene.engine.shape("charger")
    for _ in range(5):
        scene.engine.step()
    start = charger.get_matrix()
    for _ in range(40):
        scene.engine.step()
        drift = charger.get_matrix() - start
        assert np.abs(drift[:3, 3]).max() < 1e-4
        assert np.abs(drift[:3, :3]).max() < 2e-3
    assert scene.task.success() == (False, False)


def test_out_of_the_socket_nothing_carries_it(task):
    scene = task.scene
    scene.reset()
    charger = scene.engine.shape("charger")
    T = charger.get_matrix()
    T[0, 3] -= 0.06
    charger.set_matrix(T)
    for _ in range(10):
        scene.engine.step()
    assert charger.get_position()[2] < T[2, 3] - 0.1


def test_success_is_being_in_front_of_the_socket(task):
    scene = task.scene
    scene.reset()
    sensor = scene.engine.sensor("charger_success")
    charger = scene.engine.shape("charger")
    assert not sensor.is_detected(charger)
    charger.set_position(sensor.get_position() + np.array([0, 0, 0.025]))
    assert scene.task.success()[0]


def test_a_demonstration_pulls_straight_and_holds_the_charger(task):
    demo = task.get_demo(0, 0)
    xyz = np.array([o.keypoints for o in demo])
    k = demo.keypoint_names.index("objects/charger")
    tip = demo.keypoint_names.index("robot/tip")
    grasped, pulled = demo.waypoint_frames
    assert np.linalg.norm(xyz[grasped, k] - xyz[0, k]) < 1e-3
    assert 0.1 < np.linalg.norm(xyz[pulled, k] - xyz[0, k]) < 0.3
    held = np.linalg.norm(xyz[grasped + 25 :, k] - xyz[grasped + 25 :, tip], axis=-1)
    assert np.ptp(held) < 5e-4


def test_the_wall_turns_by_45_degrees_at_most(task):
    yaws = []
    for seed in range(30):
        task.seed(seed)
        task.reset()
        R = task.scene.engine.object("plug").get_matrix()[:3, :3]
        yaws.append(np.degrees(np.arctan2(R[1, 0], R[0, 0])))
    turned = (np.array(yaws) - np.median(yaws) + 180) % 360 - 180
    assert np.ptp(turned) <= 90.0
    assert np.ptp(turned) > 30.0


def test_no_demonstration_wrenches_the_prongs(task):
    with pytest.raises(DemoError) as failure:
        task.get_demo(17, 0)  # here the arm can only swing to waypoint1
    assert failure.value.cause == "no_straight_pull"
