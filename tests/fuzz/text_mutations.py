"""Damage JSON, pickles and YAML by what their parts mean."""

import io
import json
import pickletools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.fuzz.mutations import BYTES, Mutation, flip, number, overwrite, pick

DEEP = 20_000


# --- JSON ---

_WILD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    1.5,
    1e300,
    -1e300,
    10**30,
    10**400,
    "",
    "x",
    "T0",
    "a\nb",
    "\ud800",
    "x" * 10_000,
    [],
    {},
    [[]],
    [0],
    [1, 2],
    ["a", "a"],
    {"a": 1},
    {"T0": []},
    [None] * 4,
    list(range(500)),
    "{task.__class__}",
    float("nan"),
    float("inf"),
)
_TEXTS = (
    "NaN",
    "{}",
    "[]",
    "3",
    "null",
    "[" * DEEP,
    '{"a":' * DEEP,
    "1" * 5000,
    '"\\ud800"',
    "",
    "{",
    '{"a": 1, "a": 2}',
    "\ufeff{}",
)


def _places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, part in items:
        found.append((value, key))
        _places(part, found)
    return found


def text_of(document: Any) -> str:
    return json.dumps(document)


def document(rng: np.random.Generator, text: str) -> str:
    """Change, drop or add values of a JSON text."""
    if rng.random() < 0.1:
        return str(pick(rng, _TEXTS))
    content = json.loads(text)
    for _ in range(int(rng.integers(1, 4))):
        places = _places(content, [])
        # Choosing a depth first: else nearly all damage hits the longest list.
        holder, key = pick(rng, [p for p in places if len(p[0]) < 12] or places)
        action = rng.random()
        if action < 0.15 and isinstance(holder, dict):
            del holder[key]
        elif action < 0.25 and isinstance(holder, dict):
            holder[str(pick(rng, ("T1", "T" + "9" * 50, "", "x", "T٣", key)))] = pick(rng, _WILD)
        elif action < 0.35 and isinstance(holder, list):
            holder.extend(holder * int(rng.integers(1, 4)))
        else:
            holder[key] = pick(rng, _WILD)
    return text_of(content)


def meta(rng: np.random.Generator, raw: bytes) -> bytes:
    """Change the JSON that an array holds as its only text."""
    text = document(rng, str(np.load(io.BytesIO(raw))))
    stream = io.BytesIO()
    if "\ud800" in text:
        text = text.replace("\ud800", "?")
    np.save(stream, np.array(text))
    return stream.getvalue()


# --- pickles ---


def _steps(raw: bytes, start: int) -> list[tuple[int, int, Any]]:
    stream = io.BytesIO(raw)
    stream.seek(start)
    found = [(place, opcode) for opcode, _, place in pickletools.genops(stream)]
    ends = [place for place, _ in found[1:]] + [stream.tell()]
    return [(place, end, opcode) for (place, opcode), end in zip(found, ends, strict=True)]


_NAMES = (
    b"cos\nsystem\n",
    b"cbuiltins\neval\n",
    b"cnumpy\nndarray\n",
    b"cnumpy\ndtype\n",
    b"c__builtin__\neval\n",
    b"cnumpy.core.multiarray\n_reconstruct\n",
    b"ctorch\nFloatStorage\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ccollections\nOrderedDict\n",
    b"cnumpy.core.multiarray\nos.system\n",
)
_PARTS = (
    b"N",
    b"(",
    b"]",
    b"}",
    b")",
    b"0",
    b"2",
    b"t",
    b"\x85",
    b"\x86",
    b"\x87",
    b"R",
    b"b",
    b"a",
    b"e",
    b"s",
    b"u",
    b"d",
    b"l",
    b"\x93",
    b"\x94",
    b"Q",
    b"o",
    b"\x81",
    b"\x92",
    b"\x8f",
    b"\x90",
    b"\x91",
    b"\x88",
    b"I9999999999\n",
    b"M\xff\xff",
    b"K\x00",
    b"J\xff\xff\xff\xff",
    b"\x8b\x04\x00\x00\x00\xff\xff\xff\x7f",
    b"\x8e" + b"\xff" * 7 + b"\x7f",
    b"h\x05",
    b"j\xff\xff\xff\x7f",
    b"r\xff\xff\xff\x7f",
    b"q\x00",
    b"G\x7f\xf8\0\0\0\0\0\0",
    b"X\x01\0\0\0T",
    b"C\x01x",
    b"B\x10\0\0\0abc",
    b"Px\n",
    b"\x97",
    b"\x96\x01\0\0\0\0\0\0\0x",
    b".",
    b"\x82\x01",
    *_NAMES,
)


def pickled(start_of: Callable[[bytes], int]) -> Mutation:
    """Change, drop, double, exchange or insert instructions of the pickle at `start_of(raw)`."""

    def mutation(rng: np.random.Generator, raw: bytes) -> bytes:
        steps = _steps(raw, start_of(raw))
        out = raw
        for _ in range(int(rng.integers(1, 4))):
            place, end, _ = pick(rng, steps)
            other, other_end, _ = pick(rng, steps)
            replacement = pick(
                rng,
                (
                    b"",
                    raw[place:end] * 2,
                    raw[other:other_end],
                    raw[place:end] + pick(rng, _PARTS),
                    pick(rng, _PARTS),
                ),
            )
            # Places of the sound pickle: after the first change they are near misses, which is
            # welcome.
            out = out[:place] + replacement + out[end:]
        return out

    return mutation


def pickled_argument(start_of: Callable[[bytes], int]) -> Mutation:
    """Change the argument of an instruction: lengths, numbers, texts."""

    def mutation(rng: np.random.Generator, raw: bytes) -> bytes:
        steps = [s for s in _steps(raw, start_of(raw)) if s[1] - s[0] > 1]
        place, end, _ = pick(rng, steps)
        changed = pick(rng, (flip, overwrite, number))(rng, raw[place + 1 : end])
        return raw[: place + 1] + changed[: end - place - 1] + raw[end:]

    return mutation


def array_pickle(raw: bytes) -> int:
    """Return where the pickle of an object array begins."""
    return 10 + int.from_bytes(raw[8:10], "little")


# --- YAML ---

_TOKENS = (
    "&a",
    "*a",
    "*b",
    "!!int",
    "!!float x",
    "!!binary aGk=",
    "!!python/object/apply:os.getcwd []",
    "!!set {a}",
    "!x",
    "<<: *a",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    "? ",
    "| ",
    "> ",
    "'",
    '"',
    "%YAML 3.0",
    "---",
    "...",
    "2001-99-99",
    "2001-01-01",
    "1e999",
    ".nan",
    ".inf",
    "-.inf",
    "0x" + "f" * 300,
    "9" * 5000,
    "1:" * 200 + "1",
    "\t",
    "\0",
    "~",
    "true",
    "",
    "\ufeff",
    "T" + "9" * 4000,
    "100000000",
    "-1",
    "[" * 300,
    "{a: " * 300,
    "#",
    "\u2028",
    "&a [*a]",
    "&a [x,x,x,x,x,x,x,x,x]",
    "&b [" + "*a," * 200 + "]",
    "\x1b[31m",
    "a" * 60000,
)


def yaml_tokens(rng: np.random.Generator, raw: bytes) -> bytes:
    """Exchange, drop, double or insert tokens and lines of a YAML text."""
    text = raw.decode("utf-8")
    for _ in range(int(rng.integers(1, 5))):
        parts = re.split(r"(\s+|[\[\]{},:])", text)
        n = int(rng.integers(len(parts)))
        action = int(rng.integers(5))
        if action == 0:
            parts[n] = pick(rng, _TOKENS)
        elif action == 1:
            parts.insert(n, pick(rng, _TOKENS))
        elif action == 2:
            del parts[n]
        elif action == 3:
            parts[n] = pick(rng, parts)
        else:
            lines = text.split("\n")
            lines.insert(int(rng.integers(len(lines))), pick(rng, lines))
            parts = ["\n".join(lines)]
        text = "".join(parts)
    return text.encode("utf-8", "replace")


def yaml_nest(rng: np.random.Generator, raw: bytes) -> bytes:
    """Name parts in each other, some levels deep."""
    levels, width = int(rng.integers(2, 9)), int(rng.integers(2, 12))
    text = "&a0 [" + ",".join("x" * width) + "]"
    for n in range(1, levels):
        text = f"&a{n} [{text}" + f",*a{n - 1}" * (width - 1) + "]"
    key = pick(
        rng,
        (
            "OBJ_POSE_DATA: {SUBJECTS_TRAIN: %s}",
            "TRAIN: {LEARNING_RATE: %s}",
            "TRAIN: {INTER_LOSS_WEIGHT: %s}",
            "VIS: %s",
            "GPU: %s",
        ),
    )
    return (key % text).encode()


YAML: tuple[Mutation, ...] = (yaml_tokens, yaml_tokens, yaml_tokens, yaml_nest, *BYTES)
