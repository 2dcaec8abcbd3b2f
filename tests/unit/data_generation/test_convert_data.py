import hashlib
import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from data_generation.RLBench import convert_data, generate_data
from data_generation.RLBench.config import load_config
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.store import RawStore
from data_generation.RLBench.tracks.detector import PRESETS
from pose_obj_3d.common.archive import writing
from pose_obj_3d.common.archive.legacy import read_legacy
from pose_obj_3d.formal import read_formal
from tests.unit.data_generation import fake_source

ROOT = Path(__file__).parents[3]


@pytest.fixture
def raw(tmp_path, write_config):
    """Fill a data set directly and return (folder, config)."""

    def fill(tasks=(0, 1), n=4, **changes):
        config_path = write_config(train_task_ids=list(tasks), **changes)
        config = load_config(Path(config_path))
        store = RawStore(tmp_path / "d")
        store.create(0, config.fingerprint(), overwrite=True)
        for task in tasks:
            for key in islice(config.plan(task, 3), n):
                store.write(key, fake_source.make_episode(key, config))
        store.close()
        return store, config_path

    return fill


def convert(store, config, output, *flags):
    return convert_data.main(
        [
            "--path_dataset",
            str(store.root),
            "--path_dataset_config",
            config,
            "--output",
            str(output),
            *flags,
        ]
    )


def test_older_layout_is_written_on_request(tmp_path, raw):
    store, config = raw()
    assert convert(store, config, tmp_path / "x.npz", "--legacy") == 0
    data, older = read_formal(tmp_path / "x.npz"), read_legacy(tmp_path / "x_legacy.npz")
    for task, tracks in data.tracks.items():
        assert all(np.array_equal(a, b) for a, b in zip(tracks, older[task], strict=True))


def test_archive_holds_projection_truth_and_visibility(tmp_path, raw):
    store, config = raw()
    assert convert(store, config, tmp_path / "out" / "x.npz") == 0
    data = read_formal(tmp_path / "out" / "x.npz")
    assert sorted(data.tracks) == [0, 1]
    assert data.camera_names == ["left", "right", "top"]
    assert data.keypoint_names(1) == list(fake_source.NAMES)
    for n, key in enumerate(store.episodes(1)):
        episode, track = store.read_tracks(key), data.tracks[1][n]
        P = data.intrinsics @ data.extrinsics
        uvw = np.einsum("vij,tkj->vtki", P, np.insert(episode.xyz, 3, 1, axis=-1))
        np.testing.assert_allclose(track[..., :2], uvw[..., :2] / uvw[..., 2:], atol=1e-3)
        np.testing.assert_allclose(track[0, ..., 4:7], episode.xyz, atol=2**-18)
        np.testing.assert_array_equal(track[..., 7], episode.visibility)
    assert data.split(0) == {"train": [0, 1], "val": [2], "test": [3]}
    assert data.meta["sources"]["T0"][1] == {"variation": 1, "example": 0}
    pattern = data.meta["image_pattern"].format(
        task=0, camera="left", variation=1, example=0, frame=2
    )
    assert (data.path.parent / pattern).is_file()
    stats = json.loads((store.root / "dataset_stats.json").read_text())
    assert stats["0"]["examples"] == 4
    assert stats["0"]["variations"] == [0, 1]
    assert set(stats["0"]["groups"]) == {name.split("/")[0] for name in fake_source.NAMES}
    for shares in (*stats["0"]["groups"].values(), *stats["0"]["keypoints"].values()):
        assert 0 <= shares["share_moving"] <= 1


def test_the_config_sets_the_detector_and_flags_override_it(tmp_path, raw):
    store, config = raw(noise_scale=2, drop_rate=[0.5, 0, 0], outlier_rate=0.1)
    assert convert(store, config, tmp_path / "a.npz", "--outlier_rate", "0") == 0
    data = read_formal(tmp_path / "a.npz")
    noise = data.meta["noise"]
    width = data.image_size[0]
    assert data.sigma_px == pytest.approx(0.00504 * width * 2)
    assert noise["drop_rate"] == [0.5, 0, 0]
    assert noise["outlier_rate"] == [0, 0, 0]
    missing = np.isnan(np.concatenate([x[..., 2] for x in data.tracks[0]], axis=1))
    assert 0.2 < missing[0].mean() < 0.8
    assert not missing[1:].any()


def test_a_measured_detector_is_stated_in_the_archive(tmp_path, raw):
    store, config = raw(noise_time_constant=5)
    flags = ("--detector", "as_measured", "--gross_rate", "0.2")
    assert convert(store, config, tmp_path / "a.npz", *flags) == 0
    data = read_formal(tmp_path / "a.npz")
    noise = data.meta["noise"]
    for name, value in {
        **PRESETS["as_measured"],
        "noise_time_constant": 5,
        "gross_rate": 0.2,
    }.items():
        assert noise[name] == [value] * 3
    scale = PRESETS["as_measured"]["noise_scale"]
    assert data.sigma_px == pytest.approx(0.00504 * data.image_size[0] * scale)
    assert convert(store, config, tmp_path / "b.npz", "--noise_time_constant", "0") == 0
    assert not set(read_formal(tmp_path / "b.npz").meta["noise"]) & {"gross_rate", "gross_scale"}


def test_a_shipped_archive_is_kept_under_another_name(tmp_path, raw):
    store, config = raw()
    output = tmp_path / "out" / "x.npz"
    assert convert(store, config, output, "--noise_seed", "5") == 0
    shipped = output.read_bytes()
    assert convert(store, config, output) == 0
    assert [p.name for p in output.parent.iterdir()] == ["x.npz"]
    output.write_bytes(shipped)
    sums = f"{hashlib.sha256(shipped).hexdigest()}  x.npz\n"
    (output.parent / "SHA256SUMS").write_text(sums)
    for _ in range(2):
        assert convert(store, config, output) == 0
        assert (output.parent / "x_shipped.npz").read_bytes() == shipped
        assert output.read_bytes() != shipped


def test_without_images_no_pattern_is_stored(tmp_path, raw):
    store, config = raw(cams=[])
    assert convert(store, config, tmp_path / "x.npz") == 0
    assert "image_pattern" not in read_formal(tmp_path / "x.npz").meta


def test_converting_twice_gives_the_same_arrays(tmp_path, raw):
    store, config = raw()
    for name in "ab":
        assert convert(store, config, tmp_path / f"{name}.npz") == 0
    a, b = (read_formal(tmp_path / f"{n}.npz") for n in "ab")
    for task, examples in a.tracks.items():
        for x, y in zip(examples, b.tracks[task], strict=True):
            np.testing.assert_array_equal(x, y)


def test_leftover_of_a_killed_conversion_goes(tmp_path, raw):
    store, config = raw()
    left = tmp_path / ".x.npz.123.tmp"
    left.write_text("half")
    assert convert(store, config, tmp_path / "x.npz") == 0
    assert not left.exists()


def damage(store):
    path = store.image_path(EpisodeKey(0, 1, 0), "left", "rgb", 0)
    path.write_bytes(path.read_bytes()[:-1])


def other_rig(store):
    key = EpisodeKey(0, 1, 1)
    config = load_config(store.root.parent / "config.json")
    changed = json.loads((store.root.parent / "config.json").read_text()) | {"obs_dim": [24, 32, 3]}
    path = store.root.parent / "other.json"
    path.write_text(json.dumps(changed))
    assert config
    store.write(key, fake_source.make_episode(key, load_config(path)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "options", "flags", "message"),
    [
        (damage, {}, (), "task 0 variation 0 example 1 is damaged: obs/left/0/1_rgb_0.png"),
        (other_rig, {}, (), "filmed by other cameras"),
        (None, {"n": 2}, (), "at least 3"),
        (None, {"track_cams": ["left"]}, (), "at least two"),
        (None, {}, ("--noise_scale", "-1"), "noise_scale must be in [0, 100], got -1"),
        (None, {}, ("--share_identical", "2"), "share_identical must be in [0, 1], got 2"),
        (None, {}, ("--drop_rate", "0.1", "0.2"), "drop_rate lists 2 numbers for 3 views"),
        (lambda s: [s.remove(k) for k in s.episodes(1)], {}, (), "task 1 of"),
    ],
)
def test_user_errors_write_nothing(tmp_path, raw, capsys, fault, options, flags, message):
    store, config = raw(**options)
    if fault:
        fault(store)
    assert convert(store, config, tmp_path / "x.npz", *flags) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1]
    assert lines[-1].startswith("convert_data.py: ")
    assert not (tmp_path / "x.npz").exists()


def test_script_works_from_both_folders(tmp_path, raw):
    store, config = raw()
    environment = {
        **os.environ,
        "path_dataset": str(store.root),
        "path_dataset_config": config,
        "PYTHON": sys.executable,
    }
    for folder in (ROOT, ROOT / "data_generation" / "RLBench"):
        output = tmp_path / f"{folder.name}.npz"
        command = ["sh", "convert_data_to_3D_pose_estimation.sh", "--output", output]
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        assert len(read_formal(output).tracks[0]) == 4


def test_script_without_its_variable():
    environment = {k: v for k, v in os.environ.items() if k != "path_dataset"}
    command = ["sh", str(ROOT / "convert_data_to_3D_pose_estimation.sh")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "path_dataset is not set" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_generated_data_converts(tmp_path, write_config):
    config = write_config(cams=[])
    argv = ["--path_dataset", str(tmp_path / "d"), "--path_dataset_config", config]
    assert generate_data.main(argv, fake_source.open_source) == 0
    assert convert(RawStore(tmp_path / "d"), config, tmp_path / "x.npz") == 0


def test_script_with_an_interpreter_that_is_not_there():
    environment = {**os.environ, "path_dataset": "d", "PYTHON": "/no/python"}
    command = ["sh", str(ROOT / "convert_data_to_3D_pose_estimation.sh")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "/no/python is not there or lacks packages" in result.stderr


def test_finished_shards_stay_after_a_kill_and_others_do_not(tmp_path, raw, monkeypatch):
    store, config = raw()

    def run(*flags):
        assert convert(store, config, tmp_path / "y.npz", "--shards", "4", *flags) == 0
        shards = sorted(tmp_path.glob("y-*.npz"))
        return [p.stat().st_mtime_ns for p in shards], [p.read_bytes() for p in shards]

    class Killed(BaseException):
        """As a kill from outside: nothing may be done about it."""

    def killed(plan, index, of, write=writing.write_shard):
        if index == 2:
            raise Killed
        write(plan, index, of)

    with monkeypatch.context() as patched:
        patched.setattr(writing, "write_shard", killed)
        with pytest.raises(Killed):
            run()
    kept = [p.stat().st_mtime_ns for p in sorted(tmp_path.glob("y-*.npz"))]
    assert len(kept) == 2
    files, content = run()
    assert files[:2] == kept  # not written again
    assert run() == (files, content)

    damaged = sorted(tmp_path.glob("y-*.npz"))[1]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    again, repaired = run()
    assert repaired == content
    assert [a == b for a, b in zip(again, files, strict=True)] == [True, False, True, True]

    others, noisier = run("--noise_scale", "2")
    assert not set(others) & set(again)
    assert all(a != b for a, b in zip(noisier, content, strict=True))
    read_formal(tmp_path / "y.npz")


@pytest.mark.slow
def test_shards_hold_what_one_file_holds(tmp_path, raw, capsys):
    store, config = raw()
    assert convert(store, config, tmp_path / "x.npz") == 0
    assert convert(store, config, tmp_path / "y.npz", "--shards", "3", "--n_processes", "2") == 0
    assert "y-?????-of-00003.npz" in capsys.readouterr().out
    one, many = read_formal(tmp_path / "x.npz"), read_formal(tmp_path / "y.npz", memory_mib=0)
    assert one.meta == many.meta
    for task, tracks in one.tracks.items():
        for a, b in zip(tracks, many.tracks[task], strict=True):
            np.testing.assert_array_equal(a, b)
