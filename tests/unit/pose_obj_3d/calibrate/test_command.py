"""The command, on rendered pictures and videos."""

import json
import tomllib

import cv2
import numpy as np
import pytest

from pose_obj_3d.calibrate.__main__ import main
from pose_obj_3d.importing.calibrations.reading import read_calibration
from pose_obj_3d.lifting.track_files.track_file import read_tracks
from tests.unit.pose_obj_3d.calibrate.rendered import SIZE, Camera, poses, printed
from tests.unit.pose_obj_3d.calibrate.rigs import Rig, board

FRAMES = 9
CHESSBOARD, CHARUCO = "chessboard:7x5:0.03", "charuco:6x5:0.04:0.03:DICT_4X4_50"


@pytest.fixture(scope="module")
def pictures():
    """Give the pictures of two cameras, chessboard and charuco: {board: [[picture]]}."""
    rng, rig = np.random.default_rng(0), Rig()
    cameras = [Camera(rig.K[v], rig.distortion) for v in (0, 1)]
    found = {}
    for text in (CHESSBOARD, CHARUCO):
        own = board(text)
        image, places = printed(own), poses(own, FRAMES, rng, spread=0.08)
        found[text] = [
            [camera.take(own, image, *rig.in_camera(v, *pose), rng) for pose in places]
            for v, camera in enumerate(cameras)
        ]
    return found


def write(folder, pictures, names=("left", "middle")):
    for name, images in zip(names, pictures, strict=True):
        (folder / name).mkdir(parents=True)
        for i, image in enumerate(images):
            cv2.imwrite(str(folder / name / f"{i:03d}.png"), image)
    return folder


def call(*flags):
    return main([*map(str, flags), "--no_pictures"])


def one_line(capsys, *words):
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(error) == 1
    assert len(error[0]) < 500
    for word in words:
        assert word in error[0], error[0]


def test_pictures_of_a_chessboard(pictures, tmp_path, capsys):
    folder, out = write(tmp_path / "in", pictures[CHESSBOARD]), tmp_path / "out"
    assert main([str(folder), "--board", CHESSBOARD, "--out", str(out), "--units", "mm"]) == 0
    assert "left out" in capsys.readouterr().out
    rig = Rig()
    with np.load(out / "calibration.npz") as file:
        found = {name: file[name] for name in file.files}
    assert np.abs(found["intrinsics"][:, 0, 0] / rig.K[:2, 0, 0] - 1).max() < 0.005
    R, t = found["extrinsics"][1, :, :3], found["extrinsics"][1, :, 3]
    assert np.linalg.norm(-R.T @ t - 1000 * rig.centres[1]) < 4.0
    # What lift reads: the same keys beside points.
    np.savez(tmp_path / "tracks.npz", points=np.full((2, 3, 1, 2), 100.0), **found)
    tracks = read_tracks(tmp_path / "tracks.npz")
    assert tracks.camera_names == ["left", "middle"]
    assert tracks.unit == "mm"
    toml = tomllib.loads((out / "calibration.toml").read_text(encoding="utf-8"))
    assert toml["cam_1"]["name"] == "middle"
    assert toml["cam_1"]["size"] == list(SIZE)
    assert np.allclose(toml["cam_1"]["matrix"], found["intrinsics"][1])
    again = read_calibration(out / "calibration.toml", "mm")
    assert np.allclose(again.extrinsics, found["extrinsics"])
    assert np.allclose(again.distortion[:, :5], found["distortion"])
    assert list(again.names) == ["left", "middle"]
    turned, _ = cv2.Rodrigues(np.array(toml["cam_1"]["rotation"]))
    assert np.allclose(turned, R)
    assert np.allclose(toml["cam_1"]["translation"], t)
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["cameras"][0]["sightings"] >= FRAMES - 2
    assert (out / "calibration.png").stat().st_size > 10_000
    assert "calibration.png" in (out / "report.md").read_text(encoding="utf-8")


def test_videos_of_a_charuco_board(pictures, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for name, images in zip(("left", "middle"), pictures[CHARUCO], strict=True):
        path = str(tmp_path / "in" / f"{name}.avi")
        writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 10, SIZE, False)
        for image in images[: FRAMES - (name == "middle")]:
            writer.write(image)
        writer.release()
    assert call(tmp_path / "in", "--board", CHARUCO, "--out", tmp_path / "out") == 0
    assert "different numbers of frames: left 9, middle 8" in capsys.readouterr().out
    with np.load(tmp_path / "out" / "calibration.npz") as file:
        assert np.abs(file["intrinsics"][:, 0, 0] / Rig().K[:2, 0, 0] - 1).max() < 0.03


def test_mirrored_pictures_of_a_charuco_board(pictures, tmp_path, capsys):
    images = [pictures[CHARUCO][0], [np.fliplr(p) for p in pictures[CHARUCO][1]]]
    folder = write(tmp_path / "in", images)
    assert call(folder, "--board", CHARUCO, "--out", tmp_path / "out") == 2
    one_line(capsys, "middle", "mirror", "--two_sided")
    assert not (tmp_path / "out").exists()


def test_a_board_of_another_size(pictures, tmp_path, capsys):
    folder = write(tmp_path / "in", [p[:5] for p in pictures[CHESSBOARD]])
    assert call(folder, "--board", "chessboard:8x6:0.03") == 2
    one_line(capsys, "8x6", "0 of 5 pictures", "7x5 inner corners")


def test_pictures_of_two_sizes(pictures, tmp_path, capsys):
    folder = write(tmp_path / "in", [p[:3] for p in pictures[CHESSBOARD]])
    cv2.imwrite(str(folder / "left" / "009.png"), np.zeros((50, 60), np.uint8))
    assert call(folder, "--board", CHESSBOARD) == 2
    one_line(capsys, "left", "60x50", "320x240")


def test_files_that_cannot_be_read(tmp_path, capsys):
    (tmp_path / "left.mp4").write_bytes(b"no video at all")
    assert call("--camera", f"left={tmp_path / 'left.mp4'}", "--board", CHESSBOARD) == 2
    one_line(capsys, "left.mp4", "no video that can be read")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"no picture")
    assert call("--camera", f"left={tmp_path / 'a'}", "--board", CHESSBOARD) == 2
    one_line(capsys, "1.png", "no picture that can be read")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--board", "chess:7x5:0.03"], ["--board", "allowed", "charuco:"]),
        (["--board", "chessboard:7x5:30mm"], ["30mm", "25 mm"]),
        (["--board", "chessboard:2x5:0.03"], ["2x5", "3 to 100"]),
        (["--board", "charuco:5x7:0.03:0.04:DICT_4X4_50"], ["do not fit"]),
        (["--board", "charuco:5x7:0.04:0.03:DICT_9X9_50"], ["DICT_9X9_50", "DICT_4X4_50"]),
        (["--board", "charuco:15x17:0.04:0.03:DICT_4X4_50"], ["127 markers", "has 50"]),
        (["--board", CHESSBOARD], ["--camera NAME=PATH"]),
        (["--board", CHESSBOARD, "--camera", "left"], ["NAME=PATH"]),
        (["--board", CHESSBOARD, "--camera", "left=nothing*.png"], ["left", "nothing*.png"]),
        (["nowhere", "--board", CHESSBOARD], ["nowhere", "no folder"]),
        (["--board", CHESSBOARD, "--world", "up"], ["--world", "board:FRAME"]),
        (["--board", CHESSBOARD, "--max_frames", "1"], ["--max_frames 1", "5"]),
    ],
)
def test_flags_that_cannot_be(flags, words, capsys):
    assert call(*flags) == 2
    one_line(capsys, *words)


def test_names_of_cameras(pictures, tmp_path, capsys):
    folder = write(tmp_path / "in", [p[:2] for p in pictures[CHESSBOARD]])
    twice = ["--camera", f"a={folder}/left", "--camera", f"a={folder}/middle"]
    assert call(*twice, "--board", CHESSBOARD) == 2
    one_line(capsys, "given twice")
    assert call(folder, "--board", CHESSBOARD, "--lens", "wide") == 2
    one_line(capsys, "--lens", "pinhole or fisheye", "left")
    numbers = ["--camera", f"a={folder}/left/000.png", "--camera", f"b={folder}/middle/001.png"]
    assert call(*numbers, "--board", CHESSBOARD) == 2
    one_line(capsys, "no number in common")
