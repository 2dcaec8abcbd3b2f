"""Whole poses of frames whose three points are lifted."""

import numpy as np
import pytest
import torch

from pose_obj_3d import lift_tracks, project
from pose_obj_3d.geometry.rigid_frames import turn_between
from tests.unit.pose_obj_3d.lifting.track_scenes import members

NAMES = ["frames/lid/y", "frames/lid/origin", "tip", "frames/lid/x"]


@pytest.fixture(scope="module")
def scene():
    """Give the arguments of a lift of a turning frame with axes of 60 and 90 mm, and its truth."""
    m = members(frames=40, sequences=1)
    rng = np.random.default_rng(0)
    angle = np.linspace(0, 1, 40)
    R = np.stack(
        [[[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]] for a in angle]
    )
    centre = np.nanmean(m["truth"], axis=(0, 1)) + np.array([0.1, 0, 0]) * angle[:, None]
    points = np.stack(
        [centre + 0.09 * R[..., 1], centre, centre + 0.1 * R[..., 2], centre + 0.06 * R[..., 0]], 1
    )
    uv = project(points, m["intrinsics"], m["extrinsics"])
    given = {"points": uv + rng.normal(0, 1, uv.shape), "keypoint_names": NAMES}
    cameras = {key: m[key] for key in ("intrinsics", "extrinsics")}
    return given | cameras, R, centre


def test_the_pose_of_a_frame_is_lifted_with_its_covariance(scene):
    given, R, centre = scene
    result = lift_tracks(**given)
    frames = result.frames
    assert frames is not None
    assert frames.names == ["lid"]
    turn = turn_between(torch.from_numpy(frames.rotation[:, 0]), torch.from_numpy(R)).numpy()
    assert np.degrees(np.linalg.norm(turn, axis=1)).mean() < 3
    assert np.linalg.norm(frames.position[:, 0] - centre, axis=1).mean() < 0.004
    claimed = np.sqrt(np.trace(frames.covariance[:, 0, :3, :3], axis1=1, axis2=2))
    assert 0.3 < np.linalg.norm(turn, axis=1).mean() / claimed.mean() < 2
    (note,) = (line for line in result.report.notes if "whole poses" in line)
    assert "lid" in note


def test_without_such_keypoints_there_are_no_frames(scene):
    given, *_ = scene
    names = ["frames/lid/y", "lid", "tip", "frames/lid/x"]
    assert lift_tracks(**{**given, "keypoint_names": names}).frames is None
