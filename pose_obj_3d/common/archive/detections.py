"""What a detector says of each keypoint: the optional members `detections/...` of an archive.

`formal.py` has the schema of the file. Nothing here is derived from the truth.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.archive.arrays import MAX_PX, Array, Shaped
from pose_obj_3d.common.errors import FormalError

DETECTION_CHANNELS = ("u", "v", "sd_u", "sd_v", "rho", "p_inside", "p_seen")
NUM_DETECTION_CHANNELS = len(DETECTION_CHANNELS)
DETECTED_UV = slice(0, 2)  # [px]; both NaN = nothing detected
DETECTED_SD = slice(2, 4)  # claimed standard deviations [px]; both NaN = no claim
DETECTED_RHO = 4  # claimed correlation of the errors of u and v
DETECTED_INSIDE = 5  # probability that the keypoint is in the image
DETECTED_SEEN = 6  # probability that it is in the image and not hidden
# Claims outside this range say nothing that can be computed with: the variance of the smallest
# still differs from 0 in 32 bits when it is added to a squared pixel.
MIN_SD_PX, MAX_SD_PX = 1e-3, 1e6
_PIECE = 2**22  # numbers of an example that are checked at once; bounds the memory
SIMULATED, DETECTED = DETECTION_SOURCES = ("simulated", "detected")
TRUTH, DETECTOR = VISIBILITY_SOURCES = ("truth", "detector")
_FINGER = re.compile(r"robot/((left|right)_finger|finger[0-9]+)")
_DISTRACTOR = re.compile(r"(objects/.*distractor)_?[0-9]+")
Flags = npt.NDArray[np.bool_]
_UV_STEPS, _SD_STEPS, _RHO_STEPS, _P_STEPS = 16, 8, 16, 64
_MAX_RHO = 1 - 1 / 32  # of what is rounded


@dataclass(frozen=True)
class Witness:
    """Who says where keypoints are, and which detections are usable.

    Attributes:
        detections: `simulated` or `detected` (the members `detections/...`).
        visibility: `truth` or `detector`.
    """

    detections: str = SIMULATED
    visibility: str = TRUTH


def check_detections_shape(where: str, frames: tuple[int, int, int], x: Shaped) -> None:
    """Check type and shape of an example's detections, before the numbers are unpacked.

    Args:
        where: Names file and member in the message.
        frames: Views, frames and keypoints of the example's track.
        x: The array, or its header.

    Raises:
        FormalError: It is not float32 (V, T, K, 7) of the track's size.
    """
    wanted = (*frames, NUM_DETECTION_CHANNELS)
    if x.dtype != np.float32 or tuple(x.shape) != wanted:
        raise FormalError(
            f"{where} must be float32 {wanted}, as its track has views, frames and keypoints, with"
            f" the channels {', '.join(DETECTION_CHANNELS)}; found {x.dtype} {tuple(x.shape)}"
        )


def check_detections(where: str, x: Array) -> None:
    """Check the numbers of an example's detections (V, T, K, 7).

    Raises:
        FormalError: Positions are half NaN or huge, a claim is not positive definite, or a
            probability is outside 0..1; the message has the first place.
    """
    frames = max(1, _PIECE // max(1, x[:, 0].size))
    for start in range(0, x.shape[1], frames):
        part = x[:, start : start + frames]
        for sound, what in _rules(part):
            if not sound.all():
                v, t, k = np.argwhere(~sound)[0]
                found = ", ".join(
                    f"{name} {value:g}"
                    for name, value in zip(DETECTION_CHANNELS, part[v, t, k], strict=True)
                )
                raise FormalError(
                    f"{where} at view {v}, frame {start + t}, keypoint {k}: {what}; found {found}"
                )


def _rules(x: Array) -> list[tuple[Flags, str]]:
    """Return what must hold of detections, each as (V, T, K) bool, with its words."""
    uv, sd, rho = x[..., DETECTED_UV], x[..., DETECTED_SD], x[..., DETECTED_RHO]
    p = x[..., [DETECTED_INSIDE, DETECTED_SEEN]]
    missed = np.asarray(np.isnan(uv).all(axis=-1))
    silent = np.asarray(np.isnan(sd).all(axis=-1))
    in_range = np.asarray(((sd >= MIN_SD_PX) & (sd <= MAX_SD_PX)).all(axis=-1))
    is_near = np.asarray((np.abs(uv) <= MAX_PX).all(axis=-1))
    is_share = np.asarray(((p >= 0) & (p <= 1)).all(axis=-1))
    return [
        (
            missed | is_near,
            f"u and v must be up to {MAX_PX:g} px, or both NaN where nothing was detected",
        ),
        (
            silent | (in_range & (np.abs(rho) < 1)),
            "the claim is not positive definite: sd_u and sd_v must be"
            f" {MIN_SD_PX:g} to {MAX_SD_PX:g} px and rho between -1 and 1, or both sd NaN for no"
            " claim",
        ),
        (is_share, "p_inside and p_seen must be probabilities from 0 to 1"),
    ]


def claimed_covariance(x: Array) -> Array:
    """Return the covariance (*, 2, 2) [px^2] that detections (*, 7) claim; NaN where they do not.

    Correlations beyond 0.9999 count as 0.9999: in 32 bits the matrix would not be invertible.
    """
    sd = x[..., DETECTED_SD]
    rho = np.clip(x[..., DETECTED_RHO], -0.9999, 0.9999)
    covariance = np.empty((*x.shape[:-1], 2, 2), x.dtype)
    covariance[..., 0, 0], covariance[..., 1, 1] = sd[..., 0] ** 2, sd[..., 1] ** 2
    covariance[..., 0, 1] = covariance[..., 1, 0] = rho * sd[..., 0] * sd[..., 1]
    return covariance


def rounded_detections(x: Array) -> Array:
    """Round detections (*, 7) so that they take half the space, and lose less than a claim is off.

    Positions to 1/16 px, as the simulated ones; deviations to 1/8 of an octave (9 %); correlations
    to 1/16, at most 31/32; probabilities to 1/64.
    """
    y = np.array(x, np.float32)
    y[..., DETECTED_UV] = np.round(y[..., DETECTED_UV] * _UV_STEPS) / _UV_STEPS
    steps = np.round(np.log2(y[..., DETECTED_SD]) * _SD_STEPS) / _SD_STEPS
    y[..., DETECTED_SD] = np.clip(np.exp2(steps), MIN_SD_PX, MAX_SD_PX)
    rho = np.round(y[..., DETECTED_RHO] * _RHO_STEPS) / _RHO_STEPS
    y[..., DETECTED_RHO] = np.clip(rho, -_MAX_RHO, _MAX_RHO)
    p = [DETECTED_INSIDE, DETECTED_SEEN]
    y[..., p] = np.round(y[..., p] * _P_STEPS) / _P_STEPS
    return y


def look_alike(names: Sequence[str]) -> list[list[str]]:
    """Group keypoints that a picture alone does not tell apart.

    The fingers of a gripper look the same once it is turned. RLBench names things
    that are there to distract by one name and a number, and gives them colours at random.

    Args:
        names: A task's keypoints, `<group>/<name>`.

    Returns:
        Groups of two or more names, each in the order of `names`.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        distractor = _DISTRACTOR.fullmatch(name)
        if _FINGER.fullmatch(name):
            groups.setdefault("fingers", []).append(name)
        elif distractor:
            groups.setdefault(distractor[1], []).append(name)
    return [group for group in groups.values() if len(group) > 1]
