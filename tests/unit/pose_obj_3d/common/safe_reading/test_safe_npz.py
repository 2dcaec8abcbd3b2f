"""Archives of unknown origin: read as NumPy reads them, or refused before they cost anything."""

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pose_obj_3d.common.errors import MAX_MESSAGE, ArchiveError, DataError, one_line
from pose_obj_3d.common.safe_reading.npy_arrays import parse_header, read_npy
from pose_obj_3d.common.safe_reading.safe_npz import Archive
from pose_obj_3d.lifting.track_files.track_file import read_tracks

CASES = Path(__file__).resolve().parents[6] / "shared" / "cases"

PLAIN = {
    "c": np.arange(24.0).reshape(2, 3, 4),
    "fortran": np.asfortranarray(np.arange(24, dtype=np.float32).reshape(4, 6)),
    "big_endian": np.arange(5, dtype=">i4"),
    "half": np.arange(3, dtype=np.float16),
    "truth": np.array([True, False]),
    "text": np.array(["a", "äß☃", "𝄞"]),
    "bytes": np.array([b"a", b"bc"]),
    "scalar": np.array(3.5),
    "none": np.zeros((0, 3)),
    "complex": np.array([1j]),
}


def npy(array=None, text=None, version=1, data=b""):
    """Return the bytes of an array, or of a header with any text and data."""
    if text is None:
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=True)
        return stream.getvalue()
    raw = text if isinstance(text, bytes) else text.encode()
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + struct.pack("<H" if version == 1 else "<I", len(raw))
        + raw
        + data
    )


def pack(path, *members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def header(descr="'<f8'", fortran="False", shape="(3,)"):
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_reads_what_numpy_reads(tmp_path, save):
    save(tmp_path / "a.npz", **PLAIN)
    with Archive(tmp_path / "a.npz") as archive:
        assert archive.names == list(PLAIN)
        for name, expected in PLAIN.items():
            found = archive.read(name)
            assert found.dtype == expected.dtype
            assert found.flags.f_contiguous == expected.flags.f_contiguous
            assert found.flags.writeable
            np.testing.assert_array_equal(found, expected)
            assert archive.header(name).shape == expected.shape


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_array_format(tmp_path, version):
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, PLAIN["c"], version)
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy"), PLAIN["c"])


@pytest.mark.filterwarnings("ignore:Reading .* required additional header parsing")
@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}",
        "{'shape': (3,), 'fortran_order': False, 'descr': '<f8'}   \n",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3L,), }",
        "{'descr':'<f8','fortran_order':False,'shape':(3,)}",
    ],
)
def test_headers_of_other_writers(tmp_path, text):
    path = tmp_path / "a.npy"
    path.write_bytes(npy(text=text, data=np.arange(3.0).tobytes()))
    np.testing.assert_array_equal(read_npy(path), np.load(path))
    np.testing.assert_array_equal(read_npy(path), [0, 1, 2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (header("'|O'"), "pickled object array"),
        (header("[('a', '<f8')]"), "structured type"),
        (header("'<M8[s]'"), "type '<M8"),
        (header("'<V8'"), "type '<V8'"),
        (header("'<f9'"), "type '<f9'"),
        (header("'<U99999999'"), "needs"),
        (header(shape="(4,)"), "needs"),
        (header(shape="(1000000000000000000000000000000,)"), "no array has"),
        (header(shape="(1000000000, 1000000000, 1000000000)"), "needs"),
        (header(shape="(0, 1000000000000000)"), "no array has"),
        (header(shape="(-3,)"), "damaged header"),
        (header(shape="(3)"), "no array has"),
        (header(shape="(" + "1, " * 40 + ")"), "no array has"),
        (header(shape="(" + "(" * 5000), "damaged header"),
        (header(fortran="None"), "damaged header"),
        ("{'descr': '<f8', 'shape': (3,), }", "damaged header"),
        ("{'descr': '<f8', 'fortran_order': __import__('os'), 'shape': (3,), }", "damaged header"),
        ("-" * 9000, "damaged header"),
        (b"\xff\x00" * 100, "damaged header"),
        ("1" * 40000, "header of 40000 bytes"),
    ],
)
def test_bad_headers(tmp_path, text, message):
    pack(tmp_path / "a.npz", ("a.npy", npy(text=text, data=bytes(24))))
    with (
        Archive(tmp_path / "a.npz") as archive,
        pytest.raises(ArchiveError, match=f"member 'a' .*{message}"),
    ):
        archive.read("a")


def test_a_header_is_parsed_in_linear_time():
    with pytest.raises(ArchiveError):
        parse_header(b"{'shape': (" + b"1" * 480 + b"x), 'descr'", 100)


def patched(path, name, **fields):
    """Change fields of a member in the directory and, where it has them, in its own header."""
    raw = bytearray(path.read_bytes())
    places = {
        "flags": (8, 6, "<H"),
        "method": (10, 8, "<H"),
        "crc": (16, 14, "<I"),
        "packed": (20, 18, "<I"),
        "size": (24, 22, "<I"),
        "offset": (42, None, "<I"),
    }
    central = raw.index(b"PK\x01\x02")
    while raw[central + 46 : central + 46 + len(name)] != name.encode():
        central = raw.index(b"PK\x01\x02", central + 4)
    local = struct.unpack_from("<I", raw, central + 42)[0]
    for field, value in fields.items():
        in_directory, in_header, kind = places[field]
        struct.pack_into(kind, raw, central + in_directory, value)
        if in_header is not None:
            struct.pack_into(kind, raw, local + in_header, value)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"flags": 1}, "encrypted"),
        ({"method": zipfile.ZIP_LZMA}, "compressed by lzma"),
        ({"method": zipfile.ZIP_BZIP2}, "compressed by bzip2"),
        ({"method": 77}, "compressed by unknown"),
        ({"crc": 1}, "damaged: Bad CRC"),
        ({"size": 2**25}, "cannot hold"),
        ({"size": 2**31}, "unpack to 2048 MiB"),
        ({"size": 20}, "Bad CRC|ends after"),
        ({"packed": 2**30}, "an incomplete download|lies inside another"),
        ({"offset": 0}, "lies inside another"),
    ],
)
def test_what_a_directory_may_claim(tmp_path, fields, message):
    path = pack(tmp_path / "a.npz", ("b.npy", npy(np.zeros(900))), ("a.npy", npy(np.zeros(1000))))

    def read():
        with Archive(patched(path, "a.npy", **fields)) as archive:
            archive.read("a")

    with pytest.raises(ArchiveError, match=message):
        read()


def test_a_member_twice(tmp_path):
    content = npy(np.zeros(3))
    with pytest.warns(UserWarning, match="Duplicate"):
        pack(tmp_path / "a.npz", ("a.npy", content), ("a.npy", content))
    for path in (tmp_path / "a.npz", pack(tmp_path / "b.npz", ("a.npy", content), ("a", content))):
        with pytest.raises(ArchiveError, match="'a' is in it twice"):
            Archive(path)


def test_a_member_that_is_no_array(tmp_path):
    with Archive(pack(tmp_path / "a.npz", ("a.txt", b"hello"), ("b.npy", b"hello"))) as archive:
        with pytest.raises(ArchiveError, match="does not end in .npy"):
            archive.read("a.txt")
        with pytest.raises(ArchiveError, match="does not begin as one"):
            archive.read("b")
        with pytest.raises(ArchiveError, match="'c' is missing"):
            archive.read("c")
        assert archive.raw("a.txt") == b"hello"


@pytest.mark.parametrize("codes", [[0x110000], [0xD800]])
def test_texts_are_unicode(tmp_path, codes):
    pack(
        tmp_path / "a.npz",
        ("a.npy", npy(text=header("'<U1'", shape="(1,)"), data=np.array(codes, "<u4").tobytes())),
    )
    with Archive(tmp_path / "a.npz") as archive, pytest.raises(ArchiveError, match="not Unicode"):
        archive.read("a")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (npy(np.zeros(3)), "a single array"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x1f\x8b\x08", "gzip"),
        (bytes(500), "zeros"),
        (b"plain text", "no zip file"),
        (b"PK\x03\x04" + bytes(500), "incomplete download"),
    ],
)
def test_other_files_are_called_by_their_name(tmp_path, content, message):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ArchiveError, match=message):
        Archive(tmp_path / "a.npz")


def test_half_a_download(tmp_path):
    np.savez(tmp_path / "a.npz", **PLAIN)
    raw = (tmp_path / "a.npz").read_bytes()
    for share in (0.1, 0.5, 0.99):
        (tmp_path / "b.npz").write_bytes(raw[: int(share * len(raw))])
        with pytest.raises(ArchiveError, match="incomplete download"):
            Archive(tmp_path / "b.npz")


def test_bombs_cost_no_memory(tmp_path):
    """128 KB of zip that unpacks to 128 MiB, with and without a lie about it."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as member,
    ):
        member.write(npy(text=header(shape=f"({2**24},)")))
        for _ in range(8):
            member.write(bytes(2**24))
    (tmp_path / "a.npz").write_bytes(packed.getvalue())
    tracemalloc.start()
    with pytest.raises(ArchiveError, match="unpack to 128 MiB"):
        Archive(tmp_path / "a.npz")
    assert tracemalloc.get_traced_memory()[1] < 2**21
    with (
        Archive(
            patched(tmp_path / "a.npz", "a.npy", size=len(npy(text=header(shape=f"({2**24},)"))))
        ) as lying,
        pytest.raises(ArchiveError, match="needs|Bad CRC"),
    ):
        lying.read("a")
    assert tracemalloc.get_traced_memory()[1] < 2**21
    tracemalloc.stop()


def test_a_directory_of_millions(tmp_path):
    entry = b"PK\x01\x02" + bytes(42)
    count = 400_000
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 65535, 65535, len(entry) * count, 0, 0)
    (tmp_path / "a.npz").write_bytes(entry * count + end)
    with pytest.raises(ArchiveError, match="directory takes more than 16 MiB"):
        Archive(tmp_path / "a.npz")


def test_messages_are_one_line():
    assert one_line("a\nb\x1b\u2028c") == "a\\nb\\x1b\\u2028c"
    long = one_line("start" + "x" * 10**7 + "the remedy")
    assert len(long) <= MAX_MESSAGE
    assert long.startswith("start")
    assert long.endswith("the remedy")


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")
@pytest.mark.parametrize("path", sorted(CASES.glob("tracks_*.npz")), ids=lambda p: p.stem)
def test_cases(path):
    with pytest.raises(DataError, match=path.name) as found:
        read_tracks(path)
    assert len(str(found.value)) <= MAX_MESSAGE
