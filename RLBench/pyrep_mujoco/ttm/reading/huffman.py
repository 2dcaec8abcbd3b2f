"""Huffman decoding: one prefix code for all bytes, its tree first; most significant bit first."""

from itertools import islice

from bitarray import bitarray, decodetree
from bitarray.util import ba2int

from pyrep_mujoco.errors import TtmError

MAX_LEAVES = 256
"""Of a code tree: one for each byte value."""
_TREE_BYTES = 320
"""The largest tree: 256 leaves of 9 bits and 255 inner nodes of one."""
_LEAF_BITS = 9


def _bits(data: bytes) -> bitarray:
    bits = bitarray(endian="big")
    bits.frombytes(data)
    return bits


def _read_tree(data: bytes, source: str) -> tuple[dict[int, bitarray], int]:
    """Read the code tree that stands before the data: its leaves from left to right.

    Returns:
        Byte value -> its code, and the number of bits that the tree takes.

    Raises:
        TtmError: it is cut off, or holds more leaves than there are byte values.
    """
    bits = _bits(data[:_TREE_BYTES])
    codes: dict[int, bitarray] = {}
    todo = [bitarray()]
    at = inner = 0
    while todo:
        code = todo.pop()
        if at + _LEAF_BITS > len(bits):
            raise TtmError(f"{source}: the code tree is cut off after {len(data)} bytes")
        if bits[at]:
            value = ba2int(bits[at + 1 : at + _LEAF_BITS])
            if value in codes:
                raise TtmError(f"{source}: the code tree holds byte value {value} twice")
            codes[value] = code
            at += _LEAF_BITS
        else:
            inner += 1
            if inner == MAX_LEAVES:
                raise TtmError(f"{source}: the code tree has more than {MAX_LEAVES} leaves")
            todo += [code + bitarray("1"), code + bitarray("0")]
            at += 1
    return codes, at


def decode(data: bytes, size: int, source: str) -> bytes:
    """Decode a tree followed by data; bytes after the data are left.

    Args:
        data: packed bytes.
        size: bytes of the result.
        source: file name, for messages.

    Raises:
        TtmError: the tree is broken, or the data cannot hold that many bytes.
    """
    codes, used = _read_tree(data, source)
    shortest = min(map(len, codes.values()))
    if shortest == 0:
        raise TtmError(f"{source}: the code tree knows one byte value only: this is no scene")
    left = 8 * len(data) - used
    if size * shortest > left:
        raise TtmError(
            f"{source}: the header claims {size} bytes, but the {len(data)} packed ones hold at "
            f"most {left // shortest}"
        )
    try:
        out = bytes(islice(_bits(data)[used:].decode(decodetree(codes)), size))
    except ValueError:  # the data ends within a code
        raise TtmError(f"{source}: ends early: within the code of one of {size} bytes") from None
    if len(out) < size:
        raise TtmError(f"{source}: ends early: {len(out)} of {size} bytes could be unpacked")
    return out
