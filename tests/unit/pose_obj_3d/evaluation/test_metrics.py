"""Metrics on values computed by hand."""

import math

import pytest
import torch

from pose_obj_3d.evaluation import metrics
from pose_obj_3d.evaluation.metrics import ErrorSum

GENERATOR = torch.Generator().manual_seed(0)
TRUTH = torch.randn(5, 4, 3, generator=GENERATOR, dtype=torch.float64)
ALL = torch.ones(5, 4, dtype=torch.bool)


def test_mpjpe_counts_only_the_mask():
    predicted = torch.tensor([[3.0, 4, 0], [0, 0, 1], [9, 9, 9]])
    found = metrics.mpjpe(predicted, torch.zeros(3, 3), torch.tensor([True, True, False]))
    assert found == ErrorSum(6, 2)
    assert found.mean == 3


def test_sums_add_up_and_nothing_is_nan():
    assert (ErrorSum(2, 1) + ErrorSum(4, 2)).mean == 2
    assert math.isnan(ErrorSum().mean)


def test_p_mpjpe_removes_similarity_but_not_reflection():
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=GENERATOR, dtype=torch.float64))
    rotation = q * torch.linalg.det(q).sign()
    moved = 1.7 * TRUTH @ rotation.T + torch.tensor([1.0, -2, 3])
    assert metrics.p_mpjpe(moved, TRUTH, ALL).mean == pytest.approx(0, abs=1e-9)
    mirrored = TRUTH * torch.tensor([-1.0, 1, 1])
    assert metrics.p_mpjpe(mirrored, TRUTH, ALL).mean > 0.05


def test_p_mpjpe_leaves_out_frames_of_two_points():
    mask = ALL.clone()
    mask[0, 2:] = False
    assert metrics.p_mpjpe(TRUTH, TRUTH, mask).count == 16


def test_n_mpjpe_removes_scale_about_the_centroid():
    centroid = TRUTH.mean(1, keepdim=True)
    assert metrics.n_mpjpe(centroid + 2 * (TRUTH - centroid), TRUTH, ALL).mean == pytest.approx(
        0, abs=1e-9
    )
    shift = torch.tensor([0.0, 0.3, 0.4])
    assert metrics.n_mpjpe(TRUTH + shift, TRUTH, ALL).mean == pytest.approx(0.5)


def test_velocity_stays_inside_examples():
    truth = torch.zeros(4, 1, 3)
    predicted = truth.clone()
    predicted[:, 0, 0] = torch.tensor([0.0, 1, 50, 52])
    found = metrics.mean_velocity_error(
        predicted, truth, torch.ones(4, 1, dtype=torch.bool), torch.tensor([0, 0, 2, 2]), 0.5
    )
    assert found == ErrorSum(6, 2)
