"""Motors keep positions and velocities with at most their force."""

import numpy as np
import pytest

from pyrep_mujoco.errors import SimulatorError

# A bar of 2 kg whose middle is 0.5 m from its hinge weighs 9.81 N m when it is level.
MJCF = """
<mujoco><worldbody>
  <body name="post"><geom type="box" size="0.02 0.02 0.02"/>
    <body name="bar" pos="0 0 0"><joint name="hinge" axis="0 1 0"/>
      <geom type="box" pos="0.5 0 0" size="0.4 0.01 0.01" mass="2"/></body></body>
  <body name="rail" pos="2 0 0"><geom type="box" size="0.01 0.01 0.01" contype="0" conaffinity="0"/>
    <body name="finger"><joint name="slide" type="slide" axis="1 0 0"/>
      <geom type="box" size="0.02 0.02 0.02" mass="0.1"/></body></body>
  <body name="wall" pos="2.1 0 0"><geom type="box" size="0.03 0.1 0.1"/></body>
</worldbody></mujoco>
"""
WEIGHT = 2 * 9.81 * 0.5


@pytest.fixture
def scene(tmp_path, launch):
    file = tmp_path / "motors.xml"
    file.write_text(MJCF, encoding="utf-8")
    return launch(file)


def joint_with(name, force, **setting):
    from pyrep.objects.joint import Joint

    joint = Joint(name)
    joint.set_motor_enabled(True)
    joint.set_joint_force(force)
    joint.set_control_loop_enabled("position" in setting)
    if "position" in setting:
        joint.set_joint_target_position(setting["position"])
    else:
        joint.set_joint_target_velocity(setting["velocity"])
    return joint


def run(scene, seconds):
    for _ in range(round(seconds / 0.05)):
        scene.step()


def test_a_position_is_kept_against_weight(scene):
    hinge = joint_with("hinge", 20.0, position=0.0)
    run(scene, 1.0)
    assert abs(hinge.get_joint_position()) < 1e-4
    # Counted as what the joint holds against, as CoppeliaSim does.
    assert hinge.get_joint_force() == pytest.approx(WEIGHT, rel=1e-2)


def test_a_weak_motor_gives_way(scene):
    hinge = joint_with("hinge", 5.0, position=0.0)
    run(scene, 0.3)
    assert hinge.get_joint_position() > 0.1
    assert hinge.get_joint_force() == pytest.approx(5.0, rel=1e-2)


def test_a_joint_goes_to_its_position(scene):
    hinge = joint_with("hinge", 100.0, position=-0.5)
    run(scene, 3.0)
    assert hinge.get_joint_position() == pytest.approx(-0.5, abs=1e-4)


def test_a_velocity_is_kept_and_what_blocks_is_pushed_with_all_force(scene):
    slide = joint_with("slide", 7.0, velocity=0.1)
    run(scene, 0.1)
    assert slide.get_joint_velocity() == pytest.approx(0.1, rel=1e-2)
    run(scene, 1.0)
    assert slide.get_joint_position() < 0.055
    assert slide.get_joint_force() == pytest.approx(-7.0, rel=2e-2)


def test_torques_are_told_by_velocity_and_greatest_force(scene):
    hinge = joint_with("hinge", 3.0, velocity=-9999.0)
    run(scene, 0.1)
    assert hinge.get_joint_force() == pytest.approx(3.0, rel=1e-3)


def test_a_motor_that_is_off_does_nothing(scene):
    hinge = joint_with("hinge", 20.0, position=0.0)
    hinge.set_motor_enabled(False)
    run(scene, 0.2)
    assert hinge.get_joint_position() > 0.1
    assert np.abs(hinge.get_joint_force()) < 0.01


def test_a_motor_that_locks_at_rest_holds_more_than_its_force(scene):
    hinge = joint_with("hinge", 1.0, velocity=0.0)
    hinge.set_motor_locked_at_zero_velocity(True)
    run(scene, 0.5)
    assert abs(hinge.get_joint_position()) < 1e-3
    hinge.set_motor_locked_at_zero_velocity(False)
    run(scene, 0.5)
    assert hinge.get_joint_position() > 0.1


def test_a_joint_told_too_much_goes_to_its_limit(scene):
    from pyrep.objects.joint import Joint

    hinge = Joint("hinge")
    hinge.set_joint_interval(False, [-0.5, 1.5])
    hinge.set_joint_position(3.0)
    assert hinge.get_joint_position() == 1.0
    hinge.set_joint_interval(False, [-0.5, 0.7])
    assert hinge.get_joint_position() == pytest.approx(0.2)
    hinge.set_joint_target_position(3.0)
    assert hinge.get_joint_target_position() == 3.0
    with pytest.raises(SimulatorError, match="hinge.*not negative"):
        hinge.set_joint_interval(False, [0.5, -1.0])


def test_a_cyclic_joint_counts_from_minus_pi_to_pi(scene):
    from pyrep.objects.joint import Joint

    hinge = Joint("hinge")
    hinge.set_joint_interval(True, [-np.pi, 2 * np.pi])
    hinge.set_joint_position(4.0)
    assert hinge.get_joint_position() == pytest.approx(4.0 - 2 * np.pi)
    joint_with("hinge", 100.0, velocity=2.0)
    run(scene, 2.0)
    assert hinge.get_joint_position() == pytest.approx(8.0 - 2 * np.pi, abs=0.05)
    # The short way over pi.
    joint_with("hinge", 100.0, position=3.0)
    run(scene, 2.0)
    joint_with("hinge", 100.0, position=3.4)
    run(scene, 0.5)
    assert hinge.get_joint_position() == pytest.approx(3.4 - 2 * np.pi, abs=1e-3)


def test_stopping_brings_back_how_joints_were_driven(scene):
    from pyrep.const import JointMode

    scene.stop()
    hinge = joint_with("hinge", 20.0, position=0.0)
    scene.start()
    joint_with("hinge", 5.0, velocity=1.0)
    hinge.set_motor_enabled(False)
    hinge.set_joint_mode(JointMode.PASSIVE)
    scene.stop()
    assert hinge.get_joint_mode() == JointMode.FORCE
    assert hinge.is_motor_enabled()
    assert hinge.is_control_loop_enabled()
    scene.start()
    run(scene, 0.5)
    assert abs(hinge.get_joint_position()) < 1e-3
