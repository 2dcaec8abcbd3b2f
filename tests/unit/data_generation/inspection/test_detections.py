"""The inspection of archives that hold what a detector says."""

import numpy as np
import pytest

from data_generation.RLBench.publishing.pack_archive import packed
from pose_obj_3d.formal import read_formal, write_formal
from tests.unit.data_generation.inspected import inspect, rewrite, write_archive

FIRST = "detections/T9/exemple_1"


@pytest.fixture
def path(tmp_path):
    """Return an archive whose task 9 has detections, task 0 has none."""
    path = write_archive(tmp_path)
    data = read_formal(path)
    says = []
    for x in data.tracks[9]:
        fixed = np.broadcast_to(np.float32([0, 0, 1, 2, 0.3, 0.9, 0.5]), (*x.shape[:3], 7)).copy()
        fixed[..., :2] = x[..., 2:4]
        says.append(fixed)
    meta = {**data.meta, "detections": {"detector": "by hand"}}
    write_formal(path, data.tracks, meta, data.intrinsics, data.extrinsics, detections={9: says})
    return path


def test_sound_detections_are_named(path):
    code, report, page = inspect(path)
    assert code == 0
    assert "holds detections by by hand" in page
    assert report["damage"] == []


def changed(path, channel, value):
    with np.load(path) as archive:
        x = archive[FIRST].copy()
    x[0, 2, 1, channel] = value
    return x


@pytest.mark.parametrize(
    ("members", "place", "what"),
    [
        (lambda p: {FIRST: changed(p, 2, -1)}, FIRST, "not positive definite"),
        (lambda p: {FIRST: changed(p, 5, 2)}, FIRST, "probabilities from 0 to 1"),
        (lambda p: {FIRST: np.zeros((3, 4, 2, 7), np.float32)}, FIRST, "must be float32"),
        (lambda p: {FIRST: None}, FIRST, "is missing"),
        (lambda p: {"detections/T9/exemple_77": np.zeros(2)}, "exemple_77", "unknown member"),
        (lambda p: {"detections/odd": np.zeros(2)}, "detections/odd", "unknown member"),
    ],
)
def test_damaged_detections(path, members, place, what):
    rewrite(path, **members(path))
    code, report, _ = inspect(path)
    assert code == 1
    (row,) = report["damage"]
    assert place in row["file"]
    assert what in row["what"]
    assert all(section["examples"] == 4 for section in report["sections"])


def test_packing_keeps_detections(path):
    pytest.importorskip("deflate", reason="needs the package deflate")
    before = read_formal(path)
    path.write_bytes(packed(path))
    after = read_formal(path)
    for a, b in zip(before.detections[9], after.detections[9], strict=True):
        np.testing.assert_array_equal(a, b)
