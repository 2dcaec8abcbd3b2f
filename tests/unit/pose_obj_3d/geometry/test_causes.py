"""Faults of files are named, or listed where several explain the data; noise accuses nobody."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from pose_obj_3d.geometry.checks.hypotheses import inverted
from pose_obj_3d.geometry.lenses import distort
from pose_obj_3d.lifting.pipeline import check_file
from pose_obj_3d.lifting.track_files.track_file import read_tracks
from tests.benchmarks.lift_checks import (
    ACCUSES,
    FAULTS,
    KINDS,
    detection,
    lines_of,
    look_at,
    pixels,
    scene,
    sound,
    tracks,
    white,
)
from tests.unit.pose_obj_3d.synthetic import IMAGE, NAMES, motion, project, rig

LINE = 500  # characters that a message may have
SEEDS = {
    name: (5, 6, 1, 13, 10)[i % 5] for i, name in enumerate(FAULTS)
}  # three and four cameras, with and without distortion


@pytest.mark.slow
@pytest.mark.parametrize("fault", list(FAULTS))
def test_each_fault_is_named(tmp_path, fault):
    result, lines, _ = detection(fault, SEEDS[fault], tmp_path)
    assert result in ("named", "listed"), lines
    assert max(map(len, lines)) < LINE


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("seed", [1, 4])
def test_noise_accuses_nobody(tmp_path, kind, seed):
    """Up to 15 px, tails, errors that stay, 5 frames, one keypoint."""
    result, lines, _ = sound(kind, seed, tmp_path)
    assert result != "accuses", lines
    for line in lines:
        assert "no other convention of extrinsics, no swap of cameras" in line


def four_cameras(change=lambda uv: uv, **more):
    """What a file of the four shipped cameras holds: two are the mirror images of each other."""
    rng = np.random.default_rng(0)
    K, E = rig()
    uv = project(motion(rng, 60, [True, False, True, True, True]), K, E)
    uv = change(uv + rng.normal(size=uv.shape))
    return {
        "points": uv,
        "intrinsics": K,
        "extrinsics": E,
        "camera_names": np.array(NAMES),
        "image_size": np.array([IMAGE, IMAGE]),
    } | more


def mirror(uv):
    return np.stack([IMAGE - uv[..., 0], uv[..., 1]], -1)


@pytest.mark.parametrize("change", [mirror, lambda uv: uv[[1, 0, 2, 3]]])
def test_a_rig_that_is_its_own_mirror_image_leaves_two_causes(tmp_path, change):
    """Mirrored images and exchanged cameras explain the same points, in mirrored worlds."""
    (line,) = lines_of(four_cameras(change), tmp_path)
    assert "possible causes, which explain it equally well" in line
    assert "x mirrored (W - x) in all cameras" in line
    assert "the tracks of left_shoulder and right_shoulder exchanged" in line
    assert "the mirror image of the other's" in line
    assert len(line) < LINE


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda R, t: (R, -R.transpose(0, 2, 1) @ t), "translations taken for the cameras' places"),
        (lambda R, t: (R.transpose(0, 2, 1), t), "rotations transposed, translations kept"),
        (
            lambda R, t: (np.diag([-1.0, -1, 1]) @ R, np.diag([-1.0, -1, 1]) @ t),
            "x and y axes turned",
        ),
    ],
)
def test_more_conventions_of_extrinsics(tmp_path, change, words):
    m = four_cameras()
    m["extrinsics"] = np.concatenate(
        change(m["extrinsics"][:, :, :3], m["extrinsics"][:, :, 3:]), -1
    )
    lines = lines_of(m, tmp_path)
    assert any(words in line for line in lines), lines


def wide_scene(seed):
    """The members of a file of four wide cameras, and its points (V, T, K, 2) undistorted [px]."""
    m = scene(np.random.default_rng(seed), 4, False, 60, 8, white(0.3))
    m["intrinsics"][:, [0, 1], [0, 1]] *= 0.45
    xyz = 2.5 * tracks(np.random.default_rng(seed), 60, 8)
    return m, pixels(m, xyz) + np.random.default_rng(seed).normal(size=m["points"].shape) * 0.3


@pytest.mark.parametrize("seed", [0, 1])
def test_fisheye_coefficients_in_the_wrong_model(tmp_path, seed):
    k = np.array([0.1, -0.1, 0.05, -0.01])
    full = np.concatenate([k, np.zeros(10)])
    m, uv = wide_scene(seed)
    bent = np.stack(
        [
            distort(uv[v].reshape(-1, 2), m["intrinsics"][v], full, "fisheye").reshape(uv[v].shape)
            for v in range(4)
        ]
    )
    m |= {"points": bent, "distortion": np.tile(k, (4, 1))}
    assert lines_of(m | {"lens": np.array("fisheye")}, tmp_path) == []
    lines = lines_of(m, tmp_path)
    assert any("lens='fisheye'" in line for line in lines), lines


@pytest.mark.parametrize("seed", [0, 3])
def test_points_without_the_distortion_that_the_file_states(tmp_path, seed):
    m, uv = wide_scene(seed)
    lines = lines_of(
        m | {"points": uv, "distortion": np.tile([-0.15, 0.02, 0.0, 0.0], (4, 1))}, tmp_path
    )
    assert any("undistorted already" in line for line in lines), lines


@pytest.mark.parametrize("factor", [1 / 3, 0.5, 2 / 3, 1.5, 2.0, 3.0])
def test_any_size_of_all_images_is_named(tmp_path, factor):
    """Four wide cameras around the scene: wrong factors are better than none, too."""
    rng = np.random.default_rng(1)
    angle = np.arange(4) * np.pi / 2
    K = np.tile(np.array([[900.0, 0, 960], [0, 900, 540], [0, 0, 1]]), (4, 1, 1))
    places = np.stack([3 * np.cos(angle), 3 * np.sin(angle), np.full(4, 1.5)], -1)
    E = np.stack([look_at(place, np.array([0.0, 0, 1]), 0.0) for place in places])
    uv = project(np.array([0, 0, 0.1]) + motion(rng, 120, [True] * 5), K, E)
    m = {"points": (uv + rng.normal(size=uv.shape)) * factor, "intrinsics": K, "extrinsics": E}
    (line,) = lines_of({**m, "image_size": np.array([1920, 1080])}, tmp_path)
    assert f"px with the points of all cameras times {1 / factor:.1f}"[:-2] in line
    assert "another image size than the intrinsics" in line


def test_few_points_accuse_nobody(tmp_path):
    """One keypoint that rests: however many frames, it is one place."""
    rng = np.random.default_rng(0)
    for seed in range(4):
        m = scene(np.random.default_rng(seed), 2, False, 200, 1, white(1.0))
        xyz = np.tile(tracks(rng, 1, 1), (200, 1, 1))
        m["points"] = (
            pixels(m, xyz) + rng.normal(size=(2, 1, 1, 2)) * 30 + rng.normal(size=(2, 200, 1, 2))
        )
        lines = lines_of(m, tmp_path)
        assert not any(ACCUSES.search(line) for line in lines), lines


def test_two_subjects_are_no_fault_of_a_camera(tmp_path):
    """Each camera follows another one of two people for half of the time."""
    rng = np.random.default_rng(3)
    m = scene(rng, 4, False, 120, 8, white(2.0))
    other = pixels(m, tracks(rng, 120, 8) + np.array([0.4, -0.3, 0.1]))
    for v in range(4):
        rows = np.arange(120) // 30 % 4 == v
        m["points"][v, rows] = other[v, rows]
    lines = lines_of(m, tmp_path)
    assert not any(re.search(r" seem|px with", line) for line in lines), lines


def test_many_cameras_make_no_long_line(tmp_path):
    rng = np.random.default_rng(0)
    m = scene(rng, 12, False, 30, 6, white(40.0))
    m["camera_names"] = np.array([f"camera_in_the_far_corner_number_{v}" for v in range(12)])
    for line in lines_of(m, tmp_path):
        assert len(line) < LINE


def test_inverting_twice_gives_the_same():
    E = torch.tensor(rig()[1])
    torch.testing.assert_close(inverted(inverted(E)), E, atol=1e-5, rtol=1e-5)


CASES = Path(__file__).resolve().parents[5] / "shared" / "cases"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("images_mirrored", "x mirrored (W - x) in all cameras"),
        ("missing_is_0_wide_lens", "498 at (0, 0)"),
    ],
)
def test_files_of_others(name, words):
    path = CASES / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    (line,) = check_file(read_tracks(path))[0]
    assert words in line
