"""Pictures as PNG files."""

from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image


def png_bytes(image: npt.NDArray[np.uint8], level: int = 6) -> bytes:
    """Encode (H, W, 3) rgb, top row first.

    The pixels come back as they were; the bytes depend on the version of Pillow and of zlib.

    Args:
        image: the picture.
        level: of compression, 0 (none) to 9 (the smallest files).
    """
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()
