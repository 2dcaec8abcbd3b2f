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


def test_parts_of_larger_arrays_are_encoded():
    bottom_up = np.random.default_rng(1).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    image = bottom_up[::-1, :, :3]
    back = cv2.imdecode(np.frombuffer(png_bytes(image), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(back[..., ::-1], image)
