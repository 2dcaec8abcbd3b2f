"""How views of one recording are joined: names, keypoints, frames, rates; and what is said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.importing.calibrations.types import Calibration
from pose_obj_3d.importing.tracks.joining import join
from pose_obj_3d.importing.tracks.naming import match_names
from pose_obj_3d.importing.tracks.options import ImportOptions, parse_offsets
from pose_obj_3d.importing.tracks.views import Found, ViewTracks

PLAIN = ImportOptions()


def rig(*names):
    V = len(names)
    return Calibration(
        source="calibration.toml",
        tool="anipose",
        names=list(names),
        intrinsics=np.tile(np.diag([500.0, 500, 1]), (V, 1, 1)),
        extrinsics=np.tile(np.eye(4)[:3], (V, 1, 1)),
        distortion=np.zeros((V, 14)),
        lenses=["pinhole"] * V,
        image_size=np.tile([640.0, 480], (V, 1)),
        unit="mm",
        is_unit_known=True,
        notes=[],
    )


def view(name, frames=10, keypoints=("nose", "tail"), **other):
    """Tracks whose x is the number of the frame."""
    first = other.get("first_frame", 0)
    points = np.zeros((frames, 1, len(keypoints), 2))
    points[..., 0] = (first + np.arange(frames))[:, None, None]
    points[..., 1] = np.arange(len(keypoints))
    return ViewTracks(name, Path(f"{name}.csv"), points, tuple(keypoints), **other)


def joined(*views, cameras=None, options=PLAIN, **found):
    cameras = cameras or rig(*(v.name for v in views))
    return join(Found(tuple(views), **found), cameras, options)


def line(result, start):
    """The only line that begins so."""
    (found,) = [note for note in result.notes if note.startswith(start)]
    return found


@pytest.mark.parametrize(
    ("views", "cameras", "expected"),
    [
        (["b", "a"], ["a", "b"], {0: 1, 1: 0}),
        (["run_A", "run_B"], ["a", "b"], {0: 0, 1: 1}),
        (["s1-cam1-x", "s1-cam10-x"], ["cam1", "cam10"], {0: 0, 1: 1}),
        (["videoleft", "videoright"], ["left", "right"], {0: 0, 1: 1}),
        (["front left x", "front right x"], ["front_left", "front_right"], {0: 0, 1: 1}),
        (["run_a", "other"], ["a", "b"], {0: 0}),
        (["x", "y"], ["a", "b"], {}),
        (["left", "Mid_2024é", "right"], ["left", "mid", "right"], {0: 0, 1: 1, 2: 2}),
        (["rec_1", "rec_2", "rec_13"], ["1", "2", "3"], {0: 0, 1: 1}),
        (["rec1x", "rec12x"], ["1", "2"], {0: 0}),
        (["cam_左_x", "cam_右_x"], ["cam_左", "cam_右"], {0: 0, 1: 1}),
        (["e\u0301_x", "b"], ["\u00e9", "b"], {0: 0, 1: 1}),
    ],
)
def test_names_of_views_hold_those_of_cameras(views, cameras, expected):
    assert match_names(views, cameras) == expected


def test_names_that_fit_twice_are_an_error():
    with pytest.raises(DataError, match="may be camera 'a' or 'b'"):
        match_names(["a_b"], ["a", "b"])
    with pytest.raises(DataError, match="both have the name of camera 'a'"):
        match_names(["x_a", "y_a"], ["a", "b"])


def test_views_follow_the_calibration():
    """In its order; cameras and views without partner are said."""
    result = joined(view("run_c"), view("run_a"), view("odd"), cameras=rig("a", "b", "c"))
    assert result.members["camera_names"].tolist() == ["a", "c"]
    assert len(result.members["intrinsics"]) == 2
    assert line(result, "left out").endswith(": odd")
    assert line(result, "calibrated cameras without tracks").endswith(": b")
    assert line(result, "views by the cameras' names: run_a is a, run_c is c")


def test_no_name_in_common_is_an_error():
    with pytest.raises(DataError, match=r"0 of the views x, y have the name .*\(a, b\).*NAME=FILE"):
        joined(view("x"), view("y"), cameras=rig("a", "b"))
    with pytest.raises(DataError, match="1 view"):
        joined(view("a"), cameras=rig("a", "b"))


def test_keypoints_are_matched_by_name():
    result = joined(
        view("a", keypoints=("nose", "tail", "ear")),
        view("b", keypoints=("tail", "nose")),
        view("c", keypoints=("tail",)),
    )
    assert result.members["keypoint_names"].tolist() == ["nose", "tail"]
    points = result.members["points"]
    np.testing.assert_array_equal(points[0, :, :, 1], np.tile([0, 1], (10, 1)))
    np.testing.assert_array_equal(points[1, :, :, 1], np.tile([1, 0], (10, 1)))
    assert np.isnan(points[2, :, 0]).all()
    assert line(result, "keypoints that one view alone has are left out: ear")
    assert line(result, "keypoints differ").endswith("c has no nose")


def test_no_keypoint_in_common_is_an_error():
    with pytest.raises(DataError, match="no keypoint is in two views: a has x; b has y"):
        joined(view("a", keypoints="x"), view("b", keypoints="y"))


def test_frames_that_one_view_lacks_are_missing_there():
    result = joined(view("a", 12), view("b", 10), view("c", 8, first_frame=3))
    points = result.members["points"]
    np.testing.assert_array_equal(points[0, :, 0, 0], np.arange(11))
    assert np.isnan(points[1, 10]).all()
    assert np.isnan(points[2, :3]).all()
    np.testing.assert_array_equal(points[2, 3:, 0, 0], np.arange(3, 11))
    assert "(a 12, b 10, c 8 from 3): frames 0 to 10 are kept" in line(result, "numbers of frames")


def test_no_frame_in_common_is_an_error():
    with pytest.raises(DataError, match=r"no frame is in two views.*a 0 to 9, b 20 to 29"):
        joined(view("a"), view("b", first_frame=20))


def test_offset_of_a_view_that_began_late():
    result = joined(view("a"), view("b"), options=ImportOptions(offsets={"b": 4}))
    np.testing.assert_array_equal(result.members["points"][1, 4 - 4 :, 0, 0][:6], np.arange(6))
    np.testing.assert_array_equal(result.members["points"][0, :, 0, 0], np.arange(4, 10))
    with pytest.raises(ConfigError, match="no view 'd'; allowed: a, b"):
        joined(view("a"), view("b"), options=ImportOptions(offsets={"d": 4}))
    assert parse_offsets(["b=4", "a=-2"]) == {"b": 4, "a": -2}
    for bad in ("b", "b=x", "=4"):
        with pytest.raises(ConfigError, match="--offset"):
            parse_offsets([bad])


@pytest.mark.parametrize(("fps", "step"), [(60.0, 2), (45.0, 1.5), (30.0, 1)])
def test_of_a_faster_view_the_nearest_frames_are_taken(fps, step):
    result = joined(view("a", 20, fps=30.0), view("b", int(20 * step), fps=fps))
    assert result.members["fps"] == 30
    x = result.members["points"][1, :, 0, 0]
    assert len(x) == 20
    assert np.abs(x / step - np.arange(20)).max() <= 0.5
    said = [note for note in result.notes if note.startswith("frame rates differ")]
    assert len(said) == (fps != 30)


def test_nearly_equal_rates_are_one():
    result = joined(view("a", fps=29.97), view("b", fps=30.0))
    assert result.members["points"].shape[1] == 10
    assert line(result, "frame rates a 29.97, b 30: taken as one")
    given = joined(view("a", fps=30.0), view("b", fps=60.0), options=ImportOptions(fps=100))
    assert given.members["fps"] == 100
    assert given.members["points"].shape[1] == 10


def test_confidence():
    """No score is full confidence; what is below the limit is missing."""
    score = np.linspace(0, 0.9, 10)[:, None, None] * np.ones((1, 1, 2))
    score[5] = np.nan
    result = joined(
        view("a"), view("b", confidence=score), options=ImportOptions(min_confidence=0.25)
    )
    np.testing.assert_array_equal(result.members["confidence"][0], 1)
    assert result.members["confidence"][1, 5, 0] == 1
    assert np.isnan(result.members["points"][1, :3]).all()
    assert np.isfinite(result.members["points"][1, 3:]).all()
    with pytest.raises(ConfigError, match="--min_confidence 2"):
        ImportOptions(min_confidence=2)


def test_another_image_size_is_said():
    a = replace(view("a"), image_size=(320, 240))
    assert "nothing was scaled" in line(joined(a, view("b")), "a was calibrated for images of 640")


def test_frames_that_begin_at_another_number_are_said():
    result = joined(view("a", first_frame=100), view("b", first_frame=100))
    assert "is frame 100 of the views" in line(result, "frame 0 of what is lifted")
    assert not joined(view("a"), view("b")).notes


def test_truth_keeps_its_frames():
    truth = np.arange(10.0)[:, None, None] * np.ones((1, 2, 3))
    result = joined(view("a"), view("b", 6, first_frame=2), truth=truth)
    np.testing.assert_array_equal(result.members["truth"][:, 0, 0], np.arange(2, 8))
