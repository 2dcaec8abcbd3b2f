"""Whole poses in a lift: keypoints `frames/<name>/origin`, `/x` and `/y` give a frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from pose_obj_3d.evaluation.frame_poses import GROUP, frames_of
from pose_obj_3d.geometry.rigid_frames import fit_frames

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LiftedFrames:
    """Poses of F frames in T frames of time.

    Attributes:
        names: F names.
        rotation: (T, F, 3, 3) frame to world; NaN where one of its points is not known.
        position: (T, F, 3) of its origin, in the unit of the points.
        covariance: (T, F, 6, 6) of (rotation vector [rad], position) in world axes; the true
            rotation is exp(error) @ rotation. NaN where a point has no covariance.
    """

    names: list[str]
    rotation: Floats
    position: Floats
    covariance: Floats


def lifted_frames(names: Sequence[str], points: Floats, covariance: Floats) -> LiftedFrames | None:
    """Fit a right-angled frame to each three lifted points of one; None where there is none.

    The lengths of the two axes are the medians of their lifted lengths.

    Args:
        names: K keypoints.
        points: (T, K, 3).
        covariance: (T, K, 3, 3).
    """
    ids = [f"own/{name}" if name.startswith(f"{GROUP}/") else name for name in names]
    found = frames_of(ids)
    if not found:
        return None
    poses = []
    for frame in found:
        three = points[:, list(frame.points)]
        lengths = _medians(np.linalg.norm(three[:, 1:] - three[:, :1], axis=-1))
        claims = torch.from_numpy(covariance[:, list(frame.points)])
        poses.append(fit_frames(torch.from_numpy(three), torch.from_numpy(lengths), claims))
    return LiftedFrames(
        [frame.name.removeprefix(f"own/{GROUP}/") for frame in found],
        torch.stack([pose.rotation for pose in poses], 1).numpy(),
        torch.stack([pose.position for pose in poses], 1).numpy(),
        torch.stack([pose.covariance for pose in poses], 1).numpy(),
    )


def _medians(lengths: Floats) -> Floats:
    """Return the medians (2,) of lengths (T, 2); 1 where none is known."""
    known = lengths[np.isfinite(lengths).all(1)]
    return np.asarray(np.median(known, axis=0)) if len(known) else np.ones(2)


def note_on(frames: LiftedFrames) -> str:
    """Say how far the rotations can be trusted, by what the covariances claim."""
    variance = np.trace(frames.covariance[..., :3, :3], axis1=-2, axis2=-1)
    parts = []
    for name, one in zip(frames.names, variance.T, strict=True):
        known = one[np.isfinite(one)]
        claim = f"{np.degrees(np.sqrt(np.median(known))):.1f}" if len(known) else "unknown"
        parts.append(f"{name[:40]} {claim}")
    shown = ", ".join(parts[:6]) + (f" and {len(parts) - 6} more" if len(parts) > 6 else "")
    return (
        f"whole poses of {len(parts)} frame(s) are in points3d.npz; claimed deviation of the"
        f" rotation in the median [deg]: {shown}"
    )
