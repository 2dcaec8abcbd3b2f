"""Statistics of a raw data set: lengths, motion, visibility, states of the arm. Written as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.raw.store import RawStore, RawTracks
from data_generation.RLBench.tracks.statistics import statistics
from rlbench.const import DEMO_DT


def dataset_stats(
    store: RawStore,
    raw: Mapping[int, Sequence[RawTracks]],
    tracks: Mapping[int, Sequence[npt.NDArray[np.float32]]],
) -> dict[str, Any]:
    """Give the statistics of every task, by task id as text.

    Args:
        store: Where the episodes lie.
        raw: Task id -> its episodes.
        tracks: Task id -> their tracks, each (V, T, K, 8).

    Returns:
        For each task `statistics.statistics` (shares of moving, seen and hidden frames by
        group and keypoint among them), name, variations, and mean and standard deviation of the
        arm's states.
    """
    return {str(t): _task_stats(store, episodes, tracks[t]) for t, episodes in raw.items()}


def _task_stats(
    store: RawStore, episodes: Sequence[RawTracks], tracks: Sequence[npt.NDArray[np.float32]]
) -> dict[str, Any]:
    states = np.concatenate([store.read_array(e.key, "ee_state") for e in episodes])
    first = episodes[0]
    return {
        "name": first.task_name,
        "variations": sorted({e.key.variation for e in episodes}),
        **statistics(tracks, first.keypoint_names, first.track_cams, DEMO_DT),
        "ee_state_mean": states.mean(axis=0).tolist(),
        "ee_state_std": states.std(axis=0).tolist(),
    }
