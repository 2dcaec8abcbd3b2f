"""Which individual's keypoints are lifted, where files know several."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.common.names import near_names
from pose_obj_3d.importing.tracks.views import ALONE, Floats, ViewTracks


def choose_individuals(
    views: Sequence[ViewTracks], wanted: Sequence[str]
) -> tuple[list[ViewTracks], list[str]]:
    """Take the individuals that are wanted; the only one where none is named.

    Of one individual the keypoints keep their names; of several they become
    `<individual>/<keypoint>`.

    Returns:
        The views with one individual, and lines on what was done.

    Raises:
        ConfigError: An individual is not there.
        DataError: There are several, and none is named.
    """
    there = list(dict.fromkeys(name for view in views for name in _seen(view)))
    notes = []
    if not wanted:
        if len(there) > 1:
            named = ", ".join(name or "(without a name)" for name in there)
            raise DataError(
                f"{views[0].source}: {len(there)} individuals: {named[:240]}; choose with"
                f" --individual, such as --individual {there[0]}; several names take several"
            )
        all_names = {name for view in views for name in view.individuals}
        if there and len(all_names) > 1:
            notes.append(f"of {len(all_names)} individuals only {there[0]} has points: it is taken")
        wanted = there or [views[0].individuals[0]]
    for name in wanted:
        if all(name not in view.individuals for view in views):
            known = [n for n in there if n] or ["(files of one individual: leave it out)"]
            raise ConfigError(
                f"--individual {name[:60]}: {views[0].source} does not have it;"
                f" {near_names(name, known)}"
            )
    if len(there) > 1:
        notes.append(
            f"{', '.join(wanted)} of the individuals {', '.join(there)[:200]} taken; the files'"
            " names say which one is the same in all views"
        )
    return [_taken(view, list(dict.fromkeys(wanted))) for view in views], notes


def _seen(view: ViewTracks) -> list[str]:
    """Return the individuals that have a point."""
    return [
        name
        for a, name in enumerate(view.individuals)
        if bool(np.isfinite(view.points[:, a]).all(-1).any())
    ]


def _taken(view: ViewTracks, wanted: Sequence[str]) -> ViewTracks:
    keypoints = tuple(
        name if len(wanted) == 1 else f"{individual}/{name}"
        for individual in wanted
        for name in view.keypoints
    )

    def pick(values: Floats) -> Floats:
        """(T, A, K, ...) -> (T, 1, A' K, ...)."""
        absent = np.full_like(values[:, 0], np.nan)
        own = [
            values[:, view.individuals.index(name)] if name in view.individuals else absent
            for name in wanted
        ]
        return np.concatenate(own, 1)[:, None]

    kept = replace(
        view,
        points=pick(view.points),
        keypoints=keypoints,
        individuals=(ALONE,),
        confidence=None if view.confidence is None else pick(view.confidence),
        covariance=None if view.covariance is None else pick(view.covariance),
    )
    return _with_points(kept) if len(wanted) > 1 else kept


def _with_points(view: ViewTracks) -> ViewTracks:
    """Leave out keypoints that an individual does not have: their columns are all NaN."""
    own = np.flatnonzero(np.isfinite(view.points).any((0, 1, 3)))
    return replace(
        view,
        points=view.points[:, :, own],
        keypoints=tuple(view.keypoints[k] for k in own),
        confidence=None if view.confidence is None else view.confidence[:, :, own],
        covariance=None if view.covariance is None else view.covariance[:, :, own],
    )
