"""What a user can choose when other tools' files are read; each option has the name of its flag."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pose_obj_3d.common.errors import ConfigError


@dataclass(frozen=True)
class ImportOptions:
    """Options of one import. A value out of range is a ConfigError.

    Attributes:
        calibration: File of the calibrated cameras; None: the source holds it.
        individuals: Names of the individuals to take; empty: the only one.
        fps: Frames a second, of all views; None: as the files say.
        offsets: View -> number of frames by which its frame 0 comes after the common frame 0.
        min_confidence: Points with less are missing.
        units: Unit of the calibration, if it does not say it.
    """

    calibration: Path | None = None
    individuals: tuple[str, ...] = ()
    fps: float | None = None
    offsets: Mapping[str, int] = field(default_factory=dict)
    min_confidence: float = 0.0
    units: str | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.fps is not None and not 0 < self.fps < 1e5:
            raise ConfigError(f"--fps {self.fps:g}: allowed: above 0 and below 100000")
        if not 0 <= self.min_confidence <= 1 or math.isnan(self.min_confidence):
            raise ConfigError(f"--min_confidence {self.min_confidence:g}: allowed: 0 to 1")


def parse_offsets(given: list[str]) -> dict[str, int]:
    """Read `NAME=FRAMES`, such as `left=12`."""
    offsets = {}
    for text in given:
        name, is_there, number = text.rpartition("=")
        try:
            offsets[name] = int(number)
        except ValueError:
            is_there = ""
        if not is_there or not name:
            raise ConfigError(
                f"--offset {text[:60]}: allowed: VIEW=FRAMES, such as left=12: frame 0 of left is"
                " frame 12 of the others"
            )
    return offsets
