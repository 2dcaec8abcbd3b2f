"""Files of data sets that anybody may have written: read, or refused by one line, soon."""

import hashlib
import json
import os
import resource
import shutil
import struct
import time
import zlib
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from data_generation.RLBench import convert_data
from data_generation.RLBench.config import DatasetConfig, load_config
from data_generation.RLBench.errors import ConfigError, DataGenerationError
from data_generation.RLBench.generation.run import RunOptions, run
from data_generation.RLBench.generation.worker import OfferedTasks
from data_generation.RLBench.inspection.sources import RawSource
from data_generation.RLBench.raw import records as raw_records
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.json_files import JsonError, read_json
from data_generation.RLBench.raw.store import RawStore
from tests.unit.data_generation import fake_source
from tests.unit.data_generation.mutations import mutate_bytes, mutate_json

MUTATIONS = int(os.environ.get("MUTATIONS", "200"))  # MUTATIONS=2000 pytest ... for a longer run
LONGEST = 500  # characters of a line
SECONDS = 10.0
MEMORY_KIB = 500 << 10
CASES = Path(__file__).parents[4].parent / "shared" / "cases"


def check_line(error):
    text = str(error)
    assert "\n" not in text
    assert 0 < len(text) < LONGEST, text


class Bounds:
    """Fails where a block takes too long, or much more memory than the process ever took."""

    def __enter__(self):
        self.memory, self.started = (
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            time.perf_counter(),
        )

    def __exit__(self, *_):
        assert time.perf_counter() - self.started < SECONDS
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self.memory < MEMORY_KIB


# --- one file ---


HOSTILE = {
    "empty": (b"", "not valid JSON"),
    "utf-16": ('{"cams": []}'.encode("utf-16"), "it is UTF-16 text; save it as UTF-8"),
    "latin-1": ('{"name": "\xe9"}'.encode("latin-1"), "not UTF-8 text"),
    "twice": (b'{"cams": [], "cams": []}', 'key "cams" is given twice'),
    "nan": (b'{"noise_scale": NaN}', "it holds NaN"),
    "infinity": (b'{"noise_scale": -Infinity}', "it holds -Infinity"),
    "too large": (b'{"noise_scale": 1e999}', "noise_scale is Infinity; it must be a number in"),
    "digits": (b'{"n_ex_per_task": ' + b"9" * 6000 + b"}", "thousands of digits"),
    "many digits": (b'{"n_ex_per_task": ' + b"9" * 60 + b"}", "n_ex_per_task is 9999"),
    "deep list": (b'{"cams": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested too deep"),
    "deep object": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deep"),
    "many lists": (b'{"cams": [' + b",".join([b"[]"] * 300_000) + b"]}", "cams is [[], []"),
    "long key": (b'{"' + b"k" * 500_000 + b'": 1}', "unknown key 'kkkk"),
    "long text": (b'{"name": "' + b"n" * 500_000 + b'"}', 'name is "nnnn'),
    "long list": (
        b'{"train_task_ids": [' + b",".join(b"%d" % n for n in range(100_000)) + b"]}",
        "train_task_ids is [0, 1, 2",
    ),
    "no object": (b"[1]", "must hold a JSON object"),
    "surrogate": (b'{"cams": ["\\ud800", 1]}', 'cams is ["\\ud800"'),
}


@pytest.mark.parametrize(("data", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_config_that_cannot_be_one(tmp_path, data, message):
    path = tmp_path / "c.json"
    path.write_bytes(data)
    with Bounds(), pytest.raises(ConfigError) as error:
        load_config(path)
    check_line(error.value)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_a_config_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "c.json"
    path.write_bytes(b'\xef\xbb\xbf{"train_task_ids": [9]}')
    assert load_config(path).train_task_ids == (9,)


@pytest.mark.parametrize("name", ["config_with_bom.json"])
def test_config_of_the_shared_cases(name):
    if not (CASES / name).is_file():
        pytest.skip(f"shared/cases/{name} is not beside this clone")
    assert load_config(CASES / name).cams == ("front",)


@pytest.mark.parametrize("kind", ["huge", "pipe", "folder", "endless"])
def test_what_is_no_ordinary_file(tmp_path, kind):
    path = tmp_path / "f.json"
    if kind == "huge":
        with path.open("wb") as file:
            file.truncate(20 << 30)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with Bounds(), pytest.raises(JsonError, match="regular file|at most"):
        read_json(path, 1 << 20)


def test_mutated_configs(tmp_path):
    rng = np.random.default_rng(0)
    good = {
        "train_task_ids": [0, "pick_and_lift"],
        "name": "x",
        "obs_dim": [64, 64, 3],
        "max_seq_len": None,
        "cams": ["front"],
        "track_cams": ["front", "overhead"],
        "n_ex_per_task": 4,
        "registered_actions": ["abs_ee_pose"],
        "keypoints": ["robot"],
        "noise_scale": [1.0, 2.0],
        "drop_rate": 0.1,
        "get_segmentations": False,
        "noise_seed": 3,
    }
    read = 0
    path = tmp_path / "c.json"
    for n in range(MUTATIONS):
        if n % 2:
            path.write_bytes(mutate_bytes(json.dumps(good).encode(), rng))
        else:
            path.write_text(json.dumps(mutate_json(good, rng)))
        with Bounds():
            try:
                config = load_config(path)
            except ConfigError as error:
                check_line(error)
            else:
                read += 1
                assert isinstance(config, DatasetConfig)
                assert len(config.plan(0, 3)) > 0
    assert 0 < read < MUTATIONS


# --- a data set ---


class NoWork:
    """A pool that makes nothing, so that resuming is reading."""

    def run(self, jobs, function):
        while jobs.take() is not None:
            pass
        return iter(())


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    """Return a whole data set of one task and its config."""
    return make_data_set(tmp_path_factory.mktemp("hostile"), ["left"])


def make_data_set(folder, cams):
    values = {
        "train_task_ids": [0],
        "n_variation_per_task": 2,
        "n_ex_per_task": 3,
        "obs_dim": [12, 16, 3],
        "cams": cams,
        "track_cams": ["left", "right"],
    }
    (folder / "c.json").write_text(json.dumps(values))
    config = load_config(folder / "c.json")
    store = RawStore(folder / "d")
    store.create(0, config.fingerprint())
    for key in islice(config.plan(0, 3), 3):
        store.write(key, fake_source.make_episode(key, config))
    store.close()
    return folder / "d", folder / "c.json"


def resume(root, config_path):
    config = load_config(config_path)
    options = RunOptions(0, 1, 1, {"engine": "mujoco", "robot_setup": "panda"})
    offered = OfferedTasks(("task_0",), {0: "task_0"}, {0: 3}, {0: "builtin"}, {}, {})
    return run(NoWork(), RawStore(root), offered, options, config)


def inspect(root):
    source = RawSource(str(root))
    for section, numbers in source.numbers.items():
        for number in numbers:
            source.read(section, number)
    for damage in source.damage:
        check_line(damage.what)
    return source


def convert(root, config_path, capsys):
    argv = [
        "--path_dataset",
        str(root),
        "--path_dataset_config",
        str(config_path),
        "--output",
        str(root.parent / "x.npz"),
    ]
    code = convert_data.main(argv)
    lines = capsys.readouterr().err.strip().splitlines()
    if code:
        assert code == 2
        assert len(lines) == 1
        check_line(lines[0])
        assert lines[0].startswith("convert_data.py: ")
    return code


def use(root, config_path, capsys):
    """Read a data set in every way; return the conversion's exit code."""
    code = convert(root, config_path, capsys)
    for read in (lambda: inspect(root), lambda: resume(root, config_path)):
        try:
            read()
        except DataGenerationError as error:
            check_line(error)
    return code


def signed(record):
    plain = {k: v for k, v in record.items() if k != "checksum"}
    return json.dumps({**plain, "checksum": raw_records.checksum(plain)})


def damage(root, rng):
    """Change one file; half of the time so that its checksums agree with it."""
    ours = ("report.json", "dataset_stats.json")  # written, never read
    files = sorted(
        p for p in root.rglob("*") if p.suffix in (".json", ".npy") and p.name not in ours
    )
    path = files[int(rng.integers(0, len(files)))]
    if path.name == "episode.json" and rng.random() < 0.8:
        changed = mutate_json(json.loads(path.read_text()), rng)
        path.write_text(signed(changed) if isinstance(changed, dict) else json.dumps(changed))
        return
    is_json = path.suffix == ".json"
    if is_json and rng.random() < 0.7:
        data = json.dumps(mutate_json(json.loads(path.read_text()), rng)).encode()
    else:
        data = mutate_bytes(path.read_bytes(), rng)
    path.write_bytes(data)
    if rng.random() < 0.7:
        forge(root, path, data)


def forge(root, path, data):
    """Let the record that lists a file agree with it."""
    name = (
        str(path.relative_to(root / "train" / "0"))
        if path.is_relative_to(root / "train" / "0")
        else ""
    )
    for record_path in root.rglob("episode.json"):
        try:
            record = json.loads(record_path.read_bytes())
        except ValueError:  # the one that was changed
            continue
        if name in record["files"]:
            record["files"][name] = [len(data), hashlib.sha256(data).hexdigest()]
            record_path.write_text(signed(record))


@pytest.mark.slow
def test_mutated_data_sets(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # waits for the disk
    root, config = make_data_set(tmp_path, [])
    pristine = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    rng = np.random.default_rng(1)
    codes = []
    for _ in range(MUTATIONS):
        damage(root, rng)
        with Bounds():
            codes.append(use(root, config, capsys))
        for path, data in pristine.items():
            if path.read_bytes() != data:
                path.write_bytes(data)
    assert set(codes) == {0, 2}


def change_record(root, **changes):
    path = RawStore(root).episode_path(EpisodeKey(0, 0, 0))
    path.write_text(signed({**json.loads(path.read_text()), **changes}))


def write_tracks(root, data):
    path = root / "train/0/traj_keypoints/0/0_traj_keypoints.json"
    path.write_bytes(data)
    forge(root, path, data)


def stretch(path):
    with path.open("ab") as file:
        file.truncate(30 << 30)


SPOILED = {
    "record endless": lambda root: stretch(RawStore(root).episode_path(EpisodeKey(0, 0, 0))),
    "marker endless": lambda root: stretch(root / "dataset.json"),
    "marker list": lambda root: (root / "dataset.json").write_text("[" * 100_000),
    "marker without seed": (
        lambda root: (root / "dataset.json").write_text(
            json.dumps({"format": "rlbench raw data", "format_version": 1})
        )
    ),
    "tracks deep": lambda root: write_tracks(root, b"[" * 100_000),
    "tracks of many lists": lambda root: write_tracks(
        root, b'{"xyz": [' + b",".join([b"[]"] * 3_000_000) + b"]}"
    ),
    "tracks NaN": lambda root: write_tracks(root, b'{"xyz": [NaN]}'),
    "files elsewhere": lambda root: change_record(
        root, files={"../../../../../../etc/passwd": [1, "0" * 64]}
    ),
    "files wrong": lambda root: change_record(root, files={"a": 3}),
    "no cameras": lambda root: change_record(root, cameras={}),
    "frames": lambda root: change_record(root, n_frames=10**8),
    "frames text": lambda root: change_record(root, n_frames="3"),
    "seed text": lambda root: change_record(root, random_seed=["x"]),
    "name number": lambda root: change_record(root, task_name=3),
    "names": lambda root: change_record(root, keypoint_names=[["a"]]),
    "folder name": (
        lambda root: (root / "train/0/episodes/0/0").rename(root / "train/0/episodes/0/first")
    ),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_spoiled_data_sets(data_set, tmp_path, capsys, spoil):
    root = tmp_path / "d"
    shutil.copytree(data_set[0], root)
    spoil(root)
    with Bounds():
        assert use(root, data_set[1], capsys) == 2


def test_a_pipe_in_place_of_a_picture(data_set, tmp_path, capsys):
    root = tmp_path / "d"
    shutil.copytree(data_set[0], root)
    path = root / "train/0/obs/left/0/0_rgb_0.png"
    path.unlink()
    os.mkfifo(path)
    with Bounds():
        assert use(root, data_set[1], capsys) == 2


def test_an_array_whose_header_claims_more_than_it_has(data_set, tmp_path, capsys):
    root = tmp_path / "d"
    shutil.copytree(data_set[0], root)
    path = root / "train/0/ee_state/0/0_ee_state.npy"
    data = path.read_bytes().replace(b", 8)", b"00000000000, 8)"[:15])
    path.write_bytes(data)
    forge(root, path, data)
    with Bounds():
        assert use(root, data_set[1], capsys) == 2


@pytest.mark.parametrize("kind", ["size", "noise", "text"])
def test_a_picture_that_claims_to_be_what_it_is_not(data_set, tmp_path, capsys, kind):
    """A size of 3.6e9 pixels; a whole header before noise; no picture. Checksums agree."""
    root = tmp_path / "d"
    shutil.copytree(data_set[0], root)
    path = root / "train/0/obs_segmentations/left/0/0_seg_0.png"
    data = path.read_bytes()
    if kind == "size":
        header = data[12:16] + struct.pack(">2L", 60_000, 60_000) + data[24:29]
        data = data[:12] + header + struct.pack(">L", zlib.crc32(header)) + data[33:]
    else:
        data = data[:40] + bytes(200) if kind == "noise" else b"no picture"
    path.write_bytes(data)
    forge(root, path, data)
    with Bounds():
        use(root, data_set[1], capsys)
        damaged = inspect(root).damage
    assert any("PNG image" in d.what for d in damaged)
