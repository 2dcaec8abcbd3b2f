"""The older pickled layout: read safely, written on request."""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pose_obj_3d import formal_legacy
from pose_obj_3d.common.archive.legacy import read_legacy, write_legacy
from pose_obj_3d.common.errors import FormalError
from pose_obj_3d.common.safe_reading import plain_pickle
from pose_obj_3d.formal import read_formal
from tests.unit.pose_obj_3d.synthetic import write_scene

CASES = Path(__file__).resolve().parents[5] / "shared" / "cases"


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "new.npz"
    write_scene(path)
    return read_formal(path)


def test_round_trip_keeps_every_number(tmp_path, archive):
    old, again = tmp_path / "old.npz", tmp_path / "again.npz"
    write_legacy(old, archive.tracks)
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
        read_legacy(save(tmp_path / "x.npz", pose))


def test_other_files_are_refused(tmp_path, capsys):
    path = tmp_path / "x.npz"
    path.write_bytes(b"no archive")
    assert formal_legacy.main([str(path), str(tmp_path / "y.npz"), "--like", str(path)]) == 2
    assert "not an older archive" in capsys.readouterr().err


PRESENT = ["f4", "f8", ">f4", "f2"]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", PRESENT)
def test_every_protocol_of_plain_data_is_read(tmp_path, protocol, kind):
    views = [
        np.asfortranarray(np.arange(48.0).reshape(2, 3, 8)).astype(kind),
        np.arange(48.0, 96).reshape(2, 3, 8).astype(kind),
    ]
    pose = {
        "T3": {"exemple_1": views[::-1], "exemple_0": views},
        "T12": {"exemple_0": np.stack(views)},
    }
    found = read_legacy(pickled(tmp_path / "x.npz", wrapped(pose), protocol))
    assert sorted(found) == [3, 12]
    np.testing.assert_array_equal(found[3][0], np.stack(views).astype(np.float32))
    np.testing.assert_array_equal(found[3][1], np.stack(views[::-1]).astype(np.float32))
    np.testing.assert_array_equal(found[12][0], np.stack(views).astype(np.float32))
    assert all(x.dtype == np.float32 for xs in found.values() for x in xs)


def wrapped(pose):
    holder = np.empty((), object)
    holder[()] = pose
    return holder


def pickled(path, content, protocol=4):
    """Write a member `pose` whose pickle has any content, or is given as bytes."""
    raw = content if isinstance(content, bytes) else pickle.dumps(content, protocol)
    text = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"
    text += b" " * (64 - (len(text) + 11) % 64) + b"\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "pose.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + raw
        )
    return path


class Forged:
    """Pickles as an array that was built from any state."""

    def __init__(self, state):
        self.state = state

    def __reduce__(self):
        return np.zeros(0).__reduce__()[0], (np.ndarray, (0,), b"b"), self.state


class ForgedType:
    def __init__(self, name, state):
        self.name, self.state = name, state

    def __reduce__(self):
        return np.dtype, (self.name, False, True), self.state


F4 = np.dtype("f4")
ORDER = (3, "<", None, None, None, -1, -1, 0)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ((1, (10**9,), F4, False, b"1234"), "of 4 bytes, which needs 4000000000"),
        ((1, (10**12, 10**12), F4, False, b""), "which needs"),
        ((1, (-1,), F4, False, b""), "no tuple of lengths"),
        ((1, (1,) * 60, F4, False, b"1234"), "60 axes"),
        ((1, "shape", F4, False, b"1234"), "no tuple of lengths"),
        ((1, (1,), F4, False, None), "NoneType where bytes belong"),
        ((1, (1,), F4, False, [1.0]), "list where bytes belong"),
        ((1, (1,), "f4", False, b"1234"), "without a type"),
        ((1, (2,), np.dtype("O"), False, [1]), "2 objects that holds 1"),
        ((1, (2,), np.dtype("O"), False, b"12345678"), "2 objects that holds bytes"),
        ((1, (1,), np.dtype([("a", "f4")]), False, b"1234"), "type 'V4'"),
        (
            (
                1,
                (1,),
                ForgedType("V8", (3, "|", None, ("a",), {"a": (F4, 100)}, 8, 1, 0)),
                False,
                b"12345678",
            ),
            "type 'V8'",
        ),
        (
            (
                1,
                (1,),
                ForgedType("f4", (3, "<", None, ("a",), {"a": (F4, 100)}, 8, 1, 0)),
                False,
                b"1234",
            ),
            "f4 with parts",
        ),
        (
            (1, (1,), ForgedType("f4", (3, "<", (F4, (9,)), None, None, 8, 1, 0)), False, b"1234"),
            "f4 with parts",
        ),
        ((1, (1,), ForgedType("f4", "state"), False, b"1234"), "f4 with parts"),
        ((1, (1,), ForgedType("U0", ORDER), False, b""), "of 0 bytes"),
        (
            (
                1,
                (1,),
                ForgedType("M8", (4, "<", None, None, None, -1, -1, 0, ({}, ("s", 1, 1, 1)))),
                False,
                b"12345678",
            ),
            "type 'M8'",
        ),
        ("state", "without shape, type"),
        ((), "without shape, type|views must all"),
        (None, "views must all"),
    ],
)
def test_forged_states_build_nothing(tmp_path, state, message):
    path = pickled(tmp_path / "x.npz", {"T0": {"exemple_0": [Forged(state)]}})
    with pytest.raises(FormalError, match=message):
        read_legacy(path)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "damaged"),
        (b".", "an object is missing"),
        (b"N", "damaged"),
        (b"NN.", "more than one object"),
        (b"(((((.", "an object is missing"),
        (b"t.", "a mark is missing"),
        (b"0.", "an object is missing"),
        (b"h\x05.", "object 5 is not"),
        (b"\x80\x04Nr\xff\xff\xff\x7f.", "found NoneType"),
        (b"]\x94h\x00a.", "found list"),
        (b"N(e.", "appends to NoneType"),
        (b"}]Ns.", "list as a key"),
        (b"}NNs.", "NoneType as a key"),
        (b"}\x8a\x09" + b"\x01" * 9 + b"Ns.", "int as a key"),
        (b"\x8e" + b"\xff" * 7 + b"\x7f.", "damaged"),
        (b"I" + b"1" * 5000 + b"\n.", "damaged"),
        (b"NNR.", "calls NoneType"),
        (b"NNb.", "fills NoneType"),
        (b"cnumpy\ndtype\n)R.", "arguments that do not fit"),
        (b"cnumpy\nndarray\n)R.", "without data"),
        (b"cbuiltins\neval\n.", "asks for builtins.eval"),
        (b"c__builtin__\neval\np0\n.", "asks for __builtin__.eval"),
        (b"cnumpy.core.multiarray\nos.system\n.", "os.system"),
        (b"Pother\n.", "instruction PERSID"),
        (b"NQ.", "another file"),
        (b"\x82\x01.", "instruction EXT1"),
        (b"(cnumpy\nndarray\no.", "instruction OBJ"),
        (b"(inumpy\nndarray\n.", "instruction INST"),
        (b"\x8f.", "instruction EMPTY_SET"),
        (b"cnumpy\nndarray\n)\x81.", "instruction NEWOBJ"),
        (b"\xff.", "damaged"),
    ],
)
def test_broken_pickles(tmp_path, raw, message):
    with pytest.raises(FormalError, match=message) as found:
        read_legacy(pickled(tmp_path / "x.npz", raw))
    assert len(str(found.value)) < 480


def test_the_number_of_instructions_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(plain_pickle, "MAX_STEPS", 1000)
    with pytest.raises(FormalError, match="more than 1000 instructions"):
        read_legacy(pickled(tmp_path / "x.npz", b"N" + b"0N" * 600 + b"."))


def test_one_array_named_many_times_is_no_bomb(tmp_path):
    view = np.zeros((100, 10, 8), np.float32)
    path = pickled(tmp_path / "x.npz", {"T0": {f"exemple_{n}": [view] * 100 for n in range(50)}})
    with pytest.raises(FormalError, match="names the same arrays many times"):
        read_legacy(path)


def test_a_member_that_is_no_pickle(tmp_path):
    np.savez(tmp_path / "x.npz", pose=np.zeros(3))
    with pytest.raises(FormalError, match="is no pickled array"):
        read_legacy(tmp_path / "x.npz")


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")
@pytest.mark.parametrize("path", sorted(CASES.glob("legacy_*.npz")), ids=lambda p: p.stem)
def test_cases(path, tmp_path, archive, capsys):
    assert (
        formal_legacy.main([str(path), str(tmp_path / "out.npz"), "--like", str(archive.path)]) == 2
    )
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}: ")
    assert error.count("\n") == 1
    assert len(error) < 500
    assert not (tmp_path / "out.npz").exists()
