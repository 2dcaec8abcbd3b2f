"""Calibration from corners whose true cameras are known."""

from dataclasses import replace

import numpy as np
import pytest

from pose_obj_3d.calibrate.calibrating import calibrate, check_world, in_world
from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.geometry.adjusting.rotations import angle_between
from tests.unit.pose_obj_3d.calibrate.rigs import NAMES, Rig, board


def errors(found, rig):
    """Return errors of focal lengths [%] and of positions [mm]."""
    focal = 100 * np.abs(found.cameras.intrinsics[:, 0, 0] / rig.K[:, 0, 0] - 1)
    return focal, 1000 * np.linalg.norm(found.cameras.centres - rig.centres, axis=-1)


@pytest.fixture(scope="module")
def plain():
    return calibrate(Rig().views(board()), board(), ["pinhole"] * 3)


@pytest.mark.parametrize("kind", ["pinhole", "fisheye"])
def test_cameras_are_found(kind, plain):
    rig = Rig(kind)
    found = plain if kind == "pinhole" else calibrate(rig.views(board()), board(), [kind] * 3)
    focal, place = errors(found, rig)
    assert (focal < 0.4).all()
    assert (place < 3.0).all()
    for camera, off, far in zip(found.quality.cameras, focal, place, strict=True):
        assert off < 4 * camera.focal_sd
        assert far <= 4 * camera.position_sd_mm
        assert 0.035 < camera.noise_px < 0.07  # 0.05 went in
        assert camera.median_px < camera.left_out_median_px < 0.3
    assert found.quality.far is not None
    assert abs(found.quality.far.bias) < 0.2


def test_a_charuco_board_may_be_seen_in_part():
    rig = Rig()
    charuco = board("charuco:8x7:0.05:0.03:DICT_4X4_50")  # larger than the pictures
    views = rig.views(charuco)
    assert min(len(s.numbers) for view in views for s in view.sightings) < len(charuco.corners)
    focal, place = errors(calibrate(views, charuco, ["pinhole"] * 3), rig)
    assert (focal < 0.4).all()
    assert (place < 3.0).all()


@pytest.mark.parametrize("size", ["7x5", "6x6"])
def test_corners_counted_from_another_end_are_put_in_order(size):
    rig, own = Rig(), board(f"chessboard:{size}:0.03")
    views = rig.views(own)
    turned = own.turns[1]
    views[1] = replace(
        views[1],
        sightings=tuple(
            replace(s, uv=s.uv[turned]) if s.frame % 3 else s for s in views[1].sightings
        ),
    )
    focal, place = errors(calibrate(views, own, ["pinhole"] * 3), rig)
    assert (focal < 0.4).all()
    assert (place < 3.0).all()


def test_sightings_that_contradict_are_dropped_and_named():
    rig = Rig()
    views = rig.views(board())
    broken = views[2].sightings[3]
    moved = replace(broken, uv=broken.uv + np.array([25.0, -10.0]))
    views[2] = replace(
        views[2], sightings=(*views[2].sightings[:3], moved, *views[2].sightings[4:])
    )
    found = calibrate(views, board(), ["pinhole"] * 3)
    assert (errors(found, rig)[1] < 3.0).all()
    (note,) = found.quality.notes
    assert "right: 1 of" in note
    assert str(broken.frame) in note


def test_the_world_may_be_the_boards(plain):
    frame = plain.scene.frames[2]
    cameras = in_world(plain.scene, f"board:{frame}")
    assert (cameras.centres[:, 2] > 0.2).all()  # z comes out of the board, to the cameras
    between = [c.rotation[0] @ c.rotation[1].T for c in (cameras, plain.cameras)]
    assert angle_between(*between) < 1e-9
    with pytest.raises(ConfigError, match="not found in frame 99"):
        in_world(plain.scene, "board:99")
    with pytest.raises(ConfigError, match="--world"):
        check_world("table")


def test_one_camera_alone():
    found = calibrate(Rig().views(board())[:1], board(), ["pinhole"])
    assert abs(found.cameras.intrinsics[0, 0, 0] / 288 - 1) < 0.004
    assert np.array_equal(found.cameras.extrinsics[0], np.eye(4)[:3])
    assert found.quality.far is None


def test_cameras_without_a_common_frame():
    views = Rig().views(board())
    views[2] = views[2].only({s.frame for s in views[2].sightings[:6]})
    rest = set(range(14)) - set(views[2].frames)
    views = [views[0].only(rest), views[1].only(rest), views[2]]
    with pytest.raises(DataError, match="right never sees the board in the same frame"):
        calibrate(views, board(), ["pinhole"] * 3)


def test_frames_that_are_not_simultaneous():
    views = Rig().views(board())
    late = [replace(s, frame=s.frame + 1) for s in views[1].sightings]
    views[1] = replace(views[1], sightings=tuple(late))
    with pytest.raises(DataError, match="not simultaneous"):
        calibrate(views, board(), ["pinhole"] * 3)


def test_mirrored_pictures_of_a_chessboard():
    views = Rig().views(board())
    width, order = views[1].size[0], np.arange(35).reshape(5, 7)[:, ::-1].ravel()
    mirrored = [
        replace(s, uv=np.stack([width - 1 - s.uv[:, 0], s.uv[:, 1]], -1)[order])
        for s in views[1].sightings
    ]
    views[1] = replace(views[1], sightings=tuple(mirrored))
    with pytest.raises(DataError, match="mirrored they agree"):
        calibrate(views, board(), ["pinhole"] * 3)


def test_what_is_doubtful_is_said():
    rig = Rig()
    views = [view.only(set(range(8))) for view in rig.views(board(), noise=1.5)]
    lines = "\n".join(calibrate(views, board(), ["pinhole"] * 3).quality.warnings)
    for name in NAMES:
        assert name in lines
    assert "sightings" in lines
    assert "focal length is uncertain" in lines
