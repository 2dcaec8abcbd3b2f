"""The data set that ships with the project: what the data card promises."""

import hashlib
import logging

import numpy as np
import pytest

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.formal import (
    ARCHIVE_NAME,
    UV_EXACT,
    VISIBILITY,
    XYZ_WORLD,
    read_formal,
    shipped_archive,
)
from pose_obj_3d.training.config import PACKAGE_DIR, load_config
from pose_obj_3d.training.data_files import find_data
from tests.unit.pose_obj_3d.synthetic import project

FOLDER = PACKAGE_DIR / "data" / "RLBench_pose_est_data"
CONFIGS = sorted((PACKAGE_DIR / "cfg" / "submit").glob("*.yaml"))
DETECTED = (9, 12, 40, 54, 79)
# The other archives of pixels do not ship: docs/pixels.md makes them.
OF_PIXELS = [p for p in CONFIGS if "pixels" in p.stem]
SHIPPED = [
    p for p in CONFIGS if p not in OF_PIXELS or p.stem.endswith(tuple(f"_{t}" for t in DETECTED))
]


def listed():
    """Names and checksums of what ships; a user's own archive may have taken a name since."""
    return dict(reversed(line.split()) for line in (FOLDER / "SHA256SUMS").read_text().splitlines())


def shipped(name):
    path = shipped_archive(FOLDER, name)
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == listed()[name]:
        return path
    pytest.skip(f"{name} was replaced by another archive, without a copy beside it")
    return None


@pytest.fixture(scope="module")
def main():
    return read_formal(shipped(ARCHIVE_NAME))


def test_archives_are_small_and_have_their_checksums():
    assert list(listed()) == [ARCHIVE_NAME, "sim_all_detected.npz", "sim_more_formal.npz"]
    assert shipped(ARCHIVE_NAME).stat().st_size <= 50e6
    assert shipped("sim_more_formal.npz").stat().st_size <= 15e6
    card = (FOLDER / "README.md").read_text()
    assert "CC BY 4.0" in card
    for picture in (FOLDER / "pictures").iterdir():
        assert f"(pictures/{picture.name})" in card


def test_main_archive_holds_the_studied_tasks(main):
    assert {t: len(x) for t, x in main.tracks.items()} == dict.fromkeys((9, 12, 40, 54, 79), 300)
    for task in main.tracks:
        assert {name.split("/")[0] for name in main.keypoint_names(task)} == {
            "waypoints",
            "objects",
            "robot",
        }
        assert len(main.split(task)["test"]) == 60
    assert main.image_size == (256, 256)
    assert main.sigma_px == pytest.approx(0.00504 * 256)


def test_three_keypoints_of_each_task_move(main):
    for task, examples in main.tracks.items():
        moving = []
        for x in examples:
            step = np.linalg.norm(np.diff(x[0, ..., XYZ_WORLD], axis=0), axis=-1) > 0.005 * 0.05
            still = np.zeros((1, x.shape[2]), bool)
            moving.append(np.concatenate([step, still]) | np.concatenate([still, step]))
        share = np.concatenate(moving).mean(axis=0)
        assert (share >= 0.2).sum() >= 3, task


def test_truth_projects_onto_the_exact_2d(main):
    for task, examples in main.tracks.items():
        for x in examples[::50]:
            uv = project(x[0, ..., XYZ_WORLD].astype(np.float64), main.intrinsics, main.extrinsics)
            inside = x[..., VISIBILITY] > 0
            assert np.abs(uv - x[..., UV_EXACT])[inside].max() < 1e-3, task
            assert (x[..., XYZ_WORLD] == x[:1, ..., XYZ_WORLD]).all()


def test_variations_are_cycled(main):
    for task, count in {9: 20, 12: 1, 40: 1, 54: 2, 79: 3}.items():
        variations = [source["variation"] for source in main.meta["sources"][f"T{task}"]]
        assert variations == [n % count for n in range(300)], task


@pytest.mark.parametrize("path", SHIPPED, ids=[p.stem for p in SHIPPED])
def test_every_config_finds_its_data(path):
    section = load_config(path).OBJ_POSE_DATA
    detected = section.DETECTIONS == "detected"
    assert find_data(section.ROOT_DIR, path, section.train_tasks(), detected=detected).is_file()


def test_shipped_detections_are_of_demonstrations_that_their_detector_had_not_seen():
    data = read_formal(shipped("sim_all_detected.npz"))
    assert sorted(data.detections) == list(DETECTED)
    about = data.meta["detections"]
    for task in DETECTED:
        assert len(data.detections[task]) == 100
        folds = about["folds"][f"T{task}"]
        trained = {str(n) for kind in ("train", "val") for n in data.split(task)[kind]}
        assert trained <= set(folds)
        assert set(folds.values()) == set(range(4 if task in (9, 12, 40) else 2))
        medians = []
        for track, found in zip(data.tracks[task], data.detections[task], strict=True):
            assert found.shape == (*track.shape[:3], 7)
            seen = track[..., VISIBILITY] == 1
            error = np.linalg.norm(found[..., :2] - track[..., UV_EXACT], axis=-1)
            medians.append(np.nanmedian(error[seen]))
        # In pixels; of another demonstration's pictures they would be tens of them.
        assert np.median(medians) < 2
        assert max(medians) < 8


@pytest.mark.parametrize("path", OF_PIXELS, ids=[p.stem for p in OF_PIXELS])
def test_a_config_of_pixels_says_where_its_archive_comes_from(path):
    section = load_config(path).OBJ_POSE_DATA
    assert section.DETECTIONS == "detected"
    missing = section.ROOT_DIR.replace("sim_all_detected", "no_such_archive")
    with pytest.raises(ConfigError, match=r"docs/pixels\.md says how to make an archive"):
        find_data(missing, path, section.train_tasks(), detected=True)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_trigger_no_notice(path, caplog):
    caplog.set_level(logging.INFO)
    load_config(path)
    assert not caplog.messages
