"""Waypoints that are not seen follow from others that always lie alike to them."""

import numpy as np
import pytest

from data_generation.RLBench.executing.lifters import lift_poses, open_lifter
from data_generation.RLBench.executing.poses import LiftedPose
from data_generation.RLBench.executing.settings import Method
from data_generation.RLBench.executing.structure import completed, learned
from data_generation.RLBench.tracks.detector import DetectorNoise, assemble, detect
from pose_obj_3d.common.facts import FRAME_AXIS_M
from pose_obj_3d.formal import VISIBILITY, FormalData, complete_meta
from rlbench.acting import deviation
from rlbench.cameras import CAMERAS, extrinsics, intrinsics, project_views

VIEWS = ("left_shoulder", "right_shoulder", "overhead", "front")
SPECS = [CAMERAS[name] for name in VIEWS]
K = np.stack([intrinsics(spec.fov_deg, 256, 256) for spec in SPECS])
E = np.stack([extrinsics(spec.T_world_cam()) for spec in SPECS])
NAMES = [f"frames/waypoint{i}/{p}" for i in range(3) for p in ("origin", "x", "y")]
FIXED = np.array([[0.0, -1, 0, 0.05], [1, 0, 0, 0.1], [0, 0, 1, 0.02], [0, 0, 0, 1]])
"""waypoint1 in the frame of waypoint0; waypoint2 lies anywhere."""


def anywhere(rng):
    angle, T = rng.uniform(-np.pi, np.pi), np.eye(4)
    T[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    T[:3, 3] = rng.uniform([0.1, -0.2, 0.8], [0.4, 0.2, 1.0])
    return T


def example(n, rng):
    first = anywhere(rng)
    poses = [first, first @ FIXED, anywhere(rng)]
    axes = FRAME_AXIS_M * np.eye(3)[:2]
    points = [np.vstack([T[:3, 3], T[:3, 3] + axes @ T[:3, :3].T]) for T in poses]
    xyz = np.tile(np.concatenate(points), (9, 1, 1))
    uv, _ = project_views(xyz, K, E)
    visibility = np.ones(uv.shape[:3], np.float32)
    return assemble(uv, detect(uv, visibility, 256, 9, n, DetectorNoise()), xyz, visibility), poses


@pytest.fixture(scope="module")
def scenes():
    """20 training examples and a test example, and the true poses of all."""
    rng = np.random.default_rng(0)
    made = [example(n, rng) for n in range(21)]
    meta = {
        "image_size": [256, 256],
        "camera_names": list(VIEWS),
        "task_names": {"T9": "made_up"},
        "keypoint_names": {"T9": NAMES},
        "noise": {"sigma_px": 1.29},
        "split": {"T9": {"train": list(range(20)), "val": [], "test": [20]}},
    }
    tracks = {9: [track for track, _ in made]}
    data = FormalData("made.npz", tracks, complete_meta("made.npz", meta, {9: 21}), K, E)
    return data, [poses for _, poses in made]


def test_what_lies_alike_is_found(scenes):
    relations = learned(scenes[0], 9)
    assert [r.source for r in relations["waypoint1"]] == ["waypoint0"]
    assert [r.source for r in relations["waypoint0"]] == ["waypoint1"]
    assert relations["waypoint2"] == []
    mm, deg = deviation(relations["waypoint1"][0].T, FIXED)
    assert mm < 2.0
    assert deg < 1.5


def test_what_is_not_seen_follows_from_what_is(scenes):
    data, poses = scenes
    relations = learned(data, 9)
    hidden = data.tracks[9][20].copy()
    hidden[:, :, 3:6, VISIBILITY] = 0.0  # all of waypoint1
    seen = FormalData(data.path, {9: [*data.tracks[9][:20], hidden]}, data.meta, K, E)
    found = lift_poses(open_lifter(Method("mean", "mean")), seen, 9, 4, "keep")
    assert sorted(found) == ["waypoint0", "waypoint2"]
    whole = completed(found, relations)
    assert whole["waypoint1"].is_inferred
    mm, deg = deviation(whole["waypoint1"].T, poses[20][1])
    assert mm < 15.0
    assert deg < 6.0
    # An angle that is not known well makes what lies far away uncertain.
    assert whole["waypoint1"].sd_mm > found["waypoint0"].sd_mm


def test_nothing_follows_from_nothing():
    assert completed({}, {"waypoint0": []}) == {}
    alone = {"waypoint0": LiftedPose(np.eye(4), 1.0, 1.0)}
    assert completed(alone, {"waypoint1": []}) == alone
