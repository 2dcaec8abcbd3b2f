"""Images of generated episodes: their shape, their calibration, and whose ids their masks hold."""

import json

import numpy as np
import pytest

from data_generation.RLBench import generate_data
from data_generation.RLBench.raw.episode import segmentation_names
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.records import calibration as calibration_of
from data_generation.RLBench.raw.store import RawStore
from pyrep_mujoco.vision.rendering import select_gl_backend
from rlbench import cameras
from rlbench.backend.exceptions import RenderingError
from rlbench.demo import BACKGROUND, add_names
from tests.unit.rlbench.checkout.checkout_files import write_checkout

CAMS = ["front", "wrist", "overhead"]
ROBOT = {"Panda_gripper", "Panda_leftfinger", "Panda_rightfinger"}


@pytest.fixture
def generate(tmp_path, monkeypatch):
    """Return a function that makes one episode and gives its store."""
    for name in ("RLBENCH_ROOT", "RLBENCH_TASKS_FROM"):
        monkeypatch.delenv(name, raising=False)
    try:
        select_gl_backend()
    except RenderingError as error:
        pytest.skip(str(error))

    def run(task, *flags, **settings):
        config = tmp_path / "config.json"
        config.write_text(json.dumps({"train_task_ids": [task], "n_ex_per_task": 1, **settings}))
        root = tmp_path / f"data{task}"
        argv = ["--path_dataset", str(root), "--path_dataset_config", str(config), *flags]
        assert generate_data.main(argv) == 0
        return RawStore(root)

    return run


@pytest.mark.slow
@pytest.mark.parametrize("shape", [[60, 96, 3], [96, 60, 3]])
def test_images_are_as_high_and_wide_as_asked_for(generate, shape):
    store = generate(0, obs_dim=shape, cams=CAMS, keypoints=["objects", "robot"])
    height, width, key = *shape[:2], EpisodeKey(0, 0, 0)
    tracks, record = store.read_tracks(key), store.read_record(key)
    assert tracks.image_size == (width, height)
    for cam in CAMS:
        assert store.read_rgb(key, cam, 0).shape == (height, width, 3)
        assert store.read_ids(key, cam, 0).shape == (height, width)
        K = calibration_of(record, cam).intrinsics
        assert K[:2, 2].tolist() == [width / 2, height / 2]
        assert K[0, 0] == K[1, 1]
    # The target lies, in depth and mask, where its track says.
    k = tracks.keypoint_names.index("robot/left_finger")
    names, last, checked = segmentation_names(record), record["n_frames"] - 1, 0
    for v, cam in enumerate(tracks.track_cams):
        if cam not in CAMS or tracks.visibility[v, last, k] < 1:
            continue
        calibration = calibration_of(record, cam)
        uv, depth = cameras.project(
            tracks.xyz[last, k], calibration.intrinsics, calibration.extrinsics
        )
        column, row = np.floor(uv).astype(int)
        assert abs(store.read_depth(key, cam, last)[row, column] - depth) < 0.05
        ids = store.read_ids(key, cam, last)[row - 1 : row + 2, column - 1 : column + 2]
        assert {names[int(i)] for i in ids.ravel()} & ROBOT
        checked += 1
    assert checked > 0


@pytest.mark.slow
def test_everything_in_masks_has_a_name_of_its_own(generate):
    store = generate(0, obs_dim=[96, 96, 3], cams=CAMS)
    key = EpisodeKey(0, 0, 0)
    record = store.check(key)
    names = segmentation_names(record)
    assert len(set(names.values())) == len(names)
    assert names[0] == BACKGROUND
    frames = range(0, record["n_frames"], 10)
    seen = {int(i) for t in frames for c in CAMS for i in np.unique(store.read_ids(key, c, t))}
    assert seen <= set(names)
    shown = {names[i] for i in seen}
    assert {
        "diningTable_visible",
        "Floor",
        "Wall3",
        "target",
        "distractor0",
        "distractor1",
    } <= shown
    assert shown >= ROBOT
    # The ids are those of the objects' poses too, whose names are without digits.
    path = store.task_dir(0) / "obj_poses" / "0" / "0_obj_poses.json"
    for frame in json.loads(path.read_text()):
        for obj in frame["objects"]:
            assert names[obj["id"]].rstrip("0123456789") == obj["name"]


@pytest.mark.slow
def test_shadows_and_antialiasing_change_colours_only(generate, tmp_path):
    settings = {"obs_dim": [64, 64, 3], "cams": ["front", "overhead"]}
    plain = generate(0, **settings)
    key, folder = EpisodeKey(0, 0, 0), tmp_path / "fine"
    flags = ("--path_dataset", str(folder))
    generate(0, *flags, **settings, shadows=True, antialiasing=4)
    fine = RawStore(folder)
    before, now = plain.read_record(key), fine.read_record(key)
    assert (before["shadows"], before["antialiasing"]) == (False, 0)
    assert (now["shadows"], now["antialiasing"]) == (True, 4)
    assert now["n_frames"] == before["n_frames"]
    for cam in settings["cams"]:
        for t in (0, now["n_frames"] - 1):
            assert (fine.read_rgb(key, cam, t) != plain.read_rgb(key, cam, t)).any()
            for read in ("read_depth", "read_ids"):
                images = [getattr(store, read)(key, cam, t) for store in (fine, plain)]
                np.testing.assert_array_equal(*images)
    tracks = [store.read_tracks(key) for store in (fine, plain)]
    np.testing.assert_array_equal(tracks[0].xyz, tracks[1].xyz)
    np.testing.assert_array_equal(tracks[0].visibility, tracks[1].visibility)


@pytest.mark.slow
def test_shapes_that_a_task_makes_have_names(generate, tmp_path):
    root = write_checkout(tmp_path / "checkout", ["pick_and_lift"])
    flags = ("--rlbench_root", str(root), "--tasks_from", "rlbench")
    store = generate(9, *flags, obs_dim=[96, 96, 3], cams=["front", "overhead"])
    key = EpisodeKey(9, 0, 0)
    record = store.check(key)
    names = segmentation_names(record)
    assert len(set(names.values())) == len(names)
    seen = {int(i) for c in ("front", "overhead") for i in np.unique(store.read_ids(key, c, 0))}
    assert seen <= set(names)
    assert sum(name.startswith("Cuboid") for name in names.values()) == 3


def test_one_handle_of_several_shapes_has_all_their_names():
    names = {0: BACKGROUND}
    for found in ({3: "crumb0", 4: "cup"}, {3: "crumb1"}, {3: "crumb0"}, {3: "crumb10", 4: "cup"}):
        add_names(names, found)
    assert names == {0: BACKGROUND, 3: "crumb0 | crumb1 | crumb10", 4: "cup"}
