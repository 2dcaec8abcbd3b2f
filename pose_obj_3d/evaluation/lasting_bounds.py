"""What many frames of a point at rest tell where the simulated errors last, as `meta.noise` states.

The errors h_t^-1 e_t of a view's frames t, with the precisions h_t^2, have correlations R. If the
view's Jacobian J is the same in all frames, these tell J^T J times h^T R^-1 h; for independent
errors, R = 1, this is the sum of the precisions.
"""

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.track_smoothing import window_index
from pose_obj_3d.tracks.types import Tracks

_MISSING = 1e9  # variance of a frame without detection, in units of its error's
_CHUNK = 40_000  # windows solved at once; bounds the memory


def true_information(tracks: Tracks, rig: Rig, precision: Tensor) -> Tensor:
    """Return what views of some precision (N, K, V) tell of the true points (N, K, 3, 3)."""
    assert tracks.truth is not None
    cameras = (rig.intrinsics, rig.extrinsics, rig.sigma_px)
    return geometry.information(tracks.truth.double(), precision, *cameras)


def window_precision(tracks: Tracks, precision: Tensor, num_frames: int) -> Tensor:
    """Add up the precision of windows.

    Args:
        tracks: The data, with `lasting`.
        precision: (N, K, V) of each detection; 0 = missing.
        num_frames: Length of the window.

    Returns:
        (N, K, V) in the unit of `precision`.
    """
    index, is_distinct = window_index(tracks, num_frames)
    lags = (index[:, :, None] - index[:, None]).abs()  # (N, T, T)
    found = torch.zeros_like(precision)
    for view in range(precision.shape[2]):
        correlation = _correlation(tracks, view, lags)
        inside = precision[:, :, view][index] * is_distinct[..., None]  # (N, T, K)
        flat = inside.transpose(1, 2).flatten(0, 1)
        which = torch.arange(len(index), device=index.device).repeat_interleave(precision.shape[1])
        parts = [
            _total(flat[rows], correlation[which[rows]])
            for rows in torch.split(torch.arange(len(flat), device=index.device), _CHUNK)
        ]
        found[:, :, view] = torch.cat(parts).reshape(found.shape[:2])
    return found


def track_precision(tracks: Tracks, precision: Tensor) -> Tensor:
    """Add up the precision (N, K, V) of whole examples; the same in all frames of an example."""
    found = torch.zeros_like(precision)
    for start in tracks.first.unique().tolist():  # type: ignore[no-untyped-call]
        rows = slice(start, int(tracks.last[start]) + 1)
        frame = torch.arange(rows.stop - start, device=precision.device)
        lags = (frame[:, None] - frame).abs()
        for view in range(precision.shape[2]):
            correlation = _correlation(tracks, view, lags).expand(precision.shape[1], -1, -1)
            found[rows, :, view] = _total(precision[rows, :, view].T, correlation)
    return found


def _correlation(tracks: Tracks, view: int, lags: Tensor) -> Tensor:
    assert tracks.lasting is not None
    slow, constant, time_constant = tracks.lasting[view].double().tolist()
    decay = (-lags.double() / max(time_constant, 1e-9)).exp()
    return torch.where(lags == 0, 1.0, slow * decay + constant)


def _total(precision: Tensor, correlation: Tensor) -> Tensor:
    """Return h^T R^-1 h (n,) of precisions h^2 (n, T) and R (n, T, T)."""
    missing = torch.diag_embed(torch.where(precision > 0, 0.0, _MISSING))
    h = precision.sqrt().unsqueeze(-1)
    total: Tensor = (h * torch.linalg.solve(correlation + missing, h)).sum((1, 2))
    return total
