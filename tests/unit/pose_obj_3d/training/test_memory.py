"""Training within OBJ_POSE_DATA.MEMORY_GB: block by block, each example once an epoch."""

import logging

import pytest
import torch

from pose_obj_3d.formal import Sharding, read_formal, write_formal
from pose_obj_3d.tracks.portions import fitting
from pose_obj_3d.training import running, trainer
from pose_obj_3d.training.checkpoints import store as checkpoints
from pose_obj_3d.training.config import load_config
from pose_obj_3d.training.experiment import open_experiment
from tests.unit.pose_obj_3d.synthetic import write_scene

CONFIG = """
NETWORK: {{{network}}}
TRAIN: {{NUM_EPOCHES: {epochs}, BATCH_SIZE: 64}}
OBJ_POSE_DATA: {{ROOT_DIR: ./a.npz, KEYPOINTS: [waypoints, objects, robot], MEMORY_GB: {memory}}}
"""
NETWORKS = {
    "STC": "TYPE: STC, STC: {CONTEXT: track, WIDTH: 16, NUM_LAYERS: 1, NUM_HEADS: 2}",
    "MHT": (
        "TYPE: MHT, NUM_CHANNELS: 16, AFTER_MHF_DIM: 32, ROT_MODEL: {NUM_CHANNELS: 16}, T_FORMER:"
        " {NUM_CHANNELS: 16, NUM_LAYERS: 3, NUM_HEADS: 2}"
    ),
}
EXAMPLES, FRAMES = 30, 24
SMALL = 0.0015  # GiB: holds a part of the examples


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("memory")
    write_scene(path / "a.npz", examples=EXAMPLES, frames=FRAMES)
    return path


def experiment(folder, memory, network="STC", unsupervised=True, epochs=2):
    path = folder / f"{network}_{memory}.yaml"
    text = CONFIG.format(network=NETWORKS[network], memory=memory, epochs=epochs)
    path.write_text(text, encoding="utf-8")
    output = folder / f"{network}_{memory}_{unsupervised}"
    return open_experiment(load_config(path), path, unsupervised, output)


@pytest.fixture(scope="module")
def small(folder):
    return experiment(folder, SMALL)


@pytest.fixture(scope="module")
def large(folder):
    return experiment(folder, 4.0)


def blocks_of(of, seed=0):
    blocks = of.blocks(of.rig(), with_truth=False)
    return list(blocks.epoch(torch.Generator().manual_seed(seed)))


@pytest.fixture(scope="module")
def parts(small):
    return blocks_of(small)


def test_blocks_hold_each_training_example_once_an_epoch(small, parts):
    assert len(parts) == small.portion.blocks > 1
    found = [tuple(row) for part in parts for row in part.source.tolist()]
    wanted = [(task, n, t) for task, n in small.portion.train for t in range(FRAMES)]
    assert sorted(found) == sorted(wanted)


def test_blocks_are_the_same_for_a_seed_and_others_for_another(small, parts):
    same, other = (blocks_of(small, seed) for seed in (0, 1))
    assert all(torch.equal(a.source, b.source) for a, b in zip(parts, same, strict=True))
    assert not all(torch.equal(a.source, b.source) for a, b in zip(parts, other, strict=True))


def test_a_block_has_the_same_numbers_as_the_whole(large, parts):
    whole = large.tracks("train", large.rig(), with_truth=True)
    for part in parts:
        for start in part.first.unique().tolist():
            mine = part.first == start
            theirs = (whole.source[:, :2] == part.source[start, :2]).all(1)
            for name in ("uv", "weights", "robust", "xyz", "info"):
                assert torch.equal(getattr(part, name)[mine], getattr(whole, name)[theirs]), name


def test_where_all_fits_all_is_used(large):
    assert large.portion.is_whole
    assert large.portion.notes == ()
    assert large.blocks(large.rig(), with_truth=True) is None
    assert large.portion.data is large.archive
    train = large.tracks("train", large.rig(), with_truth=False)
    assert len(train) == FRAMES * len(large.portion.train)


def test_memory_bounds_what_is_loaded_at_once(small, folder):
    """Twice the memory, fewer blocks."""
    counts = []
    for memory, of in ((SMALL, small), (2 * SMALL, experiment(folder, 2 * SMALL))):
        room = fitting.Room(int(memory * 2**30), 4, 4, has_claims=False)
        assert len(of.portion.train) / of.portion.blocks * FRAMES <= room.frames() + FRAMES
        stay = [len(of.tracks(split, of.rig(), with_truth=False)) for split in ("train", "val")]
        assert max(stay) <= max(FRAMES, room.frames(fitting.SAMPLE_SHARE))
        counts.append(of.portion.blocks)
    assert counts[0] > counts[1]


@pytest.mark.slow
@pytest.mark.parametrize(("network", "unsupervised"), [("STC", True), ("MHT", False)])
def test_training_in_blocks_goes_on_after_a_kill_as_if_unbroken(
    folder, monkeypatch, caplog, network, unsupervised
):
    def run(memory):
        of = experiment(folder, memory, network, unsupervised)
        return running.train_experiment(of, "auto")[0]

    with caplog.at_level(logging.INFO):
        unbroken = run(SMALL)
    assert "training in" in caplog.text
    assert unbroken.part_name == f"block {unbroken.blocks.count} of {unbroken.blocks.count}"
    original = trainer.train_epoch

    def killed(of):
        if of.epoch == 1:
            raise KeyboardInterrupt
        return original(of)

    other = SMALL + 1e-9  # the same blocks, in a folder of its own
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "train_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            run(other)
    resumed = run(other)
    a, b = (checkpoints.load(x.checkpoint_dir / checkpoints.LAST) for x in (unbroken, resumed))
    assert all(torch.equal(x, b["model"][name]) for name, x in a["model"].items())


def test_a_large_archive_read_bit_by_bit_trains_as_one_in_memory(small, parts, tmp_path):
    data = small.archive
    cameras, meta = (data.intrinsics, data.extrinsics), read_formal(data.path).meta
    write_formal(tmp_path / "a.npz", data.tracks, meta, *cameras, sharding=Sharding(3))
    of = experiment(tmp_path, SMALL)
    for one, other in zip(parts, blocks_of(of), strict=True):
        assert torch.equal(one.xyz, other.xyz)


def test_examples_that_stand_for_all_are_evenly_spread():
    examples = [(0, n) for n in range(100)]
    assert [n for _, n in fitting.spread(examples, 4)] == [12, 37, 62, 87]
    assert fitting.spread(examples, 100) == fitting.spread(examples, 1000) == examples
