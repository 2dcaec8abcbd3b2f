"""Lift tracks by every method there is, keep what predicts best, take out what is too uncertain."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.lifting import choice
from pose_obj_3d.lifting.choice import ROBUST, Choice, LeftOut, Results
from pose_obj_3d.lifting.gaps import Bounded, bounded, is_measured
from pose_obj_3d.lifting.judging import claims
from pose_obj_3d.lifting.judging.claims import Held
from pose_obj_3d.lifting.learning import Lifter
from pose_obj_3d.lifting.track_files.members import METRES
from pose_obj_3d.lifting.track_files.track_file import TrackFile
from pose_obj_3d.lifting.tracks_from_file import Motion, OwnData, smooth_tracks
from pose_obj_3d.tracks import map_smoothing
from pose_obj_3d.tracks.types import Tracks

RTS = "RTS smoother, robust"
MAP = "most probable track (MAP)"
# If more than this share of the points is NaN for lack of measurements, there is a warning.
MANY = 0.05


@dataclass(frozen=True)
class Lifted:
    """A result, with what supports it. Lengths are in units of `OwnData.unit_m`.

    Attributes:
        name: The method; where keypoints have different ones, the most frequent first.
        names: The method of each of the K keypoints.
        estimate: (N, K, 3); NaN where nothing is known.
        measured: (N, K) where the frame's own measurement went in.
        kept: The tracks without outliers.
        weights: (N, V, K) weight that each detection had.
        results: Method -> estimate of all keypoints, with the same points taken out.
        left_out: Method -> residuals (N', V, K) [px] of what was left out.
        held: Method -> what its covariances hold of left-out detections; they are multiplied by
            its `factor`.
        choice: Why this was kept.
        counts: How many points were bridged, and how many were taken out.
        limit: Largest standard deviation that a bridged point may have.
        warnings: What looks wrong, one line each.
        notes: What else a reader should know, one line each.
    """

    name: str
    names: list[str]
    estimate: Estimate
    measured: Tensor
    kept: Tracks
    weights: Tensor
    results: Results
    left_out: dict[str, Tensor]
    held: dict[str, Held]
    choice: Choice
    counts: Bounded
    limit: float
    warnings: list[str]
    notes: list[str]


@dataclass(frozen=True)
class Lifting:
    """The tracks of a file, and all methods that can lift them.

    Attributes:
        file: What was read.
        data: The tracks with all detections.
        kept: The tracks without outliers.
        motions: How each keypoint moves, for the smoother.
        lifter: A model, or None.
        map_motions: How each keypoint moves, for the most probable track; None leaves it out.
    """

    file: TrackFile
    data: OwnData
    kept: Tracks
    motions: list[Motion]
    lifter: Lifter | None
    map_motions: map_smoothing.Motions | None = None

    def results(self, tracks: Tracks, blind: bool = False) -> Results:
        """Lift tracks by all methods but single frames: (N, K, 3) each.

        The most probable track is never blind: it is left out of blind results. Where fewer than
        two cameras see a keypoint, the model's points are replaced by the smoother's: a model is
        not trained on gaps.
        """
        smoothed = _known(smooth_tracks(tracks, self.motions, 1 / self.file.fps, blind), tracks)
        classical = {RTS: smoothed}
        if self.map_motions is not None and not blind:
            found = map_smoothing.smooth(tracks, self.data.rig, self.map_motions)
            classical[MAP] = _known(found, tracks)
        if self.lifter is None:
            return classical
        ours = _known(self.lifter.lift(tracks, blind), tracks)
        seen = ((tracks.weights > 0).sum(1) >= 2)[..., None]
        both = Estimate(
            torch.where(seen, ours.xyz, smoothed.xyz),
            torch.where(seen[..., None], ours.covariance, smoothed.covariance),
        )
        return {self.lifter.name: both, **classical}

    def left_out(self) -> LeftOut:
        """Predict left-out cameras; left-out frames for a model with two cameras."""
        tracks, rig = self.data.tracks, self.data.rig
        found = choice.leave_out_views(tracks, self.kept, rig, self.results)
        if any(bool(x.isfinite().any()) for x in found.off.values()) or self.lifter is None:
            return found
        # A model that was trained here is judged by its validation frames: they chose the epoch,
        # but the model was not fitted to them.
        val = (
            self.lifter.val
            if self.lifter.val is not None and len(self.lifter.val) >= choice.MIN_SCORED
            else self.kept
        )
        frames = choice.leave_out_frames(val, rig, self.results(val, blind=True))
        before = torch.full_like(tracks.weights[: len(tracks) - len(val)], torch.nan)
        return LeftOut({n: torch.cat([before, x.to(before)]) for n, x in frames.items()}, {})

    def held(self, left_out: LeftOut) -> dict[str, Held]:
        """Say for each method what its covariances hold of left-out detections."""
        found = {
            name: claims.held(
                claims.missed(far, left_out.off[name], self.data.tracks, self.data.noise)
            )
            for name, far in left_out.deviation.items()
        }
        return {name: x for name, x in found.items() if x is not None}

    def result(self, keep: str, limit: float) -> Lifted:
        """Lift by all methods, choose one for each keypoint, and take out uncertain points.

        Args:
            keep: `best`: left-out detections choose; else the result to keep: `model`, `map`,
                `smoother`, `triangulation`.
            limit: Largest standard deviation that a point between measurements may have.
        """
        tracks, rig, file = self.data.tracks, self.data.rig, self.file
        single = choice.triangulation(tracks, rig)
        measured = (
            {} if self.lifter is None else {self.lifter.name: self.lifter.measured(self.kept)}
        )
        measured[RTS] = is_measured(self.kept)
        if self.map_motions is not None:
            measured[MAP] = measured[RTS]
        everything = {**self.results(self.kept), ROBUST: single}
        left_out = self.left_out()
        held = self.held(left_out)
        for method, x in held.items():
            everything[method] = claims.widened(everything[method], x.factor)
        chosen = choice.choose(
            tracks,
            rig,
            left_out.off,
            measured,
            single,
            file.keypoint_names,
            self.lifter.name if self.lifter is not None and self.lifter.val is not None else None,
        )
        names, warnings = chosen.names, list(chosen.warnings)
        if keep != "best":
            forced = {
                "model": next(iter(measured)),
                "map": MAP,
                "smoother": RTS,
                "triangulation": ROBUST,
            }[keep]
            names = [forced] * len(names)
            warnings = [f"--keep {keep}: {line}" for line in warnings]
        measured[ROBUST] = single.xyz.isfinite().all(-1)
        own = torch.stack([measured[name][:, k] for k, name in enumerate(names)], 1)
        found = bounded(choice.composed(everything, names), own, self.kept, limit)
        name, main = _title(names, file.keypoint_names)
        notes = _unlifted(found, limit * self.data.unit_m / METRES[file.unit], file.unit)
        if found.outside + found.vague > MANY * int(tracks.is_real.sum()):
            warnings, notes = warnings + notes, []
        warnings += _without_covariance(found.estimate, own, main)
        warnings += _dropped(~own[single.xyz.isfinite().all(-1)])
        return Lifted(
            name=name,
            names=names,
            estimate=found.estimate,
            measured=own,
            kept=self.kept,
            weights=self._weights(single, names),
            results={
                name: bounded(estimate, measured[name], self.kept, limit).estimate
                for name, estimate in everything.items()
                if name != ROBUST
            },
            left_out=left_out.off,
            held=held,
            choice=chosen,
            counts=found,
            limit=limit,
            warnings=warnings,
            notes=notes,
        )

    def _weights(self, single: Estimate, names: list[str]) -> Tensor:
        """Return the weight (N, V, K) that each detection had in the method of its keypoint."""
        assert single.inliers is not None
        is_single = torch.tensor([name == ROBUST for name in names])
        inliers = single.inliers.transpose(1, 2).to(self.kept.robust)
        return torch.where(is_single, inliers, self.kept.robust)


def _title(names: list[str], keypoints: list[str]) -> tuple[str, str]:
    """Return the methods in one line, the most frequent first, and the most frequent alone."""
    main = next(iter(dict.fromkeys(sorted(names, key=lambda n: -names.count(n)))))
    title = main
    for other in dict.fromkeys(name for name in names if name != main):
        own = [k for k, name in enumerate(names) if name == other]
        title += f"; {choice.listed(keypoints, own)}: {other}"
    return title, main


def _without_covariance(estimate: Estimate, measured: Tensor, name: str) -> list[str]:
    """Say that a method gives no covariance; none where it does."""
    if not bool(measured.any()) or bool(estimate.covariance[measured].isfinite().any()):
        return []
    return [
        f"{name} claims no covariance: it is NaN wherever two cameras see a keypoint,"
        " coordinates.png has no bands, and only detections that were dropped before lifting"
        " count as outliers"
    ]


def _known(estimate: Estimate, tracks: Tracks) -> Estimate:
    """Return the estimate in float64; NaN in sequences where two views never see the keypoint."""
    lost = (tracks.keypoint < 0)[..., None].cpu()
    xyz, covariance = estimate.xyz.cpu().double(), estimate.covariance.cpu().double()
    return Estimate(
        xyz.masked_fill(lost, torch.nan), covariance.masked_fill(lost[..., None], torch.nan)
    )


def _dropped(lost: Tensor) -> list[str]:
    """Warn where more of the triangulated points (n,) were dropped than chance explains."""
    count = int(lost.sum())
    if not choice.is_many(count, len(lost)):
        return []
    return [
        f"{count} points that two cameras or more see ({100 * count / len(lost):.1f} %) were"
        " dropped: their cameras disagree, or they are far from the points of the frames before"
        " and after; is_measured is false there"
    ]


def _unlifted(found: Bounded, limit: float, unit: str) -> list[str]:
    """Say in one line which points are not lifted; none where all are."""
    if not found.outside + found.vague:
        return []
    return [
        f"{found.outside} points before the first or after the last measurement of their"
        f" keypoint in a sequence, and {found.vague} between measurements whose standard deviation"
        f" would be above {limit:.3g} {unit} (--bridge_limit), are NaN; {found.bridged} between"
        " measurements are bridged"
    ]
