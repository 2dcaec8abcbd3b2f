"""Keypoint tracks: detector-like 2D and the eight channels of an example. NumPy only."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.tracks import error_processes as processes
from pose_obj_3d.common.facts import NOISE_RATIO
from pose_obj_3d.formal import NUM_CHANNELS, UV_DETECTED, UV_EXACT, VISIBILITY, XYZ_WORLD

SUBPIXEL = 16  # detections are rounded to 1/16 px, so that they compress
EXACT_SUBPIXEL = 1024  # exact 2D is rounded to 1/1024 px,
XYZ_STEPS = 2**17  # and positions to 2^-17 m = 7.6 um: a third of the archive's size is their noise
OCCLUDED = 0.5  # visibility of a point that is in the image but hidden
OUTLIER_RANGE = 0.1  # half width of the uniform error of an outlier, in image widths

MAX_SCALE = 100.0
MAX_FRAMES = 10_000.0
MAX_SPREAD = 2.0
WHITE_RANGES = {
    "noise_scale": (0.0, MAX_SCALE),
    "occlusion_noise": (0.0, MAX_SCALE),
    "outlier_rate": (0.0, 1.0),
    "drop_rate": (0.0, 1.0),
}
"""The settings whose errors are independent in each frame, and their ranges."""
RANGES = {
    **WHITE_RANGES,
    "noise_time_constant": (0.0, MAX_FRAMES),
    "noise_persistent_share": (0.0, 1.0),
    "noise_per_keypoint": (0.0, MAX_SPREAD),
    "gross_rate": (0.0, 1.0),
    "gross_rate_hidden": (0.0, 1.0),
    "gross_scale": (0.0, 1.0),
    "gross_scale_hidden": (0.0, 1.0),
    "share_identical": (0.0, 1.0),
}
"""The settings of a detector, which are also keys of the dataset config, and their ranges."""
PRESETS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "white": {},
        "as_measured": {
            "noise_scale": 0.63,
            "occlusion_noise": 3.3,
            "noise_time_constant": 8.5,
            "noise_persistent_share": 0.33,
            "noise_per_keypoint": 0.36,
            "gross_rate": 0.09,
            "gross_rate_hidden": 0.29,
            "gross_scale": 0.1,
            "gross_scale_hidden": 0.1,
            "share_identical": 0.95,
        },
    }
)
"""Settings that differ from the defaults. `as_measured` is like a heatmap detector on images of
256 px; `docs/generate.md` has what was measured."""
# Last number of the spawn key of a kind of errors; the white errors have keys without it.
SLOW, OFFSET, KEYPOINT, GROSS = range(4)
# Their errors have the numbers 0 to 4, as the views of archives had them from the beginning.
_FIRST_CAMERAS = ("left_shoulder", "right_shoulder", "overhead", "front", "wrist")

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
        noise_time_constant: Of the error's correlation in time [frames], see
            `error_processes.correlated`; 0 for independent frames.
        noise_persistent_share: Share of the square error that is constant for an example, view and
            keypoint.
        noise_per_keypoint: Standard deviation of the logarithm of sigma between the keypoints of a
            view; the same in all examples of a task. The mean square stays.
        gross_rate: Share of points that are far off, for stretches of the time constant, where the
            keypoint is not hidden.
        gross_rate_hidden: The same where it is hidden.
        gross_scale: Median length of such an error [image widths] where it is not hidden.
        gross_scale_hidden: The same where it is hidden.
        share_identical: Correlation of the errors of keypoints at one place in the image. Above 0
            they have sigma, gross errors, outliers and gaps in common.
        noise_seed: Entropy of the generators.

    Raises:
        ValueError: A setting is out of its range.
    """

    noise_scale: PerView = 1.0
    occlusion_noise: PerView = 1.0
    outlier_rate: PerView = 0.0
    drop_rate: PerView = 0.0
    noise_time_constant: PerView = 0.0
    noise_persistent_share: PerView = 0.0
    noise_per_keypoint: PerView = 0.0
    gross_rate: PerView = 0.0
    gross_rate_hidden: PerView = 0.0
    gross_scale: PerView = 0.1
    gross_scale_hidden: PerView = 0.1
    share_identical: PerView = 0.0
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
        """Give (V,) [px], the standard deviation of a seen point in images of `width` px.

        It holds the part that is constant for an example, but no gross errors and no outliers. It
        is the root mean square over a task's keypoints.
        """
        return NOISE_RATIO * width * self.of_views("noise_scale", n_views)

    def stated(self, n_views: int) -> dict[str, list[float]]:
        """Give the settings for the archive's `meta`: name -> one number for each view.

        Those that a white detector does not need are left out where all have their defaults.
        """
        is_white = all(
            np.all(np.equal(getattr(self, name), getattr(type(self), name)))
            for name in RANGES.keys() - WHITE_RANGES
        )
        names = WHITE_RANGES if is_white else RANGES
        return {name: self.of_views(name, n_views).tolist() for name in names}


def camera_numbers(names: Sequence[str]) -> list[int]:
    """Number cameras for `detect`: by their names alone, not by which others there are."""
    return [
        _FIRST_CAMERAS.index(name) if name in _FIRST_CAMERAS else 2**16 + zlib.crc32(name.encode())
        for name in names
    ]


def detect(
    uv: Float,
    visibility: Float,
    width: int,
    task_id: int,
    example: int,
    noise: DetectorNoise,
    cameras: Sequence[int] = (),
) -> npt.NDArray[np.float64]:
    """Make detector-like 2D.

    By default, the noise of every frame, keypoint and axis is independent. Each view has its own
    generators, functions of (noise seed, task, example, camera), so that a view's detections do not
    depend on the other views.

    Args:
        uv: (V, T, K, 2) exact image points [px].
        visibility: (V, T, K) in {0, 0.5, 1}.
        width: Image width [px].
        task_id: Task number.
        example: Example number within the task.
        noise: Its size and kind.
        cameras: V numbers, from `camera_numbers`; by default 0, 1, ...

    Returns:
        (V, T, K, 2) [px], rounded to 1/16 px; NaN where the detector missed the point.
    """
    V = len(uv)
    sigma, settings = noise.sigma_px(width, V), {n: noise.of_views(n, V) for n in RANGES}
    detected = np.empty(uv.shape, dtype=np.float64)
    for view, exact in enumerate(uv):
        one = _View(
            (noise.noise_seed, task_id, example, cameras[view] if cameras else view),
            {name: float(values[view]) for name, values in settings.items()},
        )
        is_hidden = visibility[view] == OCCLUDED
        detected[view] = exact + one.errors(exact, is_hidden, float(sigma[view]), width)
    return np.rint(detected * SUBPIXEL) / SUBPIXEL


@dataclass(frozen=True)
class _View:
    """The detector of one view in one example.

    Attributes:
        place: Noise seed, task, example, number of the camera.
        settings: Name -> number, of this view.
    """

    place: tuple[int, int, int, int]
    settings: Mapping[str, float]

    def errors(
        self, exact: Float, is_hidden: npt.NDArray[np.bool_], sigma: float, width: int
    ) -> npt.NDArray[np.float64]:
        """Give (T, K, 2) [px]; `exact` (T, K, 2) [px], `is_hidden` (T, K)."""
        get, rng = self.settings, self._rng()
        # Always drawn in this order: switching one kind on leaves the other errors as they were.
        unit = rng.standard_normal(exact.shape)
        is_outlier = rng.random(exact.shape[:-1]) < get["outlier_rate"]
        outlier = rng.uniform(-OUTLIER_RANGE, OUTLIER_RANGE, exact.shape) * width
        is_dropped = rng.random(exact.shape[:-1]) < get["drop_rate"]
        K, frames = exact.shape[1], np.arange(len(exact))[:, None]
        unit, factor = self._lasting(unit), np.broadcast_to(self._factors(K), exact.shape[:-1])
        level, offset = self._stretches(exact.shape)
        if (share := get["share_identical"]) > 0:
            first = processes.first_at_place(exact)
            shared = share * unit[frames, first] + np.sqrt(1 - share**2) * unit
            unit = np.where((first == np.arange(K))[..., None], unit, shared)
            factor, level, offset = (x[frames, first] for x in (factor, level, offset))
            outlier, is_outlier = outlier[frames, first], is_outlier[frames, first]
            is_dropped = is_dropped[frames, first]
        error = unit * sigma * factor[..., None]
        error[is_hidden] *= get["occlusion_noise"]
        is_gross = level < np.where(is_hidden, get["gross_rate_hidden"], get["gross_rate"])
        reach = width * np.where(is_hidden, get["gross_scale_hidden"], get["gross_scale"])
        error[is_gross] += (offset * reach[..., None])[is_gross]
        error[is_outlier] = outlier[is_outlier]
        error[is_dropped] = np.nan
        return error

    def _rng(self, *kind: int, example: int | None = None) -> np.random.Generator:
        """Give the generator of the white errors, or that of a further kind of errors."""
        seed, task, this, camera = self.place
        key = (task, this if example is None else example, camera, *kind)
        return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))

    def _lasting(self, white: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return processes.correlated(
            white,
            self.settings["noise_time_constant"],
            self.settings["noise_persistent_share"],
            self._rng(SLOW),
            self._rng(OFFSET),
        )

    def _factors(self, n_keypoints: int) -> npt.NDArray[np.float64]:
        """Give the factors (K,) on sigma, which are the same in all examples of a task."""
        spread = self.settings["noise_per_keypoint"]
        if spread == 0:
            return np.ones(n_keypoints)
        return processes.keypoint_factors(self._rng(KEYPOINT, example=0), n_keypoints, spread)

    def _stretches(
        self, shape: tuple[int, ...]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Give the levels (T, K) and offsets (T, K, 2) of gross errors."""
        if self.settings["gross_rate"] == self.settings["gross_rate_hidden"] == 0:
            return np.ones(shape[:-1]), np.zeros(shape)
        return processes.stretches(
            self._rng(GROSS),
            (shape[0], shape[1]),
            self.settings["noise_time_constant"],
            self.settings["noise_persistent_share"],
        )


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
