"""Do the detections' errors last? Measured by the disagreement of views, without labels."""

import torch
from torch import Tensor

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.consensus.scene.blind_views import views_of_examples
from pose_obj_3d.tracks.types import Tracks

LAGS = 10  # [frames]
DECISIVE_LAG = 5
LASTING = 0.25  # correlation at that lag above which the errors last
_GROSS = 6.0  # residuals beyond so many standard deviations say nothing about the others
_MIN_PAIRS = 200
_MIN_VIEWS = 3  # so that two are left where one is left out


def correlations(tracks: Tracks, rig: Rig) -> Tensor:
    """Correlate the residuals of views with those of later frames, for lags of 1 to `LAGS` frames.

    A residual is what a view differs by from the frame's own triangulation. What is independent in
    each frame has none; what lasts, or is constant, keeps its share of the square error.

    Returns:
        (LAGS,), 0 where there are too few frames.
    """
    cameras = rig.intrinsics.to(tracks.xyz), rig.extrinsics.to(tracks.xyz)
    predicted, _ = geometry.project(tracks.xyz, *cameras)
    residual = (tracks.uv.transpose(1, 2) - predicted) / rig.sigma_px  # (N, K, V, 2)
    is_known = tracks.info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0
    used = (tracks.robust.transpose(1, 2) > 0) & is_known.unsqueeze(-1)
    used = used & (residual.square().sum(-1) < _GROSS**2)
    residual = torch.where(used.unsqueeze(-1), residual, 0.0).double()
    found = torch.zeros(LAGS, dtype=torch.float64)
    for lag in range(1, min(LAGS, len(tracks) - 1) + 1):
        is_same = (tracks.first[lag:] == tracks.first[:-lag])[:, None, None]
        both = used[lag:] & used[:-lag] & is_same
        if int(both.sum()) < _MIN_PAIRS:
            continue
        a, b = residual[lag:][both], residual[:-lag][both]
        found[lag - 1] = 2 * (a * b).sum() / (a.square().sum() + b.square().sum()).clamp_min(1e-12)
    return found


def errors_last(correlation: Tensor) -> bool:
    """Decide whether a neighbouring frame is no independent witness."""
    return float(correlation[DECISIVE_LAG - 1]) > LASTING


def shared_frames(correlation: Tensor) -> float:
    """Return how many frames of a stretch of `LAGS` + 1 say what one independent frame would say.

    The variance of the stretch's mean, in that of independent frames.
    """
    lag = torch.arange(1, LAGS + 1, dtype=correlation.dtype)
    return max(1.0, 1 + 2 * float((correlation * (1 - lag / (LAGS + 1))).sum()))


def has_enough_views(tracks: Tracks) -> bool:
    """Say whether a view can be left out of an example."""
    return _most_views(tracks) >= _MIN_VIEWS


def _most_views(tracks: Tracks) -> int:
    return int(views_of_examples(tracks)[1].sum(1).max())


def frames_that_share(tracks: Tracks, rig: Rig, blind: str) -> float | None:
    """Return how many frames share an error, or None where a frame is to be left out, not a view.

    Args:
        tracks: The training examples.
        rig: The cameras.
        blind: NETWORK.STC.BLIND.

    Raises:
        ConfigError: A view is to be left out, and too few are there.
    """
    V = _most_views(tracks)
    if blind == "view" and V < _MIN_VIEWS:
        raise ConfigError(
            f"NETWORK.STC.BLIND view leaves out one of {V} views, and two must be left; choose"
            " frame or auto"
        )
    if blind == "frame" or V < _MIN_VIEWS:
        return None
    correlation = correlations(tracks, rig)
    return shared_frames(correlation) if blind == "view" or errors_last(correlation) else None
