"""The network: a picture, the demo's first picture and prompts -> candidates with claims.

A U-Net of residual blocks reads the picture at 1/2 to 1/32 of its size. The first picture of the
demo and the masks of the objects that are meant join it at 1/4: they show what the arm hides
later. Camera and prompt colours join at 1/32. Each keypoint has a heatmap at 1/4; around its peaks
a second one, at 1/2, gives the point.
"""

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_obj_3d.detector.learning.peaks import (
    cells_at,
    find_peaks,
    soft_argmax,
    window,
)

COARSE, FINE, DEEPEST = 4, 2, 32  # strides of the heatmaps and of the deepest level [px]
COARSE_RADIUS, FINE_RADIUS = 2, 3  # of the windows around a peak [cells]
CLAIM_NUMBERS = 4  # log sd along u and v, correlation, logit of a gross error
NUM_FACTS = 6  # numbers about a peak that the claims are made of
WIDTHS = (1, 2, 4, 6, 8)  # channels at 1/2, 1/4, ... in units of `width`
KEYPOINT_WIDTH, HIDDEN = 48, 96


class Inputs(NamedTuple):
    """A batch.

    Attributes:
        picture: (B, 3, H, W) RGB, about -0.5 to 0.5; H and W are multiples of `DEEPEST`.
        reference: (B, 3 + P, H, W) the first picture and the prompts' masks (0 or 1).
        colours: (B, P, 4) the prompts' colours, and 1 where there is one.
        camera: (B,) camera numbers.
    """

    picture: Tensor
    reference: Tensor
    colours: Tensor
    camera: Tensor


class Candidates(NamedTuple):
    """What the network says; M candidates for each keypoint, the highest peak first.

    Attributes:
        log_heat: (B, K, h * w) log probability of the cells at stride `COARSE`.
        coarse_uv: (B, K, M, 2) image points from the coarse heatmap [px].
        uv: (B, K, M, 2) image points from the fine one [px].
        claim: (B, K, M, 4) log sd along u and v [log px], correlation before tanh, logit of a
            gross error.
        score: (B, K, M) log probability of the heatmap around the peak.
        inside: (B, K) logit that the point lies in the picture.
        seen: (B, K) logit that it is seen.
    """

    log_heat: Tensor
    coarse_uv: Tensor
    uv: Tensor
    claim: Tensor
    score: Tensor
    inside: Tensor
    seen: Tensor


@dataclass(frozen=True)
class NetworkSize:
    """What the shapes of the weights depend on.

    Attributes:
        num_keypoints: K.
        num_cameras: V.
        num_prompts: P.
        width: Channels at half of the picture's size; the other levels are multiples of it.
        depth: Residual blocks at the two deepest levels.
    """

    num_keypoints: int
    num_cameras: int
    num_prompts: int
    width: int = 16
    depth: int = 2


class Convolution(nn.Sequential):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )


class Residual(nn.Module):
    """Two convolutions whose result is added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = Convolution(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        return functional.relu(x + self.second(self.first(x)))


class Places(nn.Module):
    """Adds to a map what depends on the place in the picture alone."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(5, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        height, width = x.shape[-2:]
        v = torch.linspace(-1, 1, height, device=x.device)[:, None].expand(height, width)
        u = torch.linspace(-1, 1, width, device=x.device)[None].expand(height, width)
        shape: Tensor = self.project(torch.stack([u, v, u * u, v * v, u * v])[None])
        return x + shape.to(x.dtype)


class Trunk(nn.Module):
    """The U-Net: picture and reference -> maps at stride 4 and 2, and one vector."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        w2, w4, w8, w16, w32 = (size.width * n for n in WIDTHS)
        self.stem = nn.Sequential(Convolution(3, w2, 3, 2), Convolution(w2, w2))
        self.to4 = nn.Conv2d(w2, w4, 3, 2, 1)
        self.reference = nn.Conv2d(3 + size.num_prompts, w4, COARSE, COARSE)
        self.places4 = Places(w4)
        self.level4 = Residual(w4)
        self.level8 = nn.Sequential(Convolution(w4, w8, 3, 2), Residual(w8))
        self.level16 = nn.Sequential(
            Convolution(w8, w16, 3, 2), *(Residual(w16) for _ in range(size.depth))
        )
        self.level32 = Convolution(w16, w32, 3, 2)
        self.condition = nn.Sequential(
            nn.Linear(16 + 4 * size.num_prompts, w32), nn.ReLU(), nn.Linear(w32, w32)
        )
        self.places32 = Places(w32)
        self.deepest = nn.Sequential(*(Residual(w32) for _ in range(size.depth)))
        self.mean = nn.Linear(w32, w32)
        widths = (w32, w16, w8, w4)
        pairs = list(itertools.pairwise(widths))
        self.up = nn.ModuleList([nn.Conv2d(a, b, 1) for a, b in pairs])
        self.across = nn.ModuleList([nn.Conv2d(b, b, 1) for _, b in pairs])
        self.blocks = nn.ModuleList([Residual(b) for _, b in pairs])

    def forward(self, inputs: Inputs, camera: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read pictures.

        Args:
            inputs: The batch.
            camera: (B, 16) what is known of the cameras.

        Returns:
            Maps (B, C, H / 4, W / 4) and (B, C, H / 2, W / 2), and one vector (B, C).
        """
        half = self.stem(inputs.picture)
        x4 = self.level4(
            self.places4(functional.relu(self.to4(half) + self.reference(inputs.reference)))
        )
        x8 = self.level8(x4)
        x16 = self.level16(x8)
        told = self.condition(torch.cat([camera, inputs.colours.flatten(1)], -1))
        x = self.deepest(self.places32(self.level32(x16) + told[..., None, None]))
        vector = x.mean((2, 3))
        x = x + self.mean(vector)[..., None, None]
        levels = zip(self.up, self.across, self.blocks, (x16, x8, x4), strict=True)
        for up, across, block, skip in levels:
            x = block(
                functional.relu(functional.interpolate(up(x), scale_factor=2.0) + across(skip))
            )
        return x, half, vector


class DetectorNetwork(nn.Module):
    """Pictures to candidates with claims."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.size = size
        w2, w4, _, _, w32 = (size.width * n for n in WIDTHS)
        K = size.num_keypoints
        self.trunk = Trunk(size)
        self.camera = nn.Embedding(size.num_cameras, 16)
        self.coarse = nn.Sequential(Convolution(w4, w4), nn.Conv2d(w4, K, 1))
        self.to_half = nn.Conv2d(w4, w2, 1)
        self.from_half = nn.Conv2d(w2, w2, 1)
        self.fine = nn.Sequential(Convolution(w2, w2), nn.Conv2d(w2, K, 1))
        self.keypoint = nn.Embedding(K, KEYPOINT_WIDTH)
        self.claims = nn.Sequential(
            nn.Linear(w4 + 16 + KEYPOINT_WIDTH + NUM_FACTS, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, CLAIM_NUMBERS + 1),
        )
        self.presence = nn.Sequential(nn.Linear(w32, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * K))

    def forward(self, inputs: Inputs, count: int = 1) -> Candidates:
        """Find `count` candidates for each keypoint."""
        camera = self.camera(inputs.camera)
        x4, half, vector = self.trunk(inputs, camera)
        heat = self.coarse(x4).float()
        halves = functional.relu(
            functional.interpolate(self.to_half(x4), scale_factor=2.0) + self.from_half(half)
        )
        fine = self.fine(halves).float()
        cells = find_peaks(heat.detach(), count)
        near = window(heat, cells, COARSE_RADIUS)
        coarse_uv, entropy = soft_argmax(near, COARSE)
        middle = cells_at(coarse_uv.detach(), FINE, (fine.shape[2], fine.shape[3]))
        uv, fine_entropy = soft_argmax(window(fine, middle, FINE_RADIUS), FINE)
        total = heat.flatten(2).logsumexp(-1)
        score = near.logits.logsumexp(-1) - total[..., None]
        gap = (uv - coarse_uv).detach().norm(dim=-1) / COARSE
        peak = near.logits.max(-1).values - total[..., None]
        rank = torch.arange(count, device=heat.device).expand_as(score) * 1.0
        facts = torch.stack([score, peak, entropy, fine_entropy, gap, rank], -1)
        told = self._claims(x4, camera, cells, facts)
        presence = self.presence(vector.float()).view(len(heat), -1, 2)
        return Candidates(
            heat.flatten(2) - total[..., None],
            coarse_uv,
            uv,
            told[..., :CLAIM_NUMBERS],
            score,
            presence[..., 0],
            presence[..., 1] + told[..., 0, CLAIM_NUMBERS],
        )

    def _claims(self, x4: Tensor, camera: Tensor, cells: Tensor, facts: Tensor) -> Tensor:
        """Return (B, K, M, 5) for cells (B, K, M) and what is known about them."""
        B, K, M = cells.shape
        rows = x4.flatten(2).transpose(1, 2)  # (B, cells, C)
        at_peak = rows.gather(1, cells.view(B, K * M, 1).expand(-1, -1, rows.shape[-1]))
        known = [
            at_peak.view(B, K, M, -1).float(),
            camera[:, None, None].expand(B, K, M, -1),
            self.keypoint.weight[None, :, None].expand(B, K, M, -1),
            facts.detach(),
        ]
        told: Tensor = self.claims(torch.cat(known, -1))
        return told
