import json
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fake_source
from data_generation.RLBench import inspect_charts, inspect_dataset, inspect_pictures
from data_generation.RLBench.dataset_config import load_config
from data_generation.RLBench.episode import EpisodeKey, npy_bytes
from data_generation.RLBench.raw_store import RawStore
from pose_obj_3d.formal import write_formal
from rlbench.cameras import project_views

NAMES = ["waypoints/waypoint0", "robot/tip"]
SIZE = 64


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    monkeypatch.setattr(inspect_pictures, "SHEET_PANEL", 100)
    monkeypatch.setattr(inspect_pictures, "MOVIE_PANEL", 100)


@pytest.fixture
def raw(tmp_path, write_config):
    """Fill a data set with four episodes of each task and mode, and return its folder."""

    def fill(tasks=(0, 1), modes=("train",), **changes):
        config = load_config(Path(write_config(**changes)))
        for mode in modes:
            store = RawStore(tmp_path / "d", mode)
            store.create(0, config.fingerprint())
            for task in tasks:
                for variation, example in config.episodes(3):
                    key = EpisodeKey(task, example, variation)
                    store.write(key, fake_source.make_episode(key, config))
            store.close()
        return tmp_path / "d"

    return fill


def rig():
    cameras = [fake_source.calibration(c, SIZE, SIZE) for c in fake_source.CAMERAS]
    return np.stack([c.intrinsics for c in cameras]), np.stack([c.extrinsics for c in cameras])


def make_tracks(T=12):
    """Rest at x = 0.1; move 0.02 m a frame along y; on the table, seen by all, detected 1 px off."""
    xyz = np.zeros((T, 2, 3))
    xyz[:, 0] = 0.1, 0, 0.8
    xyz[:, 1, 1], xyz[:, 1, 2] = 0.02 * np.arange(T), 0.8
    x = np.ones((3, T, 2, 8), np.float32)
    x[..., :2] = project_views(xyz, *rig())[0]
    x[..., 2:4] = x[..., :2] + 1
    x[..., 4:7] = xyz
    return x


@pytest.fixture
def archive(tmp_path):
    """Write an archive of hand-made tracks and return its path."""

    def write(change=None, tasks=(0, 9), n=4, **meta):
        tracks = {t: [make_tracks(10 + i) for i in range(n)] for t in tasks}
        if change:
            change(tracks)
        path = tmp_path / "x.npz"
        full = {
            "image_size": [SIZE, SIZE],
            "camera_names": list(fake_source.CAMERAS),
            "task_names": {f"T{t}": f"task_{t}" for t in tasks},
            "keypoint_names": {f"T{t}": NAMES for t in tasks},
            "sources": {f"T{t}": [{"variation": i % 2, "example": i // 2} for i in range(n)] for t in tasks},
            **meta,
        }
        write_formal(path, tracks, full, *rig())
        return path

    return write


def rewrite(path, **members):
    """Replace members of an archive (None removes one), without any check."""
    with np.load(path) as old:
        kept = {name: old[name] for name in old.files}
    kept.update({name.replace("__", "/"): value for name, value in members.items()})
    np.savez_compressed(path, **{name: value for name, value in kept.items() if value is not None})


def inspect(path, *flags):
    """Run the command and return (exit code, statistics, page)."""
    code = inspect_dataset.main([str(path), *flags])
    place = path / "inspection" if path.is_dir() else path.with_name(f"{path.stem}_inspection")
    if "--output" in flags:
        place = Path(flags[flags.index("--output") + 1])
    return code, json.loads((place / "statistics.json").read_text()), (place / "index.html").read_text()


# --- what is written ---


def test_archive(tmp_path, archive, capsys):
    code, report, page = inspect(archive())
    assert code == 0
    assert capsys.readouterr().out == (
        f"T0 4 examples, T9 4 examples; 0 damaged, 0 suspicious; see {tmp_path / 'x_inspection' / 'index.html'}\n"
    )
    task = report["sections"][1]
    assert (task["label"], task["task_name"], task["examples"]) == ("T9", "task_9", 4)
    assert task["variations"] == {"0": 2, "1": 2}
    assert task["frames"] == {"total": 46, "min": 10, "median": 11.5, "max": 13}
    assert task["keypoints"]["robot/tip"]["share_moving"] == 1
    assert task["keypoints"]["robot/tip"]["median_extent_m"] == pytest.approx(0.21)
    assert task["groups"]["waypoints"]["share_moving"] == 0
    assert task["views"]["top"] == {"seen": 1, "hidden": 0, "outside": 0}
    assert task["detection_rms_px"] == pytest.approx(1, abs=1e-3)
    assert sum(task["histograms"]["frames"]["counts"]) == 4
    assert sum(task["histograms"]["detection_error_px"]["counts"]) == 3 * 46 * 2 * 2
    speed = task["histograms"]["speed_m_per_s"]
    assert sum(speed["counts"]) == 46
    assert sum(speed["counts"][19:21]) == 46  # 0.4 m/s, on the edge of two bars
    cells = task["histograms"]["position_xy_m"]["counts"]
    assert sum(n for _, _, n in cells["robot"]) == 46
    assert report["is_complete"]
    assert page.count("data:image/png;base64,") == page.count("data:image/gif;base64,") == 2


def test_page_stands_alone_and_escapes(archive):
    names = {"T0": "<script>alert(1)</script>", "T9": "b&c"}
    path = archive(task_names=names, keypoint_names={t: ["w/<b>", "robot/&"] for t in ("T0", "T9")})
    _, _, page = inspect(path)
    assert not re.search(r"https?://|<script|<link|<iframe|url\(|<b>", page)
    assert set(re.findall(r'src="(.{15})', page)) == {"data:image/png;", "data:image/gif;"}
    assert "&lt;script&gt;" in page


def test_pictures(tmp_path, archive):
    inspect(archive())
    with Image.open(tmp_path / "x_inspection" / "task_9.png") as sheet:
        assert 6 * 100 < sheet.width < 7 * 120
        assert 3 * 100 < sheet.height < 5 * 100
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(1 << 20)}
    assert {(230, 25, 75), (0, 114, 255)} <= colours
    with Image.open(tmp_path / "x_inspection" / "task_9.gif") as movie:
        assert movie.n_frames == 10
        assert movie.info["duration"] == 50


def test_marker_tells_the_visibility(tmp_path, archive):
    def pixels(visibility):
        def change(tracks):
            tracks[0][0][..., 7] = visibility

        path = archive(change, tasks=(0,))
        output = tmp_path / f"v{visibility}"
        inspect(path, "--output", str(output))
        return np.asarray(Image.open(output / "task_0.png").convert("RGB")).astype(int)

    red = [(np.abs(pixels(v) - (230, 25, 75)).max(axis=-1) < 30).sum() for v in (1, 0.5, 0)]
    assert len({int(n) for n in red}) == 3
    assert min(red) > 0


def test_long_example_is_shown_in_steps(tmp_path, archive):
    inspect(archive(lambda tracks: tracks.update({0: [make_tracks(20) for _ in range(3)]}), tasks=(0,)), "--episode", "2")
    with Image.open(tmp_path / "x_inspection" / "task_0.gif") as movie:
        assert movie.n_frames == 20

    def still(tracks):
        tracks[0][0] = np.repeat(make_tracks(12), 20, axis=1)

    inspect(archive(still, tasks=(0,)))
    with Image.open(tmp_path / "x_inspection" / "task_0.gif") as movie:
        total = 0
        for i in range(movie.n_frames):
            movie.seek(i)
            total += movie.info["duration"]
    assert total == 240 * 50


def test_raw_data_of_both_modes(raw):
    root = raw(modes=("train", "test"))
    code, report, page = inspect(root)
    assert code == 0
    assert [s["label"] for s in report["sections"]] == ["T0", "T1", "T0 test", "T1 test"]
    section = report["sections"][1]
    store = RawStore(root)
    tracks = [store.read_tracks(k) for k in store.episodes(1)]
    assert section["frames"]["total"] == sum(len(t.xyz) for t in tracks)
    assert section["variations"] == {"0": 2, "1": 2}
    seen = np.concatenate([t.visibility for t in tracks], axis=1)
    assert section["views"]["left"]["seen"] == pytest.approx((seen[0] == 1).mean())
    assert section["share_inside_two_views"] == pytest.approx(((seen > 0).sum(axis=0) >= 2).mean())
    assert section["detection_rms_px"] is None
    assert "Detection error" not in page
    assert (root / "inspection" / "task_1_test.gif").is_file()


def test_frames_of_raw_data_are_the_background(raw):
    root = raw(tasks=(0,))
    inspect(root)
    image = np.asarray(Image.open(root / "inspection" / "task_0.png").convert("RGB"))
    with_frames = image.std()
    for path in (root / "train" / "0" / "obs").rglob("*"):
        if path.is_file():
            path.unlink()
    code, report, _ = inspect(root)
    assert code == 1
    assert len(report["damage"]) > 4
    assert np.asarray(Image.open(root / "inspection" / "task_0.png").convert("RGB")).std() < 0.7 * with_frames


def test_raw_data_without_images(raw):
    code, report, _ = inspect(raw(cams=[]))
    assert code == 0
    assert report["sections"][0]["examples"] == 4


def test_choices(tmp_path, archive):
    path = archive()
    _, report, page = inspect(path, "--tasks", "9", "--max_examples", "2", "--episode", "3")
    assert [(s["label"], s["examples"]) for s in report["sections"]] == [("T9", 2)]
    with Image.open(tmp_path / "x_inspection" / "task_9.gif") as movie:
        assert movie.n_frames == 13
    assert 'id="task_0"' not in page


# --- suspicious episodes ---


def jump(x):
    x[:, 6:, 1, 4] += 0.3
    x[..., :2] = project_views(x[0, ..., 4:7], *rig())[0]


def never_visible(x):
    x[:, :, 1, 7] = 0.5


def far_away(x):
    x[..., 6] -= 0.4
    x[..., :2] = project_views(x[0, ..., 4:7], *rig())[0]


def static(x):
    x[:] = x[:, :1]


def shifted(x):
    x[1, 3, 0, 0] += 2


@pytest.mark.parametrize(
    ("fault", "reason", "detail"),
    [
        (jump, "jump", "robot/tip goes 0.30 m from frame 5 to 6"),
        (never_visible, "never visible in any view", "hidden: robot/tip"),
        (far_away, "outside the volume", "is at (0.10, 0.00, 0.40) m in frame 0; 1 more"),
        (static, "static", "5 mm/s"),
        (shifted, "2D is not the projected 3D", "2.0 px off: waypoints/waypoint0 in right, frame 3"),
    ],
)
def test_suspicious_episodes(archive, fault, reason, detail):
    code, report, page = inspect(archive(lambda tracks: fault(tracks[9][2])))
    assert code == 0
    assert [(s["section"], s["episode"], s["reason"]) for s in report["suspicious"]] == [("T9", "exemple_2", reason)]
    assert detail in report["suspicious"][0]["detail"]
    assert reason in page


# --- damage ---


def damage_of(path, *flags):
    code, report, page = inspect(path, *flags)
    assert code == 1
    for row in report["damage"]:
        assert row["what"].split("'")[0].split("<")[0] in page
    return [tuple(row.values()) for row in report["damage"]], report


def test_values_that_are_not_finite(archive):
    path = archive()
    x = make_tracks()
    x[:, 2, 1, 5] = np.nan
    x[0, 3, 0, 2] = np.nan  # one of two: no missed detection
    rewrite(path, T9__exemple_1=x)
    rows, report = damage_of(path)
    assert rows == [("T9", "exemple_1", "", "4 values not finite, the first is y of robot/tip in left, frame 2")]
    assert [(s["episode"], s["reason"]) for s in report["suspicious"]] == [("exemple_1", "not finite")]
    assert report["sections"][1]["examples"] == 4


def test_missed_detections_are_no_damage(archive):
    def miss(tracks):
        tracks[9][0][0, :5, 0, 2:4] = np.nan

    code, report, _ = inspect(archive(miss))
    assert code == 0
    assert report["sections"][1]["share_missed"] == pytest.approx(5 / (46 * 2 * 3))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"T9__exemple_1": np.zeros((3, 5, 2, 7), np.float32)}, ("T9", "exemple_1", "", "(3, 5, 2, 7)")),
        ({"T9__exemple_1": np.zeros((2, 5, 2, 8), np.float32)}, ("T9", "exemple_1", "", "(2, 5, 2, 8)")),
        ({"T9__exemple_1": np.zeros(4)}, ("T9", "exemple_1", "T9/exemple_1", "(4,)")),
        ({"T9__exemple_1": np.zeros((3, 5, 2, 8), bool)}, ("T9", "exemple_1", "", "must be numbers, got bool")),
        ({"T9__exemple_1": make_tracks() * 0.3}, ("T9", "exemple_1", "", "visibility other than")),
        ({"T9__exemple_1": None}, ("T9", "", "T9/exemple_1", "is missing")),
        ({"T9__exemple_900000000": make_tracks()}, ("T9", "", "T9/exemple_4", "missing and 899999995 more")),
        ({"T9__exemple_1": np.array([{}], object)}, ("T9", "exemple_1", "T9/exemple_1", "allow_pickle=False")),
        ({"odd": np.zeros(2)}, ("", "", "odd", "unknown member")),
        ({"meta": None}, ("", "", "meta", "is missing")),
        ({"meta": np.array("{")}, ("", "", "meta", "is not JSON")),
        ({"meta": np.array("[1]")}, ("", "", "meta", "not a JSON object")),
        ({"intrinsics": None}, ("", "", "intrinsics", "is missing")),
        ({"extrinsics": np.full((3, 3, 4), np.nan)}, ("", "", "extrinsics", "must be finite")),
    ],
)
def test_damaged_members(archive, members, expected):
    path = archive()
    rewrite(path, **members)
    rows, report = damage_of(path)
    assert any(row[:3] == expected[:3] and expected[3] in row[3] for row in rows)
    assert report["sections"][0]["examples"] == 4


def test_meta_with_odd_values(archive):
    path = archive()
    odd = {"format_version": 7, "image_size": "big", "camera_names": 3, "noise": [], "frame_period_s": "x",
           "keypoint_names": {"T0": [1]}, "task_names": None, "sources": {"T0": [5], "T9": 1}}  # fmt: skip
    rewrite(path, meta=np.array(json.dumps(odd)))
    rows, report = damage_of(path)
    assert {word for row in rows for word in ("version", "image_size", "camera_names", "keypoint_names", "task_names")
            if word in row[3]} == {"version", "image_size", "camera_names", "keypoint_names", "task_names"}  # fmt: skip
    assert list(report["sections"][1]["keypoints"]) == ["keypoints/0", "keypoints/1"]


def test_member_with_broken_bytes(archive):
    path = archive()
    with zipfile.ZipFile(path) as archive_file:
        info = archive_file.getinfo("T9/exemple_2.npy")
    data = bytearray(path.read_bytes())
    data[info.header_offset + 60 : info.header_offset + 90] = bytes(30)
    path.write_bytes(bytes(data))
    rows, report = damage_of(path)
    assert rows[0][:3] == ("T9", "exemple_2", "T9/exemple_2")
    assert "cannot be read" in rows[0][3]
    assert [s["examples"] for s in report["sections"]] == [4, 3]


def test_everything_is_damaged(archive):
    path = archive(tasks=(9,), n=3)
    rewrite(path, **{f"T9__exemple_{i}": np.zeros(3) for i in range(3)})
    _, report = damage_of(path)
    assert report["sections"][0]["examples"] == 0


RAW_DAMAGE = {
    "image missing": ("obs/left/0/1_rgb_2.png", Path.unlink, "is missing", 4),
    "image unreadable": ("obs/left/0/0_rgb_0.png", lambda p: p.write_bytes(b"x" * p.stat().st_size), "was changed", 4),
    "image cut": ("obs/left/0/0_rgb_0.png", lambda p: p.write_bytes(b"x"), "has 1 bytes", 4),
    "tracks changed": ("traj_keypoints/0/1_traj_keypoints.json", lambda p: p.write_text("{}"), "has 2 bytes", 3),
    "record not JSON": ("episodes/0/1/episode.json", lambda p: p.write_text("{"), "not valid JSON", 3),
    "record changed": ("episodes/0/1/episode.json", lambda p: p.write_text("{}"), "changed after", 3),
    "record missing": ("episodes/0/1/episode.json", Path.unlink, "is missing, though", 3),
}


@pytest.mark.parametrize(("name", "change", "what", "readable"), RAW_DAMAGE.values(), ids=RAW_DAMAGE)
def test_damaged_raw_episode(raw, name, change, what, readable):
    root = raw()
    change(root / "train" / "1" / name)
    rows, report = damage_of(root)
    assert len({row[:3] for row in rows}) == 1
    section, episode, file, told = rows[0]
    assert (section, file) == ("T1", name)
    assert episode.startswith("variation 0 example ")
    assert what in told
    assert [s["examples"] for s in report["sections"]] == [4, readable]


def test_every_damaged_file_is_named(raw):
    root = raw()
    for name in ("obs/left/0/0_rgb_0.png", "obs/left/0/0_depth_1.png", "ee_state/1/1_ee_state.npy"):
        (root / "train" / "0" / name).unlink()
    rows, _ = damage_of(root)
    assert sorted(row[2] for row in rows) == [
        "ee_state/1/1_ee_state.npy", "obs/left/0/0_depth_1.png", "obs/left/0/0_rgb_0.png"
    ]  # fmt: skip


def test_episode_of_another_rig(raw, write_config):
    root = raw(tasks=(0,))
    config = load_config(Path(write_config(obs_dim=[24, 32, 3])))
    key = EpisodeKey(0, 1, 1)
    RawStore(root).write(key, fake_source.make_episode(key, config))
    rows, report = damage_of(root)
    assert rows == [("T0", "variation 1 example 1", "", "other cameras than T0 variation 0 example 0: one file holds one rig")]
    assert report["sections"][0]["examples"] == 3


def test_interrupted_episode_is_a_note(raw):
    root = raw(tasks=(0,))
    (root / "train" / "0" / ".staging" / "2_0").mkdir(parents=True)
    (root / "train" / "5").mkdir()
    code, report, page = inspect(root)
    assert code == 0
    assert report["notes"] == ["T0: 1 episode(s) interrupted, or being written now", "T5 has no episodes"]
    assert report["notes"][1] in page


# --- the output folder ---


def test_again_in_the_same_folder(raw):
    root = raw()
    inspect(root)
    place = root / "inspection"
    (place / "notes.txt").write_text("mine")
    before = (place / "index.html").read_bytes()
    inspect(root)
    assert (place / "index.html").read_bytes() == before
    inspect(root, "--tasks", "1")
    assert sorted(p.name for p in place.iterdir()) == [
        "index.html", "notes.txt", "statistics.json", "task_1.gif", "task_1.png"
    ]  # fmt: skip


def test_killed_run_can_be_repeated(archive, monkeypatch):
    path = archive()
    monkeypatch.setattr(inspect_dataset.inspect_page, "render", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        inspect_dataset.main([str(path)])
    monkeypatch.undo()
    assert inspect(path)[0] == 0


# --- mistakes ---


def user_error(capsys, *argv):
    assert inspect_dataset.main([str(a) for a in argv]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("inspect_dataset.py: ")
    return lines[0]


def test_paths_that_cannot_be_inspected(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("x")
    (tmp_path / "bad.npz").write_text("x")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "one.npz").write_bytes(npy_bytes(np.zeros(3)))
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.savez(tmp_path / "old.npz", pose=np.array([{}], object))
    (tmp_path / "folder").mkdir()
    for name, message in {
        "none": "not found", "none.npz": "does not exist", "text.txt": "neither a folder nor an npz",
        "bad.npz": "not a readable npz", "empty.npz": "not a readable npz", "one.npz": "single array",
        "other.npz": "holds no examples", "old.npz": "older pickled layout", "folder": "not a data set",
    }.items():  # fmt: skip
        assert message in user_error(capsys, tmp_path / name), name
        assert not list(tmp_path.rglob("*inspection"))


def test_data_set_without_episodes(tmp_path, capsys, write_config):
    store = RawStore(tmp_path / "d")
    store.create(0, load_config(Path(write_config())).fingerprint())
    assert "has no episodes" in user_error(capsys, tmp_path / "d")


def test_flags_that_do_not_fit(tmp_path, archive, capsys):
    path = archive()
    assert "--tasks 3: not in" in user_error(capsys, path, "--tasks", "9", "3")
    assert "--episode 4: no such example (they count from 0; T0 has 4, T9 has 4)" in user_error(
        capsys, path, "--episode", "4"
    )
    assert "is a file" in user_error(capsys, path, "--output", path)
    full = tmp_path / "full"
    full.mkdir()
    (full / "index.html").write_text("mine")
    assert "not empty and no inspection" in user_error(capsys, path, "--output", full)
    assert (full / "index.html").read_text() == "mine"
    with pytest.raises(SystemExit) as caught:
        inspect_dataset.main([str(path), "--max_examples", "0"])
    assert caught.value.code == 2


def test_foreign_file_in_our_folder(tmp_path, archive, capsys):
    path = archive()
    inspect(path, "--tasks", "0")
    capsys.readouterr()
    (tmp_path / "x_inspection" / "task_9.png").write_text("mine")
    assert "task_9.png was not written by an inspection" in user_error(capsys, path)
    assert (tmp_path / "x_inspection" / "task_9.png").read_text() == "mine"


def test_missing_package_is_one_line(archive, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "data_generation.RLBench.inspect_pictures", raising=False)
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "package PIL is not installed" in user_error(capsys, archive())


# --- charts ---


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (-1.2, 1.2, [-1, -0.5, 0, 0.5, 1]), (22.5, 42.5, [25, 30, 35, 40]), (3, 3, [3])],
)
def test_ticks_are_round(low, high, ticks):
    assert inspect_charts.nice_ticks(low, high) == pytest.approx(ticks)


def test_histogram_of_nothing():
    assert "nothing to show" in inspect_charts.histogram("a", "b", [0, 1], [0])


def test_empty_bars_at_the_end_go():
    assert inspect_charts.trimmed([0, 1, 2, 3], [1, 2, 0]) == ([0, 1, 2], [1, 2])
    assert inspect_charts.trimmed([0, 1], [0]) == ([0, 1], [0])
