"""An archive with detections, prepared for people who do not have its pictures."""

import cv2
import numpy as np
import pytest

from data_generation.RLBench.publishing import detected
from pose_obj_3d.formal import read_formal, write_formal
from tests.unit.pose_obj_3d.detector.pictured import TASK, Pictured, write_pictured


@pytest.fixture
def archive(tmp_path):
    """Write an archive with detections, and a drawing of them."""
    data = read_formal(write_pictured(tmp_path, Pictured(examples=4, frames=5)))
    found = [np.ones((*track.shape[:3], 7), np.float32) for track in data.tracks[TASK]]
    for x in found:
        x[..., 4] = 0
    meta = {**data.meta, "detections": {"detector": "mine", "labelled_frames": None}}
    path = tmp_path / "detected.npz"
    write_formal(path, data.tracks, meta, data.intrinsics, data.extrinsics, {TASK: found})
    drawn = tmp_path / "drawn" / f"T{TASK}" / "frames.png"
    drawn.parent.mkdir(parents=True)
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, :30] = (0, 0, 255)  # OpenCV's red
    cv2.imwrite(str(drawn), picture)
    return path


def run(archive, out):
    pictures = archive.parent / "drawn"
    return detected.main([str(archive), str(out), "--pictures", str(pictures)])


def test_the_copy_names_no_pictures_but_comes_with_some(archive, tmp_path, capsys):
    pytest.importorskip("deflate", reason="only whoever makes data sets for others needs it")
    assert run(archive, tmp_path / "out") == 0
    assert "1 pictures written" in capsys.readouterr().out
    first, copy = read_formal(archive), read_formal(tmp_path / "out" / "detected.npz")
    assert "image_pattern" in first.meta
    assert not {"image_pattern", "mask_pattern"} & set(copy.meta)
    for a, b in zip(first.detections[TASK], copy.detections[TASK], strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(first.tracks[TASK], copy.tracks[TASK], strict=True):
        np.testing.assert_array_equal(a, b)
    picture = cv2.imread(str(tmp_path / "out" / "pictures" / f"detected_T{TASK}.jpg"))
    assert picture.shape == (40, 60, 3)
    assert picture[20, 10].tolist() == pytest.approx([0, 0, 255], abs=9)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("detections", "has no detections; make them with"),
        ("folder", "is the folder of"),
        ("missing", "is missing; draw it with pose_obj_3d.show_detections"),
        ("damaged", "not a PNG image"),
    ],
)
def test_what_cannot_be_published_is_one_line(archive, tmp_path, capsys, fault, message):
    out, drawn = tmp_path / "out", tmp_path / "drawn" / f"T{TASK}" / "frames.png"
    if fault == "detections":
        archive = tmp_path / "archive.npz"
    elif fault == "folder":
        out = tmp_path
    elif fault == "missing":
        drawn.unlink()
    else:
        drawn.write_bytes(b"text")
    assert run(archive, out) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
