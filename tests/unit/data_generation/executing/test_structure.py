"""Waypoints that are not seen follow from others that always lie alike to them."""

from dataclasses import replace

import numpy as np
import pytest

from data_generation.RLBench.errors import ConfigError
from data_generation.RLBench.executing.lifters import lift_poses, open_lifter
from data_generation.RLBench.executing.settings import Method
from data_generation.RLBench.executing.structure import Structure, learned
from data_generation.RLBench.tracks.detector import DetectorNoise, assemble, detect
from pose_obj_3d.common.facts import FRAME_AXIS_M
from pose_obj_3d.formal import VISIBILITY, FormalData, complete_meta, write_formal
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
        "split": {"T9": {"train": list(range(19)), "val": [19], "test": [20]}},
    }
    tracks = {9: [track for track, _ in made]}
    data = FormalData("made.npz", tracks, complete_meta("made.npz", meta, {9: 21}), K, E)
    return data, [poses for _, poses in made]


def alone(data, n):
    """Give the archive with one of its examples as the only test example."""
    meta = {**data.meta, "split": {"T9": {"train": [], "val": [], "test": [n]}}}
    return replace(data, meta=meta)


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
    lifter = open_lifter(Method("mean", "mean"))
    assert sorted(lift_poses(lifter, seen, 9, 4, "keep")) == ["waypoint0", "waypoint2"]
    whole = lift_poses(lifter, seen, 9, 4, "keep", relations=relations)
    assert [name for name, pose in whole.items() if pose.is_inferred] == ["waypoint1"]
    mm, deg = deviation(whole["waypoint1"].T, poses[20][1])
    assert mm < 15.0
    assert deg < 6.0
    # An angle that is not known well makes what lies far away uncertain.
    assert whole["waypoint1"].sd_mm > whole["waypoint0"].sd_mm


def test_what_lies_alike_makes_what_is_seen_surer(scenes):
    data, poses = scenes
    lifter = open_lifter(Method("dlt", "dlt"))
    errors, claims = [], []
    for relations in ({}, learned(data, 9)):
        found = [
            lift_poses(lifter, alone(data, n), 9, 4, "keep", relations=relations)
            for n in range(len(poses))
        ]
        errors.append(
            np.median(
                [
                    deviation(f[w].T, p[i])[0]
                    for f, p in zip(found, poses, strict=True)
                    for i, w in enumerate(("waypoint0", "waypoint1"))
                ]
            )
        )
        claims.append(np.median([f["waypoint0"].sd_mm for f in found]))
    assert errors[1] < errors[0]
    assert claims[1] < claims[0]


def test_others_that_have_moved_do_not_count(scenes):
    """Where the relation does not explain what is seen, a waypoint that is seen stands alone."""
    data, _ = scenes
    lifter = open_lifter(Method("mean", "mean"))
    relation = learned(data, 9)["waypoint1"][0]
    T = relation.T.copy()
    T[:3, 3] += 0.1
    wrong = {"waypoint1": [replace(relation, T=T)]}
    left = lift_poses(lifter, alone(data, 20), 9, 4, "keep")
    found = lift_poses(lifter, alone(data, 20), 9, 4, "keep", relations=wrong)
    np.testing.assert_array_equal(found["waypoint1"].T, left["waypoint1"].T)


def test_an_archive_without_frames_is_refused(scenes, tmp_path):
    data, _ = scenes
    meta = {**data.meta, "keypoint_names": {"T9": [f"waypoints/w{n}" for n in range(9)]}}
    path = tmp_path / "other_formal.npz"
    write_formal(path, data.tracks, meta, K, E)
    with pytest.raises(ConfigError, match="no keypoints of the group frames") as caught:
        Structure(path)
    assert len(str(caught.value)) < 500
