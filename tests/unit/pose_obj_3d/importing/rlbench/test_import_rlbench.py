"""Stored demonstrations of RLBench and of PerAct's fork become an archive."""

import pickle

import cv2
import numpy as np
import pytest

from data_generation.RLBench.exporting.stored_objects import StoredObject, pickled
from pose_obj_3d.common.frame_files import frame_file
from pose_obj_3d.formal import UV_DETECTED, UV_EXACT, VISIBILITY, XYZ_WORLD, read_formal
from pose_obj_3d.importing.rlbench.__main__ import main
from pose_obj_3d.importing.rlbench.matching import own_numbers, renumbered, shifts

FRAMES, SIZE, NEAR, FAR = 6, 64, 0.1, 4.0
TURN = np.diag([-1.0, -1.0, 1.0])
K = np.array([[88.0, 0, 32], [0, 88.0, 32], [0, 0, 1]])


def pose(at):
    """Return a camera's pose in the world (4, 4), looking at the origin, x left and y up."""
    z = -np.array(at) / np.linalg.norm(at)
    x = np.cross(z, [0, 0, 1.0]) / np.linalg.norm(np.cross(z, [0, 0, 1.0]))
    found = np.eye(4)
    found[:3, :3] = np.stack([x, np.cross(z, x), z], 1) @ TURN
    found[:3, 3] = at
    return found


CAMERAS = {
    "left_shoulder": pose([1.2, 0.8, 0.6]),
    "front": pose([1.5, -0.7, 0.5]),
    "overhead": pose([0.1, 0.1, 1.5]),
}


def project(at, camera):
    local = np.linalg.inv(CAMERAS[camera]) @ [*at, 1]
    uv = (K @ TURN) @ local[:3]
    return uv[:2] / uv[2]


def place(t, example):
    """The object's position."""
    return np.array([0.05 + 0.02 * t, 0.03 * example - 0.05, 0.02])


def coded(values, *, lowest_first):
    """An image of numbers; OpenCV's order of colours."""
    low, middle, high = (values >> shift & 255 for shift in (0, 8, 16))
    order = (high, middle, low) if lowest_first else (low, middle, high)
    return np.stack(order, -1).astype(np.uint8)


def write_episode(folder, example, number, wall=False, moved=0.0):
    """Write an episode with one object, whose number in masks is given; 10 is a part of the arm."""
    folder.mkdir(parents=True)
    found = []
    for t in range(FRAMES):
        misc = {"joint_poses": [np.array([0, 0, 0.1 * j, 0, 0, 0, 1.0]) for j in range(3)]}
        for name, at in CAMERAS.items():
            misc[f"{name}_camera_extrinsics"] = at + moved
            misc[f"{name}_camera_intrinsics"] = K @ TURN
            misc[f"{name}_camera_near"], misc[f"{name}_camera_far"] = NEAR, FAR
        tip = np.array([0.02 * t, 0.1, 0.05, 0, 0, 0, 1.0])
        found.append({"gripper_pose": tip, "misc": misc})
    stored = [StoredObject("rlbench.backend.observation", "Observation", m) for m in found]
    demo = StoredObject("rlbench.demo", "Demo", {"_observations": stored})
    (folder / "low_dim_obs.pkl").write_bytes(pickled(demo))
    y, x = np.indices((SIZE, SIZE))
    for name in CAMERAS:
        for kind in ("mask", "depth", "rgb"):
            (folder / f"{name}_{kind}").mkdir()
        for t in range(FRAMES):
            u, v = project(place(t, example), name)
            ids = np.full((SIZE, SIZE), 10)
            ids[(x - u) ** 2 + (y - v) ** 2 < 16] = number
            cv2.imwrite(str(folder / f"{name}_mask/{t}.png"), coded(ids, lowest_first=True))
            depth = np.full((SIZE, SIZE), 2**24 - 1)
            if wall:
                depth[:] = 0  # at the near plane
            cv2.imwrite(str(folder / f"{name}_depth/{t}.png"), coded(depth, lowest_first=False))


def data_set(root, task="push", variations=("variation0",), numbers=(300, 300, 300), **given):
    for variation in variations:
        for e, number in enumerate(numbers):
            folder = root / task / variation / "episodes" / f"episode{e}"
            write_episode(folder, e, number, **given)
            if variation == "all_variations":
                (folder / "variation_number.pkl").write_bytes(pickle.dumps(e + 4))
                (folder / "variation_descriptions.pkl").write_bytes(pickle.dumps([f"push {e}"]))
    return root


def run(root, out, *flags):
    return main([str(root), "--output", str(out), *flags])


def read(path):
    data = read_formal(path)
    return data, [np.asarray(track) for track in data.tracks[0]]


@pytest.mark.slow
def test_known_points_are_exact_and_objects_triangulated(tmp_path):
    out = tmp_path / "out" / "archive.npz"
    assert run(data_set(tmp_path / "data"), out) == 0
    data, tracks = read(out)
    names = data.keypoint_names(0)
    assert names[:5] == [f"robot/gripper_{n}" for n in ("tip", "x", "y", "z")] + [
        "robot/arm_joint0"
    ]
    assert names[-1] == "objects/300"
    assert data.task_name(0) == "push"
    assert len(tracks) == 3
    for e, track in enumerate(tracks):
        assert track.shape == (3, FRAMES, 8, 8)
        np.testing.assert_allclose(track[0, 3, 0, XYZ_WORLD], [0.06, 0.1, 0.05], atol=1e-6)
        for t in range(FRAMES):
            assert np.linalg.norm(track[0, t, -1, XYZ_WORLD] - place(t, e)) < 0.005
        noise = (track[..., UV_DETECTED] - track[..., UV_EXACT])[:, :, :-1]
        assert 0.1 < np.nanstd(noise) < 0.6  # 0.00504 of 64 px is 0.32 px
    again = tmp_path / "again.npz"
    assert run(tmp_path / "data" / "push", again) == 0  # the folder of a task
    assert again.read_bytes() != b""
    np.testing.assert_array_equal(read(again)[1][1], tracks[1])
    assert (
        run(tmp_path / "data", again, "--noise_scale", "0", "--cameras", "front", "overhead") == 0
    )
    exact, (first, *_) = read(again)
    assert list(exact.meta["camera_names"]) == ["front", "overhead"]
    np.testing.assert_allclose(first[:, :, 0, UV_DETECTED], first[:, :, 0, UV_EXACT], atol=1e-4)


def test_pictures_of_one_task_are_found(tmp_path):
    data_set(tmp_path / "data", variations=("all_variations",))
    out = tmp_path / "out" / "archive.npz"
    assert run(tmp_path / "data", out) == 0
    data, _ = read(out)
    assert data.meta["sources"]["T0"] == [{"variation": e + 4, "example": e} for e in range(3)]
    assert data.meta["descriptions"]["T0"] == ["push 0", "push 1", "push 2"]
    picture = frame_file(out, data.meta, (0, 1, "front", 2))
    episodes = tmp_path / "data" / "push" / "all_variations" / "episodes"
    assert picture.resolve() == episodes / "episode1" / "front_rgb" / "2.png"


def test_depth_says_what_is_hidden(tmp_path):
    assert run(data_set(tmp_path / "data", wall=True), tmp_path / "hidden.npz") == 0
    assert run(data_set(tmp_path / "free"), tmp_path / "seen.npz") == 0
    hidden, seen = (read(tmp_path / f"{name}.npz")[1][0] for name in ("hidden", "seen"))
    assert (hidden[:, :, 0, VISIBILITY] == 0.5).all()
    assert (seen[:, :, 0, VISIBILITY] == 1).all()
    assert (hidden[:, :, -1, VISIBILITY] == 1).all()  # the mask shows the object


def test_several_tasks_and_some_of_them(tmp_path, capsys):
    data_set(data_set(tmp_path / "data"), task="pull", numbers=(5, 5, 5, 5))
    assert run(tmp_path / "data", tmp_path / "a.npz") == 0
    said = capsys.readouterr()
    assert "pull 4 examples, push 3 examples, 3 views" in said.out
    assert "does not say where their pictures are" in said.err
    flags = ("--tasks", "pull", "--max_examples", "3")
    assert run(tmp_path / "data", tmp_path / "b.npz", *flags) == 0
    assert len(read(tmp_path / "b.npz")[1]) == 3


def test_objects_keep_their_names_when_numbers_move_on(tmp_path):
    assert run(data_set(tmp_path / "data", numbers=(300, 340, 380)), tmp_path / "a.npz") == 0
    data, tracks = read(tmp_path / "a.npz")
    (name,) = [n for n in data.keypoint_names(0) if n.startswith("objects")]
    assert name in {"objects/300", "objects/340", "objects/380"}
    for e, track in enumerate(tracks):
        assert np.linalg.norm(track[0, 0, -1, XYZ_WORLD] - place(0, e)) < 0.005


def test_shifts():
    base = frozenset({1, 2, 3})
    numbers = [base | {90, 92, 95}, base | {100, 102, 105}, base | {112}, base | {90, 92, 95}]
    own = own_numbers(numbers)
    assert own[0] == {90, 92, 95}
    found = shifts(numbers)
    assert found[:2] == [0, -10]
    assert found[3] == 0
    assert 112 + found[2] in {90, 92, 95}
    assert renumbered([3, 100, 105], own[1], -10, base) == {3: 3, 90: 100, 95: 105}
    assert renumbered([100], own[1], -98, base) == {}
    assert shifts([base, base]) == [0, 0]
    assert shifts([]) == []


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--tasks", "pull"), "has no 'pull'"),
        (("--cameras", "frnt", "overhead"), "no camera 'frnt'"),
        (("--cameras", "front"), "needs two cameras"),
        (("--max_examples", "2"), "--max_examples 2: allowed: from 3"),
        (("--noise_scale", "-1"), "--noise_scale -1: allowed"),
        (("--noise_scale", "nan"), "--noise_scale nan: allowed"),
        (("--seed", "-1"), "--seed -1: allowed"),
    ],
)
def test_flags_that_do_not_fit(tmp_path, capsys, flags, says):
    assert refused(data_set(tmp_path / "data"), tmp_path, capsys, *flags).count(says) == 1


def refused(root, tmp_path, capsys, *flags):
    assert run(root, tmp_path / "a.npz", *flags) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert len(said) < 500
    assert not (tmp_path / "a.npz").exists()
    return said


def test_data_sets_that_do_not_fit(tmp_path, capsys):
    root = tmp_path / "data"
    assert "is no folder" in refused(root, tmp_path, capsys)
    root.mkdir()
    assert "has no episodes" in refused(root, tmp_path, capsys)
    data_set(root, numbers=(300, 300))
    assert "push has 2 episode(s)" in refused(root, tmp_path, capsys)
    write_episode(root / "push" / "variation1" / "episodes" / "episode0", 0, 300, moved=0.01)
    said = refused(root, tmp_path, capsys)
    assert "push/variation1/episodes/episode0: was filmed by other cameras" in said
    (root / "push" / "variation0" / "episodes" / "episode1" / "low_dim_obs.pkl").write_bytes(b"x")
    assert "episode1/low_dim_obs.pkl: cannot be read" in refused(root, tmp_path, capsys)
