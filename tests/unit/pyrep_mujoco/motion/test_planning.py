import mujoco
import numpy as np
import pytest

from pyrep_mujoco.motion.planning import (
    Kinematics,
    plan_rrt_connect,
    solve_ik,
    straight_line,
    time_parametrise,
)
from rlbench.backend.exceptions import SceneError

# Position, quaternion wxyz, joint range of a seven-joint arm of the Panda's shape.
_S = 0.7071067811865476
LINKS = (
    ("0 0 .333", "1 0 0 0", "-2.9 2.9"),
    ("0 0 0", f"{_S} -{_S} 0 0", "-1.76 1.76"),
    ("0 -.316 0", f"{_S} {_S} 0 0", "-2.9 2.9"),
    (".0825 0 0", f"{_S} {_S} 0 0", "-3.07 -.07"),
    ("-.0825 .384 0", f"{_S} -{_S} 0 0", "-2.9 2.9"),
    ("0 0 0", f"{_S} {_S} 0 0", "-.02 3.75"),
    (".088 0 0", f"{_S} {_S} 0 0", "-2.9 2.9"),
)
JOINTS = [f"joint{i}" for i in range(1, 8)]
HOME = np.array([0.0, 0.17, 0.0, -1.6, 0.0, 1.9, 0.785])
V_MAX = np.array([2.1, 2.1, 2.1, 2.1, 2.6, 2.6, 2.6])
A_MAX = np.array([7.5, 3.7, 5.0, 6.2, 7.5, 10.0, 10.0])


def arm_model() -> mujoco.MjModel:
    xml = "<body name='tip' pos='0 0 .2'/>"
    for name, (pos, quat, limits) in reversed(list(zip(JOINTS, LINKS, strict=True))):
        xml = (
            f"<body pos='{pos}' quat='{quat}'><joint name='{name}' range='{limits}'/>"
            f"<geom size='.04'/>{xml}</body>"
        )
    ball = "<body name='ball' pos='1 0 1'><freejoint/><geom size='.1'/></body>"
    return mujoco.MjModel.from_xml_string(
        f"<mujoco><compiler angle='radian'/><worldbody>{ball}"
        f"<body pos='-.27 0 .75'>{xml}</body></worldbody></mujoco>"
    )


MODEL = arm_model()


@pytest.fixture(scope="module")
def arm() -> Kinematics:
    return Kinematics(MODEL, JOINTS, "tip")


def set_pose_of_model(q):
    data = mujoco.MjData(MODEL)
    data.qpos[[MODEL.joint(name).qposadr[0] for name in JOINTS]] = q
    mujoco.mj_forward(MODEL, data)
    return data


def test_fk_and_jacobian_equal_the_whole_model(arm):
    rng = np.random.default_rng(0)
    for _ in range(10):
        q = rng.uniform(arm.lower, arm.upper)
        data = set_pose_of_model(q)
        pos, quat = arm.fk(q)
        np.testing.assert_allclose(pos, data.body("tip").xpos, atol=1e-12)
        np.testing.assert_allclose(quat, data.body("tip").xquat, atol=1e-12)
        J = np.zeros((6, MODEL.nv))
        mujoco.mj_jacBody(MODEL, data, J[:3], J[3:], MODEL.body("tip").id)
        np.testing.assert_allclose(arm.jacobian(q), J[:, 6:], atol=1e-12)


def test_pose_error_is_the_step_of_the_jacobian(arm):
    step = np.random.default_rng(1).normal(size=7) * 1e-6
    error = arm.pose_error(HOME, *arm.fk(HOME + step))
    np.testing.assert_allclose(error, arm.jacobian(HOME) @ step, atol=1e-10)


def test_wrong_names_are_listed():
    with pytest.raises(SceneError, match=r"'hand' is not in the model.*'tip'"):
        Kinematics(MODEL, JOINTS, "hand")
    with pytest.raises(SceneError, match=r"joints \['joint1'.*exactly the hinges \['joint2'"):
        Kinematics(MODEL, JOINTS[1:], "tip")


def test_ik_reaches_random_poses(arm):
    rng = np.random.default_rng(2)
    for i in range(60):
        pos, quat = arm.fk(rng.uniform(arm.lower, arm.upper))
        solutions = solve_ik(arm, pos, quat, HOME, np.random.default_rng(i), max_solutions=2)
        assert solutions
        for q in solutions:
            assert arm.is_within_limits(q)
            assert np.abs(arm.pose_error(q, pos, quat)).max() < 1e-5


def test_ik_sorts_by_distance_and_repeats(arm):
    pos, quat = arm.fk(HOME + 0.3)
    first = solve_ik(arm, pos, quat, HOME, np.random.default_rng(3))
    again = solve_ik(arm, pos, quat, HOME, np.random.default_rng(3))
    assert len(first) > 2
    np.testing.assert_array_equal(first, again)
    distances = [np.linalg.norm(q - HOME) for q in first]
    assert distances == sorted(distances)


def test_ik_keeps_only_free_solutions(arm):
    pos, quat = arm.fk(HOME)

    def is_free(q):
        return q[0] > 0.3

    solutions = solve_ik(arm, pos, quat, HOME, np.random.default_rng(4), is_free)
    assert solutions
    assert all(q[0] > 0.3 for q in solutions)


def test_ik_of_a_pose_out_of_reach_is_empty(arm):
    quat = arm.fk(HOME)[1]
    for pos in ([0.8, 0.8, 1.4], [5.0, 0.0, 1.0]):
        assert solve_ik(arm, pos, quat, HOME, np.random.default_rng(5)) == []


def test_straight_line_is_straight_and_small_stepped(arm):
    pos, quat = arm.fk(HOME)
    turn = np.array([np.cos(0.2), 0, 0, np.sin(0.2)])
    quat_end = np.empty(4)
    mujoco.mju_mulQuat(quat_end, quat, turn)
    end = pos + np.array([0.05, -0.1, -0.15])
    path = straight_line(arm, HOME, end, quat_end)
    assert path is not None
    np.testing.assert_array_equal(path[0], HOME)
    assert np.abs(arm.pose_error(path[-1], end, quat_end)).max() < 1e-5
    assert np.abs(np.diff(path, axis=0)).max() <= 0.02
    along = (end - pos) / np.linalg.norm(end - pos)
    for q in path:
        offset = arm.fk(q)[0] - pos
        share = (offset @ along) / np.linalg.norm(end - pos)
        assert np.linalg.norm(offset - along * (offset @ along)) < 1e-5
        rotvec = arm.pose_error(HOME, pos, arm.fk(q)[1])[3:]
        assert np.linalg.norm(rotvec) == pytest.approx(0.4 * share, abs=1e-4)


def test_straight_line_is_none_when_blocked_or_out_of_reach(arm):
    pos, quat = arm.fk(HOME)

    def is_free(q):
        return arm.fk(q)[0][2] > pos[2] - 0.05

    assert straight_line(arm, HOME, pos - [0, 0, 0.1], quat, is_free) is None
    assert straight_line(arm, HOME, pos - [0, 0, 0.04], quat, is_free) is not None
    assert straight_line(arm, HOME, pos + np.array([0.9, 0, 0]), quat) is None


def test_straight_line_to_here_stays(arm):
    path = straight_line(arm, HOME, *arm.fk(HOME))
    np.testing.assert_allclose(path, np.stack([HOME] * len(path)), atol=1e-5)


def wall(arm):
    """Tip may pass the plane y = 0 only above 1.25 m, and never under the table."""

    def is_free(q):
        _, y, z = arm.fk(q)[0]
        return (abs(y) > 0.06 or z > 1.25) and z > 0.76  # a NumPy bool, on purpose

    return is_free


def either_side(arm):
    is_free = wall(arm)
    rng = np.random.default_rng(6)
    quat = arm.fk(HOME)[1]
    start, goal = (
        solve_ik(arm, [0.3, y, 1.0], quat, HOME, rng, is_free, max_solutions=1)[0]
        for y in (-0.2, 0.2)
    )
    return is_free, start, goal


def test_rrt_connect_goes_over_the_wall_the_same_way_each_time(arm):
    is_free, start, goal = either_side(arm)
    blocked = HOME.copy()
    blocked[0] = 3.5  # beyond its limit: left out
    path = plan_rrt_connect(start, [blocked, goal], arm.lower, arm.upper, is_free, seed=1)
    assert path is not None
    np.testing.assert_array_equal(path[[0, -1]], [start, goal])
    assert np.abs(np.diff(path, axis=0)).max() <= 0.02 * (1 + 1e-9)
    assert all(is_free(q) for q in path)
    assert ((path >= arm.lower) & (path <= arm.upper)).all()
    np.random.default_rng().random()  # other generators play no part
    again = plan_rrt_connect(start, [blocked, goal], arm.lower, arm.upper, is_free, seed=1)
    np.testing.assert_array_equal(path, again)
    other = plan_rrt_connect(start, [goal], arm.lower, arm.upper, is_free, seed=2)
    assert other.shape != path.shape or not np.array_equal(other, path)


def test_rrt_connect_takes_the_straight_way_when_free(arm):
    goal = HOME + 0.2
    path = plan_rrt_connect(HOME, [goal], arm.lower, arm.upper, lambda q: True, seed=0)
    np.testing.assert_allclose(path, HOME + 0.2 * np.linspace(0, 1, len(path))[:, None])


def test_rrt_connect_ends_by_count_without_a_way(arm):
    _, start, goal = either_side(arm)
    calls = []

    def never_across(q):
        calls.append(1)
        return bool(arm.fk(q)[0][1] * arm.fk(start)[0][1] > 0 or np.array_equal(q, goal))

    limits = arm.lower, arm.upper
    assert plan_rrt_connect(start, [goal], *limits, never_across, 0, max_iterations=20) is None
    assert len(calls) < 20_000
    calls.clear()
    assert plan_rrt_connect(start, [], *limits, never_across, 0) is None
    assert plan_rrt_connect(goal, [start], *limits, lambda q: False, 0) is None
    assert len(calls) == 1


@pytest.mark.parametrize("kind", ["line", "corner", "one joint"])
def test_timing_keeps_limits_and_ends_at_rest(arm, kind):
    if kind == "line":
        pos, quat = arm.fk(HOME)
        path = straight_line(arm, HOME, pos - [0, 0.1, 0.2], quat)
    elif kind == "corner":
        rng = np.random.default_rng(7)
        path = np.stack([HOME, HOME + rng.normal(size=7), HOME + rng.normal(size=7)])
    else:
        path = HOME + np.linspace(0, 2, 30)[:, None] * np.eye(7)[0]
    dt = 0.002
    q, qd = time_parametrise(path, V_MAX, A_MAX, dt)
    np.testing.assert_array_equal(q[[0, -1]], path[[0, -1]])
    np.testing.assert_array_equal(qd[[0, -1]], 0)
    assert (np.abs(qd) <= V_MAX * (1 + 1e-9)).all()
    assert (np.abs(np.diff(qd, axis=0) / dt) <= A_MAX * (1 + 1e-6)).all()
    # The velocities are those of the positions.
    np.testing.assert_allclose((qd[1:] + qd[:-1]) / 2, np.diff(q, axis=0) / dt, atol=0.02)


def test_timing_keeps_limits_along_the_path():
    path = np.stack([HOME, HOME + np.array([0.5, -0.4, 0.3, 0.2, -0.5, 0.4, 0.6])])
    dt = 0.002
    _, qd = time_parametrise(path, V_MAX, A_MAX, dt, (1.0, 4.0))
    speed = np.linalg.norm(qd, axis=1)
    assert speed.max() == pytest.approx(1.0, rel=0.01)
    assert np.abs(np.diff(speed) / dt).max() <= 4.0 * (1 + 1e-6)


def test_timing_of_one_joint_is_the_trapezium():
    path = np.linspace(0, 2, 50)[:, None] * np.eye(7)[0]
    q, qd = time_parametrise(path, V_MAX, A_MAX, 0.001)
    best = 2 / V_MAX[0] + V_MAX[0] / A_MAX[0]
    assert best <= (len(q) - 1) * 0.001 < 1.03 * best
    assert qd.max() == pytest.approx(V_MAX[0], rel=0.01)


def test_timing_of_a_path_that_does_not_move():
    q, qd = time_parametrise(np.stack([HOME, HOME]), V_MAX, A_MAX, 0.05)
    np.testing.assert_array_equal(q, [HOME])
    np.testing.assert_array_equal(qd, np.zeros((1, 7)))
