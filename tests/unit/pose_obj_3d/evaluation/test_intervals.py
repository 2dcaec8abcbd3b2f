"""Bootstrap intervals against what is known of their distribution."""

import math

import pytest
import torch

from pose_obj_3d.evaluation import intervals
from pose_obj_3d.evaluation.intervals import ExampleSums


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def sums(means, count=1.0):
    return ExampleSums(
        means.double() * count, torch.full((len(means),), float(count), dtype=torch.float64)
    )


def test_sums_by_example_add_up_to_the_mean():
    values = torch.rand(7, 3, generator=generator())
    mask = torch.rand(7, 3, generator=generator(1)) > 0.3
    first = torch.tensor([0, 0, 0, 3, 3, 5, 5])
    found = intervals.sum_by_example(values, mask, first)
    assert found.total.shape == (3,)
    assert found.mean == pytest.approx(float(values[mask].mean()))
    assert found.total[1] == pytest.approx(float(values[3:5][mask[3:5]].sum()))
    assert found.count.tolist() == [float(mask[a:b].sum()) for a, b in ((0, 3), (3, 5), (5, 7))]


def test_what_does_not_count_may_be_anything():
    values = torch.tensor([[1.0, math.nan], [3.0, math.inf]])
    found = intervals.sum_by_example(
        values, torch.tensor([[True, False]] * 2), torch.tensor([0, 0])
    )
    assert found.mean == 2


def test_draws_keep_the_size_of_each_task_and_repeat_with_the_seed():
    draws = intervals.resample([4, 9], 50, generator())
    assert (draws[:, :4].sum(1) == 4).all()
    assert (draws[:, 4:].sum(1) == 9).all()
    assert torch.equal(draws, intervals.resample([4, 9], 50, generator()))
    assert not torch.equal(draws, intervals.resample([4, 9], 50, generator(1)))


def test_the_interval_of_a_mean_has_the_known_width():
    E = 400
    values = sums(5 + 2 * torch.randn(E, generator=generator()))
    found = intervals.mean_interval(values, intervals.resample([E], 4000, generator(1)))
    half = 1.96 * float(values.total.std()) / math.sqrt(E)
    assert found.value == pytest.approx(values.mean)
    assert found.high - found.value == pytest.approx(half, rel=0.1)
    assert found.value - found.low == pytest.approx(half, rel=0.1)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    draws = intervals.resample([60], 400, generator())
    trials = [sums(1 + torch.randn(60, generator=generator(seed)), count=7) for seed in range(400)]
    found = [intervals.mean_interval(x, draws) for x in trials]
    assert 0.90 < sum(i.low <= 1 <= i.high for i in found) / len(found) < 0.98


def test_pairing_narrows_a_ratio():
    hardness = 2 + torch.rand(60, generator=generator()) * 4
    a, b = (
        sums(hardness * s + 0.1 * torch.randn(60, generator=generator(n)))
        for s, n in ((0.5, 1), (1.0, 2))
    )
    draws, other = (intervals.resample([60], 2000, generator(n)) for n in (3, 4))
    paired, unpaired = (
        intervals.ratio_interval(a, b, draws),
        intervals.ratio_interval(a, b, draws, other),
    )
    assert paired.value == unpaired.value == pytest.approx(0.5, abs=0.02)
    assert paired.low < 0.5 < paired.high
    assert paired.high - paired.low < 0.2 * (unpaired.high - unpaired.low)


def test_a_product_of_powers():
    a, b = sums(torch.tensor([2.0, 2, 2])), sums(torch.tensor([4.0, 4, 4]))
    draws = intervals.resample([3], 10, generator())
    found = intervals.product_interval([(a, 1), (b, -2)], [draws, draws])
    assert (found.value, found.low, found.high) == pytest.approx((1 / 8, 1 / 8, 1 / 8))


def test_nothing_to_average_is_nan():
    empty = ExampleSums(torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    found = intervals.mean_interval(empty, intervals.resample([3], 10, generator()))
    assert math.isnan(found.value)
    assert math.isnan(found.low)
