"""Gated temporal and cross-keypoint correction of the triangulation; small enough for a CPU.

Every frame of the window is triangulated robustly (done once by the data set). A bank of local
polynomial smoothers that leave the centre frame out gives candidates for it. A network sees how the
other frames scatter around their mean, in units of their standard deviation, exchanges that between
keypoints, and answers with the mixture of smoothers, a small correction, and how certain the result
is. So far the centre frame's measurement has not been used: this *blind* prediction can be scored
against it without a 3D label. The last step fuses the two by their information.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pose_obj_3d import geometry
from pose_obj_3d.exceptions import ConfigError
from pose_obj_3d.models.blocks import KeypointAttention, Normalised, Prediction, fuse
from pose_obj_3d.windows import Rig, Windows

# (first offset, last offset, degree) of a local polynomial fit; offsets are cut to the window.
SMOOTHERS = ((-99, 99, 0), (-2, 2, 0), (-1, 1, 0), (-99, 99, 1), (-99, 99, 2), (-2, 2, 2),
             (-99, -1, 0), (1, 99, 0), (-99, -1, 1), (1, 99, 1), (-1, -1, 0), (1, 1, 0))  # fmt: skip
_RIDGE = 1e-6  # a fit without enough frames for its degree falls back to a lower one
_PRIOR_INFO = 1.0  # [1/m^2] of a window without any other triangulated frame: know nothing
_MAX_CORRECTION = 4.0  # [standard deviations]
_MIN_LOG, _MAX_LOG = -3.0, 6.0  # range of the log scales of the uncertainty


@dataclass(frozen=True)
class ResidualConfig:
    """Size of the network.

    Attributes:
        num_keypoints: Number of different keypoints in the data.
        num_frames: Window length T, odd.
        width: Channels of a keypoint's token.
        num_layers: Attention layers across keypoints.
        num_heads: Attention heads.
        dropout: Rate inside the layers.
    """

    num_keypoints: int
    num_frames: int = 7
    width: int = 64
    num_layers: int = 2
    num_heads: int = 4
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.num_frames % 2 == 0 or not 1 <= self.num_frames <= 13:
            raise ConfigError(f"NETWORK.TEMPORAL_LENGTH must be odd, 1 to 13, got {self.num_frames}")


class Residual(Normalised):
    """(B, T, V, K, 2) tracks -> (B, K, 3) keypoints, with a blind prediction and its information."""

    smoothers: Tensor
    bits: Tensor

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        self.config = config
        T, width = config.num_frames, config.width
        self.register_buffer("smoothers", smoother_table(T))  # (2^T, H, T)
        self.register_buffer("bits", 2 ** torch.arange(T), persistent=False)
        self.identity = nn.Embedding(config.num_keypoints + 1, width)
        self.embed = nn.Linear(T * 3 + T + 4, width)
        self.mlp = nn.Sequential(nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        layers = [KeypointAttention(width, config.num_heads, config.dropout) for _ in range(config.num_layers)]
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(SMOOTHERS) + 3 + 1 + 3)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, windows: Windows, rig: Rig) -> Prediction:
        """Lift the centre frame of each window.

        Args:
            windows: B windows of T frames; measurements of weight 0 do not influence the result.
            rig: The cameras, float32.

        Returns:
            xyz (B, K, 3) [m], and the blind prediction.
        """
        c = windows.centre
        has_info = windows.info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0  # (B, T, K)
        is_used = (has_info & windows.is_distinct[..., None]).transpose(1, 2)  # (B, K, T)
        is_used = is_used & (torch.arange(is_used.shape[-1], device=is_used.device) != c)
        pattern = (is_used * self.bits).sum(-1)  # (B, K)
        bank = self.smoothers[pattern]  # (B, K, H, T)
        xyz = windows.xyz.transpose(1, 2)  # (B, K, T, 3)
        centre = xyz[:, :, c]
        reference = torch.where(is_used.any(-1, keepdim=True), (bank[:, :, :1] @ xyz).squeeze(2), centre)
        chol = self._whitener(windows.info.transpose(1, 2), is_used)  # (B, K, 3, 3)
        offset = (xyz - reference.unsqueeze(2)) * is_used.unsqueeze(-1)  # (B, K, T, 3)
        answer = self._answer(windows, offset @ chol, is_used, reference, chol)
        gates, delta, shrink, spread = torch.split(answer, [len(SMOOTHERS), 3, 1, 3], -1)
        coefficients = torch.einsum("bkh,bkht->bkt", gates.softmax(-1), bank)
        smooth = reference + torch.einsum("bkt,bkti->bki", coefficients, offset)
        delta = _MAX_CORRECTION * torch.tanh(delta / _MAX_CORRECTION)
        unwhiten = geometry.invert_3x3(chol)  # chol.T maps metres to standard deviations
        blind = smooth + (delta.unsqueeze(-2) @ unwhiten).squeeze(-2)
        variance = coefficients.square().sum(-1, keepdim=True) * shrink.clamp(_MIN_LOG, _MAX_LOG).exp()
        variance = variance + (2 * (spread - 1)).clamp(2 * _MIN_LOG, 2 * _MAX_LOG).exp()
        info = (chol / variance.unsqueeze(-2)) @ chol.transpose(-1, -2)
        know_nothing = ~is_used.any(-1)[..., None]
        blind = torch.where(know_nothing, reference, blind)
        info = torch.where(know_nothing[..., None], _PRIOR_INFO * torch.eye(3, device=info.device), info)
        fused, fused_info = fuse(blind, info, windows.uv[:, c], windows.robust[:, c], rig)
        return Prediction(fused, blind, info, fused_info)

    def _whitener(self, info: Tensor, is_used: Tensor) -> Tensor:
        """Return the Cholesky factor (B, K, 3, 3) of the other frames' mean information [1/m]."""
        count = is_used.sum(-1).clamp_min(1)[..., None, None]
        mean = (info * is_used[..., None, None]).sum(2) / count
        eye = torch.eye(3, device=info.device)
        return cholesky_3x3(mean + eye * (1e-3 * mean.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] + 1.0))

    def _answer(self, windows: Windows, offset: Tensor, is_used: Tensor, reference: Tensor, chol: Tensor) -> Tensor:
        """Run the network on what is known without the centre frame: (B, K, outputs)."""
        position = (reference - self.position_mean) / self.position_scale
        strength = chol.diagonal(dim1=-2, dim2=-1).log().mean(-1, keepdim=True) - 6.0  # about 0 at 2 mm
        features = torch.cat([torch.asinh(offset).flatten(2), is_used.float(), position, strength], -1)
        x = self.embed(features) + self.identity(windows.keypoint + 1)
        x = x + self.mlp(x)
        is_real = windows.keypoint >= 0
        for layer in self.layers:
            x = layer(x, is_real)
        answer: Tensor = self.head(self.norm(x))
        return answer


def cholesky_3x3(m: Tensor) -> Tensor:
    """Factor (*, 3, 3) = L L^T in closed form; LAPACK's batch is 10 times slower at this size."""
    a = m[..., 0, 0].sqrt()
    b, c = m[..., 1, 0] / a, m[..., 2, 0] / a
    d = (m[..., 1, 1] - b * b).sqrt()
    e = (m[..., 2, 1] - b * c) / d
    f = (m[..., 2, 2] - c * c - e * e).sqrt()
    zero = torch.zeros_like(a)
    return torch.stack([a, zero, zero, b, d, zero, c, e, f], -1).reshape(m.shape)


def smoother_table(num_frames: int) -> Tensor:
    """Tabulate the smoothers for every pattern of usable frames.

    Args:
        num_frames: T, odd.

    Returns:
        (2^T, H, T): coefficients over frames, summing to 1, for the bit pattern of usable frames; a
        smoother without frames of its own uses all, and a pattern without frames is 0.
    """
    half = num_frames // 2
    t = torch.arange(-half, half + 1, dtype=torch.float64)
    patterns = (torch.arange(2**num_frames)[:, None] >> torch.arange(num_frames)) & 1  # (2^T, T)
    table = []
    for low, high, degree in SMOOTHERS:
        inside = ((t >= low) & (t <= high)).double()
        w = patterns * inside
        w = torch.where(w.sum(-1, keepdim=True) > 0, w, patterns.double())
        # The scaled powers keep the ridge small against the fit when there are frames enough.
        phi = torch.stack([(t / max(half, 1)) ** d for d in range(degree + 1)], -1)  # (T, degree + 1)
        weighted = phi.T * w[:, None]  # (2^T, degree + 1, T)
        ridge = torch.eye(degree + 1, dtype=torch.float64) * _RIDGE
        ridge[0, 0] = 1e-12
        table.append(torch.linalg.solve(weighted @ phi + ridge, weighted)[:, 0])
    return torch.stack(table, 1).float()
