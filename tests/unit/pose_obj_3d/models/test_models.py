"""Models: unused measurements, views, keypoints, and the ability to fit."""

import pytest
import torch

from pose_obj_3d.formal import read_formal
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.blocks import asinh
from pose_obj_3d.tracks.gathering import gather_for, gather_windows
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig
from pose_obj_3d.training import losses
from pose_obj_3d.training.config import NetworkConfig
from pose_obj_3d.training.model_registry import build_model
from tests.unit.pose_obj_3d.synthetic import write_scene

GROUPS = ("waypoints", "objects", "robot")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return read_formal(write_scene(tmp_path_factory.mktemp("data") / "a.npz", examples=4))


def load(data, views=()):
    rig = make_rig(data, views)
    tracks = load_tracks(data, rig, [0], "train", keypoint_ids(data, [0], GROUPS))
    return tracks, Rig(rig.intrinsics.float(), rig.extrinsics.float(), rig.sigma_px, rig.view_ids)


def model(**options):
    torch.manual_seed(0)
    network = NetworkConfig(TYPE="STC", DROPOUT=0.0, **options)
    built = build_model(network, 4, None).eval()
    for name, p in built.named_parameters():
        if name.startswith(
            ("mixes", "gates", "lags", "pair.2")
        ):  # equal at the start, which would hide faults
            torch.nn.init.normal_(p, std=0.1)
    return built


def test_triangulation_ignores_a_measurement_of_visibility_zero(data):
    array = data.tracks[0][0]
    kept = array.copy()
    network, found = build_model(NetworkConfig(TYPE="triangulation"), 4, None), []
    try:
        array[1, :, :, 7] = 0
        array[1:, 8, 2, 7] = 0
        for value in (0.0, 3000.0):
            hidden = array[..., 7] == 0
            array[hidden, 0:4] = value
            tracks, rig = load(data)
            found.append(network(gather_windows(tracks, torch.arange(len(tracks)), 7), rig))
    finally:
        array[:] = kept
    assert torch.equal(found[0].xyz, found[1].xyz)


@pytest.mark.parametrize("views", [(0, 3), (1, 2, 3), (0, 1, 2, 3)])
@pytest.mark.parametrize("frames", [3, 7])
def test_any_number_of_views_and_frames(data, views, frames):
    tracks, rig = load(data, views)
    network = model(TEMPORAL_LENGTH=frames)
    found = network(gather_for(network, tracks, torch.arange(len(tracks)), frames), rig)
    assert found.xyz.shape == (len(tracks), 4, 3)
    assert found.xyz.isfinite().all()
    assert torch.linalg.eigvalsh(found.blind_info.double()).min() > 0


def test_the_order_of_views_does_not_matter(data):
    a, b = (load(data, views) for views in ((0, 1, 2, 3), (2, 0, 3, 1)))
    network = model()
    x, y = (network(gather_for(network, t, torch.arange(len(t)), 7), rig).xyz for t, rig in (a, b))
    torch.testing.assert_close(x, y, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_overfits_one_batch(data):
    tracks, rig = load(data)
    network = model().train()
    windows = gather_for(network, tracks, torch.arange(4, 12), 7)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    history = []
    for _ in range(300):
        loss = losses.mpjpe_loss(
            network(windows, rig).blind_xyz, windows.truth, windows.keypoint >= 0
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(1000 * float(loss.detach()))
    assert min(history[-20:]) < 0.3 * history[0]


def test_asinh_is_that_of_the_library():
    x = torch.logspace(-30, 17, 2000)
    x = torch.cat([x, -x, torch.tensor([0.0, 1e30, torch.inf])])
    reference = torch.asinh(x.clamp(-1e18, 1e18).double())
    torch.testing.assert_close(asinh(x).double(), reference, rtol=2e-7, atol=0)
    assert asinh(torch.tensor(torch.nan)).isnan()
    assert torch.autograd.gradcheck(
        asinh, 5 * torch.linspace(-1, 1, 20, dtype=torch.float64).requires_grad_()
    )
