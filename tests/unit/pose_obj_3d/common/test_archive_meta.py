"""Every field of an archive's `meta` has a type; one line says what was found instead."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from pose_obj_3d.common.archive.members import read_meta
from pose_obj_3d.common.archive.meta import MAX_TEXT, check_meta, decode_meta, make_split
from pose_obj_3d.common.archive.shards import OpenArchive
from pose_obj_3d.common.errors import MAX_MESSAGE, FormalError
from pose_obj_3d.formal import read_formal, tasks_in
from tests.unit.pose_obj_3d.synthetic import write_scene

CASES = Path(__file__).resolve().parents[5] / "shared" / "cases"
DEEP = "[" * 100_000
BAD = object()


@pytest.fixture(scope="module")
def meta(tmp_path_factory):
    with np.load(write_scene(tmp_path_factory.mktemp("meta") / "a.npz")) as archive:
        return json.loads(str(archive["meta"]))


def put(meta, key, value):
    """Change a field, `a.b` inside another; `BAD` removes it."""
    changed = copy.deepcopy(meta)
    *outer, last = key.split(".")
    place = changed
    for part in outer:
        place = place[part]
    if value is BAD:
        del place[last]
    else:
        place[last] = value
    return changed


def test_what_the_writer_wrote_is_right(meta):
    check_meta(decode_meta(json.dumps(meta)))


def test_the_meta_of_100_000_examples_is_read(meta, tmp_path):
    count, names = 100_000, meta["keypoint_names"]["T0"]
    numbers = range(count)
    large = {
        **meta,
        "split": {"T0": make_split(count)},
        "sources": {"T0": [{"variation": n % 60, "example": n} for n in numbers]},
        "source_seeds": {"T0": [["0", "9", str(n % 60), str(n), "0"] for n in numbers]},
        "mask_ids": {"T0": [[84] * len(names)] * count},
    }
    text = json.dumps(large)
    assert len(text) < MAX_TEXT / 2  # so there is room for more keypoints
    path = tmp_path / "a.npz"
    np.savez(path, meta=np.array(text))
    with OpenArchive(path) as archive:
        found = read_meta(path, archive)
    check_meta(found)
    assert len(found["sources"]["T0"]) == count


@pytest.mark.parametrize(
    ("key", "values"),
    [
        (
            "image_size",
            [
                None,
                256,
                "256",
                [256],
                [256, 0],
                [256, -1],
                [256.5, 256],
                [True, True],
                [10**30, 256],
                [256, 256, 3],
                {},
            ],
        ),
        (
            "camera_names",
            [
                None,
                "left",
                [],
                [1, 2, 3, 4],
                ["a", "a", "b", "c"],
                ["a", "", "b", "c"],
                ["a\nb", "c", "d", "e"],
                {},
                ["x" * 999] * 4,
            ],
        ),
        (
            "task_names",
            [
                None,
                [],
                {"T0": 3},
                {"T0": ""},
                {"0": "a"},
                {"T01": "a"},
                {"T\u0661": "a"},
                {"T" + "9" * 5000: "a"},
            ],
        ),
        (
            "keypoint_names",
            [
                None,
                {"T0": "abcd"},
                {"T0": ["a", "a", "b", "c"]},
                {"T0": [1, 2, 3, 4]},
                {"T0": {}},
                [],
            ],
        ),
        (
            "frame_period_s",
            [
                None,
                0,
                0.0,
                -0.05,
                float("inf"),
                float("nan"),
                "0.05",
                [0.05],
                True,
                10**400,
                1e300,
                {},
            ],
        ),
        ("noise", [None, [], 1.0, "x"]),
        (
            "noise.sigma_px",
            [None, -1, float("nan"), float("inf"), "1.3", [1.3], True, 10**400, BAD],
        ),
        (
            "noise.sigma_px_per_view",
            [
                "x",
                [1.0, 2.0],
                [1, 1, 1, "1"],
                [1, 1, 1, None],
                [1, 1, 1, -1],
                [1, 1, 1, float("nan")],
                {},
            ],
        ),
        ("noise.outlier_rate", [1.5, [0, 0, 0, 2], "no"]),
        ("noise.drop_rate", [-0.1, [[0], [0], [0], [0]]]),
        ("noise.gross_rate_hidden", [1.5, [0.1, 0.2]]),
        ("noise.noise_time_constant", [-1, "8", [1, 2, 3, None]]),
        ("noise.occlusion_noise", [None, [1e300] * 4]),
        ("noise.estimated_px_per_view", [[1.0] * 4]),
        (
            "split",
            [
                None,
                [],
                {"T0": []},
                {"T0": {"train": [0], "val": [1]}},
                {"T0": {"train": 0, "val": [1], "test": [2]}},
            ],
        ),
        ("split.T0.train", [["0"], [0.0], [-1], [True], [10**30], "0123", None, {"0": 0}, [[0]]]),
        (
            "image_pattern",
            [
                3,
                ["a"],
                "{task.__class__}",
                "{frame:999999999}",
                "{0}",
                "{}",
                "{frame",
                "{frame!r}",
                "{other}",
                "a\nb",
                "x" * 5000,
            ],
        ),
        (
            "sources",
            [
                [],
                {"T0": 3},
                {"T0": [3]},
                {"T0": [{}]},
                {"T0": [{"variation": "0", "example": 0}]},
                {"x": []},
            ],
        ),
        ("mask_pattern", [3, "{0}", "{other}"]),
        ("mask_ids", [[], {"T0": 3}, {"T0": [3]}, {"T0": [[1]]}, {"T0": [[1, 2, 3, 70_000]]}]),
        ("descriptions", [3, {"T0": "lift"}, {"T0": [3]}, {"x": []}]),
    ],
)
def test_types_and_ranges(meta, key, values):
    for value in values:
        with pytest.raises(FormalError, match=r"meta: ") as found:
            check_meta(put(meta, key, value))
        assert key.split(".")[0] in str(found.value)
        assert len(str(found.value)) <= MAX_MESSAGE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("noise.sigma_px", 0),
        ("noise.sigma_px_per_view", [1, 2, 3, 4]),
        ("noise.outlier_rate", 0.1),
        ("noise.seed", [1, 2]),
        ("noise.noise_time_constant", [8.5] * 4),
        ("noise.share_identical", 0.95),
        ("image_pattern", "../raw/{task}/{camera}/{variation}/{example}_{frame:06d}.png"),
        ("image_pattern", "{{x}}{frame:4}.png"),
        ("image_pattern", None),
        ("mask_pattern", "../raw/{task}/{camera}/{variation}/{example}_{frame}.png"),
        ("mask_ids", {"T0": [[40, None, 40, 65_535]]}),
        ("descriptions", {"T0": ["lift the red block"]}),
        ("sources", {"T0": [{"variation": 0, "example": 3, "more": "x"}]}),
        ("frame_period_s", 1),
        ("source_seeds", [1, "anything", None]),
        ("of_a_later_program", {"a": 1}),
    ],
)
def test_what_is_allowed(meta, key, value):
    check_meta(put(meta, key, value))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[]", "format version None"),
        ("3", "format version None"),
        (DEEP, "is not JSON"),
        ('{"a":' * 100_000, "is not JSON"),
        ("1" * 5000, "is not JSON"),
        ("NaN", "holds NaN, which is no number"),
        ('{"format_version": true}', "format version True"),
        ('{"format_version": "' + "1" * 9999 + '"}', "format version '111"),
        ('{"format_version": 1}', "lacks image_size"),
        (" " * (MAX_TEXT + 1), f"at most {MAX_TEXT} are read"),
    ],
)
def test_texts_that_are_no_meta(text, message):
    with pytest.raises(FormalError, match=message) as found:
        decode_meta(text)
    assert len(str(found.value)) <= MAX_MESSAGE


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("meta", np.zeros(3)),
        ("meta", np.array(["a", "b"])),
        ("meta", np.array(b"bytes")),
        ("meta", np.zeros(0, "U1")),
        ("intrinsics", np.array(["x"])),
        ("intrinsics", np.full((4, 3, 3), np.nan)),
        ("extrinsics", np.zeros((4, 3, 4), bool)),
        ("extrinsics", np.zeros((4, 3, 4), complex)),
        ("T0/exemple_50000000", np.zeros((4, 24, 4, 8), np.float32)),
        ("T0/exemple_01", np.zeros((4, 24, 4, 8), np.float32)),
        ("T0/exemple_" + "9" * 80, np.zeros(3)),
        ("other", np.zeros(3)),
        ("T\u0661/exemple_0", np.zeros(3)),
        ("T0/exemple_0", np.zeros((4, 24, 4, 8), ">f4")),
        ("T0/exemple_0", np.zeros((4, 0, 4, 8), np.float32)),
    ],
)
def test_members_of_another_kind(tmp_path, name, value):
    with np.load(write_scene(tmp_path / "a.npz")) as archive:
        members = {n: archive[n] for n in archive.files}
    np.savez_compressed(tmp_path / "b.npz", **{**members, name: value})
    with pytest.raises(FormalError, match=r"b\.npz: ") as found:
        read_formal(tmp_path / "b.npz")
    assert len(str(found.value)) < MAX_MESSAGE
    assert tasks_in(tmp_path / "b.npz")[:1] == [0]


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")
@pytest.mark.parametrize(
    "path",
    sorted([*CASES.glob("formal_*.npz"), *CASES.glob("train_meta_*.npz")]),
    ids=lambda p: p.stem,
)
def test_cases(path):
    with pytest.raises(FormalError, match=r"\.npz: "):
        read_formal(path)
