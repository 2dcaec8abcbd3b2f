"""Compare the detections' noise with what an archive states of it."""

import dataclasses
from collections.abc import Sequence

import torch

from pose_obj_3d.common.archive_meta import ESTIMATED_NOISE
from pose_obj_3d.common.facts import DETECTION_GRID_PX
from pose_obj_3d.formal import FormalData
from pose_obj_3d.geometry.noise import contradiction
from pose_obj_3d.tracks.loading import detections, make_rig

MIN_DETECTIONS = 1000  # training detections below which what is stated stands


def check_noise(
    data: FormalData, tasks: Sequence[int], ids: Sequence[str]
) -> tuple[FormalData, str]:
    """Compare the noise that an archive states with that of its training detections.

    Every weight and every likelihood depends on that noise. The detections of visible points are
    used, where there are enough. The stated noise is replaced only where they contradict it
    significantly (`contradiction`): simulated data keep their exact number, and a few examples do
    not overrule it by chance.

    Args:
        data: The archive.
        tasks: Tasks whose training examples are used.
        ids: Keypoints, from `loading.keypoint_ids`.

    Returns:
        The data, its `meta["noise"]` corrected where it was wrong, and one line that says so, else
        "".
    """
    rig = make_rig(data)
    uv, visibility = detections(data, rig, tasks, "train", ids)
    weights = (visibility == 1).double()
    if weights.sum() < MIN_DETECTIONS:
        weights = (visibility > 0).double()
    if weights.sum() < MIN_DETECTIONS:
        return data, ""
    stated = data.meta["noise"]
    claimed = torch.as_tensor(stated.get("sigma_px_per_view", data.sigma_px), dtype=torch.float64)
    claimed = claimed.expand(len(rig.intrinsics)).clamp_min(DETECTION_GRID_PX)
    found = contradiction(uv, weights, rig, claimed)
    if found is None:
        return data, ""
    noise = {
        **stated,
        "sigma_px": float(found.square().mean().sqrt()),
        "sigma_px_per_view": found.tolist(),
        ESTIMATED_NOISE: found.tolist(),
    }
    listed = ", ".join(
        f"{name} {f:.2f} ({c:.2f})"
        for name, f, c in zip(data.camera_names, found.tolist(), claimed.tolist(), strict=True)
    )
    message = (
        f"{data.path}: the training detections do not have the noise that `meta` states; what"
        f" they show is used instead, in px (stated): {listed}"
    )
    return dataclasses.replace(data, meta={**data.meta, "noise": noise}), message
