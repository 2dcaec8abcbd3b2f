import pytest
import torch

from pose_obj_3d.detector.learning.peaks import cells_at, find_peaks, soft_argmax, window


def bump(centres, size=16, height=4.0):
    """Heatmap (1, 1, size, size) with a bump at each (u, v) in cells, the first one highest."""
    at = torch.arange(size) + 0.5
    maps = [
        (height - n) * torch.exp(-0.5 * ((at[None] - u) ** 2 + (at[:, None] - v) ** 2))
        for n, (u, v) in enumerate(centres)
    ]
    return torch.stack(maps).sum(0)[None, None]


def test_peaks_come_highest_first():
    cells = find_peaks(bump([(4.5, 3.5), (11.5, 12.5)]), 2)
    assert cells[0, 0].tolist() == [3 * 16 + 4, 12 * 16 + 11]


@pytest.mark.parametrize("centre", [(5.5, 5.5), (5.8, 5.3), (8.2, 9.9)])
def test_point_is_finer_than_a_cell(centre):
    heat = (bump([centre]) / 4 + 1e-6).log()
    uv, _ = soft_argmax(window(heat, find_peaks(heat, 1), 2), 4)
    assert (uv[0, 0, 0] / 4 - torch.tensor(centre)).norm() < 0.12


def test_window_at_the_corner_stays_in_the_picture():
    heat = 5 * bump([(0.4, 15.7)])
    uv, entropy = soft_argmax(window(heat, find_peaks(heat, 1), 2), 4)
    assert 0 <= uv[0, 0, 0, 0] <= 4
    assert 60 <= uv[0, 0, 0, 1] <= 64
    assert torch.isfinite(entropy).all()


def test_points_outside_belong_to_the_nearest_cell():
    uv = torch.tensor([[-5.0, 2.0], [9.0, 70.0], [7.9, 4.0]])
    assert cells_at(uv, 4, (16, 16)).tolist() == [0, 15 * 16 + 2, 16 + 1]
