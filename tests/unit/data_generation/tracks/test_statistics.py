import json

import numpy as np
import pytest

from data_generation.RLBench.tracks import statistics as ts

NAMES = ("waypoints/waypoint0", "robot/tip")
CAMERAS = ("left", "right", "top")
STEP = 0.05  # [s] between frames


def make_tracks(T=5):
    """Keypoint 0 rests at x = 0.5; keypoint 1 goes 0.1 m along x in each of its first two steps."""
    tracks = np.zeros((3, T, 2, 8), np.float32)
    tracks[:, :, 0, 4] = 0.5
    tracks[:, :, 1, 4] = np.minimum(np.arange(T), 2) * 0.1
    tracks[..., 7] = 1
    return tracks


def test_moving_frames_have_a_step_in_or_out():
    assert ts.speeds(make_tracks(), STEP)[:, 1] == pytest.approx([2, 2, 2, 0, 0])
    described = ts.statistics([make_tracks()], NAMES, CAMERAS, STEP)
    assert described["keypoints"]["robot/tip"]["share_moving"] == 0.6
    assert described["keypoints"]["waypoints/waypoint0"]["share_moving"] == 0
    assert described["share_moving"] == 0.3


def test_moving_threshold_is_a_speed():
    tracks = make_tracks(2)
    tracks[:, 1, 0, 4] += 0.0002
    assert ts.measure(tracks, 0.05)["moving"].tolist() == [0, 2]
    assert ts.measure(tracks, 0.01)["moving"].tolist() == [2, 2]


def test_motion_range():
    tracks = make_tracks()
    tracks[:, 4, 1, 5:7] = (-0.3, 0.4)
    tip = ts.statistics([make_tracks(), tracks, make_tracks()], NAMES, CAMERAS, STEP)["keypoints"][
        "robot/tip"
    ]
    assert tip["median_extent_m"] == pytest.approx(0.2)
    assert tip["max_extent_m"] == pytest.approx(np.sqrt(0.2**2 + 0.5**2))
    assert tip["largest_step_m"] == pytest.approx(0.5)
    assert tip["min_m"] == pytest.approx([0, -0.3, 0])
    assert tip["max_m"] == pytest.approx([0.2, 0, 0.4])


def test_visibility_shares():
    tracks = make_tracks(4)
    tracks[0, :, 1, 7] = (1, 0.5, 0, 0)
    tracks[1, :, 1, 7] = (1, 1, 1, 0)
    tracks[2, :, 1, 7] = (0, 0, 1, 0)
    described = ts.statistics([tracks], NAMES, CAMERAS, STEP)
    tip = described["keypoints"]["robot/tip"]
    assert tip["views"]["left"] == {"seen": 0.25, "hidden": 0.25, "outside": 0.5}
    assert tip["visibility"] == {"seen": 5 / 12, "hidden": 1 / 12, "outside": 0.5}
    assert tip["share_inside_two_views"] == 0.75
    assert tip["share_seen_in_two_views"] == 0.5
    assert described["views"]["top"] == {"seen": 5 / 8, "hidden": 0, "outside": 3 / 8}
    assert described["groups"]["robot"]["share_seen_in_two_views"] == 0.5
    assert described["share_seen_in_two_views"] == 0.75


def test_detection_error_counts_points_in_the_image():
    tracks = make_tracks(2)
    assert ts.statistics([tracks], NAMES, CAMERAS, STEP)["detection_rms_px"] == 0
    tracks[..., 2] = 3
    tracks[..., 3] = -4
    tracks[0, ..., 7] = 0
    tracks[0, ..., 2] = 1000
    assert ts.measure(tracks, STEP)["error_count"].tolist() == [0, 8, 8]
    assert ts.statistics([tracks], NAMES, CAMERAS, STEP)["detection_rms_px"] == pytest.approx(
        np.sqrt(12.5)
    )
    tracks[..., 7] = 0
    assert ts.statistics([tracks], NAMES, CAMERAS, STEP)["detection_rms_px"] is None


def test_missed_detections():
    tracks = make_tracks(4)
    tracks[0, 1, :, 2:4] = np.nan
    tracks[1, 2:, 0, 2:4] = np.nan
    tracks[1, 3, 0, 7] = 0
    tracks[2, :, :, 2] = 2
    assert ts.measure(tracks, STEP)["missed"].tolist() == [2, 1, 0]
    described = ts.statistics([tracks], NAMES, CAMERAS, STEP)
    assert described["share_missed"] == pytest.approx(3 / 23)
    assert described["detection_rms_px"] == pytest.approx(np.sqrt(8 * 4 / 40))


def test_examples_are_told_together_and_no_step_joins_them():
    far = make_tracks(3)
    far[..., 4] += 5
    described = ts.statistics(iter([make_tracks(5), far, make_tracks(10)]), NAMES, CAMERAS, STEP)
    assert described["examples"] == 3
    assert described["frames"] == {"total": 18, "min": 3, "median": 5.0, "max": 10}
    assert described["keypoints"]["robot/tip"]["largest_step_m"] == pytest.approx(0.1)
    assert described["keypoints"]["robot/tip"]["share_moving"] == 9 / 18
    assert described["groups"]["waypoints"]["keypoints"] == 1


def test_merge_does_not_depend_on_the_grouping():
    a, b, c = (ts.measure(make_tracks(n), STEP) for n in (2, 3, 7))
    left, right = ts.merge([ts.merge([a, b]), c]), ts.merge([a, ts.merge([b, c])])
    assert all(np.array_equal(left[key], right[key]) for key in left)


def test_single_frame():
    described = ts.statistics([make_tracks(1)], NAMES, CAMERAS, STEP)
    assert described["share_moving"] == 0
    assert described["keypoints"]["robot/tip"]["median_extent_m"] == 0


def test_values_that_are_not_finite_are_left_out():
    tracks = make_tracks()
    tracks[:, 1, 1, 4] = np.nan
    tracks[:, :, 0, 6] = np.inf
    tracks[1, 0, 1, 2] = np.nan
    measured = ts.measure(tracks, STEP)
    assert measured["finite"].tolist() == [0, 4]
    assert measured["error_count"].sum() == 2 * (3 * 5 * 2 - 1)
    described = ts.describe(measured, NAMES, CAMERAS)
    assert described["keypoints"]["waypoints/waypoint0"]["median_extent_m"] is None
    assert described["keypoints"]["robot/tip"]["max_extent_m"] == pytest.approx(0.2)
    json.dumps(described, allow_nan=False)


@pytest.mark.parametrize("shape", [(5, 2, 8), (3, 5, 2, 7), (3, 0, 2, 8)])
def test_wrong_shape(shape):
    with pytest.raises(ValueError, match="must have shape"):
        ts.measure(np.zeros(shape, np.float32), STEP)


def test_wrong_type():
    with pytest.raises(ValueError, match="must be numbers"):
        ts.measure(np.zeros((3, 5, 2, 8), bool), STEP)


def test_names_must_match():
    with pytest.raises(
        ValueError, match="3 cameras and 1 keypoints named, the tracks have 3 and 2"
    ):
        ts.statistics([make_tracks()], NAMES[:1], CAMERAS, STEP)
