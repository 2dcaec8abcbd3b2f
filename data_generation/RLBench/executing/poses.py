"""A waypoint's pose as it was lifted: where it is, and what the method claims about it."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pose_obj_3d.geometry.rigid_frames import turn_between

Float = npt.NDArray[np.float64]
MOVED = 16.8
"""Square distance between two looks above which a waypoint has moved: 1 in 100 of chi-square, 6."""
_DRIFT_RAD, _DRIFT_M = 0.003, 0.0005  # what was seen before may have moved by so little, unnoticed


@dataclass(frozen=True)
class LiftedPose:
    """A waypoint's pose.

    Attributes:
        T: (4, 4) waypoint to world [m].
        sd_mm: Claimed standard deviation of the position [mm], in its worst direction; NaN where
            the method claims none.
        sd_deg: The same of the rotation [degrees].
        covariance: (6, 6) of (rotation vector [rad], position [m]), world axes; None where the
            method claims none.
        is_inferred: Its own three points were not all lifted; it follows from what is known of it.
    """

    T: Float
    sd_mm: float
    sd_deg: float
    covariance: Float | None = None
    is_inferred: bool = False

    def moved_to(self, T: Float) -> "LiftedPose":
        """Return the pose after it has moved to `T` with what it hangs on."""
        if self.covariance is None or np.array_equal(T, self.T):
            return replace(self, T=T)
        turn = np.kron(np.eye(2), T[:3, :3] @ self.T[:3, :3].T)
        return replace(self, T=T, covariance=turn @ self.covariance @ turn.T)

    def updated(self, seen: "LiftedPose", is_new: bool) -> "LiftedPose":
        """Return what is known once the waypoint was seen again.

        Where both agree within what they claim, it has not moved. Two looks that err independently
        are then averaged; else the surer one stays. Where they do not agree, it has moved, and only
        what is seen now counts.

        Args:
            seen: In the last look.
            is_new: Its errors are independent of those before.
        """
        if self.covariance is None or seen.covariance is None:
            return seen
        known = self.covariance + np.diag([_DRIFT_RAD**2] * 3 + [_DRIFT_M**2] * 3)
        turn = torch.from_numpy(self.T[:3, :3]), torch.from_numpy(seen.T[:3, :3])
        off = np.concatenate([turn_between(*turn).numpy(), self.T[:3, 3] - seen.T[:3, 3]])
        gain = np.linalg.solve(known + seen.covariance, seen.covariance).T
        if off @ np.linalg.solve(known + seen.covariance, off) > MOVED:
            return seen
        if not is_new:
            return seen if seen.sd_mm <= self.sd_mm else self
        change = change_of(gain @ off)
        T = seen.T.copy()
        T[:3, :3] = change[:3, :3] @ T[:3, :3]
        T[:3, 3] += change[:3, 3]
        C = seen.covariance - gain @ seen.covariance
        is_inferred = self.is_inferred and seen.is_inferred
        return lifted_pose(T, torch.from_numpy((C + C.T) / 2), is_inferred)

    def doubts(self, count: int) -> list[Float]:
        """Return what the pose may be as well, the likeliest first.

        Args:
            count: Of (4, 4) changes, rotation and shift in the world; drawn from the claimed
                distribution, always the same draws. None where nothing is claimed.
        """
        if self.covariance is None:
            return []
        drawn = np.random.default_rng(0).standard_normal((count, 6))
        drawn = drawn[np.argsort((drawn**2).sum(1))]
        values, axes = np.linalg.eigh(self.covariance)
        errors = drawn * np.sqrt(values.clip(0)) @ axes.T
        return [change_of(error) for error in errors]


def change_of(error: Float) -> Float:
    """Return (4, 4) of an error (6,): rotation vector [rad], shift [m]."""
    change = np.eye(4)
    x, y, z = error[:3]
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    change[:3, :3], change[:3, 3] = torch.linalg.matrix_exp(cross).numpy(), error[3:]
    return change


def lifted_pose(T: Float, C: Tensor, is_inferred: bool = False) -> LiftedPose:
    """Return a (4, 4) pose with its covariance (6, 6), NaN where nothing is claimed."""
    return LiftedPose(
        T,
        1000 * _worst(C[3:, 3:]),
        float(np.degrees(_worst(C[:3, :3]))),
        C.numpy() if bool(C.isfinite().all()) else None,
        is_inferred,
    )


def _worst(C: Tensor) -> float:
    """Return the standard deviation of a covariance (3, 3) in its worst direction."""
    if not bool(C.isfinite().all()):
        return float("nan")
    return float(torch.linalg.eigvalsh(C)[-1].clamp_min(0).sqrt())
