"""Compare the detections' noise with what an archive states of it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pose_obj_3d.common.archive.by_example import Calibrations
from pose_obj_3d.common.archive.detections import DETECTED
from pose_obj_3d.common.archive.meta import ESTIMATED_NOISE
from pose_obj_3d.common.facts import DETECTION_GRID_PX
from pose_obj_3d.formal import FormalData
from pose_obj_3d.geometry.noise import contradiction
from pose_obj_3d.geometry.noise_parts import NoiseParts, pooled, white_noise
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.loading import Detections, detections, make_rig
from pose_obj_3d.tracks.noise_of_tracks import do_errors_last, noise_parts
from pose_obj_3d.tracks.noise_text import describe

MIN_DETECTIONS = 1000  # training detections below which what is stated stands


def check_noise(
    data: FormalData, tasks: Sequence[int], ids: Sequence[str], occlusion: str = "keep"
) -> tuple[FormalData, str]:
    """Compare the noise that an archive states with that of its training detections.

    Every weight and every likelihood depends on that noise. Where errors last longer than a frame,
    or a real detector has made the detections, what they show is used: by view and keypoint, in
    three parts (`noise_parts`). Else the stated noise is replaced only where the detections of
    visible points contradict it significantly (`contradiction`): simulated data keep their exact
    number, and a few examples do not overrule it by chance. Where examples have calibrations of
    their own, a camera's noise is that of all its examples, and always what they show.

    Args:
        data: The archive, with the chosen detections.
        tasks: Tasks whose training examples are used.
        ids: Keypoints, from `loading.keypoint_ids`.
        occlusion: OBJ_POSE_DATA.OCCLUSION.

    Returns:
        The data, its `meta["noise"]` corrected where it was wrong, and one line that says so, or
        that a detector's claims are believed for want of detections, else "".
    """
    rig = make_rig(data)
    found = detections(data, rig, tasks, "train", ids)
    usable = (found.visibility > 0 if occlusion == "keep" else found.visibility == 1).double()
    if usable.sum() < MIN_DETECTIONS:
        return data, _too_few(data, int(usable.sum()))
    seen = found.uv, usable, found.keypoint, found.first, rig
    if data.calibrations:
        parts = _of_calibrations(data.calibrations, found, usable, rig, len(ids))
        return _with_parts(data, parts), f"{data.path}: {_used(parts, data)}"
    if data.witness.detections == DETECTED or do_errors_last(*seen):
        parts = noise_parts(*seen, found.claims, count=len(ids))
        if data.witness.detections == DETECTED or not parts.is_white:
            return _with_parts(data, parts), f"{data.path}: {_used(parts, data)}"
    return _check_white(data, found, rig, len(ids))


def _too_few(data: FormalData, count: int) -> str:
    """Say what stands in for the noise of a detector that has too few detections to show it."""
    if data.witness.detections != DETECTED:
        return ""
    listed = ", ".join(
        f"{name} {s:.2f}" for name, s in zip(data.camera_names, _stated(data).tolist(), strict=True)
    )
    return (
        f"{data.path}: {count} usable training detections are too few to show their noise, at"
        f" least {MIN_DETECTIONS} are needed; the median claim is believed instead (that of"
        f" simulations where nothing is claimed), in px: {listed}"
    )


def _of_calibrations(
    calibrations: Calibrations, found: Detections, usable: Tensor, rig: Rig, count: int
) -> NoiseParts:
    """Learn the noise from the examples of each calibration, and give it to all of each camera."""
    parts, sizes = [], []
    for views in calibrations.views:
        seen = (usable[:, views] > 0).any(2).any(1)
        if not seen.any():
            continue
        is_used = torch.isin(found.first, found.first[seen])  # whole examples
        start = torch.searchsorted(found.first[is_used], found.first[is_used])
        own = replace(rig, intrinsics=rig.intrinsics[views], extrinsics=rig.extrinsics[views])
        claims = None if found.claims is None else found.claims[is_used][:, views]
        uv, w = found.uv[is_used][:, views], usable[is_used][:, views]
        parts.append(noise_parts(uv, w, found.keypoint[is_used], start, own, claims, count=count))
        sizes.append(float((w > 0).sum()))
    return pooled(parts, sizes).of_views([v for own in calibrations.views for v in range(len(own))])


def _check_white(
    data: FormalData, found: Detections, rig: Rig, count: int
) -> tuple[FormalData, str]:
    """Compare the size of the noise only: that of each view."""
    weights = (found.visibility == 1).double()
    if weights.sum() < MIN_DETECTIONS:
        weights = (found.visibility > 0).double()
    claimed = _stated(data)
    sigma = contradiction(found.uv, weights, rig, claimed)
    if sigma is None:
        return data, ""
    corrected = _with_parts(data, white_noise(sigma[:, None].repeat(1, count)))
    listed = ", ".join(
        f"{name} {f:.2f} ({c:.2f})"
        for name, f, c in zip(data.camera_names, sigma.tolist(), claimed.tolist(), strict=True)
    )
    message = (
        f"{data.path}: the training detections do not have the noise that `meta` states; what"
        f" they show is used instead, in px (stated): {listed}"
    )
    return corrected, message


def _stated(data: FormalData) -> Tensor:
    """Return the stated noise of each view (V,) [px]."""
    stated = data.meta["noise"].get("sigma_px_per_view", data.sigma_px)
    claimed = torch.as_tensor(stated, dtype=torch.float64).expand(len(data.camera_names))
    return claimed.clamp_min(DETECTION_GRID_PX)


def _with_parts(data: FormalData, parts: NoiseParts) -> FormalData:
    """Return the data with the noise that was found in place of the stated one.

    Of errors that do not last, the size of each view's noise replaces what is stated; bounds
    follow it. Of those that last, the statement stands beside it: bounds rest on the simulation.
    """
    noise = {**data.meta["noise"], ESTIMATED_NOISE: parts}
    if parts.is_white:
        of_views = parts.sigma.square().mean(1).sqrt()
        noise["sigma_px"] = float(of_views.square().mean().sqrt())
        noise["sigma_px_per_view"] = of_views.tolist()
    return dataclasses.replace(data, meta={**data.meta, "noise": noise})


def _used(parts: NoiseParts, data: FormalData) -> str:
    shown = parts.of_views(range(len(data.cameras)))  # calibrations of a camera share its noise
    return f"the training detections show their {describe(shown, data.cameras)}"
