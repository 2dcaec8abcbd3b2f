"""RLBench's scenes and models as RLBench's code uses them, with the scene that stands in."""

import numpy as np
import pytest

from tests.unit.as_pyrep.conftest import ROOT

SAMPLES = ROOT.parent / "shared" / "rlbench_ttm_samples"
pytestmark = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="RLBench's own files are not beside this repository"
)
RECORDED_FORCES = [0.02, 23.48, -0.02, -15.97, -0.15, -4.30, 0.04]
"""Of RLBench's arm at rest [N m], in a demonstration that its authors recorded."""
OVERHEAD = [
    [0.0, 0.90630770, 0.42261863, -0.17499709],
    [1.0, 0.0, 0.0, 0.0],
    [0.0, 0.42261863, -0.90630770, 2.42999387],
    [0.0, 0.0, 0.0, 1.0],
]
"""Recorded, too: camera to world."""
WRIST = [
    [0.0, -0.9961948, 0.0871554, -0.0500093],
    [1.0, 0.0, 0.0, 0.0020000],
    [0.0, 0.0871554, 0.9961948, -0.0920719],
    [0.0, 0.0, 0.0, 1.0],
]
"""Of 251 recorded frames, in which it differs by 5e-7: the wrist's camera to the arm's tip."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A folder as a checkout has it that lacks the base scene."""
    folder = tmp_path_factory.mktemp("rlbench")
    (folder / "robot_ttms").mkdir()
    (folder / "robot_ttms" / "panda.ttm").symlink_to(SAMPLES / "panda.ttm")
    return folder


@pytest.fixture(scope="module")
def rlbench(checkout):
    """The stand-in scene with its robot, running; the tests of this file go on with it."""
    from pyrep import PyRep

    simulator = PyRep()
    simulator.launch(str(checkout / "task_design.ttt"), headless=True)
    simulator.start()
    yield simulator
    simulator.shutdown()


@pytest.fixture(scope="module")
def robot(rlbench):
    from pyrep.robots.arms.panda import Panda
    from pyrep.robots.end_effectors.panda_gripper import PandaGripper

    return Panda(), PandaGripper()


def points(sensor):
    """Return (h, w, 3) world points of a sensor's depth, through the middles of its pixels."""
    depth = sensor.capture_depth(in_meters=True)
    rows, columns = np.mgrid[: depth.shape[0], : depth.shape[1]] + 0.5
    K, T = sensor.get_intrinsic_matrix(), sensor.get_matrix()
    x, y = (columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1]
    return np.stack([x * depth, y * depth, depth], axis=-1) @ T[:3, :3].T + T[:3, 3]


def test_another_scene_that_is_missing_is_refused(checkout):
    from pyrep import PyRep
    from pyrep.errors import PyRepError

    with pytest.raises(PyRepError, match=r"does not exist: .*other\.ttt"):
        PyRep().launch(str(checkout / "other.ttt"), headless=True)


def test_cameras_are_where_recordings_have_them(rlbench):
    from pyrep.objects.vision_sensor import VisionSensor

    overhead = VisionSensor("cam_overhead")
    np.testing.assert_allclose(overhead.get_matrix(), OVERHEAD, atol=1e-5)
    intrinsics = [[-175.8385604, 0, 64], [0, -175.8385604, 64], [0, 0, 1]]
    np.testing.assert_allclose(overhead.get_intrinsic_matrix(), intrinsics, atol=1e-5)
    wrist = VisionSensor("cam_wrist")
    assert wrist.get_far_clipping_plane() == pytest.approx(3.5)


def test_the_wrists_camera_is_where_recordings_have_it_on_the_hand(rlbench, robot):
    from pyrep.objects.vision_sensor import VisionSensor

    arm, _ = robot
    tip, camera = arm.get_tip().get_matrix(), VisionSensor("cam_wrist").get_matrix()
    np.testing.assert_allclose(np.linalg.solve(tip, camera), WRIST, atol=1e-6)


def test_the_workspace_is_a_plane_to_code_that_asks(rlbench):
    from pyrep.objects.shape import Shape

    box = Shape("workspace").get_bounding_box()
    assert box[5] - box[4] == 0
    assert not Shape("workspace").is_collidable()


def test_masks_are_handles_and_depth_is_the_tables(rlbench):
    from pyrep.objects.object import Object
    from pyrep.objects.shape import Shape
    from pyrep.objects.vision_sensor import VisionSensor

    mask = VisionSensor("cam_overhead_mask")
    overhead = VisionSensor("cam_overhead")
    for sensor in (mask, overhead):
        sensor.set_explicit_handling(1)
        sensor.handle_explicitly()
    seen = mask.capture_rgb() * 255
    handles = np.rint(seen @ [1, 256, 65536]).astype(int)
    names = {Object.get_object_name(int(handle)) for handle in np.unique(handles)}
    assert {"diningTable_visible", "ResizableFloor_5_25_visibleElement"} < names
    assert any(name.startswith("Panda_link") for name in names)
    where = points(overhead)
    table = where[handles == Shape("diningTable_visible").get_handle()]
    np.testing.assert_allclose(table[:, 2], 0.75, atol=2e-3)
    assert np.abs(table[:, 1]).max() < 0.551


def test_an_arm_at_rest_carries_what_a_recorded_one_does(rlbench, robot):
    arm, _ = robot
    arm.set_control_loop_enabled(False)
    arm.set_joint_target_velocities([0] * 7)
    before = arm.get_joint_positions()
    for _ in range(10):
        rlbench.step()
    np.testing.assert_allclose(arm.get_joint_positions(), before, atol=1e-4)
    forces = np.array(arm.get_joint_forces())
    np.testing.assert_allclose(forces, RECORDED_FORCES, rtol=0.15, atol=0.2)


def test_a_task_is_loaded_grasped_lifted_and_taken_away(rlbench, robot):
    from pyrep.const import ObjectType
    from pyrep.objects.dummy import Dummy
    from pyrep.objects.shape import Shape

    arm, gripper = robot
    arm.set_control_loop_enabled(True)
    task = rlbench.import_model(str(SAMPLES / "pick_and_lift.ttm"))
    task.set_position(Shape("workspace").get_position())
    kept, count = task.get_configuration_tree(), len(task.get_objects_in_tree())
    block = Shape("pick_and_lift_target")
    start = block.get_position()

    def follow(name):
        goal = Dummy(name)
        path = arm.get_path(
            goal.get_position(), euler=goal.get_orientation(), ignore_collisions=True
        )
        while not path.step():
            rlbench.step()

    follow("waypoint0")
    follow("waypoint1")
    while not gripper.actuate(0.0, 0.04):
        rlbench.step()
    assert gripper.grasp(block)
    rlbench.step()
    assert np.abs(np.array(gripper.get_touch_sensor_forces())).max() > 0.5
    follow("waypoint2")
    follow("waypoint3")
    assert block.get_position()[2] > start[2] + 0.1
    gripper.release()
    rlbench.set_configuration_tree(kept)
    np.testing.assert_allclose(block.get_position(), start, atol=1e-6)
    assert len(task.get_objects_in_tree()) == count
    task.remove()
    left = {o.get_name() for o in rlbench.get_objects_in_tree(object_type=ObjectType.SHAPE)}
    assert "pick_and_lift_target" not in left
    assert "workspace" in left
