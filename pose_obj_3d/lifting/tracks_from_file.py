"""From a user's track file to `Tracks`: cameras, weights, outliers, and parts to learn from.

The truth of a file is never read here: training on these tensors needs no labels.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.geometry import multi_view
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.noise_parts import NoiseParts
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.lifting import scene_scale
from pose_obj_3d.lifting.track_files.track_file import TrackFile
from pose_obj_3d.lifting.weighing import is_seen, own_noise, triangulated, with_weights
from pose_obj_3d.smoothing.kalman import MOTIONS, innovation_nll
from pose_obj_3d.tracks import track_smoothing
from pose_obj_3d.tracks.lasting import smoothing_info
from pose_obj_3d.tracks.types import Tracks

OUTLIER_SIGMAS = 5.0  # one in 270,000 sound detections is further from its keypoint
VAL_SHARE = 0.1
MIN_TRAIN_FRAMES, MIN_VAL_FRAMES = 50, 10
_GATE_ROUNDS = 3
_PIECE_FRAMES, _MAX_PIECES = 200, 60  # the motion is chosen on pieces of sequences
_Q_STEPS = 13  # candidates of process noise: three a decade
_MAX_COLUMNS = 1500  # sequences filtered at once; bounds the memory
CHUNK_CELLS = 500_000  # detections that are compared with a prediction at once
_MIN_SCORED = 30  # a keypoint with fewer measurements does not get a motion of its own
Motion = tuple[str, float]
"""One of `kalman.MOTIONS`, and its process noise."""


@dataclass(frozen=True)
class OwnData:
    """Tracks of a file with what belongs to them.

    Attributes:
        tracks: The data, without truth. Its lengths, and those of all that is made of it, are in
            units of `unit_m`.
        rig: The cameras in float64, moved so that the origin lies between them: float32 then
            suffices.
        origin: (3,) what was subtracted from the world's coordinates [m].
        unit_m: Length of the unit of tracks and rig [m], by the size of the scene (`scene_scale`).
        sigma_px: (V,) noise of each camera [px].
        ids: Keypoint ids, `own/points/<name>`.
        sha256: Hash of what learning reads.
        noise: How the detections err by view and keypoint, also where their errors do not last;
            None where the user states it.
    """

    tracks: Tracks
    rig: Rig
    origin: Tensor
    unit_m: float
    sigma_px: Tensor
    ids: list[str]
    sha256: str
    noise: NoiseParts | None = None

    def world(self, xyz: Tensor) -> Tensor:
        """Bring points (*, 3) to the file's world [m], float64."""
        return xyz.double() * self.unit_m + self.origin

    def own(self, xyz_world: Tensor) -> Tensor:
        """Bring points (*, 3) [m] of the file's world to the unit and origin of `tracks`."""
        return (xyz_world.double() - self.origin) / self.unit_m


def keypoint_id(name: str) -> str:
    """Return the id `<set>/<group>/<name>` of a keypoint; `own` and `points` by default.

    Full ids let a model trained on an archive lift the same keypoints (`T9/waypoints/waypoint0`).
    """
    parts = name.split("/")
    return {1: f"own/points/{name}", 2: f"own/{name}"}.get(len(parts), name)


def keypoint_ids(file: TrackFile) -> list[str]:
    """Return the K ids of a file's keypoints; two names of one id are a DataError."""
    ids = [keypoint_id(name) for name in file.keypoint_names]
    for k, name in enumerate(ids):
        if name in ids[:k]:
            a, b = file.keypoint_names[ids.index(name)], file.keypoint_names[k]
            raise DataError(
                f"{file.source}: keypoint_names {a!r} and {b!r} both mean {name}; name each"
                " keypoint once (docs/own_videos.md)"
            )
    return ids


def make_rig(file: TrackFile) -> tuple[Rig, Tensor]:
    """Return the cameras about their middle [m], with sigma_px 1, and that middle (3,) [m]."""
    E = torch.from_numpy(file.extrinsics).clone()
    R = E[:, :, :3]
    origin = -(R.transpose(1, 2) @ E[:, :, 3:]).squeeze(-1).mean(0)
    E[:, :, 3] += (R @ origin.unsqueeze(-1)).squeeze(-1)
    return Rig(torch.from_numpy(file.intrinsics), E, 1.0, tuple(range(len(E)))), origin


def points_of(file: TrackFile) -> tuple[Tensor, Tensor]:
    """Return uv (N, V, K, 2) [px], 0 where missing, and confidence (N, V, K), float64."""
    uv = torch.from_numpy(np.nan_to_num(file.points)).transpose(0, 1)
    return uv, torch.from_numpy(file.confidence).transpose(0, 1)


def claims_of(file: TrackFile) -> Tensor | None:
    """Return what a detector claims, as `Tracks.claims`."""
    x = file.covariance
    return None if x is None else torch.from_numpy(x).transpose(0, 1).float().contiguous()


def sequences_of(file: TrackFile) -> tuple[Tensor, Tensor]:
    """Return the first and the last frame of each frame's sequence, (N,) each."""
    N = file.points.shape[1]
    starts = torch.tensor(file.sequence_starts)
    ends = torch.tensor([*file.sequence_starts[1:], N])
    lengths = ends - starts
    return starts.repeat_interleave(lengths), (ends - 1).repeat_interleave(lengths)


def load_own(
    file: TrackFile,
    sigma_px: Sequence[float] = (),
    trained_ids: Sequence[str] | None = None,
    trained_unit_m: float | None = None,
) -> OwnData:
    """Weigh and triangulate a file's points, in a unit that suits the scene.

    Args:
        file: The tracks.
        sigma_px: Noise of the detections [px], one number or one for each camera; estimated when
            empty.
        trained_ids: Keypoint ids that a model knows; ours by default.
        trained_unit_m: The unit in which that model was trained [m].
    """
    rig, origin = make_rig(file)
    uv, confidence = points_of(file)
    unit = scene_scale.unit_for(scene_scale.unit_of(uv, confidence, rig), trained_unit_m)
    rig = scene_scale.scaled(rig, unit)
    V = uv.shape[1]
    if len(sigma_px) not in (0, 1, V) or any(not 0 < s < math.inf for s in sigma_px):
        raise ConfigError(
            f"--sigma_px {' '.join(map(str, sigma_px))}: allowed: one finite number > 0, or one for"
            f" each of {V} cameras"
        )
    ids = keypoint_ids(file)
    index = torch.tensor(
        [(ids if trained_ids is None else list(trained_ids)).index(name) for name in ids]
    )
    first, last = sequences_of(file)
    frame = torch.arange(len(uv))
    number = (frame == first).cumsum(0) - 1
    source = torch.stack([torch.zeros_like(frame), number, frame - first], -1)
    keypoint = torch.where(is_seen(confidence, number), index, -1)
    claims = claims_of(file)
    if sigma_px:
        sigma, parts = torch.tensor(sigma_px, dtype=torch.float64).expand(V), None
    else:
        sigma, parts = own_noise(uv, confidence, keypoint, first, rig, claims)
    rig = replace(rig, sigma_px=float(sigma.median()))
    if parts is None:
        weights = confidence * (rig.sigma_px / sigma).square()[:, None]
    else:
        weights = confidence * rig.sigma_px**2 * parts.precision(keypoint, claims)
    N, K = keypoint.shape
    unknown = Tracks(
        uv=uv.float(),
        weights=weights.float(),
        robust=torch.zeros(N, V, K),
        xyz=torch.zeros(N, K, 3),
        info=torch.zeros(N, K, 3, 3),
        truth=None,
        precision=None,
        keypoint=keypoint,
        first=first,
        last=last,
        source=source,
        claims=claims,
        noise=None if parts is None or parts.is_plain else parts,
    )
    tracks = triangulated(unknown, rig)
    digest = hashlib.sha256()
    read = (uv, weights, rig.intrinsics, rig.extrinsics, keypoint, first)
    for x in read if claims is None else (*read, claims):
        digest.update(x.contiguous().numpy().tobytes())
    return OwnData(
        tracks,
        rig,
        origin,
        unit,
        sigma,
        ids if trained_ids is None else list(trained_ids),
        digest.hexdigest(),
        parts,
    )


def part(tracks: Tracks, start: int, stop: int) -> Tracks:
    """Cut frames start..stop-1; a sequence that reaches beyond is cut, too."""
    cut: dict[str, Any] = {name: x[start:stop] for name, x in tracks.by_frame.items()}
    cut["first"] = cut["first"].clamp_min(start) - start
    cut["last"] = cut["last"].clamp_max(stop - 1) - start
    return replace(tracks, **cut)


def split(tracks: Tracks) -> tuple[Tracks, Tracks]:
    """Hold out the last tenth for validation: whole sequences where there are at least five.

    Raises:
        DataError: Too few frames to learn from.
    """
    N = len(tracks)
    starts = tracks.first.unique().tolist()  # type: ignore[no-untyped-call]
    cut = N - max(MIN_VAL_FRAMES, round(VAL_SHARE * N))
    if len(starts) >= 5:
        cut = min(starts[1:], key=lambda start: abs(start - cut))
    if cut < MIN_TRAIN_FRAMES or N - cut < MIN_VAL_FRAMES:
        raise DataError(
            f"--train: {N} frames are too few to learn from; {MIN_TRAIN_FRAMES + MIN_VAL_FRAMES}"
            " are the least, a thousand are better: leave --train out, smoothing needs no learning"
        )
    return part(tracks, 0, cut), part(tracks, cut, N)


def choose_motions(tracks: Tracks, frame_period_s: float) -> list[Motion]:
    """Choose the motion and process noise under which each keypoint's measurements are most likely.

    Each measurement is predicted from those before it, in pieces of sequences, so no truth is
    needed. All candidates are compared on the same measurements. A keypoint with few measurements
    gets what suits all keypoints together.
    """
    K = tracks.keypoint.shape[1]
    xyz, info = _pieces(tracks)
    B = xyz.shape[1]
    at_once = max(1, _MAX_COLUMNS // B)
    candidates: list[Motion] = []
    scores: list[Tensor] = []
    counted = None
    for motion in sorted(
        track_smoothing.Q_RANGE, key=MOTIONS.__getitem__, reverse=True
    ):  # the most demanding first
        low, high = (math.log(q) for q in track_smoothing.Q_RANGE[motion])
        for qs in torch.split(
            torch.linspace(low, high, _Q_STEPS, dtype=torch.float64).exp(), at_once
        ):
            n = len(qs)
            nll, is_scored = innovation_nll(
                xyz.repeat(1, n, 1),
                info.repeat(1, n, 1, 1),
                motion,
                qs.repeat_interleave(B),
                frame_period_s,
            )
            counted = is_scored[:, :B] if counted is None else counted
            scores += (
                (nll.reshape(len(nll), n, B) * counted[:, None]).sum(0).reshape(n, -1, K).sum(1)
            )
            candidates += [(motion, q) for q in qs.tolist()]
    assert counted is not None
    table, count = torch.stack(scores), counted.sum(0).reshape(-1, K).sum(0)
    common = table.sum(1).argmin()
    best = torch.where(count >= _MIN_SCORED, table.argmin(0), common)
    return [candidates[i] for i in best.tolist()]


def _pieces(tracks: Tracks) -> tuple[Tensor, Tensor]:
    """Cut sequences into pieces, evenly chosen: xyz (L, P * K, 3) and info (L, P * K, 3, 3)."""
    frame = torch.arange(len(tracks))
    first = tracks.first + (frame - tracks.first) // _PIECE_FRAMES * _PIECE_FRAMES
    starts = first.unique()  # type: ignore[no-untyped-call]
    if len(starts) > _MAX_PIECES:
        starts = starts[torch.linspace(0, len(starts) - 1, _MAX_PIECES).round().long()]
    last = torch.minimum(starts + _PIECE_FRAMES - 1, tracks.last[starts])
    wanted = starts + torch.arange(int((last - starts).max()) + 1)[:, None]
    rows = torch.minimum(wanted, last)
    is_there = (rows == wanted)[..., None] & tracks.is_real[rows]
    info = smoothing_info(tracks)[rows] * is_there[..., None, None]
    return tracks.xyz[rows].flatten(1, 2), info.flatten(1, 2)


def smooth_tracks(
    tracks: Tracks, motions: Sequence[Motion], frame_period_s: float, blind: bool = False
) -> Estimate:
    """Smooth each keypoint by its own motion: (N, K, 3), NaN where it is never seen."""
    xyz = torch.full_like(tracks.xyz, torch.nan, dtype=torch.float64)
    covariance = torch.full_like(tracks.info, torch.nan, dtype=torch.float64)
    q = torch.tensor([q for _, q in motions], dtype=torch.float64)
    for motion in dict.fromkeys(motion for motion, _ in motions):
        is_own = torch.tensor([m == motion for m, _ in motions])
        own = replace(tracks, keypoint=torch.where(is_own, tracks.keypoint, -1))
        found = track_smoothing.rts(own, motion, q, frame_period_s, blind)
        xyz[:, is_own], covariance[:, is_own] = found.xyz[:, is_own], found.covariance[:, is_own]
    return Estimate(xyz, covariance)


def reject_outliers(tracks: Tracks, rig: Rig, frame_period_s: float) -> tuple[Tracks, list[Motion]]:
    """Drop detections that contradict what all other frames say about the keypoint.

    A detection is dropped when it is more than `OUTLIER_SIGMAS` standard deviations off what the
    smoother predicts from the other frames. It stays if three or more views of its frame agree on
    where the keypoint is: then the keypoint has moved.

    Returns:
        The tracks with the weight of these detections 0, and the motions that fit the rest.
    """
    kept = tracks
    sound = _views_agree(tracks)
    motions = choose_motions(tracks, frame_period_s)
    for _ in range(_GATE_ROUNDS):
        blind = smooth_tracks(kept, motions, frame_period_s, blind=True)
        far = deviations(blind, tracks, rig) > OUTLIER_SIGMAS
        weights = torch.where(far & ~sound[:, None], 0.0, tracks.weights)
        if bool((weights == kept.weights).all()):
            break
        kept = with_weights(tracks, weights, rig)
        motions = choose_motions(kept, frame_period_s)
    return kept, motions


def _views_agree(tracks: Tracks) -> Tensor:
    """Say where three or more views are usable and none is far from their triangulation (N, K)."""
    agree: Tensor = ((tracks.weights > 0).sum(1) >= 3) & (tracks.robust >= tracks.weights).all(1)
    return agree


def deviations(estimate: Estimate, tracks: Tracks, rig: Rig) -> Tensor:
    """Return how many standard deviations detections are from a blind estimate (N, V, K).

    0 where there is no detection or no estimate. Its square is chi-squared with two degrees of
    freedom.
    """
    rows = max(1, CHUNK_CELLS // max(1, tracks.weights[0].numel()))  # bounds the memory
    parts = [
        _deviations(
            estimate.xyz[some],
            estimate.covariance[some],
            tracks.uv[some],
            tracks.weights[some],
            rig,
        )
        for some in torch.split(torch.arange(len(tracks)), rows)
    ]
    return torch.cat(parts)


def _deviations(xyz: Tensor, covariance: Tensor, uv: Tensor, weights: Tensor, rig: Rig) -> Tensor:
    predicted, J = multi_view.projection_jacobian(
        xyz.double(), rig.intrinsics, rig.extrinsics
    )  # (N, K, V, 2, 3)
    r = uv.transpose(1, 2) - predicted
    w = weights.transpose(1, 2).double()
    spread = torch.einsum("nkvri,nkij,nkvsj->nkvrs", J, covariance.double(), J)
    spread = (
        spread + torch.eye(2).to(spread) * (rig.sigma_px**2 / w.clamp_min(1e-12))[..., None, None]
    )
    (a, b), (c, d) = (row.unbind(-1) for row in spread.unbind(-2))
    square = (d * r[..., 0] ** 2 - (b + c) * r[..., 0] * r[..., 1] + a * r[..., 1] ** 2) / (
        a * d - b * c
    )
    is_known = (w > 0) & square.isfinite()
    distance: Tensor = torch.where(is_known, square, 0.0).sqrt().transpose(1, 2)
    return distance


def is_outlier(estimate: Estimate, tracks: Tracks, kept: Tracks, rig: Rig) -> Tensor:
    """Say which detections (N, V, K) are `OUTLIER_SIGMAS` off an estimate.

    Where the estimate has no covariance, these are the detections that were dropped.
    """
    is_claimed = estimate.covariance.isfinite().all(-1).all(-1)[:, None]
    dropped = (tracks.weights > 0) & (kept.weights == 0)
    return torch.where(is_claimed, deviations(estimate, tracks, rig) > OUTLIER_SIGMAS, dropped)
