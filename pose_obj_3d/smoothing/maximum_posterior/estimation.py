"""The estimate itself: reweighting, from many tracks at once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pose_obj_3d.smoothing.maximum_posterior import detections as likelihood
from pose_obj_3d.smoothing.maximum_posterior import motion
from pose_obj_3d.smoothing.maximum_posterior.detections import Detections
from pose_obj_3d.smoothing.maximum_posterior.motion import MotionScale

ITERATIONS = 15
# The claimed deviations are widened at first, and less in each step: the track finds the valley
# that most detections agree on before gross errors are told from sound ones.
WIDENING, NARROWING = 5.0, 0.6
MAX_STEP = 0.3  # of a point in one iteration, in distances to the nearest camera
PRIOR = 10.0  # standard deviation of a point before anything is known, in those distances


@dataclass(frozen=True)
class Problem:
    """B tracks of T frames to estimate.

    Attributes:
        found: Their detections.
        start: (3, T, B) where to begin [m].
        is_there: (T, B) False for frames beyond the end of a track.
        inflation: (B,) frames that tell as much as one frame alone would: 1 if errors are
            independent, more if they last.
        unit: Typical standard deviation of a frame [m].
        reach: Typical distance from points to cameras [m].
    """

    found: Detections
    start: Tensor
    is_there: Tensor
    inflation: Tensor
    unit: float
    reach: float


@dataclass(frozen=True)
class Posterior:
    """What is known of the tracks.

    Attributes:
        x: (3, T, B) [m].
        covariance: (3, 3, T, B) [m^2], as if only every `inflation`-th frame counted.
        frame_info: (3, 3, T, B) information of each frame's own detections [1/m^2], not divided.
        weight: (V, T, B) weight of each detection, in claimed precisions.
        sound: (V, T, B) probability that it is no gross error.
        ladder: (L, V, T, B) probabilities of its scales, if it is sound.
    """

    x: Tensor
    covariance: Tensor
    frame_info: Tensor
    weight: Tensor
    sound: Tensor
    ladder: Tensor


def estimate(
    problem: Problem,
    scale: MotionScale,
    iterations: int = ITERATIONS,
    widening: float = WIDENING,
    known: Tensor | None = None,
) -> Posterior:
    """Find the most probable tracks.

    Each iteration replaces likelihood and motion by quadratic forms that touch them at the present
    track (expectation maximisation over the mixture; majorisation of the motion), and solves a
    block tridiagonal system.

    Args:
        problem: The tracks.
        scale: How they move.
        iterations: Number of reweightings.
        widening: Factor on the claimed deviations at first.
        known: (3, 3, T, B) covariance at the start, if the start is an estimate.
    """
    found, x, covariance = problem.found, problem.start, known
    there = problem.is_there.to(x)
    centre = (x * there).sum(1, keepdim=True) / there.sum(0).clamp_min(1)
    little = torch.eye(3).to(x)[:, :, None, None] / (PRIOR * problem.reach) ** 2
    furthest = MAX_STEP * problem.reach
    for iteration in range(iterations):
        sight = likelihood.look(found, x, covariance)
        verdict = likelihood.judge(found, sight.square, max(1.0, widening * NARROWING**iteration))
        frame_info, moment = likelihood.information(sight, verdict.weight)
        info = frame_info / problem.inflation
        moment = moment / problem.inflation + _apply(info, x - centre)
        form = motion.coupling(x, scale, problem.is_there, problem.unit)
        better, covariance = motion.posterior(info + little, moment, form)
        step = better + centre - x
        length = step.square().sum(0).sqrt().clamp_min(furthest)
        x = x + step * (furthest / length)
    softer = motion.coupling(x, scale, problem.is_there, problem.unit, motion.SOFTENING)
    _, covariance = motion.posterior(info + little, moment, softer)
    return Posterior(x, covariance, frame_info, verdict.weight, verdict.sound, verdict.ladder)


def _apply(matrix: Tensor, x: Tensor) -> Tensor:
    """Multiply (3, 3, T, B) and (3, T, B)."""
    return (matrix * x).sum(1)
