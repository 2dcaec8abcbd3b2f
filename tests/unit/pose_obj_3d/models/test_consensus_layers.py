"""Layers of STC with windows last, against those of torch; what is remembered of windows."""

import dataclasses
import math

import pytest
import torch
from torch import nn

from pose_obj_3d.formal import read_formal
from pose_obj_3d.geometry import symmetric
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.consensus import lags, layers, mixes
from pose_obj_3d.tracks.gathering import gather_for
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig
from pose_obj_3d.training.config import NetworkConfig, StcNetworkConfig
from pose_obj_3d.training.model_registry import build_model
from tests.unit.pose_obj_3d.synthetic import write_scene


def plain_attention(layer, x, is_hidden):
    """The layer, as transformers are written: (B, K, D)."""
    B, K, D = x.shape
    h = layer.heads
    q, k, v = layer.qkv(layer.norm_attention(x)).view(B, K, 3, h, D // h).permute(2, 0, 3, 1, 4)
    score = (q @ k.transpose(-1, -2) / math.sqrt(D // h)).masked_fill(
        is_hidden[:, None, None], -1e4
    )
    x = x + layer.out((score.softmax(-1) @ v).transpose(1, 2).reshape(B, K, D))
    return x + layer.mlp(layer.norm_mlp(x))


@pytest.mark.parametrize("K", [3, 9])  # few keypoints, many
def test_attention_is_that_of_torch_with_its_gradients(K):
    torch.manual_seed(0)
    layer = layers.KeypointAttention(8, 2, 0.0).double()
    for p in layer.parameters():
        nn.init.normal_(p, std=0.3)
    x = torch.randn(5, K, 8).double().requires_grad_()
    is_hidden = torch.rand(5, K) < 0.3
    found = []
    tokens = layer(x.transpose(0, 1).reshape(5 * K, 8), is_hidden.T)
    for y in (plain_attention(layer, x, is_hidden), tokens.view(K, 5, 8).transpose(0, 1)):
        of = [x, *layer.parameters()]
        found.append((y, torch.autograd.grad((y * torch.arange(8)).square().sum(), of)))
    (plain, plain_grads), (mine, grads) = found
    torch.testing.assert_close(mine, plain)
    for a, b in zip(grads, plain_grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def test_gradients_by_hand_are_those_of_differences():
    """Three keypoints, two changes of mixes of four filters and a mean, two windows."""
    torch.manual_seed(0)
    n, H, K, B = 2, 4, 3, 2

    def draw(*shape, needs=True):
        return torch.randn(*shape, dtype=torch.float64, requires_grad=needs)

    assert torch.autograd.gradcheck(mixes.first_and_changes, draw(n + 1, H + 1, K, B))
    first, changes = mixes.first_and_changes(draw(n + 1, H + 1, K, B))
    torch.testing.assert_close(first.sum(0), torch.ones_like(first[0]))
    torch.testing.assert_close(changes.sum(1), torch.zeros_like(changes[:, 0]))
    filters = [draw(H, 3, K, B, needs=False) for _ in range(2)]
    weights = first.detach().requires_grad_(), changes.detach().requires_grad_()
    means = draw(3, K, B), draw(3, K, B)
    assert torch.autograd.gradcheck(mixes.mixed, (*weights, *filters, *means))
    gram = draw(H, H, needs=False)
    rows = (gram + gram.T, draw(H, K, B))
    assert torch.autograd.gradcheck(layers.quadratic, rows)
    unit = symmetric.outer(draw(3, K, B, needs=False))
    sizes = draw(n, K, B), draw(n, K, B).detach().exp().requires_grad_()
    args = draw(3, K, n, K, B), unit, draw(K, n, K, B), *sizes
    assert torch.autograd.gradcheck(lags.believed, args)


def test_mixes_are_sums_of_filters_of_the_right_keypoint():
    torch.manual_seed(0)
    n, H, K, B = 2, 4, 3, 2
    first, changes = torch.randn(H + 1, K, B), torch.randn(n, H + 1, K, B)
    full, blind = torch.randn(H, 3, K, B), torch.randn(H, 3, K, B)
    full_mean, mean = torch.randn(3, K, B), torch.randn(3, K, B)
    own, found = mixes.mixed(first, changes, full, blind, full_mean, mean)
    every, mine = torch.cat([full, full_mean[None]]), torch.cat([blind, mean[None]])
    torch.testing.assert_close(own, torch.einsum("hkb,hxkb->xkb", first, mine))
    for j in range(K):
        for k in range(K):
            of = mine if j == k else every
            wanted = torch.einsum("ihb,hxb->xib", changes[:, :, k], of[:, :, j])
            torch.testing.assert_close(found[:, j, :, k], wanted)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    data = read_formal(write_scene(tmp_path_factory.mktemp("data") / "a.npz", frames=12))
    rig = make_rig(data)
    ids = keypoint_ids(data, [0], ("waypoints", "objects", "robot"))
    tracks = load_tracks(data, rig, [0], "train", ids, with_truth=True)
    return tracks, Rig(rig.intrinsics.float(), rig.extrinsics.float(), rig.sigma_px, rig.view_ids)


@pytest.mark.parametrize("context", ["window", "track"])
@pytest.mark.parametrize("has_ground", [False, True])
def test_what_is_remembered_is_what_windows_say(scene, context, has_ground):
    tracks, rig = scene
    torch.manual_seed(0)
    blind = "view" if has_ground else "frame"
    config = NetworkConfig(
        TYPE="STC", DROPOUT=0.0, STC=StcNetworkConfig(CONTEXT=context, BLIND=blind)
    )
    model = build_model(config, 4, None)
    wide = dataclasses.replace(
        rig, intrinsics=rig.intrinsics.double(), extrinsics=rig.extrinsics.double()
    )
    model.learn(tracks, wide)
    assert model.leaves_out_views == has_ground
    ready = model.for_training(tracks, wide, blind=True)
    kept = model.remember(ready, 10**9)
    assert model.remember(ready, 1000) is ready  # too much for this limit
    assert kept is not ready
    centres = torch.tensor([3, 0, len(tracks) - 1])
    windows = [gather_for(model, some, centres, 7) for some in (ready, kept)]
    assert windows[1].uv.shape[1] == 1
    one, other = (model(w, rig) for w in windows)
    for name in ("xyz", "blind_xyz", "info", "blind_info"):
        torch.testing.assert_close(getattr(other, name), getattr(one, name), rtol=1e-5, atol=1e-6)


def test_parts_of_a_batch_drop_what_the_whole_drops():
    drop = layers.BatchDropout(0.3)
    x = torch.ones(4, 2, 5)
    found = []
    for rows in (slice(None), slice(0, None, 2), slice(1, None, 2)):
        drop.part = rows, 5
        torch.manual_seed(1)
        found.append(drop(x[..., rows]))
    assert (found[0][..., ::2] == found[1]).all()
    assert (found[0][..., 1::2] == found[2]).all()
    assert set(found[0].unique().tolist()) == {0.0, float(torch.tensor(1 / 0.7))}
    assert (drop.eval()(x) == x).all()
