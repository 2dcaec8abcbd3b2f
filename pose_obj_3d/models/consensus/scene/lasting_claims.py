"""What STC claims without a ground where errors last a little: by rehearsals, too.

The deviation of a frame's measurement from a blind prediction tells how good the prediction is only
where their errors are independent. Where errors last, both have a part of the error in common: they
agree better than either is right.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry import symmetric
from pose_obj_3d.models.consensus.scene import claims
from pose_obj_3d.models.consensus.seen import Seen
from pose_obj_3d.tracks.types import Tracks

Rehearsed = tuple[tuple[Seen, Tensor | None], Tensor]
"""Windows, the information that is claimed for them, and positions or errors (B, K, 3) [m]."""
COMMON = 4  # features that all keypoints have in common; then one for each keypoint
_MAX_LOG_FACTOR = 4.0


def do_last(tracks: Tracks) -> bool:
    """Say whether the noise that was found of the tracks has a part that lasts."""
    return tracks.noise is not None and not tracks.noise.is_white


class LastingClaims(nn.Module):
    """The factor on the covariance of what is predicted.

    Args:
        num_keypoints: P.
    """

    weights: Tensor

    def __init__(self, num_keypoints: int) -> None:
        super().__init__()
        self.num_keypoints = num_keypoints
        start = torch.zeros(COMMON + num_keypoints, dtype=torch.float64)
        self.register_buffer("weights", start)

    def features(self, seen: Seen, info: Tensor) -> Tensor:
        """Describe what the factor depends on (B, K, COMMON + P), whatever the world's axes.

        The size of the claim in deviations of a frame, and how fast the keypoint moves and turns.

        Args:
            seen: What the network sees.
            info: (B, K, 3, 3) claimed information [1/m^2].
        """
        frame = symmetric.unpack(seen.unit).permute(3, 2, 0, 1).double()  # (B, K, 3, 3)
        size = (frame @ geometry.invert_3x3(info.double())).diagonal(dim1=-2, dim2=-1).mean(-1)
        common = [torch.ones_like(size), size.clamp_min(1e-9).log() / 2 + 1]
        for motion in (seen.velocity, seen.acceleration):
            v = motion.permute(2, 1, 0).double()
            common.append(torch.einsum("bki,bkij,bkj->bk", v, frame, v).clamp_min(0).sqrt().log1p())
        keypoint = seen.keypoint.T.long().clamp_min(0)
        own = nn.functional.one_hot(keypoint, self.num_keypoints)
        return torch.cat([torch.stack(common, -1), own.to(size)], -1)

    def scaled(self, seen: Seen, info: Tensor) -> Tensor:
        """Return the information (B, K, 3, 3) that is claimed, scaled as calibrated."""
        log = (self.features(seen, info) @ self.weights).clamp(-_MAX_LOG_FACTOR, _MAX_LOG_FACTOR)
        scaled: Tensor = info * (-log).exp()[..., None, None].to(info)
        return scaled

    def calibrate(self, batches: Iterable[Rehearsed], tracks: Tracks) -> None:
        """Fit the factor to errors that are known.

        Args:
            batches: What was seen, the information (B, K, 3, 3) [1/m^2] that was claimed for it,
                and how far the predictions are off (B, K, 3) [m].
            tracks: The data; its noise says how many frames in a row count as one.
        """
        assert tracks.noise is not None
        found: list[tuple[Tensor, Tensor]] = []
        for (seen, info), error in batches:
            assert info is not None
            e = error.double()
            square = torch.einsum("bki,bkij,bkj->bk", e, info.double(), e)
            counts = (seen.is_used.amax(0) > 0).T & (seen.keypoint.T >= 0)
            found.append((self.features(seen, info)[counts], square[counts]))
        about, square = (torch.cat(x) for x in zip(*found, strict=True))
        weights, _ = claims.fit_scale(about, square, tracks.noise.long_run, COMMON)
        self.weights.copy_(weights)
