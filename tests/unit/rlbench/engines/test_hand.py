"""A hand that has closed on something wide is closed, however far apart its fingers are."""

import itertools

import numpy as np
import pytest

from pyrep_mujoco.objects.object_types import PrimitiveShape
from pyrep_mujoco.objects.shape_forms import primitive_form
from pyrep_mujoco.robots.arm import Arm
from pyrep_mujoco.robots.gripper import Gripper
from pyrep_mujoco.robots.hand import HandState
from rlbench import Environment, ObservationConfig
from rlbench.action_modes import MoveArmThenGripper
from rlbench.action_modes.arm_action_modes import JointVelocity
from rlbench.action_modes.gripper_action_modes import Discrete, GripperJointPosition
from rlbench.const import DEMO_DT
from rlbench.engines.coppelia.simulator import CoppeliaSimulator
from rlbench.engines.mujoco import MujocoEngine
from rlbench.tasks import AVAILABLE, builtin_scene, get_task_class
from tests.contract import fake_pyrep
from tests.contract.fake_robot import PandaGripper
from tests.unit.rlbench.checkout.checkout_files import LIFT, write_task

BARE = ObservationConfig(track_cams=(), keypoints=())
WIDE = 0.076  # [m] of 0.08 between the open fingers
STILL = np.zeros(7)


def make_at_tip(engine, width):
    """Make a free bar across the hand, and let it hang in the air."""
    T = engine.dummy(engine.robot.tip).get_matrix()
    form = primitive_form(PrimitiveShape.CUBOID, (0.03, width, 0.03), True, 0.1)
    bar = engine.editor.make("Bar", form, np.array(T))
    assert bar.body > 0  # it has one from now on
    bar.set_dynamic(False)
    return bar


def start(gripper_mode):
    env = Environment(MoveArmThenGripper(JointVelocity(), gripper_mode), obs_config=BARE)
    env.launch()
    task = env.get_task(get_task_class("reach_target"))
    _, obs = task.reset()
    assert obs.gripper_open == 1.0
    return task, make_at_tip(task.scene.engine, WIDE)


def states(demo):
    """Runs of `gripper_open`, as 0 and 1."""
    return [int(value) for value, _ in itertools.groupby(o.gripper_open for o in demo)]


# ---- the rule -------------------------------------------------------------------------------


def test_fingers_apart_are_open_unless_they_were_closed_or_hold():
    hand, apart, half = HandState(), np.full(2, 0.95), np.full(2, 0.5)
    assert hand.is_open(apart, is_holding=False)
    assert not hand.is_open(apart, is_holding=True)
    assert not hand.is_open(half, is_holding=False)
    hand.was_told(0.0, is_done=False)  # on their way: their opening tells
    assert hand.is_open(apart, is_holding=False)
    hand.was_told(0.0, is_done=True)
    assert not hand.is_open(apart, is_holding=False)
    hand.was_told(0.0, is_done=False)  # told so again
    assert not hand.is_open(apart, is_holding=False)
    hand.was_told(1.0, is_done=False)
    assert hand.is_open(apart, is_holding=False)
    hand.was_told(0.5, is_done=True)
    hand.reset()
    assert hand.is_open(apart, is_holding=False)


def test_fingers_led_step_by_step_are_closed_when_they_stand_still():
    hand, apart = HandState(), np.full(2, 0.95)
    for travel in (0.040, 0.039, 0.038):
        hand.was_led(0.0, np.full(2, travel), np.full(2, 1e-4))
        assert hand.is_open(apart, is_holding=False)
    hand.was_led(0.0, np.full(2, 0.038), np.full(2, 1e-4))
    assert not hand.is_open(apart, is_holding=False)
    hand.was_led(0.97, np.full(2, 0.038), np.full(2, 1e-4))
    assert hand.is_open(apart, is_holding=False)


# ---- MuJoCo ---------------------------------------------------------------------------------


@pytest.mark.parametrize("is_held", [True, False])
def test_a_hand_closed_on_something_wide(is_held):
    engine = MujocoEngine(builtin_scene("reach_target"))
    Arm(engine).home()
    gripper = Gripper(engine)
    gripper.reset()
    bar = make_at_tip(engine, WIDE)
    while not gripper.actuate(0.0, 0.04):
        engine.step()
    assert gripper.get_open_amount().min() > 0.93
    assert not gripper.is_open()
    if is_held:
        assert gripper.grasp(bar)
        assert not gripper.is_open()
    gripper.release()
    gripper.actuate(1.0, 0.04)
    assert gripper.is_open()
    gripper.reset()
    assert gripper.is_open()


def test_what_an_open_hand_holds_closes_it():
    engine = MujocoEngine(builtin_scene("reach_target"))
    Arm(engine).home()
    gripper = Gripper(engine)
    gripper.reset()
    assert gripper.grasp(make_at_tip(engine, 0.03))
    assert not gripper.is_open()
    gripper.release()
    assert gripper.is_open()


def test_discrete_closes_on_something_wide_once_and_opens_again():
    task, _ = start(Discrete())
    engine = task.scene.engine
    obs, _, _ = task.step([*STILL, 0.0])
    assert obs.gripper_open == 0.0
    assert obs.gripper_joint_positions.min() > 0.036
    before = engine.data.time
    task.step([*STILL, 0.0])  # is closed already
    assert engine.data.time - before == pytest.approx(DEMO_DT)
    obs, _, _ = task.step([*STILL, 1.0])
    assert obs.gripper_open == 1.0
    assert engine.data.time - before > 5 * DEMO_DT  # it did open


@pytest.mark.parametrize("attach", [True, False])
def test_discrete_lets_go_of_something_wide(attach):
    task, bar = start(Discrete(attach_grasped_objects=attach))
    task.scene.task.register_graspable_objects([bar])
    gripper = task.scene.robot.gripper
    obs, _, _ = task.step([*STILL, 0.0])
    assert (obs.gripper_open, bool(gripper.get_grasped_objects())) == (0.0, attach)
    obs, _, _ = task.step([*STILL, 1.0])
    assert (obs.gripper_open, gripper.get_grasped_objects()) == (1.0, [])


@pytest.mark.parametrize("attach", [True, False])
def test_fingers_commanded_by_travel_close_on_something_wide(attach):
    task, bar = start(GripperJointPosition(attach_grasped_objects=attach))
    task.scene.task.register_graspable_objects([bar])
    for _ in range(5):
        obs, _, _ = task.step([*STILL, 0.0])
    assert obs.gripper_open == 0.0
    assert obs.gripper_joint_positions.min() > 0.036
    obs, _, _ = task.step([*STILL, 0.04])
    assert obs.gripper_open == 1.0


def test_a_demonstration_with_something_wide(tmp_path):
    write_task(tmp_path, "pick_and_lift", LIFT, "pick_and_lift")
    scene = tmp_path / "rlbench" / "task_ttms" / "pick_and_lift.xml"
    block = '<geom class="pick_and_lift_block" rgba="1 0 0 1"'
    text = scene.read_text()
    assert block in text
    scene.write_text(text.replace(block, f'{block} size="0.025 {WIDE / 2} 0.025"'))
    env = Environment(obs_config=BARE, rlbench_root=tmp_path, tasks_from="rlbench")
    env.launch()
    task = env.get_task("pick_and_lift")
    gripper, narrowest = task.scene.robot.gripper, []
    demo = task.get_demo(0, 0, 0, lambda _: narrowest.append(gripper.get_open_amount().min()))
    env.shutdown()
    assert min(narrowest) > 0.93
    assert states(demo) == [1, 0]
    assert demo[demo.waypoint_frames[0]].gripper_open == 1.0
    assert all(demo[frame].gripper_open == 0.0 for frame in demo.waypoint_frames[2:])


def test_ordinary_demonstrations_follow_the_fingers():
    env = Environment(obs_config=BARE)
    env.launch()
    task = env.get_task("pick_and_lift")
    gripper, opening = task.scene.robot.gripper, []
    demo = task.get_demo(0, 0, 0, lambda _: opening.append(gripper.get_open_amount()[0]))
    env.shutdown()
    assert [o.gripper_open for o in demo] == [float(amount > 0.9) for amount in opening]


# ---- CoppeliaSim ----------------------------------------------------------------------------


@pytest.fixture
def coppelia(monkeypatch, tmp_path):
    fake_pyrep.install(monkeypatch, tmp_path, AVAILABLE)
    simulator = CoppeliaSimulator()
    yield simulator.load("pick_and_lift")
    simulator.close()


def test_on_coppeliasim_a_hand_that_holds_is_closed(coppelia):
    engine, robot = coppelia
    gripper, block = robot.gripper, engine.shape("pick_and_lift_target")
    gripper.reset()
    assert gripper.is_open()
    block.set_position(robot.arm.get_tip().get_position())
    assert gripper.grasp(block)
    assert gripper.get_open_amount().min() > 0.99
    assert not gripper.is_open()
    gripper.release()
    assert gripper.is_open()


def test_on_coppeliasim_a_blocked_hand_is_closed(coppelia, monkeypatch):
    _, robot = coppelia
    gripper = robot.gripper
    gripper.reset()
    with monkeypatch.context() as patch:
        # What PyRep does where the fingers do not move.
        patch.setattr(PandaGripper, "actuate", lambda self, amount, velocity: True)
        assert gripper.actuate(0.0, 0.04)
        assert not gripper.is_open()
        assert gripper.actuate(1.0, 0.04)
        assert gripper.is_open()
    for _ in range(2):  # nothing steps: the fingers stay
        gripper.servo_to(np.zeros(2), 0.2)
    assert not gripper.is_open()
    gripper.servo_to(np.full(2, 0.04), 0.2)
    assert gripper.is_open()
