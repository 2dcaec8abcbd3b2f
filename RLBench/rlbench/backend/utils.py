"""Helpers of RLBench: loading task files by name, and its encodings of images."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from rlbench.backend.exceptions import SceneError
from rlbench.backend.task import Task

DEFAULT_RGB_SCALE_FACTOR = 256_000.0
"""Steps of a metre in RLBench's 24-bit depth images."""
DEFAULT_GRAY_SCALE_FACTOR: dict[type[np.integer], float] = {
    np.uint8: 100.0,
    np.uint16: 1000.0,
    np.int32: DEFAULT_RGB_SCALE_FACTOR,
}
"""The same of images of one channel."""
_LARGEST = 2**24 - 1


def task_file_to_task_class(task_file: str) -> type[Task]:
    """Return the class of a task file's name, with or without `.py`.

    Raises:
        TaskNotAvailableError: there is no such task.
        TaskFileError: its file cannot be loaded.
    """
    # Imported late: the tasks' modules need this package.
    from rlbench import name_to_task_class  # noqa: PLC0415

    cls: type[Task] = name_to_task_class(task_file)
    return cls


def rgb_handles_to_mask(rgb_coded_handles: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Turn (..., 3) colour-coded handles, as shares in [0, 1] or bytes, into (...) handles."""
    coded = np.asarray(rgb_coded_handles)
    if np.issubdtype(coded.dtype, np.floating):
        coded = np.rint(coded * 255.0)
    handles: npt.NDArray[np.int64] = coded.astype(np.int64) @ np.array([1, 256, 65536])
    return handles


def float_array_to_rgb_image(
    float_array: npt.ArrayLike,
    scale_factor: float = DEFAULT_RGB_SCALE_FACTOR,
    drop_blue: bool = False,
) -> Image.Image:
    """Code (H, W) values as an image of 24-bit numbers, red the highest byte.

    Args:
        float_array: (H, W), in [m] with the default scale.
        scale_factor: steps of a unit; values beyond what the image holds are clipped.
        drop_blue: leave the lowest byte out, which compresses better.
    """
    steps = np.floor(np.asarray(float_array, float) * scale_factor + 0.5)
    codes = np.clip(steps, 0, _LARGEST).astype(np.uint32)
    blue = np.zeros_like(codes) if drop_blue else codes & 255
    return Image.fromarray(np.stack([codes >> 16, codes >> 8 & 255, blue], -1).astype(np.uint8))


def float_array_to_grayscale_image(
    float_array: npt.ArrayLike,
    scale_factor: float | None = None,
    image_dtype: type[np.integer] = np.uint8,
) -> Image.Image:
    """Code (H, W) values as an image of one channel of uint8, uint16 or int32.

    Args:
        float_array: (H, W), in [m] with the default scale.
        scale_factor: steps of a unit, by default of `DEFAULT_GRAY_SCALE_FACTOR`.
        image_dtype: any other type than those three means uint8, as in RLBench.
    """
    kind = image_dtype if image_dtype in DEFAULT_GRAY_SCALE_FACTOR else np.uint8
    scale = DEFAULT_GRAY_SCALE_FACTOR[kind] if scale_factor is None else scale_factor
    steps = np.floor(np.asarray(float_array, float) * scale + 0.5)
    limits = np.iinfo(kind)
    return Image.fromarray(np.clip(steps, limits.min, limits.max).astype(kind))


def image_to_float_array(
    image: Any, scale_factor: float | None = None
) -> npt.NDArray[np.float64] | npt.NDArray[np.float32]:
    """Return the (H, W) values of an image coded by one of the two functions above.

    Args:
        image: of three channels or one; anything that NumPy reads as an array.
        scale_factor: that it was coded with; None for the default of its kind.

    Raises:
        SceneError: it is no image of one or three channels of whole numbers.
    """
    coded = np.asarray(image)
    if coded.ndim == 3 and coded.shape[2] == 3 and np.issubdtype(coded.dtype, np.integer):
        values = coded.astype(np.int64) @ np.array([65536, 256, 1])
        scale = DEFAULT_RGB_SCALE_FACTOR if scale_factor is None else scale_factor
        decoded: npt.NDArray[np.float64] = values / scale
        return decoded
    if coded.ndim != 2 or coded.dtype.type not in DEFAULT_GRAY_SCALE_FACTOR:
        raise SceneError(
            f"image_to_float_array: shape {coded.shape} of {coded.dtype} is no coded depth; it must"
            " be (H, W, 3) whole numbers, or (H, W) uint8, uint16 or int32"
        )
    scale = DEFAULT_GRAY_SCALE_FACTOR[coded.dtype.type] if scale_factor is None else scale_factor
    grey: npt.NDArray[np.float32] = coded.astype(np.float32) / np.float32(scale)
    return grey
