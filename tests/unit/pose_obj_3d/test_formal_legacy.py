"""The older pickled layout: read safely, written on request."""

import os

import numpy as np
import pytest

from pose_obj_3d import formal_legacy
from pose_obj_3d.exceptions import FormalError
from pose_obj_3d.formal import read_formal
from tests.unit.pose_obj_3d.synthetic import write_scene


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "new.npz"
    write_scene(path)
    return read_formal(path)


def test_round_trip_keeps_every_number(tmp_path, archive):
    old, again = tmp_path / "old.npz", tmp_path / "again.npz"
    formal_legacy.write_legacy(old, archive)
    assert formal_legacy.main([str(old), str(again), "--like", str(archive.path)]) == 0
    back = read_formal(again)
    assert sorted(back.tracks) == sorted(archive.tracks)
    for task, tracks in archive.tracks.items():
        assert back.keypoint_names(task) == archive.keypoint_names(task)
        for a, b in zip(tracks, back.tracks[task], strict=True):
            assert np.array_equal(a, b)
    assert np.array_equal(back.intrinsics, archive.intrinsics)


class Evil:
    def __reduce__(self):
        return os.getcwd, ()


def save(path, pose):
    holder = np.empty((), object)
    holder[()] = pose
    np.savez(path, pose=holder)
    return path


@pytest.mark.parametrize(
    ("pose", "message"),
    [
        ({"T0": Evil()}, "getcwd"),
        ([1, 2], "dict of tasks"),
        ({"S0": {}}, "T<number>"),
        ({"T0": {"exemple_1": []}}, "exemple_0"),
        ({"T0": {"exemple_0": [np.zeros((3, 2, 7))]}}, r"\(frames, keypoints, 8\)"),
    ],
)
def test_other_contents_are_refused(tmp_path, pose, message):
    with pytest.raises(FormalError, match=message):
        formal_legacy.read_legacy(save(tmp_path / "x.npz", pose))


def test_other_files_are_refused(tmp_path, capsys):
    path = tmp_path / "x.npz"
    path.write_bytes(b"no archive")
    assert formal_legacy.main([str(path), str(tmp_path / "y.npz"), "--like", str(path)]) == 2
    assert "not an older archive" in capsys.readouterr().err
