"""Pose head of `MHT`: each view says a Gaussian about a keypoint; their product is the answer.

A view's token says where the keypoint is in its camera's frame, and how sure it is across and along
the line of sight. The last token also smooths and corrects the view's detections, which ties the
point to a ray. The precisions add up, so any number of views works, and a view that is not there
has precision 0.

Everything is in scene units: the origin at `mean`, lengths divided by `scale` (`Scene`). In
float64: a ray is a thousand times more precise across than along, and float32 would lose what is
known along it.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.rig import Rig

PRIOR_PRECISION = 1e-3  # of the scene's centre [1 / scene units^2]: the answer when nothing is seen
_MAX_LOG = 8.0  # range of the log precisions
_START_LOG = -2.0  # a point's log precision before training: far below a ray's
_CENTRE_LOGIT = (
    1.5  # of the centre frame's detection before training: 0.43 of the attention in a window of 7
)
_MIN_SHARE = 1e-6
_MIN_DISTANCE = 0.05  # of a point from its camera [scene units]


@dataclass(frozen=True)
class Scene:
    """Cameras in scene units, float64.

    Attributes:
        mean: (3,) origin [m, world].
        scale: () unit of length [m].
        rotation: (V, 3, 3) world to camera.
        centre: (V, 3) the scene's origin in the camera's frame.
        focal: (V, 2) [px].
        intrinsics: (V, 3, 3) [px].
        sigma_px: Noise of the detections [px].
    """

    mean: Tensor
    scale: Tensor
    rotation: Tensor
    centre: Tensor
    focal: Tensor
    intrinsics: Tensor
    sigma_px: float

    @staticmethod
    def of(rig: Rig, mean: Tensor, scale: Tensor) -> "Scene":
        """Express a rig in scene units."""
        mean, scale, extrinsics, K = (
            x.double() for x in (mean, scale, rig.extrinsics, rig.intrinsics)
        )
        R, t = extrinsics[:, :, :3], extrinsics[:, :, 3]
        return Scene(
            mean,
            scale,
            R,
            (R @ mean + t) / scale,
            K.diagonal(dim1=-2, dim2=-1)[:, :2],
            K,
            rig.sigma_px,
        )

    def world(self, xyz: Tensor) -> Tensor:
        """Map (*, 3) from scene units to the world [m], float32."""
        return (self.mean + self.scale * xyz).float()

    def coarse_uv(self, uv: Tensor) -> Tensor:
        """Map (*, V, K, 2) [px] to lengths of order one, across the line of sight at the centre."""
        middle = self.centre[:, :2] / self.centre[:, 2:]
        xy = geometry.normalise_uv(uv.transpose(-2, -3), self.intrinsics) - middle
        return (xy * self.centre[:, 2:]).transpose(-2, -3).float()


@dataclass(frozen=True)
class Gaussians:
    """Sum of Gaussians' precisions and moments: adding two multiplies the densities.

    Attributes:
        precision: (*, 3, 3).
        moment: (*, 3) precision times mean.
    """

    precision: Tensor
    moment: Tensor

    def __add__(self, other: "Gaussians") -> "Gaussians":
        """Multiply the densities."""
        return Gaussians(self.precision + other.precision, self.moment + other.moment)

    def mean(self) -> Tensor:
        """Return the product's mean (*, 3), with a weak prior at the origin."""
        total = self.precision + PRIOR_PRECISION * torch.eye(
            3, dtype=torch.float64, device=self.precision.device
        )
        return (geometry.invert_3x3(total) @ self.moment.unsqueeze(-1)).squeeze(-1)


class PointHead(nn.Module):
    """Token -> a Gaussian for each keypoint in the camera's frame."""

    def __init__(self, width: int, num_keypoints: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, num_keypoints * 5)

    def forward(
        self, x: Tensor, slot: Tensor, scene: Scene, is_there: Tensor
    ) -> tuple[Gaussians, Tensor]:
        """Read the tokens.

        Args:
            x: (B, V, D).
            slot: (B, K) number of each keypoint.
            scene: The cameras.
            is_there: (B, V) views that say anything.

        Returns:
            Gaussians summed over the views (B, K), and the points (B, V, K, 3) in the cameras'
            frames.
        """
        answer = take_slots(self.linear(self.norm(x)), slot, 5)  # (B, V, K, 5)
        offset, log_precision = answer[..., :3], answer[..., 3:]
        point = scene.centre[:, None] + offset
        across, along = (
            soft_clamp(log_precision + _START_LOG).exp() * is_there[..., None, None]
        ).unbind(-1)
        R = scene.rotation
        sight = nn.functional.normalize(point, dim=-1)
        precision = _line_precision(sight, across, along)
        # offset = R x of the point x in the world's axes
        return _sum_views(precision, (precision @ offset.unsqueeze(-1)).squeeze(-1), R), point


class RayHead(nn.Module):
    """Token -> a ray for each keypoint: its detections in the window, weighted and corrected.

    Attention picks detections of the window's frames by number; before training it favours the
    centre.
    """

    start: Tensor

    def __init__(self, width: int, num_keypoints: int, num_frames: int) -> None:
        super().__init__()
        self.size = num_frames + 3
        start = torch.zeros(num_frames)
        start[num_frames // 2] = _CENTRE_LOGIT
        self.register_buffer("start", start, persistent=False)
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, num_keypoints * self.size)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(
        self, x: Tensor, slot: Tensor, scene: Scene, uv: Tensor, weights: Tensor, point: Tensor
    ) -> Gaussians:
        """Tie the keypoints to their rays.

        Args:
            x: (B, V, D).
            slot: (B, K).
            scene: The cameras.
            uv: (B, T, V, K, 2) [px], finite.
            weights: (B, T, V, K), 0 = unused.
            point: (B, V, K, 3) where the view believes the keypoint to be; only its distance
                counts.
        """
        answer = take_slots(self.linear(self.norm(x)), slot, self.size)  # (B, V, K, T + 3)
        share = (answer[..., 3:] + self.start).softmax(-1) * weights.permute(
            0, 2, 3, 1
        )  # (B, V, K, T)
        found = share.sum(-1)  # (B, V, K) attention that met a detection
        uv = torch.einsum("bvkt,btvkc->bvkc", share, uv.double()) / found.clamp_min(
            _MIN_SHARE
        ).unsqueeze(-1)
        corrected = uv + answer[..., :2] * scene.sigma_px
        xy = geometry.normalise_uv(corrected.transpose(1, 2), scene.intrinsics).transpose(1, 2)
        sight = nn.functional.normalize(torch.cat([xy, torch.ones_like(xy[..., :1])], -1), dim=-1)
        distance = point.detach().norm(dim=-1).clamp_min(_MIN_DISTANCE)
        sigma = distance * (scene.sigma_px / scene.focal.mean(-1))[:, None]
        across = soft_clamp(answer[..., 2]).exp() * found / sigma.square()
        precision = _line_precision(sight, across, torch.zeros_like(across))
        # The ray starts at the camera, which is at -centre in the camera's axes.
        moment = -(precision @ scene.centre[:, None, :, None]).squeeze(-1)
        return _sum_views(precision, moment, scene.rotation)


def take_slots(answer: Tensor, slot: Tensor, size: int) -> Tensor:
    """Pick each window's keypoints: (B, V, slots * size), (B, K) -> (B, V, K, size), float64."""
    B, V, _ = answer.shape
    index = slot.clamp_min(0)[:, None, :, None].expand(B, V, -1, size)
    return answer.reshape(B, V, -1, size).gather(2, index).double()


def soft_clamp(x: Tensor) -> Tensor:
    """Limit to +-_MAX_LOG smoothly."""
    return _MAX_LOG * torch.tanh(x / _MAX_LOG)


def _line_precision(sight: Tensor, across: Tensor, along: Tensor) -> Tensor:
    """Return the precision (*, 3, 3) of a point seen along the unit vector sight (*, 3)."""
    outer = sight.unsqueeze(-1) * sight.unsqueeze(-2)
    eye = torch.eye(3, dtype=torch.float64, device=sight.device)
    return across[..., None, None] * (eye - outer) + along[..., None, None] * outer


def _sum_views(precision: Tensor, moment: Tensor, rotation: Tensor) -> Gaussians:
    """Turn (B, V, K, 3, 3) and (B, V, K, 3) from cameras' axes to the world's; add the views."""
    total = torch.einsum("vai,bvkac,vcj->bkij", rotation, precision, rotation)
    return Gaussians(total, torch.einsum("vai,bvka->bki", rotation, moment))


def fine_uv(uv: Tensor, weights: Tensor, sigma_px: float) -> Tensor:
    """Measure tracks from their mean over the window.

    Args:
        uv: (B, T, V, K, 2) [px], 0 where unused.
        weights: (B, T, V, K).
        sigma_px: Noise [px].

    Returns:
        (B, T, V, K, 2): asinh of the distance in standard deviations; 0 where unused.
    """
    w = weights.unsqueeze(-1)
    mean = (uv * w).sum(1, keepdim=True) / w.sum(1, keepdim=True).clamp_min(1e-6)
    return torch.asinh((uv - mean) / (sigma_px * math.sqrt(2))) * (w > 0)
