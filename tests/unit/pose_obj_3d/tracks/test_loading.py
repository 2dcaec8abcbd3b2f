"""Tracks and windows: what a window holds, padding, split, selection, gaps."""

import numpy as np
import pytest
import torch

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.formal import read_formal
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.tracks.gathering import gather_windows
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig
from pose_obj_3d.tracks.motion import speeds
from pose_obj_3d.tracks.strays import find_strays, find_vague
from pose_obj_3d.tracks.triangulating import triangulate_tracks
from tests.unit.pose_obj_3d.synthetic import project, rig, write_scene

GROUPS = ("waypoints", "objects", "robot")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return read_formal(write_scene(tmp_path_factory.mktemp("data") / "a.npz", tasks=(0, 9)))


def load(data, split="train", views=(), **options):
    ids = keypoint_ids(data, [0, 9], GROUPS)
    return load_tracks(data, make_rig(data, views), [0, 9], split, ids, **options)


def test_a_window_is_the_slice_it_claims(data):
    tracks = load(data)
    windows = gather_windows(tracks, torch.arange(len(tracks)), 7)
    for row in (10, 30, len(tracks) - 8):
        task, example, frame = tracks.source[row].tolist()
        raw = torch.from_numpy(data.tracks[task][example])[:, frame - 3 : frame + 4]
        torch.testing.assert_close(windows.uv[row], raw[..., 2:4].transpose(0, 1), rtol=0, atol=0)
        torch.testing.assert_close(windows.truth[row], raw[0, 3, :, 4:7], rtol=0, atol=0)
        assert windows.is_distinct[row].all()


def test_edges_repeat_inside_the_example(data):
    tracks = load(data)
    starts = tracks.first.unique()
    windows = gather_windows(tracks, starts, 7)
    assert windows.is_distinct.tolist() == [[False] * 3 + [True] * 4] * len(starts)
    torch.testing.assert_close(
        windows.uv[:, :3], tracks.uv[starts][:, None].expand(-1, 3, -1, -1, -1)
    )
    ends = gather_windows(tracks, tracks.last.unique(), 7)
    assert ends.is_distinct.tolist() == [[True] * 4 + [False] * 3] * len(starts)


def test_used_frames_narrow_the_window(data):
    windows = gather_windows(load(data), torch.tensor([10]), 7, used_frames=3)
    assert windows.is_distinct[0].tolist() == [False, False, True, True, True, False, False]


def test_splits_are_disjoint_and_complete(data):
    seen = [
        {tuple(s) for s in load(data, split).source[:, :2].tolist()}
        for split in ("train", "val", "test")
    ]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 12


def test_drop_uses_only_what_is_seen(data):
    keep, drop = load(data).weights, load(data, occlusion="drop").weights
    x = np.concatenate([data.tracks[t][n] for t in (0, 9) for n in data.split(t)["train"]], axis=1)
    visibility = torch.from_numpy(x[..., 7]).transpose(0, 1)
    assert torch.equal(keep, (visibility > 0).float())
    assert torch.equal(drop, (visibility == 1).float())


def test_views_are_chosen_by_number(data):
    assert torch.equal(load(data, views=(3, 1)).uv, load(data).uv[:, [3, 1]])
    with pytest.raises(DataError, match="view 4 does not exist"):
        make_rig(data, (0, 4))
    with pytest.raises(DataError, match="at least two"):
        make_rig(data, (2,))


def test_groups_choose_keypoints(data):
    assert keypoint_ids(data, [9], ("robot",)) == ["T9/robot/tip"]
    with pytest.raises(DataError, match="boxes"):
        keypoint_ids(data, [0], ("boxes",))


def test_without_truth_there_is_none(data):
    tracks = load(data, with_truth=False)
    assert tracks.truth is None
    with pytest.raises(DataError, match="truth"):
        speeds(tracks, 0.05)


def test_frames_without_two_views_are_filled_from_the_nearest(data):
    member = data.tracks[0][0]
    kept = member.copy()
    try:
        member[1:, 5, 2, 7] = 0
        tracks = load(data)
    finally:
        member[:] = kept
    assert (tracks.info[5, 2] == 0).all()
    assert any(torch.equal(tracks.xyz[5, 2], tracks.xyz[n, 2]) for n in (4, 6))
    assert tracks.xyz.isfinite().all()


def test_missing_detections_have_no_weight(data):
    member = data.tracks[0][0]
    kept = member.copy()
    try:
        member[1, 5, 2, 2:4] = np.nan
        tracks = load(data)
    finally:
        member[:] = kept
    assert tracks.weights[5, 1, 2] == 0
    assert tracks.robust[5, 1, 2] == 0
    assert tracks.uv.isfinite().all()
    assert tracks.xyz.isfinite().all()


def test_the_true_precision_follows_the_stated_noise(data):
    sigma = data.sigma_px
    changes = {
        "sigma_px_per_view": [sigma, 2 * sigma, sigma, sigma],
        "occlusion_noise": [1, 1, 3, 1],
        "outlier_rate": [0, 0, 0, 0.5],
    }
    plain = load(data)
    assert (plain.precision == 1).all()
    data.meta["noise"].update(changes)
    try:
        precision = load(data, views=(3, 1, 2)).precision
    finally:
        for name in changes:
            del data.meta["noise"][name]
    assert precision[:, 0].unique().tolist() == [0.5]
    assert precision[:, 1].unique().tolist() == [0.25]
    assert sorted(precision[:, 2].unique().tolist()) == pytest.approx([1 / 9, 1])


def test_speed_tells_still_from_moving(data):
    speed = speeds(load(data), 0.05)
    assert speed[:, 1].max() < 1e-6
    assert speed[:, 3].max() > 0.1


def a_track(frames=30):
    """(N, 2, 3): a still keypoint and a fast one that starts and stops at once, 3 mm of noise."""
    path = torch.zeros(frames, 2, 3).double()
    path[10:20, 1, 0] = torch.arange(1, 11) * 0.04
    path[20:, 1, 0] = 0.4
    noise = 0.003 * torch.randn(
        path.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    info = (torch.eye(3).double() / 0.003**2).expand(frames, 2, 3, 3).clone()
    return (
        path + noise,
        info,
        torch.zeros(frames, dtype=torch.long),
        torch.full((frames,), frames - 1),
    )


def test_only_gross_errors_are_strays():
    xyz, info, first, last = a_track()
    assert not find_strays(xyz, info, first, last).any()
    wrong = torch.zeros(30, 2, dtype=torch.bool)
    for frame, keypoint in ((0, 0), (5, 1), (15, 1), (16, 0), (17, 0), (29, 1)):
        wrong[frame, keypoint] = True
        xyz[frame, keypoint] += torch.tensor([0.05, -0.1 if frame % 2 else 0.12, 0.1])
    found = find_strays(xyz, info, first, last)
    assert torch.equal(found, wrong)
    info[5, 1] *= 1e-4  # it had said that it knows next to nothing
    assert not find_strays(xyz, info, first, last)[5, 1]


def test_precise_frames_of_a_keypoint_that_accelerates_are_no_strays():
    t = torch.arange(40).double()
    xyz = torch.zeros(40, 2, 3).double()
    # At 2 m/s^2 for 10 frames of 50 ms, on, back, and at rest: 5 mm a frame^2, where noise is 0.1
    # mm.
    acceleration = 0.005 * (
        (t >= 5).double() - (t >= 15).double() - (t >= 20).double() + (t >= 30).double()
    )
    xyz[:, 0, 0] = acceleration.cumsum(0).cumsum(0)
    xyz += 1e-4 * torch.randn(
        xyz.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    info = (torch.eye(3).double() / 1e-4**2).expand(40, 2, 3, 3).clone()
    first, last = torch.zeros(40, dtype=torch.long), torch.full((40,), 39)
    assert not find_strays(xyz, info, first, last).any()
    xyz[[8, 35], 0, 1] += 0.05
    assert find_strays(xyz, info, first, last).nonzero().tolist() == [[8, 0], [35, 0]]


def test_what_three_views_agree_on_is_no_stray():
    """A keypoint that jumps for a frame: all views say so, or only two."""
    K, E = (torch.from_numpy(x) for x in rig())
    xyz = torch.tensor([0.3, 0.0, 0.8]).double().expand(20, 1, 3).clone()
    xyz[7, 0, 2] += 0.2
    uv = torch.from_numpy(project(xyz.numpy(), K.numpy(), E.numpy())).transpose(0, 1)
    uv = uv + 0.3 * torch.randn(
        uv.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    weights, keypoint = torch.ones(20, 4, 1), torch.zeros(20, 1, dtype=torch.long)
    first, last = torch.zeros(20, dtype=torch.long), torch.full((20,), 19)
    for views, is_lost in ((4, False), (2, True)):
        weights[7, views:] = 0
        _, info, _ = triangulate_tracks(
            uv, weights, Rig(K, E, 0.5, (0, 1, 2, 3)), keypoint, first, last
        )
        assert (info[7, 0].trace() == 0) == is_lost
        assert (info[8, 0].trace() > 0).all()


def test_strays_are_looked_for_within_examples():
    xyz, info, _, _ = a_track()
    xyz[15:] += 1.0
    first, last = (torch.tensor(x).repeat_interleave(15) for x in ((0, 15), (14, 29)))
    assert not find_strays(xyz, info, first, last).any()


def test_frames_that_know_a_direction_far_worse_than_usual_are_vague():
    _, info, _, _ = a_track()
    keypoint = torch.tensor([3, 5]).expand(30, 2)
    info[:, 1] *= 1e-3  # always bad: no frame of it is vague
    assert not find_vague(info, keypoint).any()
    info[7, 0] @= torch.diag(torch.tensor([1.0, 1.0, 1e-4]).double())
    info[9, 0] = 0
    assert find_vague(info, keypoint).nonzero().tolist() == [[7, 0]]
