"""Task 79: the right stack of money leaves the safe, by honest means."""

import numpy as np
import pytest
from PIL import Image

from pyrep_mujoco.transforms import matrix_to_euler
from rlbench.backend.exceptions import TaskEnvironmentError
from rlbench.tools.art import make_take_money_out_safe_meshes as note

NAME = "take_money_out_safe"
STACKS = [f"dollar_stack{i}" for i in range(3)]


def restart(task, shelf, seed):
    """Run the task's own part of an episode's start at the saved place; return (engine, task)."""
    scene = task.scene
    scene.reset()
    scene.task.rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
    scene.task.init_episode(shelf)
    return scene.engine, scene.task


def test_the_texture_is_written_the_same_again(tmp_path):
    note.write(tmp_path)
    assert np.array_equal(Image.open(tmp_path / note.NOTE), Image.open(note.MESHES / note.NOTE))


@pytest.mark.parametrize("shelf", range(3))
def test_only_the_chosen_stack_and_the_put_down_place_are_drawn(task, shelf):
    engine = task.scene.engine
    task.scene.reset()
    names = [*STACKS, "waypoint3"]
    saved = {name: engine.object(name).get_matrix() for name in names}
    moves, turns, puts, put_turns = [], [], [], []
    for seed in range(40):
        restart(task, shelf, seed)
        now = {name: engine.object(name).get_matrix() for name in names}
        for i, name in enumerate(STACKS):
            if i != shelf:
                np.testing.assert_array_equal(now[name], saved[name])
        change = {n: matrix_to_euler(now[n][:3, :3] @ saved[n][:3, :3].T) for n in names}
        moves.append((now[STACKS[shelf]] - saved[STACKS[shelf]])[:3, 3])
        turns.append(change[STACKS[shelf]][2])
        puts.append((now["waypoint3"] - saved["waypoint3"])[:3, 3])
        put_turns.append(change["waypoint3"][2])
        grasp = engine.dummy("waypoint1").get_matrix()
        np.testing.assert_allclose(
            grasp, engine.dummy(f"dummy_shelf{shelf}").get_matrix(), atol=1e-9
        )
        before = engine.dummy("waypoint0").get_position(engine.dummy("waypoint1"))
        np.testing.assert_allclose(before, (0.08622, 0.003, -0.09182), atol=1e-5)
    moves, puts = np.array(moves), np.array(puts)
    assert np.abs(moves[:, 2]).max() < 1e-5
    assert (np.ptp(moves[:, :2], axis=0) > 0.015).all()
    assert (np.ptp(moves[:, :2], axis=0) < 0.07).all()
    assert -np.radians(18) - 1e-6 <= min(turns) < -0.2
    assert max(turns) <= 1e-5
    assert np.abs(puts[:, 2]).max() < 1e-4
    assert (np.ptp(puts[:, :2], axis=0) > 0.1).all()
    assert np.abs(put_turns).max() <= np.radians(15) + 1e-6


def test_each_shelf_has_its_own_words(task):
    words = []
    for shelf, name in enumerate(("bottom", "middle", "top")):
        task.set_variation(shelf)
        descriptions, _ = task.reset()
        assert all(name in text for text in descriptions)
        words += descriptions
    assert len(set(words)) == len(words)
    with pytest.raises(TaskEnvironmentError, match=r"allowed 0\.\.2"):
        task.set_variation(3)


def put_on_table(engine, task, name):
    goal = task.goal.get_position()
    engine.shape(name).set_position([goal[0], goal[1], 0.752 + 0.0165])


def test_success_needs_the_right_stack_on_the_table_and_an_empty_hand(task, monkeypatch):
    engine, logic = restart(task, 1, 0)
    assert not logic.success()[0]
    put_on_table(engine, logic, STACKS[0])
    assert not logic.success()[0]
    engine, logic = restart(task, 1, 0)
    put_on_table(engine, logic, STACKS[1])
    assert logic.success()[0]
    stack = engine.shape(STACKS[1])
    stack.set_position(stack.get_position() + np.array([0, 0, 0.05]))
    assert not logic.success()[0]
    put_on_table(engine, logic, STACKS[1])
    gripper = logic.robot.gripper
    with monkeypatch.context() as patch:
        patch.setattr(gripper.sensor, "is_detected", lambda shape: True)
        assert gripper.grasp(engine.shape(STACKS[2]))
    assert not logic.success()[0]
    gripper.release()
    assert logic.success()[0]


def test_everything_stays_at_rest(task):
    for shelf in range(3):
        task.set_variation(shelf)
        task.reset()
        engine = task.scene.engine
        names = [*STACKS, "safe_door"]
        before = [engine.shape(name).box_corners() for name in names]
        fastest = 0.0
        for _ in range(40):
            engine.step()
            now = [engine.shape(name).box_corners() for name in names]
            fastest = max(fastest, np.abs(np.array(now) - before).max())
        assert fastest < 1e-4


@pytest.mark.slow
def test_other_stacks_and_the_door_stay_and_the_held_one_does_not_slip(task):
    engine = task.scene.engine
    for seed in range(6):
        shelf = seed % 3
        task.set_variation(shelf)
        demo = task.get_demo(seed, 0)
        xyz = np.array([obs.keypoints for obs in demo])
        for name in (*STACKS, "safe_door"):
            track = xyz[:, demo.keypoint_names.index(f"objects/{name}")]
            moved = np.linalg.norm(track - track[0], axis=1).max()
            if name == STACKS[shelf]:
                assert moved > 0.15
                held = slice(demo.waypoint_frames[2] - 5, demo.waypoint_frames[3])
                local = [
                    (obs.gripper_matrix[:3, :3].T @ (point - obs.gripper_matrix[:3, 3]))
                    for obs, point in zip(demo[held], track[held], strict=True)
                ]
                assert np.linalg.norm(np.ptp(local, axis=0)) < 5e-4
                # Let go of less than 1.5 cm above the table, it does not tumble.
                drop = track[demo.waypoint_frames[3]] - track[-1]
                assert 0 <= drop[2] < 0.015
                assert np.linalg.norm(drop[:2]) < 0.02
                up = engine.shape(name).get_matrix()[2, 2]
                assert up > np.cos(np.radians(20))
            else:
                assert moved < 1e-3, (seed, name)
