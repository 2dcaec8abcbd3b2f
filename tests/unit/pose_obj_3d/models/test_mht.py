"""MHT: views, weights, independent samples, no dead parameter, fitting, config, training."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from pose_obj_3d import train_command as cli
from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.common.progress import Pace
from pose_obj_3d.formal import read_formal
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.models.mht import parts as mht_parts
from pose_obj_3d.models.mht.parts import TransformerBlock
from pose_obj_3d.tracks.gathering import gather_for, gather_windows, mask_views, take
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig
from pose_obj_3d.training import losses, trainer, validation
from pose_obj_3d.training.config import (
    Config,
    MFormerConfig,
    NetworkConfig,
    RotModelConfig,
    TFormerConfig,
    TrainConfig,
)
from pose_obj_3d.training.model_registry import build_model
from pose_obj_3d.training.objective import loss_of
from pose_obj_3d.training.run import HELD_OUT
from tests.unit.pose_obj_3d.synthetic import write_scene
from tests.unit.pose_obj_3d.training import test_trainer

GROUPS = ("waypoints", "objects", "robot")
SMALL = {
    "NUM_CHANNELS": 24,
    "AFTER_MHF_DIM": 32,
    "T_FORMER": TFormerConfig(NUM_CHANNELS=32, NUM_LAYERS=3, NUM_HEADS=4),
    "ROT_MODEL": RotModelConfig(NUM_CHANNELS=16),
    "M_FORMER": MFormerConfig(DROPOUT=0.0),
    "DROPOUT": 0.0,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return read_formal(
        write_scene(tmp_path_factory.mktemp("data") / "a.npz", tasks=(0, 9), examples=4)
    )


def load(data, views=(), tasks=(0,)):
    rig = make_rig(data, views)
    tracks = load_tracks(data, rig, tasks, "train", keypoint_ids(data, tasks, GROUPS))
    return tracks, Rig(rig.intrinsics.float(), rig.extrinsics.float(), rig.sigma_px, rig.view_ids)


def model(tracks, num_keypoints=4, **options):
    torch.manual_seed(0)
    built = build_model(NetworkConfig(TYPE="MHT", **{**SMALL, **options}), num_keypoints, None)
    built.set_normalisation(tracks.xyz[tracks.is_real])
    torch.nn.init.normal_(
        built.ray_head.linear.weight, std=0.1
    )  # zero at the start, which would hide faults
    return built.eval()


@pytest.mark.parametrize("views", [(0, 3), (1, 2, 3), (0, 1, 2, 3)])
@pytest.mark.parametrize("frames", [1, 7])
def test_any_number_of_views_and_frames(data, views, frames):
    tracks, rig = load(data, views)
    windows = gather_windows(tracks, torch.arange(len(tracks)), frames)
    found = model(tracks, TEMPORAL_LENGTH=frames)(windows, rig)
    assert found.xyz.shape == (len(tracks), 4, 3)
    assert [stage.shape for stage in found.intermediate] == [(n, len(tracks), 4, 3) for n in (3, 1)]
    assert all(x.isfinite().all() for x in (found.xyz, *found.intermediate))


def test_a_masked_view_is_a_view_that_is_not_there(data):
    tracks, rig = load(data)
    windows = gather_windows(tracks, torch.arange(len(tracks)), 7)
    network = model(tracks)
    for views in ((0, 3), (2,), ()):
        keep = torch.tensor([[v in views for v in range(4)]]).expand(len(tracks), -1)
        masked = network(mask_views(windows, keep), rig)
        fewer = Rig(rig.intrinsics[list(views)], rig.extrinsics[list(views)], rig.sigma_px, views)
        chosen = {
            name: getattr(windows, name)[:, :, list(views)] for name in ("uv", "weights", "robust")
        }
        if views:
            without = network(dataclasses.replace(windows, **chosen), fewer)
            torch.testing.assert_close(masked.xyz, without.xyz, rtol=0, atol=1e-4)
        else:
            torch.testing.assert_close(masked.xyz, network.position_mean.expand_as(masked.xyz))


def test_views_that_are_not_there_are_not_computed(data, monkeypatch):
    """Leaving their sequences out changes neither the result nor a gradient."""
    tracks, rig = load(data)
    windows = gather_windows(tracks, torch.arange(len(tracks)), 7)
    keep = torch.rand(len(tracks), 4, generator=torch.Generator().manual_seed(0)) > 0.5
    keep[3] = False  # a window without views
    masked, found, sizes = mask_views(windows, keep), [], []
    for leave_out in (True, False):
        network = model(tracks)
        network.embed.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
        if not leave_out:
            monkeypatch.setattr(mht_parts.Present, "pick", lambda _, x: x)
            monkeypatch.setattr(
                mht_parts.Present, "spread", lambda self, x: x.unflatten(0, self.shape)
            )
        prediction = network(masked, rig)
        stages = torch.cat([prediction.xyz[None], *prediction.intermediate])
        stages.square().sum().backward()
        found.append([stages.detach(), *(p.grad for p in network.parameters())])
    there = (masked.weights > 0).any(3).any(1)
    assert sizes == [int(there.sum()), there.numel()]
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * float(b.abs().max()))


def test_the_order_of_views_does_not_matter(data):
    (a, rig_a), (b, rig_b) = (load(data, views) for views in ((0, 1, 2, 3), (2, 0, 3, 1)))
    network = model(a)
    x, y = (
        network(gather_windows(t, torch.arange(len(t)), 7), rig).xyz
        for t, rig in ((a, rig_a), (b, rig_b))
    )
    torch.testing.assert_close(x, y, rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", ["modulate", "concat", "no"])
def test_a_measurement_of_weight_zero_changes_nothing(data, method):
    tracks, rig = load(data)
    windows = gather_windows(tracks, torch.arange(len(tracks)), 7)
    weights = windows.weights.clone()
    weights[:, 2, 1] = 0
    weights[:, 3:, :, 2] = 0
    weights[:, :, 3] = 0
    network, found = model(tracks, CONFIDENCE_METHOD=method), []
    for value in (0.0, 3000.0):
        uv = torch.where(weights.unsqueeze(-1) > 0, windows.uv, value)
        found.append(network(dataclasses.replace(windows, uv=uv, weights=weights), rig))
    assert torch.equal(found[0].xyz, found[1].xyz)
    for a, b in zip(found[0].intermediate, found[1].intermediate, strict=True):
        assert torch.equal(a, b)


def test_frames_that_only_repeat_an_edge_change_nothing(data):
    tracks, rig = load(data)
    windows = gather_windows(tracks, torch.arange(4), 7, used_frames=3)
    uv = torch.where(windows.is_distinct[:, :, None, None, None], windows.uv, 7.0)
    network = model(tracks)
    assert torch.equal(
        network(windows, rig).xyz, network(dataclasses.replace(windows, uv=uv), rig).xyz
    )


def test_samples_are_independent_in_training(data):
    tracks, rig = load(data)
    windows = gather_windows(tracks, torch.arange(16), 7)
    network = model(tracks).train()
    alone = network(take(windows, slice(0, 2)), rig).xyz
    torch.testing.assert_close(network(windows, rig).xyz[:2], alone, rtol=0, atol=1e-5)


def test_keypoints_of_tasks_have_slots_of_their_own(data):
    tracks, rig = load(data, tasks=(0, 9))
    network = model(tracks, 8)
    windows = gather_windows(tracks, torch.tensor([3]), 7)
    as_task_9 = dataclasses.replace(windows, keypoint=windows.keypoint + 4)
    difference = network(windows, rig).intermediate[1] - network(as_task_9, rig).intermediate[1]
    assert difference.norm(dim=-1).min() > 1e-4


def run_of(network, tracks, rig, unsupervised):
    config = Config(NETWORK=NetworkConfig(TYPE="MHT", **SMALL), TRAIN=TrainConfig(SEED=0))
    return SimpleNamespace(
        model=network,
        unsupervised=unsupervised,
        rig=rig,
        rig32=rig,
        config=config,
        val=tracks,
        ids=["T0/a"],
        pace=Pace(),
        share=None,
    )


@pytest.mark.parametrize("unsupervised", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"CONFIDENCE_METHOD": "concat"}, {"M_FORMER": MFormerConfig(MASK_SELF=True)}]
)
def test_every_parameter_gets_a_gradient(data, unsupervised, options):
    tracks, rig = load(data)
    network = model(tracks, **options).train()
    windows = gather_windows(tracks, torch.arange(len(tracks)), 7)
    if unsupervised:
        windows = dataclasses.replace(windows, truth=None)
    run = run_of(network, tracks, rig, unsupervised)
    loss_of(run, windows, network(windows, rig)).backward()
    largest = {
        name: float(p.grad.abs().max()) if p.grad is not None else 0.0
        for name, p in network.named_parameters()
    }
    assert min(largest.values()) > 1e-7, min(largest, key=largest.get)


@pytest.mark.slow
def test_overfits_one_window(data):
    tracks, rig = load(data)
    windows = gather_windows(tracks, torch.tensor([10]), 7)
    network = model(tracks).train()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    history = []
    for _ in range(150):
        found = network(windows, rig)
        loss = losses.mpjpe_loss(found.xyz, windows.truth, windows.keypoint >= 0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(1000 * float(loss.detach()))
    assert min(history[-20:]) < 0.1 * history[0]


def parameters(**options):
    network = build_model(NetworkConfig(TYPE="MHT", **options), 4, None)
    return sum(p.numel() for p in network.parameters())


def test_the_task_configs_give_about_ten_million_parameters():
    assert 8e6 < parameters() < 12e6


def test_config_keys_change_the_size():
    base = parameters(**SMALL)
    for change in (
        {"NUM_CHANNELS": 40},
        {"AFTER_MHF_DIM": 64},
        {"TRANSFORM_DIM": 2},
        {"T_FORMER": TFormerConfig(NUM_CHANNELS=64, NUM_LAYERS=3, NUM_HEADS=4)},
        {"T_FORMER": TFormerConfig(NUM_CHANNELS=32, NUM_LAYERS=4, NUM_HEADS=4)},
        {"ROT_MODEL": RotModelConfig(NUM_CHANNELS=32)},
        {"ROT_MODEL": RotModelConfig(NUM_LAYERS=1, NUM_CHANNELS=16)},
        {"M_FORMER": MFormerConfig(NUM_RELATION_LAYERS=1)},
        {"CONFIDENCE_METHOD": "no"},
    ):
        assert parameters(**{**SMALL, **change}) != base, change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"AFTER_MHF_DIM": 40}, "NETWORK.AFTER_MHF_DIM is 40; allowed: multiples of 32"),
        (
            {"T_FORMER": TFormerConfig(NUM_CHANNELS=12, NUM_HEADS=4)},
            "NETWORK.T_FORMER.NUM_CHANNELS is 12; allowed: multiples of 8",
        ),
    ],
)
def test_sizes_must_fit(change, message):
    with pytest.raises(ConfigError, match=message):
        parameters(**change)


def test_view_masking_is_random_in_training_only(data):
    tracks, rig = load(data)
    windows = gather_windows(tracks, torch.arange(16), 7)
    network = model(tracks, MASK_RATE=0.9)
    assert torch.equal(network(windows, rig).xyz, network(windows, rig).xyz)
    usable = network.train().used_weights(windows).amax((1, 3)) > 0  # (B, V)
    assert usable.any(1).all()
    assert usable.float().mean() < 0.6
    assert not torch.equal(network(windows, rig).xyz, network(windows, rig).xyz)


def test_unsupervised_validation_holds_each_view_out(data):
    tracks, rig = load(data)
    run = run_of(model(tracks), dataclasses.replace(tracks, truth=None), rig, True)
    scalars = validation.validate(run)
    assert set(scalars) == {HELD_OUT, "val/reprojection_px"}
    run.val = dataclasses.replace(run.val, uv=run.val.uv.clone())
    moved = torch.arange(len(tracks)) % 4 == 1
    run.val.uv[moved, 1] += 100.0  # only the score may see it
    run.model = model(
        tracks, TEMPORAL_LENGTH=1
    )  # a longer window would see the moved frames elsewhere
    centres = torch.arange(len(tracks))
    again, before = (
        validation.held_out_error(run, gather_windows(t, centres, 1), centres)
        for t in (run.val, tracks)
    )
    assert torch.equal(again[1], before[1])
    changed = (again[0] - before[0]).abs() > 1
    assert changed[moved, 1].all()
    assert not (changed[:, [0, 2, 3]] & before[1][:, [0, 2, 3]]).any()


CONFIG = """
NETWORK: {{TYPE: MHT, DROPOUT: 0.2, MASK_RATE: 0.2, NUM_CHANNELS: 16, AFTER_MHF_DIM: 32,
          T_FORMER: {{NUM_CHANNELS: 16, NUM_LAYERS: 3, NUM_HEADS: 2}},
          ROT_MODEL: {{NUM_CHANNELS: 16}}}}
TRAIN: {{NUM_EPOCHES: {epochs}, BATCH_SIZE: 64, LEARNING_RATE: 0.003}}
OBJ_POSE_DATA: {{ROOT_DIR: ./a.npz, KEYPOINTS: [waypoints, robot]}}
"""


@pytest.mark.slow
@pytest.mark.parametrize("unsupervised", [False, True])
def test_resuming_equals_an_unbroken_run(tmp_path, monkeypatch, unsupervised):
    monkeypatch.setattr(test_trainer, "CONFIG", CONFIG)
    unbroken = test_trainer.train(tmp_path / "unbroken", unsupervised, epochs=3)
    original = trainer.train_epoch

    def interrupted(run):
        if run.epoch == 1:
            raise KeyboardInterrupt
        return original(run)

    monkeypatch.setattr(trainer, "train_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        test_trainer.train(tmp_path / "broken", unsupervised, epochs=3)
    monkeypatch.setattr(trainer, "train_epoch", original)
    resumed = test_trainer.train(tmp_path / "broken", unsupervised, epochs=3, resume="auto")
    for a, b in zip(unbroken, resumed, strict=True):
        test_trainer.assert_same_weights(a, b)
    flags = [
        "--cfg",
        str(tmp_path / "unbroken" / "c.yaml"),
        "--log",
        str(tmp_path / "unbroken"),
        "--eval",
    ]
    assert cli.main([*flags, "--eval_n_views", "2", "--eval_n_frames", "3"], unsupervised) == 0


def test_one_query_attends_as_many_do():
    block, generator = TransformerBlock(16, 4, 0.0), torch.Generator().manual_seed(0)
    torch.nn.init.normal_(block.key_value.weight, generator=generator)
    x, memory = (torch.randn(5, n, 16, generator=generator) for n in (1, 7))
    is_there = torch.rand(5, 7, generator=generator) > 0.4
    is_there[0] = False
    twice = block(x.expand(-1, 2, -1), memory, is_there)
    assert torch.allclose(block(x, memory, is_there), twice[:, :1], atol=1e-5)


def test_bfloat16_is_for_training_alone(data):
    tracks, rig = load(data)
    built = model(tracks)
    windows = gather_for(built, tracks, torch.arange(6), 7)
    with torch.no_grad():
        exact = built.train()(windows, rig).xyz
        built.uses_bfloat16 = True
        rough = built(windows, rig).xyz
        tested = built.eval()(windows, rig).xyz
    assert torch.equal(tested, exact)
    assert 0 < (rough - exact).norm(dim=-1).max() < 0.05
