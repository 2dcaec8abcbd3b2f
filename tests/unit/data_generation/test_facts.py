"""Facts that both stages write down, as neither may import the other, agree."""

from data_generation.RLBench.config import DEFAULT_TRACK_CAMS
from data_generation.RLBench.raw.folder import DEFAULTS
from pose_obj_3d.common import facts
from pose_obj_3d.formal import FRAME_PERIOD_S
from rlbench import const, observation_config
from rlbench.recording import keypoints
from rlbench.tools import task_validator


def test_moving_is_the_same_speed_everywhere():
    assert task_validator.MOVING_SPEED == facts.MOVING_M_PER_S == 0.005


def test_the_default_of_the_archive_is_the_step_of_demonstrations():
    assert FRAME_PERIOD_S == const.DEMO_DT == 0.05


def test_groups_and_cameras_are_those_that_are_recorded():
    assert facts.KEYPOINT_GROUPS == observation_config.KEYPOINT_GROUPS
    assert DEFAULT_TRACK_CAMS == observation_config.TRACK_CAMERAS


def test_frames_have_axes_of_one_length():
    assert keypoints.FRAME_AXIS_M == facts.FRAME_AXIS_M
    assert tuple(keypoints.FRAME_POINTS) == facts.FRAME_POINTS


def test_what_a_data_set_is_made_with_by_default_exists():
    assert DEFAULTS["robot_setup"] == const.ROBOTS[0]
