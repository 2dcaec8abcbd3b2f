"""Settings of domain randomisation, so that scripts of RLBench can be imported.

`Environment` refuses them in one line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from rlbench.backend.exceptions import UnknownSettingError

IMAGES = ("*.jpg", "*.png")


class RandomizeEvery(Enum):
    """When something else is drawn; `VARIATION` and `TRANSITION` are one value, as in RLBench."""

    EPISODE = 0
    VARIATION = 1
    TRANSITION = 1


@dataclass
class RandomizationConfig:
    """Which objects are randomised.

    Attributes:
        whitelist: only these; None means all.
        blacklist: not these.
        randomize_arm: the robot too.
    """

    whitelist: Sequence[str] | None = None
    blacklist: Sequence[str] | None = None
    randomize_arm: bool = True

    def should_randomize(self, obj_name: str) -> bool:
        """Tell whether an object is randomised."""
        if not self.randomize_arm and "panda" in obj_name.lower():
            return False
        if self.whitelist is not None:
            return obj_name in self.whitelist
        return obj_name not in (self.blacklist or ())


class DynamicsRandomizationConfig(RandomizationConfig):
    """Randomised physics."""


class VisualRandomizationConfig(RandomizationConfig):
    """Randomised textures, from a folder of images."""

    def __init__(
        self,
        image_directory: str,
        whitelist: Sequence[str] | None = None,
        blacklist: Sequence[str] | None = None,
        randomize_arm: bool = True,
    ) -> None:
        """Look where textures are.

        Raises:
            UnknownSettingError: the folder is not there, or has no images.
        """
        super().__init__(whitelist, blacklist, randomize_arm)
        folder = Path(image_directory)
        if not folder.is_dir() or not any(True for kind in IMAGES for _ in folder.glob(kind)):
            raise UnknownSettingError(
                f"VisualRandomizationConfig: {image_directory} is no folder with .jpg or .png"
                " images"
            )
        self.image_directory = folder
