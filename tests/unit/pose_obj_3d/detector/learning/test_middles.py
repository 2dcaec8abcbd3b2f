"""The keypoint in the middle of two that look alike is found from labels, and used if it helps."""

import numpy as np
import pytest
import torch

from pose_obj_3d.detector.learning.calibrating import choose_middles, find_middles
from pose_obj_3d.detector.learning.checkpoint import Subject
from pose_obj_3d.detector.learning.network import Candidates
from pose_obj_3d.detector.types import Clip, Labels, Prompt

T = 40
NAMES = ("robot/tip", "robot/left_finger", "robot/right_finger", "robot/wrist")
FINGERS = (("robot/left_finger", "robot/right_finger"),)
SUBJECT = Subject(9, NAMES, ("front",), (256, 256), (), FINGERS, 0, ())


def demo(seed, tip_is_found):
    """The right finger is hidden in the middle of the demo: its map has its peak elsewhere."""
    rng = np.random.default_rng(seed)
    tip = rng.uniform(100, 120, 2) + np.arange(T)[:, None]
    half = np.array([12.0, 9.0])
    wrist = tip - np.array([0, 30])
    uv = np.stack([tip, tip - half, tip + half, wrist], 1).astype(np.float32)
    found = uv[:, :, None] + rng.normal(0, 0.3, (T, 4, 1, 2)).astype(np.float32)
    score = np.full((T, 4, 1), -0.05, np.float32)
    lost = slice(T // 4, 3 * T // 4)
    found[lost, 2], score[lost, 2] = rng.uniform(0, 256, 2), -8.0
    if not tip_is_found:
        found[lost, 0] += 60
    everywhere = np.ones((T, 4), bool)
    picture = np.zeros((8, 8, 3), np.uint8)
    prompt = Prompt(np.zeros((0, 8, 8), bool), np.zeros((0, 3), np.float32))
    labels = Labels(uv, everywhere, everywhere)
    clip = Clip(9, seed, 0, np.arange(T), picture[None].repeat(T, 0), picture, prompt, labels)
    claim = torch.tensor([0.0, 0.0, 0.0, -6.0]).expand(T, 4, 1, 4)
    points, shown = torch.from_numpy(found), torch.full((T, 4), 4.0)
    heat = torch.zeros(0, 4, 4)
    return clip, Candidates(heat, points, points, claim, torch.from_numpy(score), shown, shown)


@pytest.mark.parametrize(("tip_is_found", "middle"), [(True, 0), (False, None)])
def test_a_middle_that_helps_is_used(tip_is_found, middle):
    clips, found = zip(*(demo(n, tip_is_found) for n in range(3)), strict=True)
    assert find_middles(clips, SUBJECT) == (0,)
    assert choose_middles(clips, found, SUBJECT) == (middle,)
