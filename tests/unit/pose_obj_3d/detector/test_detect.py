"""The command `python -m pose_obj_3d.detect`: flags, archives, one line for each mistake."""

import dataclasses
import hashlib

import numpy as np
import pytest

from pose_obj_3d import detect
from pose_obj_3d.common.errors import MAX_MESSAGE
from pose_obj_3d.detector.folds import demo_id, make_folds
from pose_obj_3d.formal import read_formal
from tests.unit.pose_obj_3d.detector.fake_detector import ColourFinder, loaded
from tests.unit.pose_obj_3d.detector.pictured import TASK, Pictured, write_pictured


@pytest.fixture
def archive(tmp_path):
    return write_pictured(tmp_path, Pictured(examples=6, frames=3))


@pytest.fixture
def checkpoints(archive, tmp_path, monkeypatch):
    """Two files that load as detectors of two folds."""
    data = read_formal(archive)
    names = [demo_id(x) for x in data.tracks[TASK]]
    known = {}
    for fold in make_folds(data.split(TASK), 2, "T9"):
        path = tmp_path / f"fold_{fold.number}.pt"
        path.write_bytes(b"weights")
        demos = tuple(names[n] for n in fold.train)
        known[path] = loaded(path.stem, fold=fold.number, demos=demos)
    monkeypatch.setattr(detect, "load", lambda path, device: known[path])
    return sorted(known)


def run(archive, *flags):
    return detect.main(["--archive", str(archive), *map(str, flags)])


def test_an_archive_with_detections_is_written_once(archive, checkpoints, tmp_path, capsys):
    assert run(archive, "--checkpoint", *checkpoints) == 0
    out = tmp_path / "sim_all_detected.npz"
    data = read_formal(out)
    record = data.meta["detections"]
    assert record["detector"] == "fold_0, fold_1"
    assert set(record["folds"][f"T{TASK}"].values()) == {0, 1}
    assert record["labelled_frames"] is None
    assert len(data.detections[TASK]) == 6
    assert not (tmp_path / "sim_all_detected.npz.parts").exists()
    before = out.stat().st_mtime_ns
    assert run(archive, "--checkpoint", *checkpoints) == 0
    assert out.stat().st_mtime_ns == before
    assert "holds these detections already" in capsys.readouterr().out


def test_the_fewest_labels_of_all_tasks_are_written_down(archive, checkpoints, monkeypatch):
    plan = detect.plans.plan_trained

    def of_two_tasks(*given):
        (work,) = plan(*given)
        return [work, dataclasses.replace(work, labelled_frames=20)]

    monkeypatch.setattr(detect.plans, "plan_trained", of_two_tasks)
    assert run(archive, "--checkpoint", *checkpoints) == 0
    out = archive.with_name("sim_all_detected.npz")
    assert read_formal(out).meta["detections"]["labelled_frames"] == 20


def test_an_interrupted_run_keeps_what_it_found(archive, checkpoints, tmp_path, monkeypatch):
    plain, calls = ColourFinder.detect, []

    def stops(self, clips):
        calls.append(clips[0].example)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return plain(self, clips)

    monkeypatch.setattr(ColourFinder, "detect", stops)
    with pytest.raises(KeyboardInterrupt):
        run(archive, "--checkpoint", *checkpoints)
    assert not (tmp_path / "sim_all_detected.npz").exists()
    assert run(archive, "--checkpoint", *checkpoints) == 0
    assert sorted(calls) == [0, 1, 2, 3, 3, 4, 5]


def test_the_tracker_needs_no_checkpoint(archive, tmp_path):
    out = tmp_path / "tracked.npz"
    assert run(archive, "--tracker", "lucas_kanade", "--tasks", TASK, "--out", out) == 0
    data = read_formal(out)
    assert data.meta["detections"]["detector"] == "lucas_kanade"
    assert data.meta["detections"]["folds"] == {}
    assert np.isfinite(data.detections[TASK][0][..., 0]).any()


@pytest.mark.slow
def test_processes_share_the_demos(archive, tmp_path):
    flags = ["--tracker", "lucas_kanade", "--out"]
    assert run(archive, *flags, tmp_path / "one.npz") == 0
    assert run(archive, "--n_processes", 2, *flags, tmp_path / "two.npz") == 0
    one, two = (read_formal(tmp_path / f"{name}.npz") for name in ("one", "two"))
    for a, b in zip(one.detections[TASK], two.detections[TASK], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not list(tmp_path.glob("*.parts"))


def test_detections_of_another_program(archive, tmp_path, capsys):
    tracks = read_formal(archive).tracks[TASK]
    members = {f"T{TASK}/exemple_{n}": x[..., 2:4] for n, x in enumerate(tracks)}
    np.savez(tmp_path / "mine.npz", **members)
    out = tmp_path / "out.npz"
    assert run(archive, "--import", tmp_path / "mine.npz", "--name", "mine", "--out", out) == 0
    data = read_formal(out)
    assert data.meta["detections"]["detector"] == "mine"
    np.testing.assert_array_equal(data.detections[TASK][3][..., :2], tracks[3][..., 2:4])
    assert "T9: 100 % of the " in capsys.readouterr().err  # `checking` has the rest


def test_an_archive_that_came_with_the_project_is_kept(archive, tmp_path):
    out = tmp_path / "sim_all_detected.npz"
    out.write_bytes(b"shipped")
    digest = hashlib.sha256(b"shipped").hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  {out.name}\n")
    assert run(archive, "--tracker", "lucas_kanade") == 0
    assert (tmp_path / "sim_all_detected_shipped.npz").read_bytes() == b"shipped"
    assert read_formal(out).detections


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "give --checkpoint (best.pt of each fold), or --tracker, or --import"),
        (["--tracker", "lucas_kanade", "--import", "x.npz"], "give --checkpoint"),
        (["--tracker", "lucas_kanade", "--prompts", "x.json"], "--prompts is for detectors"),
        (["--checkpoint", "none.pt", "--tasks", "9"], "--tasks is for --tracker alone"),
        (["--checkpoint", "none.pt"], "none.pt: No such file or directory; run_detector.py makes"),
        (["--import", "none.npz"], "--import none.npz: not a readable npz file"),
        (["--tracker", "lucas_kanade", "--out", "archive.npz"], "is the archive that is read"),
        (["--tracker", "lucas_kanade", "--tasks", "3"], "T3 is missing"),
        (["--tracker", "lucas_kanade", "--n_processes", "0"], "--n_processes 0; allowed: 1 to"),
    ],
)
def test_mistakes_are_one_line(archive, tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    assert run(archive, *flags) == 2
    # Before it, a line may say that there is no GPU.
    *before, error = capsys.readouterr().err.splitlines()
    assert message in error
    assert not [line for line in before if line.startswith("error")]
    assert len(error) <= MAX_MESSAGE + len("error: ")


def test_one_fold_is_not_enough(archive, checkpoints, capsys):
    assert run(archive, "--checkpoint", checkpoints[0]) == 2
    assert "no fold left for" in capsys.readouterr().err


def test_the_other_folds_are_found_beside_one(archive, checkpoints, tmp_path, monkeypatch):
    known = {}
    for number, path in enumerate(checkpoints):
        place = tmp_path / "run" / f"fold_{number}" / "best.pt"
        place.parent.mkdir(parents=True)
        known[place] = detect.load(path, None)
    for place in known:
        place.write_bytes(b"weights")
    monkeypatch.setattr(detect, "load", lambda path, device: known[path])
    assert run(archive, "--checkpoint", min(known)) == 0
    folds = read_formal(tmp_path / "sim_all_detected.npz").meta["detections"]["folds"]
    assert set(folds[f"T{TASK}"].values()) == {0, 1}


def test_missing_pictures_are_one_line(archive, checkpoints, tmp_path, capsys):
    for path in tmp_path.glob("raw/9/front/0/2_rgb_*.png"):
        path.unlink()
    assert run(archive, "--checkpoint", *checkpoints) == 2
    assert "3 of 72 pictures are missing" in capsys.readouterr().err
