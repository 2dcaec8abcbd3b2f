"""Find the board in the pictures of all cameras."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pose_obj_3d.calibrate.boards import CHARUCO, Board, Image
from pose_obj_3d.calibrate.frames import Source
from pose_obj_3d.common.errors import DataError
from pose_obj_3d.common.progress import Pace

logger = logging.getLogger(__name__)
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
MIN_SIGHTINGS = 5
_TRIED = 12  # pictures of a camera in which another cause is looked for


@dataclass(frozen=True)
class Sighting:
    """The board in one picture.

    Attributes:
        frame: Number of the picture.
        numbers: (n,) corners that are seen.
        uv: (n, 2) where [px].
    """

    frame: int
    numbers: Ints
    uv: Floats


@dataclass(frozen=True)
class View:
    """All that a camera sees of the board.

    Attributes:
        name: Name of the camera.
        size: Width and height of its pictures [px].
        sightings: In order of frames.
        looked_at: Number of pictures.
    """

    name: str
    size: tuple[int, int]
    sightings: tuple[Sighting, ...]
    looked_at: int

    @property
    def frames(self) -> list[int]:
        """Numbers of the frames in which the board is seen."""
        return [sighting.frame for sighting in self.sightings]

    def only(self, frames: set[int]) -> "View":
        """Keep the sightings of some frames."""
        return replace(self, sightings=tuple(s for s in self.sightings if s.frame in frames))


def look(
    sources: Sequence[Source],
    frames: Sequence[int],
    board: Board,
    progress: Callable[[int], object] = lambda _: None,
) -> list[View]:
    """Look for the board in every picture.

    Args:
        sources: The recordings.
        frames: Numbers of the frames to look at.
        board: What to look for.
        progress: Told how many pictures are done, after each.

    Raises:
        DataError: A picture cannot be read, or a camera sees the board too rarely; the message
            says why where that can be found out.
    """
    views = []
    for source in sources:
        found, size, count = [], (0, 0), 0
        pace = Pace()
        for number, image in source.read(frames):
            shape = (image.shape[1], image.shape[0])
            if count and shape != size:
                raise DataError(
                    f"camera {source.name}: frame {number} has {shape[0]}x{shape[1]} px, those"
                    f" before have {size[0]}x{size[1]}; all pictures of a camera must have one size"
                )
            size, count = shape, count + 1
            numbers, uv = board.find(image)
            if len(numbers):
                found.append(Sighting(number, numbers, uv))
            progress(1)
            if pace.is_due():
                logger.info("%s: %d pictures, board in %d", source.name, count, len(found))
        logger.info("%s: board in %d of %d pictures", source.name, len(found), count)
        view = View(source.name, size, tuple(found), count)
        if len(found) < MIN_SIGHTINGS:
            raise DataError(_too_few(view, source, frames, board))
        views.append(view)
    return views


def _too_few(view: View, source: Source, frames: Sequence[int], board: Board) -> str:
    line = (
        f"camera {view.name}: the board {board} is seen in {len(view.sightings)} of"
        f" {view.looked_at} pictures; {MIN_SIGHTINGS} are the least, 20 or more at different tilts"
        " are good"
    )
    if len(view.sightings) > 2:
        return line
    step = max(1, len(frames) // _TRIED)
    pictures = [image for _, image in source.read(frames[::step])]
    if board.kind == CHARUCO and _best(board, [np.fliplr(p).copy() for p in pictures]):
        return (
            f"{line}. In mirrored pictures it is found: undo the mirroring of the pictures, or, if"
            " the back of the board has its mirror image, add --two_sided"
        )
    other = replace(board, is_legacy=not board.is_legacy)
    if board.kind == CHARUCO and board.rows % 2 == 0 and _best(other, pictures):
        flag = "leave --legacy out" if board.is_legacy else "add --legacy"
        return f"{line}. With the other pattern of even rows it is found: {flag}"
    likely = _other_size(board, pictures)
    if likely:
        return f"{line}. A board of {likely} is found: correct --board"
    return f"{line}. Check --board (size, kind, dictionary), light and sharpness"


def _best(board: Board, pictures: Sequence[Image]) -> int:
    return sum(bool(len(board.find(picture)[0])) for picture in pictures)


def _other_size(board: Board, pictures: Sequence[Image]) -> str:
    """Name another size of board that is seen; "" where none is."""
    if board.kind == CHARUCO:
        swapped = replace(board, columns=board.rows, rows=board.columns)
        others = [swapped] if board.columns != board.rows else []
    else:
        a, b = board.columns, board.rows
        sizes = {(a - 1, b - 1), (a + 1, b + 1), (a - 1, b), (a, b - 1), (a + 1, b), (a, b + 1)}
        sizes |= {(7, 6), (8, 6), (9, 6), (8, 5), (7, 5), (11, 8), (10, 7)}
        others = [
            replace(board, columns=m, rows=n)
            for m, n in sorted(sizes, reverse=True)
            if min(m, n) >= 3 and {m, n} != {a, b}
        ]
    for other in others:
        if any(other.is_seen(picture) for picture in pictures[:4]):
            what = "squares" if board.kind == CHARUCO else "inner corners"
            return f"{other.columns}x{other.rows} {what}"
    return ""
