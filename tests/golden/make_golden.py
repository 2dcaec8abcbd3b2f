"""Make the golden files anew: python tests/golden/make_golden.py. The commit message says why."""

import json
from pathlib import Path

import numpy as np

from rlbench.environment import Environment
from rlbench.observation_config import ObservationConfig
from rlbench.tasks import get_task_class

FOLDER = Path(__file__).resolve().parent
EPISODE = FOLDER / "reach_target_seed0.json"
FRAMES = 8
"""Frames kept, evenly spread: the file stays below 50 kB."""


def make_episode() -> dict[str, object]:
    """Return the golden facts of reach_target, variation 3, seed 0, example 0."""
    env = Environment(obs_config=ObservationConfig())
    env.launch()
    task = env.get_task(get_task_class("reach_target"))
    task.set_variation(3)
    demo = task.get_demo(seed=0, example=0)
    kept = np.linspace(0, len(demo) - 1, FRAMES).round().astype(int).tolist()
    intrinsics, extrinsics = env.track_calibration()
    return {
        "frames": len(demo),
        "kept": kept,
        "waypoint_frames": demo.waypoint_frames,
        "keypoint_names": demo.keypoint_names,
        "descriptions": demo.descriptions,
        "keypoints": [demo[t].keypoints.tolist() for t in kept],
        "joint_positions": [demo[t].joint_positions.tolist() for t in kept],
        "visibility": [demo[t].keypoint_visibility.tolist() for t in kept],
        "intrinsics": intrinsics.tolist(),
        "extrinsics": extrinsics.tolist(),
    }


if __name__ == "__main__":
    EPISODE.write_text(json.dumps(make_episode(), indent=1) + "\n", encoding="utf-8")
