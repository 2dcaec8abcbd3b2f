"""Task 41: the lid is pushed open and stays, both shoes end in the box."""

import numpy as np
import pytest

from rlbench.backend.exceptions import BoundaryError
from rlbench.tools.art import make_put_shoes_in_box_meshes as drawing
from rlbench.tools.art.obj_files import MESHES

NAME = "put_shoes_in_box"
SHOES = ("shoe1", "shoe2")
AJAR = np.deg2rad(35) - 0.2618  # the lid lies shut 15 degrees below the joint's zero


@pytest.fixture(scope="module")
def demo(task):
    return task.get_demos(1)[0]


def track(demo, name):
    k = demo.keypoint_names.index(name)
    return np.array([o.keypoints[k] for o in demo])


def test_meshes_are_what_the_script_writes(tmp_path):
    paths = drawing.write(tmp_path)
    assert {p.name for p in paths} == {p.name for p in MESHES.glob(f"{NAME}_*")}
    for path in paths:
        assert path.read_bytes() == (MESHES / path.name).read_bytes(), path.name


@pytest.mark.parametrize("part", ["sole", "upper", "lining"])
def test_meshes_are_closed_and_face_outwards(part):
    points, faces = getattr(drawing, part)()
    corners = points[faces]
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume > 0
    edges = np.concatenate([faces[:, [i, (i + 1) % 3]] for i in range(3)])
    assert {tuple(e) for e in edges.tolist()} == {(b, a) for a, b in edges.tolist()}


def test_lid_and_shoes_rest_at_the_start(task):
    scene = task.scene
    scene.reset()
    engine = scene.engine
    for _ in range(5):
        engine.step()
    before = {name: engine.shape(name).get_position() for name in SHOES}
    for _ in range(40):
        engine.step()
    assert engine.joint("box_joint").get_joint_position() == pytest.approx(AJAR, abs=2e-3)
    for name in SHOES:
        assert np.linalg.norm(engine.shape(name).get_position() - before[name]) < 1e-3


def test_the_robot_opens_the_lid_and_it_stays_open(demo):
    angle = np.array([o.obj_annotations["joints"]["box_joint"] for o in demo])
    pushed, left = demo.waypoint_frames[1:3]
    assert angle[demo.waypoint_frames[0]] == pytest.approx(AJAR, abs=5e-3)
    assert angle[left] > np.deg2rad(90) - 0.2618
    assert np.ptp(angle[pushed + 5 :]) < 0.05


def test_each_shoe_is_held_without_slip_and_lies_in_the_box(demo, task):
    tip = track(demo, "robot/tip")
    frames = demo.waypoint_frames
    for name, grasp, above in (("shoe1", 4, 5), ("shoe2", 8, 9)):
        shoe = track(demo, f"objects/{name}")
        held = slice(frames[above] - 15, frames[above])
        apart = np.linalg.norm(shoe[held] - tip[held], axis=-1)
        assert np.ptp(apart) < 5e-4
        assert np.linalg.norm(shoe[frames[grasp]] - shoe[0]) < 2e-3
        assert np.ptp(shoe[-5:], axis=0).max() < 2e-3
    sensor = task.scene.engine.sensor("success")
    assert all(sensor.is_detected(task.scene.engine.shape(name)) for name in SHOES)


def test_one_shoe_or_a_held_shoe_is_no_success(task, monkeypatch):
    scene = task.scene
    scene.reset()
    engine = scene.engine
    floor = engine.sensor("success").get_position()
    engine.shape("shoe1").set_position(floor + np.array([-0.06, 0.0, 0.002]))
    assert not scene.task.success()[0]
    engine.shape("shoe2").set_position(floor + np.array([0.06, 0.0, 0.002]))
    assert scene.task.success()[0]
    with monkeypatch.context() as patch:
        patch.setattr(scene.robot.gripper.sensor, "is_detected", lambda shape: True)
        assert scene.robot.gripper.grasp(engine.shape("shoe2"))
    assert not scene.task.success()[0]
    scene.robot.gripper.release()
    assert scene.task.success()[0]


def test_shoes_are_drawn_apart_and_beside_the_box(task):
    scene = task.scene
    turns = []
    for seed in range(40):
        scene.reset()
        scene.task.rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
        try:
            scene.task.init_episode(0)
        except BoundaryError:
            continue
        a, b = (scene.engine.shape(name) for name in SHOES)
        assert np.linalg.norm(a.get_position() - b.get_position()) >= 0.12
        for shoe in (a, b):
            assert not shoe.check_collision(scene.engine.shape("box_base"))
            R = shoe.get_matrix()[:3, :3]
            turns.append(np.degrees(np.arctan2(R[1, 0], R[0, 0])) - 90)
    assert len(turns) > 60
    assert np.abs(turns).max() <= 20
    assert np.ptp(turns) > 25
