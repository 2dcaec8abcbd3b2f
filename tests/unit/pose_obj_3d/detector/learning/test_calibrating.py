"""Resting: what is hidden for a while is where it was, if things of its kind rest."""

import numpy as np
import pytest
import torch

from pose_obj_3d.common.errors import TrainingError
from pose_obj_3d.detector.learning.calibrating import choose_rest_cost, fit_calibration
from pose_obj_3d.detector.learning.checkpoint import Subject
from pose_obj_3d.detector.learning.finding import linked
from pose_obj_3d.detector.learning.linking import NEVER, Links
from pose_obj_3d.detector.learning.network import Candidates
from pose_obj_3d.detector.types import Clip, Labels, Prompt

T = 40
NAMES = ("objects/still", "objects/moving")
SUBJECT = Subject(9, NAMES, ("front",), (256, 256), (), (), 0, ())


def demo(seed):
    """One thing rests, one moves. Both are hidden in the middle: the still one's map is lost there,
    that of the moving one only blurred.
    """
    rng = np.random.default_rng(seed)
    still = np.tile(rng.uniform(50, 200, 2), (T, 1))
    moving = rng.uniform(50, 100, 2) + 3 * np.arange(T)[:, None]
    uv = np.stack([still, moving], 1).astype(np.float32)
    found = uv[:, :, None] + rng.normal(0, 0.5, (T, 2, 1, 2)).astype(np.float32)
    score = np.full((T, 2, 1), -0.05, np.float32)
    hidden = slice(T // 3, 2 * T // 3)
    found[hidden, 0] = rng.uniform(0, 256, (T, 1, 2))[hidden]
    score[hidden] = -3.0
    seen = np.ones((T, 2), bool)
    seen[hidden] = False
    picture = np.zeros((8, 8, 3), np.uint8)
    prompt = Prompt(np.zeros((0, 8, 8), bool), np.zeros((0, 3), np.float32))
    labels = Labels(uv, np.ones((T, 2), bool), seen)
    pictures = picture[None].repeat(T, 0)
    clip = Clip(9, seed, 0, np.arange(T), pictures, picture, prompt, labels)
    claim = torch.tensor([0.0, 0.0, 0.0, -6.0]).expand(T, 2, 1, 4)
    points = torch.from_numpy(found)
    logit = torch.from_numpy(np.where(seen, 4.0, -4.0).astype(np.float32))
    shown = torch.full((T, 2), 4.0)
    log_heat = torch.zeros(0, 2, 4)
    return clip, Candidates(log_heat, points, points, claim, torch.from_numpy(score), shown, logit)


def test_only_what_rests_is_carried_over():
    clips, found = zip(*(demo(n) for n in range(4)), strict=True)
    cost = choose_rest_cost(clips, found, SUBJECT, ())
    assert cost[0] < NEVER
    assert cost[1] == NEVER
    clip, candidates = demo(9)
    uv = linked(candidates, SUBJECT, Links(cost, ())).uv.numpy()
    assert np.linalg.norm(uv - clip.labels.uv, axis=-1).max() < 3


def test_too_few_labels_are_an_error():
    clip, candidates = demo(0)
    uv = np.full_like(clip.labels.uv, np.nan)
    uv[0] = clip.labels.uv[0]
    few = Labels(uv, clip.labels.is_inside, clip.labels.is_seen)
    unlabelled = Clip(9, 0, 0, clip.frames, clip.pictures, clip.first, clip.prompt, few)
    with pytest.raises(TrainingError, match="2 labels of held-out demos are too few"):
        fit_calibration([unlabelled], [candidates], SUBJECT)
