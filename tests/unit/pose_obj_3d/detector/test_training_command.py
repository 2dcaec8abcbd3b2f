"""`run_detector.py` from config to report, and its answers to bad input."""

import dataclasses
import json
import shutil

import cv2
import numpy as np
import pytest

from pose_obj_3d.common.errors import CheckpointError, DataError
from pose_obj_3d.detector.clips import demo_clips
from pose_obj_3d.detector.images import DemoPictures
from pose_obj_3d.detector.learning import checkpoint as checkpoints
from pose_obj_3d.detector.learning.finding import TrainedDetector
from pose_obj_3d.detector.learning.training import Training
from pose_obj_3d.detector.prompts import ArchivePrompts
from pose_obj_3d.detector.training_command import main, reported
from pose_obj_3d.formal import read_formal
from tests.unit.pose_obj_3d.detector.pictured import Pictured, write_pictured

TINY = """
DATA: {ARCHIVE: archive.npz, TASK: 9}
NETWORK: {WIDTH: 4, DEPTH: 1}
TRAIN: {STEPS: 4, BATCH_SIZE: 4}
TEST: {DEMOS: 1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictured")
    write_pictured(folder, Pictured(examples=8, frames=4))
    (folder / "tiny.yaml").write_text(TINY, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """A finished run of both folds: its folder of checkpoints."""
    out = tmp_path_factory.mktemp("out")
    assert main(["--cfg", str(folder / "tiny.yaml"), "--log", str(out)]) == 0
    (found,) = (out / "checkpoint" / "detector").iterdir()
    return found


def fault(capsys, *arguments):
    """The one line of a command that fails."""
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    error = [line for line in lines if line.startswith("error:")]
    assert len(error) == 1
    assert len(error[0]) < 500
    return error[0]


def clips_of(archive, example):
    pictures = DemoPictures(read_formal(archive))
    return demo_clips(pictures, ArchivePrompts(pictures, 9), 9, example)


def test_run_writes_report_and_detectors_of_all_folds(run, folder):
    logs = run.parents[2] / "log" / "detector" / run.name
    report = json.loads((logs / "report.json").read_text())
    assert [fold["fold"] for fold in report["folds"]] == [0, 1]
    assert report["folds"][0]["seen"]["all"]["count"] > 0
    assert "kept by the gate" in (logs / "report.txt").read_text()
    detectors = [TrainedDetector(run / f"fold_{n}" / "best.pt") for n in (0, 1)]
    clips = clips_of(folder / "archive.npz", 0)
    for detector in detectors:
        assert detector.gate_px > 0
        found = detector.detect(clips)
        channels = np.stack([part.channels() for part in found])
        assert channels.shape == (4, 4, len(detector.keypoints), 7)
        assert np.isfinite(channels).all()
        assert (channels[..., 2:4] > 0).all()


def test_no_demo_is_in_training_and_test_of_a_fold(run):
    demos = [set(TrainedDetector(run / f"fold_{n}" / "best.pt").subject.demos) for n in (0, 1)]
    assert demos[0]
    assert not demos[0] & demos[1]


def test_finished_run_can_be_continued_by_a_larger_budget(run, folder):
    again = run.parents[2]
    arguments = ["--cfg", str(folder / "tiny.yaml"), "--log", str(again), "--fold", "1"]
    assert main([*arguments, "--resume_checkpoint", "auto"]) == 0
    assert len(list(run.parent.iterdir())) == 1
    logs = again / "log" / "detector" / run.name
    report = json.loads((logs / "report.json").read_text())
    assert [fold["fold"] for fold in report["folds"]] == [0, 1]  # fold 0 is of the earlier run
    assert "Fold 0" in (logs / "report.txt").read_text()


def test_a_damaged_report_of_a_fold_is_named(run, tmp_path):
    logs = run.parents[2] / "log" / "detector" / run.name
    shutil.copytree(logs, tmp_path / "logs")
    assert [report["fold"] for report in reported(tmp_path / "logs")] == [0, 1]
    (tmp_path / "logs" / "fold_0" / "report.json").write_text('{"fold"')
    with pytest.raises(CheckpointError, match=r"fold_0/report.json: damaged report"):
        reported(tmp_path / "logs")


def test_a_run_that_is_refused_keeps_its_config(run, folder, tmp_path, capsys):
    logs = run.parents[2] / "log" / "detector" / run.name
    before = (logs / "config.yaml").read_text()
    assert "STEPS: 4" in before
    (tmp_path / "tiny.yaml").write_text(TINY.replace("archive.npz", str(folder / "archive.npz")))
    start = ("--cfg", tmp_path / "tiny.yaml", "--log", run.parents[2])
    said = fault(capsys, *start, "--resume_checkpoint", "auto", "--steps", 5)
    assert "TRAIN.STEPS: 4 there, 5 here" in said
    assert (logs / "config.yaml").read_text() == before


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (100, "DATA.LABELLED_FRAMES 100: 85 of them are for 2 demo(s) of T9, which have 8 frames"),
        (2, "16 labels of held-out demos are too few to calibrate the claims on, at least 30"),
    ],
)
def test_labels_that_do_not_fit_are_refused_before_the_training(
    folder, tmp_path, capsys, monkeypatch, labels, said
):
    monkeypatch.setattr(Training, "fit", lambda *_: pytest.fail("trained"))
    path = folder / f"{tmp_path.name}.yaml"
    path.write_text(TINY.replace("TASK: 9", f"TASK: 9, LABELLED_FRAMES: {labels}"))
    assert said in fault(capsys, "--cfg", path, "--log", tmp_path, "--fold", 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TINY.replace("archive.npz", "absent.npz"), "no such file"),
        (TINY.replace("STEPS", "STEP"), "TRAIN.STEP is unknown; did you mean"),
        (TINY.replace("TASK: 9", "TASK: 8"), "T8"),
        (TINY.replace("TASK: 9", "TASK: 9, FOLDS: 7"), "7 folds"),
        (TINY.replace("TASK: 9", "TASK: 9, KEYPOINTS: [boxes]"), "no group that T9 has"),
        (TINY.replace("WIDTH: 4", "WIDTH: 0"), "NETWORK.WIDTH"),
        ("[]", "mapping"),
    ],
)
def test_bad_config_is_one_line(folder, tmp_path, capsys, text, said):
    path = folder / f"{tmp_path.name}.yaml"
    path.write_text(text, encoding="utf-8")
    assert said in fault(capsys, "--cfg", path, "--log", tmp_path)


def test_bad_flags_are_one_line(folder, tmp_path, capsys):
    start = ("--cfg", folder / "tiny.yaml", "--log", tmp_path)
    assert "--fold 2 does not exist" in fault(capsys, *start, "--fold", 2)
    assert "two budgets" in fault(capsys, *start, "--minutes", 1, "--steps", 1)
    assert "TRAIN.MINUTES" in fault(capsys, *start, "--minutes", -1)
    assert "no fold_<n>/last.pt" in fault(capsys, *start, "--resume_checkpoint", tmp_path)


def test_pictures_of_another_size_are_one_line(folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "data")
    picture = next((tmp_path / "data" / "raw").rglob("*_rgb_0.png"))
    cv2.imwrite(str(picture), np.zeros((32, 64, 3), np.uint8))
    for fold in (0, 1):
        text = (tmp_path / "data" / "tiny.yaml", "--log", tmp_path, "--fold", fold)
        if main(["--cfg", *map(str, text)]) == 2:
            break
    assert "64 x 32 px, the archive says 64 x 64" in capsys.readouterr().err


def test_archive_without_pictures_is_one_line(folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "data")
    for picture in (tmp_path / "data" / "raw").rglob("*_rgb_*.png"):
        picture.unlink()
    said = fault(capsys, "--cfg", tmp_path / "data" / "tiny.yaml", "--log", tmp_path)
    assert "pictures are missing" in said


def test_detector_refuses_pictures_that_it_does_not_know(run, folder):
    detector = TrainedDetector(run / "fold_0" / "best.pt")
    clips = clips_of(folder / "archive.npz", 0)
    small = dataclasses.replace(clips[0], pictures=clips[0].pictures[:, :32])
    with pytest.raises(DataError, match="64 x 32 px; the detector knows 64 x 64"):
        detector.detect([small])
    with pytest.raises(DataError, match="the detector knows 4 cameras"):
        detector.detect([dataclasses.replace(clips[0], view=4)])


@pytest.mark.parametrize("key", ["keypoints", "cameras", "model", "calibration", "config"])
def test_damaged_checkpoint_is_named(run, tmp_path, key):
    state = checkpoints.load(run / "fold_0" / "best.pt")
    checkpoints.save(tmp_path / "best.pt", {k: v for k, v in state.items() if k != key})
    with pytest.raises(CheckpointError, match="best.pt"):
        TrainedDetector(tmp_path / "best.pt")
