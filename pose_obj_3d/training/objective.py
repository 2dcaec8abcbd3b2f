"""The loss of a training: which terms of `losses` it has, by its kind and its config."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pose_obj_3d.models.blocks import Prediction
from pose_obj_3d.models.consensus.scene.witnesses import image_width
from pose_obj_3d.tracks.gathering import mask_views, take
from pose_obj_3d.tracks.types import Windows
from pose_obj_3d.training import losses
from pose_obj_3d.training.run import Run

CONSISTENCY_SHARE = 4  # one window in so many is also predicted from a subset of its views


class Objective(nn.Module):
    """Model and loss as one module of tensors, as processes that share gradients need it."""

    def __init__(self, run: Run) -> None:
        """Take a run, whose model is trained."""
        super().__init__()
        self.model, self._run = run.model, run

    def forward(self, windows: Windows) -> tuple[Tensor, Tensor]:
        """Return the loss of some windows, and how many points it is the mean of."""
        prediction = self.model(windows, self._run.rig32)
        loss = loss_of(self._run, windows, prediction)
        return loss, points_of(self._run, windows, prediction)


def loss_of(run: Run, windows: Windows, prediction: Prediction) -> Tensor:
    """Return the scalar training loss.

    Supervised: mm. Unsupervised: nats for a keypoint, or, without a blind prediction, variances of
    the detections' noise.
    """
    if run.unsupervised and prediction.blind_xyz is not None:
        nll, count = blind_nll(run, windows, prediction)
        return nll.sum() / (count > 0).sum().clamp_min(1)
    if run.unsupervised:
        reprojection = _with_stages(run, prediction, lambda xyz: _reprojection(run, windows, xyz))
        return reprojection + run.config.TRAIN.CONSIS_LOSS_WEIGHT * _inconsistency(
            run, windows, prediction
        )
    truth, is_real = windows.truth, windows.keypoint >= 0
    assert truth is not None
    return 1000 * _with_stages(run, prediction, lambda xyz: losses.mpjpe_loss(xyz, truth, is_real))


def points_of(run: Run, windows: Windows, prediction: Prediction) -> Tensor:
    """Return how much the loss of some windows averages over; float64, at least 0.

    The loss of a batch is the mean of its parts' losses, weighted so.
    """
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


def _inconsistency(run: Run, windows: Windows, prediction: Prediction) -> Tensor:
    """Measure how far a prediction from some views, by chance, is from that of all [mm].

    The prediction of all views is the target: it knows more.
    """
    if run.config.TRAIN.CONSIS_LOSS_WEIGHT == 0:
        return torch.zeros((), device=windows.uv.device)
    few = take(windows, slice(0, -(-len(windows.uv) // CONSISTENCY_SHARE)))
    B, _, V, _ = few.weights.shape
    draw = torch.rand(B, V, device=few.uv.device)
    keep = (draw > 1 / 2) | (draw == draw.amax(1, keepdim=True))
    subset = run.model(mask_views(few, keep), run.rig32).xyz
    return 1000 * losses.mpjpe_loss(subset, prediction.xyz[:B].detach(), few.keypoint >= 0)


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
