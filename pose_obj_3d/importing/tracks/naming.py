"""Which view is which calibrated camera: by name.

Tools name a view's file after its video, and the video after its camera: `rec1_camA_2024DLC...csv`
is of the camera `camA`. So a camera's name is sought in the names of views.
"""

import re
import unicodedata
from collections.abc import Sequence

from pose_obj_3d.common.errors import DataError

_PARTS = re.compile(r"[\W_]+")


def match_names(views: Sequence[str], cameras: Sequence[str]) -> dict[int, int]:
    """Match views to cameras.

    A view has the camera's name; or, of the views and cameras that are left, the camera's name is a
    part of the view's name, between characters that are neither letters nor digits. If nothing was
    found so, the name is sought anywhere in it, without cutting a number. Case does not matter.

    Returns:
        Number of the view -> number of its camera.

    Raises:
        DataError: Names fit in several ways.
    """
    views, cameras = [_composed(name) for name in views], [_composed(name) for name in cameras]
    matched: dict[int, int] = {}
    for fits in (_is_same, _is_part, _is_inside):
        if matched and fits is _is_inside:
            break
        free = [c for c in _all(cameras) if c not in matched.values()]
        found = {
            v: [c for c in free if fits(cameras[c], views[v])]
            for v in _all(views)
            if v not in matched
        }
        found = {v: _longest(own, cameras) for v, own in found.items() if own}
        matched |= _one_each(found, views, cameras)
    return matched


def _composed(name: str) -> str:
    """Return a name with letters and their accents as one: file systems may take them apart."""
    return unicodedata.normalize("NFC", name)


def _all(names: Sequence[str]) -> range:
    return range(len(names))


def _is_same(camera: str, view: str) -> bool:
    return camera.lower() == view.lower()


def _is_part(camera: str, view: str) -> bool:
    own, parts = _split(camera), _split(view)
    return bool(own) and any(parts[i : i + len(own)] == own for i in range(len(parts)))


def _is_inside(camera: str, view: str) -> bool:
    name, left, right = re.escape(camera.lower()), "", ""
    if camera[:1].isdigit():
        left = r"(?<!\d)"
    if camera[-1:].isdigit():
        right = r"(?!\d)"
    return re.search(left + name + right, view.lower()) is not None


def _split(name: str) -> list[str]:
    return [part for part in _PARTS.split(name.lower()) if part]


def _longest(found: list[int], cameras: Sequence[str]) -> list[int]:
    """Of `cam1` and `cam10`, both in `cam10_video`, keep the longer."""
    longest = max(len(cameras[c]) for c in found)
    return [c for c in found if len(cameras[c]) == longest]


def _one_each(
    found: dict[int, list[int]], views: Sequence[str], cameras: Sequence[str]
) -> dict[int, int]:
    taken: dict[int, int] = {}
    for v, own in found.items():
        if len(own) > 1:
            raise DataError(
                f"view {views[v]!r} may be camera {cameras[own[0]]!r} or {cameras[own[1]]!r} of the"
                " calibration; say it: NAME=FILE in place of FILE"
            )
        if own[0] in taken:
            raise DataError(
                f"views {views[taken[own[0]]]!r} and {views[v]!r} both have the name of camera"
                f" {cameras[own[0]]!r}; name one recording's files alone, or say it: NAME=FILE in"
                " place of FILE"
            )
        taken[own[0]] = v
    return {v: c for c, v in taken.items()}
