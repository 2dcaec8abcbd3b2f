"""Whole scenes at once: the most likely motion of every body, given detections that err for long.

The estimate of a sequence maximises the density of its detections (`witnesses`), of the steps from
frame to frame, and of the distances that keypoints keep (`shapes`). Steps have heavy tails: things
rest or move. Errors that last carry less information than their number says, so all of it is
divided by how many frames share an error. Every iteration solves a block tridiagonal system.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.consensus.scene.chains import solve_chain
from pose_obj_3d.models.consensus.scene.shapes import Shapes, tie
from pose_obj_3d.models.consensus.scene.witnesses import Witnesses, weigh
from pose_obj_3d.tracks.types import Tracks

ITERATIONS = 15
STIFFNESS, COOLING = 20.0, 0.6  # how large the errors count at first, and how fast that ends
WARM = 5.0  # the same from an estimate that is nearly right
_STARTS = (6, 8)  # iterations from some of the views, then from all
_SLACK = 0.5  # of distances, in standard deviations of a frame for each unit of stiffness
_REST = 1.0  # step that still counts as rest, in standard deviations of a frame
_HOLD = 1.0  # [1/m^2] keeps a point where it was while nothing else does
_SAME = 1e6  # [1/m^2] ties frames that only fill up a batch
_CELLS = 2_000_000  # entries of the matrices of a batch; bounds the memory
_MANY_VIEWS = 5  # from here on, starts leave out one view each


@dataclass(frozen=True)
class Belief:
    """What is known of a scene before its detections.

    Attributes:
        step: (P,) mean length of a keypoint's step from frame to frame [m].
        shapes: The distances that keypoints keep.
        shared: Frames that share an error.
        unit: Standard deviation of a frame's position [m].
    """

    step: Tensor
    shapes: Shapes
    shared: float
    unit: float


@dataclass(frozen=True)
class Sequences:
    """S sequences of T frames, each of one body with n keypoints.

    Attributes:
        rows: (T, S) frames of the tracks; sequences shorter than the longest repeat their last one.
        is_there: (T, S) False where a frame is only repeated.
        columns: (S, n) columns of the tracks.
        views: (S, V) views that count.
        pairs: (2, p) the tied keypoints, among the n.
        keypoint: (S, n) numbers of the keypoints.
        number: (S,) which of the rows of frames a sequence is of.
    """

    rows: Tensor
    is_there: Tensor
    columns: Tensor
    views: Tensor
    pairs: Tensor
    keypoint: Tensor
    number: Tensor

    def chunks(self, times: int = 1) -> Iterator["Sequences"]:
        """Split into batches that fit the memory, so many times; their common padding goes."""
        T, n = len(self.rows), self.columns.shape[1]
        size = max(1, _CELLS // (T * (3 * n) ** 2 * times))
        for some in torch.split(torch.arange(len(self.columns), device=self.rows.device), size):
            frames = slice(0, 1 + int(self.is_there[:, some].any(1).nonzero().max()))
            yield replace(
                self,
                rows=self.rows[frames, some],
                is_there=self.is_there[frames, some],
                columns=self.columns[some],
                views=self.views[some],
                keypoint=self.keypoint[some],
                number=self.number[some],
            )

    def of(self, values: Tensor) -> Tensor:
        """Look up values (N, K, *) of the tracks: (T, S, n, *)."""
        return values[self.rows.unsqueeze(-1), self.columns]


def sequences_of(
    tracks: Tracks, rows: Tensor, is_there: Tensor, views: Tensor, shapes: Shapes, apart: bool
) -> list[Sequences]:
    """Make a sequence of every row of frames and every body that it has.

    Args:
        tracks: The data.
        rows: (T, R) frames.
        is_there: (T, R).
        views: (R, V) bool, the views that count.
        shapes: What is tied; decides the bodies.
        apart: Estimate every keypoint on its own.
    """
    P = len(shapes.spread)
    bodies = [[k] for k in range(P)] if apart else shapes.bodies()
    found: dict[tuple[int, ...], list[tuple[int, list[int]]]] = {}
    keypoints = tracks.keypoint[rows[0]].tolist()
    for row, present in enumerate(keypoints):
        column = {index: k for k, index in enumerate(present) if index >= 0}
        for number, body in enumerate(bodies):
            here = [k for k in body if k in column]
            if here:
                key = (len(here),) if len(here) == 1 else (len(here), number, *here)
                found.setdefault(key, []).append((row, [column[k] for k in here]))
    sequences = []
    device = rows.device
    for members in found.values():
        chosen = torch.tensor([row for row, _ in members], device=device)
        columns = torch.tensor([columns for _, columns in members], device=device)
        numbers = tracks.keypoint[rows[0, chosen].unsqueeze(-1), columns]
        n = columns.shape[1]
        tied = shapes.spread[numbers[0][:, None], numbers[0]].isfinite() if n > 1 else None
        pairs = torch.zeros(2, 0, dtype=torch.long, device=device)
        if tied is not None:
            pairs = tied.triu(1).nonzero().T
        sequences.append(
            Sequences(
                rows[:, chosen], is_there[:, chosen], columns, views[chosen], pairs, numbers, chosen
            )
        )
    return sequences


@dataclass(frozen=True)
class Scene:
    """The detections, the cameras, and what is known before: all that an estimate needs."""

    tracks: Tracks
    witnesses: Witnesses
    rig: Rig
    belief: Belief

    @staticmethod
    def of(tracks: Tracks, rig: Rig, belief: Belief) -> "Scene":
        """Gather it."""
        return Scene(tracks, Witnesses.of(tracks, rig), rig, belief)

    def descend(
        self, seq: Sequences, start: Tensor, iterations: int, stiffness: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Improve an estimate.

        Args:
            seq: The sequences.
            start: (T, S, n, 3) [m].
            iterations: How often.
            stiffness: How large the errors count at first, in good ones; 1: as they are.

        Returns:
            Positions (T, S, n, 3) [m], covariances (T, S, n, 3, 3) [m^2], and the log density of
            every keypoint's detections and steps (S, n).
        """
        belief, w = self.belief, self.witnesses
        uv = seq.of(self.tracks.uv.double().transpose(1, 2))  # (T, S, n, V, 2)
        is_used = (
            (seq.of(self.tracks.weights.transpose(1, 2)) > 0)
            & seq.is_there[..., None, None]
            & seq.views[:, None]
        )
        spread, odds = (seq.of(x.transpose(1, 2)) for x in (w.spread, w.odds))
        cameras = self.rig.intrinsics.double(), self.rig.extrinsics.double()
        step = belief.step.to(start)[seq.keypoint]
        rest = _REST * belief.unit
        x, covariance = start, torch.zeros(*start.shape, 3, dtype=start.dtype, device=start.device)
        density = torch.zeros_like(step)
        for number in range(iterations):
            loose = max(1.0, stiffness * COOLING**number)
            predicted, J = geometry.projection_jacobian(x, *cameras)
            residual = uv - predicted
            precision, log = weigh(residual.square().sum(-1), spread, odds, w.width, loose)
            counts = is_used & geometry.is_in_front(x, cameras[1])
            precision = torch.where(counts, precision, 0.0) / belief.shared
            JtW = J * precision[..., None, None]
            info = torch.einsum("tskvri,tskvrj->tskij", JtW, J)
            moment = torch.einsum("tskvri,tskvr->tski", JtW, residual)
            moment = moment + ((info + _HOLD * _eye(x)) @ x.unsqueeze(-1)).squeeze(-1)
            moved = ((x[1:] - x[:-1]).square().sum(-1) + rest**2).sqrt()
            link = torch.where(seq.is_there[1:].unsqueeze(-1), 1 / (step * moved), _SAME)
            length = (moved * seq.is_there[1:].unsqueeze(-1) / step).sum(0)
            density = (torch.where(is_used, log, 0.0)).sum((0, 3)) / belief.shared - length
            slack = _SLACK * belief.unit * (loose - 1)
            x, covariance = self._step(seq, x, info, moment, link, slack)
        return x, covariance, density

    def _step(
        self,
        seq: Sequences,
        x: Tensor,
        info: Tensor,
        moment: Tensor,
        link: Tensor,
        slack: float,
    ) -> tuple[Tensor, Tensor]:
        T, S, n, _ = x.shape
        own = info + _HOLD * _eye(x)
        own[1:] += link[..., None, None] * _eye(x)
        own[:-1] += link[..., None, None] * _eye(x)
        blocks = x.new_zeros(T, S, n, n, 3, 3)
        if seq.pairs.shape[1]:
            a, b = seq.pairs
            ids = seq.keypoint[0]
            shapes = self.belief.shapes
            distance, spread = (m.to(x)[ids[a], ids[b]] for m in (shapes.distance, shapes.spread))
            tied, wanted = tie(x, seq.pairs, distance, spread, slack)
            tied, wanted = (
                y * seq.is_there.view(T, S, *[1] * (y.ndim - 2)) for y in (tied, wanted)
            )
            own.index_add_(2, a, tied).index_add_(2, b, tied)
            moment = moment.index_add(2, a, wanted).index_add(2, b, -wanted)
            blocks[:, :, a, b] = -tied
            blocks[:, :, b, a] = -tied
        every = torch.arange(n, device=x.device)
        blocks[:, :, every, every] = own
        flat = blocks.transpose(3, 4).reshape(T, S, 3 * n, 3 * n)
        found, covariance = solve_chain(
            flat, link.repeat_interleave(3, -1), moment.reshape(T, S, 3 * n)
        )
        own_covariance = covariance.reshape(T, S, n, 3, n, 3)[:, :, every, :, every]
        return found.reshape(T, S, n, 3), own_covariance.movedim(0, 2)

    def best_start(self, seq: Sequences, start: Tensor) -> Tensor:
        """Choose, for keypoints on their own, the best of several starts.

        Where gross errors last for a whole sequence, the views that agree at first may be the wrong
        ones. So each small set of views proposes an estimate, all views improve it, and the most
        likely one is taken.

        Args:
            seq: Sequences of single keypoints.
            start: (T, S, 1, 3) [m].

        Returns:
            (T, S, 1, 3) [m].
        """
        sets = self.proposals(seq)
        S, n = seq.rows.shape[1], len(sets)
        if not n:  # two views: they have one start
            return self.descend(seq, start, ITERATIONS, STIFFNESS)[0]
        many = replace(
            seq,
            rows=seq.rows.repeat(1, n),
            is_there=seq.is_there.repeat(1, n),
            columns=seq.columns.repeat(n, 1),
            keypoint=seq.keypoint.repeat(n, 1),
            number=seq.number.repeat(n),
            views=sets.flatten(0, 1),
        )
        proposed, _, _ = self.descend(many, start.repeat(1, n, 1, 1), _STARTS[0], STIFFNESS)
        every = replace(many, views=seq.views.repeat(n, 1))
        found, _, density = self.descend(every, proposed, _STARTS[1], 1.0)
        first, _, at_first = self.descend(seq, start, ITERATIONS, STIFFNESS)
        found = torch.cat([first.unsqueeze(1), found.reshape(len(found), n, *first.shape[1:])], 1)
        best = torch.cat([at_first.unsqueeze(0), density.reshape(n, S, -1)]).squeeze(-1).argmax(0)
        return found[:, best, torch.arange(S, device=best.device)]

    def proposals(self, seq: Sequences) -> Tensor:
        """Return the sets (n, S, V) of each sequence's own views that propose an estimate."""
        weights = seq.of(self.tracks.weights.transpose(1, 2))  # (T, S, 1, V)
        sees = ((weights > 0) & seq.is_there[..., None, None]).any(0).squeeze(1) & seq.views
        sets = view_sets(int(sees.sum(1).max())).to(sees.device)
        place = (sees.cumsum(1) - 1).clamp_min(0)
        return sets[:, place] & sees


def view_sets(num_views: int) -> Tensor:
    """Return the sets of views (n, V) that propose an estimate."""
    sizes = range(2, num_views) if num_views < _MANY_VIEWS else (num_views - 1,)
    sets = [c for size in sizes for c in combinations(range(num_views), size)]
    chosen = torch.zeros(len(sets), num_views, dtype=torch.bool)
    for number, views in enumerate(sets):
        chosen[number, list(views)] = True
    return chosen


def _eye(like: Tensor) -> Tensor:
    return torch.eye(3, dtype=like.dtype, device=like.device)
