"""Confidence intervals of mean errors: a bootstrap over examples. Pure tensor mathematics.

Errors of one example's frames and keypoints depend on each other, so examples are what is drawn
anew, with all that belongs to them (Efron, Tibshirani, An Introduction to the Bootstrap, 8 and
13.3). Two methods are compared on the same draws (*paired*): what makes an example hard for both
cancels in their ratio.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pose_obj_3d.geometry.multi_view import check_shape

LEVEL = 0.95


@dataclass(frozen=True)
class ExampleSums:
    """Errors summed by example.

    Attributes:
        total: (E,) sums of errors, float64.
        count: (E,) how many were summed, float64.
    """

    total: Tensor
    count: Tensor

    @property
    def mean(self) -> float:
        """Mean over all examples, NaN without terms."""
        return float(self.total.sum() / self.count.sum())

    def __add__(self, other: "ExampleSums") -> "ExampleSums":
        """Join examples: those of another task, say."""
        return ExampleSums(
            torch.cat([self.total, other.total]), torch.cat([self.count, other.count])
        )


@dataclass(frozen=True)
class Interval:
    """A value with its confidence interval.

    Attributes:
        value: Of the data.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def sum_by_example(values: Tensor, mask: Tensor, first: Tensor) -> ExampleSums:
    """Sum values by example.

    Args:
        values: (N, K).
        mask: (N, K) bool, the values that count.
        first: (N,) first frame of each frame's example.

    Returns:
        Examples in the order of their frames.
    """
    check_shape(values, "N K", "values")
    check_shape(mask, "N K", "mask")
    starts, number = first.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    nothing = torch.zeros(len(starts), dtype=torch.float64, device=values.device)
    kept = torch.where(mask, values.double(), 0.0).sum(-1)
    return ExampleSums(
        nothing.index_add(0, number, kept), nothing.index_add(0, number, mask.double().sum(-1))
    )


def resample(strata: Sequence[int], resamples: int, generator: torch.Generator) -> Tensor:
    """Draw examples with replacement, as many as there are.

    Args:
        strata: Number of examples of each task: every task keeps its number.
        resamples: How often.
        generator: Decides the draws.

    Returns:
        (resamples, E) how often each example was drawn, float64.
    """
    parts = []
    for size in strata:
        drawn = torch.randint(size, (resamples, size), generator=generator)
        times = torch.zeros(resamples, size, dtype=torch.float64)
        parts.append(times.scatter_add(1, drawn, torch.ones(resamples, size, dtype=torch.float64)))
    return torch.cat(parts, 1)


def mean_interval(sums: ExampleSums, draws: Tensor) -> Interval:
    """Give the mean error and its 95 % confidence interval; `draws` (R, E) is from `resample`."""
    return _interval(sums.mean, _means(sums, draws))


def ratio_interval(
    a: ExampleSums, b: ExampleSums, draws: Tensor, draws_b: Tensor | None = None
) -> Interval:
    """Give the mean of `a` over that of `b` with its 95 % confidence interval.

    Args:
        a: Errors of one method, or bound.
        b: Errors of another on the same examples.
        draws: (R, E) from `resample`.
        draws_b: Draws of their own for `b`, when its examples are others; paired otherwise.
    """
    ratios = _means(a, draws) / _means(b, draws if draws_b is None else draws_b)
    return _interval(a.mean / b.mean, ratios)


def product_interval(
    factors: Sequence[tuple[ExampleSums, int]], draws: Sequence[Tensor]
) -> Interval:
    """Give a product of powers of mean errors with its 95 % confidence interval.

    Args:
        factors: (sums, exponent) each.
        draws: (R, E) from `resample` for each factor; factors with the same draws are paired.
    """
    value, drawn = 1.0, torch.ones(len(draws[0]), dtype=torch.float64)
    for (sums, exponent), times in zip(factors, draws, strict=True):
        value = value * sums.mean**exponent
        drawn = drawn * _means(sums, times) ** exponent
    return _interval(value, drawn)


def _means(sums: ExampleSums, draws: Tensor) -> Tensor:
    """Return the mean of every resample (R,)."""
    means: Tensor = (draws @ sums.total) / (draws @ sums.count)
    return means


def _interval(value: float, drawn: Tensor) -> Interval:
    """Take the percentiles of the draws; those without any term are left out."""
    drawn = drawn[drawn.isfinite()]
    if len(drawn) == 0:
        return Interval(value, float("nan"), float("nan"))
    ends = torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=torch.float64)
    low, high = drawn.quantile(ends).tolist()
    return Interval(value, low, high)
