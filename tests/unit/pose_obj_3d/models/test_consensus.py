"""STC: blind to what scores it, unmoved by moves of the world, right where it can be right."""

import dataclasses

import numpy as np
import pytest
import torch

from pose_obj_3d import formal
from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.evaluation import protocol as evaluation
from pose_obj_3d.formal import read_formal
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.consensus.context import Context
from pose_obj_3d.models.consensus.size import StcConfig
from pose_obj_3d.tracks.gathering import gather_bins, gather_for
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig
from pose_obj_3d.tracks.strays import find_strays
from pose_obj_3d.tracks.track_smoothing import drop_strays
from pose_obj_3d.training import losses
from pose_obj_3d.training.config import NetworkConfig, StcNetworkConfig
from pose_obj_3d.training.model_registry import build_model
from tests.unit.pose_obj_3d.synthetic import write_scene

GROUPS = ("waypoints", "objects", "robot")
CONTEXTS = ("window", "track")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return read_formal(
        write_scene(tmp_path_factory.mktemp("data") / "a.npz", examples=4, frames=40)
    )


def load(data, views=()):
    rig = make_rig(data, views)
    tracks = load_tracks(data, rig, [0], "train", keypoint_ids(data, [0], GROUPS))
    return tracks, Rig(rig.intrinsics.float(), rig.extrinsics.float(), rig.sigma_px, rig.view_ids)


def model(context, scale=0.1, frames=7):
    torch.manual_seed(0)
    network = NetworkConfig(
        TYPE="STC", DROPOUT=0.0, TEMPORAL_LENGTH=frames, STC=StcNetworkConfig(CONTEXT=context)
    )
    built = build_model(network, 4, None).eval()
    for name, p in built.named_parameters():
        if name.startswith(
            ("mixes.weight", "gates", "lags", "pair.2")
        ):  # zero at the start, which would hide faults
            torch.nn.init.normal_(p, std=scale)
    return built


def lift(network, tracks, rig, rows=None):
    rows = torch.arange(len(tracks)) if rows is None else rows
    return network(gather_for(network, tracks, rows, 7), rig)


@pytest.mark.parametrize("context", CONTEXTS)
def test_bins_cover_every_other_frame_once(context):
    ranges = StcConfig(4, 7, context).bin_ranges()
    covered = [t for a, b in ranges for t in range(max(a, -200), min(b, 200) + 1)]
    reach = 3 if context == "window" else 200
    assert covered == [t for t in range(-reach, reach + 1) if t != 0]


def test_bins_are_the_weighted_means_they_claim(data):
    tracks, _ = load(data)
    ranges = [(-9, -4), (-1, -1), (2, 30)]
    rows = torch.tensor([0, 5, 20, 39, 41, 77])
    bins = gather_bins(tracks, rows, ranges)
    for b, row in enumerate(rows.tolist()):
        for r, (low, high) in enumerate(ranges):
            inside = [
                n
                for n in range(row + low, row + high + 1)
                if tracks.first[row] <= n <= tracks.last[row]
            ]
            assert bins.frames[b, r] == len(inside)
            info = tracks.info[inside].double().sum(0)
            if not inside:
                assert (bins.info[b, :, r] == 0).all()
                continue
            moment = (tracks.info[inside].double() @ tracks.xyz[inside].double()[..., None]).sum(0)
            mean = torch.linalg.solve(info, moment)[..., 0]
            torch.testing.assert_close(bins.xyz[b, :, r].double(), mean, rtol=0, atol=1e-6)
            torch.testing.assert_close(bins.info[b, :, r].double(), info, rtol=1e-5, atol=1)
    narrow = gather_bins(tracks, rows, ranges, used_frames=3)
    assert (narrow.frames[:, [0, 2]] == 0).all()
    assert (narrow.frames[:, 1] == bins.frames[:, 1]).all()


@pytest.mark.parametrize(
    ("views", "error"), [([1], 9.0), ([0, 1, 2, 3], 60.0)], ids=["one view", "a stray frame"]
)
@pytest.mark.parametrize("context", CONTEXTS)
def test_the_blind_prediction_has_not_seen_its_own_measurement(data, context, views, error):
    """Change keypoint 1 of frame 20: its blind prediction stays, all others may change."""
    array, kept = data.tracks[0][0], data.tracks[0][0].copy()
    network, found = model(context), []
    try:
        for shift in (0.0, error):
            array[views, 20, 1, formal.UV_DETECTED] += shift
            found.append(lift(network, *load(data), torch.tensor([20, 22])))
    finally:
        array[:] = kept
    a, b = found
    torch.testing.assert_close(a.blind_xyz[0, 1], b.blind_xyz[0, 1], rtol=0, atol=1e-7)
    torch.testing.assert_close(a.blind_info[0, 1], b.blind_info[0, 1], rtol=1e-5, atol=0)
    assert (a.xyz[0, 1] - b.xyz[0, 1]).norm() > 1e-5  # the fused one has seen it
    assert (a.blind_xyz[0, 2] - b.blind_xyz[0, 2]).norm() > 1e-6  # another keypoint listens
    assert (a.blind_xyz[1, 1] - b.blind_xyz[1, 1]).norm() > 1e-6  # another frame listens


def parallel_pair(data):
    """Keypoint 1 seen by two near cameras, with an error along their epipolar lines in frame 20."""
    tracks, rig = load(data)
    xyz, info = tracks.xyz.clone(), tracks.info.clone()
    ray = torch.nn.functional.normalize(
        tracks.truth[0, 1] - torch.tensor([-0.175, 0.0, 1.98]), dim=-1
    )
    along = torch.outer(ray, ray)
    info[:, 1] = along / 0.03**2 + (torch.eye(3) - along) / 0.004**2
    noise = torch.randn(len(tracks), generator=torch.Generator().manual_seed(0))
    xyz[:, 1] = tracks.truth[:, 1] + 0.03 * noise[:, None] * ray
    xyz[20, 1] = tracks.truth[20, 1] - 0.35 * ray
    return dataclasses.replace(tracks, xyz=xyz, info=info), rig


@pytest.mark.parametrize("context", CONTEXTS)
def test_what_is_not_blind_stays_out_of_training_and_calibration(data, context, monkeypatch):
    """`prepare` lets a frame decide about its neighbours: windows and calibration never use it."""
    tracks, rig = parallel_pair(data)
    network = model(context)
    assert (network.prepare(tracks, rig) is tracks) == (context == "window")
    fresh = dataclasses.replace(tracks)  # nothing cached

    def never(*_):
        raise AssertionError("a second look")

    monkeypatch.setattr(type(network), "prepare", never)
    monkeypatch.setattr("pose_obj_3d.models.consensus.model.drop_strays", never)
    windows = gather_for(network, fresh, torch.tensor([20]), 7)
    assert (windows.info[0, 3, 1] == fresh.info[20, 1]).all()
    network.calibrate([fresh], rig, 64)
    with pytest.raises(AssertionError, match="a second look"):
        evaluation.estimate(network, fresh, rig, evaluation.Protocol(7))


def test_a_second_look_at_the_whole_example_drops_what_two_parallel_rays_hide(data):
    tracks, rig = parallel_pair(data)
    dropped = (tracks.info != 0).any(-1).any(-1) & (drop_strays(tracks).info == 0).all(-1).all(-1)
    assert dropped.nonzero().tolist() == [[20, 1]]
    assert not find_strays(tracks.xyz, tracks.info, tracks.first, tracks.last)[
        20, 1
    ]  # why it takes a second look
    assert drop_strays(tracks) is drop_strays(tracks)
    clean, _ = load(data)
    assert torch.equal(drop_strays(clean).info, clean.info)
    network = model("track", scale=0.0)
    with torch.no_grad():
        network.mixes.bias.view(network.config.num_mixes, -1)[:, -1] = 6.0
    rest = torch.arange(0, 20)
    lost, found = (
        found[rest, 1]
        for found in (
            lift(network, tracks, rig).xyz,
            evaluation.predict(network, tracks, rig, evaluation.Protocol(7)),
        )
    )
    truth = tracks.truth[rest, 1]
    assert (found - truth).norm(dim=-1).mean() < (lost - truth).norm(dim=-1).mean()


@pytest.mark.parametrize("context", CONTEXTS)
def test_moving_world_and_cameras_together_changes_nothing(data, context):
    network = model(context)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = turn, [0.3, -0.2, 0.5]
    moved = dataclasses.replace(data, extrinsics=data.extrinsics @ np.linalg.inv(T))
    a, b = (lift(network, *load(d)) for d in (data, moved))
    R, t = torch.from_numpy(turn).float(), torch.tensor([0.3, -0.2, 0.5])
    for name in ("xyz", "blind_xyz"):
        torch.testing.assert_close(getattr(a, name) @ R.T + t, getattr(b, name), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        R @ a.info @ R.T, b.info, rtol=2e-2, atol=0.01 * float(a.info.detach().abs().max())
    )


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("views", [(0, 3), (1, 2, 3)])
def test_any_views_and_missing_measurements(data, context, views):
    array, kept = data.tracks[0][0], data.tracks[0][0].copy()
    network, found = model(context), []
    try:
        array[:, :, 3, formal.VISIBILITY] = 0  # a keypoint that no camera ever sees
        array[:, 10:20, 2, formal.UV_DETECTED] = np.nan
        array[1:, 30, 1, formal.VISIBILITY] = 0
        for junk in (0.0, 500.0):
            array[..., formal.UV_DETECTED][array[..., formal.VISIBILITY] == 0] = junk
            found.append(lift(network, *load(data, views)))
    finally:
        array[:] = kept
    for name in ("xyz", "blind_xyz", "info", "blind_info"):
        assert getattr(found[0], name).isfinite().all(), name
        torch.testing.assert_close(getattr(found[0], name), getattr(found[1], name), rtol=0, atol=0)
    assert torch.linalg.eigvalsh(found[0].info.double()).min() > 0


@pytest.mark.parametrize("context", CONTEXTS)
def test_every_parameter_is_trained(data, context):
    tracks, rig = load(data)
    network = model(context).train()
    rows = torch.arange(0, len(tracks), 3)
    windows = gather_for(network, tracks, rows, 7)
    cameras = (rig.intrinsics, rig.extrinsics)
    c = windows.centre

    def unsupervised(p):
        nll, _ = losses.blind_reprojection_nll(
            p.blind_xyz, p.blind_info, windows.uv[:, c], windows.robust[:, c], cameras, rig.sigma_px
        )
        return nll.sum()

    def supervised(p):
        return losses.mpjpe_loss(p.xyz, windows.truth, windows.keypoint >= 0)

    for loss in (unsupervised, supervised):
        network.zero_grad()
        loss(network(windows, rig)).backward()
        for name, p in network.named_parameters():
            assert p.grad is not None, name
            assert p.grad.isfinite().all(), name
            assert p.grad.abs().sum() > 0, name


def test_track_context_averages_a_still_keypoint_over_the_whole_example(data):
    """Before any training the gates are open where the bins agree."""
    tracks, rig = load(data)
    errors = {}
    for context in CONTEXTS:
        network = model(context, scale=0.0)
        with torch.no_grad():
            network.mixes.bias.view(network.config.num_mixes, -1)[:, -1] = (
                6.0  # the mean of all bins that agree
            )
        found = lift(network, tracks, rig)
        errors[context] = float((found.xyz.detach() - tracks.truth)[:, 1].norm(dim=-1).mean())
    assert errors["track"] < 0.6 * errors["window"]
    assert errors["track"] < 0.002


def test_bad_sizes():
    with pytest.raises(ConfigError, match="odd, 3 to 13"):
        StcConfig(4, 1)
    with pytest.raises(ConfigError, match="NETWORK.STC.CONTEXT"):
        StcConfig(4, 7, "movie")
    with pytest.raises(ConfigError, match="NETWORK.STC.CONTEXT is 'movie'; allowed: window, track"):
        StcNetworkConfig(CONTEXT="movie")


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_frame_that_knows_next_to_nothing_shifts_nothing(data, context):
    """A point metres away that claims little, as of two views that disagree, is left out."""
    tracks, rig = load(data)
    network, found = model(context), []
    for metres in (0.0, 12.0):
        xyz, info = tracks.xyz.clone(), tracks.info.clone()
        xyz[20, 1] += metres
        info[20, 1] *= 1e-4
        found.append(
            lift(
                network,
                dataclasses.replace(tracks, xyz=xyz, info=info),
                rig,
                torch.tensor([19, 22, 30]),
            )
        )
    shift = (found[0].blind_xyz - found[1].blind_xyz)[:, 1].norm(dim=-1)
    assert shift.max() < (0.002 if context == "window" else 0.02)


def test_a_still_keypoint_agrees_with_itself_however_unequal_its_frames(data):
    """Half the frames are of two nearly parallel rays, 30 times worse in one direction."""
    tracks, _ = load(data)
    generator = torch.Generator().manual_seed(0)
    sigma = 0.002 * torch.ones(*tracks.xyz.shape)
    sigma[..., 2] *= torch.where(torch.rand(sigma.shape[:2], generator=generator) < 0.5, 30.0, 1.0)
    turn = torch.linalg.qr(torch.randn(*sigma.shape, 3, generator=generator)).Q
    xyz = (
        torch.tensor([0.3, -0.2, 0.9])
        + (turn @ (sigma * torch.randn(sigma.shape, generator=generator))[..., None])[..., 0]
    )
    still = dataclasses.replace(tracks, xyz=xyz, info=turn @ torch.diag_embed(sigma**-2) @ turn.mT)
    network = model("track")
    x = Context(gather_for(network, still, torch.arange(len(still)), 7), network.near)
    disagreement = x.disagreement()[x.is_used]
    assert disagreement.mean() < 2  # 1, but that a bin inherits the worst of those before it
    assert disagreement.max() < 10
    assert ((x.reference - torch.tensor([0.3, -0.2, 0.9])).norm(dim=-1).mean()) < 0.003


def test_calibration_looks_at_every_part_evenly_within_its_limit(data, monkeypatch):
    tracks, rig = load(data)
    network = model("window")
    monkeypatch.setattr("pose_obj_3d.models.consensus.calibration.FRAMES", 50)
    seen = []
    gather = type(network).gather
    monkeypatch.setattr(
        type(network), "gather", lambda self, t, c, n: seen.append((t, c)) or gather(self, t, c, n)
    )
    other = dataclasses.replace(tracks)
    network.calibrate([tracks, other], rig, 16)
    for part in (tracks, other):
        frames = torch.cat([c for t, c in seen if t is part])
        assert 20 <= len(frames) <= 26
        assert frames[0] == 0
        assert frames[-1] > 0.9 * len(part)
        assert frames.diff().unique().numel() == 1
