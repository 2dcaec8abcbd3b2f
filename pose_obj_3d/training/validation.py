"""Scores of the validation examples, one of which chooses the epoch."""

import logging

import torch
from torch import Tensor

from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.tracks.gathering import gather_for, mask_views
from pose_obj_3d.tracks.types import Windows
from pose_obj_3d.training import processes
from pose_obj_3d.training.objective import blind_nll
from pose_obj_3d.training.run import HELD_OUT, Run

logger = logging.getLogger(__name__)


@torch.no_grad()
def validate(run: Run) -> dict[str, float]:
    """Measure on the validation examples: never 3D when unsupervised."""
    run.model.eval()
    sums: dict[str, Tensor] = {}
    well_all = (run.val.weights > 0).sum(1) >= 2

    def add(name: str, values: Tensor, mask: Tensor) -> None:
        both = torch.stack([values[mask].double().sum(), mask.sum().double()])
        sums[name] = sums.get(name, torch.zeros_like(both)) + both

    batches = torch.split(
        torch.arange(len(run.val), device=run.val.uv.device), run.config.TEST.BATCH_SIZE
    )
    for centres in batches[processes.rank() :: processes.count()]:
        if run.pace.is_due():
            logger.info(
                "epoch %d/%d  validation %d/%d windows",
                run.epoch + 1,
                run.config.TRAIN.NUM_EPOCHES,
                int(centres[0]),
                len(run.val),
            )
        windows = gather_for(run.model, run.val, centres, run.config.NETWORK.TEMPORAL_LENGTH)
        prediction = run.model(windows, run.rig32)
        c = windows.centre
        predicted, _ = geometry.project(prediction.xyz, run.rig32.intrinsics, run.rig32.extrinsics)
        residual = (predicted.transpose(1, 2) - windows.uv[:, c]).norm(dim=-1)
        add("val/reprojection_px", residual, windows.weights[:, c] > 0)
        well = well_all[centres] & (windows.keypoint >= 0)
        if run.unsupervised and prediction.blind_xyz is None:
            add(HELD_OUT, *held_out_error(run, windows, centres))
            continue
        if run.unsupervised:
            nll, count = blind_nll(run, windows, prediction)
            add("val/blind_nll_nats", nll, count > 0)
            continue
        assert windows.truth is not None
        error = 1000 * (prediction.xyz - windows.truth).norm(dim=-1)
        add("val/mpjpe_mm", error, well)
        for task in {name.split("/")[0] for name in run.ids}:
            of_task = (run.val.source[centres, 0] == int(task[1:]))[:, None]
            add(f"val/mpjpe_mm/{task}", error, well & of_task)
    return {
        name: float(both[0] / both[1].clamp_min(1)) for name, both in processes.merged(sums).items()
    }


def held_out_error(run: Run, windows: Windows, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Predict from all views but one, each view in turn, frame by frame.

    Returns:
        Reprojection error (B, V, K) [px], and which count: those of the view held out.
    """
    V = windows.uv.shape[2]
    is_held = centres[:, None] % V == torch.arange(V, device=centres.device)  # (B, V)
    xyz = run.model(mask_views(windows, ~is_held), run.rig32).xyz
    predicted, _ = geometry.project(xyz, run.rig32.intrinsics, run.rig32.extrinsics)
    error = (predicted.transpose(1, 2) - windows.uv[:, windows.centre]).norm(dim=-1)
    return error, is_held.unsqueeze(-1) & (windows.weights[:, windows.centre] > 0)
