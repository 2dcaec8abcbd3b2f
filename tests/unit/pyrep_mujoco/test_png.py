"""PNG files read back as they were."""

import cv2
import numpy as np
import pytest

from pyrep_mujoco.png import png_bytes


@pytest.mark.parametrize("level", [0, 1, 9])
def test_pixels_come_back(level):
    image = np.random.default_rng(0).integers(0, 256, (31, 57, 3), dtype=np.uint8)
    back = cv2.imdecode(np.frombuffer(png_bytes(image, level), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(back[..., ::-1], image)


def test_what_does_not_fit_one_block_is_refused():
    with pytest.raises(ValueError, match="too large for one block of 65535"):
        png_bytes(np.zeros((200, 200, 3), np.uint8), level=0)
