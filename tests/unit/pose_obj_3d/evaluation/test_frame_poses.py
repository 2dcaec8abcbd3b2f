"""Errors of whole waypoint frames, in degrees and millimetres."""

import dataclasses

import pytest
import torch

from pose_obj_3d.common.facts import FRAME_AXIS_M
from pose_obj_3d.evaluation import frame_poses, report
from pose_obj_3d.evaluation import protocol as evaluation
from pose_obj_3d.evaluation.protocol import Protocol
from pose_obj_3d.formal import read_formal
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig
from tests.unit.pose_obj_3d.synthetic import write_scene

IDS = [f"T0/frames/waypoint0/{point}" for point in ("y", "origin", "x")] + ["T0/robot/tip"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Give rig and tracks whose first three keypoints are a frame that never turns."""
    data = read_formal(write_scene(tmp_path_factory.mktemp("frames") / "a.npz", examples=3))
    rig = make_rig(data)
    ids = keypoint_ids(data, [0], ("waypoints", "objects", "robot"))
    tracks = load_tracks(data, rig, [0], "train", ids)
    assert tracks.truth is not None
    truth = tracks.truth.clone()
    truth[:, 0] = truth[:, 1] + torch.tensor([0, FRAME_AXIS_M, 0])
    truth[:, 2] = truth[:, 1] + torch.tensor([FRAME_AXIS_M, 0, 0])
    return rig, dataclasses.replace(tracks, truth=truth)


def turned(truth, degrees, shift_m):
    """Turn the frame about its z axis and shift it."""
    angle = torch.deg2rad(torch.tensor(degrees))
    x = torch.stack([angle.cos(), angle.sin(), torch.tensor(0.0)])
    y = torch.stack([-angle.sin(), angle.cos(), torch.tensor(0.0)])
    found = truth.clone()
    found[:, 1] += torch.tensor([0, 0, shift_m])
    found[:, 0], found[:, 2] = (found[:, 1] + FRAME_AXIS_M * axis for axis in (y, x))
    return found


def test_angle_and_position_of_a_turned_frame(scene):
    rig, tracks = scene
    found = turned(tracks.truth, 10.0, 0.005)
    claims = (0.01**2 * torch.eye(3)).expand(*found.shape, 3)
    result = evaluation.evaluate(
        {"points": found, "claimed": Estimate(found, claims)}, tracks, rig, Protocol(7), IDS
    )
    frames = result["frames"]
    assert 0 < frames["count"] <= len(tracks)
    for method in ("points", "claimed"):
        scores = frames["methods"][method]
        assert scores["angle_deg"] == pytest.approx(10, abs=1e-3)
        assert scores["median_position_mm"] == pytest.approx(5, abs=1e-3)
        waypoint = frames["waypoints"]["T0/frames/waypoint0"]
        assert waypoint[method] == pytest.approx(10, abs=1e-3)
    assert "coverage_68_percent" not in frames["methods"]["points"]
    # Points with 10 mm leave the turn about z with 10 / 80 rad = 7 degrees / sqrt(2).
    assert frames["methods"]["claimed"]["coverage_95_percent"] == 100
    assert "waypoint frames" in report.frames_text(result)
    assert "| waypoint frames | angle, mean [deg] |" in report.markdown({"Test": result})


def test_without_whole_frames_nothing_is_said(scene):
    rig, tracks = scene
    names = ["T0/waypoints/waypoint0", *IDS[1:]]
    assert frame_poses.frames_of(names) == []
    result = evaluation.evaluate({"a": tracks.truth}, tracks, rig, Protocol(7), names)
    assert "frames" not in result
    assert report.frames_text(result) == ""
