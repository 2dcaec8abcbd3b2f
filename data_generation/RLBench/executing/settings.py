"""What an execution is asked for: scenes, methods, noise, how often the robot looks."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from data_generation.RLBench.config import DatasetConfig
from data_generation.RLBench.errors import ConfigError
from data_generation.RLBench.tracks.detector import DetectorNoise
from pose_obj_3d.models.choices import ESTIMATORS

TRUTH = "truth"
NAMED = (TRUTH, *ESTIMATORS)
"""Methods without a checkpoint: the true poses, and the estimators without learning."""
START, EACH_WAYPOINT = "start", "each_waypoint"
REPLANS = (START, EACH_WAYPOINT)
"""When the robot looks: once before it moves, or again before each waypoint."""
PIXELS = "pixels"
"""The name of detections that a network has found in pictures, in place of a noise level."""
FILM_SUFFIXES = (".gif", ".mp4")
_LABEL = re.compile(r"[\w .+()-]{1,40}")


@dataclass(frozen=True)
class Method:
    """How detections become points.

    Attributes:
        label: its name in results.
        name: one of `NAMED`; empty for a checkpoint.
        checkpoint: `best.pt` of a training; None for a named method.
    """

    label: str
    name: str = ""
    checkpoint: Path | None = None

    def identity(self) -> str:
        """Return what the label stands for: the name, or the hash of the checkpoint's bytes."""
        if self.checkpoint is None:
            return self.name
        return _sha256(self.checkpoint)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parse_method(text: str) -> Method:
    """Read `NAME`, `PATH` or `LABEL=PATH`.

    Raises:
        ConfigError: It is no known name and no file.
    """
    if text in NAMED:
        return Method(text, text)
    label, has_label, path_text = text.partition("=")
    path = Path(path_text if has_label else text).expanduser()
    if not path.is_file():
        raise ConfigError(
            f"--methods {text[:80]}: no such method and no such file; there are"
            f" {', '.join(NAMED)}, or LABEL=path/to/best.pt"
        )
    if not has_label:
        label = path.parent.name
    if not _LABEL.fullmatch(label) or label in NAMED:
        raise ConfigError(
            f"--methods {text[:80]}: the label {label[:50]!r} must be 1 to 40 letters, digits,"
            " spaces or .+-() and no name of a method"
        )
    return Method(label, checkpoint=path.absolute())


@dataclass(frozen=True)
class Noise:
    """Detections of one kind: simulated, or (`detector` is None) found in pictures."""

    label: str
    detector: DetectorNoise | None


@dataclass(frozen=True, order=True)
class Condition:
    """How a scene is executed; its text is a key in results."""

    method: str
    noise: str
    replan: str

    def __str__(self) -> str:
        return " | ".join((self.method, self.noise, self.replan))

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Read what `str` has made."""
        return cls(*text.split(" | "))


@dataclass(frozen=True)
class Settings:
    """What a worker must know.

    Attributes:
        config: Cameras, image size, detector.
        seed: Of the scenes.
        frames: How many frames a look lasts, of 50 ms, with the robot at rest.
        methods: What lifts.
        noises: What detects.
        replan: One of `REPLANS`.
        occlusion: `keep`: hidden points are detected, too; `drop`: only seen ones count.
        grasp_limit_mm: With `each_waypoint`: claimed deviation of the position above which the
            robot goes on looking before it closes its hand.
        longest_wait: How many frames more it looks then at most.
        tries: How many other poses that a method's claims allow are tried where no way leads to
            the lifted one.
        engine: Options of `rlbench.Environment`.
        detectors: `best.pt` of the networks that find keypoints in pictures.
        detected: An archive of their detections, which says how they err.
        structure: An archive that shows which waypoints always lie alike to each other.
    """

    config: DatasetConfig
    seed: int
    frames: int
    methods: tuple[Method, ...]
    noises: tuple[Noise, ...]
    replan: str = START
    occlusion: str = "keep"
    grasp_limit_mm: float = 8.0
    longest_wait: int = 20
    tries: int = 60
    engine: dict[str, Any] = field(default_factory=dict)
    detectors: tuple[Path, ...] = ()
    detected: Path | None = None
    structure: Path | None = None

    def conditions(self) -> list[Condition]:
        """List what each scene is executed with; the truth knows no noise."""
        found = [
            Condition(m.label, "exact" if m.name == TRUTH else noise.label, self.replan)
            for noise in self.noises
            for m in self.methods
        ]
        return list(dict.fromkeys(found))

    def method(self, label: str) -> Method:
        """Return a method by its label."""
        return next(m for m in self.methods if m.label == label)

    def noise(self, label: str) -> Noise:
        """Return a noise by its label; any for the truth, which needs none."""
        return next((n for n in self.noises if n.label == label), self.noises[0])

    def identity(self) -> dict[str, Any]:
        """Return what all results in a folder must share."""
        config = self.config
        return {
            "seed": self.seed,
            "frames": self.frames,
            "cameras": list(config.track_cams),
            "image_size": list(config.image_size),
            "variations": config.n_variation_per_task,
            "detector": asdict(config.detector_noise()),
            "occlusion": self.occlusion,
            "grasp_limit_mm": self.grasp_limit_mm,
            "longest_wait": self.longest_wait,
            "tries": self.tries,
            "engine": {k: v for k, v in self.engine.items() if k != "rlbench_root"},
            "shadows": config.shadows,
            "antialiasing": config.antialiasing,
            "detectors": [_sha256(path) for path in self.detectors],
            "structure": None if self.structure is None else _sha256(self.structure),
            "detected": None if self.detected is None else _sha256(self.detected),
        }


def simulated_noises(config: DatasetConfig, scales: Sequence[float]) -> tuple[Noise, ...]:
    """Return the detector of the config, at some factors on its noise; labels such as `3x`.

    Raises:
        ConfigError: A factor is out of range.
    """
    base = config.detector_noise()
    name = "" if config.detector == "white" else f"{config.detector} "
    found = []
    for scale in scales:
        given = base.noise_scale
        size = tuple(scale * x for x in given) if isinstance(given, tuple) else scale * given
        try:
            found.append(Noise(f"{name}{scale:g}x", replace(base, noise_scale=size)))
        except ValueError as error:
            raise ConfigError(f"--noise_scale {scale:g}: {error}") from None
    return tuple(found)


def film_path(text: str) -> Path:
    """Return the path of a film.

    Raises:
        ConfigError: It is of another format.
    """
    path = Path(text).expanduser().absolute()
    if path.suffix not in FILM_SUFFIXES:
        raise ConfigError(
            f"--film {text[:80]}: its name must end with {' or '.join(FILM_SUFFIXES)}"
        )
    return path
