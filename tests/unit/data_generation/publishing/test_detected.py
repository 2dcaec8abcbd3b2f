"""An archive with detections, prepared for people who do not have its pictures."""

import cv2
import numpy as np
import pytest

from data_generation.RLBench.publishing import detected
from pose_obj_3d.formal import read_formal, write_formal
from tests.unit.pose_obj_3d.detector.pictured import TASK, Pictured, write_pictured


@pytest.fixture
def archive(tmp_path):
    """Write an archive whose detections are the truth, but for one that is far off."""
    data = read_formal(write_pictured(tmp_path, Pictured(examples=4, frames=5)))
    found = []
    for track in data.tracks[TASK]:
        x = np.ones((*track.shape[:3], 7), np.float32)
        x[..., :2], x[..., 4] = track[..., :2], 0
        x[0, :, 0, :4], x[1, :, 1, 2:4], x[2, :, 2, 6] = np.nan, np.nan, 0
        x[3, :, 3, :2] += 15
        found.append(x)
    meta = {**data.meta, "detections": {"detector": "mine", "labelled_frames": None}}
    path = tmp_path / "detected.npz"
    write_formal(path, data.tracks, meta, data.intrinsics, data.extrinsics, {TASK: found})
    return path


def test_the_copy_names_no_pictures_but_shows_some(archive, tmp_path, capsys):
    pytest.importorskip("deflate", reason="only whoever makes data sets for others needs it")
    assert detected.main([str(archive), str(tmp_path / "out")]) == 0
    assert "1 pictures written" in capsys.readouterr().out
    first, copy = read_formal(archive), read_formal(tmp_path / "out" / "detected.npz")
    assert "image_pattern" in first.meta
    assert not {"image_pattern", "mask_pattern"} & set(copy.meta)
    for a, b in zip(first.detections[TASK], copy.detections[TASK], strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(first.tracks[TASK], copy.tracks[TASK], strict=True):
        np.testing.assert_array_equal(a, b)
    sheet = cv2.imread(str(tmp_path / "out" / "pictures" / f"detected_T{TASK}.jpg"))
    assert sheet.shape == (3 * 128, 4 * 128, 3)


def test_a_detection_is_drawn_where_it_is(archive):
    data = read_formal(archive)
    bare = read_formal(archive)
    for x in bare.detections[TASK]:
        x[..., :4] = np.nan
    drawn, plain = (detected.frame_sheet(d, TASK) for d in (data, bare))
    changed = (drawn != plain).any(-1)
    view, frame = 2, 1  # of the first row
    u, v = data.detections[TASK][data.split(TASK)["test"][0]][view, frame, 1, :2] * 2
    assert changed[int(v), int(u) + view * 128]
    assert changed.mean() < 0.1


@pytest.mark.parametrize("fault", ["detections", "folder", "picture"])
def test_what_cannot_be_published_is_one_line(archive, tmp_path, capsys, fault):
    out = tmp_path / "out"
    if fault == "detections":
        archive, message = tmp_path / "archive.npz", "has no detections; make them with"
    elif fault == "folder":
        out, message = tmp_path, "is the folder of"
    else:
        for path in tmp_path.glob("raw/*/front/*/*_rgb_*.png"):
            path.unlink()
        message = "is missing; keep the raw data"
    assert detected.main([str(archive), str(out)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
