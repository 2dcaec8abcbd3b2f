"""Linear filters of a measured sequence, from which a model chooses. Owns which there are.

A filter estimates the centre frame from the frames around it by fixed weights (its kernel). Every
filter comes *full*, and *blind*: without the centre frame. Polynomial filters work in a window, for
any pattern of measured frames. Smoothers reach over the whole example; their process noise is given
as a tracking index (Kalata 1984): process noise a frame over the standard deviation of one
measurement, so that a smoother has one kernel whatever the units, the frame rate and the noise.
"""

import torch
from torch import Tensor

from pose_obj_3d.smoothing.kalman import smooth

# (first offset, last offset, degree) of a local polynomial fit; offsets are cut to the window.
CENTRE = (0, 0, 0)
SYMMETRIC = ((-99, 99, 0), (-2, 2, 0), (-1, 1, 0), (-99, 99, 1), (-99, 99, 2), (-2, 2, 2))
ONE_SIDED = ((-99, -1, 0), (1, 99, 0), (-99, -1, 1), (1, 99, 1), (-1, -1, 0), (1, 1, 0))
# (motion of `kalman.MOTIONS`, tracking index) of a smoother.
SMOOTHERS = (
    ("constant velocity", 10.0),
    ("constant velocity", 3.0),
    ("constant velocity", 1.0),
    ("constant velocity", 0.3),
    ("constant velocity", 0.1),
    ("constant acceleration", 1.0),
    ("constant position", 0.4),
)
KERNEL_REACH = 60  # [frames] to both sides; beyond it no smoother above has a weight of 1e-3
_RIDGE = 1e-6  # a fit without enough frames for its degree falls back to a lower one
Polynomials = tuple[tuple[int, int, int], ...]
Smoothers = tuple[tuple[str, float], ...]


def polynomial_table(polynomials: Polynomials, num_frames: int, blind: bool) -> Tensor:
    """Tabulate polynomial filters for every pattern of measured frames.

    Args:
        polynomials: H filters (first offset, last offset, degree).
        num_frames: T, odd.
        blind: Leave the centre frame out.

    Returns:
        (2^T, H, T): weights of the frames, summing to 1, for the bit pattern of measured frames. A
        filter none of whose frames is measured uses the centre's neighbours, else all; without any
        frame it is 0.
    """
    half = num_frames // 2
    t = torch.arange(-half, half + 1, dtype=torch.float64)
    patterns = (
        (torch.arange(2**num_frames)[:, None] >> torch.arange(num_frames)) & 1
    ).double()  # (2^T, T)
    if blind:
        patterns = patterns * (t != 0)
    table = []
    for low, high, degree in polynomials:
        w = patterns * ((t >= low) & (t <= high))
        for wider in (t.abs() <= 1, t.abs() <= half):
            w = torch.where(w.sum(-1, keepdim=True) > 0, w, patterns * wider)
        # The scaled powers keep the ridge small against the fit when there are frames enough.
        phi = torch.stack(
            [(t / max(half, 1)) ** d for d in range(degree + 1)], -1
        )  # (T, degree + 1)
        weighted = phi.T * w[:, None]  # (2^T, degree + 1, T)
        ridge = torch.eye(degree + 1, dtype=torch.float64) * _RIDGE
        ridge[0, 0] = 1e-12
        table.append(torch.linalg.solve(weighted @ phi + ridge, weighted)[:, 0])
    return torch.stack(table, 1).float()


def smoother_kernels(smoothers: Smoothers, blind: bool) -> Tensor:
    """Return the weights (H, 2 KERNEL_REACH + 1) of the frames far from the ends of an example.

    A smoother far from the ends is symmetric in time, so its answer to an impulse is its kernel.
    """
    length = 2 * KERNEL_REACH + 1
    impulse = torch.zeros(length, 1, 3, dtype=torch.float64)
    impulse[KERNEL_REACH] = 1.0
    info = torch.eye(3, dtype=torch.float64).expand(length, 1, 3, 3)
    answers = [
        smooth(impulse, info, motion, index, 1.0, blind).xyz[:, 0, 0] for motion, index in smoothers
    ]
    return torch.stack(answers) if answers else torch.zeros(0, length, dtype=torch.float64)


def polynomial_kernels(polynomials: Polynomials, num_frames: int, blind: bool) -> Tensor:
    """Return the weights (H, 2 KERNEL_REACH + 1) where every frame of the window is measured."""
    every = polynomial_table(polynomials, num_frames, blind)[-1].double()
    margin = KERNEL_REACH - num_frames // 2
    return torch.nn.functional.pad(every, (margin, margin))
