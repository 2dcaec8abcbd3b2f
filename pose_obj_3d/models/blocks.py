"""What models share: their result, small layers, the fusion with a frame's own measurement."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.gathering import gather_windows
from pose_obj_3d.tracks.types import Tracks, Windows

FUSION_GATE = 3.0  # innovation, in its own standard deviations, beyond which a view loses weight


@dataclass(frozen=True)
class Prediction:
    """What a model says about the centre frames.

    Attributes:
        xyz: (B, K, 3) world [m].
        blind_xyz: (B, K, 3) prediction that has not seen the centre frame's own measurement [m], or
            None.
        blind_info: (B, K, 3, 3) information the model claims for it [1/m^2], or None.
        info: (B, K, 3, 3) information the model claims for `xyz` [1/m^2], or None.
        intermediate: What the stages of a model predicted on the way, first stage first: each (n,
            B, K, 3) [m].
    """

    xyz: Tensor
    blind_xyz: Tensor | None = None
    blind_info: Tensor | None = None
    info: Tensor | None = None
    intermediate: tuple[Tensor, ...] = ()


class Model(nn.Module):
    """What training and evaluation know of a model: (Windows, Rig) -> `Prediction`.

    Attributes:
        uses_bfloat16: Whether a model of large layers may train with bfloat16.
    """

    uses_bfloat16 = False

    def set_normalisation(self, xyz: Tensor) -> None:
        """Fit the scale of positions, if any, to triangulated (not true) points (n, 3) [m]."""

    def gather(
        self, tracks: Tracks, centres: Tensor, num_frames: int, used_frames: int | None = None
    ) -> Windows:
        """Cut the windows around some frames; arguments as in `gather_windows`."""
        return gather_windows(tracks, centres, num_frames, used_frames)

    @property
    def leaves_out_views(self) -> bool:
        """Whether views that had no part score its predictions. It is then good before training."""
        return False

    @property
    def tail(self) -> float:
        """How heavy the tails of its errors are, as of `Estimate`."""
        return 0.0

    def expect(self, names: Collection[str]) -> None:
        """Get the parts that weights of these names belong to."""

    def learn(self, tracks: Tracks, rig: Rig) -> None:
        """Learn from the training examples what gradient steps do not learn. Reads no truth.

        Args:
            tracks: The training examples.
            rig: The cameras, float64.
        """

    def for_training(self, tracks: Tracks, rig: Rig, blind: bool) -> Tracks:
        """Prepare training or validation examples.

        Args:
            tracks: The examples.
            rig: The cameras, float64.
            blind: What scores a prediction must have had no part in it.
        """
        return tracks

    def take_part(self, rows: slice, total: int) -> None:
        """Learn which windows of a batch of so many come next, before each training step.

        A model that draws numbers for windows draws those of the whole batch, so that it trains
        alike with any number of processes.
        """

    def remember(self, tracks: Tracks, limit: int) -> Tracks:
        """Work out once what is the same for a window in every epoch, whatever the weights.

        Args:
            tracks: Training or validation examples, prepared by `for_training`.
            limit: Bytes that may be kept; where they do not suffice, nothing is.
        """
        return tracks

    def prepare(self, tracks: Tracks, rig: Rig, used_frames: int | None = None) -> Tracks:
        """Prepare tracks to be lifted, where they need not stay blind.

        Not for training: there a frame's measurement scores what was predicted without it.

        Args:
            tracks: The data.
            rig: The cameras, float64.
            used_frames: Odd; frames further from the centre of a window count as not there.
        """
        return tracks

    def whole_tracks(self, tracks: Tracks, rig: Rig) -> Estimate | None:
        """Estimate all frames at once (N, K, 3); None for a model that looks at windows."""
        return None

    def calibrate(self, parts: Sequence[Tracks], rig: Rig, batch_size: int) -> None:
        """Fit the model's claims of certainty, if any, to measurements (never to truth)."""


class Normalised(Model):
    """A model with a scale of positions.

    Attributes:
        position_mean: (3,) [m].
        position_scale: (3,) standard deviation [m].
    """

    position_mean: Tensor
    position_scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("position_mean", torch.zeros(3))
        self.register_buffer("position_scale", torch.ones(3))

    def set_normalisation(self, xyz: Tensor) -> None:
        """Fit the scale of positions to triangulated (not true) points (n, 3) [m]."""
        self.position_mean.copy_(xyz.mean(0))
        self.position_scale.copy_(xyz.std(0).clamp_min(0.01) if len(xyz) > 1 else torch.ones(3))


class _Asinh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        size = x.abs().clamp_(max=1e18)  # whose square float32 still holds
        square = size.square()
        return square.div_((square + 1).sqrt_().add_(1)).add_(size).log1p_().copysign_(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        found: Tensor = grad * (x.square() + 1).rsqrt()
        return found


def asinh(x: Tensor) -> Tensor:
    """Compute torch.asinh up to 1e18; 2.5 times faster than torch on a CPU."""
    found: Tensor = _Asinh.apply(x)  # type: ignore[no-untyped-call]
    return found


def fuse(
    xyz_world: Tensor, info: Tensor, uv: Tensor, weights: Tensor, rig: Rig
) -> tuple[Tensor, Tensor]:
    """Update a prediction with the frame's own measurement (one extended Kalman step, robust).

    Args:
        xyz_world: (B, K, 3) prediction [m].
        info: (B, K, 3, 3) its information [1/m^2].
        uv: (B, V, K, 2) measured [px].
        weights: (B, V, K), 0 = unused.
        rig: The cameras, float32.

    Returns:
        (B, K, 3) [m] and its information (B, K, 3, 3). Any number of views works, none included.
    """
    predicted, J = geometry.projection_jacobian(
        xyz_world, rig.intrinsics, rig.extrinsics
    )  # (B, K, V, 2, 3)
    r = uv.transpose(1, 2) - predicted  # (B, K, V, 2)
    spread = torch.einsum("bkvri,bkij,bkvrj->bkv", J, geometry.invert_3x3(info), J) / 2
    gate = geometry.huber_weights(r / (rig.sigma_px**2 + spread).sqrt().unsqueeze(-1), FUSION_GATE)
    w = (
        weights.transpose(1, 2)
        * gate
        * geometry.is_in_front(xyz_world, rig.extrinsics)
        / rig.sigma_px**2
    )
    JtW = J * w[..., None, None]
    total = info + torch.einsum("bkvri,bkvrj->bkij", JtW, J)
    moment = torch.einsum("bkvri,bkvr->bki", JtW, r)
    return xyz_world + (geometry.invert_3x3(total) @ moment.unsqueeze(-1)).squeeze(-1), total
