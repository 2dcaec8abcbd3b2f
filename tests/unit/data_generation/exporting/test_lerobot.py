"""LeRobot's layout, read with pyarrow alone; LeRobot itself wants another PyTorch."""

import json

import numpy as np
import pytest

from data_generation.RLBench.raw.images import decode_rgb

pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an optional package")
KEYPOINTS = ["waypoints/waypoint0", "objects/block", "robot/tip", "objects/lid"]


@pytest.fixture(scope="module")
def root(store, tmp_path_factory):
    from data_generation.RLBench import export_dataset  # noqa: PLC0415

    root = tmp_path_factory.mktemp("export") / "lerobot"
    argv = [str(store.root), "--to", "lerobot", "--images", "png", "--output", str(root)]
    assert export_dataset.main(argv) == 0
    return root


def read(root, name):
    return pq.read_table(root / name).to_pydict()


def keys(store):
    return [key for task in store.task_ids() for key in store.episodes(task)]


def test_frames_are_numbered_through(root, store):
    rows = read(root, "data/chunk-000/file-000.parquet")
    lengths = [store.read_record(key)["n_frames"] for key in keys(store)]
    assert rows["index"] == list(range(sum(lengths)))
    assert rows["episode_index"] == [e for e, n in enumerate(lengths) for _ in range(n)]
    assert rows["frame_index"] == [t for n in lengths for t in range(n)]
    np.testing.assert_allclose(rows["timestamp"], np.array(rows["frame_index"]) / 20, atol=1e-6)
    episodes = read(root, "meta/episodes/chunk-000/file-000.parquet")
    assert episodes["length"] == lengths
    assert episodes["dataset_to_index"] == np.cumsum(lengths).tolist()
    info = json.loads((root / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"]) == ("v3.0", 20)
    assert (info["total_episodes"], info["total_frames"]) == (4, sum(lengths))


def test_numbers_are_those_of_the_raw_data(root, store):
    rows = read(root, "data/chunk-000/file-000.parquet")
    first = 0
    for key in keys(store):
        record = store.read_record(key)
        tracks = store.read_tracks(key)
        own = slice(first, first + record["n_frames"])
        first = own.stop
        joints = store.read_robot_state(key, record)["joint_positions"]
        np.testing.assert_allclose(np.array(rows["observation.state"][own])[:, :7], joints, 1e-5)
        actions = store.read_array(key, "actions/abs_joint_position")
        np.testing.assert_allclose(rows["action"][own], actions, 1e-5)
        places = [KEYPOINTS.index(name) for name in tracks.keypoint_names]
        xyz = np.array(rows["keypoints.xyz"][own])
        np.testing.assert_allclose(xyz[:, places], tracks.xyz, atol=1e-5)
        others = [i for i in range(len(KEYPOINTS)) if i not in places]
        assert np.isnan(xyz[:, others]).all()
        K = np.array(rows["camera.overhead.intrinsics"][own])[0]
        E = np.array(rows["camera.overhead.extrinsics"][own])[0]
        points = (tracks.xyz @ E[:, :3].T + E[:, 3]) @ K.T
        uv = np.array(rows["keypoints.overhead.uv"][own])[:, places]
        np.testing.assert_allclose(uv, points[..., :2] / points[..., 2:], atol=1e-2)
        seen = np.array(rows["keypoints.front.visibility"][own])[:, places]
        np.testing.assert_array_equal(seen, tracks.visibility[0])
        wrist = np.array(rows["camera.wrist.extrinsics"][own])
        np.testing.assert_allclose(wrist[:, 2, 3] - wrist[0, 2, 3], np.arange(len(wrist)))


def test_images_are_the_files_of_the_raw_data(root, store):
    rows = read(root, "data/chunk-000/file-000.parquet")
    key = keys(store)[0]
    for camera in ("front", "wrist"):
        image = rows[f"observation.images.{camera}"][2]["bytes"]
        np.testing.assert_array_equal(decode_rgb(image), store.read_rgb(key, camera, 2))


def test_sentences_are_tasks(root):
    rows = read(root, "data/chunk-000/file-000.parquet")
    tasks = read(root, "meta/tasks.parquet")
    names = dict(zip(tasks["task_index"], tasks["task"], strict=True))
    first = {e: names[t] for e, t in zip(rows["episode_index"], rows["task_index"], strict=True)}
    # Episodes take turns in the sentences of their variation.
    assert list(first.values()) == ["do 0 with 0", "do it", "do 0 with 0", "do 9 with 0"]
    pandas = json.loads(pq.read_schema(root / "meta/tasks.parquet").metadata[b"pandas"])
    assert pandas["index_columns"] == ["task"]


def test_statistics_are_of_all_frames(root):
    rows = read(root, "data/chunk-000/file-000.parquet")
    stats = json.loads((root / "meta/stats.json").read_text())
    for name in ("action", "observation.state", "keypoints.xyz"):
        values = np.array(rows[name], np.float64)
        for what, reduce in (("min", np.nanmin), ("max", np.nanmax), ("mean", np.nanmean)):
            np.testing.assert_allclose(stats[name][what], reduce(values, axis=0), 1e-4, 1e-6)
        np.testing.assert_allclose(stats[name]["std"], np.nanstd(values, axis=0), 1e-4, 1e-6)
        assert stats[name]["count"] == [len(values)]
    images = [decode_rgb(i["bytes"]) for i in rows["observation.images.front"]]
    found = stats["observation.images.front"]
    mean = np.mean([i.mean(axis=(0, 1)) for i in images], axis=0) / 255
    np.testing.assert_allclose(np.ravel(found["mean"]), mean, 1e-3)
    assert np.shape(found["q99"]) == (3, 1, 1)


def test_videos_hold_all_episodes(export, store, tmp_path, content):
    av = pytest.importorskip("av", reason="av is an optional package: videos")
    code, _ = export(store.root, "--to", "lerobot", "--output", tmp_path / "a", "--crf", 5)
    assert code == 0
    episodes = read(tmp_path / "a", "meta/episodes/chunk-000/file-000.parquet")
    name = "videos/observation.images.front"
    with av.open(str(tmp_path / "a" / name / "chunk-000/file-000.mp4")) as video:
        frames = [(float(f.time), f.to_ndarray(format="rgb24")) for f in video.decode(video=0)]
    assert len(frames) == sum(episodes["length"])
    np.testing.assert_allclose([t for t, _ in frames], np.arange(len(frames)) / 20, atol=1e-6)
    for key, start in zip(keys(store), episodes[f"{name}/from_timestamp"], strict=True):
        # Colours are stored at half the size: only brightness is comparable.
        pixels = frames[round(start * 20)][1].mean(axis=2)
        raw = store.read_rgb(key, "front", 0).mean(axis=2)
        assert np.corrcoef(pixels.ravel(), raw.ravel())[0, 1] > 0.8
    assert export(store.root, "--to", "lerobot", "--output", tmp_path / "b", "--crf", 5)[0] == 0
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_large_files_are_split(root, store, monkeypatch, export, tmp_path):
    from data_generation.RLBench.exporting.lerobot import writer  # noqa: PLC0415

    monkeypatch.setitem(writer.FILES, "data_files_size_in_mb", 0)
    monkeypatch.setitem(writer.FILES, "chunks_size", 3)
    argv = (store.root, "--to", "lerobot", "--images", "png", "--output", tmp_path / "out")
    assert export(*argv)[0] == 0
    episodes = read(tmp_path / "out", "meta/episodes/chunk-000/file-000.parquet")
    assert episodes["data/chunk_index"] == [0, 0, 0, 1]
    assert episodes["data/file_index"] == [0, 1, 2, 0]
    whole = read(root, "data/chunk-000/file-000.parquet")["index"]
    parts = [read(tmp_path / "out", f"data/chunk-000/file-00{i}.parquet") for i in range(3)]
    parts.append(read(tmp_path / "out", "data/chunk-001/file-000.parquet"))
    assert [i for p in parts for i in p["index"]] == whole
