"""Claims that hold: what the network says of its errors, corrected on demos that it has not seen.

The network has learned its claims on pictures that it knows. On held-out demos the scale of the
claims is fitted by the likelihood of a heavy-tailed distribution, from a few numbers about each
detection; then the scale is set, by size of the claim, so that the regions which a normal
distribution calls 68 and 95 % hold about that share.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pose_obj_3d.detector.learning.linking import Links
from pose_obj_3d.detector.learning.losses import TAIL, square_distance

Floats = npt.NDArray[np.floating]
RADII = {0.68: 2.279, 0.95: 5.991}  # squared radius of a 2D normal distribution that holds a share
WEIGHT = {0.68: 0.65, 0.95: 0.35}  # errors have longer tails: no scale is right for both
AIM = {0.68: 0.68, 0.95: 0.96}  # other demos differ a little more than held-out ones
NUM_LEVELS = 6  # of claimed sizes, each with its own scale
SMALLEST_PX, LARGEST_PX = 0.02, 200.0
RIDGE = 1e-2  # keeps the numbers of a fit small
GROSS_PX = 10.0  # of 256: an error above is gross
MIN_IN_LEVELS = 200  # detections; fewer are not told apart
GATE_KEEPS = {"seen": 0.925, "hidden": 0.55}  # at least, of the held-out demos' detections
GATE_GROSS = {"seen": 0.012, "hidden": 0.05}  # a gate that keeps more must stay below


@dataclass(frozen=True)
class Raw:
    """What the network says of N detections.

    Attributes:
        log_sd: (N, 2) along u and v [log px].
        rho: (N,) correlation.
        facts: (N, F) numbers that the scale may depend on.
        seen: (N,) whether the network says that the point is seen.
    """

    log_sd: Tensor
    rho: Tensor
    facts: Tensor
    seen: Tensor

    def double(self) -> "Raw":
        """Return it with double precision."""
        return Raw(self.log_sd.double(), self.rho.double(), self.facts.double(), self.seen)

    def size(self) -> Tensor:
        """Return (N,) the logarithm of the mean size [log px]."""
        return self.log_sd.mean(-1)


@dataclass(frozen=True)
class Calibration:
    """The correction of claims.

    Attributes:
        weights: (F + 2,) of 1, the size and the facts, in the logarithm of the scale.
        levels: (2, L) sizes [log px], rising; of what is said to be hidden, and seen.
        scales: (2, L) logarithms of the factor at those sizes.
        gate_px: A detection with a larger mean claimed sd is better not used [px].
        links: With which they were linked.
    """

    weights: Tensor
    levels: Tensor
    scales: Tensor
    gate_px: float
    links: Links

    def state(self) -> dict[str, object]:
        """Return it as plain values and tensors."""
        return {
            "weights": self.weights,
            "levels": self.levels,
            "scales": self.scales,
            "gate_px": self.gate_px,
            **self.links.state(),
        }

    @staticmethod
    def from_state(
        state: dict[str, object], num_keypoints: int, num_pairs: int, num_facts: int
    ) -> "Calibration":
        """Read what `state` returned, for K keypoints, some pairs, detections with F facts.

        Raises:
            ValueError: It is something else.
        """
        names = ("weights", "levels", "scales")
        parts = [part for name in names if isinstance(part := state.get(name), Tensor)]
        gate = state.get("gate_px")
        if len(parts) != len(names) or not all(bool(part.isfinite().all()) for part in parts):
            raise ValueError("calibration must have finite numbers")
        if not isinstance(gate, float) or not gate > 0:
            raise ValueError("calibration must have a gate")
        weights, levels, scales = parts
        links = Links.from_state(state, num_keypoints, num_pairs)
        if (
            weights.shape != (num_facts + 2,)
            or levels.ndim != 2
            or levels.shape[0] != 2
            or levels.shape != scales.shape
        ):
            raise ValueError("calibration is that of another network")
        return Calibration(weights, levels, scales, gate, links)

    def log_sd(self, raw: Raw) -> Tensor:
        """Return the corrected (N, 2) log sd [log px]."""
        fitted = raw.log_sd + (_design(raw) @ self.weights)[:, None]
        size = fitted.mean(-1)
        hidden, seen = (
            interpolate(size, levels, scales)
            for levels, scales in zip(self.levels, self.scales, strict=True)
        )
        factor = torch.where(raw.seen, seen, hidden)
        low, high = np.log(SMALLEST_PX), np.log(LARGEST_PX)
        return (fitted + factor[:, None]).clamp(low, high)


def _design(raw: Raw) -> Tensor:
    return torch.cat([torch.ones_like(raw.facts[:, :1]), raw.size()[:, None], raw.facts], -1)


def calibrate(raw: Raw, error: Tensor, seen: Tensor, width: int, links: Links) -> Calibration:
    """Fit the correction.

    Args:
        raw: Claims of N detections of held-out demos; of points inside the pictures.
        error: (N, 2) their errors [px].
        seen: (N,) whether the point is seen.
        width: Of the pictures [px].
        links: With which they were linked.
    """
    raw, error = raw.double(), error.double()
    weights = _fit_scale(raw, error)
    fitted = raw.log_sd + (_design(raw) @ weights)[:, None]
    parts = [~raw.seen, raw.seen]
    if min(int(part.sum()) for part in parts) < MIN_IN_LEVELS:
        parts = [torch.ones_like(raw.seen)] * 2
    levels, scales = zip(
        *(_fit_levels(fitted[part], raw.rho[part], error[part]) for part in parts), strict=True
    )
    calibration = Calibration(weights, torch.stack(levels), torch.stack(scales), 1.0, links)
    size = calibration.log_sd(raw).mean(-1).exp()
    is_gross = error.norm(dim=-1) > GROSS_PX * width / 256
    return dataclasses.replace(calibration, gate_px=choose_gate(size, is_gross, seen))


def _fit_scale(raw: Raw, error: Tensor) -> Tensor:
    """Fit the scale's dependence on the facts by the likelihood of a Student-t distribution."""
    design = _design(raw)
    weights = torch.zeros(design.shape[1], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        log_sd = raw.log_sd + (design @ weights)[:, None]
        distance = square_distance(error, log_sd, raw.rho)
        each = log_sd.sum(-1) + (TAIL / 2 + 1) * torch.log1p(distance / TAIL)
        total = each.mean() + RIDGE * weights.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach()


def _fit_levels(log_sd: Tensor, rho: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
    """Set the scale of each level of claimed size so that regions hold what they say."""
    distance = square_distance(error, log_sd, rho)
    order = log_sd.mean(-1).argsort()
    levels, scales = [], []
    for part in order.tensor_split(NUM_LEVELS):
        wanted = [
            WEIGHT[share] * 0.5 * torch.log(distance[part].quantile(AIM[share]) / radius)
            for share, radius in RADII.items()
        ]
        levels.append(log_sd[part].mean())
        scales.append(torch.stack(wanted).sum())
    return torch.stack(levels), torch.stack(scales)


def interpolate(x: Tensor, at: Tensor, values: Tensor) -> Tensor:
    """Interpolate linearly between rising places `at` (L,); the ends go on level."""
    right = torch.searchsorted(at, x).clamp(1, len(at) - 1)
    gap = (at[right] - at[right - 1]).clamp(min=1e-9)
    share = ((x - at[right - 1]) / gap).clamp(0, 1)
    return values[right - 1] * (1 - share) + values[right] * share


def choose_gate(size: Tensor, is_gross: Tensor, seen: Tensor) -> float:
    """Choose the claimed size above which detections are better not used.

    It keeps at least `GATE_KEEPS`, and more as long as gross errors among what is kept stay below
    `GATE_GROSS`.

    Args:
        size: (N,) claimed sizes [px].
        is_gross: (N,) whether the error is gross.
        seen: (N,) whether the point is seen.
    """
    least, most = 0.0, float(size.max())
    for name, those in (("seen", seen), ("hidden", ~seen)):
        if not those.any():
            continue
        sizes, order = size[those].sort()
        share = is_gross[those][order].double().cumsum(0) / torch.arange(1, len(sizes) + 1)
        good = (share <= GATE_GROSS[name]).nonzero()
        least = max(least, float(sizes.quantile(GATE_KEEPS[name])))
        most = min(most, float(sizes[good[-1, 0]]) if len(good) else 0.0)
    return max(least, most)
