"""Arms and grippers of PyRep's own model files."""

from importlib import import_module

import numpy as np
import pytest

GRAVITY_TORQUES = (0.01, 23.6, -0.03, -16.1, -0.15, -4.33, 0.03)
"""[N m] of RLBench's Panda at rest in its saved pose, as its recorded episodes have them."""


@pytest.fixture(scope="module")
def panda(samples):
    from pyrep import PyRep

    simulator = PyRep()
    simulator.launch("", headless=True)
    simulator.import_model(str(samples / "robots" / "Panda.ttm"))
    simulator.start()
    yield simulator
    simulator.shutdown()


@pytest.fixture
def arm(panda):
    from pyrep.robots.arms.panda import Panda

    panda.stop()
    panda.start()
    return Panda()


def goal_of(arm, offset):
    return arm.get_tip().get_position() + offset, arm.get_tip().get_quaternion()


def test_motors_hold_what_a_recorded_arm_held(panda, arm):
    for _ in range(4):
        panda.step()
    forces = np.array(arm.get_joint_forces())
    np.testing.assert_allclose(forces, GRAVITY_TORQUES, rtol=0.05, atol=0.05)
    assert np.abs(arm.get_joint_velocities()).max() < 1e-3


def test_a_straight_path_ends_at_its_pose_with_all_steps(panda, arm):
    position, quaternion = goal_of(arm, [-0.05, 0.1, -0.1])
    path = arm.get_linear_path(position, quaternion=quaternion, steps=30)
    assert len(path) == 30
    first, steps, done = np.array(arm.get_joint_positions()), 0, False
    while not done:
        done = path.step()
        panda.step()
        steps += 1
    np.testing.assert_allclose(arm.get_tip().get_position(), position, atol=2e-3)
    length = np.linalg.norm(np.diff(path._path_points.reshape(-1, 7), axis=0), axis=1).sum()
    assert steps == pytest.approx((length + 0.25) / 0.05, abs=2)  # 1 rad/s, 4 rad/s^2
    np.testing.assert_allclose(path.get_executed_joint_position_action(), path._path_points[-7:])
    with pytest.raises(RuntimeError, match="set_to_start"):
        path.step()
    path.set_to_start(disable_dynamics=True)
    np.testing.assert_allclose(arm.get_joint_positions(), first, atol=1e-3)
    assert path.step() is False


def test_paths_go_around_what_is_collidable(arm):
    from pyrep.const import PrimitiveShape
    from pyrep.errors import ConfigurationPathError
    from pyrep.objects.shape import Shape

    position, quaternion = goal_of(arm, [0.0, 0.3, -0.15])
    middle = np.add(arm.get_tip().get_position(), [0.0, 0.17, -0.1])
    wall = Shape.create(
        PrimitiveShape.CUBOID, [0.3, 0.02, 0.15], static=True, position=list(middle)
    )
    try:
        with pytest.raises(ConfigurationPathError, match="in its way"):
            arm.get_linear_path(position, quaternion=quaternion)
        path = arm.get_path(position, quaternion=quaternion)
        again = arm.get_path(position, quaternion=quaternion)
        np.testing.assert_array_equal(path._path_points, again._path_points)
        for row in path._path_points.reshape(-1, 7)[::5]:
            arm.set_joint_positions(list(row))
            assert not arm.check_arm_collision()
        arm.set_joint_positions(list(path._path_points[:7]))
        arm.get_linear_path(position, quaternion=quaternion, ignore_collisions=True)
        wall.set_collidable(False)
        arm.get_linear_path(position, quaternion=quaternion)
        wall.set_collidable(True)
        wall.set_position(arm.get_tip().get_position())
        assert arm.check_arm_collision()
        assert arm.check_arm_collision(wall)
        assert not arm.check_arm_collision(Shape("Panda_link0_visual"))
    finally:
        wall.remove()


def test_inverse_kinematics(arm):
    from pyrep.errors import ConfigurationError, IKError

    position, quaternion = goal_of(arm, [0.0, 0.05, -0.1])
    found = arm.solve_ik_via_sampling(position, quaternion=quaternion, max_configs=4)
    assert found.shape == (4, 7)
    distances = np.linalg.norm(found - arm.get_joint_positions(), axis=1)
    assert (np.diff(distances) >= 0).all()
    near = arm.solve_ik_via_jacobian(position, quaternion=quaternion)
    for joints in (*found, near):
        arm.set_joint_positions(list(joints))
        np.testing.assert_allclose(arm.get_tip().get_position(), position, atol=1e-5)
    with pytest.raises(ConfigurationError, match="not as both"):
        arm.solve_ik_via_sampling(position)
    with pytest.raises(IKError, match="Panda"):
        arm.solve_ik_via_jacobian([9, 9, 9], quaternion=quaternion)


def test_locked_joints_and_free_turns(arm):
    position, quaternion = goal_of(arm, [0.0, 0.0, -0.05])
    moved = arm.solve_ik_via_jacobian(position, quaternion=quaternion, locked_joints=[2])
    assert len(moved) == 6
    arm.set_ik_element_properties(constraint_gamma=False)
    flipped = [quaternion[1], -quaternion[0], quaternion[3], -quaternion[2]]  # half a turn about z
    near = np.array(arm.solve_ik_via_jacobian(position, quaternion=flipped))
    assert np.abs(near - arm.get_joint_positions()).max() < 0.5
    arm.set_ik_element_properties()


def test_the_jacobian_is_that_of_the_tip_from_the_last_joint_to_the_first(arm):
    jacobian = arm.get_jacobian()
    start, before = np.array(arm.get_joint_positions()), arm.get_tip().get_position()
    assert jacobian.shape == (7, 6)
    for joint in (1, 3):
        arm.set_joint_positions(list(start + np.eye(7)[joint] * 1e-5))
        moved = (arm.get_tip().get_position() - before) / 1e-5
        np.testing.assert_allclose(jacobian[6 - joint, :3], moved, atol=1e-4)
    arm.set_joint_positions(list(start))


def test_a_gripper_opens_closes_and_holds(panda, arm):
    from pyrep.const import PrimitiveShape
    from pyrep.objects.shape import Shape
    from pyrep.robots.end_effectors.panda_gripper import PandaGripper

    gripper = PandaGripper()
    tip = arm.get_tip()
    held = Shape.create(PrimitiveShape.CUBOID, [0.03, 0.03, 0.03], mass=0.05)
    far = Shape.create(PrimitiveShape.CUBOID, [0.03, 0.03, 0.03], static=True, position=[9, 9, 9])
    try:
        held.set_pose(tip.get_pose())
        held.set_dynamic(False)  # it must not fall before it is held
        steps = 0
        while not gripper.actuate(0.0, 0.04):
            panda.step()
            steps += 1
            assert steps < 60
        assert gripper.get_open_amount()[0] == pytest.approx(0.015 / 0.04, abs=0.05)
        held.set_dynamic(True)
        assert not gripper.grasp(far)
        assert gripper.grasp(held)
        assert gripper.get_grasped_objects() == [held]
        below = tip.get_position() - held.get_position()
        for _ in range(10):
            panda.step()
        np.testing.assert_allclose(tip.get_position() - held.get_position(), below, atol=1e-4)
        gripper.release()
        assert gripper.get_grasped_objects() == []
        while not gripper.actuate(1.0, 0.04):
            panda.step()
        assert gripper.get_open_amount() == pytest.approx([1.0, 1.0], abs=0.03)
        with pytest.raises(ValueError, match="between 0 and 1"):
            gripper.actuate(1.5, 0.04)
    finally:
        held.remove()
        far.remove()


def held_block(arm):
    """Return a block of 0.1 kg that a gripper holds without touching it, and the gripper."""
    from pyrep.const import PrimitiveShape
    from pyrep.objects.shape import Shape
    from pyrep.robots.end_effectors.panda_gripper import PandaGripper

    gripper = PandaGripper()
    gripper.set_joint_positions([0.04, 0.04], disable_dynamics=True)
    block = Shape.create(PrimitiveShape.CUBOID, [0.03, 0.03, 0.03], mass=0.1)
    block.set_pose(arm.get_tip().get_pose())
    assert gripper.grasp(block)
    return block, gripper


def test_what_is_held_gives_way_under_load_and_comes_back(panda, arm):
    block, gripper = held_block(arm)

    def shift(push, steps=10):
        for _ in range(steps):
            block.add_force(np.zeros(3), np.array(push))
            panda.step()
        return np.array(block.get_position(relative_to=arm.get_tip())) * 1000

    try:
        rest = shift([0.0, 0.0, 0.0])
        moved = np.linalg.norm(shift([0.0, 60.0, 0.0]) - rest)
        assert 0.3 < moved < 1.0  # [mm]; about 1 mm for 100 N
        force = np.array(gripper._attach_point.read()[0])
        assert np.linalg.norm(force) == pytest.approx(60, abs=5)
        block.set_mass(0.101)  # another model: the place in the hand stays
        assert np.linalg.norm(shift([0.0, 0.0, 0.0]) - rest) < 0.05
        block.set_position([0.0, 0.0, 0.01], relative_to=arm.get_tip())
        np.testing.assert_allclose(shift([0.0, 0.0, 0.0])[2], 10.0, atol=0.3)
        gripper.release()
        assert shift([0.0, 0.0, 0.0], 4)[2] > 30  # it falls
    finally:
        block.remove()


def test_what_is_held_is_not_in_the_way_of_its_arm(arm):
    block, gripper = held_block(arm)
    try:
        block.set_collidable(True)
        position, quaternion = goal_of(arm, [0.0, 0.2, -0.15])
        assert len(arm.get_linear_path(position, quaternion=quaternion)) > 0
        below, _ = goal_of(arm, [0.0, 0.0, -0.1])
        assert len(arm.get_linear_path(below, quaternion=quaternion)) > 0
    finally:
        gripper.release()
        block.remove()


def test_a_gripper_that_holds_what_is_as_wide_as_itself_is_not_open(panda, arm):
    from pyrep.const import PrimitiveShape
    from pyrep.objects.shape import Shape
    from pyrep.robots.end_effectors.panda_gripper import PandaGripper

    gripper = PandaGripper()
    gripper.set_joint_positions([0.04, 0.04], disable_dynamics=True)
    wide = Shape.create(PrimitiveShape.CUBOID, [0.03, 0.03, 0.03], mass=0.05)
    try:
        wide.set_pose(arm.get_tip().get_pose())
        assert gripper.get_open_amount() == pytest.approx([1.0, 1.0], abs=0.01)
        assert gripper.grasp(wide)
        assert gripper.get_open_amount() == [0.9, 0.9]  # RLBench: open is above 0.9
        gripper.release()
        assert min(gripper.get_open_amount()) > 0.95
    finally:
        wide.remove()


def test_values_for_joints_are_counted(arm):
    with pytest.raises(RuntimeError, match="7 joints; got 2"):
        arm.set_joint_target_velocities([0, 0])


@pytest.mark.parametrize(
    "name",
    [
        "mobiles.youbot",
        "arms.locobot_arm",
        "arms.youBot",
        "end_effectors.locobot_gripper",
        "configuration_paths.holonomic_configuration_path",
    ],
)
def test_mobile_robots_are_refused_in_one_line(panda, name):
    with pytest.raises(ImportError, match="mobile robots are not supported"):
        import_module(f"pyrep.robots.{name}")
