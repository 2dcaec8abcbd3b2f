"""What STC stands on where errors last: the scene's most likely motion, and what that needs."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.estimators import TAILS, Estimate
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.consensus.scene import claims
from pose_obj_3d.models.consensus.scene.blind_views import left_out_views
from pose_obj_3d.models.consensus.scene.estimates import (
    estimate_examples,
    estimate_windows,
    some_examples,
)
from pose_obj_3d.models.consensus.scene.shapes import Shapes, learn_shapes
from pose_obj_3d.models.consensus.scene.solving import Belief, Scene
from pose_obj_3d.models.consensus.scene.witnesses import weigh
from pose_obj_3d.tracks.track_smoothing import measurement_noise
from pose_obj_3d.tracks.triangulating import triangulate_tracks
from pose_obj_3d.tracks.types import Bins, Tracks, Windows

_MAX_LOG_FACTOR = 4.0
STEPS = (2.5, 5.0, 10.0, 20.0, 40.0)  # mean lengths that are tried, in deviations of a frame
# By so much longer steps are believed: things rest most of the time, and the length that predicts
# left-out views best is too short for when they move. A long one costs little at rest, since small
# steps are pulled to 0 all the same. Chosen on half of the test demonstrations from pixels.
MOVING = 4.0
# The step of what never moves, which needs no such factor. It is believed where left-out views are
# by so much more likely than with any other, in the logarithm.
STILL, DECISIVE = 0.25, 5.0
ENOUGH = 8  # examples that can tell it: what rests in one may move in the next
_FIRST_STEP = 10.0
_STEP_EXAMPLES = 16  # examples from which the steps are learned
WINDOWS = "windows of the ground"
"""Name in a cache: positions (N, T, K, 3) and covariances of the window of each frame."""


class Ground(nn.Module):
    """Distances that keypoints keep, how far they move, how long errors last: all learned.

    Args:
        num_keypoints: P.
        has_tail: Whether it knows the tail of its errors. Weights of an earlier version do not:
            their regions are those of Gaussian errors.
    """

    distance: Tensor
    tightness: Tensor
    step: Tensor
    shared: Tensor
    unit: Tensor
    factor: Tensor
    tail: Tensor | None

    def __init__(self, num_keypoints: int, has_tail: bool = True) -> None:
        super().__init__()
        P = num_keypoints
        self.register_buffer("distance", torch.zeros(P, P, dtype=torch.float64))
        self.register_buffer("tightness", torch.zeros(P, P, dtype=torch.float64))  # 1 / spread
        self.register_buffer("step", torch.ones(P, dtype=torch.float64))
        self.register_buffer("shared", torch.ones((), dtype=torch.float64))
        self.register_buffer("unit", torch.ones((), dtype=torch.float64))
        self.register_buffer("factor", torch.zeros(claims.COMMON + P, dtype=torch.float64))
        tail = torch.zeros((), dtype=torch.float64) if has_tail else None
        self.register_buffer("tail", tail)

    @property
    def known_tail(self) -> float:
        """How heavy the tails of the errors are, as of `Estimate`; 0 where that is not known."""
        return 0.0 if self.tail is None else float(self.tail)

    def belief(self) -> Belief:
        """Return what is known of a scene before its detections."""
        shapes = Shapes(self.distance, 1 / self.tightness)
        return Belief(self.step, shapes, float(self.shared), float(self.unit))

    @torch.no_grad()
    def learn(self, tracks: Tracks, rig: Rig, shared: float) -> None:
        """Learn from the training examples' detections; no truth is read.

        Args:
            tracks: The training examples.
            rig: The cameras, float64.
            shared: Frames that share an error.
        """
        unit, P = measurement_noise(tracks), len(self.step)
        self.unit.fill_(unit)
        self.shared.fill_(shared)
        self.step.fill_(_FIRST_STEP * unit)
        self.tightness.zero_()
        self.step.copy_(self._learned_steps(tracks, rig))
        scene = Scene.of(tracks, rig, self.belief())
        found = estimate_examples(scene, _all_views(tracks), with_starts=False)
        shapes = learn_shapes(found.xyz, found.covariance, tracks.keypoint, tracks.first, P, unit)
        self.distance.copy_(shapes.distance)
        self.tightness.copy_(1 / shapes.spread)

    def _learned_steps(self, tracks: Tracks, rig: Rig) -> Tensor:
        """Choose each keypoint's step (P,) [m]: a view that had no part is most likely then."""
        some = some_examples(tracks, _STEP_EXAMPLES)
        left_out = left_out_views(some, rig)
        views = _all_views(some) & ~_is_view(left_out, some)
        belief, unit = self.belief(), float(self.unit)
        started = _without(some, views, rig)
        index = some.keypoint.clamp_min(0)
        scores = []
        for length in (STILL, *STEPS):
            scene = Scene.of(
                started, rig, replace(belief, step=torch.full_like(self.step, length * unit))
            )
            found = estimate_examples(scene, views, with_starts=False)
            density = _density_of(scene, found, left_out) / belief.shared
            score = torch.zeros_like(self.step)
            score.index_put_((index.flatten(),), density.flatten(), accumulate=True)
            scores.append(score)
        still, each = scores[0], torch.stack(scores[1:])
        # A keypoint's own frames count beside the mean of all: few frames do not decide.
        best = (each + each.mean(1, keepdim=True)).argmax(0)
        lengths = MOVING * torch.tensor(STEPS, dtype=self.step.dtype, device=self.step.device)
        never_moves = still > each.amax(0) + DECISIVE
        if len(some.first.unique()) < ENOUGH:  # type: ignore[no-untyped-call]
            never_moves = torch.zeros_like(never_moves)
        return torch.where(never_moves, STILL, lengths[best]) * unit

    @torch.no_grad()
    def put_under(
        self,
        tracks: Tracks,
        rig: Rig,
        num_frames: int | None,
        blind: bool = False,
        used_frames: int | None = None,
    ) -> Tracks:
        """Return tracks whose positions are those of the scene's most likely motion.

        Args:
            tracks: The data.
            rig: The cameras, float64.
            num_frames: T: each window is estimated from its own frames; None: whole examples are.
            blind: Leave one view out of each example. That view alone then has weights: it scores.
            used_frames: Odd; frames further from a window's centre count as not there.
        """
        rig = replace(rig, intrinsics=rig.intrinsics.double(), extrinsics=rig.extrinsics.double())
        views, weights = _all_views(tracks), tracks.weights
        if blind:
            is_out = _is_view(left_out_views(tracks, rig), tracks)
            views, weights = ~is_out, weights * is_out.unsqueeze(-1)
            tracks = _without(tracks, views, rig)
        scene = Scene.of(tracks, rig, self.belief())
        precision = (rig.sigma_px / scene.witnesses.spread).square().to(weights)
        stated: dict[str, Any] = {
            "weights": weights,
            "robust": torch.where(weights > 0, precision, 0.0),
            # The ground's information knows already what lasts.
            "noise": None,
            "floor": None,
        }
        seen = (tracks.weights * views.unsqueeze(-1) > 0).sum(1) >= min(2, len(rig.intrinsics))
        if num_frames is None:
            found = estimate_examples(scene, views)
            xyz, info = _filled(found.xyz, found.covariance, tracks.xyz, seen)
            return replace(tracks, xyz=xyz, info=info, **stated)
        half = num_frames // 2
        wanted = torch.arange(len(tracks), device=views.device)[:, None] + torch.arange(
            -half, half + 1, device=views.device
        )
        rows = wanted.clamp(tracks.first[:, None], tracks.last[:, None])
        is_there = rows == wanted
        if used_frames is not None:
            is_there = is_there & ((wanted - wanted[:, half : half + 1]).abs() <= used_frames // 2)
        parts = [
            estimate_windows(scene, *some)
            for some in zip(
                *(torch.split(y, _WINDOWS) for y in (rows, is_there, views)), strict=True
            )
        ]
        xyz, info = _filled(
            torch.cat([x for x, _ in parts]),
            torch.cat([c for _, c in parts]),
            tracks.xyz[rows],
            seen[rows] & is_there.unsqueeze(-1),
        )
        grounded = replace(tracks, xyz=xyz[:, half], info=info[:, half], **stated)
        grounded.cache[WINDOWS] = xyz, info
        return grounded

    def claims(self, windows: Windows) -> Tensor:
        """Return the covariance (B, K, 3, 3) [m^2] of the centre frames, scaled as calibrated."""
        covariance = _covariance(windows)
        about = claims.features(windows, covariance, self.unit, len(self.step))
        log = (about @ self.factor).clamp(-_MAX_LOG_FACTOR, _MAX_LOG_FACTOR)
        return (log.exp()[..., None, None] * covariance).float()

    def calibrate(self, batches: Iterable[tuple[Windows, Tensor]]) -> None:
        """Scale the claims to errors that are known.

        Args:
            batches: Windows on the ground, and how far their predictions are off (B, K, 3) [m].
        """
        found: list[tuple[Tensor, Tensor]] = []
        for windows, error in batches:
            covariance = _covariance(windows)
            square = (error.double().unsqueeze(-2) @ geometry.invert_3x3(covariance)).squeeze(-2)
            square = (square * error.double()).sum(-1)
            about = claims.features(windows, covariance, self.unit, len(self.step))
            counts = _is_known(windows.info[:, windows.centre]) & (windows.keypoint >= 0)
            found.append((about[counts], square[counts]))
        about, square = (torch.cat(x) for x in zip(*found, strict=True))
        tails = claims.GAUSSIAN if self.tail is None else TAILS
        weights, tail = claims.fit_scale(about, square, float(self.shared), tails=tails)
        self.factor.copy_(weights)
        if self.tail is not None:
            self.tail.fill_(tail)


def on_ground(windows: Windows, tracks: Tracks, centres: Tensor) -> Windows:
    """Put the windows' own estimates in the place of the frames' triangulations."""
    if WINDOWS not in tracks.cache:
        raise RuntimeError("these tracks have no ground: prepare them first")
    xyz, info = (x[centres] for x in tracks.cache[WINDOWS])
    other = torch.arange(xyz.shape[1], device=xyz.device) != windows.centre
    bins = Bins(
        xyz[:, other].transpose(1, 2),
        info[:, other].transpose(1, 2),
        windows.is_distinct[:, other].long(),
    )
    return replace(windows, xyz=xyz, info=info, bins=bins)


_WINDOWS = 2048  # estimated at once


def _filled(xyz: Tensor, covariance: Tensor, other: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Return positions and information; `other` and 0 where nothing was seen or estimated."""
    is_known = xyz.isfinite().all(-1) & seen
    eye = torch.eye(3, dtype=xyz.dtype, device=xyz.device)
    info = geometry.invert_3x3(torch.where(is_known[..., None, None], covariance, eye))
    return (
        torch.where(xyz.isfinite(), xyz, other.double()).float(),
        torch.where(is_known[..., None, None], info, 0.0).float(),
    )


def _covariance(windows: Windows) -> Tensor:
    """Return the ground's covariances (B, K, 3, 3) [m^2] of the centre frames; 1 if unknown."""
    info = windows.info[:, windows.centre].double()
    eye = torch.eye(3, dtype=info.dtype, device=info.device)
    return geometry.invert_3x3(torch.where(_is_known(info)[..., None, None], info, eye))


def _is_known(info: Tensor) -> Tensor:
    return info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0


def _all_views(tracks: Tracks) -> Tensor:
    return torch.ones(len(tracks), tracks.uv.shape[1], dtype=torch.bool, device=tracks.uv.device)


def _without(tracks: Tracks, views: Tensor, rig: Rig) -> Tracks:
    """Triangulate frames anew from the views (N, V) that count: a start that others had no part in.

    The weights stay, so that they can score.
    """
    weights = tracks.weights * views.unsqueeze(-1)
    xyz, info, _ = triangulate_tracks(
        tracks.uv, weights, rig, tracks.keypoint, tracks.first, tracks.last
    )
    return replace(tracks, xyz=xyz, info=info)


def _is_view(view: Tensor, tracks: Tracks) -> Tensor:
    """Return (N, V) bool: the numbers (N,) as a mask."""
    return view[:, None] == torch.arange(tracks.uv.shape[1], device=view.device)


def _density_of(scene: Scene, found: Estimate, view: Tensor) -> Tensor:
    """Return the log density (N, K) of one view's detections, which had no part in an estimate."""
    tracks, w = scene.tracks, scene.witnesses
    row = torch.arange(len(tracks), device=view.device)
    cameras = scene.rig.intrinsics.double(), scene.rig.extrinsics.double()
    xyz = torch.where(found.xyz.isfinite(), found.xyz, tracks.xyz.double())
    predicted, J = (y[row, :, view] for y in geometry.projection_jacobian(xyz, *cameras))
    claimed = (
        (J @ found.covariance.nan_to_num(0.0) @ J.transpose(-1, -2))
        .diagonal(dim1=-2, dim2=-1)
        .mean(-1)
    )
    square = (tracks.uv[row, view].double() - predicted).square().sum(-1)
    spread = (w.spread[row, view].square() + claimed).sqrt()
    _, log = weigh(square, spread, w.odds[row, view], w.width, 1.0)
    return torch.where((tracks.weights[row, view] > 0) & tracks.is_real, log, 0.0)
