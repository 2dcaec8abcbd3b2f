"""Keypoint tracks: detector-like 2D and the eight channels of an example. NumPy only."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SIGMA_RATIO = 0.00504  # standard deviation of a detection, in image widths
SUBPIXEL = 16  # detections are rounded to 1/16 px, so that they compress
N_CHANNELS = 8
OCCLUDED = 0.5  # visibility of a point that is in the image but hidden
OUTLIER_RANGE = 0.1  # half width of the uniform error of an outlier, in image widths

Float = npt.NDArray[np.floating]


@dataclass(frozen=True)
class DetectorNoise:
    """How a detector errs around the exact 2D.

    Attributes:
        scale: Factor on `SIGMA_RATIO`.
        occluded_scale: Further factor where the keypoint is hidden.
        outlier_rate: Share of detections with a uniform error of +-`OUTLIER_RANGE` widths.
        seed: Entropy of the generators.
    """

    scale: float = 1.0
    occluded_scale: float = 1.0
    outlier_rate: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("scale", "occluded_scale"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"noise {name} must be at least 0, got {getattr(self, name)}")
        if not 0 <= self.outlier_rate <= 1:
            raise ValueError(f"outlier_rate must be in [0, 1], got {self.outlier_rate}")
        if self.seed < 0:
            raise ValueError(f"noise seed must be at least 0, got {self.seed}")

    def sigma_px(self, width: int) -> float:
        """Give the standard deviation [px] of a visible point in an image of `width` px."""
        return SIGMA_RATIO * width * self.scale


def detect(
    uv: Float, visibility: Float, width: int, task_id: int, example: int, noise: DetectorNoise
) -> npt.NDArray[np.float64]:
    """Make detector-like 2D: independent noise for every frame, keypoint and axis.

    Each view has its own generator, a function of (noise seed, task, example, view), so that a
    view's detections do not depend on the other views.

    Args:
        uv: (V, T, K, 2) exact image points [px].
        visibility: (V, T, K) in {0, 0.5, 1}.
        width: Image width [px].
        task_id: Task number.
        example: Example number within the task.
        noise: Its size and kind.

    Returns:
        (V, T, K, 2) [px], rounded to 1/16 px.
    """
    detected = np.empty(uv.shape, dtype=np.float64)
    for view, exact in enumerate(uv):
        sequence = np.random.SeedSequence(noise.seed, spawn_key=(task_id, example, view))
        rng = np.random.default_rng(sequence)
        # Always drawn in this order: switching outliers on leaves the other errors as they were.
        error = rng.standard_normal(exact.shape) * noise.sigma_px(width)
        is_outlier = rng.random(exact.shape[:-1]) < noise.outlier_rate
        outlier = rng.uniform(-OUTLIER_RANGE, OUTLIER_RANGE, exact.shape) * width
        error[visibility[view] == OCCLUDED] *= noise.occluded_scale
        error[is_outlier] = outlier[is_outlier]
        detected[view] = exact + error
    return np.rint(detected * SUBPIXEL) / SUBPIXEL


def assemble(
    uv: Float, detected: Float, xyz: Float, visibility: Float
) -> npt.NDArray[np.float32]:
    """Put the eight channels together.

    Args:
        uv: (V, T, K, 2) exact image points [px].
        detected: (V, T, K, 2) detections [px].
        xyz: (T, K, 3) [m], world.
        visibility: (V, T, K).

    Returns:
        (V, T, K, 8): exact 2D, detected 2D, xyz, visibility.
    """
    V, T, K = visibility.shape
    for name, array, shape in (
        ("uv", uv, (V, T, K, 2)),
        ("detected", detected, (V, T, K, 2)),
        ("xyz", xyz, (T, K, 3)),
    ):
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    tracks = np.empty((V, T, K, N_CHANNELS), dtype=np.float32)
    tracks[..., 0:2] = uv
    tracks[..., 2:4] = detected
    tracks[..., 4:7] = xyz
    tracks[..., 7] = visibility
    return tracks
