"""Keypoint tracks: detector-like 2D and the eight channels of an example. NumPy only."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.facts import NOISE_RATIO
from pose_obj_3d.formal import NUM_CHANNELS, UV_DETECTED, UV_EXACT, VISIBILITY, XYZ_WORLD

SUBPIXEL = 16  # detections are rounded to 1/16 px, so that they compress
EXACT_SUBPIXEL = 1024  # exact 2D is rounded to 1/1024 px,
XYZ_STEPS = 2**17  # and positions to 2^-17 m = 7.6 um: a third of the archive's size is their noise
OCCLUDED = 0.5  # visibility of a point that is in the image but hidden
OUTLIER_RANGE = 0.1  # half width of the uniform error of an outlier, in image widths

MAX_SCALE = 100.0
RANGES = {
    "noise_scale": (0.0, MAX_SCALE),
    "occlusion_noise": (0.0, MAX_SCALE),
    "outlier_rate": (0.0, 1.0),
    "drop_rate": (0.0, 1.0),
}
"""The settings of a detector, which are also keys of the dataset config, and their ranges."""

Float = npt.NDArray[np.floating]
PerView = float | tuple[float, ...]


@dataclass(frozen=True)
class DetectorNoise:
    """How a detector errs around the exact 2D. Every setting is one number, or one for each view.

    Attributes:
        noise_scale: Factor on `NOISE_RATIO`.
        occlusion_noise: Further factor where the keypoint is hidden.
        outlier_rate: Share of detections with a uniform error of +-`OUTLIER_RANGE` widths.
        drop_rate: Share of detections that are missing, in each view on its own.
        noise_seed: Entropy of the generators.

    Raises:
        ValueError: A setting is out of its range.
    """

    noise_scale: PerView = 1.0
    occlusion_noise: PerView = 1.0
    outlier_rate: PerView = 0.0
    drop_rate: PerView = 0.0
    noise_seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            for number in value if isinstance(value, tuple) else (value,):
                if not low <= number <= high:
                    raise ValueError(f"{name} must be in [{low:g}, {high:g}], got {number}")
        if self.noise_seed < 0:
            raise ValueError(f"noise_seed must be at least 0, got {self.noise_seed}")

    def of_views(self, name: str, n_views: int) -> npt.NDArray[np.float64]:
        """Give a setting of every view, (V,).

        Raises:
            ValueError: It lists another number of views.
        """
        value = np.atleast_1d(np.array(getattr(self, name), np.float64))
        if len(value) not in (1, n_views):
            raise ValueError(
                f"{name} lists {len(value)} numbers for {n_views} views; give one number, or one"
                " for each view"
            )
        return np.broadcast_to(value, (n_views,)).copy()

    def sigma_px(self, width: int, n_views: int) -> npt.NDArray[np.float64]:
        """Give (V,) [px], the standard deviation of a seen point in images of `width` px."""
        return NOISE_RATIO * width * self.of_views("noise_scale", n_views)


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
        (V, T, K, 2) [px], rounded to 1/16 px; NaN where the detector missed the point.
    """
    V = len(uv)
    sigma, occlusion = noise.sigma_px(width, V), noise.of_views("occlusion_noise", V)
    outliers, drops = noise.of_views("outlier_rate", V), noise.of_views("drop_rate", V)
    detected = np.empty(uv.shape, dtype=np.float64)
    for view, exact in enumerate(uv):
        sequence = np.random.SeedSequence(noise.noise_seed, spawn_key=(task_id, example, view))
        rng = np.random.default_rng(sequence)
        # Always drawn in this order: switching one kind on leaves the other errors as they were.
        error = rng.standard_normal(exact.shape) * sigma[view]
        is_outlier = rng.random(exact.shape[:-1]) < outliers[view]
        outlier = rng.uniform(-OUTLIER_RANGE, OUTLIER_RANGE, exact.shape) * width
        is_dropped = rng.random(exact.shape[:-1]) < drops[view]
        error[visibility[view] == OCCLUDED] *= occlusion[view]
        error[is_outlier] = outlier[is_outlier]
        error[is_dropped] = np.nan
        detected[view] = exact + error
    return np.rint(detected * SUBPIXEL) / SUBPIXEL


def rounded(xyz: Float) -> npt.NDArray[np.float64]:
    """Round positions (*, 3) [m] to the grid that the archive stores."""
    return np.rint(np.asarray(xyz, np.float64) * XYZ_STEPS) / XYZ_STEPS


def assemble(uv: Float, detected: Float, xyz: Float, visibility: Float) -> npt.NDArray[np.float32]:
    """Put the eight channels together.

    Args:
        uv: (V, T, K, 2) exact image points [px]; stored rounded to 1/1024 px.
        detected: (V, T, K, 2) detections [px], NaN where there is none.
        xyz: (T, K, 3) [m], world.
        visibility: (V, T, K).

    Returns:
        (V, T, K, 8), channels as `pose_obj_3d.formal` names them.
    """
    V, T, K = visibility.shape
    for name, array, shape in (
        ("uv", uv, (V, T, K, 2)),
        ("detected", detected, (V, T, K, 2)),
        ("xyz", xyz, (T, K, 3)),
    ):
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    tracks = np.empty((V, T, K, NUM_CHANNELS), dtype=np.float32)
    tracks[..., UV_EXACT] = np.rint(uv * EXACT_SUBPIXEL) / EXACT_SUBPIXEL
    tracks[..., UV_DETECTED] = detected
    tracks[..., XYZ_WORLD] = xyz
    tracks[..., VISIBILITY] = visibility
    return tracks
