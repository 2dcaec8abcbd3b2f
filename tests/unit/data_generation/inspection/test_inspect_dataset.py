import re
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from data_generation.RLBench import inspect_dataset
from data_generation.RLBench.config import load_config
from data_generation.RLBench.inspection import charts as inspect_charts
from data_generation.RLBench.inspection import pictures
from data_generation.RLBench.raw.episode import npy_bytes
from data_generation.RLBench.raw.store import RawStore
from tests.unit.data_generation.inspected import inspect, make_tracks

# Of linear sRGB: to CIE XYZ, and what the colour blind see (Machado et al. 2009).
XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
VISIONS = {
    "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "without red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "without green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "without blue": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}

# --- what is written ---


def test_archive(tmp_path, archive, capsys):
    code, report, page = inspect(archive())
    assert code == 0
    assert (
        capsys.readouterr().out == "T0 4 examples, T9 4 examples; 0 damaged, 0 suspicious; see"
        f" {tmp_path / 'x_inspection' / 'index.html'}\n"
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
    assert page.count("data:image/jpeg;base64,") == page.count("data:video/mp4;base64,") == 2


def test_page_stands_alone_and_escapes(archive):
    names = {"T0": "<script>alert(1)</script>", "T9": "b&c"}
    path = archive(task_names=names, keypoint_names={t: ["w/<b>", "robot/&"] for t in ("T0", "T9")})
    _, _, page = inspect(path)
    assert not re.search(r"https?://|<script|<link|<iframe|url\(|<b>", page)
    assert set(re.findall(r'src="(.{15})', page)) == {"data:image/jpeg", "data:video/mp4;"}
    assert "&lt;script&gt;" in page


def test_pictures(tmp_path, archive):
    inspect(archive())
    with Image.open(tmp_path / "x_inspection" / "task_9.jpg") as sheet:
        assert 4 * 100 < sheet.width < 5 * 120
        assert 3 * 100 < sheet.height < 5 * 100
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    for colour in pictures.COLOURS[:2]:
        assert (np.abs(pixels - colour).max(axis=-1) < 20).sum() > 20
    assert movie(tmp_path / "x_inspection" / "task_9.mp4") == (10, 20)


def movie(path):
    """Return the number of pictures in a video, and how many are shown in a second."""
    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0)), video.streams.video[0].average_rate


@pytest.mark.parametrize("vision", sorted(VISIONS))
def test_twelve_colours_differ(vision):
    linear = (np.array(pictures.COLOURS) / 255) ** 2.2
    xyz = np.clip(linear @ np.array(VISIONS[vision]).T, 0, 1) @ np.array(XYZ).T
    f = np.cbrt(xyz / np.sum(XYZ, axis=1))
    lab = np.stack([116 * f[:, 1], 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
    gap = np.linalg.norm(lab[:, None] - lab, axis=-1)[np.triu_indices(12, 1)]
    assert len(lab) == 12
    assert gap.min() > 20  # 2.3 is a difference that is just seen


def test_marker_tells_the_visibility(tmp_path, archive):
    def pixels(visibility):
        def change(tracks):
            tracks[0][0][..., 7] = visibility

        path = archive(change, tasks=(0,))
        output = tmp_path / f"v{visibility}"
        inspect(path, "--output", str(output))
        return np.asarray(Image.open(output / "task_0.jpg").convert("RGB")).astype(int)

    drawn = [(np.abs(pixels(v) - pictures.COLOURS[0]).max(axis=-1) < 30).sum() for v in (1, 0.5, 0)]
    assert len({int(n) for n in drawn}) == 3
    assert min(drawn) > 0


def test_long_example_is_shown_in_steps(tmp_path, archive):
    inspect(
        archive(lambda tracks: tracks.update({0: [make_tracks(20) for _ in range(3)]}), tasks=(0,)),
        "--episode",
        "2",
    )
    assert movie(tmp_path / "x_inspection" / "task_0.mp4") == (20, 20)

    def still(tracks):
        tracks[0][0] = np.repeat(make_tracks(12), 20, axis=1)

    inspect(archive(still, tasks=(0,)))
    assert movie(tmp_path / "x_inspection" / "task_0.mp4") == (120, 10)


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
    assert (root / "inspection" / "task_1_test.mp4").is_file()


def test_frames_of_raw_data_are_the_background(raw):
    root = raw(tasks=(0,))
    inspect(root)
    image = np.asarray(Image.open(root / "inspection" / "task_0.jpg").convert("RGB"))
    with_frames = image.std()
    for path in (root / "train" / "0" / "obs").rglob("*"):
        if path.is_file():
            path.unlink()
    code, report, _ = inspect(root)
    assert code == 1
    assert len(report["damage"]) > 4
    assert (
        np.asarray(Image.open(root / "inspection" / "task_0.jpg").convert("RGB")).std()
        < 0.7 * with_frames
    )


def test_raw_data_without_images(raw):
    code, report, _ = inspect(raw(cams=[]))
    assert code == 0
    assert report["sections"][0]["examples"] == 4


def test_choices(tmp_path, archive):
    path = archive()
    _, report, page = inspect(path, "--tasks", "9", "--max_examples", "2", "--episode", "3")
    assert [(s["label"], s["examples"]) for s in report["sections"]] == [("T9", 2)]
    assert movie(tmp_path / "x_inspection" / "task_9.mp4")[0] == 13
    assert 'id="task_0"' not in page


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
        "index.html",
        "notes.txt",
        "statistics.json",
        "task_1.jpg",
        "task_1.mp4",
    ]


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
        "none": "not found",
        "none.npz": "does not exist",
        "text.txt": "neither a folder nor an npz",
        "bad.npz": "not a readable npz",
        "empty.npz": "not a readable npz",
        "one.npz": "single array",
        "other.npz": "holds no examples",
        "old.npz": "older pickled layout",
        "folder": "not a data set",
    }.items():
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
    (tmp_path / "x_inspection" / "task_9.jpg").write_text("mine")
    assert "task_9.jpg was not written by an inspection" in user_error(capsys, path)
    assert (tmp_path / "x_inspection" / "task_9.jpg").read_text() == "mine"


def test_missing_package_is_one_line(archive, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "data_generation.RLBench.inspection.pictures", raising=False)
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "package PIL is not installed" in user_error(capsys, archive())


# --- charts ---


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-1.2, 1.2, [-1, -0.5, 0, 0.5, 1]),
        (22.5, 42.5, [25, 30, 35, 40]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round(low, high, ticks):
    assert inspect_charts.nice_ticks(low, high) == pytest.approx(ticks)


def test_histogram_of_nothing():
    assert "nothing to show" in inspect_charts.histogram("a", "b", [0, 1], [0])


def test_empty_bars_at_the_end_go():
    assert inspect_charts.trimmed([0, 1, 2, 3], [1, 2, 0]) == ([0, 1, 2], [1, 2])
    assert inspect_charts.trimmed([0, 1], [0]) == ([0, 1], [0])
