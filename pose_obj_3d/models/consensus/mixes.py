"""Mixes of filters as they are before training."""

import torch
from torch import Tensor

# Before training, from long to short, in standard deviations of a frame.
NOISE_OF_MIXES = (0.35, 0.6, 0.75, 0.9)


def mixes_before_training(kernels: Tensor, num_mixes: int) -> Tensor:
    """Return logits (M, H + 1) that prefer filters with the noise that each mix wants."""
    noise = kernels.square().sum(-1).sqrt()
    centre = kernels.shape[1] // 2
    is_one_sided = (kernels[:, :centre].abs().sum(-1) < 1e-6) != (
        kernels[:, centre + 1 :].abs().sum(-1) < 1e-6
    )
    wanted = torch.linspace(0, len(NOISE_OF_MIXES) - 1, num_mixes).round().long()
    targets = torch.tensor(NOISE_OF_MIXES, dtype=noise.dtype)[wanted]
    logits = -3 * (noise.log() - targets.log()[:, None]).abs() - 2.0 * is_one_sided
    of_mean = torch.full_like(targets, -4.0).index_fill(0, torch.tensor([0]), 0.0)
    return torch.cat([logits, of_mean[:, None]], 1).float()
