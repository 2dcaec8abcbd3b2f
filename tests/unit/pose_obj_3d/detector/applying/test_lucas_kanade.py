"""The tracker without training follows textured patches, and knows when it lost one."""

import dataclasses

import cv2
import numpy as np
import pytest

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.detector.applying.lucas_kanade import LucasKanade
from pose_obj_3d.detector.types import Clip, Detections, Labels, Prompt

SIZE, FRAMES = 96, 12
SPEED = np.array([1.7, -0.9], np.float32)  # px a frame


def texture(seed):
    noise = np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)


@pytest.fixture
def clip():
    """A patch that moves over a still background, and a cover that hides a still point late."""
    background, patch = texture(0), texture(1)[:24, :24]
    uv = np.zeros((FRAMES, 3, 2), np.float32)
    pictures = []
    for t in range(FRAMES):
        picture = background.copy()
        corner = np.array([20, 60], np.float32) + SPEED * t
        matrix = np.array([[1, 0, corner[0]], [0, 1, corner[1]]], np.float32)
        shape = (SIZE, SIZE)
        moved = cv2.warpAffine(patch, matrix, shape, borderMode=cv2.BORDER_CONSTANT)
        inside = cv2.warpAffine(np.ones((24, 24), np.uint8), matrix, shape) > 0
        picture[inside] = moved[inside]
        if t >= 6:
            picture[10:40, 60:92] = 128
        uv[t] = [corner + 12.5, [76.5, 25.5], [50.5, 15.5]]
        pictures.append(picture)
    known = np.ones((FRAMES, 3), bool)
    seen = known.copy()
    seen[0, 2] = False  # hidden at the start: nobody can point at it
    stack = np.stack(pictures)
    prompt = Prompt(np.zeros((0, SIZE, SIZE), bool), np.zeros((0, 3), np.float32))
    labels = Labels(uv, known, seen)
    return Clip(9, 0, 0, np.arange(FRAMES), stack, stack[0], prompt, labels)


def test_points_are_followed_and_lost_ones_are_known(clip):
    (found,) = LucasKanade(["a/moving", "a/covered", "a/unseen"]).detect([clip])
    error = np.linalg.norm(found.uv - clip.labels.uv, axis=-1)
    assert error[:, 0].max() < 0.3
    assert error[:6, 1].max() < 0.3
    assert found.sd[:6, :2].max() < 1.0
    assert (found.p_seen[:6, :2] > 0.9).all()
    is_known_lost = np.isnan(found.uv[6:, 1]).any(-1) | (found.p_seen[6:, 1] < 0.5)
    assert is_known_lost.all()
    assert np.isnan(found.uv[:, 2]).all()
    assert np.isnan(found.sd[:, 2]).all()
    assert (found.p_inside[:, 2] == 0).all()
    assert found.channels().shape == (FRAMES, 3, 7)


class First:
    """Finds two points in the first frame; it is sure of one."""

    name = "first"

    def __init__(self, keypoints, uv):
        self.keypoints, self._uv = keypoints, uv

    def detect(self, clips):
        assert all(len(c.pictures) == 1 and c.labels is None for c in clips)
        seen = np.array([[1.0, 0.2]], np.float32)
        zero = np.zeros((1, 2), np.float32)
        return [Detections(self._uv[None], self._uv[None], zero, seen, seen) for _ in clips]


def test_a_detector_may_give_the_start(clip):
    names = ["a/moving", "a/covered"]
    start = First(names, clip.labels.uv[0, :2])
    (found,) = LucasKanade(names, start).detect([clip])
    error = np.linalg.norm(found.uv - clip.labels.uv[:, :2], axis=-1)
    assert error[:, 0].max() < 0.3
    assert np.isnan(found.uv[:, 1]).all()
    with pytest.raises(DataError, match="other keypoints"):
        LucasKanade(["a/moving"], start)


def test_without_labels_there_is_no_start(clip):
    bare = dataclasses.replace(clip, labels=None)
    with pytest.raises(DataError, match="needs labels of the first frame, or a detector"):
        LucasKanade(["a/moving", "a/covered", "a/unseen"]).detect([bare])
