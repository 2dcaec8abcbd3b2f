"""Which keypoints move, by their true speed."""

import torch
from torch import Tensor

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.common.facts import MOVING_M_PER_S
from pose_obj_3d.tracks.types import Tracks


def speeds(tracks: Tracks, frame_period_s: float) -> Tensor:
    """Return the true speed (N, K) [m/s]: the faster of the steps into and out of the frame."""
    if tracks.truth is None:
        raise DataError("speed needs the 3D truth")
    step = (tracks.truth[1:] - tracks.truth[:-1]).norm(dim=-1) / frame_period_s
    step = step * (tracks.first[1:] == tracks.first[:-1])[:, None]
    nothing = torch.zeros_like(step[:1])
    return torch.maximum(torch.cat([step, nothing]), torch.cat([nothing, step]))


def never_moves(tracks: Tracks, frame_period_s: float) -> Tensor:
    """Return (N, K): the keypoint stays below `MOVING_M_PER_S` in every frame of the example."""
    moving = (speeds(tracks, frame_period_s) > MOVING_M_PER_S).long()
    running = torch.cat([torch.zeros_like(moving[:1]), moving.cumsum(0)])
    return tracks.is_real & (running[tracks.last + 1] == running[tracks.first])
