"""One common time for views whose numbers of frames, frame rates or starts differ."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.common.names import near_names
from pose_obj_3d.importing.tracks.views import Floats, ViewTracks

SAME_RATE = 0.01
"""Rates that differ by less are one rate: 29.97 and 30 are two names of what cameras do."""


def shift(views: Sequence[ViewTracks], offsets: Mapping[str, int]) -> list[ViewTracks]:
    """Give frames the numbers that `--offset` says.

    Raises:
        ConfigError: A view is not there.
    """
    names = [view.name for view in views]
    for name in offsets:
        if name not in names:
            raise ConfigError(
                f"--offset: there is no view {name[:60]!r}; {near_names(name, names)}"
            )
    return [
        replace(view, first_frame=view.first_frame + offsets.get(view.name, 0)) for view in views
    ]


def one_rate(
    views: Sequence[ViewTracks], given: float | None
) -> tuple[list[ViewTracks], float | None, list[str]]:
    """Bring all views to the lowest frame rate: of a faster view the nearest frames are taken.

    Args:
        views: The tracks.
        given: `--fps`, which counts in place of what the files say.

    Returns:
        The views, the rate (None where nothing says it), and lines on what was done.
    """
    rates = {view.name: view.fps for view in views if view.fps is not None}
    if given is not None or not rates:
        return list(views), given, []
    low, high = min(rates.values()), max(rates.values())
    said = ", ".join(f"{name} {rate:g}" for name, rate in rates.items())
    if high <= low * (1 + SAME_RATE):
        notes = [] if high == low else [f"frame rates {said}: taken as one, {low:g}"]
        return list(views), low, notes
    kept = [_slowed(view, low) for view in views]
    return (
        kept,
        low,
        [
            f"frame rates differ ({said[:200]}): of faster views the frames nearest to those at"
            f" {low:g} a second are taken, and frames are numbered so from here on; --fps says that"
            " all have one rate"
        ],
    )


def _slowed(view: ViewTracks, rate: float) -> ViewTracks:
    if view.fps is None or view.fps <= rate * (1 + SAME_RATE):
        return view
    ratio = view.fps / rate
    first = int(np.ceil(view.first_frame / ratio - 0.5))
    count = int(np.floor((view.first_frame + len(view.points) - 1) / ratio + 0.5)) - first + 1
    rows = np.rint((first + np.arange(max(count, 0))) * ratio).astype(np.int64) - view.first_frame
    rows = rows[(rows >= 0) & (rows < len(view.points))]

    def pick(values: Floats | None) -> Floats | None:
        return None if values is None else values[rows]

    return replace(
        view,
        points=view.points[rows],
        confidence=pick(view.confidence),
        covariance=pick(view.covariance),
        first_frame=first,
        fps=rate,
    )


def common_frames(views: Sequence[ViewTracks]) -> tuple[int, int, list[str]]:
    """Find the frames that are lifted: from the first to the last one that two views have.

    Returns:
        First frame, the frame after the last, and lines on views that have others.

    Raises:
        DataError: No frame is in two views.
    """
    spans = [(view.first_frame, view.first_frame + len(view.points)) for view in views]
    start = sorted(first for first, _ in spans)[1]
    stop = sorted(last for _, last in spans)[-2]
    if not any(
        sum(first <= t < last for first, last in spans) > 1 for t in {first for first, _ in spans}
    ):
        said = ", ".join(
            f"{view.name} {first} to {last - 1}"
            for view, (first, last) in zip(views, spans, strict=True)
        )
        raise DataError(
            f"{views[0].source}: no frame is in two views: they have the frames {said[:200]}; name"
            " the files of one recording, or give --offset VIEW=FRAMES"
        )
    begun = (
        [f"frame 0 of what is lifted, also of --images, is frame {start} of the views"]
        if start
        else []
    )
    if len(set(spans)) == 1:
        return start, stop, begun
    said = ", ".join(
        f"{view.name} {last - first}" + (f" from {first}" if first else "")
        for view, (first, last) in zip(views, spans, strict=True)
    )
    return (
        start,
        stop,
        [
            f"numbers of frames differ ({said[:240]}): frames {start} to {stop - 1} are kept, and"
            " are missing in a view without them; if it began later or lost frames, give --offset"
            " VIEW=FRAMES",
            *begun,
        ],
    )
