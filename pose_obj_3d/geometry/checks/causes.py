"""Find the fault that explains why views disagree: the one without which they agree far better.

Each known fault is undone in turn (a hypothesis). It is the cause if the disagreement then falls to
a small share, and to the level of a detector's noise, on enough points: with few points one of many
hypotheses fits by chance. Causes that explain the data equally well are named together.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pose_obj_3d.geometry.checks import epipolar, hypotheses
from pose_obj_3d.geometry.checks.hypotheses import Hypothesis, Views
from pose_obj_3d.geometry.view_residuals import centred_residuals, centres, normalised

FACTOR = 2.0  # a cause must lower the disagreement by this factor when it is undone
FITTED = 3.0  # the same for a hypothesis with a number that is fitted
PLAUSIBLE = 0.04  # the disagreement must then be below this, in focal lengths (2.3 degrees)
EQUAL = 1.5  # explanations within this factor of the best are as good
EVIDENCE = 10.0  # log odds that are needed beyond the logarithm of the number of hypotheses
APART = 3.0  # points further apart than so many times the noise are separate evidence
MAX_SHOWN = 3
_POINTS, _MIN_FRAMES, _MAX_FRAMES = 300, 8, 60
_SCALES, _COARSE, _FINE, _SCALE_ROUNDS = (0.15, 7.0), 61, 9, 3
_VALLEYS = 4  # minima of the coarse grid that are refined
_NO_SCALE = (0.83, 1.2)  # a factor this near to 1 is an error of the focal length
_SAME_PLACE = 1e-9  # of the size of the rig
_MAX_SINGLE = 8  # cameras that are each tried alone
_TRIANGULATED = 12  # hypotheses that are triangulated: the best by epipolar distance


@dataclass(frozen=True)
class Cause:
    """A hypothesis that explains the disagreement.

    Attributes:
        after: Median disagreement without the fault [px].
        hypothesis: The fault undone.
    """

    after: float
    hypothesis: Hypothesis

    @property
    def level(self) -> float:
        """Return `after` [px] as it would be had the hypothesis not made the points smaller."""
        return self.after / min(self.hypothesis.scale, 1.0)

    @property
    def factor(self) -> float:
        """Return how many times it must lower the disagreement."""
        return FACTOR if self.hypothesis.scale == 1.0 else FITTED

    def sentence(self) -> str:
        """Return what was done to undo the fault, and what that means for the user."""
        return f"{self.after:.1f} px with {self.hypothesis.words}: {self.hypothesis.advice}"


def sample(views: Views) -> Views:
    """Choose frames, evenly spread among those in which two views see a keypoint."""
    there = ((views.w > 0).sum(1) >= 2).any(-1).nonzero().squeeze(-1)
    count = min(max(_POINTS // views.w.shape[2], _MIN_FRAMES), _MAX_FRAMES, len(there))
    rows = there[torch.linspace(0, len(there) - 1, count, dtype=torch.float64).round().long()]
    return replace(views, raw=views.raw[rows], w=views.w[rows])


def find_causes(
    views: Views, names: Sequence[str], keypoints: Sequence[str], is_small: bool = False
) -> list[Cause]:
    """Return the causes of a disagreement, the best first; none where nothing explains it.

    Args:
        views: The data.
        names: V names.
        keypoints: K names.
        is_small: The disagreement is small: only the wrong model of lens can be its cause.
    """
    views = sample(views)
    before = _score(views)
    proposed = list(hypotheses.other_lenses(views) if is_small else _all(views, names, keypoints))
    # Cameras in one place never disagree, whatever they see: such a hypothesis explains nothing.
    proposed = [h for h in proposed if not _coincide(h.views)]
    if not proposed:
        return []
    proposed = sorted(proposed, key=lambda h: epipolar.distance(h.views) / min(h.scale, 1.0))
    tried = [
        Cause(_score(h.views), h)
        for h in proposed[:_TRIANGULATED]
        if math.isfinite(epipolar.distance(h.views))
    ]
    if not tried:
        return []
    best = min(tried, key=lambda cause: cause.level)
    limit = PLAUSIBLE * float(views.rig.intrinsics[:, 0, 0].median())
    if is_small and not best.level < before / FITTED:
        return []
    if not (
        best.after / max(best.hypothesis.scale, 1.0) < limit and best.level < before / best.factor
    ):
        return []
    if evidence(views, best.after) * math.log(
        min(before, 1e4) / max(best.level, 1e-3)
    ) < EVIDENCE + math.log(len(proposed)):
        return []
    good = [
        c for c in tried if c.level <= EQUAL * best.level + 0.05 and c.level < before / c.factor
    ]
    return sorted(good, key=lambda cause: cause.level)


def explained(causes: Sequence[Cause]) -> str:
    """Return the causes in one line."""
    if len(causes) == 1:
        return causes[0].sentence()
    shown = [
        c.sentence() if len(causes) == 2 else f"{c.after:.1f} px with {c.hypothesis.words}"
        for c in causes[:MAX_SHOWN]
    ]
    line = f"possible causes, which explain it equally well: {'; or '.join(shown)}"
    if len(causes) > MAX_SHOWN:
        line += f"; or {len(causes) - MAX_SHOWN} more"
    if len({c.hypothesis.mirrors for c in causes}) > 1:
        line += (
            "; the world of one is the mirror image of the other's: look at one picture to decide"
        )
    return line


def _all(views: Views, names: Sequence[str], keypoints: Sequence[str]) -> Iterator[Hypothesis]:
    V = len(names)
    yield from hypotheses.conventions(views)
    for extrinsics_only in (False, True):
        if extrinsics_only and _are_alike(views):
            continue  # the same as exchanged tracks
        for order in epipolar.orders(views, extrinsics_only):
            yield hypotheses.order_hypothesis(views, names, order, extrinsics_only)
    yield from hypotheses.image_changes(views, names)
    yield from hypotheses.other_lenses(views)
    yield from hypotheses.stated_sizes(views)
    for chosen in [list(range(V)), *([v] for v in range(min(V, _MAX_SINGLE)))]:
        factor = _scale(views, chosen)
        if not _NO_SCALE[0] < factor < _NO_SCALE[1]:
            yield hypotheses.scale_hypothesis(views, names, chosen, factor)
    for view in range(V) if V > 2 else [1]:  # two views cannot tell whose order is wrong
        order, _ = _labels(views, view)
        if order != list(range(len(order))):
            yield _label_hypothesis(views, view, order, names, keypoints)


def _are_alike(views: Views) -> bool:
    K = views.rig.intrinsics
    return (
        bool((K[:1] == K).all())
        and bool((views.distortion == views.distortion[:1]).all())
        and len(set(views.lenses)) == 1
    )


def _coincide(views: Views) -> bool:
    """Say whether two cameras stand in one place, measured by the size of the whole rig."""
    places = centres(views.rig)
    apart = torch.pdist(places)
    return bool(len(apart)) and float(apart.min()) < _SAME_PLACE * float(
        places.norm(dim=-1).max() + apart.max()
    )


def _score(views: Views) -> float:
    """Return the median disagreement [px]."""
    found = _residuals(views)
    return float(found.median()) if len(found) else float("inf")


def _residuals(views: Views) -> Tensor:
    ideal, w = views.points()
    return centred_residuals(
        ideal.transpose(1, 2).flatten(0, 1), w.transpose(1, 2).flatten(0, 1), normalised(views.rig)
    )


def evidence(views: Views, noise: float) -> float:
    """Return how many independent residuals the points give if their errors are `noise` [px].

    Detections of one place share their error, however many frames show it. So only places count
    that are more than `APART` times the noise apart; each gives 2 n - 3 residuals for n views.
    """
    uv, w = (
        views.raw.transpose(1, 2).flatten(0, 1),
        (views.w.transpose(1, 2).flatten(0, 1) > 0).double(),
    )
    rows = (w.sum(-1) >= 2).nonzero().squeeze(-1)
    uv, w = uv[rows], w[rows]
    kept: list[int] = []
    is_near = torch.zeros(len(rows), dtype=torch.bool)
    for row in range(len(rows)):
        if is_near[row]:
            continue
        both = w * w[row]
        apart = ((uv - uv[row]).square().sum(-1) * both).sum(-1) / both.sum(-1).clamp_min(1)
        is_near |= apart < (APART * noise) ** 2
        kept.append(row)
    return float((2 * w[kept].sum(-1) - 3).sum())


def _scale(views: Views, chosen: Sequence[int]) -> float:
    """Return the factor for some views' points with which all views agree best."""
    few = (
        replace(views, raw=views.raw[::3], w=views.w[::3])
        if views.w.shape[0] >= 3 * _MIN_FRAMES
        else views
    )
    (low, high), count = map(math.log, _SCALES), _COARSE
    at, factors = _scale_distances(few, chosen, low, high, count)
    # The right factor may lie in a narrow valley beside wider ones that are not as deep.
    inner = at[1:-1]
    valleys = ((inner < at[:-2]) & (inner <= at[2:])).nonzero().squeeze(-1) + 1
    starts = {int(i) for i in valleys[at[valleys].argsort()][:_VALLEYS].tolist()} | {
        int(at.argmin())
    }
    return math.exp(
        min(
            _refined(few, chosen, float(factors[i]), (high - low) / (count - 1))
            for i in sorted(starts)
        )[1]
    )


def _refined(views: Views, chosen: Sequence[int], best: float, step: float) -> tuple[float, float]:
    """Search around a factor on finer grids; factors are logarithms.

    Returns:
        The smallest distance, and the factor that has it.
    """
    least = math.inf
    for _ in range(_SCALE_ROUNDS):
        at, factors = _scale_distances(views, chosen, best - step, best + step, _FINE)
        least, best, step = float(at.min()), float(factors[at.argmin()]), 2 * step / (_FINE - 1)
    return least, best


def _scale_distances(
    views: Views, chosen: Sequence[int], low: float, high: float, count: int
) -> tuple[Tensor, Tensor]:
    """Multiply some views' points by exp(low..high).

    Returns:
        The epipolar distances (count,), and the logarithms of the factors (count,).
    """
    factors = torch.linspace(low, high, count, dtype=torch.float64)
    raw = views.raw.repeat(count, 1, 1, 1, 1).clone()  # (count, F, V, K, 2)
    raw[:, :, list(chosen)] *= factors.exp()[:, None, None, None, None]
    at = epipolar.distances(
        replace(views, raw=raw.flatten(0, 1), w=views.w.repeat(count, 1, 1)), count
    )
    return at / factors.exp().clamp_max(1.0), factors  # smaller points disagree by less


@dataclass(frozen=True)
class _Cycle:
    """Keypoints of a view that were exchanged with each other.

    Attributes:
        keypoints: Their numbers, each followed by the one that it was exchanged with.
        before: Mean cost as they are, in focal lengths.
        after: Mean cost when they are exchanged back, in focal lengths.
    """

    keypoints: list[int]
    before: float
    after: float


def _labels(views: Views, view: int) -> tuple[list[int], list[_Cycle]]:
    """Return the order of a view's keypoints that fits the other views, and what was exchanged."""
    K = views.w.shape[2]
    order = list(range(K))
    if not 2 <= K <= epipolar.MAX_KEYPOINTS:
        return order, []
    cost = epipolar.label_costs(views, view)
    best = epipolar.best_labels(cost)
    cycles = []
    for cycle in _cycles(best):
        before = float(torch.stack([cost[k, k] for k in cycle]).mean())
        after = float(torch.stack([cost[k, best[k]] for k in cycle]).mean())
        if FACTOR * after < before:
            cycles.append(_Cycle(cycle, before, after))
            for k in cycle:
                order[k] = best[k]
    return order, cycles


def _cycles(order: Sequence[int]) -> list[list[int]]:
    left = {k for k, j in enumerate(order) if j != k}
    cycles = []
    while left:
        k = min(left)
        cycle = []
        while k in left:
            left.remove(k)
            cycle.append(k)
            k = order[k]
        cycles.append(cycle)
    return cycles


def _label_hypothesis(
    views: Views, view: int, order: Sequence[int], names: Sequence[str], keypoints: Sequence[str]
) -> Hypothesis:
    moved = [k for k, j in enumerate(order) if j != k]
    which = (
        " and ".join(keypoints[k] for k in moved) if len(moved) == 2 else f"{len(moved)} keypoints"
    )
    if len(moved) > 2:
        pairs = [f"{keypoints[k]} <- {keypoints[order[k]]}" for k in moved[:4]]
        which += f" ({', '.join([*pairs, *(['...'] if len(moved) > 4 else [])])})"
    where = (
        f"camera {names[view]}" if len(names) > 2 else f"camera {names[view]} (or of the other one)"
    )
    return Hypothesis(
        f"{which} of {where} exchanged",
        "its keypoints seem to be in another order",
        hypotheses.relabelled(views, view, order),
    )


def exchanged_labels(
    views: Views, names: Sequence[str], keypoints: Sequence[str], limit: float
) -> tuple[list[str], Views]:
    """Find keypoints that are exchanged in one view, where the views otherwise agree.

    Args:
        views: The data.
        names: V names.
        keypoints: K names.
        limit: How far a keypoint must be off to be looked at [px].

    Returns:
        One line for each exchange, and the data without these keypoints in these views.
    """
    few, w = sample(views), views.w.clone()
    K = views.w.shape[2]
    focal = views.rig.intrinsics[:, 0, 0].double()
    lines: list[str] = []
    for view in range(len(names)):
        _, cycles = _labels(few, view)
        for cycle in cycles:
            before, after = (float(focal[view]) * x for x in (cycle.before, cycle.after))
            if before < limit or not after < min(before / FITTED, PLAUSIBLE * float(focal[view])):
                continue
            own = [v for v in range(len(names)) if v != view]
            count = evidence(
                replace(few, raw=few.raw[:, :, cycle.keypoints], w=few.w[:, :, cycle.keypoints]),
                after,
            )
            if count * math.log(before / max(after, 1e-3)) < EVIDENCE + math.log(len(own) * K * K):
                continue
            order = list(range(K))
            for k, j in zip(
                cycle.keypoints, [*cycle.keypoints[1:], cycle.keypoints[0]], strict=True
            ):
                order[k] = j
            h = _label_hypothesis(few, view, order, names, keypoints)
            lines.append(
                f"some keypoints are {before:.1f} px off the other views, {after:.1f} px with"
                f" {h.words}: {h.advice}"
            )
            w[:, view, cycle.keypoints] = 0
            if len(names) == 2:
                return lines, replace(views, w=w)
    return lines, replace(views, w=w)
