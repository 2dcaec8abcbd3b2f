"""Controls of the next step, written before it is simulated."""

import mujoco
import numpy as np

from pyrep_mujoco.scene.controls import Controls
from pyrep_mujoco.world import Notes, World

MJCF = """
<mujoco><option timestep="0.01"/><worldbody><body name="arm"><joint name="a"/><joint name="b"/>
  <geom size="0.1"/></body></worldbody>
  <actuator><motor joint="a"/><motor joint="b"/></actuator></mujoco>
"""


def controls():
    world = World("arm.xml", mujoco.MjModel.from_xml_string(MJCF), Notes())
    return world, Controls(world, 5)


def test_rows_begin_as_what_is_held_and_are_taken_once():
    world, written = controls()
    world.data.ctrl[:] = [1.0, 2.0]
    rows = written.rows()
    assert np.array_equal(rows, [[1.0, 2.0]] * 5)
    rows[3:, 0] = 7.0
    taken = written.take()
    assert np.array_equal(taken[:, 0], [1, 1, 1, 7, 7])
    assert written.take() is None


def test_holding_changes_a_step_that_is_written_too():
    world, written = controls()
    written.rows()[:, 0] = 3.0
    written.hold(np.array([1]), np.array([9.0]))
    assert world.data.ctrl[1] == 9.0
    assert np.array_equal(written.take(), [[3.0, 9.0]] * 5)


def test_a_step_lasts_all_its_steps_of_physics():
    assert controls()[1].step_seconds == 0.05
