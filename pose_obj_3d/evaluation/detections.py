"""The detections that a test uses: what they are, in plain words, and how far off they are.

The truth says here what is seen and what is hidden, also where the methods rely on a detector.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pose_obj_3d.common.archive.detections import DETECTED, TRUTH, Witness
from pose_obj_3d.formal import VISIBILITY, FormalData
from pose_obj_3d.geometry import multi_view
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.exchanging import names_order
from pose_obj_3d.tracks.types import Tracks

GROSS_PX = 10.0
SEEN, HIDDEN = "seen", "hidden"
OF_VIEWS = {SEEN: 1.0, HIDDEN: 0.5}
"""Kind of a detection -> visibility; what is outside the image is in neither."""
SEEN_WELL, SEEN_LITTLE = "seen by two views or more", "seen by fewer"
CHI2_2D = {68: 2.278869, 95: 5.991465}
"""Percent -> squared Mahalanobis distance within which that share of 2D Gaussian errors lies.

Chi-squared with 2 degrees of freedom.
"""


def describe(archive: FormalData, witness: Witness) -> str:
    """Say in one line what the chosen detections of an archive, as it was read, are."""
    if witness.detections != DETECTED:
        noise = _described_noise(archive.meta["noise"])
        return f"Detections: simulated, with {noise}. {_judge(witness)}"
    found = archive.meta.get("detections") or {}
    text = f"Detections: found in pictures by the detector {found.get('detector', 'unknown')}"
    folds = {fold for of_task in (found.get("folds") or {}).values() for fold in of_task.values()}
    if len(folds) > 1:
        text += f", in {len(folds)} folds: applied to no demonstration that it was trained on"
    if found.get("labelled_frames"):
        text += f", trained on {found['labelled_frames']} labelled frames of each view"
    return f"{text}. {_judge(witness)}"


def _judge(witness: Witness) -> str:
    judge = "the truth" if witness.visibility == TRUTH else "the detector"
    return f"Which of them are usable is what {judge} says."


def _described_noise(noise: dict[str, Any]) -> str:
    """Say what errors a simulated detector makes, from `meta["noise"]`."""

    def mean(name: str, default: float = 0.0) -> float:
        return float(np.mean(noise.get(name, default)))

    parts = []
    if (factor := mean("occlusion_noise", 1.0)) != 1:
        parts.append(f"{factor:g} times that where the keypoint is hidden")
    if (lasting := mean("noise_time_constant")) > 0:
        parts.append(
            f"errors that last: a time constant of {lasting:g} frames, and"
            f" {100 * mean('noise_persistent_share'):.0f} % of the square error constant in a"
            " demonstration"
        )
    if mean("gross_rate") + mean("gross_rate_hidden") > 0:
        parts.append(
            f"gross errors of {100 * mean('gross_rate'):.0f} % of the seen and"
            f" {100 * mean('gross_rate_hidden'):.0f} % of the hidden points"
        )
    parts += [
        f"{100 * mean(name):.0f} % {title}"
        for name, title in (("outlier_rate", "outliers"), ("drop_rate", "missing"))
        if mean(name) > 0
    ]
    kind = "errors" if lasting > 0 else "white noise (independent in each frame)"
    text = f"{kind} of {float(noise['sigma_px']):.2f} px (standard deviation in each coordinate)"
    return "; ".join([text, *parts])


@dataclass(frozen=True)
class Seen:
    """What the truth says of the visibility of the points of a test.

    Attributes:
        visibility: (N, V, K) of `formal.VISIBILITY`; 0 for keypoints that a task does not have.
        columns: Name -> (N, K) bool: the points that enough views see, and the others.
    """

    visibility: Tensor
    columns: dict[str, Tensor]


def seen_points(
    archive: FormalData, data: FormalData, tracks: Tracks, rig: Rig, ids: list[str]
) -> Seen:
    """Look up in an archive what is truly seen.

    Args:
        archive: As it was read.
        data: With the chosen detections; keypoints that look alike go by the names of these.
        tracks: Loaded from `data`.
        rig: The cameras.
        ids: Keypoint names.
    """
    visibility = torch.zeros_like(tracks.weights, device="cpu")
    keypoint, source = tracks.keypoint.cpu(), tracks.source.cpu()
    for first in sorted(set(tracks.first.tolist())):
        task, example, _ = source[first].tolist()
        last = int(tracks.last[first])
        number = {f"T{task}/{name}": k for k, name in enumerate(data.keypoint_names(task))}
        names = [ids[i] for i in keypoint[first].tolist() if i >= 0]
        order = names_order(data, task, example)[[number[name] for name in names]]
        of_example = archive.tracks[task][example][list(rig.view_ids)][:, :, order, VISIBILITY]
        visibility[first : last + 1, :, : len(names)] = torch.from_numpy(
            np.ascontiguousarray(of_example.transpose(1, 0, 2))
        )
    visibility = visibility.to(tracks.weights.device)
    is_seen = (visibility == OF_VIEWS[SEEN]).sum(1) >= 2
    return Seen(
        visibility,
        {SEEN_WELL: tracks.is_real & is_seen, SEEN_LITTLE: tracks.is_real & ~is_seen},
    )


def errors_px(tracks: Tracks, rig: Rig, seen: Seen) -> dict[str, dict[str, float | int | None]]:
    """Measure the detections against the projected truth.

    Returns:
        Kind (`SEEN`, `HIDDEN`) -> `count`, `usable_percent` of them, and of the usable ones
        `median_px`, `gross_percent` (more than `GROSS_PX` off), and where the detector claims
        something `coverage_<p>_percent`.
    """
    assert tracks.truth is not None
    exact, _ = multi_view.project(tracks.truth.double(), rig.intrinsics, rig.extrinsics)
    error = tracks.uv.double() - exact.transpose(1, 2)
    distance, usable = error.norm(dim=-1), tracks.weights > 0
    result: dict[str, dict[str, float | int | None]] = {}
    for kind, level in OF_VIEWS.items():
        there = seen.visibility == level
        kept = there & usable
        found = distance[kept]
        result[kind] = {
            "count": int(there.sum()),
            "usable_percent": _percent(usable[there]),
            "median_px": round(float(found.median()), 3) if len(found) else None,
            "gross_percent": _percent(found > GROSS_PX),
        }
        if tracks.claims is not None:
            square = _mahalanobis2(error[kept], tracks.claims[kept].double())
            for percent, limit in CHI2_2D.items():
                result[kind][f"coverage_{percent}_percent"] = _percent(square <= limit)
    return result


def _mahalanobis2(error: Tensor, covariance: Tensor) -> Tensor:
    """Return the squared length (n,) of errors (n, 2) in claimed deviations, where claimed."""
    is_claimed = covariance.isfinite().all(-1).all(-1)
    error, covariance = error[is_claimed], covariance[is_claimed]
    solved = torch.linalg.solve(covariance, error.unsqueeze(-1)).squeeze(-1)
    square: Tensor = (error * solved).sum(-1)
    return square


def _percent(is_so: Tensor) -> float | None:
    return round(100 * float(is_so.double().mean()), 2) if len(is_so) else None
