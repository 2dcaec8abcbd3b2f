"""Keypoints that look alike, by name."""

import dataclasses

from pose_obj_3d.formal import look_alike, read_formal
from tests.unit.pose_obj_3d.synthetic import write_scene


def test_fingers_and_distractors_of_one_name():
    names = [
        "waypoints/waypoint0",
        "waypoints/waypoint1",
        "objects/stack_blocks_distractor1",
        "objects/stack_blocks_distractor0",
        "objects/cup_distractor0",
        "objects/dollar_stack0",
        "objects/dollar_stack1",
        "robot/tip",
        "robot/left_finger",
        "robot/right_finger",
    ]
    assert look_alike(names) == [
        ["objects/stack_blocks_distractor1", "objects/stack_blocks_distractor0"],
        ["robot/left_finger", "robot/right_finger"],
    ]
    assert look_alike(["robot/left_finger", "objects/lid"]) == []


def test_what_the_archive_says_goes_first(tmp_path):
    data = read_formal(write_scene(tmp_path / "a.npz", examples=3, frames=4))
    assert data.exchangeable(0) == []
    names = {"T0": ["robot/left_finger", "robot/right_finger", "objects/a", "objects/b"]}
    fingers = dataclasses.replace(data, meta={**data.meta, "keypoint_names": names})
    assert fingers.exchangeable(0) == [["robot/left_finger", "robot/right_finger"]]
    other = {"T0": [["objects/a", "objects/b"]]}
    told = dataclasses.replace(fingers, meta={**fingers.meta, "exchangeable": other})
    assert told.exchangeable(0) == [["objects/a", "objects/b"]]
    none = dataclasses.replace(fingers, meta={**fingers.meta, "exchangeable": {}})
    assert none.exchangeable(0) == []
