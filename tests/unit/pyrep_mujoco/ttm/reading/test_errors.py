"""Broken files are refused with one clear line, fast and with little memory."""

import struct
import time
import tracemalloc
from pathlib import Path

import mujoco
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyrep_mujoco.errors import TtmError
from pyrep_mujoco.ttm import to_mjcf
from pyrep_mujoco.ttm.mjcf import paths
from pyrep_mujoco.ttm.reading import chunks, object_chunks, reader, shapes
from pyrep_mujoco.ttm.reading.reader import decode, read_header, read_scene
from pyrep_mujoco.ttm.to_mjcf import conversion
from rlbench.backend.exceptions import RLBenchError, SceneError
from tests.unit.pyrep_mujoco.ttm import ttm_files as tf
from tests.unit.pyrep_mujoco.ttm.ttm_odd_files import odd_scene

SAMPLE = Path(__file__).resolve().parents[6] / "shared/rlbench_ttm_samples/reach_target.ttm"
INFINITE = float("inf")


def refused(content, message):
    with pytest.raises(TtmError, match=message) as caught:
        decode(content, "odd.ttm")
    assert isinstance(caught.value, RLBenchError)
    line = str(caught.value)
    assert line.startswith("odd.ttm: ")
    assert "\n" not in line
    return line


def header(version=22, application=40100, packing=1, size=100):
    head = struct.pack("<4s2iBiiHibb", b"VREP", version, 18, packing, size, 0, application, 0, 0, 2)
    return head.ljust(1021, b"\0")


HEADERS = [
    (b"", "starts with b'', not with VREP"),
    (b"PK\3\4 something else", "this is no V-REP / CoppeliaSim file"),
    (header()[:500], "cut off in its header, after 500 bytes"),
    (
        header(25, 40600),
        r"saved by CoppeliaSim 4\.6\.0, which is newer .* serialisation 25, 18 to 23 are read",
    ),
    (header(17), "serialisation 17 is too old; 18 to 23"),
    (header(packing=7), "packing 7 is unknown; 0 and 1"),
    (header(size=-5), "claims -5 bytes; 3 to"),
    (header(size=2**31 - 1), "claims 2147483647 bytes; 3 to"),
    (header(packing=0, size=100) + b"x" * 99, "cut off: has 99 of 100 bytes"),
    (header(size=100), "code tree is cut off"),
]


@pytest.mark.parametrize(("content", "message"), HEADERS)
def test_headers(content, message):
    refused(content, message)


def test_reading_a_header_says_the_same(tmp_path):
    file = tmp_path / "new.ttm"
    file.write_bytes(header(24))
    with pytest.raises(TtmError, match=r"new\.ttm: was saved by"):
        read_header(file)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_scene(tmp_path / "none.ttm")


def test_a_claim_beyond_what_the_bits_hold():
    line = refused(tf.ttm(tf.dummy("a", 1), size=10**9), "claims 1000000000 bytes, but the")
    assert "packed ones hold at most" in line


def broken(raw, end=b"EOF"):
    return tf.ttm(raw, end=end, compressed=False)


STRUCTURES = [
    (broken(b"", b""), "claims 0 bytes; 3 to"),
    (broken(tf.chunk("Abc", b"1234"), b""), "payload at byte 0: ends without its end tag EOF"),
    (broken(b"", b"EOFxy"), "payload at byte 0: ends 2 bytes before its size says"),
    (broken(b"Abc" + tf.i32(1000)), "Abc at byte 0: claims 1000 bytes where 3 are left"),
    (broken(b"Abc" + tf.i32(-1)), "Abc at byte 0: claims -1 bytes"),
    (broken(b"Abc\1", b""), "payload at byte 0: ends without its end tag EOF"),
    (broken(b"\xff\0\1" + tf.i32(0)), r"has the bytes ff 00 01 in place of a tag at \+0"),
    (broken(tf.chunk("DMY", b"EOO")), "DMY at byte 7: ends without its end tag NXT"),
    (broken(tf.chunk("TEX", b"EOO12")), "TEX at byte 7: ends 2 bytes before its size says"),
    (broken(tf.chunk("DMY", b"NXTEOO")), "DMY at byte 7: has no Nme"),
]


@pytest.mark.parametrize(("content", "message"), STRUCTURES)
def test_structures(content, message):
    refused(content, message)


def one_mesh(*objects):
    return tf.ttm(tf.texture(), tf.buffers(), *objects)


def mesh(**changes):
    return one_mesh(tf.shape("thing", 1, geometry=tf.leaf(**changes)))


def common(**changes):
    return tf.ttm(tf.dummy("thing", 1, **changes))


def number(tag, *values):
    return tf.chunk(tag, tf.i32(*values))


OBJECTS = [
    (common(Ids=None), "DMY of 'thing' at byte 7: has no Ids"),
    (common(Cfq=tf.chunk("Cfq", tf.qx((0, INFINITE, 0)))), "DMY/Cfq of 'thing' .* not finite"),
    (common(Cfq=tf.chunk("Cfq", tf.qx(quat=(0, 0, 0, 0)))), "Cfq of 'thing' .* whose quaternion"),
    (common(Cfq=tf.chunk("Cfq", tf.f32(1, 2))), "Cfq of 'thing' .* holds 8 bytes, needs 28"),
    (common(Rst=number("Rst", 50)), "Rst of 'thing' .* claims a text of 50 bytes in 0"),
    (common(Rst=number("Rst", -2)), "claims a text of -2 bytes"),
    (mesh(Vev=number("Vev", 1)), "Vev of 'thing' .* names vertices 1; the file has 1"),
    (mesh(Inv=number("Inv", -1)), "Inv of 'thing' .* names triangles -1; the file has 1"),
    (mesh(Nov=number("Nov", 5)), "Nov of 'thing' .* names normals 5; the file has 1"),
    (mesh(Vev=None), "SHP/Ge2/Gst of 'thing' .* has no Vev"),
    (mesh(Cl0=None), "has no Cl0"),
    (mesh(Ppr=tf.chunk("Ppr", tf.i32(9), tf.f32(1, 1, 1))), "names primitive 9; 0 to 8"),
    (mesh(Ppf=tf.chunk("Ppf", tf.xq((0, 0, float("nan"))))), "Ppf of 'thing' .* not finite"),
    (mesh(Toj=tf.texture_use(scale=(INFINITE, 1))), "Tob of 'thing' .* not finite"),
    (mesh(Vev=None, Hfd=number("Hfd", 1000, 1000)), "claims 1000 x 1000 heights in 8 bytes"),
    (mesh(node=tf.node_chunks(mass=-1)), "has a mass of -1 kg"),
    (one_mesh(tf.shape("thing", 1, geometry=b"")), "SHP/Ge2 of 'thing' .* has no Gst"),
    (one_mesh(tf.shape("thing", 1, geometry=tf.group("Gsg"))), "holds no mesh"),
    (tf.ttm(tf.joint("thing", 1, kind=9)), "names joint kind 9; known are 10, 11, 12"),
    (tf.ttm(tf.joint("thing", 1, Jmd=number("Jmd", 8))), "names joint mode 8"),
    (
        tf.ttm(tf.joint("thing", 1, limits=(0, INFINITE))),
        "JNT/Pmr of 'thing' .* not finite",
    ),
    (tf.ttm(tf.proximity_sensor("thing", 1, kind=5)), "names sensor kind 35"),
    (
        tf.ttm(tf.proximity_sensor("thing", 1, sizes=[1.0, INFINITE] * 5)),
        "SNR/Vod/Ss3 of 'thing' .* not finite",
    ),
    (tf.ttm(tf.light("thing", 1, kind=4)), "names light kind 4"),
    (tf.ttm(tf.joint("thing", 1, limits=(0, -0.5))), "JNT/Pmr of 'thing' .* a range of -0.5"),
    (
        tf.ttm(tf.path("thing", 1, points=[((0, 0, 0), tf.NO_TURN, 0.5, 0.5, 10**9)])),
        "PAT/Ntp/Pat/At2 of 'thing' .* asks for 1000000000 points",
    ),
    (tf.ttm(tf.vision_sensor("thing", 1, pixels=(10**6, 64))), "claims 1000000 x 64 pixels"),
]


@pytest.mark.parametrize(("content", "message"), OBJECTS)
def test_objects(content, message):
    refused(content, message)


BUFFERS = [
    ([tf.chunk("Ver", bytes(13))], "VIN/Ver .* at byte .* 13 bytes are no triples of 4 bytes"),
    ([tf.chunk("In2", tf.i32(1000), bytes(9))], "claims 1000 corners in 9 bytes"),
    ([tf.chunk("In2", tf.i32(3), b"\xff" * 4)], "ends before its 3 corners do"),
    ([tf.chunk("In2", tf.i32(4), b"\x20" * 4)], "4 corners are no triangles"),
    ([tf.chunk("In2", tf.i32(0))], "names a mesh without triangles"),
    ([tf.chunk("In2", tf.delta_coded([0, 1, 4]))], "vertices 0 to 4; the buffer has 4"),
    ([tf.chunk("Ind", tf.i32(0, 1, -1))], "vertices -1 to 1; the buffer has 4"),
    ([tf.chunk("In2", tf.delta_coded([0, 1, 2]))], "names normals of 4 triangles for 1"),
]


@pytest.mark.parametrize(("own", "message"), BUFFERS)
def test_buffers(own, message):
    points = tf.chunk("Ver", tf.TETRA_POINTS.tobytes())
    normals = tf.chunk("No2", tf.packed_normals(tf.TETRA_NORMALS))
    chunks_ = [*own, points] if own[0][:3] != b"Ver" else own
    refused(tf.ttm(tf.buffers(*chunks_, normals), tf.shape("s", 1)), message)


def test_vertices_must_be_finite():
    points = tf.TETRA_POINTS.copy()
    points[2, 1] = np.nan
    own = tf.chunk("Ver", points.tobytes()), tf.chunk("In2", tf.i32(0))
    refused(tf.ttm(tf.buffers(*own), tf.shape("s", 1)), "VIN/Ver .* not finite")


TREES = [
    ([("a", 1, -1), ("b", 1, -1)], "'b' and 'a' have the same handle 1"),
    ([("a", 1, -1), ("a", 2, -1)], "two objects are named 'a'"),
    ([("a", 1, 7)], "parent of 'a' has handle 7, which no object has"),
    ([("a", 1, 1)], "'a' is below itself"),
    ([("a", 1, 3), ("b", 2, 1), ("c", 3, 2)], "is below itself"),
]


@pytest.mark.parametrize(("objects", "message"), TREES)
def test_trees(objects, message):
    refused(tf.ttm(*(tf.dummy(*each) for each in objects)), message)


def chain(count):
    """Dummies, each below the one before it in the file, the first last."""
    return tf.ttm(*(tf.dummy(f"d{i}", i, i - 1) for i in reversed(range(count))))


def test_trees_may_be_deep(tmp_path):
    assert len(decode(chain(reader.MAX_DEPTH)).world_poses()) == reader.MAX_DEPTH
    refused(chain(reader.MAX_DEPTH + 1), "'d256' is below 256 others; trees of up to 256 levels")
    refused(chain(900), "'d899' is below 899 others")
    joints = [tf.joint(f"d{i}", i, i - 1) for i in range(reader.MAX_DEPTH)]
    path = tmp_path / "a.ttm"
    for content in (chain(reader.MAX_DEPTH), tf.ttm(*joints)):
        path.write_bytes(content)
        assert called_deep(lambda: conversion(path), 200).overlaps == []


def called_deep(function, depth):
    """Call as from within a large program."""
    return called_deep(function, depth - 1) if depth else function()


def test_number_of_objects(tmp_path):
    objects = [tf.dummy(f"d{i}", i) for i in range(reader.MAX_OBJECTS + 1)]
    refused(tf.ttm(*objects, compressed=False), "holds 1001 objects; up to 1000 are read")
    path = tmp_path / "a.ttm"
    path.write_bytes(tf.ttm(*objects[1:], compressed=False))
    start = time.process_time()
    conversion(path)
    assert time.process_time() - start < 3 * SECONDS


def test_curves_of_one_file():
    def curve(name, handle, count):
        points = [((i, i % 2, i % 3), tf.NO_TURN, 0.5, 0.5, count) for i in range(50)]
        return tf.path(name, handle, points=points)

    most = object_chunks.MAX_CURVE_POINTS // 50
    scene = decode(tf.ttm(curve("a", 1, most)))
    start = time.process_time()
    assert len(paths.fine_points(scene.objects[0])) == 48 * most + 2
    assert time.process_time() - start < SECONDS
    message = "At2 of 'b' .* asks for 2 points of a curve after 5000 others; 0 to 5000 are made in"
    refused(tf.ttm(curve("a", 1, most), curve("b", 2, 2)), message)
    points = [((0, 0, 0), tf.NO_TURN, 0.5, 0.5, 1)] * 5001
    refused(tf.ttm(tf.path("a", 1, points=points)), "asks for 1 points of a curve after 5000")


def test_what_stops_mujoco_is_one_line(tmp_path, monkeypatch):
    def stop(*_):
        raise mujoco.FatalError("mj_stackAlloc: out of memory,\nstack overflow")

    monkeypatch.setattr(to_mjcf, "write_scene", stop)
    path = tmp_path / "a.ttm"
    path.write_bytes(PLAIN)
    with pytest.raises(
        SceneError, match=r"a\.ttm: cannot be converted: mj_stackAlloc: .* overflow$"
    ):
        conversion(path)


def nested(depth):
    geometry = tf.leaf("Geo")
    for _ in range(depth - 1):
        geometry = tf.group("Wrp", geometry)
    return one_mesh(tf.shape("onion", 1, geometry=tf.group("Gsg", geometry)))


def test_depth_of_groups():
    assert len(decode(nested(shapes.MAX_DEPTH)).objects[0].parts) == 1
    message = f"Wrp of 'onion' .* is a group nested more than {shapes.MAX_DEPTH} deep"
    refused(nested(shapes.MAX_DEPTH + 1), message)
    refused(nested(500), message)


def test_parts_that_share_a_buffer_cannot_fill_the_memory(monkeypatch):
    monkeypatch.setattr(shapes, "MAX_ELEMENTS", 100)
    many = [tf.shape(f"s{i}", i) for i in range(12)]
    assert len(decode(one_mesh(*many)).objects) == 12
    refused(one_mesh(*many, tf.shape("last", 12)), "of 'last' .* beyond 100 vertices")


def test_number_of_chunks(monkeypatch):
    monkeypatch.setattr(chunks, "MAX_CHUNKS", 50)
    refused(tf.ttm(*[tf.chunk("Abc")] * 51), "is one of more than 50 chunks")


# Random damage

MEMORY = 200e6
SECONDS = 2.0


def survives(content):
    """Decode: it works or raises TtmError, soon."""
    start = time.process_time()
    message = ""
    try:
        decode(content, "odd.ttm").world_poses()
    except TtmError as error:
        message = str(error)
    assert "\n" not in message
    assert time.process_time() - start < SECONDS


PLAIN = tf.ttm(*tf.everything(), compressed=False)
PACKED = tf.ttm(*tf.everything())
VALUES = [0, 1, 2, 3, 0x7F, 0x80, 0xC0, 0xFF]
EXTREMES = [-(2**31), -1, 0, 1, 2**16, 2**31 - 1]


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(PLAIN) - 1), st.sampled_from(VALUES) | st.integers(0, 255)),
        min_size=1,
        max_size=4,
    ),
    compressed=st.booleans(),
)
def test_changed_bytes(edits, compressed):
    content = bytearray(PACKED if compressed else PLAIN)
    for place, value in edits:
        content[place % len(content)] = value
    survives(bytes(content))


@settings(max_examples=100, deadline=None)
@given(length=st.integers(0, len(PLAIN)), compressed=st.booleans())
def test_cut_files(length, compressed):
    content = PACKED if compressed else PLAIN
    survives(content[: length % len(content)])


def number_places(content):
    """Where four bytes after three letters stand: sizes, and what looks like them."""
    return [i + 3 for i in range(1021, len(content) - 7) if content[i : i + 3].isalnum()]


PLACES = number_places(PLAIN)


@settings(max_examples=150, deadline=None)
@given(place=st.sampled_from(PLACES), value=st.sampled_from(EXTREMES) | st.integers(-40, 40))
def test_changed_sizes(place, value):
    content = bytearray(PLAIN)
    if value in EXTREMES:
        struct.pack_into("<i", content, place, value)
    else:
        old = struct.unpack_from("<i", content, place)[0]
        struct.pack_into("<i", content, place, int(np.clip(old + value, -(2**31), 2**31 - 1)))
    survives(bytes(content))


@settings(max_examples=150, deadline=None)
@given(content=st.binary(min_size=0, max_size=400), size=st.integers(3, 10**6))
def test_noise_in_place_of_the_payload(content, size):
    survives(header(size=size) + content)


# Valid chunks that make no sense together


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Inertia matrix is too close:UserWarning")
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=odd_scene())
def test_odd_scenes_convert_or_say_why_not(tmp_path, content):
    path = tmp_path / "odd.ttm"
    path.write_bytes(content)
    start = time.process_time()
    message = f"{path}: "
    try:
        conversion(path)
    except RLBenchError as error:
        message = str(error)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert time.process_time() - start < SECONDS


def test_memory_stays_bounded():
    """Claims of all sizes, at every place of the header and of every chunk's size."""
    tracemalloc.start()
    try:
        for place in (4, 13, 17, *np.random.default_rng(0).choice(PLACES, 12)):
            content = bytearray(PLAIN)
            struct.pack_into("<i", content, place, 2**30 - 1)
            survives(bytes(content))
            packed = bytearray(PACKED)
            struct.pack_into("<i", packed, place % 1021, 2**30 - 1)
            survives(bytes(packed))
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def test_a_damaged_real_file():
    if not SAMPLE.is_file():
        pytest.skip(f"the sample {SAMPLE.name} is not beside this repository")
    content = SAMPLE.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(60):
        odd = np.frombuffer(content, np.uint8).copy()
        count = rng.integers(1, 4)
        odd[rng.integers(0, len(odd), count)] = rng.integers(0, 256, count)
        length = len(odd) if rng.random() < 0.5 else rng.integers(len(odd))
        survives(odd[:length].tobytes())
