"""Robots from binary files: one of our own, and RLBench's."""

import os
import pickle
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import numpy as np
import pytest

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.motion.kinematics import Kinematics
from pyrep_mujoco.robots.arm import Arm
from pyrep_mujoco.robots.gripper import Gripper
from pyrep_mujoco.ttm import robot_files as robots
from rlbench.cameras import CAMERAS, camera_from_mujoco, extrinsics, intrinsics, project
from rlbench.engines.mujoco import PANDA, ROBOT_FOLDER, MujocoEngine
from rlbench.recording.keypoints import robot_points
from rlbench.tasks import builtin_scene
from tests.unit.rlbench.checkout.ttm_checkout import write_ttm_checkout

SAMPLES = Path(__file__).resolve().parents[5] / "shared" / "rlbench_ttm_samples"
needs_checkout = pytest.mark.skipif(
    not os.environ.get("RLBENCH_ROOT"), reason="RLBENCH_ROOT names no checkout of RLBench"
)


class Recorded:
    """Stands for a class of RLBench in its recordings."""

    def __init__(self, *args):
        self.args = args


class RecordingReader(pickle.Unpickler):
    """Reads arrays and plain records, nothing else."""

    def find_class(self, module, name):
        if module.startswith("rlbench."):
            return type(name, (Recorded,), {})
        if module.split(".")[0] == "numpy" and name in (
            "_reconstruct",
            "ndarray",
            "dtype",
            "scalar",
        ):
            module = module.replace("numpy.core", "numpy._core")
            return super().find_class(module, name)
        if (module, name) in (("copy_reg", "_reconstructor"), ("builtins", "object")):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a recording")


@pytest.fixture(scope="module", params=["ours", "rlbench"])
def panda(request, tmp_path_factory):
    """Our own file, and RLBench's of a checkout or the sample, as robots."""
    folder = tmp_path_factory.mktemp("panda")
    root = Path(os.environ.get("RLBENCH_ROOT") or folder)
    if request.param == "ours":
        root = write_ttm_checkout(folder)
    elif root == folder:
        if not (SAMPLES / "panda.ttm").is_file():
            pytest.skip(f"RLBench's panda.ttm is neither in {SAMPLES} nor in $RLBENCH_ROOT")
        (folder / "rlbench").mkdir()
        (folder / "rlbench" / "robot_ttms").symlink_to(SAMPLES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RLBENCH_CACHE", str(folder / "cache"))
        yield robots.converted_robot(root / ROBOT_FOLDER)


@pytest.fixture
def engine(panda):
    engine = MujocoEngine(builtin_scene("reach_target"), panda)
    Gripper(engine).reset()
    Arm(engine).home()
    return engine


def distance_after_going(engine, arm, x):
    """Go to a pose above the table, and return how far from it the tip ends [m]."""
    goal = tf.pose_to_transform(np.array([x, 0.1, 1.0, 0.0, 1.0, 0.0, 0.0]))
    path = arm.plan(goal, np.random.default_rng(0))
    for _ in range(600):
        done = path.step()
        engine.step()
        if done:
            break
    return np.linalg.norm(arm.get_tip().get_position() - goal[:3, 3])


def sees_its_tip(engine):
    """Tell whether the wrist camera sees the fingers' tip, and where that camera is."""
    spec, camera = engine.robot.mounted(CAMERAS["wrist"]), engine.data.camera("wrist")
    T_world_cam = engine.object(spec.parent).get_matrix() @ spec.T_world_cam()
    assert np.allclose(T_world_cam, camera_from_mujoco(camera.xpos, camera.xmat), atol=1e-4)
    uv, depth = project(
        engine.object(engine.robot.tip).get_position()[None],
        intrinsics(spec.fov_deg, 100, 100),
        extrinsics(T_world_cam),
    )
    return depth[0] > 0.05 and (np.abs(uv[0] - 50) < 50).all()


def close(engine, gripper):
    for _ in range(60):
        if gripper.actuate(0.0, 0.2):
            break
        engine.step()


def test_the_saved_pose_is_that_of_the_file(engine):
    tip = engine.dummy("Panda_tip").get_pose()
    # Of RLBench's file, by the simulator that wrote it; ours has Franka's exact numbers.
    assert np.allclose(tip[:3], [0.2781, -0.0082, 1.4732], atol=3e-4)
    assert np.allclose(np.abs(tip[3:]), [0, 0.9925, 0, 0.1219], atol=1e-4)


def test_the_arm_holds_its_pose_and_touches_nothing(engine):
    arm = Arm(engine)
    assert arm.touched_shapes() == []
    for _ in range(20):
        engine.step()
    assert np.allclose(arm.get_joint_positions(), engine.robot.home, atol=1e-6)


def test_the_arm_goes_where_it_is_told_as_ours_does(engine):
    assert distance_after_going(engine, Arm(engine), 0.3) < 2e-3


def test_fingers_open_and_close(engine):
    gripper = Gripper(engine)
    close(engine, gripper)
    assert gripper.get_open_amount().max() < 0.05


def recordings():
    root = os.environ.get("RLBENCH_ROOT", "")
    return sorted((Path(root) / "tests" / "unit" / "assets").rglob("low_dim_obs.pkl"))


@needs_checkout
@pytest.mark.parametrize("panda", ["rlbench"], indirect=True)  # recorded with RLBench's, not ours
def test_forward_kinematics_meet_recorded_gripper_poses(engine):
    arm = Kinematics(engine.model, engine.robot.joints, engine.robot.tip)
    files = recordings()
    assert files
    worst_mm = worst_deg = 0.0
    for file in files:
        with file.open("rb") as stream:
            demo = RecordingReader(stream).load()
        for moment in demo._observations:
            position, quat = arm.fk(moment.joint_positions)
            R = tf.quat_wxyz_to_matrix(quat)
            R_recorded = tf.quat_wxyz_to_matrix(tf.xyzw_to_wxyz(moment.gripper_pose[3:]))
            cosine = (np.trace(R.T @ R_recorded) - 1) / 2
            worst_mm = max(worst_mm, 1e3 * np.linalg.norm(position - moment.gripper_pose[:3]))
            worst_deg = max(worst_deg, np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))
    print(f"{worst_mm:.3f} mm, {worst_deg:.4f} degrees")
    assert worst_mm < 1.0
    assert worst_deg < 0.1


def test_fingers_keep_their_friction_and_the_palm_is_soft(engine):
    model, robot = engine.model, engine.robot

    def solid(name):
        body = model.body(name).id
        return np.flatnonzero((model.geom_bodyid == body) & (model.geom_contype != 0))

    for name in robot.fingers:
        assert (model.geom_friction[solid(name), 0] <= 1.0).all()
        assert (model.geom_solref[solid(name), 0] < 0.01).all()
    assert (model.geom_solref[solid(robot.hand), 0] > 0.02).all()


def test_unknown_robots_and_missing_files_are_named(tmp_path):
    with pytest.raises(robots.SceneError, match=r"robot 'hal' is unknown; available: .*panda"):
        robots.converted_robot(tmp_path, "hal")
    with pytest.raises(robots.SceneError, match=r"panda\.ttm not found in .*robot_ttms"):
        robots.converted_robot(tmp_path / ROBOT_FOLDER)


def test_cameras_of_the_hand_are_on_any_hand():
    front, wrist = CAMERAS["front"], CAMERAS["wrist"]
    assert PANDA.mounted(wrist) == wrist
    ur5 = robots.ROBOTS["ur5"].model
    assert ur5.mounted(front) == front
    assert ur5.mounted(wrist).parent == "cam_wrist"
    mine = replace(wrist, name="mine")
    assert ur5.mounted(mine) == replace(mine, parent="ROBOTIQ_85")
    assert ur5.owns("ROBOTIQ_85_Lfinger")
    assert ur5.owns("UR5_link2")
    assert not ur5.owns("target")


@needs_checkout
@pytest.mark.parametrize(
    ("name", "x", "fingers"),
    [("sawyer", 0.3, 2), ("jaco", 0.3, 3), ("mico", 0.1, 2), ("ur5", 0.3, 2)],
)
def test_other_robots_stand_where_the_panda_did_and_work(tmp_path, monkeypatch, name, x, fingers):
    monkeypatch.setenv("RLBENCH_CACHE", str(tmp_path))
    robot = robots.converted_robot(Path(os.environ["RLBENCH_ROOT"]) / ROBOT_FOLDER, name)
    engine = MujocoEngine(builtin_scene("reach_target"), robot)
    gripper, arm = Gripper(engine), Arm(engine)
    gripper.reset()
    arm.home()
    assert engine.object(robot.root).get_position() == pytest.approx([-0.3089, 0, 0.82])
    assert arm.touched_shapes() == []
    for _ in range(20):
        engine.step()
    assert np.allclose(arm.get_joint_positions(), robot.home, atol=1e-6)
    assert np.allclose(gripper.get_open_amount(), np.ones(fingers), atol=1e-3)
    lower, upper = arm.joint_limits()
    assert (upper - lower <= 2 * np.pi + 1e-3).all()
    assert distance_after_going(engine, arm, x) < 3e-3
    close(engine, gripper)
    assert gripper.get_open_amount().max() < 0.1
    assert len(robot_points(robot)) == fingers + 2
    assert sees_its_tip(engine)
    tips = [engine.object(finger).get_matrix() for finger in robot.fingers]
    if name == "ur5":  # four bars keep the fingers' ends parallel
        assert abs(tips[0][:3, 2] @ tips[1][:3, 2]) > 0.999


def test_a_joint_that_turns_often_is_planned_for_once():
    joint = Element("joint", name="j", type="hinge", range="-12.5664 12.5664")
    root = Element("mujoco")
    SubElement(root, "text", name="qpos:j", data="1")
    robots.bound_turns(joint, root)
    assert [float(v) for v in joint.get("range").split()] == pytest.approx(
        [1 - np.pi, 1 + np.pi], abs=1e-5
    )
    robots.bound_turns(joint, root)
    assert float(joint.get("range").split()[0]) == pytest.approx(1 - np.pi, abs=1e-5)


def test_tips_move_along_their_own_axis():
    body = Element("body", pos="0 0 1", quat="0.70710678 0.70710678 0 0")  # z turned to -y
    robots.move_along_z(body, 0.5)
    assert [float(v) for v in body.get("pos").split()] == pytest.approx([0, -0.5, 1], abs=1e-6)
