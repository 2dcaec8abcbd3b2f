"""Statistics of a raw data set: lengths, ranges of motion, visibility. Written as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_generation.RLBench.raw_store import RawStore, RawTracks

NAME = "dataset_stats.json"
MOVING_SPEED = 0.005  # [m/s]
FRAME_PERIOD = 0.05  # [s]


def dataset_stats(store: RawStore, tracks: Mapping[int, Sequence[RawTracks]]) -> dict[str, Any]:
    """Give the statistics of every task, by task id as text."""
    return {str(task_id): _task_stats(store, episodes) for task_id, episodes in tracks.items()}


def _task_stats(store: RawStore, episodes: Sequence[RawTracks]) -> dict[str, Any]:
    lengths = np.array([e.xyz.shape[0] for e in episodes])
    states = np.concatenate([store.read_array(e.key, "ee_state") for e in episodes])
    names = episodes[0].keypoint_names
    xyz = np.concatenate([e.xyz for e in episodes])  # (frames, K, 3)
    seen = np.concatenate([e.visibility for e in episodes], axis=1)  # (V, frames, K)
    usable = (seen > 0).sum(axis=0) >= 2
    steps = np.concatenate([np.diff(e.xyz, axis=0) for e in episodes])
    moving = np.linalg.norm(steps, axis=-1) > MOVING_SPEED * FRAME_PERIOD
    share_moving = moving.mean(axis=0) if len(moving) else np.zeros(len(names))
    return {
        "name": episodes[0].task_name,
        "episodes": len(episodes),
        "variations": sorted({e.key.variation for e in episodes}),
        "frames": {"total": int(lengths.sum()), **_spread(lengths)},
        "ee_state_mean": states.mean(axis=0).tolist(),
        "ee_state_std": states.std(axis=0).tolist(),
        "keypoints": {
            name: {
                "min_m": xyz[:, k].min(axis=0).tolist(),
                "max_m": xyz[:, k].max(axis=0).tolist(),
                "share_moving": float(share_moving[k]),
                "share_seen_by_two_views": float(usable[:, k].mean()),
            }
            for k, name in enumerate(names)
        },
        "share_visible": {c: float((seen[v] == 1).mean()) for v, c in enumerate(episodes[0].track_cams)},
    }


def _spread(values: np.ndarray) -> dict[str, float]:
    return {
        "min": float(values.min()),
        "median": float(np.median(values)),
        "mean": float(values.mean()),
        "max": float(values.max()),
    }
