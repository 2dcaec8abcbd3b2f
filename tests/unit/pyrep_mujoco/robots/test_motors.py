"""Motors keep velocities and positions with at most their force."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from pyrep_mujoco.robots.motors import Motor, Motors

# A pendulum: 2 kg at 0.5 m, held out level it weighs 9.81 N m on its hinge; and a slide.
SCENE = """
<mujoco><option timestep="0.005"/><worldbody>
  <body name="bar"><joint name="hinge" axis="0 1 0"/>
    <inertial pos="0.5 0 0" mass="2" diaginertia="1e-3 1e-3 1e-3"/></body>
  <body name="finger" pos="2 0 0"><joint name="slide" type="slide" axis="1 0 0"/>
    <geom type="box" size="0.02 0.02 0.02" mass="0.1"/></body>
  <body name="wall" pos="2.1 0 0"><geom type="box" size="0.03 0.1 0.1"/></body>
</worldbody></mujoco>
"""


@pytest.fixture
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(SCENE)


def run(motors: Motors, data: mujoco.MjData, seconds: float) -> None:
    for _ in range(round(seconds / 0.005)):
        motors.step(data)


def test_a_position_is_kept_against_weight(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    motors = Motors(model, {0: Motor(force=20.0)})
    run(motors, data, 1.0)
    assert abs(data.qpos[0]) < 1e-4
    assert motors.force(0) == pytest.approx(-9.81, rel=1e-3)


def test_a_weak_motor_gives_way(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    motors = Motors(model, {0: Motor(force=5.0)})
    run(motors, data, 0.3)
    assert data.qpos[0] > 0.1
    assert motors.force(0) == pytest.approx(-5.0, rel=1e-3)


def test_a_joint_goes_to_its_position_at_most_at_the_limit(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    motors = Motors(model, {0: Motor(force=100.0, position=-0.5, velocity_limit=1.0)})
    fastest = 0.0
    for _ in range(200):
        motors.step(data)
        fastest = max(fastest, abs(data.qvel[0]))
    assert data.qpos[0] == pytest.approx(-0.5, abs=1e-4)
    assert fastest == pytest.approx(1.0, rel=2e-2)


def test_a_velocity_is_kept_and_what_blocks_is_pushed_with_all_force(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    motors = Motors(model, {1: Motor(keeps_position=False, velocity=0.1, force=7.0)})
    run(motors, data, 0.1)
    assert data.qvel[1] == pytest.approx(0.1, rel=1e-2)
    run(motors, data, 1.5)
    assert data.qpos[1] < 0.055
    assert motors.force(1) == pytest.approx(7.0, rel=2e-2)


def test_a_motor_that_is_off_does_nothing(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    motors = Motors(model, {0: Motor(force=20.0)})
    motors.motors[0].is_on = False
    motors.tell()
    run(motors, data, 0.1)
    assert data.qpos[0] > 0.05
    assert motors.force(0) == 0.0


def test_the_shorter_way_round(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    motor = Motor(force=100.0, position=-3.0)
    data.qpos[0] = 3.0
    there = Motors(model, {0: replace(motor, is_cyclic=True)}).velocities(data)
    back = Motors(model, {0: motor}).velocities(data)
    assert there[0] > 0 > back[0]
    assert np.isclose(there[0], 20 * (2 * np.pi - 6.0))
