"""The loss of a training: which terms of `losses` it has, by its kind and its config."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pose_obj_3d.models.blocks import Prediction
from pose_obj_3d.models.consensus.scene.witnesses import image_width
from pose_obj_3d.tracks.gathering import mask_views, take
from pose_obj_3d.tracks.types import Windows
from pose_obj_3d.training import losses, processes
from pose_obj_3d.training.run import Run

CONSISTENCY_SHARE = 4  # one window in so many is also predicted from a subset of its views


class Objective(nn.Module):
    """Model and loss as one module of tensors, as processes that share gradients need it."""

    def __init__(self, run: Run) -> None:
        """Take a run, whose model is trained."""
        super().__init__()
        self.model, self._run = run.model, run

    def forward(self, windows: Windows) -> tuple[Tensor, Tensor]:
        """Return the terms (n,) of the loss of some windows, and what `terms_of` says of them."""
        return terms_of(self._run, windows, self.model(windows, self._run.rig32))


def loss_of(run: Run, windows: Windows, prediction: Prediction) -> Tensor:
    """Return the scalar training loss.

    Supervised: mm. Unsupervised: nats for a keypoint, or, without a blind prediction, variances of
    the detections' noise.
    """
    return terms_of(run, windows, prediction)[0].sum()


def terms_of(run: Run, windows: Windows, prediction: Prediction) -> tuple[Tensor, Tensor]:
    """Return the terms (n,) whose sum is the loss, and how many points each is the mean of (n,).

    The term of a batch is the mean of its parts' terms, weighted by their points: float64, at
    least 0.
    """
    points = points_of(run, windows, prediction)
    if run.unsupervised and prediction.blind_xyz is not None:
        nll, count = blind_nll(run, windows, prediction)
        terms = [(nll.sum() / (count > 0).sum().clamp_min(1), points)]
    elif run.unsupervised:
        total = _with_stages(run, prediction, lambda xyz: _reprojection(run, windows, xyz))
        terms = [(total, points)]
        if run.config.TRAIN.CONSIS_LOSS_WEIGHT > 0:
            terms.append(_inconsistency(run, windows, prediction))
    else:
        truth, is_real = windows.truth, windows.keypoint >= 0
        assert truth is not None
        total = _with_stages(run, prediction, lambda xyz: losses.mpjpe_loss(xyz, truth, is_real))
        terms = [(1000 * total, points)]
    values, counts = zip(*terms, strict=True)
    return torch.stack(values), torch.stack(counts)


def points_of(run: Run, windows: Windows, prediction: Prediction) -> Tensor:
    """Return how much the first term of the loss of some windows averages over."""
    c = windows.centre
    if not run.unsupervised:
        return (windows.keypoint >= 0).sum().double()
    if prediction.blind_xyz is not None:
        return (windows.robust[:, c] > 0).any(1).sum().double()
    return windows.weights[:, c].double().sum()


def _with_stages(run: Run, prediction: Prediction, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Add to the loss of a prediction those of its stages, weighted stage by stage."""
    total, train = loss(prediction.xyz), run.config.TRAIN
    if not train.USE_INTER_LOSS:
        return total
    stages = list(prediction.intermediate)
    if prediction.blind_xyz is not None:
        stages.insert(0, prediction.blind_xyz[None])
    for weight, stage in zip(train.INTER_LOSS_WEIGHT, stages, strict=False):
        total = total + weight * torch.stack([loss(xyz) for xyz in stage]).mean()
    return total


def _reprojection(run: Run, windows: Windows, xyz: Tensor) -> Tensor:
    c = windows.centre
    cameras = (run.rig32.intrinsics, run.rig32.extrinsics)
    return losses.reprojection_loss(
        xyz, windows.uv[:, c], windows.weights[:, c], cameras, run.rig.sigma_px
    )


def _inconsistency(run: Run, windows: Windows, prediction: Prediction) -> tuple[Tensor, Tensor]:
    """Measure how far a prediction from some views, by chance, is from that of all.

    The prediction of all views is the target: it knows more. The first windows of the batch are
    asked so; a process that has none of them computes one all the same, of weight 0.

    Returns:
        The mean distance [mm] times its weight in the loss, and the number of points.
    """
    whole = run.share or processes.Share(slice(None), len(windows.uv))
    part = processes.Share(whole.rows, -(-whole.total // CONSISTENCY_SHARE))
    count = len(part.numbers())
    part = part if count else processes.Share(slice(1), part.total)
    few = take(windows, slice(0, max(count, 1)))
    draw = torch.rand(part.total, few.weights.shape[2], device=few.uv.device)[part.rows]
    keep = (draw > 1 / 2) | (draw == draw.amax(1, keepdim=True))
    run.model.take_part(part.rows, part.total)
    subset = run.model(mask_views(few, keep), run.rig32).xyz
    run.model.take_part(whole.rows, whole.total)
    is_scored = (few.keypoint >= 0) & (count > 0)
    distance = losses.mpjpe_loss(subset, prediction.xyz[: len(keep)].detach(), is_scored)
    return 1000 * run.config.TRAIN.CONSIS_LOSS_WEIGHT * distance, is_scored.sum().double()


def blind_nll(run: Run, windows: Windows, prediction: Prediction) -> tuple[Tensor, Tensor]:
    """Score blind predictions by detections that had no part in them, of the frame or of a view."""
    assert prediction.blind_xyz is not None
    assert prediction.blind_info is not None
    c = windows.centre
    cameras = (run.rig32.intrinsics, run.rig32.extrinsics)
    if run.model.leaves_out_views:
        return losses.blind_view_nll(
            prediction.blind_xyz,
            prediction.blind_info,
            windows.uv[:, c],
            windows.robust[:, c],
            cameras,
            run.rig.sigma_px,
            image_width(run.rig),
        )
    # The Huber weights come from the scored frame alone, so they tell the prediction nothing.
    return losses.blind_reprojection_nll(
        prediction.blind_xyz,
        prediction.blind_info,
        windows.uv[:, c],
        windows.robust[:, c],
        cameras,
        run.rig.sigma_px,
    )
