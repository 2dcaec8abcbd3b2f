"""Which files of a folder are read, which view each is, and what lies beside them."""

import pickle
import shutil
from collections import OrderedDict

import cv2
import numpy as np
import pytest

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.importing.tracks.opening import import_tracks as imported
from pose_obj_3d.importing.tracks.options import ImportOptions

PLAIN = ImportOptions()


@pytest.fixture
def given(made):
    return ImportOptions(calibration=made / "calibration.toml")


def write_video(path, fps, size):
    path.parent.mkdir(exist_ok=True)
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, size)
    for _ in range(3):
        video.write(np.zeros((size[1], size[0], 3), np.uint8))
    video.release()


def test_a_name_says_which_view_a_file_is(made, known, tmp_path, given):
    files = sorted((made / "dlc_csv").iterdir())
    for number, file in enumerate(files):
        shutil.copy(file, tmp_path / f"{number}.csv")
    sources = [f"right={tmp_path}/0.csv", f"left={tmp_path}/2.csv"]
    members = imported(sources, given).members
    assert members["camera_names"].tolist() == ["left", "right"]
    np.testing.assert_allclose(members["points"], known.points[[2, 0], :, :, :][:, :, 0])
    with pytest.raises(DataError, match=r"0 of the views 0, 1, 2 have the name"):
        imported([str(tmp_path)], given)


def test_a_folder_for_each_view_with_the_calibration(made, known, tmp_path):
    for file in (made / "analysis").iterdir():
        folder = tmp_path / file.name.split("_")[1].split(".")[0]
        folder.mkdir()
        shutil.copy(file, folder)
    shutil.copy(made / "calibration.toml", tmp_path)
    found = imported([str(tmp_path)], PLAIN)
    np.testing.assert_allclose(found.members["points"], known.points[:, :, 0], atol=1e-6)
    assert f"calibration: {tmp_path / 'calibration.toml'}" in found.notes


def test_nothing_says_where_the_cameras_are(made):
    with pytest.raises(DataError, match="add --calibration FILE"):
        imported([str(made / "dlc_csv")], PLAIN)


def test_unfiltered_tracks_are_read(made, known, tmp_path, given):
    for file in (made / "dlc_csv").iterdir():
        shutil.copy(file, tmp_path)
        other = next((made / "two_animals").glob(f"{file.name[:3]}*.csv"))
        shutil.copy(other, tmp_path / f"{file.stem}_filtered.csv")
    found = imported([str(tmp_path)], given)
    np.testing.assert_allclose(found.members["points"], known.points[:, :, 0])
    assert any(note.startswith("not read, of the same video") for note in found.notes)


def test_a_video_beside_says_rate_and_size(made, tmp_path, given):
    for file in (made / "dlc_csv").iterdir():
        shutil.copy(file, tmp_path)
    for name in ("left", "mid"):
        write_video(tmp_path / f"{name}.avi", 60, (64, 48))
    write_video(tmp_path / "right.avi", 30, (640, 480))
    found = imported([str(tmp_path)], given)
    assert found.members["fps"] == 30
    assert found.members["image_size"].tolist() == [[64, 48], [64, 48], [640, 480]]
    assert sum("nothing was scaled" in note for note in found.notes) == 2
    assert any(note.startswith("frame rates differ (left 60, mid 60") for note in found.notes)


class Settings(dict):
    """Of a network, as DeepLabCut stores them; nobody reads them."""


def crop(folder, view, parameters, **more):
    """Write what DeepLabCut says of a video beside the view's table."""
    table = next(folder.glob(f"{view}DLC*.csv"))
    data = {
        "DLC-model-config file": Settings(bodyparts=["nose"], init=OrderedDict(a=1)),
        "fps": 50.0,
        "cropping": True,
        "cropping_parameters": parameters,
    }
    raw = pickle.dumps({"data": {**data, **more}})
    table.with_name(f"{table.stem}_meta.pickle").write_bytes(raw)


def test_what_deeplabcut_has_cropped_is_put_into_whole_images(made, known, tmp_path, given):
    for file in (made / "dlc_csv").iterdir():
        shutil.copy(file, tmp_path)
    crop(tmp_path, "left", [100, 300, 20, 200])
    crop(tmp_path, "mid", [7, 300, 8, 200], cropping=False)
    found = imported([str(tmp_path)], given)
    expected = known.points[:, :, 0].copy()
    expected[0] += [100, 20]
    np.testing.assert_allclose(found.members["points"], expected)
    assert found.members["fps"] == 50
    assert sum("the video was cropped: 100, 20 px" in note for note in found.notes) == 1


@pytest.mark.parametrize("parameters", [["a", 1, 2, 3], [1, 2], None, [np.float64(1), 2, 3, 4]])
def test_metadata_that_cannot_be_read_are_said(made, known, tmp_path, given, parameters):
    for file in (made / "dlc_csv").iterdir():
        shutil.copy(file, tmp_path)
    crop(tmp_path, "left", parameters)
    other = next(tmp_path.glob("mid*.csv"))
    other.with_name(f"{other.stem}_meta.pickle").write_bytes(
        pickle.dumps({"data": {"cropping": 1}})
    )
    found = imported([str(tmp_path)], given)
    np.testing.assert_allclose(found.members["points"], known.points[:, :, 0])
    assert sum("_meta.pickle cannot be read" in note for note in found.notes) == 2
    assert any("_meta.pickle cannot be read" in note for note in found.notes)


@pytest.fixture
def project(made, tmp_path):
    shutil.copytree(made / "anipose", tmp_path / "project")
    return tmp_path / "project"


def test_anipose_crops_videos_and_filters(made, known, project):
    """The config's offset is added; the filtered tracks are those that the config wants."""
    session = project / "mouse1"
    (session / "pose-2d-filtered").mkdir()
    for file in (session / "pose-2d").glob("run1*"):
        shutil.copy(file, session / "pose-2d-filtered")
    write_video(session / "videos-raw" / "run1_cam-left.avi", 50, (64, 48))
    (project / "config.toml").write_text(
        "[triangulation]\ncam_regex = '_cam-([a-z]+)$'\n[filter]\nenabled = true\n"
        "[cameras.left]\noffset = [100, 20]\n"
    )
    found = imported([str(project)], PLAIN)
    expected = known.points[:, :, 0].copy()
    expected[0] += [100, 20]
    np.testing.assert_allclose(found.members["points"], expected, atol=1e-6)
    assert found.members["fps"] == 50
    assert any("2D tracks of pose-2d-filtered; for those of pose-2d" in n for n in found.notes)
    raw = imported([str(session / "pose-2d")], PLAIN)
    assert raw.members["sequence_starts"].tolist() == [0, 40]


def test_anipose_without_a_regex(known, project):
    """The calibrated cameras' names are sought."""
    (project / "config.toml").write_text("nesting = 1\n")
    found = imported([str(project)], PLAIN)
    assert found.members["camera_names"].tolist() == ["left", "mid", "right"]
    np.testing.assert_allclose(found.members["points"][:, :40], known.points[:, :, 0], atol=1e-6)
    assert found.members["sequence_starts"].tolist() == [0, 40]


def test_recordings_of_different_lengths_and_cameras(known, project):
    """What a recording lacks is missing; a line says it."""
    poses = project / "mouse1" / "pose-2d"
    (poses / "run2_cam-mid.h5").unlink()
    shutil.copy(poses / "run2_cam-left.h5", poses / "run1_cam-left.h5")
    found = imported([str(project)], PLAIN)
    points = found.members["points"]
    assert points.shape[1] == 60
    assert np.isnan(points[0, 20:40]).all()
    assert np.isnan(points[1, 40:]).all()
    np.testing.assert_allclose(points[2, :40], known.points[2, :, 0], atol=1e-6)
    assert any("left 20 of 40 in run1" in note for note in found.notes)
