"""Arms of PyRep's model files, each as its group of inverse kinematics says."""

from importlib import import_module

import numpy as np
import pytest

ARMS = {
    "Dobot": ("dobot", "Dobot"),
    "Jaco": ("jaco", "Jaco"),
    "LBR_iiwa_7_R800": ("lbr_iiwa_7_r800", "LBRIwaa7R800"),
    "Mico": ("mico", "Mico"),
    "Sawyer": ("sawyer", "Sawyer"),
    "UR5": ("ur5", "UR5"),
}
MOVE = np.array([0.15, -0.12, 0.1, 0.1, 0.1, -0.1, 0.1])


def arm_of(launch, samples, model):
    simulator = launch()
    simulator.import_model(str(samples / "robots" / f"{model}.ttm"))
    module, name = ARMS[model]
    return simulator, getattr(import_module(f"pyrep.robots.arms.{module}"), name)()


def pose_at(arm, joints):
    arm.set_joint_positions(list(joints))
    return arm.get_tip().get_position(), arm.get_tip().get_quaternion()


@pytest.mark.parametrize("model", ARMS)
def test_an_arm_finds_its_way(launch, samples, model):
    _, arm = arm_of(launch, samples, model)
    start = np.array(arm.get_joint_positions())
    if model == "Dobot":  # its saved pose is at its joints' limits
        start = np.array([0.2, 0.6, 0.3, 0.1])
    position, quaternion = pose_at(arm, start + MOVE[: len(start)])
    pose_at(arm, start)
    path = arm.get_path(position, quaternion=quaternion)
    nonlinear = arm.get_nonlinear_path(position, quaternion=quaternion)
    found = arm.solve_ik_via_sampling(position, quaternion=quaternion, max_configs=2)
    near = arm.solve_ik_via_jacobian(position, quaternion=quaternion)
    for joints in (*found, near):
        np.testing.assert_allclose(pose_at(arm, joints)[0], position, atol=1e-5)
    for way in (path, nonlinear):
        way.set_to_end()
        np.testing.assert_allclose(arm.get_tip().get_position(), position, atol=1e-5)


def test_links_move_the_tip_of_the_dobot(launch, samples):
    simulator, arm = arm_of(launch, samples, "Dobot")
    position, quaternion = pose_at(arm, [0.4, 0.7, 0.5, 0.0])
    pose_at(arm, [0.2, 0.6, 0.3, 0.1])
    arm.set_joint_target_positions([0.2, 0.6, 0.3, 0.1])
    arm.set_ik_element_properties()
    path, done = arm.get_linear_path(position, quaternion=quaternion), False
    while not done:
        done = path.step()
        simulator.step()
    np.testing.assert_allclose(arm.get_tip().get_position(), position, atol=2e-3)
    assert abs(arm.get_tip().get_quaternion() @ quaternion) > 0.9999


def test_what_a_tip_must_reach_is_what_its_model_says(launch, samples):
    _, arm = arm_of(launch, samples, "UR5")
    start = np.array(arm.get_joint_positions())
    position, quaternion = pose_at(arm, start + MOVE[:6])
    pose_at(arm, start)
    assert arm.get_jacobian().shape == (6, 3)  # the place alone
    arm.set_ik_element_properties()
    assert type(arm)().get_jacobian().shape == (6, 6)  # the scene knows, not the object alone
    joints = arm.solve_ik_via_jacobian(position, quaternion=quaternion)
    assert abs(pose_at(arm, joints)[1] @ quaternion) == pytest.approx(1, abs=1e-9)
