"""Helpers of RLBench: loading task files by name, and its encodings of images."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rlbench.backend.task import Task

DEFAULT_RGB_SCALE_FACTOR = 256_000.0
"""Steps of a metre in RLBench's 24-bit depth images."""
_LARGEST = 2**24 - 1


def task_file_to_task_class(task_file: str) -> type[Task]:
    """Return the class of a task file's name, with or without `.py`.

    Raises:
        TaskNotAvailableError: there is no such task.
        TaskFileError: its file cannot be loaded.
    """
    # Imported late: the tasks' modules need this package.
    from rlbench.tasks import get_task_class  # noqa: PLC0415

    return get_task_class(Path(task_file).name.removesuffix(".py"))


def rgb_handles_to_mask(rgb_coded_handles: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Turn (..., 3) colour-coded handles, as shares in [0, 1] or bytes, into (...) handles."""
    coded = np.asarray(rgb_coded_handles)
    if np.issubdtype(coded.dtype, np.floating):
        coded = np.rint(coded * 255.0)
    return coded.astype(np.int64) @ np.array([1, 256, 65536])


def float_array_to_rgb_image(
    float_array: npt.ArrayLike, scale_factor: float = DEFAULT_RGB_SCALE_FACTOR
) -> npt.NDArray[np.uint8]:
    """Code (H, W) values [m] as (H, W, 3) bytes, the highest first; too large ones are clipped."""
    steps = np.floor(np.asarray(float_array, float) * scale_factor + 0.5)
    codes = np.clip(steps, 0, _LARGEST).astype(np.uint32)
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1).astype(np.uint8)


def image_to_float_array(
    image: Any, scale_factor: float = DEFAULT_RGB_SCALE_FACTOR
) -> npt.NDArray[np.float64]:
    """Return (H, W) values [m] of an image coded by `float_array_to_rgb_image`."""
    coded = np.asarray(image).astype(np.int64)
    return (coded @ np.array([65536, 256, 1])) / scale_factor
