"""Rehearsals: scenes like those that were seen, whose true motion is known. No label is read.

An estimate of a scene takes the part of the truth. Its detections are the estimate's projections
plus the residuals of the real detections, with the signs turned in some of the views. Errors of
different views are independent, so turned errors are as likely as real ones; all of their own stays
as it was: how large they are, how long they last, which of them are gross, and what keypoints have
in common. How far the estimate from such detections is off is known in 3D (a wild bootstrap).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.blocks import Model
from pose_obj_3d.models.consensus.scene.blind_views import views_of_examples
from pose_obj_3d.models.consensus.scene.estimates import some_examples
from pose_obj_3d.models.consensus.scene.witnesses import Witnesses, weigh
from pose_obj_3d.tracks.triangulating import triangulate_tracks
from pose_obj_3d.tracks.triangulating_sets import estimate_frames_by_sets, without_strays
from pose_obj_3d.tracks.types import Tracks

Said = TypeVar("Said")

# Residuals are smaller than errors, by the root of 1 - leverage for an estimate without bias. An
# estimated motion is smoother than the true one, so a motion estimated from it is less biased. A
# power between 1/2 and that of a left-out view (1) makes up for it.
POWER = 0.75
# An average over frames follows a detection less than the frame's own point does.
AVERAGE_POWER = 0.25
EXAMPLES = 24  # of each part of the split, at most
MAX_LEVERAGE = 0.75
IN_TURN = 31  # patterns of signs that are taken in turn, at most
_MAX_BITS = 60  # of a pattern; more views repeat them
_LITTLE = 1e-3  # [1/m^2] information of what no view has seen


def rehearse(tracks: Tracks, xyz: Tensor, rig: Rig, is_average: bool = False) -> Tracks:
    """Make detections of a scene that moves as estimated, with errors like the real ones.

    Args:
        tracks: The data.
        xyz: (N, K, 3) its estimate, which is the truth of what is returned [m].
        rig: The cameras, float64.
        is_average: The estimate is an average over frames, triangulated from the most probable
            views; else a motion.

    Returns:
        Tracks with other detections, triangulated anew.
    """
    truth, cameras = xyz.double(), (rig.intrinsics.double(), rig.extrinsics.double())
    seen, J = geometry.projection_jacobian(truth, *cameras)  # (N, K, V, 2)
    residual = tracks.uv.double().transpose(1, 2) - seen
    power = AVERAGE_POWER if is_average else POWER
    error = residual * (1 - _leverage(tracks, residual, J, rig)).pow(-power).unsqueeze(-1)
    number, sees = views_of_examples(tracks)
    turned = signs(sees)[number].to(error)
    uv = (seen + turned[:, None, :, None] * error).transpose(1, 2).to(tracks.uv)
    where = tracks.keypoint, tracks.first, tracks.last
    if is_average and tracks.noise is not None:
        frames, _ = estimate_frames_by_sets(
            uv, tracks.weights, rig, tracks.keypoint, tracks.noise, tracks.claims
        )
        kept = without_strays(frames, tracks.weights, *where)
        again = {name: getattr(kept, name) for name in ("xyz", "info", "robust", "floor")}
        return replace(tracks, uv=uv, truth=None, **again)
    found, info, robust = triangulate_tracks(uv, tracks.weights, rig, *where)
    return replace(tracks, uv=uv, xyz=found, info=info, robust=robust, truth=None)


def known_errors(
    tracks: Tracks,
    rig: Rig,
    model: Model,
    predict: Callable[[Tracks], Iterable[tuple[Said, Tensor]]],
    is_average: bool = False,
) -> Iterator[tuple[Said, Tensor]]:
    """Give what a model says in a rehearsal, and how far its predictions are off (B, K, 3) [m].

    Args:
        tracks: The data.
        rig: The cameras, float64.
        model: Prepares tracks to be lifted.
        predict: Says something of prepared tracks, batch by batch, and predicts their frames.
        is_average: As in `rehearse`.
    """
    tracks = some_examples(tracks, EXAMPLES)
    truth = torch.cat([xyz for _, xyz in predict(model.prepare(tracks, rig))])
    begin = 0
    for said, xyz in predict(model.prepare(rehearse(tracks, truth, rig, is_average), rig)):
        yield said, xyz - truth[begin : begin + len(xyz)]
        begin += len(xyz)


def signs(sees: Tensor) -> Tensor:
    """Return the signs (E, V) of the views in E examples, 1 or -1.

    Of each example's own views (E, V) bool: all patterns in turn but the one that turns no view, or
    all: it would give back what was seen. Where there are more patterns than examples, these take
    patterns by chance, so that as many views are turned as not.
    """
    number = torch.arange(len(sees), device=sees.device)
    chance = torch.Generator().manual_seed(0)
    drawn = torch.randint(2**62, (len(sees),), generator=chance).to(sees.device)
    bits = (sees.sum(1) - 1).clamp(1, _MAX_BITS)
    patterns = 2**bits - 1
    pattern = 1 + torch.where(patterns > IN_TURN, drawn, number) % patterns
    # The last of an example's views is never turned: to turn all others is the same.
    place = (sees.cumsum(1) - 1).clamp_min(0) % (bits + 1).unsqueeze(1)
    is_turned = (pattern.unsqueeze(1) >> place) & 1
    return torch.where(sees, 1 - 2 * is_turned, 1)


def _leverage(tracks: Tracks, residual: Tensor, jacobian: Tensor, rig: Rig) -> Tensor:
    """Return what share of a detection's own error its frame's point follows: (N, K, V)."""
    witnesses = Witnesses.of(tracks, rig)
    spread, odds = (x.transpose(1, 2) for x in (witnesses.spread, witnesses.odds))
    precision, _ = weigh(residual.square().sum(-1), spread, odds, witnesses.width, 1.0)
    precision = torch.where((tracks.weights > 0).transpose(1, 2), precision, 0.0)
    J = jacobian
    info = torch.einsum("nkvri,nkvrj,nkv->nkij", J, J, precision)
    covariance = geometry.invert_3x3(info + _LITTLE * torch.eye(3).to(info))
    leverage = torch.einsum("nkvri,nkij,nkvrj,nkv->nkv", J, covariance, J, precision) / 2
    return leverage.clamp(0, MAX_LEVERAGE)
