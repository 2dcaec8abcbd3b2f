"""Conditions of the accuracy benchmark: the shipped detections, and harder ones.

Everything is a function of the archive and a seed: the detector is that of the data generation
(`tracks.detector`), with a generator of its own for each (seed, task, example, view).
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from data_generation.RLBench.tracks.detector import PRESETS, DetectorNoise, detect
from pose_obj_3d.common.archive.detections import DETECTED, DETECTOR, Witness
from pose_obj_3d.formal import UV_DETECTED, UV_EXACT, VISIBILITY, FormalData
from pose_obj_3d.tracks.choosing import choose_detections


@dataclass(frozen=True)
class Condition:
    """How the detections of a condition differ from the shipped ones.

    Attributes:
        title: For tables.
        is_detected: Whether the archive's real detections are used, usable as the detector says;
            then nothing is simulated.
        preset: Settings of the simulated detector: the rest of these, unless they are defaults.
        noise_scale: Multiple of the archive's standard deviation.
        outlier_rate: Share of gross errors.
        drop_rate: Share of detections that are missing, each on its own.
        seed: Of the detector, or None for the shipped detections. That of the archive repeats its
            noise, apart from ties of the 1/16 px grid, and adds outliers or gaps to it.
        views: View numbers to use; all when empty.
        trained_on: Condition whose models are evaluated here, or "" for models of its own.
    """

    title: str
    is_detected: bool = False
    preset: str = "white"
    noise_scale: float = 1.0
    outlier_rate: float = 0.0
    drop_rate: float = 0.0
    seed: int | None = None
    views: tuple[int, ...] = ()
    trained_on: str = ""

    @property
    def is_white(self) -> bool:
        """Whether each detection errs on its own, as much as the archive says."""
        return self.preset == "white" and not self.is_detected

    def detector(self, seed: int) -> DetectorNoise:
        """Return the simulated detector; `seed` is added to the condition's own."""
        own = ("noise_scale", "outlier_rate", "drop_rate")
        changed = {n: getattr(self, n) for n in own if getattr(self, n) != getattr(Condition, n)}
        settings = {**PRESETS[self.preset], **changed}
        return DetectorNoise(**settings, noise_seed=(self.seed or 0) + seed)


CONDITIONS = {
    "clean": Condition("noise 1x, 4 views"),
    "noise2": Condition("noise 2x", noise_scale=2.0, seed=1),
    "noise3": Condition("noise 3x", noise_scale=3.0, seed=1),
    "drop20": Condition("20 % dropped", drop_rate=0.2, seed=0),
    "outlier5": Condition("5 % outliers", outlier_rate=0.05, seed=0),
    "views2": Condition("2 views", views=(0, 1), trained_on="clean"),
    "views3": Condition("3 views", views=(0, 1, 2), trained_on="clean"),
    "as_measured": Condition("simulated as measured", preset="as_measured", seed=0),
    "pixels": Condition("detected in pixels", is_detected=True),
    "as_measured_pixels": Condition(
        "simulated as measured, models of pixels",
        preset="as_measured",
        seed=0,
        trained_on="pixels",
    ),
    "pixels_as_measured": Condition(
        "detected in pixels, models of simulated as measured",
        is_detected=True,
        trained_on="as_measured",
    ),
}
"""Name -> condition. The views of a subset are the first ones, as `--eval_n_views` takes them."""
WITH_LABELS = ("clean", "as_measured", "pixels")
"""Conditions in which networks are also trained with 3D labels."""


def under(data: FormalData, condition: Condition, task: int, seed: int = 0) -> FormalData:
    """Return one task of the data with the detections of a condition, and the noise it states.

    Args:
        data: The archive; it is not changed.
        condition: What to do.
        task: Task id.
        seed: Added to the condition's seed: other numbers, other noise.
    """
    if condition.is_detected:
        return choose_detections(data, Witness(DETECTED, DETECTOR), [task])
    tracks = data.tracks[task]
    if condition.seed is None:
        return dataclasses.replace(data, tracks={task: tracks})
    detector = condition.detector(seed)
    width, V = data.image_size[0], len(data.camera_names)
    changed = []
    for n, x in enumerate(tracks):
        found = detect(
            x[..., UV_EXACT].astype(np.float64), x[..., VISIBILITY], width, task, n, detector
        )
        changed.append(x.copy())
        changed[-1][..., UV_DETECTED] = found
    sigma = detector.sigma_px(width, V)
    noise = {
        "sigma_px": float(np.sqrt((sigma**2).mean())),
        "sigma_px_per_view": sigma.tolist(),
        "seed": detector.noise_seed,
        **detector.stated(V),
    }
    return dataclasses.replace(data, tracks={task: changed}, meta={**data.meta, "noise": noise})


def few(data: FormalData, demos: int) -> FormalData:
    """Keep the first demonstrations of each part of the split: a benchmark of minutes.

    Args:
        data: The archive.
        demos: Of each task to train on, and as many to test; a quarter of it to validate.
    """
    kept = {"train": demos, "val": max(1, demos // 4), "test": demos}
    split = {
        task: {part: numbers[: kept[part]] for part, numbers in parts.items()}
        for task, parts in data.meta["split"].items()
    }
    return dataclasses.replace(data, meta={**data.meta, "split": split})
