"""What a calibration file says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.common.names import near_names

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """One camera as a file has it.

    Attributes:
        name: Its name.
        intrinsics: (3, 3) [px], OpenCV's: the centre of the upper left pixel is (0, 0).
        extrinsics: (3, 4) world to camera, OpenCV's axes, in the file's unit; None where the file
            has no pose.
        distortion: (14,) OpenCV's coefficients, filled up with 0.
        lens: `pinhole` or `fisheye`.
        size: Width and height [px], or None.
    """

    name: str
    intrinsics: Floats
    extrinsics: Floats | None
    distortion: Floats
    lens: str
    size: tuple[int, int] | None


@dataclass(frozen=True)
class CameraFile:
    """The cameras of a file or folder.

    Attributes:
        source: The file or folder; for messages.
        tool: Whose format it is.
        cameras: In the file's order.
        unit: `m` or `mm`; None where neither the file nor its format says it.
        notes: One line for each thing that was left out or changed.
    """

    source: str
    tool: str
    cameras: list[Camera]
    unit: str | None
    notes: list[str]


@dataclass(frozen=True)
class Calibration:
    """Validated cameras with their poses.

    Attributes:
        source: The file or folder; for messages.
        tool: Whose format it is.
        names: V different names.
        intrinsics: (V, 3, 3) [px].
        extrinsics: (V, 3, 4) world to camera, OpenCV's axes, in `unit`.
        distortion: (V, 14) OpenCV's coefficients, filled up with 0; k1 k2 k3 k4 for a fisheye.
        lenses: V times `pinhole` or `fisheye`.
        image_size: (V, 2) width and height [px]; None unless all cameras have one.
        unit: `m` or `mm`.
        is_unit_known: False where the unit was guessed from the distances between cameras.
        notes: One line for each thing that was left out, changed or guessed.
    """

    source: str
    tool: str
    names: list[str]
    intrinsics: Floats
    extrinsics: Floats
    distortion: Floats
    lenses: list[str]
    image_size: Floats | None
    unit: str
    is_unit_known: bool
    notes: list[str]

    def chosen(self, names: Sequence[str]) -> "Calibration":
        """Return the cameras of these names, in their order.

        Raises:
            DataError: One is not there.
        """
        absent = [name for name in names if name not in self.names]
        if absent:
            raise DataError(
                f"{self.source}: there is no camera {absent[0][:80]!r};"
                f" {near_names(absent[0], self.names)}"
            )
        order = [self.names.index(name) for name in names]
        return replace(
            self,
            names=list(names),
            intrinsics=self.intrinsics[order],
            extrinsics=self.extrinsics[order],
            distortion=self.distortion[order],
            lenses=[self.lenses[i] for i in order],
            image_size=None if self.image_size is None else self.image_size[order],
        )

    def members(self) -> dict[str, Array]:
        """Return the cameras as members of a track file (docs/own_videos.md)."""
        found: dict[str, Array] = {
            "intrinsics": self.intrinsics,
            "extrinsics": self.extrinsics,
            "distortion": self.distortion,
            "lens": np.array(self.lenses),
            "camera_names": np.array(self.names),
            "units": np.array(self.unit),
        }
        if self.image_size is not None:
            found["image_size"] = self.image_size
        return found
