"""Ways of an arm, played step by step: set points, settling at the end, coming to rest."""

import numpy as np
import pytest

from pyrep_mujoco.robots.arm_motion import TimedPath
from pyrep_mujoco.robots.robot_model import YIELDING

SUBSTEPS = 5


class Line:
    """Kinematics of a slide: the tip is where the joint is."""

    def fk(self, q):
        return np.array([q[0], 0.0, 0.0]), np.array([1.0, 0.0, 0.0, 0.0])


class Slide:
    """An arm of one joint that reaches its set points but for a lag."""

    kinematics = Line()
    substeps = SUBSTEPS
    physics_seconds = 0.01

    def __init__(self, lag=0.0):
        self.lag, self.q, self.qd, self.commands = lag, np.zeros(1), np.zeros(1), []

    def get_joint_positions(self):
        return self.q

    def get_joint_velocities(self):
        return self.qd

    def command(self, q, qd, qdd=None):
        self.commands.append((q.copy(), qd.copy(), qdd))
        self.q = q[-1] - self.lag

    def timed(self, path, grip=None):
        return TimedPath(self, Grips(), path, np.zeros_like(path), grip)


class Grips:
    """Remembers grips."""

    def __init__(self):
        self.seen = []

    def change_grip(self, grip):
        self.seen.append(grip)


def way(arm, n=12, grip=None, grips=None):
    q = np.linspace(0.0, 0.11, n)[:, None]
    return TimedPath(arm, grips or Grips(), q, np.full_like(q, 1.0), grip)


def test_each_step_commands_its_part_of_the_way():
    arm = Slide()
    path = way(arm)
    assert [path.step() for _ in range(4)] == [False, False, False, True]
    assert [len(q) for q, _, _ in arm.commands] == [5, 5, 2]
    assert path.tip_at_end() == pytest.approx([0.11, 0, 0])


def test_an_arm_that_does_not_arrive_is_waited_for_but_not_for_ever():
    arm = Slide(lag=0.05)
    path = way(arm, 5)
    assert not path.step()
    results = [path.step() for _ in range(TimedPath.SETTLE_STEPS + 1)]
    assert results == [False] * TimedPath.SETTLE_STEPS + [True]


def test_a_grip_holds_from_the_first_step_on():
    grips = Grips()
    path = way(Slide(), 12, YIELDING, grips)
    assert grips.seen == []
    path.step()
    path.step()
    assert grips.seen == [YIELDING]


def test_settling_moves_set_points_beyond_the_goal_at_most_a_little():
    arm = Slide(lag=5e-4)
    path = way(arm, 5)
    path.step()
    for _ in range(20):
        if path.settle():
            break
    assert abs(arm.q[0] - 0.11) < TimedPath.ARRIVED
    assert arm.commands[-1][0][-1, 0] - 0.11 <= TimedPath.MAX_LIFT


def test_settling_gives_up_on_what_is_stopped():
    arm = Slide(lag=0.5)
    path = way(arm, 5)
    path.step()
    assert any(path.settle() for _ in range(20))
    assert abs(arm.q[0] - 0.11) > 0.4


def test_a_shortened_way_ends_before_the_distance():
    path = way(Slide())
    assert path.shortened(0.0).tip_at_end() == pytest.approx([0.11, 0, 0])
    assert path.shortened(0.055).tip_at_end()[0] == pytest.approx(0.06, abs=0.011)
