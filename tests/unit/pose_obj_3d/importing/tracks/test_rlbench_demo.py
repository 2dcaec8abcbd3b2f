"""Demonstrations as RLBench stores them become tracks of gripper, joints and masked objects."""

import pickle
import shutil

import cv2
import numpy as np
import pytest

from data_generation.RLBench.exporting.stored_objects import StoredObject, pickled
from pose_obj_3d.common.errors import DataError
from pose_obj_3d.import_tracks import main
from pose_obj_3d.importing.tracks.readers import rlbench_demo
from pose_obj_3d.importing.tracks.views import Wanted

FRAMES, SIZE = 5, 128
TURN = np.diag([-1.0, -1.0, 1.0])
K = np.array([[175.0, 0, 64], [0, 175.0, 64], [0, 0, 1]])


def pose(at):
    """Return a camera's pose in the world (4, 4), looking at the origin, x left and y up."""
    z = -np.array(at) / np.linalg.norm(at)
    x = np.cross(z, [0, 0, 1.0]) / np.linalg.norm(np.cross(z, [0, 0, 1.0]))
    found = np.eye(4)
    found[:3, :3] = np.stack([x, np.cross(z, x), z], 1) @ TURN
    found[:3, 3] = at
    return found


CAMERAS = {"left_shoulder": pose([1.2, 0.8, 0.6]), "front": pose([1.5, -0.7, 0.5])}


def demo(moments):
    stored = [StoredObject("rlbench.backend.observation", "Observation", m) for m in moments]
    return pickled(StoredObject("rlbench.demo", "Demo", {"_observations": stored}))


def moments(**changed):
    found = []
    for t in range(FRAMES):
        misc = {"variation_index": 0, "joint_poses": np.full((7, 7), 0.01 * t)}
        for name, at in {**CAMERAS, "wrist": pose([0.5 + 0.1 * t, 0.1, 0.5])}.items():
            misc[f"{name}_camera_extrinsics"] = at
            misc[f"{name}_camera_intrinsics"] = K @ TURN
        found.append(
            {
                "gripper_pose": np.array([0.02 * t, 0, 0.05, 0, 0, 0, 1.0]),
                "front_rgb": None,
                "misc": misc,
                **changed,
            }
        )
    return found


@pytest.fixture
def episode(tmp_path):
    """An episode with masks of one object that moves, 300 = 44 + 256."""
    folder = tmp_path / "episode0"
    folder.mkdir()
    (folder / "low_dim_obs.pkl").write_bytes(demo(moments()))
    for name in CAMERAS:
        (folder / f"{name}_mask").mkdir()
        for t in range(FRAMES):
            image = np.zeros((SIZE, SIZE, 3), np.uint8)  # blue, green, red
            image[40:51, 30 + t : 41 + t] = [0, 1, 44]
            image[100:, :] = [0, 0, 7]
            cv2.imwrite(str(folder / f"{name}_mask" / f"{t}.png"), image)
    return folder


def test_gripper_and_joints_are_projected(episode):
    found = rlbench_demo.read_demo(episode, Wanted())
    assert [view.name for view in found.views] == list(CAMERAS)
    assert found.notes[0] == "moving cameras are left out: wrist"
    names = found.views[0].keypoints
    assert names[:4] == ("gripper/tip", "gripper/x", "gripper/y", "gripper/z")
    assert names[-1] == "object/300", "what touches the edge of the image is no object"
    np.testing.assert_allclose(found.truth[2, 0], [0.04, 0, 0.05])
    np.testing.assert_allclose(found.truth[2, 3], [0.04, 0, 0.1])
    for v, at in enumerate(CAMERAS.values()):
        local = np.linalg.inv(at) @ [0.04, 0, 0.05, 1]
        uv = (K @ TURN) @ local[:3]
        np.testing.assert_allclose(found.views[v].points[2, 0, 0], uv[:2] / uv[2], atol=1e-9)
        np.testing.assert_allclose(found.views[v].points[:, 0, -1, 0], 35 + np.arange(FRAMES))
    assert np.isnan(found.truth[:, -1]).all()


def test_the_command_writes_tracks(episode, tmp_path):
    out = tmp_path / "tracks.npz"
    assert main([str(episode), "--out", str(out)]) == 0
    file = np.load(out)
    assert file["points"].shape == (2, FRAMES, 12, 2)
    assert file["fps"] == 20


@pytest.fixture
def task(episode, tmp_path):
    """A task's folder: episodes 0, 2, 10 of variation 0, and one of variation 1."""
    for place in ("variation0/episodes/episode0", "variation0/episodes/episode2"):
        shutil.copytree(episode, tmp_path / "task" / place)
    for t, place in ((1, "variation0/episodes/episode10"), (2, "variation1/episodes/episode0")):
        folder = tmp_path / "task" / place
        folder.mkdir(parents=True)
        (folder / "low_dim_obs.pkl").write_bytes(demo(moments()[t:]))
    return tmp_path / "task"


def test_a_folder_of_episodes_has_a_recording_for_each(task, tmp_path, capsys):
    out = tmp_path / "tracks.npz"
    assert main([str(task), "--out", str(out)]) == 0
    file = np.load(out)
    assert file["sequence_starts"].tolist() == [0, 5, 10, 14]
    assert file["points"].shape == (2, 17, 12, 2)
    tip = file["keypoint_names"].tolist().index("gripper/tip")
    np.testing.assert_allclose(file["truth"][10:14, tip, 0], 0.02 * np.arange(1, 5))
    assert np.isnan(file["points"][:, 10:, -1]).all(), "episodes without masks have no objects"
    assert np.isfinite(file["points"][:, :10, -1]).all()
    assert "4 episodes" in capsys.readouterr().out
    inner = task / "variation0" / "episodes"
    assert main([str(inner), "--out", str(out)]) == 0
    assert len(np.load(out)["sequence_starts"]) == 3


def test_an_episode_with_other_cameras_is_named(task, capsys):
    changed = moments()
    for moment in changed:
        moment["misc"]["front_camera_extrinsics"] = pose([1.5, -0.6, 0.5])
    (task / "variation0/episodes/episode2/low_dim_obs.pkl").write_bytes(demo(changed))
    assert main([str(task), "--out", str(task / "t.npz")]) == 2
    line = capsys.readouterr().err.strip()
    assert "episode2: its cameras" in line
    assert len(line) < 500
    assert not (task / "t.npz").exists()


class Evil:
    """What a pickle could do."""

    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "cannot be read"),
        (pickle.dumps(Evil()), "asks for"),
        (pickle.dumps([1, 2]), "is no Demo"),
        (demo([]), "has 0 observations"),
        (demo(moments(gripper_pose=np.zeros(3))), "gripper_pose must be finite numbers"),
        (demo(moments(misc={})), "0 cameras stand still"),
        (demo(moments(misc=None)), "has no misc"),
    ],
)
def test_damaged_files_are_one_line(tmp_path, capsys, raw, says):
    (tmp_path / "low_dim_obs.pkl").write_bytes(raw)
    with pytest.raises(DataError, match=says) as caught:
        rlbench_demo.read_demo(tmp_path, Wanted())
    assert len(str(caught.value)) < 500
    assert "executed" not in capsys.readouterr().out
