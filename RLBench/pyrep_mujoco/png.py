"""Pictures as PNG files, without an image library."""

import struct
import zlib

import numpy as np
import numpy.typing as npt


def png_bytes(image: npt.NDArray[np.uint8], level: int = 6) -> bytes:
    """Encode (H, W, 3) rgb, top row first.

    Args:
        image: the picture.
        level: of zlib's compression. 0 gives the same bytes on every machine (compressors differ);
            such a picture holds at most 65535 bytes, a filter byte of each row included.

    Raises:
        ValueError: it is too large to be stored uncompressed.
    """
    height, width, _ = image.shape
    pixels = np.ascontiguousarray(image).reshape(height, -1)
    body = np.concatenate([np.zeros((height, 1), np.uint8), pixels], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(body, level) if level else _stored(body)
    parts = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def _stored(body: bytes) -> bytes:
    """Wrap bytes as a zlib stream of one stored block."""
    if len(body) > 0xFFFF:
        raise ValueError(f"a picture of {len(body)} bytes is too large for one block of 65535")
    length = struct.pack("<HH", len(body), len(body) ^ 0xFFFF)
    return b"\x78\x01\x01" + length + body + struct.pack(">I", zlib.adler32(body))


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
