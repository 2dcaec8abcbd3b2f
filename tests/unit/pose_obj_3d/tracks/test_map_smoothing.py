"""The most probable whole track: exact, invariant, robust, honest; it flattens no fast motion."""

import dataclasses
import math

import pytest
import torch

from pose_obj_3d.geometry import estimators
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.noise_parts import NoiseParts
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks import map_smoothing
from pose_obj_3d.tracks.track_smoothing import rts
from pose_obj_3d.tracks.triangulating import single_frame, triangulate_tracks
from pose_obj_3d.tracks.types import Tracks
from tests.unit.pose_obj_3d import synthetic

DEMOS, FRAMES = 6, 40


def cameras(sigma_px=1.0):
    K, E = (torch.from_numpy(x) for x in synthetic.rig())
    return Rig(K, E, sigma_px, (0, 1, 2, 3))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def scene(demos=DEMOS, frames=FRAMES, seed=0):
    """(N, 3, 3): a point at rest, one that is carried for a while, one that always moves [m]."""
    t = torch.linspace(0, 1, frames, dtype=torch.float64)[:, None]
    carried = ((t - 0.4) / 0.3).clamp(0, 1)
    parts = []
    for _ in range(demos):
        start = torch.rand(3, 3, generator=generator(seed), dtype=torch.float64) * 0.3
        start = start + torch.tensor([0.1, -0.15, 0.8])
        goal = 0.3 * torch.randn(2, 3, generator=generator(seed + 1), dtype=torch.float64)
        seed += 2
        circle = torch.cat([(6 * t).sin(), (6 * t).cos(), t], 1) * 0.12
        parts.append(
            torch.stack(
                [start[0].expand(frames, 3), start[1] + carried * goal[0] * 0.7, start[2] + circle],
                1,
            )
        )
    return torch.cat(parts)


def tracks_of(xyz, error, rig, frames=FRAMES, noise=None, weights=None):
    """Detect points (N, K, 3) with errors (N, V, K, 2) [px]."""
    N, K, _ = xyz.shape
    uv, _ = geometry.project(xyz, rig.intrinsics, rig.extrinsics)
    uv = (uv.transpose(1, 2) + error).float()
    weights = torch.ones(uv.shape[:3]) if weights is None else weights
    frame = torch.arange(N)
    first = frame // frames * frames
    keypoint = torch.arange(K).expand(N, K)
    found = triangulate_tracks(uv, weights, rig, keypoint, first, first + frames - 1)
    return Tracks(
        uv=uv,
        weights=weights,
        robust=found[2],
        xyz=found[0],
        info=found[1],
        truth=xyz.float(),
        precision=None,
        keypoint=keypoint,
        first=first,
        last=first + frames - 1,
        source=torch.stack([0 * frame, frame // frames, frame % frames], -1),
        noise=noise,
    )


def white(shape, sigma=1.0, seed=5):
    return sigma * torch.randn(*shape, 2, generator=generator(seed), dtype=torch.float64)


def mm(estimate, tracks):
    """Mean distances (K,) [mm]."""
    return 1000 * (estimate.xyz - tracks.truth).norm(dim=-1).mean(0)


def test_exact_detections_give_the_exact_track():
    xyz, rig = scene(2), cameras(1 / 16)
    tracks = tracks_of(xyz, torch.zeros(len(xyz), 4, 3, 2), rig)
    found = map_smoothing.smooth(tracks, rig)
    assert (found.xyz - xyz).norm(dim=-1).max() < 2e-4  # a sixteenth of a pixel is 0.3 mm


def test_it_is_better_than_the_smoother_with_white_noise():
    xyz, rig = scene(), cameras()
    tracks = tracks_of(xyz, white((len(xyz), 4, 3)), rig)
    ours = mm(map_smoothing.smooth(tracks, rig), tracks)
    theirs = mm(rts(tracks, "constant velocity", 1.0, 0.05), tracks)
    assert ours.mean() < 0.9 * theirs.mean()
    assert ours[0] < 0.6 * theirs[0]  # what rests
    assert ours[2] < 1.25 * theirs[2]  # what always moves


def test_gross_errors_that_last_are_ignored():
    xyz, rig = scene(), cameras()
    error = white((len(xyz), 4, 3))
    clean = tracks_of(xyz, error, rig)
    for start in range(0, len(xyz), FRAMES):  # one view of each keypoint, for a third of the demo
        for k in range(3):
            view = (start // FRAMES + k) % 4
            error[start + 5 : start + 18, view, k] += 30.0
    ours = mm(map_smoothing.smooth(clean, rig), clean)
    tracks = tracks_of(xyz, error, rig)
    assert (mm(map_smoothing.smooth(tracks, rig), tracks) < ours + 1.5).all()
    assert mm(single_frame(estimators.dlt, tracks, rig), tracks).min() > 10


def test_moving_and_turning_the_world_moves_and_turns_the_track():
    xyz, rig = scene(2), cameras()
    error = white((len(xyz), 4, 3))
    R = torch.linalg.qr(torch.randn(3, 3, generator=generator(), dtype=torch.float64))[0]
    R = R * torch.linalg.det(R)
    t = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)
    turned = rig.extrinsics[:, :, :3] @ R.T
    moved = dataclasses.replace(
        rig,
        extrinsics=torch.cat([turned, rig.extrinsics[:, :, 3:] - (turned @ t).unsqueeze(-1)], -1),
    )
    here = map_smoothing.smooth(tracks_of(xyz, error, rig), rig)
    there = map_smoothing.smooth(tracks_of(xyz @ R.T + t, error, moved), moved)
    assert (here.xyz @ R.T + t - there.xyz).norm(dim=-1).max() < 1e-5
    torch.testing.assert_close(R @ here.covariance @ R.T, there.covariance, rtol=1e-2, atol=1e-9)


def test_the_order_of_views_does_not_matter():
    xyz, rig = scene(2), cameras()
    tracks, order = tracks_of(xyz, white((len(xyz), 4, 3)), rig), [2, 0, 3, 1]
    other = dataclasses.replace(
        rig, intrinsics=rig.intrinsics[order], extrinsics=rig.extrinsics[order]
    )
    names = ("uv", "weights", "robust")
    turned = dataclasses.replace(tracks, **{n: getattr(tracks, n)[:, order] for n in names})
    ours, theirs = map_smoothing.smooth(tracks, rig), map_smoothing.smooth(turned, other)
    assert (ours.xyz - theirs.xyz).norm(dim=-1).max() < 1e-6


def test_examples_do_not_mix():
    xyz, rig = scene(2), cameras()
    tracks = tracks_of(xyz, white((len(xyz), 4, 3)), rig)
    motions = map_smoothing.choose_motions(tracks, rig)
    ours = map_smoothing.smooth(tracks, rig, motions).xyz
    other = dataclasses.replace(tracks, uv=tracks.uv.clone(), xyz=tracks.xyz.clone())
    other.uv[FRAMES:] += 9.0
    other.xyz[FRAMES:] += 0.1
    theirs = map_smoothing.smooth(other, rig, motions).xyz
    torch.testing.assert_close(ours[:FRAMES], theirs[:FRAMES], rtol=0, atol=1e-9)


def test_a_missing_detection_has_no_say():
    xyz, rig = scene(2), cameras()
    tracks = tracks_of(xyz, white((len(xyz), 4, 3)), rig)
    tracks.weights[10:20, 1] = 0
    found = []
    for value in (0.0, 3000.0):
        tracks.uv[10:20, 1] = value
        found.append(map_smoothing.smooth(tracks, rig).xyz)
    assert torch.equal(found[0], found[1])


def lasting(shape, share_offset=0.3, share_white=0.1, frames=FRAMES, time_constant=8.0, seed=3):
    """Errors (N, V, K, 2) of unit variance: a constant, a slow and a white part."""
    N, V, K = shape
    a = math.exp(-1 / time_constant)
    demos = N // frames
    draw = torch.randn(frames + 1, demos, V, K, 2, generator=generator(seed), dtype=torch.float64)
    slow = [draw[1]]
    for t in range(2, frames + 1):
        slow.append(a * slow[-1] + math.sqrt(1 - a * a) * draw[t])
    slow_share = 1 - share_offset - share_white
    error = math.sqrt(slow_share) * torch.stack(slow, 1)
    error = error + math.sqrt(share_offset) * draw[0][:, None]
    return error.flatten(0, 1) + math.sqrt(share_white) * white(shape, seed=seed + 1)


def test_regions_hold_their_share_where_errors_last():
    xyz, rig = scene(24), cameras()
    noise = NoiseParts(
        *(torch.full((4, 3), math.sqrt(s)) for s in (0.1, 0.6, 0.3)),
        8.0,
        torch.full((4, 3), 0.01),
        10.0,
    )
    tracks = tracks_of(xyz, lasting((len(xyz), 4, 3)), rig, noise=noise)
    found = map_smoothing.smooth(tracks, rig)
    off = (found.xyz - tracks.truth).unsqueeze(-1)
    square = (off.mT @ torch.linalg.inv(found.covariance) @ off).flatten()
    for share, bound, low, high in ((68, 3.506, 0.55, 0.85), (95, 7.815, 0.86, 0.995)):
        held = float((square < bound).double().mean())
        assert low < held < high, (share, held)


def test_fast_motion_is_not_flattened():
    """A runner's hand at 12 frames a second: steps of up to 0.25 m."""
    t = torch.arange(DEMOS * FRAMES, dtype=torch.float64) / 12
    wave = torch.stack([(9.4 * t).sin(), (9.4 * t + 1).cos(), (4.7 * t).sin()], -1) * 0.2
    xyz = (torch.tensor([0.3, 0.0, 0.9]) + wave)[:, None].expand(-1, 3, 3).contiguous()
    rig = cameras(2.0)
    tracks = tracks_of(xyz, white((len(xyz), 4, 3), 2.0), rig)
    ours = mm(map_smoothing.smooth(tracks, rig), tracks).mean()
    assert ours < 1.05 * mm(single_frame(estimators.huber, tracks, rig), tracks).mean()


def test_frames_in_no_order_stand_alone():
    rig = cameras(2.0)
    N = DEMOS * FRAMES
    xyz = torch.rand(N, 2, 3, generator=generator(), dtype=torch.float64) * 0.4
    xyz = xyz + torch.tensor([0.1, -0.2, 0.7])
    tracks = tracks_of(xyz, white((N, 4, 2), 2.0), rig)
    motions = map_smoothing.choose_motions(tracks, rig)
    ours = mm(map_smoothing.smooth(tracks, rig, motions), tracks).mean()
    assert ours < 1.05 * mm(single_frame(estimators.huber, tracks, rig), tracks).mean()
    assert motions.describe(0) in ("no order", "steps of 0.26 m a frame")


def test_claims_say_which_detections_to_trust():
    xyz, rig = scene(), cameras()
    relative = torch.where(torch.rand(len(xyz), 4, 3, generator=generator()) < 0.3, 5.0, 1.0)
    error = white((len(xyz), 4, 3)) * relative[..., None]
    tracks = tracks_of(xyz, error, rig)
    claims = relative.double().square()[..., None, None] * torch.eye(2, dtype=torch.float64)
    claimed = dataclasses.replace(tracks, claims=claims)
    assert (
        mm(map_smoothing.smooth(claimed, rig), tracks).mean()
        < mm(map_smoothing.smooth(tracks, rig), tracks).mean()
    )


@pytest.mark.parametrize("length", [1, 2, 3])
def test_short_examples_work(length):
    xyz, rig = scene(1, 6), cameras()
    tracks = tracks_of(xyz, white((6, 4, 3)), rig, frames=length)
    found = map_smoothing.smooth(tracks, rig)
    assert found.xyz.isfinite().all()
    assert torch.linalg.eigvalsh(found.covariance).min() > 0
