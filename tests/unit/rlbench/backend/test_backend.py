"""Waypoint commands, conditions, placement: the engine-neutral parts."""

import numpy as np
import pytest

from rlbench.backend.conditions import (
    ConditionSet,
    DetectedCondition,
    DetectedSeveralCondition,
    EmptyCondition,
    GraspedCondition,
    JointCondition,
    NothingGrasped,
    OrConditions,
)
from rlbench.backend.exceptions import BoundaryError, WaypointError
from rlbench.backend.spawn_boundary import SpawnBoundary
from rlbench.backend.waypoints import GripperCommand, parse_gripper_command


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("ignore_collisions", None),
        ("close_gripper()", GripperCommand(False, None)),
        ("open_gripper(); ignore_collisions", GripperCommand(True, None)),
        ("close_gripper(), ignore_collisions", GripperCommand(False, None)),
        ("open_gripper(0.25);)ignore_collisions", GripperCommand(True, 0.25)),
        ("linear;close_gripper(0.5)", GripperCommand(False, 0.5)),
    ],
)
def test_gripper_commands_of_real_strings(text, expected):
    assert parse_gripper_command(text, "waypoint0") == expected


@pytest.mark.parametrize("text", ["open_gripper(wide)", "close_gripper(1.5)", "open_gripper(-1)"])
def test_gripper_amount_out_of_range_names_the_waypoint(text):
    with pytest.raises(WaypointError, match=r"waypoint7.*\[0, 1\]"):
        parse_gripper_command(text, "waypoint7")


class Fake:
    """A joint, sensor, gripper and shape in one, set by attributes."""

    value = 0.0
    seen = ()
    held = ()

    def get_joint_position(self):
        return self.value

    def is_detected(self, obj):
        return obj in self.seen

    def get_grasped_objects(self):
        return self.held

    def get_handle(self):
        return id(self)


def test_joint_condition_counts_from_where_the_scene_has_the_joint():
    joint = Fake()
    joint.value = 2.0
    condition = JointCondition(joint, 0.5)
    joint.value = 1.6
    condition.reset()
    assert not condition.condition_met()[0]
    joint.value = 1.4
    assert condition.condition_met()[0]


def test_detection_and_grasp_conditions():
    thing, sensor, gripper = Fake(), Fake(), Fake()
    assert not DetectedCondition(thing, sensor).condition_met()[0]
    assert DetectedCondition(thing, sensor, negated=True).condition_met()[0]
    assert NothingGrasped(gripper).condition_met()[0]
    sensor.seen, gripper.held = (thing,), (thing,)
    assert DetectedCondition(thing, sensor).condition_met()[0]
    assert GraspedCondition(gripper, thing).condition_met()[0]
    assert not NothingGrasped(gripper).condition_met()[0]
    assert DetectedSeveralCondition([thing, gripper], sensor, 1).condition_met()[0]
    assert not DetectedSeveralCondition([thing, gripper], sensor, 2).condition_met()[0]


def test_condition_sets_remember_and_keep_order():
    first, second = [1], [1]
    both = [EmptyCondition(first), EmptyCondition(second)]
    remembering = ConditionSet(both, simultaneously_met=False)
    ordered = ConditionSet(both, order_matters=True, simultaneously_met=False)
    second.clear()
    assert OrConditions(both).condition_met()[0]
    assert not remembering.condition_met()[0]
    assert not ordered.condition_met()[0]
    second.append(1)
    first.clear()
    assert remembering.condition_met()[0]
    assert not ordered.condition_met()[0]
    second.clear()
    assert ordered.condition_met()[0]
    first.append(1)
    assert ordered.condition_met()[0]
    assert ordered.remembers
    assert OrConditions([ordered]).remembers
    assert not ConditionSet(both).remembers
    first.clear()
    remembering.reset()
    first.append(1)
    assert not remembering.condition_met()[0]


def test_placed_objects_stay_inside_apart_and_upright(engine):
    area = engine.shape("pick_and_lift_boundary")
    blocks = [
        engine.shape(name)
        for name in ("pick_and_lift_target", "stack_blocks_distractor0", "stack_blocks_distractor1")
    ]
    heights = [block.get_position()[2] for block in blocks]
    low, high = area.get_bounding_box()[::2], area.get_bounding_box()[1::2]
    boundary = SpawnBoundary([area], np.random.default_rng(0))
    for _ in range(20):
        boundary.clear()
        for block in blocks:
            boundary.sample(block, min_distance=0.1)
        for block, height in zip(blocks, heights, strict=True):
            corners = (block.box_corners() - area.get_position())[:, :2]
            assert (corners >= low[:2] - 1e-9).all()
            assert (corners <= high[:2] + 1e-9).all()
            assert block.get_position()[2] == pytest.approx(height)
            assert abs(block.get_matrix()[2, 2]) == pytest.approx(1)
        here = np.array([block.get_position() for block in blocks])
        gaps = np.linalg.norm(here[:, None] - here, axis=-1)[np.triu_indices(3, 1)]
        assert gaps.min() >= 0.1


def test_full_boundary_is_an_error_and_moves_nothing(engine):
    area, block = engine.shape("pick_and_lift_boundary"), engine.shape("pick_and_lift_target")
    boundary = SpawnBoundary([area], np.random.default_rng(0))
    boundary.sample(engine.shape("stack_blocks_distractor0"))
    before = block.get_pose()
    with pytest.raises(BoundaryError, match="pick_and_lift_target in pick_and_lift_boundary"):
        boundary.sample(block, min_distance=5.0)
    assert np.allclose(block.get_pose(), before, atol=1e-12)


def test_no_rotation_keeps_the_orientation(engine):
    goal = engine.sensor("pick_and_lift_success")
    before = goal.get_quaternion()
    boundary = SpawnBoundary([engine.shape("pick_and_lift_boundary")], np.random.default_rng(0))
    boundary.sample(goal, min_rotation=(0, 0, 0), max_rotation=(0, 0, 0))
    assert abs(np.dot(goal.get_quaternion(), before)) == pytest.approx(1)
