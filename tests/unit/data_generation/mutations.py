"""Damage to files: of bytes, and of what JSON text says."""

import json

TOKENS = (
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-1",
    b"0",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b'""',
    b"9" * 30,
    b"9" * 5000,
    b"1.5",
    b'"\\ud800"',
    b"[" * 3000,
    b'{"a":' * 3000,
    b"\xff\xfe",
    b"\x00",
    b"\xef\xbb\xbf",
    b'"../../../etc/passwd"',
)
VALUES = (
    None,
    True,
    -1,
    0,
    1.5,
    10**30,
    1e308,
    "",
    "x" * 3000,
    "../../x",
    "\ud800",
    [],
    {},
    [[]],
    [[1, 2], [3]],
    {"a": 1},
    ["a", "a"],
    float("inf"),
    float("nan"),
)


def mutate_bytes(data, rng):
    """Change bytes: flip, cut, double, insert, replace."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, max(len(data), 1)))
        span = int(rng.integers(1, 40))
        kind = int(rng.integers(0, 6))
        if kind == 0 and data:
            data[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            del data[at : at + span]
        elif kind == 2:
            data[at:at] = data[at : at + span]
        elif kind == 3:
            data[at : at + span] = TOKENS[int(rng.integers(0, len(TOKENS)))]
        elif kind == 4:
            del data[at:]
        else:
            data[at:at] = rng.bytes(span)
    return bytes(data)


def mutate_json(value, rng):
    """Change one value somewhere in plain JSON values, which are copied."""
    value = json.loads(json.dumps(value))
    holder, key = None, None
    here = value
    while isinstance(here, dict | list) and here and (holder is None or rng.random() < 0.8):
        holder = here
        key = (
            list(here)[int(rng.integers(0, len(here)))]
            if isinstance(here, dict)
            else int(rng.integers(0, len(here)))
        )
        here = here[key]
    if rng.random() < 0.2:
        del holder[key]
    else:
        holder[key] = VALUES[int(rng.integers(0, len(VALUES)))]
    return value
