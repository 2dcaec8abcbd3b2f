"""How good detections are: errors in pixels, gross errors, the gate, and what claims hold."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.detector.learning.claims import GROSS_PX, RADII
from pose_obj_3d.detector.types import Clip, Detections, by_demo

Floats = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]
PERCENTILES = (50, 75, 90, 95)
LARGEST_PX = 50.0  # of an error that counts when two look-alikes are told apart
KINDS = ("seen", "hidden")


@dataclass(frozen=True)
class Scored:
    """Detections beside the truth; N detections of K keypoints in a row.

    Attributes:
        keypoint: (N,) number of the keypoint.
        error: (N, 2) [px].
        distance: (N,) squared Mahalanobis distance of the error under its claim.
        size: (N,) mean claimed standard deviation [px].
        is_seen: (N,) whether the point is seen.
        is_inside: (N,) whether it lies in the picture.
        p_inside: (N,) what the detector says.
        p_seen: (N,) what the detector says.
    """

    keypoint: npt.NDArray[np.int64]
    error: Floats
    distance: Floats
    size: Floats
    is_seen: Flags
    is_inside: Flags
    p_inside: Floats
    p_seen: Floats


def score(
    clips: Sequence[Clip], found: Sequence[Detections], pairs: Sequence[tuple[int, int]]
) -> Scored:
    """Compare detections with labels.

    Keypoints that look alike are scored up to one exchange for each demo, the same in all views.

    Args:
        clips: Clips with labels.
        found: What was detected in each.
        pairs: Numbers of keypoints that look alike.
    """
    parts = []
    for members in by_demo(clips):
        points = [found[n].uv for n in members]
        order = _best_order([clips[n] for n in members], points, pairs)
        parts += [_clip_scores(clips[n], found[n], order) for n in members]
    return Scored(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _best_order(
    clips: Sequence[Clip], found: Sequence[Floats], pairs: Sequence[tuple[int, int]]
) -> npt.NDArray[np.int64]:
    """Return which of the points (N, K, 2) of a demo's clips belongs to each keypoint."""
    order = np.arange(found[0].shape[-2])
    for a, b in pairs:
        straight, crossed = 0.0, 0.0
        for clip, part in zip(clips, found, strict=True):
            assert clip.labels is not None
            truth, inside = clip.labels.uv, clip.labels.is_inside
            for k, twin in ((a, b), (b, a)):
                used = inside[:, k]
                straight += _total(part[used, k], truth[used, k])
                crossed += _total(part[used, twin], truth[used, k])
        if crossed < straight:
            order[[a, b]] = order[[b, a]]
    return order


def exchanged(
    clips: Sequence[Clip], found: Sequence[Floats], pairs: Sequence[tuple[int, int]]
) -> list[Floats]:
    """Return the points (N, K, 2) of clips, look-alikes exchanged where a demo's labels say so."""
    result: list[Floats] = list(found)
    for members in by_demo(clips):
        points = [found[n] for n in members]
        order = _best_order([clips[n] for n in members], points, pairs)
        for n, uv in zip(members, points, strict=True):
            result[n] = uv[:, order]
    return result


def joined(parts: Sequence[Scored]) -> Scored:
    """Put what was scored one after the other."""
    columns = zip(*([getattr(p, f.name) for f in fields(Scored)] for p in parts), strict=True)
    return Scored(*(np.concatenate(column) for column in columns))


def _total(found: Floats, truth: Floats) -> float:
    error = np.minimum(np.linalg.norm(found - truth, axis=-1), LARGEST_PX)
    return float(np.nansum(error))


def _clip_scores(
    clip: Clip, found: Detections, order: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[Any], ...]:
    labels = clip.labels
    assert labels is not None
    error = found.uv[:, order] - labels.uv
    sd, rho = found.sd[:, order], found.rho[:, order]
    z = error / sd
    crossed = (z**2).sum(-1) - 2 * rho * z[..., 0] * z[..., 1]
    N, K = rho.shape
    is_used = ~np.isnan(error).any(-1)
    columns = (
        np.broadcast_to(np.arange(K), (N, K)),
        error,
        crossed / (1 - rho**2),
        np.sqrt(sd.prod(-1)),
        labels.is_seen,
        labels.is_inside,
        found.p_inside[:, order],
        found.p_seen[:, order],
    )
    return tuple(column[is_used] for column in columns)


def summary(scored: Scored, gate_px: float, names: Sequence[str], width: int) -> dict[str, Any]:
    """Return all figures, as they go into `report.json`.

    Args:
        scored: What was scored.
        gate_px: A detection with a larger mean claimed sd is not kept [px].
        names: Names of the K keypoints.
        width: Of the pictures [px].
    """
    gross_px = GROSS_PX * width / 256
    inside = scored.is_inside
    kinds = {"seen": inside & scored.is_seen, "hidden": inside & ~scored.is_seen}
    kept = scored.size <= gate_px
    result: dict[str, Any] = {"gate_px": gate_px, "gross_px": gross_px}
    for kind, those in kinds.items():
        result[kind] = {
            "all": figures(scored, those, gross_px),
            "kept": figures(scored, those & kept, gross_px),
            "kept_percent": _percent(kept[those]),
        }
    result["keypoints"] = {
        name: {
            kind: {
                **figures(scored, those & (scored.keypoint == k), gross_px),
                "kept_percent": _percent(kept[those & (scored.keypoint == k)]),
            }
            for kind, those in kinds.items()
        }
        for k, name in enumerate(names)
    }
    result["seen_right_percent"] = _percent((scored.p_seen > 0.5) == kinds["seen"])
    result["inside_right_percent"] = _percent((scored.p_inside > 0.5) == inside)
    return result


def figures(scored: Scored, those: Flags, gross_px: float) -> dict[str, Any]:
    """Return the figures of some detections; None where there is none."""
    count = int(those.sum())
    length = np.linalg.norm(scored.error[those], axis=-1)
    found: dict[str, Any] = {"count": count}
    for p in PERCENTILES:
        name = "median_px" if p == 50 else f"p{p}_px"
        found[name] = float(np.percentile(length, p)) if count else None
    found["gross_percent"] = _percent(length > gross_px)
    for share, radius in RADII.items():
        found[f"holds_{100 * share:.0f}_percent"] = _percent(scored.distance[those] <= radius)
    return found


def _percent(flags: Flags) -> float | None:
    return 100 * float(flags.mean()) if len(flags) else None


HEAD = (
    f"{'':34}{'count':>8}{'median':>8}{'p90':>8}{'gross':>8}{'kept':>8}{'68 %':>8}{'95 %':>8}\n"
    f"{'':34}{'':>8}{'[px]':>8}{'[px]':>8}{'[%]':>8}{'[%]':>8}{'holds':>8}{'holds':>8}"
)


def text_table(found: dict[str, Any], title: str) -> str:
    """Return the figures as a table for people."""
    lines = [title, HEAD]
    for kind in KINDS:
        part = found[kind]
        lines.append(_line(kind, part["all"], None))
        lines.append(_line(f"{kind}, kept by the gate", part["kept"], part["kept_percent"]))
    for name, kinds in found["keypoints"].items():
        lines += [
            _line(f"{name}, {kind}", kinds[kind], kinds[kind]["kept_percent"]) for kind in KINDS
        ]
    lines.append(
        f"gate: claimed sd <= {found['gate_px']:.2f} px; gross: error > {found['gross_px']:.1f} px;"
        f" right about seen {_number(found['seen_right_percent']).strip()} %, about inside"
        f" {_number(found['inside_right_percent']).strip()} %"
    )
    return "\n".join(lines)


def _line(name: str, part: dict[str, Any], kept: float | None) -> str:
    numbers = [part[key] for key in ("median_px", "p90_px", "gross_percent")]
    numbers += [kept, part["holds_68_percent"], part["holds_95_percent"]]
    return f"{name:34}{part['count']:>8}" + "".join(map(_number, numbers))


def _number(value: float | None) -> str:
    return f"{'-':>8}" if value is None else f"{value:8.2f}"
