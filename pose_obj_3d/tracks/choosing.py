"""Which detections the methods get, and who says which of them are usable.

The rules, for OBJ_POSE_DATA.DETECTIONS and VISIBILITY:

- simulated, truth: positions with the simulated detector's noise; the true visibility.
- detected, detector: all from the detector. A keypoint is in the image where `p_inside` says so,
  and not hidden where `p_seen` says so.
- detected, truth: the detector's positions, the true visibility; to see what the rest costs.
- simulated, detector: a simulated detection is in the image where its own position is; nothing
  says whether it is hidden.

Whatever is missing is unusable. With the visibility of the detector no rule reads the truth.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from pose_obj_3d.common.archive.detections import (
    DETECTED,
    DETECTED_INSIDE,
    DETECTED_SD,
    DETECTED_SEEN,
    DETECTED_UV,
    DETECTOR,
    SIMULATED,
    Witness,
)
from pose_obj_3d.common.archive.examples import LazyExamples
from pose_obj_3d.common.errors import ConfigError, DataError
from pose_obj_3d.common.facts import MAKE_DETECTED, NOISE_RATIO
from pose_obj_3d.formal import UV_DETECTED, VISIBILITY, Array, FormalData
from pose_obj_3d.geometry import multi_view
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.types import Tracks

MIN_PROBABILITY = 0.5  # of what counts as true
GROSS = 0.08  # distance [image widths] from the views' consensus of a detection that is no use


def choose_detections(
    data: FormalData, witness: Witness, tasks: Sequence[int], occlusion: str = "keep"
) -> FormalData:
    """Put the chosen detections, and who says what is usable, in the place of those of the tracks.

    Whoever reads the result's tracks reads the chosen detections and their visibility, as if a
    simulation had made them.

    Args:
        data: The archive, with its own tracks.
        witness: Whose detections and whose visibility.
        tasks: The tasks that are needed; the result has no others.
        occlusion: OBJ_POSE_DATA.OCCLUSION.

    Raises:
        ConfigError: The archive has no detections of a task, or nothing says what is hidden.
    """
    if witness == Witness():
        return data
    if witness.detections == DETECTED:
        _require_detections(data, tasks)
    elif occlusion == "drop":
        raise ConfigError(
            f"{data.path}: OBJ_POSE_DATA.OCCLUSION drop needs to know what is hidden, and with"
            " DETECTIONS simulated and VISIBILITY detector nothing says it; use OCCLUSION keep"
        )
    tracks = {task: _chosen(data, witness, task) for task in tasks}
    chosen = replace(data, tracks=tracks, witness=witness)
    if witness.detections == SIMULATED:
        return chosen
    return replace(chosen, meta={**data.meta, "noise": _claimed_noise(chosen, tasks)})


def _chosen(data: FormalData, witness: Witness, task: int) -> Sequence[Array]:
    """Return a task's tracks as `_with_witness`; of an archive read bit by bit, so are these."""
    given = data.tracks[task]
    one = partial(_with_witness, data, witness, task)
    return (
        LazyExamples(len(given), one)
        if isinstance(given, LazyExamples)
        else list(map(one, range(len(given))))
    )


def _require_detections(data: FormalData, tasks: Sequence[int]) -> None:
    missing = [f"T{task}" for task in tasks if task not in data.detections]
    if missing:
        raise ConfigError(
            f"{data.path}: OBJ_POSE_DATA.DETECTIONS detected, but {', '.join(missing)} has no"
            " detections in this archive; make them by python -m pose_obj_3d.detect --checkpoint"
            f" best.pt --out ARCHIVE (all steps: {MAKE_DETECTED}), and name that archive in"
            " ROOT_DIR, or use DETECTIONS simulated"
        )


def _with_witness(data: FormalData, witness: Witness, task: int, example: int) -> Array:
    """Return a track (V, T, K, 8) with the chosen detections and visibility."""
    x = data.tracks[task][example].copy()
    if witness.detections == DETECTED:
        says = data.detections[task][example]
        x[..., UV_DETECTED] = says[..., DETECTED_UV]
    if witness.visibility == DETECTOR:
        if witness.detections == DETECTED:
            is_inside = says[..., DETECTED_INSIDE] >= MIN_PROBABILITY
            is_seen = says[..., DETECTED_SEEN] >= MIN_PROBABILITY
        else:
            uv = x[..., UV_DETECTED]
            is_inside = np.asarray(((uv >= 0) & (uv < data.image_size)).all(axis=-1))
            is_seen = is_inside
        x[..., VISIBILITY] = np.where(is_inside, np.where(is_seen, 1.0, 0.5), 0.0)
    return x


def _claimed_noise(data: FormalData, tasks: Sequence[int]) -> dict[str, object]:
    """Return what takes the place of the simulation's `noise`: the median of the claims.

    From the usable detections of the training examples, for each view; of a detector that claims
    nothing the usual noise is taken. What the detections show of their noise may correct it.
    """
    views = len(data.camera_names)
    claims: list[list[Array]] = [[] for _ in range(views)]
    for task in tasks:
        for n in data.split(task)["train"]:
            usable = data.tracks[task][n][..., VISIBILITY] > 0
            variance = np.square(data.detections[task][n][..., DETECTED_SD]).mean(axis=-1)
            for v in range(views):
                claims[v].append(variance[v][usable[v] & np.isfinite(variance[v])])
    joined = [np.concatenate(parts) for parts in claims]
    usual = NOISE_RATIO * data.image_size[0]
    sigma = [float(np.sqrt(np.median(x))) if len(x) else usual for x in joined]
    return {
        "sigma_px": float(np.sqrt(np.mean(np.square(sigma)))),
        "sigma_px_per_view": sigma,
    }


def require_agreement(data: FormalData, tracks: Tracks, rig: Rig) -> None:
    """Refuse detections more than half of which are gross errors: nothing is to be had from them.

    Args:
        data: The archive, with the chosen detections.
        tracks: Of a part of its split.
        rig: The cameras of the tracks.

    Raises:
        DataError: The median distance between detections and the consensus of the views is above
            `GROSS`.
    """
    predicted, _ = multi_view.project(tracks.xyz.double(), rig.intrinsics, rig.extrinsics)
    off = (tracks.uv - predicted.transpose(1, 2)).norm(dim=-1)
    median, width = float(off[tracks.weights > 0].median()), data.image_size[0]
    if median > GROSS * width:
        raise DataError(
            f"{data.path}: most detections are gross errors: in the median they are"
            f" {median:.0f} px from where the views agree, in images {width} px wide; check that"
            " the detector belongs to these keypoints and cameras, or train it longer"
        )
