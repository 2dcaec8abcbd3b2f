"""Spatio-temporal consensus: what a keypoint's other frames, and the other keypoints, say about it.

MODELS.md has the equations. Every frame is triangulated robustly, with its covariance, by the data set.
Stretches of frames around the centre ("bins") are averaged by their information. A network that sees
only quantities that no rotation or translation of the world changes says how to combine them: a bank of
local polynomial fits, and a mean of all bins that agree with each other. Then the other keypoints of
the centre frame correct the result by what the same prediction missed of them. So far the keypoint's
own measurement in the centre frame has not been used: this *blind* prediction can be scored against it
without a 3D label. The last step fuses the two.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from pose_obj_3d import geometry
from pose_obj_3d.exceptions import ConfigError
from pose_obj_3d.models.blocks import KeypointAttention, Model, Prediction, fuse
from pose_obj_3d.models.residual import SMOOTHERS, smoother_table
from pose_obj_3d.windows import Bins, Rig, Windows

CONTEXTS = ("window", "track")
FAR_EDGES = (4, 6, 9, 13, 19, 28, 41, 61)  # first offsets of the bins beyond the window, in track context
WHOLE = 1_000_000  # [frames] beyond every example
_GATE_START, _GATE_SLOPE = 4.0, 1.5  # a bin's gate before training: open, shut where it disagrees
_MAX_DISAGREEMENT = 1e3
_CORRECTION_GATE = 9.0  # squared innovation, per coordinate in variances, at which trust has halved
_NO_INFO = 1.0  # [1/m^2] of a keypoint that was measured nowhere: know nothing
_OUTPUTS = 4  # log scales of the covariance's parts


@dataclass(frozen=True)
class StcConfig:
    """Size of the network.

    Attributes:
        num_keypoints: Number of different keypoints in the data.
        num_frames: Window length T, odd; its frames are bins of their own.
        context: `window`: nothing else; `track`: the rest of the example in bins of growing length.
        width: Channels of a keypoint's token.
        num_layers: Attention layers across keypoints.
        num_heads: Attention heads.
        dropout: Rate inside the layers.
    """

    num_keypoints: int
    num_frames: int = 7
    context: str = "window"
    width: int = 64
    num_layers: int = 2
    num_heads: int = 4
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.num_frames % 2 == 0 or not 3 <= self.num_frames <= 13:
            raise ConfigError(f"NETWORK.TEMPORAL_LENGTH of STC must be odd, 3 to 13, got {self.num_frames}")
        if self.context not in CONTEXTS:
            raise ConfigError(f"NETWORK.STC.CONTEXT must be one of {', '.join(CONTEXTS)}, got {self.context!r}")

    def bin_ranges(self) -> list[tuple[int, int]]:
        """Give (first, last) offset of every bin, in time's order; the centre frame is in none."""
        half = self.num_frames // 2
        after = [(t, t) for t in range(1, half + 1)]
        if self.context == "track":
            edges = [half + 1, *(e for e in FAR_EDGES if e > half + 1), WHOLE + 1]
            after += [(a, b - 1) for a, b in pairwise(edges)]
        return [(-b, -a) for a, b in reversed(after)] + after


class Stc(Model):
    """(B, T, V, K, 2) tracks -> (B, K, 3) keypoints with covariance, blind prediction included."""

    smoothers: Tensor
    bits: Tensor
    upper: Tensor

    def __init__(self, config: StcConfig) -> None:
        super().__init__()
        self.config = config
        self.bin_ranges = config.bin_ranges()
        T, R, width = config.num_frames, len(self.bin_ranges), config.width
        pairs = torch.triu_indices(T - 1, T - 1)
        self.near = slice(R // 2 - T // 2, R // 2 + T // 2)  # bins of single frames
        self.register_buffer("smoothers", smoother_table(T))  # (2^T, H, T)
        self.register_buffer("bits", 2 ** torch.cat([torch.arange(T // 2), torch.arange(T // 2 + 1, T)]), persistent=False)
        self.register_buffer("upper", pairs, persistent=False)
        self.identity = nn.Embedding(config.num_keypoints + 1, width)
        self.embed = nn.Linear(pairs.shape[1] + 4 * R + 1, width)
        self.mlp = nn.Sequential(nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        layers = [KeypointAttention(width, config.num_heads, config.dropout) for _ in range(config.num_layers)]
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(SMOOTHERS) + 1 + R + _OUTPUTS)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width + 4, width)
        self.heads = nn.Parameter(torch.zeros(config.num_heads))
        self.rescale = nn.Sequential(nn.Linear(width + 3, width), nn.GELU(), nn.Linear(width, 1))
        for layer in (self.head, self.rescale[-1]):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, windows: Windows, rig: Rig) -> Prediction:
        """Lift the centre frame of each window.

        Args:
            windows: B windows with bins of `bin_ranges`; measurements of weight 0 do not influence the result.
            rig: The cameras, float32.

        Returns:
            xyz (B, K, 3) [m] with its information, and the blind prediction with its own.
        """
        assert windows.bins is not None
        c = windows.centre
        is_real = windows.keypoint >= 0
        context = _Context(windows.bins, windows.xyz[:, c], self.near)
        token = self._tokens(context, windows.keypoint, is_real)
        blind, cov = self._combine(context, token)
        blind, cov = self._correct(blind, cov, token, windows.xyz[:, c], windows.info[:, c], is_real)
        nothing = ~context.is_used.any(-1)[..., None]
        eye = torch.eye(3, device=cov.device)
        info = torch.where(nothing[..., None], _NO_INFO * eye, geometry.invert_3x3(cov))
        xyz, fused_info = fuse(blind, info, windows.uv[:, c], windows.robust[:, c], rig)
        return Prediction(xyz, blind, info, fused_info)

    def _tokens(self, x: "_Context", keypoint: Tensor, is_real: Tensor) -> Tensor:
        """Describe each keypoint by invariants and let the keypoints of a frame exchange them: (B, K, D)."""
        near = x.offset[:, :, self.near]
        gram = torch.einsum("bkri,bkij,bksj->bkrs", near, x.unit, near)[:, :, self.upper[0], self.upper[1]]
        own = torch.einsum("bkri,bkrij,bkrj->bkr", x.offset, x.info, x.offset)
        along = [torch.einsum("bkri,bkij,bkj->bkr", x.offset, x.unit, v) for v in (x.velocity, x.acceleration)]
        scale = x.unit.diagonal(dim1=-2, dim2=-1).mean(-1, keepdim=True).log() / 2 - 6.0  # about 0 at 2 mm
        squares = torch.cat([gram, own, *along], -1)
        features = torch.cat([torch.asinh(squares / 2), x.is_used.float(), scale], -1)
        token: Tensor = self.embed(features) + self.identity(keypoint + 1)
        token = token + self.mlp(token)
        for layer in self.layers:
            token = layer(token, is_real)
        normed: Tensor = self.norm(token)
        return normed

    def _combine(self, x: "_Context", token: Tensor) -> tuple[Tensor, Tensor]:
        """Predict from the bins: (B, K, 3) [m] and covariance (B, K, 3, 3) [m^2]."""
        R, H = len(self.bin_ranges), len(SMOOTHERS)
        choice, gate, scales = torch.split(self.head(token), [H + 1, R, _OUTPUTS], -1)
        share = choice.softmax(-1)
        pattern = (x.is_used[..., self.near] * self.bits).sum(-1)
        T = self.config.num_frames
        bank = self.smoothers[pattern][..., [t for t in range(T) if t != T // 2]]  # (B, K, H, T - 1)
        coefficients = torch.einsum("bkh,bkhr->bkr", share[..., :H], bank)
        local = torch.einsum("bkr,bkri->bki", coefficients, x.offset[:, :, self.near])
        trust = torch.sigmoid(gate + _GATE_START - _GATE_SLOPE * x.disagreement()) * x.is_used
        weighted = trust[..., None, None] * x.info
        spread = geometry.invert_3x3(weighted.sum(2) + torch.eye(3, device=token.device))
        moment = torch.einsum("bkrij,bkrj->bki", weighted, x.offset)
        mean = (spread @ moment.unsqueeze(-1)).squeeze(-1)
        unit = geometry.invert_3x3(x.unit)
        cov = coefficients.square().sum(-1)[..., None, None] * unit + share[..., H:, None] * spread
        cov = cov * scales[..., :1, None].clamp(-3, 6).exp()
        cov = cov + unit * (2 * (scales[..., 1:2, None] - 4.0)).clamp(-12, 8).exp()
        for i, (v, start) in enumerate(((x.velocity, 3.0), (x.acceleration, 4.0))):
            outer = v.unsqueeze(-1) * v.unsqueeze(-2)
            cov = cov + outer * (2 * (scales[..., 2 + i, None, None] - start)).clamp(-10, 4).exp()
        return x.reference + local + share[..., H:] * mean, cov

    def _correct(
        self, blind: Tensor, cov: Tensor, token: Tensor, measured: Tensor, info: Tensor, is_real: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Move each keypoint by what the prediction missed of the others in the centre frame.

        Args:
            blind: (B, K, 3) prediction [m].
            cov: (B, K, 3, 3) its covariance [m^2].
            token: (B, K, D).
            measured: (B, K, 3) triangulation of the centre frame [m].
            info: (B, K, 3, 3) its information [1/m^2]; 0 without a measurement.
            is_real: (B, K).

        Returns:
            The corrected prediction and covariance. A keypoint's own measurement has no part in its own.
        """
        B, K, D = token.shape
        eye = torch.eye(3, device=cov.device)
        is_measured = (info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0) & is_real
        noise = geometry.invert_3x3(info + eye)
        innovation = torch.where(is_measured[..., None], measured - blind, 0.0)
        square = (innovation.unsqueeze(-2) @ geometry.invert_3x3(cov + noise) @ innovation.unsqueeze(-1)).squeeze(-1) / 3
        square = square.clamp(0, 1e4)  # (B, K, 1)
        sizes = [_log_size(cov), _log_size(noise), square.log1p(), is_measured[..., None].float()]
        facts = torch.cat(sizes, -1).clamp(-6, 6)
        heads = len(self.heads)
        q = self.query(token).reshape(B, K, heads, -1).transpose(1, 2)
        k = self.key(torch.cat([token, facts], -1)).reshape(B, K, heads, -1).transpose(1, 2)
        weight = 2 * torch.tanh(q @ k.transpose(-1, -2) / (2 * math.sqrt(D // heads)))  # (B, heads, K, K)
        others = (1 - torch.eye(K, device=cov.device)) * is_measured[:, None]
        weight = torch.einsum("h,bhkj->bkj", self.heads, weight) * others
        blind = blind + weight @ (innovation / (1 + square / _CORRECTION_GATE))
        used = [weight.abs().sum(-1, keepdim=True), weight.square().sum(-1, keepdim=True), facts[..., :1]]
        factor = (2 * self.rescale(torch.cat([token, *used], -1))).clamp(-4, 4).exp()
        return blind, cov * factor.unsqueeze(-1)


class _Context:
    """Bins of every keypoint about a reference point, with the vectors that span its motion.

    Attributes:
        info: (B, K, R, 3, 3) [1/m^2].
        is_used: (B, K, R).
        reference: (B, K, 3) [m].
        offset: (B, K, R, 3) from the reference; 0 where unused [m].
        unit: (B, K, 3, 3) information of a typical single frame [1/m^2].
        velocity: (B, K, 3) half the difference of the mean after and before [m].
        acceleration: (B, K, 3) outermost against innermost frames [m].
    """

    def __init__(self, bins: Bins, fallback: Tensor, near: slice) -> None:
        xyz, self.info = bins.xyz.transpose(1, 2), bins.info.transpose(1, 2)
        self.is_used = self.info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0
        eye = torch.eye(3, device=xyz.device)
        self._near_count = self.is_used[..., near].sum(-1)
        total = self.info.sum(2)
        far = (geometry.invert_3x3(total + eye) @ (self.info @ xyz.unsqueeze(-1)).sum(2)).squeeze(-1)
        close = (xyz[:, :, near] * self.is_used[..., near, None]).sum(2) / self._near_count.clamp_min(1)[..., None]
        self.reference = torch.where((self._near_count > 0)[..., None], close, far)
        self.reference = torch.where(self.is_used.any(-1, keepdim=True), self.reference, fallback)
        self.offset = torch.where(self.is_used[..., None], xyz - self.reference.unsqueeze(2), 0.0)
        frames = (bins.frames[:, None] * self.is_used).sum(-1).clamp_min(1)
        unit = total / frames[..., None, None]
        self.unit = unit + eye * (1e-3 * unit.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] + 1.0)
        o = self.offset[:, :, near]
        half = o.shape[2] // 2
        self.velocity = (o[:, :, half:].mean(2) - o[:, :, :half].mean(2)) / 3
        self.acceleration = o[:, :, 0] + o[:, :, -1] - o[:, :, half - 1] - o[:, :, half]

    def disagreement(self) -> Tensor:
        """Return (B, K, R): squared distance to the reference in variances, per coordinate.

        What lies beyond a bin that disagrees is not trusted either: the keypoint has moved.
        """
        eye = torch.eye(3, device=self.unit.device)
        near = geometry.invert_3x3(self.unit) / self._near_count.clamp_min(1)[..., None, None]
        own = geometry.invert_3x3(self.info + eye * torch.where(self.is_used, 1e-2, 1.0)[..., None, None])
        whitened = geometry.invert_3x3(own + near.unsqueeze(2)) @ self.offset.unsqueeze(-1)
        square = (self.offset.unsqueeze(-2) @ whitened).squeeze(-1).squeeze(-1) / 3
        square = square.clamp(0, _MAX_DISAGREEMENT) * self.is_used
        half = square.shape[-1] // 2
        before = square[..., :half].flip(-1).cummax(-1).values.flip(-1)
        return torch.cat([before, square[..., half:].cummax(-1).values], -1)


def _log_size(cov: Tensor) -> Tensor:
    """Return (*, 1): log of the typical standard deviation, about 0 at 2.5 mm."""
    return cov.diagonal(dim1=-2, dim2=-1).mean(-1, keepdim=True).clamp_min(1e-12).log() / 2 + 6.0
