"""Boards for calibration: what they look like, and where their corners are in a picture."""

import re
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import ConfigError

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]
CHESSBOARD, CHARUCO = "chessboard", "charuco"
FORMS = (
    "chessboard:COLUMNSxROWS:SQUARE (inner corners, such as chessboard:9x6:0.025), or"
    " charuco:COLUMNSxROWS:SQUARE:MARKER:DICTIONARY (squares, such as"
    " charuco:5x7:0.04:0.03:DICT_4X4_50); lengths in m"
)
MIN_CORNERS = 6  # of a sighting
_MAX_SQUARES, _MAX_LENGTH_M = 100, 100.0
_WINDOW, _WINDOW_PX = 0.3, (2, 5)  # half a window: share of the shortest side, limits [px]
_DOWN_TO_PX = 1000  # the classic search for chessboards first runs on a picture of this size


@dataclass(frozen=True)
class Board:
    """A flat board with known corners.

    Attributes:
        kind: `chessboard` or `charuco`.
        columns: Inner corners in a row of a chessboard; squares in a row of a charuco board.
        rows: The same down a column.
        square_m: Side of a square [m].
        marker_m: Side of a marker [m]; 0 for a chessboard.
        dictionary: Name of OpenCV's dictionary of markers; "" for a chessboard.
        is_legacy: The charuco board has a marker in its upper left corner, as boards with an even
            number of rows had before OpenCV 4.6.
        is_two_sided: The back of the charuco board has the mirror image of the front, so that
            cameras on both sides see the same corners.
    """

    kind: str
    columns: int
    rows: int
    square_m: float
    marker_m: float = 0.0
    dictionary: str = ""
    is_legacy: bool = False
    is_two_sided: bool = False
    _inverts: list[bool] = field(default_factory=list, compare=False, repr=False)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Corners in a row, and in a column."""
        less = self.kind == CHARUCO
        return self.columns - less, self.rows - less

    @cached_property
    def corners(self) -> Floats:
        """Corners (n, 3) in the board's frame [m]: x along a row, y down a column, z = 0."""
        across, down = self.size
        y, x = np.mgrid[:down, :across]
        grid = np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3)
        return grid * self.square_m

    @cached_property
    def turns(self) -> list[npt.NDArray[np.intp]]:
        """Orders in which a search may give the corners, the first one first.

        Colours tell the ends of a chessboard apart if one side is odd and the other even, but the
        two searches begin at different ends.
        """
        across, down = self.size
        index = np.arange(across * down).reshape(down, across)
        if self.kind == CHARUCO:
            return [index.ravel()]
        return [np.rot90(index, k).ravel() for k in ((0, 1, 2, 3) if across == down else (0, 2))]

    def __str__(self) -> str:
        """Return the form that `parse_board` reads."""
        text = f"{self.kind}:{self.columns}x{self.rows}:{self.square_m:g}"
        return text if self.kind == CHESSBOARD else f"{text}:{self.marker_m:g}:{self.dictionary}"

    def find(self, image: Image) -> tuple[npt.NDArray[np.intp], Floats]:
        """Find the corners in a grey picture (H, W).

        Returns:
            The numbers of the corners seen (n,), and where they are (n, 2) [px], centres of pixels
            at whole numbers; empty where fewer than `MIN_CORNERS` are seen.
        """
        found = self._charuco(image) if self.kind == CHARUCO else self._chessboard(image)
        numbers, uv = found
        if len(numbers) < MIN_CORNERS or _on_a_line(self.corners[numbers, :2]):
            return np.zeros(0, np.intp), np.zeros((0, 2))
        return numbers, uv

    def is_seen(self, image: Image) -> bool:
        """Tell quickly whether a picture has the board."""
        if self.kind == CHESSBOARD:
            return self._classic(image) is not None
        return bool(len(self.find(image)[0]))

    def _chessboard(self, image: Image) -> tuple[npt.NDArray[np.intp], Floats]:
        # Without flags: with NORMALIZE_IMAGE fewer boards are found, with ACCURACY it takes longer.
        is_found, corners = cv2.findChessboardCornersSB(image, self.size)
        uv = np.asarray(corners, np.float64) if is_found else self._classic(image)
        if uv is None:
            return np.zeros(0, np.intp), np.zeros((0, 2))
        return np.arange(len(self.corners)), self._sharpened(image, uv)

    def _classic(self, image: Image) -> Floats | None:
        """Search as OpenCV did before, in a small copy: it finds boards that the other misses."""
        scale = min(1.0, _DOWN_TO_PX / max(image.shape))
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        flags = (
            cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_FAST_CHECK
        )
        is_found, uv = cv2.findChessboardCorners(small, self.size, flags=flags)
        return (np.asarray(uv, np.float64) + 0.5) / scale - 0.5 if is_found else None

    def _sharpened(self, image: Image, uv: Floats) -> Floats:
        """Refine corners (n, 1, 2): in rendered pictures this halves their errors, to 0.03 px."""
        across, down = self.size
        grid = uv.reshape(down, across, 2)
        sides = [np.linalg.norm(np.diff(grid, axis=axis), axis=-1) for axis in (0, 1)]
        half = int(np.clip(_WINDOW * min(side.min() for side in sides), *_WINDOW_PX))
        ends = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 40, 0.001)
        start = uv.reshape(-1, 1, 2).astype(np.float32)
        found = cv2.cornerSubPix(image, start.copy(), (half, half), (-1, -1), ends)
        # A corner that runs away stood beside no edges, such as under a finger.
        ran = np.linalg.norm(found - start, axis=-1, keepdims=True) > half
        return np.where(ran, start, found).astype(np.float64).reshape(-1, 2)

    @cached_property
    def _detector(self) -> "cv2.aruco.CharucoDetector":
        names = getattr(cv2.aruco, self.dictionary)
        board = cv2.aruco.CharucoBoard(
            (self.columns, self.rows),
            self.square_m,
            self.marker_m,
            cv2.aruco.getPredefinedDictionary(names),
        )
        board.setLegacyPattern(self.is_legacy)
        parameters = cv2.aruco.CharucoParameters()
        parameters.tryRefineMarkers = True
        found = cv2.aruco.CharucoDetector(board)
        found.setCharucoParameters(parameters)
        return found

    def _charuco(self, image: Image) -> tuple[npt.NDArray[np.intp], Floats]:
        """Find corners; a board printed white on black is looked for where none is found."""
        for is_inverted in self._inverts[:1] or (False, True):
            picture = np.asarray(cv2.bitwise_not(image) if is_inverted else image, np.uint8)
            numbers, uv = self._markers(picture)
            if self.is_two_sided and len(numbers) < MIN_CORNERS:
                numbers, uv = self._markers(np.asarray(cv2.flip(picture, 1), np.uint8))
                uv[:, 0] = image.shape[1] - 1 - uv[:, 0]
            if len(numbers) >= MIN_CORNERS:
                if not self._inverts:
                    self._inverts.append(is_inverted)
                return numbers, uv
        return np.zeros(0, np.intp), np.zeros((0, 2))

    def _markers(self, image: Image) -> tuple[npt.NDArray[np.intp], Floats]:
        uv, numbers, _, _ = self._detector.detectBoard(image)
        if numbers is None or uv is None:
            return np.zeros(0, np.intp), np.zeros((0, 2))
        return np.asarray(numbers, np.intp).ravel(), np.array(uv, np.float64).reshape(-1, 2)


def _on_a_line(points: Floats) -> bool:
    """Tell whether points (n, 2) lie on a line, or nearly so: a pose cannot be found from them."""
    values = np.linalg.svd(points - points.mean(0), compute_uv=False)
    return bool(values[1] < 0.1 * values[0])


def parse_board(text: str, is_legacy: bool = False, is_two_sided: bool = False) -> Board:
    """Read what a user calls a board.

    Raises:
        ConfigError: It is none of `FORMS`.
    """
    pattern = r"(chessboard|charuco):(\d{1,3})x(\d{1,3}):([^:]+)(?::([^:]+):([^:]+))?"
    match = re.fullmatch(pattern, text.strip())
    if match is None or (match[1] == CHARUCO) != (match[6] is not None):
        raise ConfigError(f"--board {text[:60]!r}: allowed: {FORMS}")
    columns, rows = int(match[2]), int(match[3])
    if not (3 <= columns <= _MAX_SQUARES and 3 <= rows <= _MAX_SQUARES):
        raise ConfigError(
            f"--board {text[:60]!r}: {columns}x{rows}; allowed: 3 to {_MAX_SQUARES} each way"
        )
    square = _length(text, match[4])
    if match[1] == CHESSBOARD:
        return Board(CHESSBOARD, columns, rows, square)
    marker, dictionary = _length(text, match[5]), match[6]
    names = sorted(n for n in dir(cv2.aruco) if n.startswith("DICT_"))
    if dictionary not in names:
        raise ConfigError(
            f"--board {text[:60]!r}: dictionary {dictionary[:30]!r} is unknown; allowed:"
            f" {', '.join(n for n in names if n.endswith(('_50', '_250', '11')))} and others of"
            " OpenCV"
        )
    if marker >= square:
        raise ConfigError(
            f"--board {text[:60]!r}: markers of {marker:g} m do not fit into squares of"
            f" {square:g} m; the square comes first"
        )
    needed = columns * rows // 2
    size = len(cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, dictionary)).bytesList)
    if size < needed:
        raise ConfigError(
            f"--board {text[:60]!r}: {columns}x{rows} squares have {needed} markers, {dictionary}"
            f" has {size}; name the dictionary that the board was made with"
        )
    return Board(CHARUCO, columns, rows, square, marker, dictionary, is_legacy, is_two_sided)


def _length(text: str, value: str) -> float:
    try:
        length = float(value)
    except ValueError:
        length = float("nan")
    if not 1e-4 <= length <= _MAX_LENGTH_M:
        raise ConfigError(
            f"--board {text[:60]!r}: {value[:20]!r} is no length in m; allowed: 0.0001 to"
            f" {_MAX_LENGTH_M:g}, such as 0.025 for 25 mm"
        )
    return length
