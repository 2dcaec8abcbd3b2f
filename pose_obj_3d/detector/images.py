"""Pictures of an archive's demos, read from the files that `image_pattern` and `sources` name.

Image sizes are (width, height); arrays are (height, width, ...). `common.frame_files` knows where
the files are; this module reads and checks them.
"""

import struct
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.common.frame_files import MASKS, PICTURES, frame_file
from pose_obj_3d.detector.types import Pictures
from pose_obj_3d.formal import FormalData

MAX_FILE_BYTES = 256 << 20
HOW_TO_MAKE = (
    'list the cameras of "track_cams" in "cams" of the dataset config, generate, and convert again'
)
PNG_START, SIZE_AT = b"\x89PNG\r\n\x1a\n", 16  # width and height follow the first chunk's name


class DemoPictures:
    """The pictures of an archive's demos; nothing is kept in memory."""

    def __init__(self, data: FormalData) -> None:
        """Take the archive.

        Raises:
            DataError: It does not say where pictures are.
        """
        self.data = data
        if not data.meta.get(PICTURES) or not data.meta.get("sources"):
            raise DataError(f"{data.path}: the archive was made without images; {HOW_TO_MAKE}")

    @property
    def has_masks(self) -> bool:
        """Whether the archive says where images of object ids are, and which id is whose."""
        return bool(self.data.meta.get(MASKS) and self.data.meta.get("mask_ids"))

    def n_frames(self, task: int, example: int) -> int:
        """Return the number of frames of a demo."""
        return int(self.data.tracks[task][example].shape[1])

    def read(self, task: int, example: int, view: int, frame: int) -> Pictures:
        """Read (H, W, 3) RGB.

        Raises:
            DataError: It is missing, unreadable, or of another size than the archive says.
        """
        path = self._path(task, example, view, frame, PICTURES)
        image = _decode(path, cv2.IMREAD_COLOR, self.data.image_size)
        return np.ascontiguousarray(image[:, :, ::-1]).astype(np.uint8)

    def read_ids(self, task: int, example: int, view: int) -> npt.NDArray[np.int64]:
        """Read the object ids (H, W) of a demo's first frame; errors as of `read`."""
        path = self._path(task, example, view, 0, MASKS)
        image = _decode(path, cv2.IMREAD_UNCHANGED, self.data.image_size)
        if image.ndim != 2:
            raise DataError(f"{path} has {image.shape[2]} channels; images of object ids have one")
        return image.astype(np.int64)

    def check(self, demos: Iterable[tuple[int, int]]) -> None:
        """Check that every picture of some demos is there, and that the first ones can be read.

        Args:
            demos: Task and example of each.

        Raises:
            DataError: Says how many are missing, and names one; or what is wrong with one.
        """
        demos = list(demos)
        missing, total, first = 0, 0, None
        for task, example in demos:
            for view in range(len(self.data.camera_names)):
                for frame in range(self.n_frames(task, example)):
                    path = self._path(task, example, view, frame, PICTURES)
                    total += 1
                    if not path.is_file():
                        missing, first = missing + 1, first or path
        if first is not None:
            raise DataError(
                f"{self.data.path}: {missing} of {total} pictures are missing, such as {first};"
                f" convert the data set where it is now, or {HOW_TO_MAKE}"
            )
        for task, example in demos:
            for view in range(len(self.data.camera_names)):
                self.read(task, example, view, 0)

    def _path(self, task: int, example: int, view: int, frame: int, pattern: str) -> Path:
        camera = self.data.camera_names[view]
        place = (task, example, camera, frame)
        path = frame_file(self.data.path, self.data.meta, place, pattern)
        if path is None:
            raise DataError(
                f"{self.data.path}: {pattern} or the sources of T{task} do not say where the images"
                f" of example {example} are; convert the data again"
            )
        return path


def read_mask(path: Path, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Read a user's mask (H, W): what is not black; errors as of `DemoPictures.read`."""
    image = _decode(path, cv2.IMREAD_UNCHANGED, size)
    colours = image if image.ndim == 2 else image[:, :, :3].max(-1)
    return np.asarray(colours > 0)


def _decode(path: Path, flag: int, size: tuple[int, int]) -> npt.NDArray[np.integer]:
    """Decode an image file of a given width and height."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"{path} is larger than {MAX_FILE_BYTES >> 20} MiB; not an image")
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; generate and convert the data again") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    if content.startswith(PNG_START) and len(content) >= SIZE_AT + 8:
        _check_size(
            path, struct.unpack_from(">2L", content, SIZE_AT), size
        )  # before it is unpacked
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flag) if content else None
    except cv2.error:
        image = None
    if image is None:
        raise DataError(f"{path} is not a readable image; generate the data again")
    _check_size(path, (image.shape[1], image.shape[0]), size)
    return np.asarray(image)


def _check_size(path: Path, found: tuple[int, ...], size: tuple[int, int]) -> None:
    if tuple(found) != tuple(size):
        raise DataError(
            f"{path} has {found[0]} x {found[1]} px, the archive says {size[0]} x {size[1]};"
            " convert the data set that the pictures belong to"
        )
