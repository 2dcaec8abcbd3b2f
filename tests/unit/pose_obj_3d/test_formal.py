"""The archive: round trip, split, and one clear error for each fault."""

import json

import numpy as np
import pytest

from pose_obj_3d.common.errors import FormalError
from pose_obj_3d.formal import make_split, read_formal, shipped_archive, tasks_in, write_formal
from tests.unit.pose_obj_3d.synthetic import NAMES, damage, example, rig, write_scene


@pytest.fixture
def members(tmp_path):
    with np.load(write_scene(tmp_path / "a.npz")) as archive:
        return {name: archive[name] for name in archive.files}


def broken(tmp_path, members):
    path = tmp_path / "broken.npz"
    np.savez_compressed(path, **members)
    return path


def test_round_trip_keeps_every_value(tmp_path):
    data = read_formal(write_scene(tmp_path / "a.npz", tasks=(0, 9), examples=5))
    assert sorted(data.tracks) == [0, 9]
    assert data.camera_names == list(NAMES)
    assert data.image_size == (256, 256)
    expected = example(np.random.default_rng([0, 9, 3]), 24, [True, False, True, True])
    np.testing.assert_array_equal(data.tracks[9][3], expected)
    np.testing.assert_array_equal(data.intrinsics, rig()[0])


def test_same_input_writes_same_bytes_and_no_temporary_file(tmp_path):
    a, b = write_scene(tmp_path / "a.npz"), write_scene(tmp_path / "b.npz")
    assert a.read_bytes() == b.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "b.npz"]


@pytest.mark.parametrize("n", [3, 4, 7, 12, 100, 300])
def test_split_is_disjoint_complete_and_last(n):
    split = make_split(n)
    assert split["train"] + split["val"] + split["test"] == list(range(n))
    assert len(split["test"]) == max(1, round(0.2 * n))
    assert len(split["val"]) == max(1, round(0.1 * n))


def test_split_needs_three():
    with pytest.raises(FormalError, match="at least 3"):
        make_split(2)


def test_missing_file_and_truncated_file(tmp_path):
    with pytest.raises(FormalError, match="no such file"):
        read_formal(tmp_path / "none.npz")
    path = write_scene(tmp_path / "a.npz")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FormalError, match="not a readable npz"):
        read_formal(path)


def test_a_single_array_is_no_archive(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    path = (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    for read in (read_formal, tasks_in):
        with pytest.raises(
            FormalError, match=r"a\.npz: not a readable npz archive \(a single array\)"
        ):
            read(path)


def test_pickles_are_refused(tmp_path):
    np.savez(tmp_path / "p.npz", pose=np.array({"T0": {}}, dtype=object))
    with pytest.raises(FormalError, match="older pickled layout"):
        read_formal(tmp_path / "p.npz")


def test_damaged_bytes_are_an_error(tmp_path, members):
    path = tmp_path / "broken.npz"
    np.savez_compressed(path, **members)
    damage(path)
    with pytest.raises(FormalError, match=r"broken\.npz: not a readable npz archive"):
        read_formal(path)


def test_other_version(tmp_path, members):
    meta = json.loads(str(members["meta"]))
    members["meta"] = np.array(json.dumps({**meta, "format_version": 99}))
    with pytest.raises(FormalError, match="format version 99"):
        read_formal(broken(tmp_path, members))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:, :, :3], "has shape"),
        (lambda x: x.astype(np.float64), "float32"),
        (
            lambda x: np.where(np.arange(8) == 4, np.float32(np.nan), x),
            "not finite at view 0, frame 0, keypoint 0, x",
        ),
        (
            lambda x: np.where(np.arange(8) == 2, np.float32(np.nan), x),
            "not finite at view 0, frame 0, keypoint 0, u_detected",
        ),
        (lambda x: np.where(np.arange(8) == 7, np.float32(0.3), x), "visibility must be"),
    ],
)
def test_broken_example_is_named(tmp_path, members, change, message):
    members["T0/exemple_2"] = change(members["T0/exemple_2"])
    with pytest.raises(FormalError, match=f"exemple_2.*{message}"):
        read_formal(broken(tmp_path, members))


def test_missing_example_and_missing_task(tmp_path, members):
    data = read_formal(broken(tmp_path, members))
    with pytest.raises(FormalError, match="task T8 is missing; the file holds T0"):
        data.require_tasks([0, 8])
    del members["T0/exemple_1"]
    with pytest.raises(FormalError, match="lacks exemple_1"):
        read_formal(broken(tmp_path, members))


def test_overlapping_split_is_refused(tmp_path, members):
    meta = json.loads(str(members["meta"]))
    meta["split"]["T0"]["test"] = [0]
    members["meta"] = np.array(json.dumps(meta))
    with pytest.raises(FormalError, match="disjoint"):
        read_formal(broken(tmp_path, members))


def test_bad_write_leaves_nothing(tmp_path):
    with pytest.raises(FormalError, match="meta lacks"):
        write_formal(tmp_path / "x.npz", {}, {"image_size": [1, 1]}, *rig())
    assert list(tmp_path.iterdir()) == []


def test_a_missed_detection_is_nan_in_both_coordinates(members, tmp_path):
    members["T0/exemple_1"][1, 3, 2, 2:4] = np.nan
    data = read_formal(broken(tmp_path, members))
    assert np.isnan(data.tracks[0][1][1, 3, 2, 2:4]).all()


def test_the_copy_of_a_shipped_archive_goes_before_its_name(tmp_path):
    assert shipped_archive(tmp_path) == tmp_path / "sim_all_formal.npz"
    (tmp_path / "sim_all_formal_shipped.npz").touch()
    assert shipped_archive(tmp_path) == tmp_path / "sim_all_formal_shipped.npz"
    assert shipped_archive(tmp_path, "sim_more_formal.npz") == tmp_path / "sim_more_formal.npz"
