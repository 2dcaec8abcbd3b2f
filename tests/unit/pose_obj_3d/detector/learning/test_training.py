"""Training on pictures of a few coloured discs."""

import dataclasses

import numpy as np
import pytest
import torch

from pose_obj_3d.common.errors import CheckpointError, TrainingError
from pose_obj_3d.detector.config import ChangesConfig, DataConfig, DetectorConfig, NetworkConfig
from pose_obj_3d.detector.config import TrainConfig as Train
from pose_obj_3d.detector.learning import checkpoint as checkpoints
from pose_obj_3d.detector.learning.batches import BatchMaker, Changes
from pose_obj_3d.detector.learning.finding import find_candidates, linked
from pose_obj_3d.detector.learning.linking import NEVER, Links
from pose_obj_3d.detector.learning.source import Source, shared_out
from pose_obj_3d.detector.learning.training import Training
from pose_obj_3d.training.logs import RunLog
from tests.unit.pose_obj_3d.detector.pictured import Pictured, write_pictured

NOTHING = ("LIGHT", "COLOUR", "SHIFT", "SCALE", "TURN", "NOISE", "PIECES", "PROMPTS")
STILL = ChangesConfig(**dict.fromkeys(NOTHING, 0.0))


def config(steps, **train):
    return DetectorConfig(
        DATA=DataConfig(ARCHIVE="archive.npz", TASK=9, HELD_OUT=0.34),
        NETWORK=NetworkConfig(WIDTH=8, DEPTH=1),
        TRAIN=Train(**{"STEPS": steps, "BATCH_SIZE": 8, "AUTOCAST": "off", **train}),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictured")
    write_pictured(folder, Pictured(examples=8, frames=4))
    return folder


def training(folder, out, wanted):
    source = Source(wanted, folder / "tiny.yaml")
    fold = source.folds[0]
    material = source.material(fold)
    return Training(wanted, source.subject(fold), material.train, material.held_out, out)


def fit(run, out):
    log = RunLog(out / "log", "")
    run.fit(log)
    log.close()
    return run


def weights(run):
    return {name: value.clone() for name, value in run.network.state_dict().items()}


def test_network_overfits_a_few_pictures(folder, tmp_path):
    wanted = config(150, CHANGES=STILL, LEARNING_RATE=0.01)
    run = training(folder, tmp_path, wanted)
    run.clips = run.clips[:1]
    run = dataclasses.replace(run, clips=run.clips)
    fit(run, tmp_path)
    run.network.eval()
    candidates = find_candidates(run.network, BatchMaker(run.clips, range(4)), 0, False)
    found = linked(candidates, run.subject, Links(torch.full((4,), NEVER), ()))
    error = np.linalg.norm(found.uv.numpy() - run.clips[0].labels.uv, axis=-1)
    assert np.median(error) < 1.0
    assert error.max() < 4.0


def test_resumed_run_equals_an_unbroken_one(folder, tmp_path):
    whole = fit(training(folder, tmp_path / "a", config(6)), tmp_path / "a")
    begun = training(folder, tmp_path / "b", config(6))
    for _ in range(3):
        begun._step()
    checkpoints.save(tmp_path / "b" / checkpoints.LAST, begun.state())
    resumed = training(folder, tmp_path / "b", config(6))
    resumed.restore(tmp_path / "b" / checkpoints.LAST)
    fit(resumed, tmp_path / "b")
    after, before = weights(resumed), weights(whole)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_checkpoint_of_other_keypoints_is_not_resumed(folder, tmp_path):
    run = training(folder, tmp_path, config(2))
    checkpoints.save(tmp_path / checkpoints.LAST, run.state())
    other = config(2)
    data = dataclasses.replace(other.DATA, KEYPOINTS=("robot",))
    wanted = dataclasses.replace(other, DATA=data)
    with pytest.raises(CheckpointError, match="cannot be resumed: keypoints"):
        training(folder, tmp_path, wanted).restore(tmp_path / checkpoints.LAST)


def test_loss_that_is_not_finite_ends_the_training(folder, tmp_path):
    run = training(folder, tmp_path, config(2))
    with torch.no_grad():
        next(run.network.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"step 1 .*LEARNING_RATE"):
        fit(run, tmp_path)


def test_labels_follow_the_changes(folder, tmp_path):
    """A disc lies at its label after the picture was shifted, turned and scaled."""
    run = training(folder, tmp_path, config(2))
    changes = Changes(light=0, colour=0, shift=0.1, scale=0.1, turn=0.2, noise=0, pieces=0)
    names = list(run.subject.keypoints)
    tip = names.index("robot/tip")
    picks = [(n, 0) for n in range(len(run.clips))]
    inputs, targets = run.maker.drawn(picks, np.random.default_rng(3), changes)
    seen = [n for n in range(len(picks)) if targets.seen[n, tip]]
    assert len(seen) > 4
    for n in seen:
        u, v = (int(x) for x in targets.uv[n, tip])
        red, green, blue = (inputs.picture[n, :, v, u] + 0.5).tolist()
        assert min(red, blue) > green + 0.3


def test_prompts_become_boxes_or_vanish(folder, tmp_path):
    run = training(folder, tmp_path, config(2))
    none = Changes(light=0, colour=0, shift=0, scale=0, turn=0, noise=0, pieces=0, prompts=0)
    picks = [(0, 0)] * 40
    whole, _ = run.maker.drawn(picks, np.random.default_rng(0), none)
    poorer = dataclasses.replace(none, prompts=1.0)
    poor, _ = run.maker.drawn(picks, np.random.default_rng(0), poorer)
    before, after = whole.reference[:, 3], poor.reference[:, 3]
    assert (before[0] == before).all()
    areas = set(after.flatten(1).sum(1).tolist())
    box = before[0].nonzero()
    sides = box.amax(0) - box.amin(0) + 1
    assert areas == {0.0, float(before[0].sum()), float(sides.prod())}
    assert (poor.colours[:, 0, 3] == 0).any()
    assert (whole.colours[:, 0, 3] == 1).all()


def test_few_labels_go_to_many_demos(folder):
    wanted = config(2)
    few = dataclasses.replace(wanted, DATA=dataclasses.replace(wanted.DATA, LABELLED_FRAMES=3))
    source = Source(few, folder / "tiny.yaml")
    material = source.material(source.folds[0])
    views = {clip.view for clip in material.train}
    for view in views:
        clips = [clip for clip in material.train if clip.view == view]
        assert sum(len(clip.frames) for clip in clips) == 2
        assert len({clip.example for clip in clips}) == 2
    held = [clip for clip in material.held_out if clip.view == 0]
    assert sum(int((~np.isnan(clip.labels.uv)).all((1, 2)).sum()) for clip in held) == 1


def test_checks_look_at_labelled_pictures_alone(folder, tmp_path):
    wanted = config(1)
    few = dataclasses.replace(wanted, DATA=dataclasses.replace(wanted.DATA, LABELLED_FRAMES=3))
    run = fit(training(folder, tmp_path, few), tmp_path)
    assert 1 < run.progress.best < 100


def test_groups_that_the_data_lack_do_not_hinder_a_resumed_run(folder, tmp_path):
    run = training(folder, tmp_path, config(2))
    checkpoints.save(tmp_path / checkpoints.LAST, run.state())
    other = config(2)
    groups = tuple(group for group in other.DATA.KEYPOINTS if group != "frames")
    assert groups != other.DATA.KEYPOINTS
    wanted = dataclasses.replace(other, DATA=dataclasses.replace(other.DATA, KEYPOINTS=groups))
    training(folder, tmp_path, wanted).restore(tmp_path / checkpoints.LAST)


@pytest.mark.parametrize("count", [1, 7, 20, 33, 60])
def test_as_many_frames_are_labelled_as_asked_for(count):
    lengths = {3: 8, 5: 40, 8: 12}
    chosen = shared_out([3, 5, 8], lengths, count)
    assert sum(map(len, chosen.values())) == count
    for example, frames in chosen.items():
        assert len(np.unique(frames)) == len(frames)
        assert (frames < lengths[example]).all()
