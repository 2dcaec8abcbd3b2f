"""Triangulation where gross errors are many and last: from the most probable set of sound views.

`triangulating.estimate_frames` asks which views are beyond a threshold; this asks which set of
views is most probable, given how often each view and keypoint is far off (`geometry.view_sets`).
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pose_obj_3d.common.progress import loop
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.near_sets import Weighed, weigh
from pose_obj_3d.geometry.noise_parts import NoiseParts
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.geometry.view_sets import Errors, Scene, describe_scene
from pose_obj_3d.tracks.strays import find_strays, find_vague
from pose_obj_3d.tracks.triangulating import fill_gaps

# Of the scatter of a frame's possible points, the share that no average over frames makes smaller.
# Gross errors last, but not for ever: with a half, regions of 68 and 95 % hold their shares.
LASTING_DOUBT = 0.5
# Points at once, and detections of all: more would not fit into the processor's cache.
_CHUNK, _CHUNK_CELLS = 6000, 40_000
_SCENE_POINTS = 4000
_SOUND, _ENOUGH_SOUND = 0.9, 3  # probability and number of views that make a frame certain
RATES = (1e-5, 0.98)  # of gross errors that are allowed for a detection


@dataclass(frozen=True)
class Frames:
    """Triangulated frames; N frames, K keypoints, V views.

    Before vague and stray frames are dropped: what each frame's own detections say.

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

    def take(self, other: "Frames", is_same: Tensor) -> None:
        """Take the points (N, K) that are the same in other frames."""
        self.xyz[is_same] = other.xyz[is_same]
        self.info[is_same] = other.info[is_same]
        self.floor[is_same] = other.floor[is_same]
        self.robust.copy_(torch.where(is_same[:, None], other.robust, self.robust))

    def put(
        self, rows: Tensor, found: Weighed, weights: Tensor, rig: Rig, floor_share: float
    ) -> None:
        """Write what was found of n points, in rows (n, 2): frames and keypoints."""
        cameras = (rig.intrinsics.double(), rig.extrinsics.double(), rig.sigma_px)
        x, used, is_known = found.xyz, found.used * weights, found.is_known
        info = geometry.information(x, used, *cameras)
        x = x - geometry.averaging_bias(x, used, *cameras)
        floor = floor_share * found.covariance + LASTING_DOUBT * found.doubt
        frame, k = rows.unbind(-1)
        self.xyz[frame, k] = x.masked_fill(~is_known[:, None], torch.nan).float()
        self.info[frame, k] = info.masked_fill(~is_known[:, None, None], 0.0).float()
        self.robust[frame, :, k] = (weights * found.sound).float()
        self.floor[frame, k] = floor.masked_fill(~is_known[:, None, None], 0.0).float()


@dataclass(frozen=True)
class Earlier:
    """What an earlier triangulation of the same detections, with other weights, has found.

    Attributes:
        frames: The frames.
        scene: Where points can be; it is taken to be the same.
        is_same: (N, K) points whose weights have not changed since.
    """

    frames: Frames
    scene: Scene
    is_same: Tensor


def estimate_frames_by_sets(
    uv: Tensor,
    weights: Tensor,
    rig: Rig,
    keypoint: Tensor,
    noise: NoiseParts,
    claims: Tensor | None = None,
    earlier: Earlier | None = None,
) -> tuple[Frames, Scene]:
    """Triangulate every frame from the most probable set of sound views.

    Args:
        uv: (N, V, K, 2) [px].
        weights: (N, V, K) precision in units of 1 / rig.sigma_px^2; 0 = missing.
        rig: The cameras.
        keypoint: (N, K) column of `noise`, -1 = none.
        noise: Its rates of gross errors, and the share of what lasts.
        claims: (N, V, K, 2, 2) as in `Tracks`, or None.
        earlier: What need not be triangulated again.

    Returns:
        The frames, and where points can be.
    """
    N, V, K, _ = uv.shape
    given = _Given(uv, weights, keypoint, claims)
    found = Frames(
        uv.new_full((N, K, 3), torch.nan, dtype=torch.float32),
        uv.new_zeros((N, K, 3, 3), dtype=torch.float32),
        uv.new_zeros((N, V, K), dtype=torch.float32),
        uv.new_zeros((N, K, 3, 3), dtype=torch.float32),
    )
    rows = ((weights > 0).sum(1) >= 2).nonzero()
    if earlier is None:
        some = rows[torch.linspace(0, len(rows) - 1, min(len(rows), _SCENE_POINTS)).long()]
        points, w, _ = given.of(some, noise)
        scene = describe_scene(points, w, rig)
    else:
        scene = earlier.scene
        found.take(earlier.frames, earlier.is_same)
        rows = rows[~earlier.is_same[rows[:, 0], rows[:, 1]]]
    size = max(1, min(_CHUNK, _CHUNK_CELLS // V))
    for part in loop(torch.split(rows, size) if len(rows) else (), "triangulating"):
        points, w, rate = given.of(part, noise)
        errors = Errors(rig.sigma_px**2 / w, rate, noise.gross_scale_cauchy)
        found.put(part, weigh(points, errors, rig, scene), w, rig, noise.floor_share)
    return found, scene


@dataclass(frozen=True)
class _Given:
    """What is known of the detections, as in `estimate_frames_by_sets`."""

    uv: Tensor
    weights: Tensor
    keypoint: Tensor
    claims: Tensor | None

    def of(self, rows: Tensor, noise: NoiseParts) -> tuple[Tensor, Tensor, Tensor]:
        """Return uv (n, V, 2), weights and rates of gross errors (n, V) of frames and keypoints."""
        frame, k = rows.unbind(-1)
        claims = None if self.claims is None else self.claims[frame, :, k][:, :, None]
        rate = noise.gross_rates(self.keypoint[frame, k][:, None], claims).squeeze(-1)
        return (
            self.uv[frame, :, k].double(),
            self.weights[frame, :, k].double(),
            rate.clamp(*RATES).double(),
        )


def without_strays(
    frames: Frames, weights: Tensor, keypoint: Tensor, first: Tensor, last: Tensor
) -> Frames:
    """Drop vague and stray frames, and fill gaps from the nearest frame.

    A frame in which three views are sound is no stray, however far it is from other frames: then
    the keypoint has moved. Arguments as in `Tracks`.
    """
    known = frames.xyz.nan_to_num()
    sound = (frames.robust > _SOUND * weights).sum(1)
    is_stray = find_strays(known, frames.info, first, last) & (sound < _ENOUGH_SOUND)
    lost = find_vague(frames.info, keypoint) | is_stray
    info = torch.where(lost[..., None, None], 0.0, frames.info)
    return replace(frames, xyz=fill_gaps(known, info, first), info=info)
