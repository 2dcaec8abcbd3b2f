"""Json folders of OpenPose and Pose2Sim become tracks; of several people one is found."""

import json

import cv2
import numpy as np
import pytest

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.import_tracks import main
from pose_obj_3d.importing.people import openpose
from pose_obj_3d.importing.people.body_parts import BODIES
from pose_obj_3d.importing.tracks.views import Wanted

VIEWS, FRAMES, KEYPOINTS = 3, 12, 25
NAMES = ["cam01", "cam02", "cam03"]


@pytest.fixture(scope="module")
def scene():
    """Three cameras around two people who walk past each other; points (people, V, T, K, 2)."""
    rng = np.random.default_rng(0)
    body = rng.normal(0, [0.3, 0.2, 0.5], (KEYPOINTS, 3)) + np.array([0, 0, 1])
    walk = np.linspace(-1, 1, FRAMES)[:, None]
    place = np.stack([walk * [0.8, 0.1, 0], walk * [-0.8, 0.2, 0] + [0, 1.0, 0]])
    xyz = place[:, :, None] + body
    K = np.array([[1000.0, 0, 640], [0, 1000, 360], [0, 0, 1]])
    E = []
    for angle in (0.2, 1.5, 2.9):
        at = 6 * np.array([np.cos(angle), np.sin(angle), 0]) + [0, 0, 1.5]
        z = (np.array([0, 0, 1.0]) - at) / np.linalg.norm(np.array([0, 0, 1.0]) - at)
        x = np.cross(z, [0, 0, 1.0])
        R = np.stack([x / np.linalg.norm(x), np.cross(z, x / np.linalg.norm(x)), z])
        E.append(np.concatenate([R, -(R @ at)[:, None]], 1))
    E = np.stack(E)
    local = np.einsum("vij,ptkj->pvtki", E[:, :, :3], xyz) + E[None, :, None, None, :, 3]
    uv = np.einsum("ij,pvtkj->pvtki", K, local)
    return uv[..., :2] / uv[..., 2:], K, E


def person(points, confidence=0.9, hands=False):
    """Return a person as OpenPose's json has him."""
    flat = np.concatenate([points, np.full((len(points), 1), confidence)], 1).ravel().tolist()
    found = {"person_id": [-1], "pose_keypoints_2d": flat}
    for part in ("face", "hand_left", "hand_right"):
        found[f"{part}_keypoints_2d"] = [1.0, 2.0, 0.5] * 21 if hands and part != "face" else []
    return found


def write(folder, frames, name="{}_{:012d}_keypoints.json", first=0):
    folder.mkdir(parents=True)
    for t, people in enumerate(frames):
        path = folder / name.format(folder.name.removesuffix("_json"), t + first)
        path.write_text(json.dumps({"version": 1.3, "people": people}))


def calibration(path, K, E):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = ""
    for name, e in zip(NAMES, E, strict=True):
        text += f'[{name}]\nname = "{name}"\nsize = [1280, 720]\nmatrix = {K.tolist()}\n'
        text += "distortions = [0.0, 0.0, 0.0, 0.0]\n"
        text += f"rotation = {e[:, :3].tolist()}\ntranslation = {e[:, 3].tolist()}\n"
    path.write_text(text)


@pytest.fixture
def crowd(tmp_path, scene):
    """The second person is in two views alone; the order of people changes in every frame."""
    uv, K, E = scene
    rng = np.random.default_rng(1)
    for v, name in enumerate(NAMES):
        frames = []
        for t in range(FRAMES):
            people = [person(uv[0, v, t])] + ([person(uv[1, v, t])] if v else [])
            rng.shuffle(people)
            frames.append(people)
        write(tmp_path / "Trial_1" / "pose" / f"{name}_json", frames, "{}_{:06d}.json")
    calibration(tmp_path / "calibration" / "Calib_scene.toml", K, E)
    return tmp_path / "Trial_1"


def test_the_person_in_most_views_is_found_in_every_frame(crowd, scene, tmp_path, capsys):
    """A project of Pose2Sim: its cameras lie beside the trial."""
    out = tmp_path / "tracks.npz"
    assert main([str(crowd), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "two or more views agree in 12 of 12 frames" in said
    assert "so m is assumed; --units sets it" in said
    file = np.load(out)
    np.testing.assert_allclose(file["points"], scene[0][0], atol=1e-6)
    np.testing.assert_allclose(file["extrinsics"], scene[2], atol=1e-12)
    assert file["keypoint_names"].tolist() == list(BODIES[25])
    assert (file["confidence"] == 0.9).all()


def test_a_projects_videos_say_rate_and_size(crowd, tmp_path, capsys):
    """One was scaled after the calibration: it is said."""
    (crowd / "videos").mkdir()
    for name, size in zip(NAMES, [(128, 72), (1280, 720), (1280, 720)], strict=True):
        path = str(crowd / "videos" / f"{name}.avi")
        video = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 60, size)
        video.write(np.zeros((size[1], size[0], 3), np.uint8))
        video.release()
    out = tmp_path / "tracks.npz"
    assert main([str(crowd), "--out", str(out)]) == 0
    assert "cam01 was calibrated for images of 1280 x 720" in capsys.readouterr().out
    assert float(np.load(out)["fps"]) == 60


def test_the_unit_of_a_project_can_be_said(crowd, tmp_path):
    out = tmp_path / "tracks.npz"
    assert main([str(crowd), "--out", str(out), "--units", "mm"]) == 0
    assert str(np.load(out)["units"]) == "mm"


def test_a_view_that_lacks_the_person_stays_empty(crowd, scene):
    """In a frame where one view has the other person alone, he is not taken."""
    uv = scene[0]
    path = crowd / "pose" / "cam03_json" / "cam03_000004.json"
    path.write_text(json.dumps({"version": 1.3, "people": [person(uv[1, 2, 4])]}))
    found = openpose.read(crowd, Wanted())
    assert np.isnan(found.views[2].points[4]).all()
    np.testing.assert_allclose(found.views[2].points[5, 0], uv[0, 2, 5], atol=1e-6)


def test_one_person_needs_no_calibration_to_be_read(tmp_path, scene):
    """OpenPose's names; undetected keypoints are 0, frames may be missing, hands may be there."""
    points = scene[0][0].copy()
    points[1, 3, 7] = 0
    for v, name in enumerate(NAMES):
        write(tmp_path / "json" / name, [[person(points[v, t], hands=True)] for t in range(FRAMES)])
    (tmp_path / "json" / "cam01" / "cam01_000000000005_keypoints.json").unlink()
    found = openpose.read(tmp_path / "json", Wanted())
    assert [view.name for view in found.views] == NAMES
    assert np.isnan(found.views[0].points[5]).all()
    assert np.isnan(found.views[1].points[3, 0, 7]).all()
    assert np.isfinite(found.views[1].points[4]).all()
    assert found.views[0].keypoints[25:27] == ("left_hand_0", "left_hand_1")
    assert len(found.views[0].keypoints) == 25 + 42


def test_several_people_without_calibration_are_refused(crowd):
    with pytest.raises(DataError, match=r"up to 2 people.*--calibration"):
        openpose.read(crowd / "pose", Wanted())
    with pytest.raises(DataError, match="its parent folder"):
        openpose.read(crowd / "pose" / "cam02_json", Wanted())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no json file of people"),
        ('{"people": 3}', "no list of people"),
        ('{"people": [{"pose_keypoints_2d": [1, 2]}]}', "x, y, confidence of each keypoint"),
        ('{"people": [{"pose_keypoints_2d": ["a", "b", "c"]}]}', "x, y, confidence"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, 0.5]}]}', "earlier frames have 25"),
        ("[" * 100_000, "no json file of people"),
    ],
)
def test_damaged_files_are_one_line(tmp_path, scene, text, says):
    write(tmp_path / "cam01", [[person(scene[0][0, 0, t])] for t in range(3)])
    path = tmp_path / "cam01" / "cam01_000000000001_keypoints.json"
    path.write_text(text)
    with pytest.raises(DataError, match=says) as caught:
        openpose.read(tmp_path, Wanted())
    assert path.name in str(caught.value)
    assert len(str(caught.value)) < 500


def test_other_folders_are_not_known(tmp_path):
    (tmp_path / "a.json").write_text('{"x": 1}')
    (tmp_path / "sub").mkdir()
    assert not openpose.knows(tmp_path)
    assert not openpose.knows(tmp_path / "a.json")


@pytest.mark.parametrize("name", ["frame{1}_2d.json", "{1}{0}.json", "{0}.{1}a.json"])
def test_frames_are_told_by_the_number_that_differs(tmp_path, scene, name):
    """In the order of names, frame 10 would come before frame 2."""
    points = scene[0][0, 0]
    write(tmp_path / "cam01", [[person(points[t])] for t in range(FRAMES)], name, first=3)
    (view,) = openpose.read(tmp_path / "cam01", Wanted()).views
    np.testing.assert_allclose(view.points[:, 0], points)
    assert view.first_frame == 3


def test_names_without_numbers_are_said(tmp_path, scene):
    folder = tmp_path / "camera"
    write(folder, [[person(scene[0][0, 0, t])] for t in range(2)], "x{1}.json")
    for number, name in enumerate(("a", "b")):
        (folder / f"x{number}.json").rename(folder / f"{name}.json")
    (note,) = openpose.read(folder, Wanted()).notes
    assert "no number in the files' names tells the frame" in note
