"""A detector that needs no training: the middle of the pixels of a prompt's colour."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose_obj_3d.detector.applying.plans import Loaded
from pose_obj_3d.detector.types import Detections
from tests.unit.pose_obj_3d.detector.pictured import KEYPOINTS, TASK, TIP
from tests.unit.pose_obj_3d.synthetic import NAMES


@dataclass(frozen=True)
class Subject:
    """What it knows."""

    task: int = TASK
    cameras: tuple[str, ...] = NAMES
    image_size: tuple[int, int] = (64, 64)
    prompts: tuple[tuple[str, ...], ...] = (tuple(KEYPOINTS[:2]),)
    exchangeable: tuple[tuple[str, ...], ...] = ()
    fold: int = 0
    demos: tuple[str, ...] = ()


class ColourFinder:
    """Finds the block and the tip, not the other block."""

    def __init__(self, subject, name="colour finder"):
        self.subject, self.name = subject, name
        self.keypoints = [KEYPOINTS[3], KEYPOINTS[1]]
        self.calls = 0

    def detect(self, clips):
        self.calls += 1
        return [self._one(clip) for clip in clips]

    def _one(self, clip):
        wanted = [np.array(TIP) / 255, clip.prompt.colours[0]]
        uv = np.full((len(clip.frames), 2, 2), np.nan, np.float32)
        for t, picture in enumerate(clip.pictures):
            for k, colour in enumerate(wanted):
                near = np.argwhere(np.abs(picture / 255 - colour).max(-1) < 0.1)
                if len(near):
                    uv[t, k] = near.mean(0)[::-1] + 0.5
        seen = np.isfinite(uv).all(-1).astype(np.float32)
        sd = np.where(np.isnan(uv), np.nan, 1).astype(np.float32)
        return Detections(uv, sd, np.zeros_like(seen), seen, seen)


def loaded(name, **subject):
    """Give it as if it came from a checkpoint."""
    return Loaded(Path(f"{name}.pt"), f"digest of {name}", ColourFinder(Subject(**subject), name))
