"""Charts of detections' errors: by visibility, and against what the detector claims."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from pose_obj_3d.common.colours import COLOURS
from pose_obj_3d.evaluation.detections import GROSS_PX, OF_VIEWS, Seen
from pose_obj_3d.geometry import multi_view
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.types import Tracks

Float = npt.NDArray[np.float64]
BINS = 10  # of the claimed deviation, with equal numbers of points
MIN_POINTS = 20  # of a bin that is drawn
RAYLEIGH_MEDIAN = 1.17741  # median length of a 2D Gaussian error in standard deviations
_STYLES = {kind: (COLOURS[i], "-") for i, kind in enumerate(OF_VIEWS)}


@dataclass(frozen=True)
class PixelErrors:
    """The usable detections of one kind of visibility; n of them.

    Attributes:
        distance: (n,) from the truth [px].
        claimed: (n,) claimed standard deviation of a coordinate, the geometric mean of both axes
            [px]; NaN where nothing is claimed.
        square: (n,) squared length of the error in claimed deviations; NaN likewise.
    """

    distance: Float
    claimed: Float
    square: Float


def pixel_errors(tracks: Tracks, rig: Rig, seen: Seen) -> dict[str, PixelErrors]:
    """Compare usable detections with the projected truth, by what the truth says is seen."""
    assert tracks.truth is not None
    exact, _ = multi_view.project(tracks.truth.double(), rig.intrinsics, rig.extrinsics)
    error = tracks.uv.double() - exact.transpose(1, 2)
    found = {}
    for kind, level in OF_VIEWS.items():
        kept = (seen.visibility == level) & (tracks.weights > 0)
        e = error[kept]
        claims = (
            torch.full((len(e), 2, 2), torch.nan, dtype=torch.float64)
            if tracks.claims is None
            else tracks.claims[kept].double()
        )
        known = claims.isfinite().all(-1).all(-1)
        filled = torch.where(known[:, None, None], claims, torch.eye(2, dtype=torch.float64))
        square = (e * torch.linalg.solve(filled, e.unsqueeze(-1)).squeeze(-1)).sum(-1)
        claimed = torch.linalg.det(filled).clamp_min(0).pow(0.25)
        found[kind] = PixelErrors(
            e.norm(dim=-1).numpy(),
            torch.where(known, claimed, torch.nan).numpy(),
            torch.where(known, square, torch.nan).numpy(),
        )
    return found


def errors_figure(
    pixels: Mapping[str, PixelErrors],
    lifted: Mapping[str, Tensor],
    tracks: Tracks,
    seen: Seen,
    title: str,
) -> Figure:
    """Draw errors in px by visibility, claimed against true, and errors in mm by visibility.

    Args:
        pixels: From `pixel_errors`.
        lifted: Method -> (N, K, 3) [m].
        tracks: The test data.
        seen: What the truth says of visibility.
        title: Headline.
    """
    figure = Figure(figsize=(13, 10), layout="constrained")
    (a, b), (c, d) = figure.subplots(2, 2)
    _distribution(a, {kind: (x.distance, *_STYLES[kind]) for kind, x in pixels.items()})
    a.axvline(GROSS_PX, color="red", lw=0.9, ls=":")
    a.set(title="detections by the true visibility", xlabel="error [px]")
    _claimed_and_true(b, pixels)
    _coverage(c, pixels)
    assert tracks.truth is not None
    errors = {
        f"{name.partition(' (')[0]}, {column}": (
            1000 * (xyz - tracks.truth).norm(dim=-1)[mask].double().numpy(),
            COLOURS[2 + i],
            "-" if j == 0 else "--",
        )
        for i, (name, xyz) in enumerate(lifted.items())
        for j, (column, mask) in enumerate(seen.columns.items())
    }
    _distribution(d, errors)
    d.set(title="lifted points by the true visibility", xlabel="error [mm]")
    figure.suptitle(title, fontsize=12, wrap=True)
    return figure


def _distribution(axes: Axes, errors: Mapping[str, tuple[Float, str, str]]) -> None:
    """Draw cumulative distributions; name -> errors, colour, line style."""
    for name, (every, colour, style) in errors.items():
        x = every[np.isfinite(every)]
        if len(x) == 0:
            continue
        share = (1 + np.arange(len(x))) / len(x)
        label = f"{name}: median {np.median(x):.2f}, mean {x.mean():.2f}"
        axes.plot(np.sort(x), 100 * share, color=colour, ls=style, lw=1.6, label=label)
    axes.set_xscale("log")
    axes.set(ylabel="points with a smaller error [%]", ylim=(0, 100))
    axes.grid(True, which="both", alpha=0.25)
    if axes.lines:
        axes.legend(fontsize=8, loc="upper left")


def _claimed_and_true(axes: Axes, pixels: Mapping[str, PixelErrors]) -> None:
    """Draw robust true deviations over claimed ones, and the share of gross errors."""
    axes.set(
        title="true error of detections that claim the same",
        xlabel="claimed standard deviation [px]",
        ylabel="true one, from the median [px]",
    )
    twin = axes.twinx()
    twin.set_ylabel(f"more than {GROSS_PX:g} px off [%] (dotted)")
    twin.set_ylim(0, 100)
    ends: list[float] = []
    for kind, x in pixels.items():
        known = np.isfinite(x.claimed)
        order = np.argsort(x.claimed[known], kind="stable")
        parts = np.array_split(order, BINS)
        parts = [part for part in parts if len(part) >= MIN_POINTS]
        if not parts:
            continue
        claimed = [float(np.median(x.claimed[known][part])) for part in parts]
        distance = [x.distance[known][part] for part in parts]
        true = [float(np.median(r)) / RAYLEIGH_MEDIAN for r in distance]
        gross = [100 * float((r > GROSS_PX).mean()) for r in distance]
        colour = _STYLES[kind][0]
        axes.plot(claimed, true, "o-", color=colour, label=kind)
        twin.plot(claimed, gross, ".:", color=colour, lw=1)
        ends += [*claimed, *true]
    if not ends:
        _say(axes, "these detections claim nothing")
        return
    axes.set_xscale("log")
    axes.set_yscale("log")
    line = [0.8 * min(ends), 1.25 * max(ends)]
    axes.plot(line, line, "k-", lw=0.9, label="true = claimed")
    axes.grid(True, which="both", alpha=0.25)
    axes.legend(fontsize=9, loc="upper left")


def _coverage(axes: Axes, pixels: Mapping[str, PixelErrors]) -> None:
    """Draw which share of the truth lies inside the claimed region of each probability."""
    percent = np.arange(1, 100)
    limits = -2 * np.log(1 - percent / 100)  # chi-squared with two degrees of freedom
    for kind, x in pixels.items():
        square = x.square[np.isfinite(x.square)]
        if len(square):
            inside = [100 * float((square <= limit).mean()) for limit in limits]
            shown = ", ".join(f"{p} % holds {inside[p - 1]:.0f} %" for p in (68, 95))
            axes.plot(percent, inside, color=_STYLES[kind][0], label=f"{kind}: {shown}")
    axes.plot([0, 100], [0, 100], "k-", lw=0.9)
    axes.set(
        title="true places inside the claimed regions",
        xlabel="probability of the region, as claimed [%]",
        ylabel="inside [%]",
        xlim=(0, 100),
        ylim=(0, 100),
    )
    axes.grid(True, alpha=0.25)
    if len(axes.lines) > 1:
        axes.legend(fontsize=9, loc="upper left")
    else:
        _say(axes, "these detections claim nothing")


def _say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
