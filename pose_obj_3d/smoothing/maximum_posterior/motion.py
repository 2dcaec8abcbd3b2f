"""How a keypoint moves: steps and bends with heavy tails, so that things rest, or move on.

The energy (negative log probability) of a track x_1 .. x_T is

    sum_t |x_{t+1} - x_t| / step  +  sum_t |x_{t+1} - 2 x_t + x_{t-1}| / bend  +  rests

The first two are Laplace distributions of steps and of bends (second differences). `rests` is a
further attraction of steps to exactly 0 that does not act on larger ones: its slope is 1 / reach at
0, and falls as 1 / (1 + (d / reach)^2). A scale that is infinite switches its term off.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pose_obj_3d.smoothing.maximum_posterior import block_tridiagonal

# In units of a frame's standard deviation.
EPSILON = 0.005  # a smaller step or bend is as good as none
REST_REACH = 0.2  # a larger step is not pulled to 0 as rest
REST_SCALE = 0.06
SOFTENING = 0.5  # by coverage on simulated tracks; along one of three directions nothing bends


@dataclass(frozen=True)
class MotionScale:
    """How each of B tracks moves, in units of a frame's standard deviation.

    Attributes:
        step: (B,) scale of steps; infinite = steps are free.
        bend: (B,) scale of bends; infinite = bends are free.
        rests: (B,) 1 where steps are also attracted to 0; else 0.
    """

    step: Tensor
    bend: Tensor
    rests: Tensor


@dataclass(frozen=True)
class Coupling:
    """What a motion says as a quadratic form: weights of squared steps and bends.

    Attributes:
        steps: (T - 1, B) [1/m^2].
        bends: (T - 2, B) [1/m^2].
    """

    steps: Tensor
    bends: Tensor


def coupling(
    x: Tensor, scale: MotionScale, is_there: Tensor, unit: float, strength: float = 1.0
) -> Coupling:
    """Find the quadratic form that touches the energy at a track.

    It lies above the energy everywhere else, so minimising it lowers the energy (Hunter and Lange,
    The American Statistician 58, 2004).

    Args:
        x: (3, T, B) tracks [m].
        scale: How they move.
        is_there: (T, B) False for frames beyond the end of a track.
        unit: Standard deviation of a frame [m].
        strength: Factor on all but the attraction to rest. The form bends more than the energy,
            which is straight along each step and each bend: with 1, tracks look more certain than
            they are; `SOFTENING` says how uncertain they are.
    """
    there = is_there.to(x)
    steps = (x[:, 1:] - x[:, :-1]).square().sum(0)
    bends = (x[:, 2:] - 2 * x[:, 1:-1] + x[:, :-2]).square().sum(0)
    least = (EPSILON * unit) ** 2
    length = (steps + least).sqrt()
    pull = strength / (scale.step * unit) + scale.rests / (
        REST_SCALE * unit * (1 + steps / (REST_REACH * unit) ** 2)
    )
    return Coupling(
        pull / length * there[1:] * there[:-1],
        strength / (scale.bend * unit * (bends + least).sqrt()) * there[2:] * there[:-2],
    )


def posterior(info: Tensor, moment: Tensor, motion: Coupling) -> tuple[Tensor, Tensor]:
    """Combine what the frames say with what the motion says.

    Args:
        info: (3, 3, T, B) information of each frame [1/m^2], not singular.
        moment: (3, T, B) information times position.
        motion: The motion as a quadratic form.

    Returns:
        Means (3, T, B) [m] and covariances (3, 3, T, B) [m^2].
    """
    T, B = info.shape[2:]
    eye = torch.eye(3).to(info)[:, :, None, None]
    if not bool((motion.bends > 0).any()):
        mean, covariance, _ = block_tridiagonal.solve(
            info + eye * _first_band(motion, T), -eye * motion.steps, moment
        )
        return mean, covariance
    # Bends couple a frame to the second next; in blocks of two frames that is the next block.
    pairs = (T + 1) // 2
    one, two = info.new_zeros(2 * pairs, B), info.new_zeros(2 * pairs, B)
    one[: T - 1] = -motion.steps
    one[: T - 2] -= 2 * motion.bends
    one[1 : T - 1] -= 2 * motion.bends
    two[: T - 2] = motion.bends
    own = info.new_zeros(3, 3, 2 * pairs, B)
    own[:, :, :T] = info + eye * _first_band(motion, T)
    own[:, :, T:] = eye
    right = info.new_zeros(3, 2 * pairs, B)
    right[:, :T] = moment
    diagonal, above = info.new_zeros(6, 6, pairs, B), info.new_zeros(6, 6, pairs - 1, B)
    diagonal[:3, :3], diagonal[3:, 3:] = own[:, :, 0::2], own[:, :, 1::2]
    diagonal[:3, 3:] = diagonal[3:, :3] = eye * one[0::2]
    above[:3, :3], above[3:, 3:] = eye * two[0:-2:2], eye * two[1:-2:2]
    above[3:, :3] = eye * one[1:-2:2]
    mean, covariance, _ = block_tridiagonal.solve(
        diagonal, above, torch.cat([right[:, 0::2], right[:, 1::2]])
    )
    return (
        torch.stack([mean[:3], mean[3:]], 2).flatten(1, 2)[:, :T],
        torch.stack([covariance[:3, :3], covariance[3:, 3:]], 3).flatten(2, 3)[:, :, :T],
    )


def _first_band(motion: Coupling, num_frames: int) -> Tensor:
    """Return the diagonal (T, B) of the motion's quadratic form."""
    diagonal = motion.steps.new_zeros(num_frames, motion.steps.shape[1])
    diagonal[:-1] += motion.steps
    diagonal[1:] += motion.steps
    diagonal[:-2] += motion.bends
    diagonal[1:-1] += 4 * motion.bends
    diagonal[2:] += motion.bends
    return diagonal
