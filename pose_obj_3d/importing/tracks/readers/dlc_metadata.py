"""What DeepLabCut says of a video in `<video><network>_meta.pickle`: frame rate, and cropping.

Where a video was cropped for the analysis, positions count from the corner of the crop. DeepLabCut
adds the corner when it draws on the whole image; a calibration is of whole images, too.
"""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pose_obj_3d.common.errors import ArchiveError
from pose_obj_3d.common.safe_reading.plain_pickle import Built, load
from pose_obj_3d.importing.tracks.views import ViewTracks

ENDING = "_meta.pickle"
_MAX_BYTES = 16 << 20
_RATES = (1.0, 2000.0)


class _Unread(dict[Any, Any], Built):
    """Stands for an object of the network's settings, which nobody needs here."""

    def build(self, state: object) -> None:
        """Leave the content."""


def with_metadata(view: ViewTracks, scorer: str) -> tuple[ViewTracks, list[str]]:
    """Take what the file beside a view's table says.

    Args:
        view: The tracks, as the table has them.
        scorer: The network's name, which the names of its files hold.

    Returns:
        The view in whole images, and a line where it was cropped, or may have been.
    """
    stem = view.source.stem
    cut = stem.find(scorer)
    path = view.source.parent / f"{stem[: cut + len(scorer)]}{ENDING}"
    if cut < 0 or not path.is_file():
        return view, []
    try:
        data = _read(path)
        fps, crop = data.get("fps"), _corner(data)
    except (ArchiveError, OSError, ValueError, TypeError, LookupError) as error:
        said = " ".join(str(error).split())[:120]
        return view, [
            f"{path.name} cannot be read ({said}): if the video was cropped for the analysis, the"
            " positions count from the crop's corner, and no calibration of whole images fits"
        ]
    if isinstance(fps, int | float) and _RATES[0] <= fps <= _RATES[1]:
        view = replace(view, fps=float(fps))
    if crop is None or not crop.any():
        return view, []
    note = (
        f"{path.name} says that the video was cropped: {crop[0]:g}, {crop[1]:g} px, the crop's"
        " corner, are added to the positions"
    )
    return replace(view, points=view.points + crop), [note]


def _read(path: Path) -> dict[Any, Any]:
    with path.open("rb") as file:
        raw = file.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise ArchiveError("is larger than any metadata")
    found = load(io.BytesIO(raw), {}, unknown=_unread)
    data = found.get("data") if isinstance(found, dict) else None
    if not isinstance(data, dict):
        raise ArchiveError("has no data")
    return data


def _unread(*_: object) -> _Unread:
    return _Unread()


def _corner(data: dict[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Return x and y of the crop's corner [px]; None without a crop."""
    if not data.get("cropping"):
        return None
    x1, _, y1, _ = data["cropping_parameters"]
    corner = np.array([float(x1), float(y1)])
    if not np.isfinite(corner).all():
        raise ValueError("cropping_parameters are no numbers")
    return corner
