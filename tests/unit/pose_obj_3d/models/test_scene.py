"""STC where errors last: blind views, shapes, the scene's most likely motion."""

import dataclasses

import numpy as np
import pytest
import torch

from pose_obj_3d import formal
from pose_obj_3d.common.errors import CheckpointError, ConfigError
from pose_obj_3d.evaluation import metrics
from pose_obj_3d.evaluation import protocol as evaluation
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.estimators import region_edges
from pose_obj_3d.models.consensus.model import Stc
from pose_obj_3d.models.consensus.scene import (
    blind_views,
    chains,
    claims,
    estimates,
    persistence,
    rehearsal,
    shapes,
)
from pose_obj_3d.models.consensus.size import StcConfig
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig
from pose_obj_3d.training.checkpoints import state
from tests.unit.pose_obj_3d.synthetic import write_scene

SIGMA = 2.0  # of the lasting errors [px]
GROUPS = ("waypoints", "objects", "robot")


def lasting(rng, shape, memory=0.9, offset=0.33):
    """(V, T, K, 2) errors of unit variance that last."""
    error = rng.standard_normal(shape)
    for t in range(1, shape[1]):
        error[:, t] = memory * error[:, t - 1] + np.sqrt(1 - memory**2) * error[:, t]
    constant = rng.standard_normal((shape[0], 1, *shape[2:]))
    return np.sqrt(1 - offset) * error + np.sqrt(offset) * constant


def gross(rng, shape):
    """(V, T, K, 2) far off [px] for 10 frames, in a quarter of such stretches."""
    V, T, K, _ = shape
    stretch = 25 * rng.standard_normal((V, T // 10, K, 2)) * (rng.random((V, T // 10, K, 1)) < 0.25)
    return np.repeat(stretch, 10, axis=1)


def scene(folder, lasts, examples=12):
    path = write_scene(folder / "scene.npz", examples=examples, frames=30)
    data = formal.read_formal(path)
    if lasts:
        for number, x in enumerate(data.tracks[0]):
            rng, exact = np.random.default_rng(number), x[..., formal.UV_EXACT]
            error = SIGMA * lasting(rng, exact.shape) + gross(rng, exact.shape)
            x[..., formal.UV_DETECTED] = exact + error
    return data


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    return {kind: scene(tmp_path_factory.mktemp(kind), kind == "lasting") for kind in KINDS}


KINDS = ("white", "lasting")


def load(data, split="train", with_truth=True):
    ids = keypoint_ids(data, [0], GROUPS)
    rig = make_rig(data)
    return load_tracks(data, rig, [0], split, ids, with_truth=with_truth), rig, ids


def network(ids, context="track", blind="auto"):
    torch.manual_seed(0)
    return Stc(StcConfig(len(ids), context=context, width=8, num_heads=2, blind=blind))


def learned(data, context="track", blind="auto"):
    tracks, rig, ids = load(data)
    model = network(ids, context, blind)
    model.learn(tracks, rig)
    return model, tracks, rig, ids


def test_a_chain_is_solved_as_the_whole_matrix_is():
    generator = torch.Generator().manual_seed(0)
    T, S, n = 5, 2, 6
    link = torch.rand(T - 1, S, n, generator=generator, dtype=torch.float64)
    root = torch.randn(T, S, n, n, generator=generator, dtype=torch.float64)
    own = root @ root.transpose(-1, -2) + 3 * torch.eye(n, dtype=torch.float64)
    moment = torch.randn(T, S, n, generator=generator, dtype=torch.float64)
    found, covariance = chains.solve_chain(own, link, moment)
    for s in range(S):
        whole = torch.block_diag(*own[:, s])
        for t in range(T - 1):
            a, b = slice(t * n, (t + 1) * n), slice((t + 1) * n, (t + 2) * n)
            whole[a, b] = whole[b, a] = -torch.diag(link[t, s])
        inverse = torch.linalg.inv(whole)
        torch.testing.assert_close(found[:, s].flatten(), inverse @ moment[:, s].flatten())
        blocks = torch.stack([inverse[t * n : (t + 1) * n, t * n : (t + 1) * n] for t in range(T)])
        torch.testing.assert_close(covariance[:, s], blocks)


def test_distances_that_are_kept_are_found_and_others_are_not():
    generator = torch.Generator().manual_seed(0)
    frames, sd = 400, 0.005
    turn = torch.linalg.qr(torch.randn(frames, 3, 3, generator=generator)).Q
    body = torch.tensor([[0.0, 0, 0], [0.1, 0, 0], [0, 0.2, 0]])
    rigid = (turn @ body.T).transpose(1, 2) + torch.randn(frames, 1, 3, generator=generator)
    other = torch.randn(frames, 1, 3, generator=generator)
    xyz = torch.cat([rigid, other], 1)
    xyz = xyz + sd * torch.randn(xyz.shape, generator=generator)
    covariance = (sd**2 * torch.eye(3)).expand(frames, 4, 3, 3)
    keypoint, first = torch.arange(4).expand(frames, 4), torch.arange(frames) // 20 * 20
    found = shapes.learn_shapes(xyz, covariance, keypoint, first, 4, unit=sd)
    assert found.bodies() == [[0, 1, 2], [3]]
    expected = torch.cdist(body, body).double()
    torch.testing.assert_close(found.distance[:3, :3], expected, atol=2e-3, rtol=0)
    assert found.spread[:3, :3][~torch.eye(3, dtype=bool)].max() < 2 * sd
    assert found.spread[3].isinf().all()


def test_what_moves_in_a_few_examples_keeps_no_distance():
    """Two things rest in a fixed arrangement; one of them moves late in a quarter of examples."""
    generator = torch.Generator().manual_seed(0)
    examples, length, sd = 20, 40, 0.005
    xyz = torch.zeros(examples, length, 2, 3)
    xyz[:, :, 1, 0] = 0.3
    xyz[::4, 30:, 1, 1] = 0.4
    xyz = (xyz + sd * torch.randn(xyz.shape, generator=generator)).flatten(0, 1)
    N = len(xyz)
    covariance = (sd**2 * torch.eye(3)).expand(N, 2, 3, 3)
    keypoint, first = torch.arange(2).expand(N, 2), torch.arange(N) // length * length
    found = shapes.learn_shapes(xyz, covariance, keypoint, first, 2, unit=sd)
    assert found.bodies() == [[0], [1]]
    still = first % (4 * length) != 0
    found = shapes.learn_shapes(
        xyz[still], covariance[still], keypoint[still], first[still], 2, unit=sd
    )
    assert found.bodies() == [[0, 1]]


def test_what_is_seen_badly_does_not_seem_to_move():
    """A thing leaves another one late; errors of the other are large, as it says of most frames."""
    generator = torch.Generator().manual_seed(0)
    examples, length, sd = 20, 40, 0.005
    xyz = torch.zeros(examples, length, 2, 3)
    xyz[:, :, 1, 0] = 0.3
    xyz[:, 37:, 0, 0] = 0.2
    poor = torch.rand(examples, length, generator=generator) < 0.7
    spread = torch.full((examples, length, 2, 3), sd)
    spread[:, :, 1, 1:] = torch.where(poor, 10 * sd, sd)[..., None]  # across the line
    xyz = (xyz + spread * torch.randn(xyz.shape, generator=generator)).flatten(0, 1)
    N = len(xyz)
    covariance = torch.diag_embed(spread.flatten(0, 1).square())
    keypoint, first = torch.arange(2).expand(N, 2), torch.arange(N) // length * length
    found = shapes.learn_shapes(xyz, covariance, keypoint, first, 2, unit=sd)
    assert found.bodies() == [[0], [1]]


def test_what_never_moves_is_known_from_views_that_were_left_out(tmp_path):
    data = scene(tmp_path, lasts=False)
    for number, x in enumerate(data.tracks[0]):
        error = lasting(np.random.default_rng(number), x[..., formal.UV_EXACT].shape)
        x[..., formal.UV_DETECTED] = x[..., formal.UV_EXACT] + error
    model, tracks, _, _ = learned(data)
    moves = (tracks.truth - tracks.truth[tracks.first]).norm(dim=-1).amax(0) > 0.01
    assert 0 < moves.sum() < len(moves)
    assert torch.equal(model.ground.step > model.ground.unit, moves)


def test_fewer_examples_keep_what_is_stated_of_all_frames(worlds):
    tracks = load(worlds["lasting"])[0]
    stated = torch.tensor([[0.6, 0.3, 8.0]]).expand(tracks.uv.shape[1], 3)
    few = estimates.some_examples(dataclasses.replace(tracks, lasting=stated), 3)
    assert len(few) == 3 * 30
    assert torch.equal(few.lasting, stated)
    rows = torch.isin(tracks.source[:, 1], few.source[:, 1].unique())
    assert torch.equal(few.xyz, tracks.xyz[rows])
    assert few.first.unique().tolist() == [0, 30, 60]


def test_only_errors_that_last_call_for_blind_views(worlds):
    for kind, data in worlds.items():
        tracks, rig, _ = load(data)
        assert persistence.frames_that_share(tracks, rig, "frame") is None
        assert persistence.frames_that_share(tracks, rig, "view") >= 1
        found = persistence.frames_that_share(tracks, rig, "auto")
        assert (found is None) == (kind == "white")
    assert 3 < found < 9
    model, _, _, ids = learned(worlds["white"])
    assert model.ground is None
    assert set(model.state_dict()) == set(network(ids, blind="frame").state_dict())
    assert all(
        (a == b).all() for a, b in zip(model.parameters(), network(ids).parameters(), strict=True)
    )


def test_two_views_are_too_few_to_leave_one_out(worlds):
    data = worlds["lasting"]
    ids = keypoint_ids(data, [0], GROUPS)
    rig = make_rig(data, [0, 3])
    tracks = load_tracks(data, rig, [0], "train", ids)
    model = network(ids)
    model.learn(tracks, rig)
    assert model.ground is None
    with pytest.raises(ConfigError, match=r"BLIND view leaves out one of 2 views"):
        network(ids, blind="view").learn(tracks, rig)


@pytest.mark.parametrize("context", ["window", "track"])
def test_a_blind_prediction_does_not_depend_on_the_view_that_scores_it(worlds, context):
    model, tracks, rig, _ = learned(worlds["lasting"], context)
    view = blind_views.left_out_views(tracks, rig)
    assert len(view.unique()) > 1
    assert all(len(view[tracks.first == f].unique()) == 1 for f in tracks.first.unique())
    is_out = view[:, None] == torch.arange(4)
    changed = {
        "left out": tracks.uv + 30 * is_out[..., None, None],
        "used": tracks.uv + 5 * ~is_out[..., None, None],
    }
    blind = model.for_training(tracks, rig, blind=True)
    assert ((blind.weights > 0).any(-1) <= is_out).all()
    assert (blind.weights > 0).any()
    for name, uv in changed.items():
        moved = dataclasses.replace(tracks, uv=uv)
        # What it starts from is not blind, and must have no part either.
        moved = dataclasses.replace(moved, xyz=tracks.xyz + 0.05)
        again = model.for_training(moved, rig, blind=True)
        pairs = [(blind.xyz, again.xyz), (blind.info, again.info)]
        is_same = all(torch.equal(a, b) for a, b in pairs)
        assert is_same == (name == "left out")


def test_labels_have_no_part(worlds):
    model, tracks, rig, ids = learned(worlds["lasting"])
    scrambled = dataclasses.replace(tracks, truth=torch.randn(tracks.truth.shape))
    other = network(ids)
    other.learn(scrambled, rig)
    model.calibrate([tracks], rig, 256)
    other.calibrate([scrambled], rig, 256)
    assert float(model.ground.factor.abs().sum()) > 0
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    )
    found = [model.for_training(t, rig, blind=True).xyz for t in (tracks, scrambled)]
    assert torch.equal(*found)


@pytest.mark.parametrize("context", ["window", "track"])
def test_claims_hold_where_errors_last(worlds, context):
    """On its ground, before any gradient step, calibrated by a rehearsal."""
    model, tracks, rig, _ = learned(worlds["lasting"], context)
    model.calibrate([tracks], rig, 256)
    found = evaluation.estimate(model, tracks, rig, evaluation.Protocol(7))
    alone = (tracks.xyz - tracks.truth).norm(dim=-1).mean()
    assert (found.xyz - tracks.truth).norm(dim=-1).mean() < 0.75 * alone
    every = torch.ones(tracks.is_real.shape, dtype=torch.bool)
    held = [
        metrics.coverage(found.xyz, tracks.truth, found.covariance, every, p, found.tail).mean
        for p in metrics.COVERAGE
    ]
    assert found.tail == model.tail == float(model.ground.tail)
    assert 0.55 < held[0] < 0.9
    assert 0.85 < held[1] < 0.99


def test_a_checkpoint_brings_its_ground_or_takes_it_away(worlds):
    model, tracks, rig, ids = learned(worlds["lasting"])
    saved = {name: value.clone() for name, value in model.state_dict().items()}
    fresh = network(ids)
    plain = {name: value.clone() for name, value in fresh.state_dict().items()}
    state.load_model(fresh, saved)
    assert torch.equal(fresh.ground.distance, model.ground.distance)
    assert torch.equal(fresh.prepare(tracks, rig).xyz, model.prepare(tracks, rig).xyz)
    state.load_model(fresh, plain)  # as of a version that knew no ground
    assert fresh.ground is None
    with pytest.raises(CheckpointError, match=r"ground\.shared"):
        state.load_model(fresh, {k: v for k, v in saved.items() if k != "ground.shared"})


def test_a_rehearsal_keeps_what_errors_are_like_and_turns_views(worlds):
    tracks, rig, _ = load(worlds["lasting"])
    truth = tracks.truth
    made = rehearsal.rehearse(tracks, truth, rig)
    exact = geometry.project(truth.double(), rig.intrinsics, rig.extrinsics)[0].transpose(1, 2)
    before, after = (x.uv.double() - exact for x in (tracks, made))
    ratio = (before * after).sum(-1) / before.square().sum(-1).clamp_min(1e-9)
    parallel = (before[..., 0] * after[..., 1] - before[..., 1] * after[..., 0]).abs()
    assert parallel.max() < 1e-2 * before.square().sum(-1).max()
    is_clear = (before.norm(dim=-1) > 1) & (tracks.weights > 0)
    assert (ratio[is_clear].abs() > 0.99).all()
    assert (ratio[is_clear].abs() < 4**rehearsal.POWER + 0.01).all()
    for begin in tracks.first.unique().tolist():
        rows = tracks.first == begin
        turned = [bool((ratio[rows, v][is_clear[rows, v]] < 0).all()) for v in range(4)]
        kept = [bool((ratio[rows, v][is_clear[rows, v]] > 0).all()) for v in range(4)]
        assert any(turned)
        assert any(kept)
        assert all(a != b for a, b in zip(turned, kept, strict=True))


def test_signs_never_turn_all_views_or_none():
    for views in (2, 3, 4, 6):
        found = rehearsal.signs(torch.ones(200, views, dtype=torch.bool))
        assert set(found.unique().tolist()) == {-1, 1}
        assert (found.sum(-1).abs() < views).all()
        assert len(found.unique(dim=0)) == min(200, 2 ** (views - 1) - 1)


def test_of_many_views_half_are_turned():
    for views in (7, 16, 28, 64):
        found = rehearsal.signs(torch.ones(24, views, dtype=torch.bool))
        assert (found.sum(-1).abs() < views).all()
        assert 0.3 < float((found[:, :-1] < 0).double().mean()) < 0.7


def test_signs_are_turned_among_the_views_that_an_example_has():
    """Examples with calibrations of their own are blind in the views of the others."""
    sees = torch.zeros(21, 12, dtype=torch.bool)
    for example in range(21):
        begin = 4 * (example % 3)
        sees[example, begin : begin + 4] = True
    found = rehearsal.signs(sees)
    assert (found[~sees] == 1).all()
    own = found[sees].view(21, 4)
    assert (own.sum(-1).abs() < 4).all()
    assert all(len(own[c::3].unique(dim=0)) == 7 for c in range(3))


def elsewhere(tracks, rig):
    """Give the tracks three times as many views, of which each example has its own four."""
    V = tracks.uv.shape[1]
    number, _ = blind_views.views_of_examples(tracks)
    own = (number % 3)[:, None] == torch.arange(3 * V) // V
    wide = {name: torch.cat([getattr(tracks, name)] * 3, 1) for name in ("uv", "weights", "robust")}
    wide["weights"] = torch.where(own[..., None], wide["weights"], 0.0)
    wide["robust"] = torch.where(own[..., None], wide["robust"], 0.0)
    cameras = {name: torch.cat([getattr(rig, name)] * 3) for name in ("intrinsics", "extrinsics")}
    views = tuple(range(3 * V))
    return dataclasses.replace(tracks, noise=None, **wide), dataclasses.replace(
        rig, view_ids=views, **cameras
    )


def test_three_cameras_are_enough(worlds):
    """Two are left where one view scores."""
    tracks, rig, ids = load(worlds["lasting"])
    tracks = estimates.some_examples(tracks, 3)
    weights = tracks.weights.clone()
    weights[:, 3] = 0
    few = dataclasses.replace(tracks, weights=weights)
    model = network(ids)
    model.learn(few, rig)
    assert model.ground is not None
    found = model.for_training(few, rig, blind=True)
    assert found.xyz.isfinite().all()


def test_a_rehearsal_turns_views_that_an_example_has(worlds):
    tracks, rig, _ = load(worlds["lasting"])
    tracks, rig = elsewhere(tracks, rig)
    made = rehearsal.rehearse(tracks, tracks.truth, rig)
    exact = geometry.project(tracks.truth.double(), rig.intrinsics, rig.extrinsics)[0]
    before, after = (x.uv.double() - exact.transpose(1, 2) for x in (tracks, made))
    is_turned = ((before * after).sum(-1) < 0) & (tracks.weights > 0)
    for begin in tracks.first.unique().tolist():
        own = is_turned[tracks.first == begin].any(0).any(-1)
        assert 0 < int(own.sum()) < 4


def test_the_factor_on_claims_depends_on_the_keypoint_and_holds_both_regions():
    generator = torch.Generator().manual_seed(0)
    n, factors = 20000, torch.tensor([0.1, 4.0], dtype=torch.float64)
    keypoint = torch.arange(n) % 2
    about = torch.cat([torch.zeros(n, claims.COMMON), torch.eye(2)[keypoint]], -1)
    about[:, 0] = 1
    error = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    square = factors[keypoint] * error.square().sum(-1)
    weights, _ = claims.fit_scale(about, square, 1.0)
    found = (about.double() @ weights).exp()
    for k in range(2):
        assert float(found[k]) == pytest.approx(float(factors[k]), rel=0.1)
    for tail in (1.0, 8.0):  # a tenth of the errors is larger
        heavy = torch.where(torch.rand(n, generator=generator) < 0.1, tail, 1.0) * square
        ratio = heavy / (about.double() @ claims.fit_scale(about, heavy, 1.0)[0]).exp()
        held = [float((ratio < edge).double().mean()) for edge in region_edges(0.0)]
        assert 0.66 < held[0] < 0.76
        assert 0.9 < held[1] < 0.96
