"""Damage files as transfers, disks, slips and attackers do: bytes, zip archives, arrays.

Every mutation is `(rng, raw) -> raw`; the generator decides everything.
"""

import io
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Mutation = Callable[[np.random.Generator, bytes], bytes]
NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    127,
    128,
    255,
    256,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**63 - 1,
    2**63,
    10**12,
    10**30,
)
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def pick(rng: np.random.Generator, items: Sequence[Any]) -> Any:
    return items[int(rng.integers(len(items)))]


# --- bytes ---


def _span(rng: np.random.Generator, raw: bytes, most: int = 200) -> tuple[int, int]:
    start = int(rng.integers(len(raw) + 1))
    return start, min(len(raw), start + int(rng.integers(1, most)))


def flip(rng: np.random.Generator, raw: bytes) -> bytes:
    out = bytearray(raw)
    for _ in range(int(rng.integers(1, 9)) if raw else 0):
        out[int(rng.integers(len(out)))] ^= int(rng.integers(1, 256))
    return bytes(out)


def truncate(rng: np.random.Generator, raw: bytes) -> bytes:
    return raw[: int(rng.integers(len(raw) + 1))]


def insert(rng: np.random.Generator, raw: bytes) -> bytes:
    start, _ = _span(rng, raw)
    return raw[:start] + rng.bytes(int(rng.integers(1, 100))) + raw[start:]


def delete(rng: np.random.Generator, raw: bytes) -> bytes:
    start, end = _span(rng, raw)
    return raw[:start] + raw[end:]


def repeat(rng: np.random.Generator, raw: bytes) -> bytes:
    start, end = _span(rng, raw)
    return raw[:end] + raw[start:end] * int(rng.integers(1, 20)) + raw[end:]


def swap(rng: np.random.Generator, raw: bytes) -> bytes:
    a, b = sorted(int(n) for n in rng.integers(len(raw) + 1, size=2))
    size = min(int(rng.integers(1, 500)), b - a, len(raw) - b)
    return raw[:a] + raw[b : b + size] + raw[a + size : b] + raw[a : a + size] + raw[b + size :]


def overwrite(rng: np.random.Generator, raw: bytes) -> bytes:
    start, end = _span(rng, raw)
    return raw[:start] + pick(rng, (b"\0", b"\xff", b" ", b"A")) * (end - start) + raw[end:]


def number(rng: np.random.Generator, raw: bytes) -> bytes:
    """Put a number that readers stumble over somewhere."""
    kind, size = pick(rng, (("<B", 1), ("<H", 2), ("<I", 4), ("<Q", 8)))
    start, value = int(rng.integers(len(raw) + 1)), pick(rng, NUMBERS) % 2 ** (8 * size)
    return raw[:start] + struct.pack(kind, value) + raw[start + size :]


BYTES: tuple[Mutation, ...] = (flip, truncate, insert, delete, repeat, swap, overwrite, number)


# --- zip archives ---


def unpack(raw: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def pack(members: Sequence[tuple[str, bytes]], method: int) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as archive:
        warnings.simplefilter("ignore", UserWarning)  # a name twice
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


def in_member(mutations: Sequence[Mutation], suffix: str = "") -> Mutation:
    """Damage the content of a member whose name ends so; the archive around it stays sound."""

    def mutation(rng: np.random.Generator, raw: bytes) -> bytes:
        members = unpack(raw)
        places = [n for n, (name, _) in enumerate(members) if name.endswith(suffix)]
        place = pick(rng, places)
        name, content = members[place]
        members[place] = (name, pick(rng, mutations)(rng, content))
        return pack(members, pick(rng, METHODS[:2]))

    return mutation


def rearrange(rng: np.random.Generator, raw: bytes) -> bytes:
    """Drop, double, rename, exchange, add members, or compress them otherwise."""
    members = unpack(raw)
    n, other = int(rng.integers(len(members))), int(rng.integers(len(members)))
    name, content = members[n]
    names = (
        name + "x",
        name[:-4],
        "",
        "../" + name,
        "a\nb.npy",
        f"T0/exemple_{pick(rng, NUMBERS)}.npy",
        "x" * 60000,
        "é☃.npy",
        "T0/exemple_٣.npy",
    )
    action = int(rng.integers(6))
    if action == 0:
        del members[n]
    elif action == 1:
        members.append((name, members[other][1]))
    elif action == 2:
        members[n] = (pick(rng, names), content)
    elif action == 3:
        members[n], members[other] = (name, members[other][1]), (members[other][0], content)
    elif action == 4:
        members.append((pick(rng, names), content))
    return pack(members, pick(rng, METHODS))


_LOCAL = {4: 2, 6: 2, 8: 2, 14: 4, 18: 4, 22: 4, 26: 2, 28: 2}  # offset: size
_CENTRAL = {6: 2, 8: 2, 10: 2, 16: 4, 20: 4, 24: 4, 28: 2, 30: 2, 32: 2, 42: 4}
_END = {4: 2, 6: 2, 8: 2, 10: 2, 12: 4, 16: 4, 20: 2}


def fields(rng: np.random.Generator, raw: bytes) -> bytes:
    """Change a field of the archive's structure: sizes, checks, offsets, counts, flags, methods."""
    out = bytearray(raw)
    for _ in range(int(rng.integers(1, 4))):
        mark, table = pick(
            rng, ((b"PK\x03\x04", _LOCAL), (b"PK\x01\x02", _CENTRAL), (b"PK\x05\x06", _END))
        )
        places = [m.start() for m in re.finditer(re.escape(mark), out)]
        if not places:
            continue
        offset, size = pick(rng, list(table.items()))
        place = pick(rng, places) + offset
        old = int.from_bytes(out[place : place + size], "little")
        value = pick(rng, (*NUMBERS, old + 1, old - 1, old * 2, old ^ 1, old ^ 8)) % 2 ** (8 * size)
        out[place : place + size] = value.to_bytes(size, "little")
    return bytes(out)


def bomb(rng: np.random.Generator, raw: bytes) -> bytes:
    """Fill a member with so many zeros that they would fill the memory."""
    members = unpack(raw)
    n = int(rng.integers(len(members)))
    name, content = members[n]
    members[n] = (name, content[: int(rng.integers(200))] + bytes(int(rng.integers(1, 2**27))))
    return pack(members, zipfile.ZIP_DEFLATED)


def prefix(rng: np.random.Generator, raw: bytes) -> bytes:
    """Put something before or behind the archive: zip allows both."""
    extra = rng.bytes(int(rng.integers(1, 300)))
    return extra + raw if rng.random() < 0.5 else raw + extra


ZIP: tuple[Mutation, ...] = (rearrange, rearrange, fields, fields, prefix)


# --- arrays ---

_TYPES = (
    "'<f4'",
    "'<f8'",
    "'>f4'",
    "'<f2'",
    "'<f16'",
    "'<c8'",
    "'<i8'",
    "'|b1'",
    "'|O'",
    "'<U5'",
    "'<U0'",
    "'<U99999999'",
    "'|S3'",
    "'|V8'",
    "'<M8[s]'",
    "[('a', '<f4')]",
    "[('a', '|O')]",
    "('<f4', (2,))",
    "'" + "<" * 500 + "'",
    "3",
    "None",
    "'f4,f4'",
    "'<f4\\n'",
    "''",
)
_SHAPES = (
    "()",
    "(0,)",
    "(-1,)",
    "(1,)",
    "(3)",
    "(True,)",
    "(1.5,)",
    "(2, 3, 4, 8)",
    "(0, 1000000000000)",
    "(1000000000000, 1000000000000)",
    "(1000000000,)",
    "(" + "1, " * 40 + ")",
    "(" * 3000,
    "(" + "9" * 4000 + ",)",
    "'x'",
    "None",
    "(3L,)",
    "(4, 6, 3, 8, 1)",
)
_HEADERS = (
    "",
    "{}",
    "{1: 2}",
    "[" * 5000,
    "-" * 5000,
    "{'a': " * 2000,
    "__import__('os')",
    "\x00",
    "{'descr': '<f4'}",
    '"""',
    "(\n" * 50,
)


def array(rng: np.random.Generator, raw: bytes) -> bytes:
    """Damage an array's header in a way that only a parser of it notices."""
    if len(raw) < 12 or raw[:6] != b"\x93NUMPY":
        return flip(rng, raw)
    length = int.from_bytes(raw[8:10], "little")
    text, data = raw[10 : 10 + length].decode("latin-1"), raw[10 + length :]
    action = int(rng.integers(7))
    if action == 0:
        text = re.sub(r"'descr': ('[^']*'|[^,]*)", lambda _: f"'descr': {pick(rng, _TYPES)}", text)
    elif action == 1:
        text = re.sub(r"'shape': \([^)]*\)", lambda _: f"'shape': {pick(rng, _SHAPES)}", text)
    elif action == 2:
        numbers = list(re.finditer(r"\d+", text))
        where = pick(rng, numbers) if numbers else None
        text = (
            text[: where.start()] + str(pick(rng, NUMBERS)) + text[where.end() :] if where else text
        )
    elif action == 3:
        text = text.replace(
            pick(rng, ("True", "False")), pick(rng, ("True", "False", "None", "0", "[]"))
        )
    elif action == 4:
        text = pick(rng, _HEADERS)
    elif action == 5:
        data = pick(rng, (data[:-1], data + b"\0", data[: len(data) // 2], data * 2, b""))
    version = raw[6:8] if action != 6 else bytes([int(rng.integers(256)), int(rng.integers(3))])
    encoded = text.encode("latin-1", "replace")[:65535]
    stated = len(encoded) if rng.random() < 0.9 else int(pick(rng, NUMBERS)) % 65536
    return raw[:6] + version + struct.pack("<H", stated) + encoded + data


def values(rng: np.random.Generator, raw: bytes) -> bytes:
    """Put numbers into an array that are none, or hard to calculate with."""
    if len(raw) < 140:
        return flip(rng, raw)
    kind = pick(rng, ("<f4", "<f8"))
    wild = np.array(
        pick(rng, (np.nan, np.inf, -np.inf, 1e38, -1e38, 1e15, 1e9, -1e9, 1e6, 1e-42, 0.3, -1.0)),
        kind,
    ).tobytes()
    out = bytearray(raw)
    for _ in range(int(rng.integers(1, 5))):
        size = len(wild)
        place = 128 + size * int(rng.integers(max(1, (len(raw) - 128) // size)))
        out[place : place + size] = wild[: len(out) - place]
    return bytes(out)


ARRAY: tuple[Mutation, ...] = (array, array, array, values, *BYTES)
