"""Training: no label reaches unsupervised weights; resuming changes nothing; NaN stops it."""

import dataclasses
import itertools
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pose_obj_3d import train_command as cli
from pose_obj_3d.common import progress
from pose_obj_3d.training import running, trainer
from pose_obj_3d.training.checkpoints import store as checkpoints
from pose_obj_3d.training.checkpoints.state import load_optimiser
from tests.unit.pose_obj_3d.synthetic import write_scene

CONFIG = """
NETWORK: {{DROPOUT: 0.2, {network}}}
TRAIN: {{NUM_EPOCHES: {epochs}, BATCH_SIZE: {batch}, LEARNING_RATE: {rate}}}
OBJ_POSE_DATA:
  ROOT_DIR: ./a.npz
  KEYPOINTS: [waypoints, objects, robot]
"""
NETWORKS = {
    "STC window": "TYPE: STC, STC: {CONTEXT: window, WIDTH: 16, NUM_LAYERS: 1, NUM_HEADS: 2}",
    "STC track": "TYPE: STC, STC: {CONTEXT: track, WIDTH: 16, NUM_LAYERS: 1, NUM_HEADS: 2}",
    "MHT": (
        "TYPE: MHT, NUM_CHANNELS: 16, AFTER_MHF_DIM: 32, MASK_RATE: 0.3, ROT_MODEL: {NUM_CHANNELS:"
        " 16}, T_FORMER: {NUM_CHANNELS: 16, NUM_LAYERS: 3, NUM_HEADS: 2}"
    ),
}
every_network = pytest.mark.parametrize("network", NETWORKS)
both = pytest.mark.parametrize("unsupervised", [False, True], ids=["supervised", "unsupervised"])


def command(
    folder, unsupervised, epochs=4, resume=None, network="STC window", rate=0.003, batch=64
):
    """Train in a folder by the command line; returns its exit code."""
    folder.mkdir(exist_ok=True)
    if not (folder / "a.npz").exists():
        write_scene(folder / "a.npz")
    text = CONFIG.format(epochs=epochs, network=NETWORKS[network], rate=rate, batch=batch)
    (folder / "c.yaml").write_text(text, encoding="utf-8")
    flags = ["--resume_checkpoint", str(resume)] if resume else []
    return cli.main(["--cfg", str(folder / "c.yaml"), "--log", str(folder), *flags], unsupervised)


def train(folder, unsupervised, epochs=4, resume=None, network="STC window"):
    """Train in a folder and return the newest run's last and best checkpoints."""
    assert command(folder, unsupervised, epochs, resume, network) == 0
    (run,) = (folder / "checkpoint" / "submit").iterdir()
    return tuple(checkpoints.load(run / name) for name in (checkpoints.LAST, checkpoints.BEST))


def assert_same_weights(a, b):
    assert a["epoch"] == b["epoch"]
    assert a["model"].keys() == b["model"].keys()
    for name, value in a["model"].items():
        assert torch.equal(value, b["model"][name]), name


def scramble_truth(path, seed=0):
    """Replace every 3D value and every exact projection by noise."""
    with np.load(path) as archive:
        members = {name: archive[name] for name in archive.files}
    rng = np.random.default_rng(seed)
    for name, x in members.items():
        if "/exemple_" in name:
            x[..., 4:7] = rng.normal(size=(*x.shape[1:3], 3))
            x[..., 0:2] = rng.uniform(0, 256, (*x.shape[:3], 2))
    np.savez_compressed(path, **members)


def scrambled_and_plain(tmp_path, unsupervised, network="STC window"):
    (tmp_path / "scrambled").mkdir()
    scramble_truth(write_scene(tmp_path / "scrambled" / "a.npz"))
    folders = tmp_path / "plain", tmp_path / "scrambled"
    return [train(folder, unsupervised, epochs=2, network=network) for folder in folders]


@pytest.mark.slow
@every_network
def test_no_label_reaches_unsupervised_weights(tmp_path, network):
    """Weights, normalisation, best epoch, generators, optimiser, history: the same bit for bit."""
    plain, scrambled = scrambled_and_plain(tmp_path, True, network)
    for a, b in zip(plain, scrambled, strict=True):
        assert_same_weights(a, b)
        assert (a["best"], a["best_epoch"]) == (b["best"], b["best_epoch"])
        assert a["data_sha256"] != b["data_sha256"]
        for name in ("rng_torch", "rng_shuffle"):
            assert torch.equal(a[name], b[name]), name
        for x, y in zip(
            a["optimiser"]["state"].values(), b["optimiser"]["state"].values(), strict=True
        ):
            assert all(torch.equal(x[name], y[name]) for name in x)
    timeless = [
        [{k: v for k, v in h.items() if not k.startswith("time/")} for h in s[0]["history"]]
        for s in (plain, scrambled)
    ]
    assert timeless[0] == timeless[1]
    assert not any("mpjpe" in key for h in timeless[0] for key in h)


@pytest.mark.slow
def test_scrambled_labels_do_reach_supervised_weights(tmp_path):
    plain, scrambled = scrambled_and_plain(tmp_path, unsupervised=False)
    assert any(not torch.equal(v, scrambled[0]["model"][k]) for k, v in plain[0]["model"].items())


@pytest.mark.slow
@both
def test_interrupted_and_resumed_equals_unbroken(tmp_path, monkeypatch, unsupervised):
    unbroken = train(tmp_path / "unbroken", unsupervised)
    original = trainer.train_epoch

    def interrupted(run):
        if run.epoch == 2:
            raise KeyboardInterrupt
        return original(run)

    monkeypatch.setattr(trainer, "train_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "broken", unsupervised)
    monkeypatch.undo()
    resumed = train(tmp_path / "broken", unsupervised, resume="auto")
    for a, b in zip(unbroken, resumed, strict=True):
        assert_same_weights(a, b)
    assert [h["train/loss"] for h in unbroken[0]["history"]] == [
        h["train/loss"] for h in resumed[0]["history"]
    ]


@pytest.mark.slow
def test_more_epochs_continue_a_finished_run(tmp_path):
    unbroken = train(tmp_path / "long", True, epochs=4)
    train(tmp_path / "short", True, epochs=2)
    (last,) = (tmp_path / "short" / "checkpoint" / "submit").glob("*/last.pt")
    continued = train(tmp_path / "short", True, epochs=4, resume=last)
    assert_same_weights(unbroken[0], continued[0])


@pytest.mark.slow
@both
def test_training_improves_its_criterion(tmp_path, unsupervised):
    last, best = train(tmp_path / "run", unsupervised, epochs=12)
    name = "val/blind_nll_nats" if unsupervised else "val/mpjpe_mm"
    values = [h[name] for h in last["history"]]
    assert min(values) < values[0]
    assert best["epoch"] == 1 + int(np.argmin(values))


def test_unsupervised_tracks_carry_no_truth(tmp_path, monkeypatch):
    runs = []
    monkeypatch.setattr(running, "fit", lambda run, log: (runs.append(run), trainer.fit(run, log)))
    train(tmp_path / "run", True, epochs=1)
    assert runs[0].train.truth is None
    assert runs[0].val.truth is None


@pytest.mark.slow
def test_a_line_says_where_an_epoch_stands_every_few_seconds(tmp_path, monkeypatch, capsys):
    """Epochs may take minutes. Here each look at the clock finds a second gone."""
    seconds = itertools.count()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    assert command(tmp_path / "run", True, epochs=2, batch=4) == 0
    lines = capsys.readouterr().err.splitlines()
    inside = [
        m
        for m in (
            re.match(r"epoch (\d)/2  batch (\d+)/24  loss -?\d+\.\d+  \d+ windows/s", x)
            for x in lines
        )
        if m
    ]
    assert {m[1] for m in inside} == {"1", "2"}
    numbers = [int(m[2]) for m in inside]
    assert all(b - a == 5 or b < a for a, b in itertools.pairwise(numbers))
    assert len(numbers) >= 8
    assert any(x.startswith("epoch 2/2  loss ") for x in lines)


def poison(run, split, example, frame):
    """Make one frame's data of a split not a number; returns how an error names it."""
    tracks = getattr(run, split)
    row = int(tracks.first.unique()[example]) + frame
    uv, xyz = tracks.uv.clone(), tracks.xyz.clone()
    uv[row], xyz[row] = torch.nan, torch.nan
    setattr(run, split, dataclasses.replace(tracks, uv=uv, xyz=xyz))
    task, number, frame = tracks.source[row].tolist()
    return f"T{task} example {number} frame {frame}"


def poisoned(monkeypatch, split, when=0):
    """Make the next training's data NaN after some epochs; returns the list that gets the names."""
    names, original = [], trainer.train_epoch

    def epoch(run):
        if run.epoch == when:
            names.append(poison(run, split, example=0, frame=7))
        return original(run)

    monkeypatch.setattr(trainer, "train_epoch", epoch)
    return names


def the_error(capsys):
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error:")]
    return line


@pytest.mark.slow
@both
@every_network
def test_a_loss_that_is_not_finite_stops_at_once(
    tmp_path, monkeypatch, capsys, network, unsupervised
):
    names = poisoned(monkeypatch, "train", when=1)
    assert command(tmp_path / "run", unsupervised, network=network) == 2
    line = the_error(capsys)
    assert "epoch 2, batch" in line
    assert "the training loss is nan" in line
    assert names[0] in line
    assert "last.pt (epoch 1) and best.pt (epoch 1)" in line
    for path in (tmp_path / "run" / "checkpoint" / "submit").glob("*/*.pt"):
        state = checkpoints.load(path)
        assert state["epoch"] == 1
        assert all(x.isfinite().all() for x in state["model"].values())
    monkeypatch.undo()
    train(tmp_path / "run", unsupervised, resume="auto", network=network)  # and it can go on


@both
def test_a_validation_value_that_is_not_finite_stops(tmp_path, monkeypatch, capsys, unsupervised):
    names = poisoned(monkeypatch, "val", when=2)
    assert command(tmp_path / "run", unsupervised) == 2
    line = the_error(capsys)
    assert (
        f"epoch 3: the validation value val/{'blind_nll_nats' if unsupervised else 'mpjpe_mm'}"
        " is nan" in line
    )
    assert names[0] in line
    assert "last.pt (epoch 2)" in line
    (last,) = (tmp_path / "run" / "checkpoint" / "submit").glob("*/last.pt")
    assert checkpoints.load(last)["epoch"] == 2


@every_network
def test_a_huge_learning_rate_stops_in_one_line(tmp_path, capsys, network):
    assert command(tmp_path / "run", False, network=network, rate=1e36) == 2
    line = the_error(capsys)
    assert "epoch 1" in line
    assert "there is no checkpoint; lower TRAIN.LEARNING_RATE" in line
    assert not list((tmp_path / "run" / "checkpoint").rglob("*.pt"))


@pytest.mark.parametrize(
    ("step", "when"),
    [
        (
            3,
            (
                "epoch 1, batch 4 of 6: the training loss is nan; the weights are not finite: the"
                " step of epoch 1, batch 3"
            ),
        ),
        (
            6,
            (
                "epoch 1: the validation value val/mpjpe_mm is nan; the weights are not finite: the"
                " step of epoch 1, batch 6"
            ),
        ),
    ],
)
def test_a_step_that_diverges_is_named_with_its_examples(tmp_path, monkeypatch, capsys, step, when):
    count = itertools.count(1)

    def clip(weights):
        if next(count) == step:
            weights[0].grad.fill_(torch.nan)

    monkeypatch.setattr(trainer, "clip", clip)
    assert command(tmp_path / "run", False, batch=16) == 2
    line = the_error(capsys)
    assert when in line
    assert re.search(
        r"has diverged, on T0 example \d, T0 example \d, T0 example \d( and 1 more)?; ", line
    )
    assert ("this batch has T0 example" in line) == (step == 3)


@pytest.mark.parametrize("size", [0.01, 1.0, 100.0, math.inf, math.nan])
def test_gradients_are_clipped_as_torch_does(size):
    weights = [torch.nn.Parameter(torch.zeros(n, 3)) for n in (4, 5, 2)]
    for weight in weights[:2]:
        weight.grad = size * torch.randn(weight.shape, generator=torch.manual_seed(0))
    wanted = [w.grad.clone() if w.grad is not None else None for w in weights]
    copies = [torch.nn.Parameter(w.detach()) for w in weights]
    for copy, gradient in zip(copies, wanted, strict=True):
        copy.grad = gradient
    torch.nn.utils.clip_grad_norm_(copies, trainer.MAX_GRAD_NORM)
    trainer.clip(weights)
    for weight, copy in zip(weights[:2], copies, strict=False):
        torch.testing.assert_close(weight.grad, copy.grad, equal_nan=True)
    assert weights[2].grad is None


@pytest.mark.parametrize("every", [2, 3, 50])
def test_losses_looked_at_now_and_then_name_the_same_batch(tmp_path, monkeypatch, capsys, every):
    """As on a GPU, where a look at each loss would wait for it."""
    lines = []
    for number in (1, every):
        monkeypatch.setitem(trainer.CHECK_EVERY, "cpu", number)
        with monkeypatch.context() as patch:
            poisoned(patch, "train")
            assert command(tmp_path / str(number), True, batch=16) == 2
        lines.append(the_error(capsys))
    assert lines[0] == lines[1]


def test_an_optimiser_of_an_older_version_is_continued():
    """Only how it computes differs: checkpoints of it say `fused: None`."""
    parameter = torch.nn.Parameter(torch.ones(3))
    old, new = (torch.optim.Adam([parameter], amsgrad=True, **how) for how in ({}, {"fused": True}))
    parameter.sum().backward()
    old.step()
    load_optimiser(new, old.state_dict())
    assert new.param_groups[0]["fused"]
    new.step()
    assert (parameter < 1 - 1.9e-3).all()
