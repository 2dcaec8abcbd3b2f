"""What an inspection finds: damage and suspicious episodes."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_generation.RLBench.config import load_config
from data_generation.RLBench.raw.episode import SEGMENTATION_NAMES
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.store import RawStore
from rlbench.cameras import project_views
from tests.unit.data_generation import fake_source
from tests.unit.data_generation.inspected import (
    inspect,
    make_tracks,
    rewrite,
    rig,
)

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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "reason", "detail"),
    [
        (jump, "jump", "robot/tip goes 0.30 m from frame 5 to 6"),
        (never_visible, "never visible in any view", "hidden: robot/tip"),
        (far_away, "outside the volume", "is at (0.10, 0.00, 0.40) m in frame 0; 1 more"),
        (static, "static", "5 mm/s"),
        (
            shifted,
            "2D is not the projected 3D",
            "2.0 px off: waypoints/waypoint0 in right, frame 3",
        ),
    ],
)
def test_suspicious_episodes(archive, fault, reason, detail):
    code, report, page = inspect(archive(lambda tracks: fault(tracks[9][2])))
    assert code == 0
    assert [(s["section"], s["episode"], s["reason"]) for s in report["suspicious"]] == [
        ("T9", "exemple_2", reason)
    ]
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
    assert rows == [
        ("T9", "exemple_1", "", "4 values not finite, the first is y of robot/tip in left, frame 2")
    ]
    assert [(s["episode"], s["reason"]) for s in report["suspicious"]] == [
        ("exemple_1", "not finite")
    ]
    assert report["sections"][1]["examples"] == 4


def test_missed_detections_are_no_damage(archive):
    def miss(tracks):
        tracks[9][0][0, :5, 0, 2:4] = np.nan

    code, report, _ = inspect(archive(miss))
    assert code == 0
    assert report["sections"][1]["share_missed"] == pytest.approx(5 / (46 * 2 * 3))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (
            {"T9__exemple_1": np.zeros((3, 5, 2, 7), np.float32)},
            ("T9", "exemple_1", "", "(3, 5, 2, 7)"),
        ),
        (
            {"T9__exemple_1": np.zeros((2, 5, 2, 8), np.float32)},
            ("T9", "exemple_1", "", "(2, 5, 2, 8)"),
        ),
        ({"T9__exemple_1": np.zeros(4)}, ("T9", "exemple_1", "T9/exemple_1", "(4,)")),
        (
            {"T9__exemple_1": np.zeros((3, 5, 2, 8), bool)},
            ("T9", "exemple_1", "", "must be numbers, got bool"),
        ),
        ({"T9__exemple_1": make_tracks() * 0.3}, ("T9", "exemple_1", "", "visibility other than")),
        ({"T9__exemple_1": None}, ("T9", "", "T9/exemple_1", "is missing")),
        (
            {"T9__exemple_900000000": make_tracks()},
            ("T9", "", "T9/exemple_4", "missing and 899999995 more"),
        ),
        (
            {"T9__exemple_1": np.array([{}], object)},
            ("T9", "exemple_1", "T9/exemple_1", "pickled object array"),
        ),
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
    odd = {
        "format_version": 7,
        "image_size": "big",
        "camera_names": 3,
        "noise": [],
        "frame_period_s": "x",
        "keypoint_names": {"T0": [1]},
        "task_names": None,
        "sources": {"T0": [5], "T9": 1},
    }
    rewrite(path, meta=np.array(json.dumps(odd)))
    rows, report = damage_of(path)
    assert {
        word
        for row in rows
        for word in ("version", "image_size", "camera_names", "keypoint_names", "task_names")
        if word in row[3]
    } == {"version", "image_size", "camera_names", "keypoint_names", "task_names"}
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
    "image unreadable": (
        "obs/left/0/0_rgb_0.png",
        lambda p: p.write_bytes(b"x" * p.stat().st_size),
        "was changed",
        4,
    ),
    "image cut": ("obs/left/0/0_rgb_0.png", lambda p: p.write_bytes(b"x"), "has 1 bytes", 4),
    "tracks changed": (
        "traj_keypoints/0/1_traj_keypoints.json",
        lambda p: p.write_text("{}"),
        "has 2 bytes",
        3,
    ),
    "record not JSON": (
        "episodes/0/1/episode.json",
        lambda p: p.write_text("{"),
        "not valid JSON",
        3,
    ),
    "record changed": (
        "episodes/0/1/episode.json",
        lambda p: p.write_text("{}"),
        "changed after",
        3,
    ),
    "record missing": ("episodes/0/1/episode.json", Path.unlink, "is missing, though", 3),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "change", "what", "readable"), RAW_DAMAGE.values(), ids=RAW_DAMAGE
)
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
        "ee_state/1/1_ee_state.npy",
        "obs/left/0/0_depth_1.png",
        "obs/left/0/0_rgb_0.png",
    ]


def test_episode_of_another_rig(raw, write_config):
    root = raw(tasks=(0,))
    config = load_config(Path(write_config(obs_dim=[24, 32, 3])))
    key = EpisodeKey(0, 1, 1)
    RawStore(root).write(key, fake_source.make_episode(key, config))
    rows, report = damage_of(root)
    assert rows == [
        (
            "T0",
            "variation 1 example 1",
            "",
            "other cameras than T0 variation 0 example 0: one file holds one rig",
        )
    ]
    assert report["sections"][0]["examples"] == 3


def test_interrupted_episode_is_a_note(raw):
    root = raw(tasks=(0,))
    (root / "train" / "0" / ".staging" / "2_0").mkdir(parents=True)
    (root / "train" / "5").mkdir()
    code, report, page = inspect(root)
    assert code == 0
    assert report["notes"] == [
        "T0: 1 episode(s) interrupted, or being written now",
        "T5 has no episodes",
    ]
    assert report["notes"][1] in page


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({str(i): f"thing{i % 399}" for i in range(400)}, "ids in segmentations share a name"),
        ({"0": "(background)", "399": "block"}, "ids in segmentations have no name: [1, "),
        (None, None),
    ],
)
def test_names_of_segmentations(raw, write_config, names, told):
    root = raw(tasks=(0,))
    key, config = EpisodeKey(0, 1, 1), load_config(Path(write_config()))
    episode = fake_source.make_episode(key, config)
    facts = {k: v for k, v in episode.info.items() if k != SEGMENTATION_NAMES}
    if names is not None:
        facts[SEGMENTATION_NAMES] = names
    RawStore(root).write(key, replace(episode, info=facts))
    code, report, _ = inspect(root)
    assert report["sections"][0]["examples"] == 4
    if names is None:
        assert (code, report["damage"]) == (0, [])
        assert report["notes"] == [
            "T0: ids in segmentations have no names (episodes of an earlier version)"
        ]
    else:
        rows, _ = damage_of(root)
        assert [row[:3] for row in rows] == [("T0", "variation 1 example 1", "")]
        assert rows[0][3].startswith(told)
        assert len(rows[0][3]) < 120
