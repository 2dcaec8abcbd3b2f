"""What is wrong with calibration or tracks is named, with its camera."""

import numpy as np
import pytest
import torch

from pose_obj_3d.exceptions import DataError
from pose_obj_3d.sanity import check_geometry, check_synchronisation
from pose_obj_3d.windows import Rig
from tests.unit.pose_obj_3d.synthetic import NAMES, SIGMA_PX, motion, project, rig


def scene(V=4):
    """uv (N, V, K, 2), weights, rig: noisy, 2 % outliers, 10 % missing."""
    rng = np.random.default_rng(0)
    K, E = rig()
    uv = project(motion(rng, 120, [True, False, True, True]), K, E)
    uv = uv + rng.normal(size=uv.shape) * SIGMA_PX
    is_outlier = rng.random(uv.shape[:-1]) < 0.02
    uv[is_outlier] += rng.uniform(-40, 40, (int(is_outlier.sum()), 2))
    weights = rng.random(uv.shape[:-1]) >= 0.1
    cameras = Rig(torch.tensor(K[:V]), torch.tensor(E[:V]), 1.0, tuple(range(V)))
    return torch.tensor(uv).transpose(0, 1)[:, :V].clone(), torch.tensor(weights).transpose(0, 1)[:, :V].double().clone(), cameras


def found(uv, weights, cameras):
    return check_geometry(uv, weights, cameras, NAMES[: uv.shape[1]])


def turned(cameras, view, degrees):
    a = np.deg2rad(degrees)
    turn = torch.tensor([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    cameras.extrinsics[view] = turn @ cameras.extrinsics[view]


@pytest.mark.parametrize("V", [2, 3, 4])
def test_sound_tracks_raise_no_doubt(V):
    assert found(*scene(V)) == []


@pytest.mark.parametrize("V", [3, 4])
@pytest.mark.parametrize("view", [0, 2])
def test_the_guilty_camera_is_named(V, view):
    s = scene(V)
    turned(s[2], view, 4)
    (line,) = found(*s)
    assert line.startswith(f"camera {NAMES[view]} is ")
    s = scene(V)
    s[2].extrinsics[view, 0, 3] += 0.05
    (line,) = found(*s)
    assert line.startswith(f"camera {NAMES[view]} is ")


@pytest.mark.parametrize("V", [2, 3, 4])
def test_swapped_cameras_are_named(V):
    uv, weights, cameras = scene(V)
    order = [1, 0, *range(2, V)]
    (line,) = found(uv[:, order], weights[:, order], cameras)
    assert "left_shoulder and right_shoulder exchanged" in line


@pytest.mark.parametrize("V", [2, 4])
def test_inverted_extrinsics(V):
    uv, weights, cameras = scene(V)
    R = cameras.extrinsics[:, :, :3].transpose(1, 2).clone()
    cameras.extrinsics[:] = torch.cat([R, -R @ cameras.extrinsics[:, :, 3:]], -1)
    (line,) = found(uv, weights, cameras)
    assert "camera to world" in line


def test_two_cameras_that_disagree():
    s = scene(2)
    turned(s[2], 1, 4)
    (line,) = found(*s)
    assert "the views disagree" in line


def test_one_camera_twice():
    s = scene()
    s[2].extrinsics[1] = s[2].extrinsics[0]
    assert any("left_shoulder and right_shoulder have the same place" in line for line in found(*s))
    s = scene()
    s[0][:, 1] = s[0][:, 0]
    assert any("left_shoulder and right_shoulder have identical points" in line for line in found(*s))
    s = scene(2)
    s[2].extrinsics[1] = s[2].extrinsics[0]
    with pytest.raises(DataError, match="all cameras stand in one place"):
        found(*s)


@pytest.mark.parametrize("scale", [1000, 1e-3])
def test_wrong_units_of_length(scale):
    s = scene()
    s[2].extrinsics[:, :, 3] *= scale
    assert any("wrong units" in line for line in found(*s))


def test_normalised_coordinates():
    s = scene()
    s[0][:] /= 256
    with pytest.raises(DataError, match=r"left_shoulder: all points lie within .* points look normalised"):
        found(*s)
    s = scene()
    s[2].intrinsics[:, :2] /= 256
    with pytest.raises(DataError, match="left_shoulder: focal length 1.37 px.* intrinsics look normalised"):
        found(*s)


def test_points_behind_a_camera():
    K, E = rig()
    rng = np.random.default_rng(0)
    xyz = motion(rng, 50, [True, False])
    flip = np.diag([-1.0, 1, -1])  # a camera that looks the other way
    E[1] = flip @ E[1]
    uv = torch.tensor(project(xyz, K, E)).transpose(0, 1)
    cameras = Rig(torch.tensor(K), torch.tensor(E), 1.0, (0, 1, 2, 3))
    lines = found(uv, torch.ones(uv.shape[:-1]), cameras)
    assert any("right_shoulder" in line and "behind" in line for line in lines), lines


def test_what_is_never_seen():
    s = scene()
    s[1][:, 1:, 2] = 0
    assert check_geometry(*s, NAMES, ["a", "b", "c", "d"]) == ["never seen by two views in one frame, so without 3D: c"]
    s = scene()
    s[1][:, 3] = 0
    assert found(*s) == ["camera front sees no keypoint in any frame"]
    s[1][:, 1:] = 0
    with pytest.raises(DataError, match="nothing can be triangulated"):
        found(*s)
    with pytest.raises(DataError, match="only one view: left_shoulder"):
        found(*scene(1))


@pytest.mark.parametrize("V", [2, 3, 4])
@pytest.mark.parametrize("shift", [0, 2, -3])
def test_a_camera_that_is_late(V, shift):
    rng = np.random.default_rng(3)
    K, E = rig()
    xyz = np.concatenate([motion(rng, 60, [True, False, True]) for _ in range(3)])
    uv = project(xyz, K, E) + rng.normal(size=(4, 180, 3, 2)) * SIGMA_PX
    uv[1] = np.roll(uv[1], shift, axis=0)
    cameras = Rig(torch.tensor(K[:V]), torch.tensor(E[:V]), 1.0, tuple(range(V)))
    tensor = torch.tensor(uv).transpose(0, 1)[:, :V]
    first = torch.arange(3).repeat_interleave(60) * 60
    lines = check_synchronisation(tensor, torch.ones(tensor.shape[:-1]), cameras, NAMES[:V], first)
    if shift == 0:
        assert lines == []
        return
    (line,) = lines
    assert f"{abs(shift)} frame(s)" in line
    if V > 2:
        assert line.startswith(f"camera right_shoulder seems {abs(shift)} frame(s) {'late' if shift > 0 else 'early'}:")
