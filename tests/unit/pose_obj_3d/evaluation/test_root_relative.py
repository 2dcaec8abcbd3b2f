"""Root-relative errors."""

import pytest
import torch

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.evaluation.root_relative import root_mpjpe, root_places

IDS = ["T0/body/hip", "T0/body/head", "T1/body/head", "T1/body/hip"]


def test_a_shift_of_the_whole_body_is_no_error():
    torch.manual_seed(0)
    truth = torch.randn(4, 3, 3)
    predicted = truth + torch.randn(4, 1, 3)
    mask = torch.ones(4, 3, dtype=torch.bool)
    assert root_mpjpe(predicted, truth, mask, torch.zeros(4, dtype=torch.long)).mean < 1e-6
    predicted[:, 2] += torch.tensor([3.0, 0, 0])
    found = root_mpjpe(predicted, truth, mask, torch.ones(4, dtype=torch.long))
    assert found.mean == pytest.approx(1.0, abs=1e-5)  # one of three keypoints is 3 m off
    assert found.count == 12


def test_frames_whose_root_does_not_count_are_left_out():
    truth = torch.zeros(3, 2, 3)
    mask = torch.tensor([[True, True], [False, True], [True, True]])
    found = root_mpjpe(truth + 1, truth, mask, torch.tensor([0, 0, -1]))
    assert found.count == 2


def test_the_root_is_found_by_name_in_each_task():
    keypoint = torch.tensor([[0, 1], [2, 3], [2, -1]])
    assert root_places(keypoint, IDS, "hip").tolist() == [0, 1, -1]
    assert root_places(keypoint, IDS, "body/head").tolist() == [1, 0, 0]
    assert root_places(keypoint, IDS, "").tolist() == [0, 0, 0]
    with pytest.raises(ConfigError, match=r"TEST\.ROOT.*did you mean body/hip"):
        root_places(keypoint, IDS, "body/hips")
