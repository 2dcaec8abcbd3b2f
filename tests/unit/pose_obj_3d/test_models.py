"""Models: unused measurements, views, keypoints, and the ability to fit."""

import dataclasses

import pytest
import torch

from pose_obj_3d import losses
from pose_obj_3d.config import NetworkConfig
from pose_obj_3d.datasets import keypoint_ids, load_tracks, make_rig
from pose_obj_3d.formal import read_formal
from pose_obj_3d.models import build_model
from pose_obj_3d.models.residual import SMOOTHERS, cholesky_3x3, smoother_table
from pose_obj_3d.windows import Rig, gather_windows
from tests.unit.pose_obj_3d.synthetic import write_scene

GROUPS = ("waypoints", "objects", "robot")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return read_formal(write_scene(tmp_path_factory.mktemp("data") / "a.npz", examples=4))


def load(data, views=()):
    rig = make_rig(data, views)
    tracks = load_tracks(data, rig, [0], "train", keypoint_ids(data, [0], GROUPS))
    return tracks, Rig(rig.intrinsics.float(), rig.extrinsics.float(), rig.sigma_px, rig.view_ids)


def model(kind="residual", **options):
    torch.manual_seed(0)
    network = NetworkConfig(TYPE=kind, DROPOUT=0.0, **options)
    built = build_model(network, 4, None).eval()
    for name, p in built.named_parameters():
        if name.startswith("head"):  # zero at the start, which would hide faults
            torch.nn.init.normal_(p, std=0.1)
    return built


@pytest.mark.parametrize("kind", ["residual", "triangulation"])
def test_a_measurement_of_visibility_zero_changes_nothing(data, kind):
    array = data.tracks[0][0]
    kept = array.copy()
    network, found = model(kind), []
    try:
        array[1, :, :, 7] = 0
        array[1:, 8, 2, 7] = 0
        for value in (0.0, 3000.0):
            hidden = array[..., 7] == 0
            array[hidden, 0:4] = value
            tracks, rig = load(data)
            windows = gather_windows(tracks, torch.arange(len(tracks)), 7)
            found.append(network(windows, rig))
    finally:
        array[:] = kept
    assert torch.equal(found[0].xyz, found[1].xyz)
    if kind == "residual":
        assert torch.equal(found[0].blind_xyz, found[1].blind_xyz)
        assert torch.equal(found[0].blind_info, found[1].blind_info)


def test_the_blind_prediction_has_not_seen_the_centre_frame(data):
    tracks, rig = load(data)
    windows = gather_windows(tracks, torch.arange(len(tracks)), 7)
    uv, xyz, info, robust = (x.clone() for x in (windows.uv, windows.xyz, windows.info, windows.robust))
    uv[:, 3] += 5
    xyz[:, 3] += 0.05
    info[:, 3] *= 2
    robust[:, 3] *= 0.5
    network = model()
    a = network(windows, rig)
    b = network(dataclasses.replace(windows, uv=uv, xyz=xyz, info=info, robust=robust), rig)
    others = windows.info.diagonal(dim1=-2, dim2=-1).sum(-1) > 0
    others = (others & windows.is_distinct[..., None])[:, [0, 1, 2, 4, 5, 6]].any(1)
    assert others.all()
    torch.testing.assert_close(a.blind_xyz, b.blind_xyz, rtol=0, atol=0)
    torch.testing.assert_close(a.blind_info, b.blind_info, rtol=0, atol=0)
    assert (a.xyz - b.xyz).norm(dim=-1).max() > 1e-3


@pytest.mark.parametrize("views", [(0, 3), (1, 2, 3), (0, 1, 2, 3)])
@pytest.mark.parametrize("frames", [1, 7])
def test_any_number_of_views_and_frames(data, views, frames):
    tracks, rig = load(data, views)
    windows = gather_windows(tracks, torch.arange(len(tracks)), frames)
    found = model(TEMPORAL_LENGTH=frames)(windows, rig)
    assert found.xyz.shape == (len(tracks), 4, 3)
    assert found.xyz.isfinite().all()
    assert torch.linalg.eigvalsh(found.blind_info.double()).min() > 0


def test_the_order_of_views_does_not_matter(data):
    a, b = (load(data, views) for views in ((0, 1, 2, 3), (2, 0, 3, 1)))
    network = model()
    x, y = (network(gather_windows(t, torch.arange(len(t)), 7), rig).xyz for t, rig in (a, b))
    torch.testing.assert_close(x, y, rtol=0, atol=1e-5)


def test_overfits_one_batch(data):
    tracks, rig = load(data)
    windows = gather_windows(tracks, torch.arange(4, 12), 7)
    network = model().train()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    history = []
    for _ in range(300):
        loss = losses.mpjpe_loss(network(windows, rig).blind_xyz, windows.truth, windows.keypoint >= 0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(1000 * float(loss.detach()))
    assert min(history[-20:]) < 0.3 * history[0]


def test_smoothers_reproduce_polynomials_and_leave_others_out():
    table = smoother_table(7).double()
    t = torch.arange(-3.0, 4, dtype=torch.float64)
    without_centre = table[0b1110111]
    torch.testing.assert_close(without_centre.sum(-1), torch.ones(len(SMOOTHERS)).double(), rtol=0, atol=1e-4)
    assert (without_centre[:, 3] == 0).all()
    for smoother, (_, _, degree) in zip(without_centre, SMOOTHERS, strict=True):
        if degree:
            assert float(smoother @ (2 + 3 * t)) == pytest.approx(2, abs=1e-3)


def test_cholesky_agrees_with_lapack():
    a = torch.randn(20, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    m = a @ a.transpose(1, 2) + torch.eye(3)
    torch.testing.assert_close(cholesky_3x3(m), torch.linalg.cholesky(m))
