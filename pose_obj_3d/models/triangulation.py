"""No learning: one of the reference estimators, on the centre frame or on the window.

`rts` smooths the T frames of the window here; over whole examples it is one of the reference lines
of `evaluation`. `map` estimates whole examples; given windows alone, it takes each for an example.
"""

from collections.abc import Callable

import torch

from pose_obj_3d.geometry import estimators
from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.blocks import Model, Prediction
from pose_obj_3d.smoothing.kalman import local_polynomial, smooth
from pose_obj_3d.tracks import map_smoothing
from pose_obj_3d.tracks.types import Tracks, Windows

RTS_Q_PER_FRAME = 0.0025  # [m/frame^2]: 1 m/s^2 at 20 frames a second
MAP = "map"
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
            triangulations; `map` finds the most probable whole track.
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
        elif self.estimator == MAP:
            found = _map_of_windows(windows, rig)
        else:
            found = self._smoothed(windows)
        return Prediction(found.filled(centre).to(centre.dtype))

    def whole_tracks(self, tracks: Tracks, rig: Rig) -> Estimate | None:
        """Estimate whole examples: `map` alone does."""
        return map_smoothing.smooth(tracks, rig) if self.estimator == MAP else None

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


def _map_of_windows(windows: Windows, rig: Rig) -> Estimate:
    """Estimate each window by itself and read the centre: (B, K, 3)."""
    B, T = windows.is_distinct.shape
    distinct = windows.is_distinct[:, :, None]
    frame = torch.arange(B * T, device=windows.uv.device)
    first = frame // T * T
    tracks = Tracks(
        uv=windows.uv.flatten(0, 1),
        weights=(windows.weights * distinct[..., None]).flatten(0, 1),
        robust=windows.robust.flatten(0, 1),
        xyz=windows.xyz.flatten(0, 1),
        info=(windows.info * distinct[..., None, None]).flatten(0, 1),
        truth=None,
        precision=None,
        keypoint=windows.keypoint.repeat_interleave(T, 0),
        first=first,
        last=first + T - 1,
        source=torch.stack([torch.zeros_like(frame), frame // T, frame % T], -1),
    )
    found = map_smoothing.smooth(tracks, rig)
    at = torch.arange(B, device=frame.device) * T + windows.centre
    return Estimate(found.xyz[at], found.covariance[at])
