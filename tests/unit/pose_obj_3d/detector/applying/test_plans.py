"""Each demo is detected by a detector that has not seen it; an interrupted run continues."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from pose_obj_3d.common.errors import DataError, FormalError
from pose_obj_3d.common.frame_files import frame_file
from pose_obj_3d.detector.applying.lucas_kanade import NAME
from pose_obj_3d.detector.applying.parts import Parts
from pose_obj_3d.detector.applying.plans import DESCRIPTION, plan_tracker, plan_trained
from pose_obj_3d.detector.applying.running import detect_task, part_key
from pose_obj_3d.detector.applying.writing import write_detected
from pose_obj_3d.detector.folds import demo_id, make_folds
from pose_obj_3d.detector.images import DemoPictures
from pose_obj_3d.formal import read_formal
from tests.unit.pose_obj_3d.detector.fake_detector import loaded
from tests.unit.pose_obj_3d.detector.pictured import KEYPOINTS, TASK, Pictured, write_pictured


@pytest.fixture
def pictures(tmp_path):
    return DemoPictures(read_formal(write_pictured(tmp_path, Pictured(examples=6, frames=3))))


@pytest.fixture
def folds(pictures):
    """Two detectors, each trained on the demos of the other's fold."""
    names = [demo_id(x) for x in pictures.data.tracks[TASK]]
    return [
        loaded(f"fold {f.number}", fold=f.number, demos=tuple(names[n] for n in f.train))
        for f in make_folds(pictures.data.split(TASK), 2, "T9")
    ]


def test_detections_are_found_where_the_keypoints_are(pictures, folds, tmp_path):
    (work,) = plan_trained(pictures, folds, None)
    found = detect_task(pictures, work, Parts.of(tmp_path / "x.npz"))
    assert len(found) == 6
    for x, track in zip(found, pictures.data.tracks[TASK], strict=True):
        assert x.shape == (4, 3, 4, 7)
        error = np.linalg.norm(x[..., [1, 3], :2] - track[..., [1, 3], :2], axis=-1)
        assert np.nanmedian(error) < 1
        assert np.isnan(x[..., [0, 2], :4]).all()  # not known to the detector
        assert (x[..., [0, 2], 5:] == 0).all()
        is_missed = np.isnan(x[..., 0])
        assert np.isnan(x[is_missed, :4]).all()


def test_folds_are_written_down(pictures, folds, tmp_path):
    (work,) = plan_trained(pictures, folds, None)
    demos = {str(f.detector.subject.fold): f.detector.subject.demos for f in folds}
    for example, fold in work.fold_of().items():
        assert demo_id(pictures.data.tracks[TASK][int(example)]) not in demos[str(fold)]
    assert set(work.fold_of()) == set(map(str, range(6)))


def test_an_interrupted_run_continues(pictures, folds, tmp_path):
    (work,) = plan_trained(pictures, folds, None)
    parts = Parts.of(tmp_path / "x.npz")
    first = detect_task(pictures, work, parts)
    assert sum(entry.detector.calls for entry in folds) == 6
    (parts.folder / f"{part_key(pictures, work, 2)}.npy").unlink()
    (parts.folder / f"{part_key(pictures, work, 3)}.npy").write_bytes(b"cut")
    again = Parts.of(tmp_path / "x.npz")
    second = detect_task(pictures, work, again)
    assert sum(entry.detector.calls for entry in folds) == 8
    assert again.reused == 4
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    other = replace(work, marks=["another", "one"])
    detect_task(pictures, other, Parts.of(tmp_path / "x.npz"))
    assert sum(entry.detector.calls for entry in folds) == 14


def test_a_demo_that_another_process_has_is_awaited(pictures, folds, tmp_path):
    (work,) = plan_trained(pictures, folds, None)
    parts, other = (Parts.of(tmp_path / "x.npz") for _ in range(2))
    whole = detect_task(pictures, work, Parts.of(tmp_path / "y.npz"))
    key = part_key(pictures, work, 2)
    with ThreadPoolExecutor() as pool, other.claim(key) as is_ours:
        assert is_ours
        with parts.claim(key) as also:
            assert not also
        before = sum(entry.detector.calls for entry in folds)
        running = pool.submit(detect_task, pictures, work, parts)
        deadline = time.monotonic() + 60
        while sum(entry.detector.calls for entry in folds) < before + 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(TimeoutError):
            running.result(timeout=0.5)
        assert sum(entry.detector.calls for entry in folds) == before + 5
        other.write(key, whole[2])
        found = running.result(timeout=60)
    assert sum(entry.detector.calls for entry in folds) == before + 5
    for a, b in zip(found, whole, strict=True):
        np.testing.assert_array_equal(a, b)
    parts.remove()
    assert other.folder.is_dir()  # it is still needed
    other.remove()
    assert not other.folder.exists()


def test_the_archive_in_another_folder_still_finds_its_pictures(pictures, folds, tmp_path):
    (work,) = plan_trained(pictures, folds, None)
    out = tmp_path / "deep" / "er" / "x.npz"
    record = {"detector": "fake", "folds": {f"T{TASK}": work.fold_of()}, "labelled_frames": None}
    alike = [[KEYPOINTS[1], KEYPOINTS[2]]]
    found = detect_task(pictures, work, Parts.of(out))
    write_detected(out, pictures.data, {TASK: found}, record, {TASK: alike})
    data = read_formal(out)
    assert data.exchangeable(TASK) == alike
    assert frame_file(out, data.meta, (TASK, 2, "front", 1)).is_file()
    np.testing.assert_array_equal(DemoPictures(data).read(TASK, 2, 3, 1), pictures.read(9, 2, 3, 1))
    assert DemoPictures(data).read_ids(TASK, 0, 0).shape == (64, 64)


def test_no_fold_left(pictures, folds):
    with pytest.raises(DataError, match="no fold left for .* examples of T9"):
        plan_trained(pictures, folds[:1], None)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"cameras": ("front", "back")},
            DataError,
            "knows the cameras front, back; .* left_should",
        ),
        ({"image_size": (128, 96)}, DataError, "128 x 96 px, those of .* have 64 x 64"),
        ({"task": 12}, FormalError, "T12 is missing; the file holds T9"),
    ],
)
def test_detectors_of_other_data_are_refused(pictures, changes, error, message):
    with pytest.raises(error, match=message):
        plan_trained(pictures, [loaded("x", **changes)], None)


def test_detectors_of_other_keypoints_are_refused(pictures):
    entry = loaded("x")
    entry.detector.keypoints.append("objects/plate")
    with pytest.raises(DataError, match=r"x.pt: the detector finds 1 keypoint.* objects/plate"):
        plan_trained(pictures, [entry], None)


def test_detectors_with_other_prompts_do_not_go_together(pictures, folds):
    other = loaded("other", prompts=((KEYPOINTS[2],),))
    with pytest.raises(DataError, match="other.pt: this detector needs other prompts"):
        plan_trained(pictures, [*folds, other], None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.detector.keypoints.pop(), "finds other keypoints than"),
        (
            lambda e: setattr(
                e.detector, "subject", replace(e.detector.subject, exchangeable=(("a", "b"),))
            ),
            "tells other keypoints apart than",
        ),
    ],
)
def test_detectors_that_say_other_things_do_not_go_together(pictures, folds, change, message):
    change(folds[1])
    with pytest.raises(DataError, match=f"fold 1.pt: this detector {message} fold 0.pt; use the"):
        plan_trained(pictures, folds, None)


def test_detectors_with_other_labels_do_not_go_together(pictures, folds):
    few = replace(folds[1], labelled_frames=20)
    with pytest.raises(DataError, match="other labels .20 frames of each view; all. than fold 0"):
        plan_trained(pictures, [folds[0], few], None)


def test_networks_with_one_number_are_folds_of_their_own(pictures, folds):
    again = loaded("fold 0 of another training", fold=0)
    (work,) = plan_trained(pictures, [*folds, again], None)
    assert work.folds == [0, 1, 2]
    networks = {(work.chosen[int(n)], fold) for n, fold in work.fold_of().items()}
    assert len({network for network, _ in networks}) == len({fold for _, fold in networks})


def test_prompts_by_description_are_other_work(pictures, folds, tmp_path):
    (plain,) = plan_trained(pictures, folds, None)
    (described,) = plan_trained(pictures, folds, DESCRIPTION)
    assert part_key(pictures, plain, 0) != part_key(pictures, described, 0)
    found = detect_task(pictures, described, Parts.of(tmp_path / "x.npz"))
    error = found[0][..., 1, :2] - pictures.data.tracks[TASK][0][..., 1, :2]
    assert np.nanmedian(np.abs(error)) < 1
    with pytest.raises(DataError, match="--prompts .*none.json"):
        plan_trained(pictures, folds, str(tmp_path / "none.json"))


def test_the_tracker_starts_from_labels_or_from_a_detector(pictures, folds, tmp_path):
    (work,) = plan_tracker(pictures, [], [])
    assert work.fold_of() == {}
    found = detect_task(pictures, work, Parts.of(tmp_path / "x.npz"))
    seen = pictures.data.tracks[TASK][0][:, 0, :, 7] == 1
    assert np.isfinite(found[0][:, 0, :, 0]).tolist() == seen.tolist()
    (started,) = plan_tracker(pictures, [], plan_trained(pictures, folds, None))
    assert {d.name for d in started.detectors} == {NAME}
    assert set(started.fold_of()) == set(map(str, range(6)))
    found = detect_task(pictures, started, Parts.of(tmp_path / "y.npz"))
    assert np.isnan(found[0][..., 2, 0]).all()
    with pytest.raises(FormalError, match="T3 is missing"):
        plan_tracker(pictures, [3], [])
