"""Triangulation where gross errors are many and last: from the most probable set of sound views.

`triangulating.estimate_frames` asks which views are beyond a threshold; this asks which set of
views is most probable, given how often each view and keypoint is far off (`geometry.view_sets`).
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.noise_parts import NoiseParts
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.geometry.view_sets import Errors, Verdict, describe_scene, fit_sets, judge
from pose_obj_3d.tracks.strays import find_strays, find_vague
from pose_obj_3d.tracks.triangulating import fill_gaps

# Of the scatter of a frame's possible points, the share that no average over frames makes smaller.
# Gross errors last, but not for ever: with a half, regions of 68 and 95 % hold their shares.
LASTING_DOUBT = 0.5
_CHUNK = 6000
_SCENE_POINTS = 4000
RATES = (1e-5, 0.98)  # of gross errors that are allowed for a detection
_MIN_SHARE = 1e-4  # a set of views less probable than this adds no doubt


@dataclass(frozen=True)
class Frames:
    """Triangulated frames; N frames, K keypoints, V views.

    Attributes:
        xyz: (N, K, 3) [m], less the bias of averaging; NaN with fewer than two views.
        info: (N, K, 3, 3) [1/m^2] of the most probable set of views; 0 there.
        robust: (N, V, K) weights times the probability that the detection is sound.
        floor: (N, K, 3, 3) covariance of what lasts longer than the frame [m^2]; 0 where unknown.
    """

    xyz: Tensor
    info: Tensor
    robust: Tensor
    floor: Tensor


def estimate_frames_by_sets(
    uv: Tensor,
    weights: Tensor,
    rig: Rig,
    keypoint: Tensor,
    noise: NoiseParts,
    claims: Tensor | None = None,
) -> Frames:
    """Triangulate every frame from the most probable set of sound views.

    Args:
        uv: (N, V, K, 2) [px].
        weights: (N, V, K) precision in units of 1 / rig.sigma_px^2; 0 = missing.
        rig: The cameras.
        keypoint: (N, K) column of `noise`, -1 = none.
        noise: Its rates of gross errors, and the share of what lasts.
        claims: (N, V, K, 2, 2) as in `Tracks`, or None.
    """
    N, V, K, _ = uv.shape
    points = uv.transpose(1, 2).reshape(-1, V, 2).double()
    w = weights.transpose(1, 2).reshape(-1, V).double()
    rate = noise.gross_rates(keypoint, claims).clamp(*RATES).transpose(1, 2).reshape(-1, V).double()
    rows = (geometry.count_views(w) >= 2).nonzero().squeeze(-1)
    flat = _Flat.empty(len(points), V, points)
    some = rows[torch.linspace(0, len(rows) - 1, min(len(rows), _SCENE_POINTS)).long()]
    if len(rows):
        scene = describe_scene(points[some], w[some], rig)
        for part in torch.split(rows, _CHUNK):
            errors = Errors(rig.sigma_px**2 / w[part], rate[part], noise.gross_scale_cauchy)
            fits = fit_sets(points[part], errors, rig)
            verdict, fits = judge(points[part], errors, rig, scene, fits)
            flat.put(part, verdict, fits.xyz, fits.members, w[part], rig, noise.floor_share)
    return Frames(
        flat.xyz.reshape(N, K, 3).float(),
        flat.info.reshape(N, K, 3, 3).float(),
        flat.robust.reshape(N, K, V).transpose(1, 2).float(),
        flat.floor.reshape(N, K, 3, 3).float(),
    )


def triangulate_tracks_by_sets(
    uv: Tensor,
    weights: Tensor,
    rig: Rig,
    keypoint: Tensor,
    first: Tensor,
    last: Tensor,
    noise: NoiseParts,
    claims: Tensor | None = None,
) -> Frames:
    """Triangulate every frame, drop vague and stray ones, fill gaps from the nearest frame.

    Arguments as in `Tracks` and `estimate_frames_by_sets`.
    """
    frames = estimate_frames_by_sets(uv, weights, rig, keypoint, noise, claims)
    known = frames.xyz.nan_to_num()
    lost = find_vague(frames.info, keypoint) | find_strays(known, frames.info, first, last)
    info = torch.where(lost[..., None, None], 0.0, frames.info)
    return replace(frames, xyz=fill_gaps(known, info, first), info=info)


@dataclass(frozen=True)
class _Flat:
    """The same, for n points one behind the other."""

    xyz: Tensor
    info: Tensor
    robust: Tensor
    floor: Tensor

    @classmethod
    def empty(cls, count: int, views: int, like: Tensor) -> "_Flat":
        return cls(
            like.new_full((count, 3), torch.nan),
            like.new_zeros(count, 3, 3),
            like.new_zeros(count, views),
            like.new_zeros(count, 3, 3),
        )

    def put(
        self,
        rows: Tensor,
        verdict: Verdict,
        xyz: Tensor,
        members: Tensor,
        weights: Tensor,
        rig: Rig,
        floor_share: float,
    ) -> None:
        """Write what a verdict says of some points."""
        best, number = verdict.share.argmax(0), torch.arange(len(rows), device=rows.device)
        x, used = xyz[best, number], members[best, number] * weights
        cameras = (rig.intrinsics.double(), rig.extrinsics.double(), rig.sigma_px)
        is_known = verdict.share[best, number] > 0
        info = geometry.information(x, used, *cameras)
        self.xyz[rows] = torch.where(
            is_known[:, None], x - geometry.averaging_bias(x, used, *cameras), torch.nan
        )
        self.info[rows] = torch.where(is_known[:, None, None], info, 0.0)
        share = verdict.share[..., None]
        self.robust[rows] = weights * torch.where(share > 0, share * members, 0.0).sum(0)
        likely = share / verdict.share.sum(0)[:, None].clamp_min(1e-12)
        off = torch.where(likely > _MIN_SHARE, xyz - x, 0.0)
        doubt = (likely.unsqueeze(-1) * off.unsqueeze(-1) * off.unsqueeze(-2)).sum(0)
        own = verdict.covariance[best, number]
        floor = floor_share * own + LASTING_DOUBT * doubt
        self.floor[rows] = torch.where(is_known[:, None, None], floor, 0.0)
