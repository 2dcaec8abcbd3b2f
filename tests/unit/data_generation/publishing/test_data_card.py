"""The data card says what the archives hold, and its checksums are theirs."""

import hashlib
import json

import cv2
import numpy as np
import pytest

from data_generation.RLBench.publishing import data_card
from pose_obj_3d.formal import read_formal, write_formal
from tests.unit.pose_obj_3d.synthetic import write_scene

VALIDATION = [
    {
        "task": "task_9",
        "keypoints": {"waypoints/waypoint0": {"hidden_by": {"robot": 0.25, "lid": 0.01}}},
    }
]


@pytest.fixture
def archives(tmp_path):
    folder = tmp_path / "archives"
    main = write_scene(folder / "sim_all_formal.npz", tasks=(9, 12))
    with np.load(main) as archive:
        members = {name: archive[name] for name in archive.files}
    for name, member in members.items():
        if name.startswith("T9/"):
            member[:, :, 0, 7] = 0.5
    np.savez_compressed(main, **members)
    write_scene(folder / "more.npz", tasks=(0,))
    return folder


def write(archives, output, *flags):
    return data_card.main([str(archives), "--output", str(output), *map(str, flags)])


def test_card_pictures_and_checksums(tmp_path, archives, capsys):
    pictures, validation = tmp_path / "pictures", tmp_path / "v.json"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "task_9.png"), np.zeros((40, 60, 3), np.uint8))
    validation.write_text(json.dumps(VALIDATION))
    output = tmp_path / "card"
    assert write(archives, output, "--pictures", pictures, "--validation", validation) == 0
    text = (output / "README.md").read_text()
    assert "{{" not in text
    assert "| `sim_all_formal.npz` | T9 (6), T12 (6) | 288 |" in text
    assert "| T0 | `task_0` | 6 (4/1/1) |" in text
    assert "**waypoints** (2)" in text
    assert "![T9](pictures/task_9.jpg)" in text
    assert "by robot 25 %" in text
    assert "lid 1 %" not in text
    assert sorted(p.name for p in (output / "pictures").iterdir()) == ["task_9.jpg"]
    for line in (output / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((output / name).read_bytes()).hexdigest() == digest
    capsys.readouterr()
    assert write(archives, output) == 0
    assert "same bytes as before" in capsys.readouterr().out
    write_scene(archives / "more.npz", tasks=(0,), seed=1)
    assert write(archives, output) == 0
    assert "bytes changed" in capsys.readouterr().out


def test_user_errors_are_one_line(tmp_path, archives, capsys):
    (tmp_path / "v.json").write_text("[{}]")
    (tmp_path / "empty").mkdir()
    assert write(archives, tmp_path / "o", "--validation", tmp_path / "v.json") == 2
    assert write(tmp_path / "empty", tmp_path / "o") == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert "is not the JSON of rlbench.tools.task_validator" in lines[0]
    assert "holds no .npz archive" in lines[-1]
    assert not (tmp_path / "o").exists()


def test_archives_with_detections_have_a_section(tmp_path, archives):
    output = tmp_path / "card"
    assert write(archives, output) == 0
    assert "## Detections" not in (output / "README.md").read_text()
    write_scene(archives / "sim_all_detected.npz", tasks=(9,), detected=True)
    assert write(archives, output) == 0
    text = (output / "README.md").read_text()
    assert "| `sim_all_detected.npz` | T9 (6) | drawn | all | - |" in text
    assert text.count("| T9 | `task_9` |") == 1
    assert "sim_all_detected.npz" in (output / "SHA256SUMS").read_text()


def test_detectors_of_one_kind_are_named_once(tmp_path, archives):
    path = archives / "sim_all_detected.npz"
    write_scene(path, tasks=(9,), detected=True)
    data = read_formal(path)
    names = "detector t9_20260101_010203, detector t9_20260102_010203, other"
    meta = {**data.meta, "detections": {**data.meta["detections"], "detector": names}}
    calibration = data.intrinsics, data.extrinsics
    write_formal(path, data.tracks, meta, *calibration, detections=data.detections)
    assert write(archives, tmp_path / "card") == 0
    text = (tmp_path / "card" / "README.md").read_text()
    assert "| T9 (6) | detector t9, other | all |" in text


def test_detections_alone_make_no_card(tmp_path, capsys):
    write_scene(tmp_path / "a" / "sim_all_detected.npz", examples=3, detected=True)
    assert write(tmp_path / "a", tmp_path / "card") == 2
    assert "only archives with detections" in capsys.readouterr().err


def test_folds_are_counted_by_task_where_they_differ():
    two, three = {"0": 0, "1": 1}, {"0": 0, "1": 1, "2": 2}
    assert data_card._folds({"folds": {"T9": two, "T12": two}}) == "2"
    assert data_card._folds({"folds": {"T9": two, "T12": three}}) == "T9 2, T12 3"
    assert data_card._folds({"folds": {}}) == data_card._folds({}) == "-"
