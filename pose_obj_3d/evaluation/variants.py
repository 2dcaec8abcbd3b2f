"""With which views and frames a model is evaluated."""

import math
from collections.abc import Sequence
from itertools import combinations

from pose_obj_3d.common.errors import ConfigError

Variant = tuple[tuple[int, ...], int | None]
"""View numbers, and frames of the window that may be used (None = all)."""
MAX_SUBSETS = 100  # of one number of views; each is a test of its own


def variants(
    views: Sequence[int],
    num_views: Sequence[int],
    num_frames: Sequence[int],
    length: int,
    is_window: bool,
) -> list[Variant]:
    """List what is evaluated: all views and frames, subsets of n views, fewer frames.

    Args:
        views: The views to evaluate with.
        num_views: TEST.NUM_VIEWS; every subset of n of the views.
        num_frames: TEST.NUM_FRAMES.
        length: Window length.
        is_window: Whether the model looks at a window of frames, not at whole examples.

    Raises:
        ConfigError: There are fewer views or frames than asked for, or too many subsets.
    """
    for n in num_views:
        if n > len(views):
            raise ConfigError(
                f"TEST.NUM_VIEWS (--eval_n_views) has {n}, but the views are {list(views)};"
                f" allowed: 1 to {len(views)}"
            )
        if (subsets := math.comb(len(views), n)) > MAX_SUBSETS:
            raise ConfigError(
                f"TEST.NUM_VIEWS (--eval_n_views) {n}: {len(views)} views have {subsets} subsets of"
                f" {n}; at most {MAX_SUBSETS} are evaluated. Choose fewer views with"
                " --eval_view_list"
            )
    for n in num_frames:
        if not is_window:
            raise ConfigError(
                "NETWORK.STC.CONTEXT track and NETWORK.ESTIMATOR map use whole examples: leave out"
                " TEST.NUM_FRAMES and --eval_n_frames"
            )
        if n > length:
            raise ConfigError(
                f"TEST.NUM_FRAMES (--eval_n_frames) has {n}, but NETWORK.TEMPORAL_LENGTH is"
                f" {length}; allowed: odd, up to {length}"
            )
    found: list[Variant] = [(tuple(views), None)]
    for n in num_views:
        if n < len(views):
            found += [(subset, None) for subset in combinations(views, n)]
    return found + [(tuple(views), n) for n in num_frames if n < length]
