"""No learning: one of the reference estimators, on the centre frame or on the window.

A model sees windows only, so `rts` smooths the T frames of the window here; over whole examples it
is one of the reference lines of `evaluation`.
"""

from collections.abc import Callable

import torch

from pose_obj_3d.geometry import estimators
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.blocks import Model, Prediction
from pose_obj_3d.smoothing.kalman import local_polynomial, smooth
from pose_obj_3d.tracks.types import Windows

RTS_Q_PER_FRAME = 0.0025  # [m/frame^2]: 1 m/s^2 at 20 frames a second
DEGREES = {"mean": 0, "savitzky_golay": 2}
SINGLE_FRAME: dict[str, Callable[..., Estimate]] = {
    "dlt": estimators.dlt,
    "ml": estimators.maximum_likelihood,
    "huber": estimators.huber,
    "consensus": estimators.consensus,
}


class Triangulation(Model):
    """(B, T, V, K, 2) tracks -> (B, K, 3) by geometry alone.

    Args:
        estimator: One of `choices.ESTIMATORS`. `mean`,
            `savitzky_golay` and `rts` (constant velocity) smooth the window's robust
            triangulations.
    """

    def __init__(self, estimator: str = "huber") -> None:
        super().__init__()
        self.estimator = estimator

    def forward(self, windows: Windows, rig: Rig) -> Prediction:
        """Estimate the centre frame; without measurements, take the nearest triangulated one."""
        centre = windows.xyz[:, windows.centre]
        if self.estimator in SINGLE_FRAME:
            uv, weights = (
                x[:, windows.centre].transpose(1, 2) for x in (windows.uv, windows.weights)
            )
            found = SINGLE_FRAME[self.estimator](uv, weights, rig)
        else:
            found = self._smoothed(windows)
        return Prediction(found.filled(centre).to(centre.dtype))

    def _smoothed(self, windows: Windows) -> Estimate:
        """Smooth the distinct frames of the window and read the centre: (B, K, 3)."""
        info = windows.info * windows.is_distinct[..., None, None, None]
        T = info.shape[1]
        if self.estimator in DEGREES:
            offsets = torch.arange(T, device=info.device) - windows.centre
            degree = DEGREES[self.estimator]
            return local_polynomial(
                windows.xyz.transpose(1, 2), info.transpose(1, 2), offsets, degree
            )
        B, _, K, _ = windows.xyz.shape
        xyz, info = (x.transpose(0, 1).flatten(1, 2) for x in (windows.xyz, info))  # (T, B K, ..)
        found = smooth(xyz, info, "constant velocity", RTS_Q_PER_FRAME, 1.0)
        at = windows.centre
        return Estimate(found.xyz[at].reshape(B, K, 3), found.covariance[at].reshape(B, K, 3, 3))
