"""Choose how each keypoint moves by how likely left-out views are. No truth is read.

A prior that is too tight flattens fast motion, and none is right for frames in no order of time.
So each view in turn is left out, and its detections are scored: a density that is high only where
the tracks are right *and* their covariance says how right they are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pose_obj_3d.smoothing.maximum_posterior import detections as likelihood
from pose_obj_3d.smoothing.maximum_posterior.estimation import Posterior, Problem, estimate
from pose_obj_3d.smoothing.maximum_posterior.motion import MotionScale

# Steps, in distances to the cameras: at 1.8 m, of 0.27 m to 2 cm a frame. Tighter ones are better
# for what mostly rests, and then flatten it where it moves.
STEPS = (0.15, 0.04, 0.012)
BEND = 1 / 3  # scale of bends, in those of steps
RESTING = (0.04, 0.012)  # steps that are tried with an attraction to rest, too
GLIDING = (0.04, 0.0015)  # step and bend of what moves on evenly
STILL = 0.06  # step of what does not move at all [standard deviations of a frame]
_FIRST, _MORE = 8, 4  # iterations of the first scale, and of each further one from there
DEFAULT = 2  # number of the candidate where no view can be left out
MIN_SCORED = 100  # a keypoint with fewer scored detections is judged together with the others
MAX_LEFT_OUT = 6  # views that are left out in turn, spread over all
BLOCK = 10  # frames: neighbours are alike, and count as one observation


@dataclass(frozen=True)
class Candidate:
    """One way to move. Infinite scales are frames in no order.

    Attributes:
        step: Scale of steps [distances to the cameras].
        bend: Scale of bends, likewise.
        rests: 1 with an attraction to rest, else 0.
        still: Whether steps have the scale `STILL`, and bends none.
    """

    step: float
    bend: float
    rests: float = 0.0
    still: bool = False

    @property
    def has_order(self) -> bool:
        """Whether frames say something about each other."""
        return self.step < math.inf or self.still


def candidates() -> list[Candidate]:
    """List the ways to move: no order first, then from loose to tight."""
    found = [Candidate(math.inf, math.inf)]
    for step in STEPS:
        found.append(Candidate(step, BEND * step))
        if step in RESTING:
            found.append(Candidate(step, BEND * step, 1.0))
    return [*found, Candidate(*GLIDING), Candidate(math.inf, math.inf, still=True)]


def scale_of(chosen: Tensor, problem: Problem) -> MotionScale:
    """Return the scales of candidates by their numbers (B,), for a problem's tracks."""
    table = [
        (STILL if c.still else c.step * problem.reach / problem.unit, c.bend, c.rests)
        for c in candidates()
    ]
    step, bend, rests = torch.tensor(table).to(problem.start)[chosen].unbind(-1)
    return MotionScale(step, bend * problem.reach / problem.unit, rests)


def left_out_scores(problem: Problem) -> Tensor:
    """Score every candidate on the detections of each view, given the other views.

    Scored are detections in frames where two other views see the point; of many views, some.

    Returns:
        Log likelihoods (C, T, B), summed over the views that are scored; 0 where none is.
    """
    found = problem.found
    V = len(found.is_used)
    views = sorted({round(v) for v in torch.linspace(0, V - 1, min(V, MAX_LEFT_OUT)).tolist()})
    n = len(views)
    others = (found.is_used.sum(0) - found.is_used.long()) >= 2  # (V, T, B)
    scored = found.is_used & others & problem.is_there
    blind = replace(
        problem,
        found=found.without_each(views),
        start=problem.start.repeat(1, 1, n),
        is_there=problem.is_there.repeat(1, n),
        inflation=problem.inflation.repeat(n),
    )
    scores: list[Tensor] = []
    last: Posterior | None = None
    for candidate in candidates():
        now = blind
        if not candidate.has_order:
            now = replace(blind, inflation=torch.ones_like(blind.inflation))
        posterior = _estimated(now, candidate, last)
        if candidate.has_order and not candidate.rests:
            last = posterior
        scores.append(_scored(posterior, found, scored, views))
    return torch.stack(scores)


def _estimated(problem: Problem, candidate: Candidate, last: Posterior | None) -> Posterior:
    """Estimate under a candidate, from what a looser one has found."""
    number = candidates().index(candidate)
    B = problem.start.shape[2]
    scale = scale_of(torch.full((B,), number, device=problem.start.device), problem)
    if last is None:
        return estimate(problem, scale, _FIRST)
    return estimate(
        replace(problem, start=last.x), scale, _MORE, widening=1.0, known=last.covariance
    )


def _scored(
    posterior: Posterior, found: likelihood.Detections, scored: Tensor, views: Sequence[int]
) -> Tensor:
    _, T, B = scored.shape
    total = posterior.x.new_zeros(T, B)
    for number, v in enumerate(views):
        own = slice(number * B, (number + 1) * B)
        view = slice(v, v + 1)
        one = replace(
            found,
            uv=found.uv[view],
            whitening=None if found.whitening is None else found.whitening[view],
            sigma=found.sigma[view],
            gross=found.gross[view],
            is_used=found.is_used[view],
            projection=found.projection[view],
            width=found.width[view],
        )
        sight = likelihood.look(one, posterior.x[..., own], posterior.covariance[..., own])
        value = likelihood.log_likelihood(one, sight)[0]
        total += torch.where(scored[v], value, 0.0)
    return total


def choose(scores: Tensor, count: Tensor, owner: Tensor, num_owners: int) -> Tensor:
    """Choose a candidate for each owner of tracks (a keypoint).

    Args:
        scores: (C, T, B) log likelihoods, as of `left_out_scores`.
        count: (T, B) number of detections scored.
        owner: (B,) numbers of the tracks' owners.
        num_owners: I.

    Returns:
        (I,) numbers of `candidates`: the best; `DEFAULT` where nothing is scored. An owner with few
        scored detections is judged together with all others.
    """
    C, T, B = scores.shape
    blocks = -(-T // BLOCK)
    padded = scores.new_zeros(C, blocks * BLOCK, B)
    padded[:, :T] = scores
    by_block = padded.reshape(C, blocks, BLOCK, B).sum(2).transpose(1, 2)  # (C, B, blocks)
    scored = count.new_zeros(num_owners).index_add_(0, owner, count.sum(0))
    if not bool(scored.any()):
        return torch.full((num_owners,), DEFAULT, device=scores.device)
    chosen = []
    for i in range(num_owners):
        is_own = owner == i if int(scored[i]) >= MIN_SCORED else owner >= 0
        best = by_block[:, is_own].sum((1, 2)).argmax()
        chosen.append(int(best))
    return torch.tensor(chosen, device=scores.device)
