"""What is wrong with calibration or tracks is named, with its camera."""

import re

import numpy as np
import pytest
import torch

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.geometry.checks.calibration_checks import check_geometry, examine
from pose_obj_3d.geometry.checks.synchronisation import find_shift
from pose_obj_3d.geometry.rig import Rig
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
    return (
        torch.tensor(uv).transpose(0, 1)[:, :V].clone(),
        torch.tensor(weights).transpose(0, 1)[:, :V].double().clone(),
        cameras,
    )


FIRST = torch.zeros(120, dtype=torch.int64)  # of `scene`: one sequence


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


def lists_every_camera(line, V=4):
    return all(re.search(rf"{name} [0-9.]+|{name} over 10000", line) for name in NAMES[:V])


@pytest.mark.parametrize("V", [2, 3, 4])
def test_swapped_cameras_are_named(V):
    uv, weights, cameras = scene(V)
    order = [1, 0, *range(2, V)]
    (line,) = found(uv[:, order], weights[:, order], cameras)
    assert "left_shoulder and right_shoulder exchanged" in line
    assert lists_every_camera(line, V)


TURN_YZ = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))


def inverse(extrinsics):
    R = extrinsics[:, :, :3].transpose(1, 2)
    return torch.cat([R, -R @ extrinsics[:, :, 3:]], -1)


@pytest.mark.parametrize("V", [2, 4])
@pytest.mark.parametrize(
    "convention",
    [
        (inverse, "px with inverted extrinsics: they seem to be camera to world;"),
        (lambda E: TURN_YZ @ E, "they seem to be those of OpenGL"),
        (lambda E: inverse(TURN_YZ @ E), "camera to world with the axes of OpenGL or Blender"),
    ],
)
@pytest.mark.parametrize("metres", [1.0, 1000.0])
def test_other_conventions_of_extrinsics(V, convention, metres):
    """Checks see the user's own matrices: inverting moved ones would not undo the fault."""
    uv, weights, cameras = scene(V)
    cameras.extrinsics[:, :, 3] = metres * (
        cameras.extrinsics[:, :, 3]
        - cameras.extrinsics[:, :, :3] @ torch.tensor([3.0, -2, 1]).double()
    )
    change, message = convention
    cameras.extrinsics[:] = change(cameras.extrinsics)
    line = found(uv, weights, cameras)[-1]
    assert message in line
    assert lists_every_camera(line, V)


def test_two_cameras_that_disagree():
    s = scene(2)
    turned(s[2], 1, 4)
    (line,) = examine(*s, NAMES[:2], first=FIRST).warnings
    assert "the views disagree" in line
    assert "two cameras cannot tell" in line
    assert lists_every_camera(line, 2)


def test_nobody_is_accused_where_no_three_cameras_agree():
    for change in (
        lambda K, E: K[:, :2, :2].mul_(2),
        lambda K, E: E[:, 0, 3].add_(torch.tensor([0.1, -0.1, 0.15, -0.2])),
    ):
        s = scene()
        change(s[2].intrinsics, s[2].extrinsics)
        (line,) = examine(*s, NAMES, first=FIRST).warnings
        assert "no single camera is to blame" in line
        assert lists_every_camera(line)


def test_one_camera_twice():
    """It is named alone: the cameras without it agree."""
    s = scene()
    s[2].extrinsics[1] = s[2].extrinsics[0]
    (line,) = found(*s)
    assert line.startswith("cameras left_shoulder and right_shoulder have the same place")
    assert re.search(
        r"without left_shoulder the views disagree by \d\d\.\d px, without right_shoulder by"
        r" \d\.\d px",
        line,
    )
    s = scene()
    s[0][:, 1] = s[0][:, 0]
    (line,) = found(*s)
    assert line.startswith("cameras left_shoulder and right_shoulder have identical points")
    s[2].extrinsics[1] = s[2].extrinsics[0]
    (line,) = found(*s)
    assert "identical points (is one track used twice?) and the same place" in line
    turned(s[2], 3, 6)
    line, other = found(*s)
    assert "the views disagree" in other or other.startswith("camera front")
    s = scene(2)
    s[2].extrinsics[1] = s[2].extrinsics[0]
    with pytest.raises(DataError, match="all cameras stand in one place"):
        found(*s)


@pytest.mark.parametrize(
    ("unit", "scale", "words"),
    [
        ("m", 1000, ["too far", "read as m;", "in mm it would be 1.7", "--units mm"]),
        ("m", 100, ["too far", "in cm it would be 1.7", "divide translations and truth by 100"]),
        ("mm", 1e-3, ["too close", "read as mm;", "in m it would be 1.7", "--units m "]),
        ("mm", 1e3, ["too far", "neither m, cm nor mm makes sense"]),
        ("m", 1e-3, ["too close", "neither m, cm nor mm makes sense"]),
    ],
)
def test_wrong_units_of_length(unit, scale, words):
    """One line that fits what the file says; the agreement of the views knows no unit."""
    s = scene()
    s[2].extrinsics[:, :, 3] *= scale
    (line,) = examine(*s, NAMES, unit=unit).warnings
    for word in words:
        assert word in line, line


def test_normalised_coordinates():
    s = scene()
    s[0][:] /= 256
    with pytest.raises(
        DataError, match=r"left_shoulder: all points lie within .* points look normalised"
    ):
        found(*s)
    s = scene()
    s[2].intrinsics[:, :2] /= 256
    with pytest.raises(
        DataError, match="left_shoulder: focal length 1.37 px.* intrinsics look normalised"
    ):
        found(*s)


def test_points_behind_a_camera():
    K, E = rig()
    rng = np.random.default_rng(0)
    xyz = motion(rng, 50, [True, False])
    flip = np.diag([-1.0, 1, -1])  # a camera that looks the other way
    E[1] = flip @ E[1]
    uv = torch.tensor(project(xyz, K, E)).transpose(0, 1)
    cameras = Rig(torch.tensor(K), torch.tensor(E), 1.0, (0, 1, 2, 3))
    result = examine(uv, torch.ones(uv.shape[:-1]), cameras, NAMES)
    (line,) = result.warnings
    assert line.startswith("100 % of the points of camera right_shoulder lie behind it")
    assert result.useless == [1]


def test_a_camera_turned_round():
    """Its detections fit a camera that looks at the points, not one that looks away."""
    s = scene()
    s[2].extrinsics[3] = TURN_YZ @ s[2].extrinsics[3]
    result = examine(*s, NAMES, first=FIRST)
    (line,) = result.warnings
    assert line.startswith("100 % of the points of camera front lie behind it")
    assert result.useless == [3]


def test_what_is_never_seen():
    s = scene()
    s[1][:, 1:, 2] = 0
    assert check_geometry(*s, NAMES, ["a", "b", "c", "d"]) == [
        "never seen by two views in one frame, so without 3D: c"
    ]
    s = scene()
    s[1][:, 3] = 0
    assert found(*s) == ["camera front sees no keypoint in any frame"]
    s[1][:, 1:] = 0
    with pytest.raises(DataError, match="nothing can be triangulated"):
        found(*s)
    with pytest.raises(DataError, match="only one view: left_shoulder"):
        found(*scene(1))


def late(V, shift, keypoints=(True, False, True), speed=1.0):
    """uv, weights, cameras and first frames of three sequences; right_shoulder is late."""
    rng = np.random.default_rng(3)
    K, E = rig()
    xyz = np.concatenate([motion(rng, 60, list(keypoints)) for _ in range(3)])
    xyz[:, :, 1] += speed * np.sin(np.arange(180) / 4)[:, None] * np.array(keypoints) * 0.1
    uv = project(xyz, K, E) + rng.normal(size=(4, 180, len(keypoints), 2)) * SIGMA_PX
    uv[1] = np.roll(uv[1], shift, axis=0)
    cameras = Rig(torch.tensor(K[:V]), torch.tensor(E[:V]), 1.0, tuple(range(V)))
    tensor = torch.tensor(uv).transpose(0, 1)[:, :V]
    return (
        tensor,
        torch.ones(tensor.shape[:-1]),
        cameras,
        torch.arange(3).repeat_interleave(60) * 60,
    )


@pytest.mark.parametrize("V", [2, 3, 4])
@pytest.mark.parametrize("shift", [0, 2, -3])
def test_a_camera_that_is_late(V, shift):
    uv, weights, cameras, first = late(V, shift, speed=0)
    shifted = find_shift(uv, weights, cameras, first)
    if shift == 0:
        assert shifted is None
        return
    assert abs(shifted.frames) == abs(shift)
    assert f"{abs(shift)} frame(s)" in shifted.line(NAMES[:V])
    if V > 2:
        assert shifted.line(NAMES[:V]).startswith(
            f"camera right_shoulder seems {abs(shift)} frame(s) {'late' if shift > 0 else 'early'}:"
        )


@pytest.mark.parametrize("speed", [0.0, 1.0])
def test_a_late_camera_is_not_called_badly_calibrated(speed):
    """Fast points let the views disagree as a wrong calibration does; only a shift cures it."""
    uv, weights, cameras, first = late(4, 3, [True] * 3, speed)
    lines = examine(uv, weights, cameras, NAMES, first=first).warnings
    assert [line[:44] for line in lines] == ["camera right_shoulder seems 3 frame(s) late:"]
    assert ("off what the other cameras" in " ".join(found(uv, weights, cameras))) == (speed > 0)


def test_a_badly_calibrated_camera_is_not_called_late():
    uv, weights, cameras, first = late(4, 0, [True] * 3, 1.0)
    turned(cameras, 1, 2)
    (line,) = examine(uv, weights, cameras, NAMES, first=first).warnings
    assert line.startswith("camera right_shoulder is ")
