"""Training: no 3D label reaches unsupervised weights; resuming equals an unbroken run."""

import numpy as np
import pytest
import torch

from pose_obj_3d import checkpoints, cli, trainer
from tests.unit.pose_obj_3d.synthetic import write_scene

CONFIG = """
NETWORK: {{TYPE: residual, DROPOUT: 0.2, RESIDUAL: {{WIDTH: 16, NUM_LAYERS: 1, NUM_HEADS: 2}}}}
TRAIN: {{NUM_EPOCHES: {epochs}, BATCH_SIZE: 64, LEARNING_RATE: 0.003}}
OBJ_POSE_DATA:
  ROOT_DIR: ./a.npz
  KEYPOINTS: [waypoints, objects, robot]
"""
both = pytest.mark.parametrize("unsupervised", [False, True], ids=["supervised", "unsupervised"])


def train(folder, unsupervised, epochs=4, resume=None):
    """Train in a folder and return the newest run's last and best checkpoints."""
    folder.mkdir(exist_ok=True)
    if not (folder / "a.npz").exists():
        write_scene(folder / "a.npz")
    (folder / "c.yaml").write_text(CONFIG.format(epochs=epochs), encoding="utf-8")
    flags = ["--resume_checkpoint", str(resume)] if resume else []
    assert cli.main(["--cfg", str(folder / "c.yaml"), "--log", str(folder), *flags], unsupervised) == 0
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


def scrambled_and_plain(tmp_path, unsupervised):
    (tmp_path / "scrambled").mkdir()
    scramble_truth(write_scene(tmp_path / "scrambled" / "a.npz"))
    return train(tmp_path / "plain", unsupervised), train(tmp_path / "scrambled", unsupervised)


def test_no_label_reaches_unsupervised_weights(tmp_path):
    plain, scrambled = scrambled_and_plain(tmp_path, unsupervised=True)
    for a, b in zip(plain, scrambled, strict=True):
        assert_same_weights(a, b)
    timeless = [[{k: v for k, v in h.items() if not k.startswith("time/")} for h in s[0]["history"]]
                for s in (plain, scrambled)]
    assert timeless[0] == timeless[1]
    assert not any("mpjpe" in key for h in timeless[0] for key in h)


def test_scrambled_labels_do_reach_supervised_weights(tmp_path):
    plain, scrambled = scrambled_and_plain(tmp_path, unsupervised=False)
    assert any(not torch.equal(v, scrambled[0]["model"][k]) for k, v in plain[0]["model"].items())


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
    assert [h["train/loss"] for h in unbroken[0]["history"]] == [h["train/loss"] for h in resumed[0]["history"]]


def test_more_epochs_continue_a_finished_run(tmp_path):
    unbroken = train(tmp_path / "long", True, epochs=4)
    train(tmp_path / "short", True, epochs=2)
    (last,) = (tmp_path / "short" / "checkpoint" / "submit").glob("*/last.pt")
    continued = train(tmp_path / "short", True, epochs=4, resume=last)
    assert_same_weights(unbroken[0], continued[0])


@both
def test_training_improves_its_criterion(tmp_path, unsupervised):
    last, best = train(tmp_path / "run", unsupervised, epochs=12)
    name = "val/blind_nll_nats" if unsupervised else "val/mpjpe_mm"
    values = [h[name] for h in last["history"]]
    assert min(values) < values[0]
    assert best["epoch"] == 1 + int(np.argmin(values))


def test_unsupervised_tracks_carry_no_truth(tmp_path, monkeypatch):
    runs = []
    monkeypatch.setattr(cli, "fit", lambda run, log: (runs.append(run), trainer.fit(run, log)))
    train(tmp_path / "run", True, epochs=1)
    assert runs[0].train.truth is None
    assert runs[0].val.truth is None
