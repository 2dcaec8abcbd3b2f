"""Lift the tracks of a file by all that there is, keep what predicts best, and bound it to the measurements."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.lifting import choice as lift_choice
from pose_obj_3d.lifting.choice import ROBUST, Results
from pose_obj_3d.lifting.gaps import bounded, is_measured
from pose_obj_3d.lifting.learning import Lifter
from pose_obj_3d.lifting.track_files.track_file import METRES, TrackFile
from pose_obj_3d.lifting.tracks_from_file import Motion, OwnData, smooth_tracks
from pose_obj_3d.tracks.types import Tracks

RTS = "RTS smoother, robust"
MANY = (
    0.05  # share of the points that are NaN for want of measurements, from which that is a warning
)


@dataclass(frozen=True)
class Lifted:
    """A result, with what it rests on. Lengths are in units of `OwnData.unit_m`.

    Attributes:
        name: The method, for several the first with those of other keypoints.
        names: The method of each of the K keypoints.
        estimate: (N, K, 3); NaN where nothing is known.
        measured: (N, K) where the frame's own measurement went in.
        kept: The tracks without outliers.
        weights: (N, V, K) weight that each detection had.
        results: Method -> estimate, of all keypoints, bounded in the same way.
        left_out: Method -> residuals (N', V, K) [px] of what was left out.
        choice: Why this was kept.
        counts: Points bridged, and taken out: `outside`, `vague`.
        limit: Largest standard deviation that a bridged point claims.
        warnings: Lines.
        notes: Lines that are no reason to worry.
    """

    name: str
    names: list[str]
    estimate: Estimate
    measured: Tensor
    kept: Tracks
    weights: Tensor
    results: Results
    left_out: dict[str, Tensor]
    choice: lift_choice.Choice
    counts: dict[str, int]
    limit: float
    warnings: list[str]
    notes: list[str]


@dataclass(frozen=True)
class Lifting:
    """What a file can be lifted by.

    Attributes:
        file: What was read.
        data: The tracks with all detections.
        kept: The tracks without outliers.
        motions: Each keypoint's, for the smoother.
        lifter: A model, or None.
    """

    file: TrackFile
    data: OwnData
    kept: Tracks
    motions: list[Motion]
    lifter: Lifter | None

    def results(self, tracks: Tracks, blind: bool = False) -> Results:
        """Lift tracks by the model, if any, and by the smoother: (N, K, 3) each.

        The smoother speaks where fewer than two cameras see a keypoint: a model is not trained on
        gaps.
        """
        smoothed = _known(smooth_tracks(tracks, self.motions, 1 / self.file.fps, blind), tracks)
        if self.lifter is None:
            return {RTS: smoothed}
        ours = _known(self.lifter.lift(tracks, blind), tracks)
        seen = ((tracks.weights > 0).sum(1) >= 2)[..., None]
        both = Estimate(
            torch.where(seen, ours.xyz, smoothed.xyz),
            torch.where(seen[..., None], ours.covariance, smoothed.covariance),
        )
        return {self.lifter.name: both, RTS: smoothed}

    def left_out(self) -> dict[str, Tensor]:
        """Return residuals of what was left out: of cameras, or of frames where a model and only two cameras are there."""
        tracks, rig = self.data.tracks, self.data.rig
        found = lift_choice.leave_out_views(tracks, self.kept, rig, self.results)
        if any(bool(x.isfinite().any()) for x in found.values()) or self.lifter is None:
            return found
        # Frames that chose the epoch, but taught nothing, judge a model that was learned here.
        val = (
            self.lifter.val
            if self.lifter.val is not None and len(self.lifter.val) >= lift_choice.MIN_SCORED
            else self.kept
        )
        found = lift_choice.leave_out_frames(val, rig, self.results(val, blind=True))
        before = torch.full_like(tracks.weights[: len(tracks) - len(val)], torch.nan)
        return {name: torch.cat([before, x.to(before)]) for name, x in found.items()}

    def result(self, keep: str, limit: float) -> Lifted:
        """Lift, choose, and bound.

        Args:
            keep: `best`, or what to keep whatever was found: `model`, `smoother`, `triangulation`.
            limit: Largest standard deviation that a point between measurements may claim.
        """
        tracks, rig, file = self.data.tracks, self.data.rig, self.file
        single = lift_choice.triangulation(tracks, rig)
        measured = (
            {} if self.lifter is None else {self.lifter.name: self.lifter.measured(self.kept)}
        )
        measured[RTS] = is_measured(self.kept)
        everything = {**self.results(self.kept), ROBUST: single}
        left_out = self.left_out()
        choice = lift_choice.choose(tracks, rig, left_out, measured, single, file.keypoint_names)
        names, warnings = choice.names, list(choice.warnings)
        if keep != "best":
            forced = {"model": next(iter(measured)), "smoother": RTS, "triangulation": ROBUST}[keep]
            names = [forced] * len(names)
            warnings = [f"--keep {keep}: {line}" for line in warnings]
        measured[ROBUST] = single.xyz.isfinite().all(-1)
        own = torch.stack([measured[name][:, k] for k, name in enumerate(names)], 1)
        found = bounded(lift_choice.composed(everything, names), own, self.kept, limit)
        results = {
            name: bounded(e, measured[name], self.kept, limit).estimate
            for name, e in everything.items()
            if name != ROBUST
        }
        assert single.inliers is not None
        is_single = torch.tensor([name == ROBUST for name in names])
        weights = torch.where(
            is_single, single.inliers.transpose(1, 2).to(self.kept.robust), self.kept.robust
        )
        main = next(iter(dict.fromkeys(sorted(names, key=lambda n: -names.count(n)))))
        others = [name for name in dict.fromkeys(names) if name != main]
        name = main + "".join(
            f"; {lift_choice.listed(file.keypoint_names, [k for k, n in enumerate(names) if n == o])}: {o}"
            for o in others
        )
        counts = {"bridged": found.bridged, "outside": found.outside, "vague": found.vague}
        notes = _unlifted(counts, limit * self.data.unit_m / METRES[file.unit], file.unit)
        if counts["outside"] + counts["vague"] > MANY * int(tracks.is_real.sum()):
            warnings, notes = warnings + notes, []
        warnings += self._claims(found.estimate, own, main)
        warnings += _dropped(~own[single.xyz.isfinite().all(-1)])
        return Lifted(
            name,
            names,
            found.estimate,
            own,
            self.kept,
            weights,
            results,
            left_out,
            choice,
            counts,
            limit,
            warnings,
            notes,
        )

    def _claims(self, estimate: Estimate, measured: Tensor, name: str) -> list[str]:
        if not bool(measured.any()) or bool(estimate.covariance[measured].isfinite().any()):
            return []
        return [
            f"{name} claims no covariance: points3d.npz has NaN wherever two cameras see a"
            " keypoint, coordinates.png no bands, and outliers are those dropped before it lifted"
        ]


def _known(estimate: Estimate, tracks: Tracks) -> Estimate:
    """Return the estimate in float64, NaN where the sequence never shows the keypoint to two views."""
    lost = (tracks.keypoint < 0)[..., None].cpu()
    xyz, covariance = estimate.xyz.cpu().double(), estimate.covariance.cpu().double()
    return Estimate(
        xyz.masked_fill(lost, torch.nan), covariance.masked_fill(lost[..., None], torch.nan)
    )


def _dropped(lost: Tensor) -> list[str]:
    """Say that many of the triangulated points were dropped (n,), more than chance explains; else none."""
    count = int(lost.sum())
    if not lift_choice.is_many(count, len(lost)):
        return []
    return [
        f"{count} points that two cameras or more see ({100 * count / len(lost):.1f} %) were"
        " dropped: their cameras disagree, or they are far from the frames around; is_measured is"
        " false there"
    ]


def _unlifted(counts: dict[str, int], limit: float, unit: str) -> list[str]:
    """Say in one line what is not lifted; none where everything is."""
    if not counts["outside"] + counts["vague"]:
        return []
    return [
        f"{counts['outside']} points before the first or after the last measurement of their"
        f" keypoint in a sequence, and {counts['vague']} between measurements whose deviation would"
        f" pass {limit:.3g} {unit} (--bridge_limit), are NaN; {counts['bridged']} between"
        " measurements are bridged"
    ]
