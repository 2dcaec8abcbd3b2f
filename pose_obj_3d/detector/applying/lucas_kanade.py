"""A tracker without training, as a reference: OpenCV's pyramidal Lucas-Kanade.

It needs the positions in a demo's first frame: from labels, or from a detector. Each later frame is
compared with the first one, so errors do not add up; the track from frame to frame only says where
to begin. A point that is tracked back to the first frame should come back to its start: the
distance is the claim of its error. Bouguet, "Pyramidal implementation of the affine Lucas Kanade
feature tracker" (2001); Kalal, Mikolajczyk, Matas, "Forward-backward error" (ICPR 2010).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.detector.types import Clip, Detections, Detector, Flags, Floats, Pictures

NAME = "lucas_kanade"
CENTRE = 0.5  # of the first pixel; OpenCV has it at 0
WINDOW = 15  # px of 256, side of the compared patch
WIDTH = 256  # for which the lengths here are meant; others are scaled
SMALLEST = 32  # px, side of the smallest picture of a pyramid
STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01)
SD_PX = 0.8  # of a point that comes back to its start exactly
TRUSTED_PX = 2.0  # a comparison with the first frame that comes back within this is believed
MAX_DIFFERENCE = 24.0  # of 255, mean absolute, between patches of one point
LOST_PX = 40.0  # a point that comes back farther off than this is lost
Points = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Step:
    """Points (n, 2) moved from one picture to another, and what is known of them.

    Attributes:
        points: (n, 2), OpenCV's coordinates [px].
        back: (n,) distance from the start after tracking back [px]; infinite where that failed.
    """

    points: Points
    back: Floats


class LucasKanade:
    """Follows points of the first frame; a `Detector`."""

    name = NAME

    def __init__(self, keypoints: Sequence[str], start: Detector | None = None) -> None:
        """Say what is followed.

        Args:
            keypoints: Names of the K keypoints of the clips' labels.
            start: Finds the positions in the first frame; None takes the labels of those seen.

        Raises:
            DataError: `start` does not find these keypoints.
        """
        self.keypoints = list(keypoints)
        self._start = start
        if start is not None and list(start.keypoints) != self.keypoints:
            raise DataError(
                "the detector for the first frame finds other keypoints than the tracker follows"
            )

    def detect(self, clips: list[Clip]) -> list[Detections]:
        """Follow the keypoints through clips that begin with frame 0 and have every frame."""
        starts = self._starts(clips)
        return [_follow(clip, *start) for clip, start in zip(clips, starts, strict=True)]

    def _starts(self, clips: list[Clip]) -> list[tuple[Points, Flags]]:
        """Give for each clip positions (K, 2) [px] in the first frame, and which of them to use."""
        if self._start is not None:
            found = self._start.detect([_only_first(clip) for clip in clips])
            return [(d.uv[0], d.p_seen[0] >= 0.5) for d in found]
        starts = []
        for clip in clips:
            if clip.labels is None:
                raise DataError("the tracker needs labels of the first frame, or a detector")
            starts.append((clip.labels.uv[0], clip.labels.is_seen[0]))
        return starts


def _only_first(clip: Clip) -> Clip:
    return Clip(
        task=clip.task,
        example=clip.example,
        view=clip.view,
        frames=clip.frames[:1],
        pictures=clip.pictures[:1],
        first=clip.first,
        prompt=clip.prompt,
    )


def _follow(clip: Clip, start: Points, is_known: Flags) -> Detections:
    """Follow the known points (K, 2) [px] through a clip."""
    T, K = len(clip.pictures), len(start)
    uv = np.full((T, K, 2), np.nan, np.float32)
    back = np.full((T, K), np.nan, np.float32)
    used = np.asarray(is_known & np.isfinite(start).all(-1))
    if used.any():
        uv[:, used], back[:, used] = _track(clip.pictures, start[used])
    lost = ~(back <= LOST_PX * clip.pictures.shape[2] / WIDTH)
    uv[lost] = np.nan
    sd = np.sqrt(SD_PX**2 + back**2).astype(np.float32)
    sd[lost] = np.nan
    height, width = clip.pictures.shape[1:3]
    with np.errstate(invalid="ignore"):
        inside = np.asarray(((uv >= 0) & (uv < (width, height))).all(-1))
        seen = np.where(inside, np.exp(-0.5 * (back / TRUSTED_PX) ** 2), 0)
    return Detections(
        uv=uv,
        sd=np.repeat(sd[..., None], 2, -1),
        rho=np.zeros((T, K), np.float32),
        p_inside=np.asarray(inside, np.float32),
        p_seen=np.asarray(seen, np.float32),
    )


def _track(pictures: Pictures, start: Points) -> tuple[Points, Floats]:
    """Return points (T, n, 2) [px] and what they are off after tracking back (T, n) [px]."""
    T, n = len(pictures), len(start)
    flow = _Flow(pictures.shape[2])
    first = flow.grey(pictures[0])
    origin = (start - CENTRE).astype(np.float32)
    points, back = np.empty((T, n, 2), np.float32), np.zeros((T, n), np.float32)
    points[0] = current = origin
    before = first
    for t in range(1, T):
        now = flow.grey(pictures[t])
        # From frame to frame to begin with, then against the first frame.
        step = flow.step(before, now, current)
        guess = np.where((step.back <= TRUSTED_PX)[:, None], step.points, current)
        tries = [flow.refine(first, now, origin, begin) for begin in (guess, current)]
        best = np.argmin([one.back for one in tries], 0)
        anchored = np.where((best == 0)[:, None], tries[0].points, tries[1].points)
        back[t] = np.minimum(tries[0].back, tries[1].back)
        current = np.where((back[t] <= TRUSTED_PX)[:, None], anchored, guess)
        points[t], before = current, now
    return points + np.float32(CENTRE), back


class _Flow:
    """OpenCV's optical flow between pictures of one width."""

    def __init__(self, width: int) -> None:
        side = max(5, round(WINDOW * width / WIDTH)) | 1
        self._how: dict[str, Any] = {"winSize": (side, side), "criteria": STEPS}
        self._levels = max(0, round(np.log2(width / SMALLEST)))

    def grey(self, picture: Pictures) -> Pictures:
        """Prepare a picture (H, W, 3) RGB."""
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)

    def step(self, old: Pictures, new: Pictures, points: Points) -> _Step:
        """Find points (n, 2) of one picture in the next one, and track them back."""
        return self._there_and_back(old, new, points, points, self._levels)

    def refine(self, old: Pictures, new: Pictures, points: Points, guess: Points) -> _Step:
        """Find points (n, 2) near a guess (n, 2), and track them back.

        Not from the smallest pictures on: there a patch takes in what is behind its object.
        """
        return self._there_and_back(old, new, points, guess, 0)

    def _there_and_back(
        self, old: Pictures, new: Pictures, points: Points, guess: Points, levels: int
    ) -> _Step:
        moved, is_found = self._flow(old, new, points, guess, levels)
        returned, came_back = self._flow(new, old, moved, points, levels)
        distance = np.linalg.norm(returned - points, axis=-1)
        return _Step(moved, np.where(is_found & came_back, distance, np.inf).astype(np.float32))

    def _flow(
        self, old: Pictures, new: Pictures, points: Points, guess: Points, levels: int
    ) -> tuple[Points, Flags]:
        found, status, difference = cv2.calcOpticalFlowPyrLK(
            old,
            new,
            points[:, None],
            guess[:, None].copy(),
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
            maxLevel=levels,
            **self._how,
        )
        is_alike = np.asarray(difference)[:, 0] <= MAX_DIFFERENCE
        is_found = (np.asarray(status)[:, 0] == 1) & is_alike
        return np.asarray(found, np.float32)[:, 0], is_found
