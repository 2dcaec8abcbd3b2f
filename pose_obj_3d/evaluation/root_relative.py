"""Errors relative to a root, such as the hip: how well a pose is known, wherever it is."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.common.names import near_names
from pose_obj_3d.evaluation.metrics import ErrorSum, distances, summed


def roots_of(ids: Sequence[str], root: str) -> list[int]:
    """Return which ids are roots: `<name>` or `<group>/<name>` in each task; none for "".

    Raises:
        ConfigError: No task has such a keypoint.
    """
    own = [i for i, name in enumerate(ids) if root in (name.split("/", 1)[1], name.split("/")[-1])]
    if root and not own:
        there = list(dict.fromkeys(name.split("/", 1)[1] for name in ids))
        raise ConfigError(
            f"TEST.ROOT: no keypoint is named {root[:60]!r}; {near_names(root, there)}"
        )
    return own


def root_places(keypoint: Tensor, ids: Sequence[str], root: str) -> Tensor:
    """Return where the root stands among each frame's keypoints (N,); -1 = the task has none.

    Args:
        keypoint: (N, K) index into the ids, -1 = none.
        ids: Names `T<task>/<group>/<name>`.
        root: `<name>` or `<group>/<name>`; "" = each task's first keypoint.

    Raises:
        ConfigError: No task has such a keypoint.
    """
    if not root:
        return torch.zeros(len(keypoint), dtype=torch.long, device=keypoint.device)
    own = torch.tensor(roots_of(ids, root), device=keypoint.device)
    is_root = torch.isin(keypoint, own)
    return torch.where(is_root.any(1), is_root.long().argmax(1), -1)


def root_mpjpe(predicted: Tensor, truth: Tensor, mask: Tensor, root: Tensor) -> ErrorSum:
    """Sum the error after each frame's root is moved to the true one.

    The root itself counts, with an error of 0, as is usual for Human3.6M.

    Args:
        predicted: (N, K, 3) [m].
        truth: (N, K, 3) [m].
        mask: (N, K) bool; frames whose root does not count are left out.
        root: (N,) the root's place among the keypoints; -1 = none.

    Returns:
        Sum [m] and number of points.
    """
    place = root.clamp_min(0)[:, None]
    has_root = (root >= 0) & mask.gather(1, place)[:, 0]
    at = place[..., None].expand(-1, -1, 3)
    shift = truth.gather(1, at) - predicted.gather(1, at)
    return summed(distances(predicted + shift, truth), mask & has_root[:, None])
