import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_generation.RLBench.config import DatasetConfig
from data_generation.RLBench.errors import DamagedEpisodeError, StoreError
from data_generation.RLBench.raw import episode_writer
from data_generation.RLBench.raw import images as image_files
from data_generation.RLBench.raw.episode import CameraFilm, segmentation_names
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.folder import FORMAT
from data_generation.RLBench.raw.store import RawStore
from tests.unit.data_generation.fake_source import make_episode

CONFIG = DatasetConfig(
    "test",
    obs_dim=(12, 16, 3),
    cams=("left", "right"),
    track_cams=("left", "top"),
    registered_actions=("abs_joint_position", "abs_ee_pose"),
)
KEY = EpisodeKey(task_id=9, example=1, variation=2)


@pytest.fixture
def store(tmp_path):
    store = RawStore(tmp_path / "data")
    store.create(0, CONFIG.fingerprint())
    yield store
    store.close()


@pytest.fixture
def episode():
    return make_episode(KEY, CONFIG)


def test_round_trip(store, episode):
    store.write(KEY, episode)
    tracks = store.read_tracks(KEY)
    np.testing.assert_array_equal(tracks.xyz, episode.xyz)
    np.testing.assert_array_equal(tracks.visibility, episode.visibility)
    np.testing.assert_array_equal(tracks.intrinsics[1], episode.cameras["top"].intrinsics)
    np.testing.assert_array_equal(tracks.extrinsics[1], episode.cameras["top"].extrinsics)
    assert tracks.keypoint_names == episode.keypoint_names
    assert tracks.random_seed == episode.random_seed
    np.testing.assert_array_equal(store.read_array(KEY, "ee_state"), episode.ee_state)
    for name, actions in episode.actions.items():
        np.testing.assert_array_equal(store.read_array(KEY, f"actions/{name}"), actions)
    np.testing.assert_array_equal(store.read_array(KEY, "waypoints"), episode.waypoint_frames)


def test_robot_states_come_back(store, episode):
    states = {"joint_positions": np.ones((episode.n_frames, 7)), "task": np.eye(episode.n_frames)}
    store.write(KEY, replace(episode, robot_state=states))
    found = store.read_robot_state(KEY, store.check(KEY))
    assert list(found) == list(states)
    for name, values in states.items():
        np.testing.assert_array_equal(found[name], values)


def test_an_episode_may_have_no_robot_states(store, episode):
    store.write(KEY, episode)
    assert store.read_robot_state(KEY, store.check(KEY)) == {}


def test_images_come_back(store, episode):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (episode.n_frames, 12, 16, 3), dtype=np.uint8)
    depth = rng.uniform(0.5, 3.0, (episode.n_frames, 12, 16)).astype(np.float32)
    ids = rng.integers(0, 400, (episode.n_frames, 12, 16))
    film = CameraFilm()
    for t in range(episode.n_frames):
        film.add(rgb[t], depth[t], ids[t])
    assert len(film) == episode.n_frames
    store.write(KEY, replace(episode, films={"left": film}))
    for t in range(episode.n_frames):
        np.testing.assert_array_equal(store.read_rgb(KEY, "left", t), rgb[t])
        np.testing.assert_allclose(store.read_depth(KEY, "left", t), depth[t], atol=5.1e-4)
        np.testing.assert_array_equal(store.read_ids(KEY, "left", t), ids[t])


def test_ids_have_names_which_earlier_episodes_lack(store, episode):
    store.write(KEY, episode)
    assert segmentation_names(store.check(KEY))[398] == "thing398"
    info = {k: v for k, v in episode.info.items() if k != "segmentation_names"}
    store.write(KEY, replace(episode, info=info))
    assert segmentation_names(store.check(KEY)) == {}
    assert store.read_tracks(KEY).keypoint_names == episode.keypoint_names


def test_layout_is_the_documented_one(store, episode):
    store.write(KEY, episode)
    task = store.root / "train" / "9"
    for name in (
        "obs/left/2/1_rgb_0.png",
        "obs/right/2/1_depth_3.png",
        "obs_segmentations/left/2/1_seg_0.png",
        "actions/abs_ee_pose/2/1_actions.npy",
        "ee_state/2/1_ee_state.npy",
        "waypoints/2/actual_waypoints_ts_1.npy",
        "obj_poses/2/1_obj_poses.json",
        "traj_keypoints/2/1_traj_keypoints.json",
        "seeds/2/1_seed.npy",
        "episodes/2/1/episode.json",
    ):
        assert (task / name).is_file(), name
    assert not list((task / ".staging").iterdir())


def test_rgb_is_not_swapped():
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    blue_first = cv2.imdecode(np.frombuffer(image_files.encode_rgb(red), np.uint8), -1)
    assert blue_first[0, 0].tolist() == [0, 0, 255]


def test_depth_is_16_bit_and_never_wraps():
    depth = np.array([[0.0, 1.0, 4.5], [70.0, np.inf, np.nan]], np.float32)
    decoded = image_files.decode_depth(image_files.encode_depth(depth))
    np.testing.assert_allclose(decoded, [[0, 1, 4.5], [65.535, 0, 0]], atol=1e-6)


def test_ids_out_of_range_are_refused():
    with pytest.raises(ValueError, match="0 to 65535"):
        image_files.encode_ids(np.array([[70000]]))


def test_episodes_are_ordered_variation_fastest(store):
    for example, variation in ((1, 0), (0, 1), (10, 0), (0, 0), (2, 0)):
        key = EpisodeKey(9, example, variation)
        store.write(key, make_episode(key, CONFIG))
    assert [(k.example, k.variation) for k in store.episodes(9)] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (2, 0),
        (10, 0),
    ]


def test_rewriting_leaves_no_frames_of_the_longer_episode(store):
    for key in (EpisodeKey(9, 1, 2), EpisodeKey(9, 11, 2)):
        store.write(key, make_episode(key, CONFIG))
    long, short = (
        sorted(
            (make_episode(EpisodeKey(9, e, 0), CONFIG) for e in range(20)),
            key=lambda x: -x.n_frames,
        )[i]
        for i in (0, -1)
    )
    store.write(KEY, long)
    store.write(KEY, short)
    images = list((store.task_dir(9) / "obs/left/2").glob("1_rgb_*"))
    assert len(images) == short.n_frames < long.n_frames
    store.check(KEY)
    store.check(EpisodeKey(9, 11, 2))


@pytest.mark.parametrize("stop_at", ["encode", "move", "record", "end"])
def test_a_kill_at_any_moment_leaves_nothing_or_everything(store, episode, monkeypatch, stop_at):
    class Killed(BaseException):
        pass

    def killed(*args, **kwargs):
        raise Killed

    if stop_at == "encode":
        real = episode_writer.episode_files
        monkeypatch.setattr(
            episode_writer,
            "episode_files",
            lambda k, e: (x if i < 5 else killed() for i, x in enumerate(real(k, e))),
        )
    elif stop_at == "move":
        real_replace, moved = Path.replace, []

        def eighth_is_killed(path, target):
            moved.append(path)
            return killed() if len(moved) == 8 else real_replace(path, target)

        monkeypatch.setattr(Path, "replace", eighth_is_killed)
    elif stop_at == "record":
        monkeypatch.setattr(episode_writer, "write_whole", killed)
    else:
        real_tree, calls = shutil.rmtree, []

        def second_is_killed(path, **kwargs):
            calls.append(path)
            return real_tree(path, **kwargs) if len(calls) == 1 else killed()

        monkeypatch.setattr(episode_writer.shutil, "rmtree", second_is_killed)
    with pytest.raises(Killed):
        store.write(KEY, episode)
    monkeypatch.undo()
    assert store.exists(KEY) == (stop_at == "end")
    assert store.clean() == ([] if stop_at == "end" else [KEY])
    left = [p for p in store.task_dir(9).rglob("*") if p.is_file()]
    assert (len(left) > 0) == (stop_at == "end")
    store.write(KEY, episode)
    store.check(KEY)


def test_truncated_image_is_named(store, episode):
    store.write(KEY, episode)
    path = store.image_path(KEY, "left", "rgb", 2)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DamagedEpisodeError, match=r"task 9 variation 2 example 1.*1_rgb_2\.png"):
        store.check(KEY, deep=False)


def test_edited_file_of_the_same_size_is_named(store, episode):
    store.write(KEY, episode)
    path = store.task_dir(9) / "traj_keypoints/2/1_traj_keypoints.json"
    text = path.read_text()
    path.write_text(text.replace("0.1", "0.2", 1))
    with pytest.raises(DamagedEpisodeError, match=r"traj_keypoints\.json was changed"):
        store.check(KEY, deep=False)


def test_edited_image_of_the_same_size_is_named_by_a_deep_check(store, episode):
    store.write(KEY, episode)
    path = store.image_path(KEY, "right", "depth", 0)
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedEpisodeError, match=r"1_depth_0\.png was changed"):
        store.read_tracks(KEY)


def test_missing_file_is_named(store, episode):
    store.write(KEY, episode)
    store.image_path(KEY, "left", "seg", 0).unlink()
    with pytest.raises(DamagedEpisodeError, match=r"1_seg_0\.png is missing"):
        store.check(KEY, deep=False)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t: t.replace('"success": true', '"success": false'), "was changed"),
        (lambda t: t[: len(t) // 2], "not valid JSON"),
        (lambda t: "[]", "was changed"),
        (lambda t: "", "not valid JSON"),
    ],
)
def test_edited_record_is_named(store, episode, edit, message):
    store.write(KEY, episode)
    path = store.episode_path(KEY)
    path.write_text(edit(path.read_text()))
    with pytest.raises(DamagedEpisodeError, match=f"task 9 variation 2 example 1.*{message}"):
        store.check(KEY)


def test_copied_record_is_named(store, episode):
    store.write(KEY, episode)
    other = EpisodeKey(9, 5, 2)
    store.episode_path(other).parent.mkdir(parents=True)
    shutil.copy(store.episode_path(KEY), store.episode_path(other))
    with pytest.raises(DamagedEpisodeError, match="belongs to another episode"):
        store.check(other)


def test_foreign_folder_is_refused_and_untouched(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match="not empty and not a data set"):
        RawStore(tmp_path).create(0, {})
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_file_as_folder_is_refused(tmp_path):
    (tmp_path / "f").write_text("x")
    with pytest.raises(StoreError, match="is a file"):
        RawStore(tmp_path / "f").create(0, {})
    with pytest.raises(StoreError, match="cannot be written"):
        RawStore(tmp_path / "f" / "below").create(0, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ('{"format": "other"}', "does not belong"),
        (json.dumps({"format": FORMAT, "format_version": 99}), "format version 99"),
    ],
)
def test_bad_marker(tmp_path, text, message):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(StoreError, match=message):
        RawStore(tmp_path).create(0, {})


def test_other_seed_or_settings_are_refused(store):
    with pytest.raises(StoreError, match="another generation is writing"):
        RawStore(store.root).create(0, CONFIG.fingerprint())
    store.close()
    with pytest.raises(StoreError, match="made with seed 0, now it is 1"):
        RawStore(store.root).create(1, CONFIG.fingerprint())
    with pytest.raises(StoreError, match="made with cams"):
        RawStore(store.root).create(0, {**CONFIG.fingerprint(), "cams": []})


@pytest.mark.parametrize(("key", "value"), [("shadows", True), ("antialiasing", 4)])
def test_images_of_two_kinds_are_not_mixed(tmp_path, key, value):
    settings = CONFIG.fingerprint()
    older = {k: v for k, v in settings.items() if k not in ("shadows", "antialiasing")}
    for made_with in (older, settings):
        made = RawStore(tmp_path / str(len(made_with)))
        made.create(0, made_with)
        made.close()
        again = RawStore(made.root)
        again.create(0, settings)
        again.close()
        with pytest.raises(StoreError, match=f"made with {key} {settings[key]}, now it is {value}"):
            RawStore(made.root).create(0, {**settings, key: value})


def test_overwrite_with_other_settings_removes_what_the_old_ones_made(store, episode):
    store.write(KEY, episode)
    store.close()
    again = RawStore(store.root)
    again.create(0, CONFIG.fingerprint(), overwrite=True)
    assert again.exists(KEY)
    again.close()
    again.create(1, CONFIG.fingerprint(), overwrite=True)
    assert not again.exists(KEY)
    again.close()
