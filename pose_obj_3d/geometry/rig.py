"""The cameras that see a scene."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rig:
    """Cameras of the used views.

    Attributes:
        intrinsics: (V, 3, 3) [px].
        extrinsics: (V, 3, 4) world to camera [m].
        sigma_px: Noise of the detections per coordinate [px].
        view_ids: Numbers of the views in the archive.
    """

    intrinsics: Tensor
    extrinsics: Tensor
    sigma_px: float
    view_ids: tuple[int, ...]

    def float(self) -> "Rig":
        """Return the rig in float32."""
        return replace(self, intrinsics=self.intrinsics.float(), extrinsics=self.extrinsics.float())

    def to(self, device: torch.device) -> "Rig":
        """Return the rig on a device."""
        return Rig(
            self.intrinsics.to(device), self.extrinsics.to(device), self.sigma_px, self.view_ids
        )
