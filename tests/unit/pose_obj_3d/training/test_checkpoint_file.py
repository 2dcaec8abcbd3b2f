"""Checkpoints: what was saved is read; damaged, forged and foreign files are refused."""

import logging
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from pose_obj_3d import lift
from pose_obj_3d import train_command as cli
from pose_obj_3d.common.config_files import config_of
from pose_obj_3d.common.errors import MAX_MESSAGE, CheckpointError
from pose_obj_3d.geometry.rig import Rig
from pose_obj_3d.training.checkpoints import file as checkpoint_file
from pose_obj_3d.training.checkpoints import store as checkpoints
from pose_obj_3d.training.config import (
    Config,
    NetworkConfig,
    RotModelConfig,
    StcNetworkConfig,
    TFormerConfig,
)
from pose_obj_3d.training.model_registry import build_model
from pose_obj_3d.training.run import Run
from tests.unit.pose_obj_3d.synthetic import rig, write_scene

CASE = Path(__file__).resolve().parents[5] / "shared" / "cases" / "not_a_checkpoint.txt"
IDS = ["own/points/a", "own/points/b"]
GONE = object()


def new_run(network="STC", seed=0):
    K, E = rig()
    cameras = Rig(torch.from_numpy(K), torch.from_numpy(E), 1.0, (0, 1, 2, 3))
    torch.manual_seed(seed)
    small = NetworkConfig(
        TYPE=network,
        STC=StcNetworkConfig(WIDTH=8, NUM_LAYERS=1, NUM_HEADS=2),
        NUM_CHANNELS=16,
        AFTER_MHF_DIM=32,
        T_FORMER=TFormerConfig(NUM_CHANNELS=16, NUM_LAYERS=3, NUM_HEADS=2),
        ROT_MODEL=RotModelConfig(NUM_CHANNELS=16),
    )
    config = Config(NETWORK=small)
    model = build_model(config.NETWORK, len(IDS), cameras)
    run = Run(config, True, model, None, None, cameras, IDS, "0" * 64, Path())
    for p in model.parameters():
        p.grad = torch.rand_like(p)
    run.optimiser.step()
    run.epoch, run.best, run.best_epoch, run.history = 1, 0.5, 1, [{"train/loss": 0.5}]
    return run


@pytest.fixture(scope="module")
def state():
    return new_run().state()


def same(a, b):
    return checkpoint_file.checksum(a) == checkpoint_file.checksum(b)


@pytest.mark.parametrize("network", ["STC", "MHT"])
def test_round_trip_keeps_every_value(tmp_path, network, caplog):
    saved = new_run(network).state()
    checkpoints.save(tmp_path / "a.pt", saved)
    found = checkpoints.load(tmp_path / "a.pt")
    assert same(found, saved)
    assert found["model"]._metadata == saved["model"]._metadata
    assert {
        k: v for k, v in found.items() if k in ("best", "history", "epoch", "keypoint_ids")
    } == {"best": 0.5, "history": [{"train/loss": 0.5}], "epoch": 1, "keypoint_ids": IDS}
    other = new_run(network, seed=1)
    other.restore(found, tmp_path / "a.pt")
    assert same(other.state(), saved)
    assert not caplog.records
    # Others' programs read it, too.
    assert same(torch.load(tmp_path / "a.pt", weights_only=True), found)


def test_the_checksum_sees_structure_and_values(state):
    for other in (
        {**state, "epoch": 2},
        {**state, "epoch": 1.0},
        {**state, "epoch": True},
        {**state, "more": None},
        {
            **state,
            "best_epoch": state["epoch"],
            "epoch": state["best_epoch"],
            "keypoint_ids": IDS[::-1],
        },
        {**state, "rng_torch": state["rng_torch"].clone().index_fill_(0, torch.tensor([0]), 7)},
        {**state, "rng_torch": state["rng_torch"].view(torch.int8)},
        {**state, "rng_torch": state["rng_torch"][None]},
    ):
        assert not same(other, state)


def test_tensors_that_share_their_numbers_still_do(tmp_path, state):
    weights = torch.arange(12.0)
    shared = {
        **state,
        "extra": {
            "a": weights,
            "b": weights[2:8].view(2, 3).T,
            "c": torch.zeros(0),
            "d": torch.tensor(2),
        },
    }
    (tmp_path / "a.pt").write_bytes(checkpoint_file.to_bytes(shared))
    extra = checkpoints.load(tmp_path / "a.pt")["extra"]
    extra["a"][3] = 99
    assert extra["b"][1, 0] == 99
    assert extra["b"].shape == (3, 2)
    assert extra["c"].shape == (0,)
    assert extra["d"] == 2


def test_an_older_checkpoint_is_read_and_called_so(tmp_path, state, caplog):
    torch.save(state, tmp_path / "old.pt")
    assert same(checkpoints.load(tmp_path / "old.pt"), state)
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        f"{tmp_path / 'old.pt'}: written by an older version, without a checksum: damage to its"
        " numbers would not be seen"
    ]


def test_every_flipped_byte_is_found(tmp_path, state):
    checkpoints.save(tmp_path / "a.pt", state)
    raw = (tmp_path / "a.pt").read_bytes()
    rng = np.random.default_rng(0)
    for place in [*rng.choice(len(raw) - 80, 60), *range(len(raw) - 60, len(raw))]:
        damaged = bytearray(raw)
        damaged[place] ^= int(rng.choice((1, 16, 255)))
        (tmp_path / "a.pt").write_bytes(damaged)
        with pytest.raises(CheckpointError, match="not a readable checkpoint"):
            checkpoints.load(tmp_path / "a.pt")


def test_flipped_bytes_of_older_checkpoints_are_found_in_their_numbers(tmp_path, state):
    torch.save(state, tmp_path / "old.pt")
    raw = (tmp_path / "old.pt").read_bytes()
    with zipfile.ZipFile(tmp_path / "old.pt") as archive:
        infos = [i for i in archive.infolist() if i.file_size][::4]
    for info in infos:
        start = (
            info.header_offset + 30 + int.from_bytes(raw[info.header_offset + 26 :][:2], "little")
        )
        start += int.from_bytes(raw[info.header_offset + 28 :][:2], "little")
        damaged = bytearray(raw)
        damaged[start + info.file_size // 2] ^= 1
        (tmp_path / "old.pt").write_bytes(damaged)
        with pytest.raises(CheckpointError, match="not a readable checkpoint"):
            checkpoints.load(tmp_path / "old.pt")


def test_changed_numbers_with_the_old_checksum(tmp_path, state):
    changed = {**state, "checksum": checkpoint_file.checksum(state), "epoch": 1, "best": 0.25}
    torch.save(changed, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="wrong checksum"):
        checkpoints.load(tmp_path / "a.pt")


def nan_in(weights):
    key = next(iter(weights))
    return {**weights, key: weights[key] * float("nan")}


DEEP = {}
for _ in range(100):
    DEEP = {"a": DEEP}
BAD = {
    "version": ["1", 2, None, True, torch.tensor(1), GONE],
    "config": [
        {},
        3,
        None,
        [],
        "text",
        {"NETWORK": 3},
        GONE,
        {"NETWORK": {}, "TRAIN": {}, "TEST": {}, "OBJ_POSE_DATA": {}},
    ],
    "identity": [3, None, [], {1: 2}, {"a": torch.zeros(3)}, GONE],
    "unsupervised": [None, 1, "yes", GONE],
    "keypoint_ids": [None, [], [1, 2], "ab", ["a", "a"], GONE],
    "data_sha256": [None, 3, GONE],
    "epoch": [-1, 1.0, None, "1", True, 10**30, 2, GONE],
    "best": [None, "x", float("nan"), GONE],
    "best_epoch": [7, None, -1, GONE],
    "history": [None, [], [3], [{"a": "b"}], {}, GONE],
    "model": [{}, None, 3, [], {"a": 3}, {3: torch.zeros(3)}, GONE],
    "optimiser": [None, 3, [], GONE],
    "rng_torch": [None, torch.zeros(3), torch.zeros(3, dtype=torch.uint8), GONE],
    "rng_shuffle": [None, 3, GONE],
    "more": [DEEP, 10**30, torch.zeros(2).to(torch.complex64)],
}


@pytest.mark.slow
@pytest.mark.parametrize("key", BAD)
def test_every_part_is_typed(tmp_path, state, key):
    for value in BAD[key]:
        changed = {k: v for k, v in {**state, key: value}.items() if v is not GONE}
        torch.save(changed, tmp_path / "a.pt")
        with pytest.raises(CheckpointError, match=r"a\.pt: ") as found:
            checkpoints.load(tmp_path / "a.pt")
        assert (
            key in str(found.value)
            or key == "version"
            or "not a readable checkpoint" in str(found.value)
        ), value
        assert len(str(found.value)) <= MAX_MESSAGE


def test_weights_that_are_not_finite(tmp_path, state):
    torch.save({**state, "model": nan_in(state["model"])}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="are not finite"):
        checkpoints.load(tmp_path / "a.pt")


def changed_group(state, **values):
    return {
        **state["optimiser"],
        "param_groups": [{**state["optimiser"]["param_groups"][0], **values}],
    }


def changed_moment(state, value, key="exp_avg"):
    parts = state["optimiser"]["state"]
    return {**state["optimiser"], "state": {**parts, 0: {**parts[0], key: value}}}


@pytest.mark.parametrize(
    "change",
    [
        lambda s: {},
        lambda s: {"param_groups": [], "state": {}},
        lambda s: {**s["optimiser"], "state": []},
        lambda s: {**s["optimiser"], "state": {10**6: {}}},
        lambda s: changed_group(s, lr="fast"),
        lambda s: changed_group(s, lr=float("nan")),
        lambda s: changed_group(s, params=[0]),
        lambda s: changed_group(s, params=torch.arange(3)),
        lambda s: changed_group(s, other=1),
        lambda s: changed_moment(s, torch.zeros(3)),
        lambda s: changed_moment(s, None),
        lambda s: changed_moment(s, torch.zeros(1), "other"),
        lambda s: changed_moment(s, s["optimiser"]["state"][0]["exp_avg"] * float("nan")),
    ],
)
def test_an_optimiser_that_does_not_fit(tmp_path, state, change):
    torch.save({**state, "optimiser": change(state)}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"a\.pt: cannot be resumed: damaged: the optimiser"):
        new_run().restore(checkpoints.load(tmp_path / "a.pt"), tmp_path / "a.pt")


@pytest.mark.parametrize(
    "change",
    [
        lambda w: dict(list(w.items())[1:]),
        lambda w: {**w, "more": torch.zeros(1)},
        lambda w: {k: v[..., None] for k, v in w.items()},
        lambda w: {k: v.double() for k, v in w.items()},
    ],
)
def test_weights_of_another_shape(tmp_path, state, change):
    torch.save({**state, "model": change(state["model"])}, tmp_path / "a.pt")
    run = new_run(seed=3)
    before = checkpoint_file.checksum(run.model.state_dict())
    with pytest.raises(CheckpointError, match="belongs to another model, or is damaged"):
        run.restore(checkpoints.load(tmp_path / "a.pt"), tmp_path / "a.pt")
    assert checkpoint_file.checksum(run.model.state_dict()) == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"export KIND=notes\nThis text file is not a checkpoint.\n", "no zip file"),
        (b"", "empty"),
        (pickle.dumps({}), "no zip file"),
    ],
)
def test_other_files(tmp_path, content, message):
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(
        CheckpointError,
        match=f"not a readable checkpoint .it is {message}|not a readable checkpoint .{message}",
    ):
        checkpoints.load(tmp_path / "a.pt")


@pytest.mark.parametrize(
    "network",
    [{"TYPE": "STC", "STC": {"WIDTH": 10**8}}, {"TYPE": "other"}, {"TYPE": "STC", "DROPOUT": {}}],
)
def test_a_config_of_another_program(tmp_path, state, network):
    torch.save({**state, "config": {**state["config"], "NETWORK": network}}, tmp_path / "a.pt")
    found = checkpoints.load(tmp_path / "a.pt")
    with pytest.raises(
        CheckpointError, match=r"a\.pt: its config is damaged, or of another version: NETWORK"
    ):
        config_of(tmp_path / "a.pt", found, Config)


@pytest.mark.skipif(not CASE.is_file(), reason="needs ../shared/cases")
def test_the_case_that_is_no_checkpoint():
    with pytest.raises(CheckpointError, match="not a readable checkpoint .no zip file"):
        checkpoints.load(CASE)


CONFIG = """
NETWORK: {TYPE: STC, STC: {WIDTH: 8, NUM_LAYERS: 1, NUM_HEADS: 2}}
TRAIN: {NUM_EPOCHES: 1, BATCH_SIZE: 64}
OBJ_POSE_DATA: {ROOT_DIR: ./a.npz, SUBJECTS_TRAIN: [T0], KEYPOINTS: [waypoints]}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    write_scene(folder / "a.npz")
    (folder / "c.yaml").write_text(CONFIG, encoding="utf-8")
    assert cli.main(["--cfg", str(folder / "c.yaml"), "--log", str(folder)]) == 0
    with np.load(folder / "a.npz") as archive:
        x = archive["T0/exemple_0"]
        np.savez(
            folder / "tracks.npz",
            points=x[:, :, :2, 2:4],
            intrinsics=archive["intrinsics"],
            extrinsics=archive["extrinsics"],
            keypoint_names=np.array(["T0/waypoints/waypoint0", "T0/waypoints/waypoint1"]),
        )
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["model"].clear(),
        lambda s: s.update(model=None),
        lambda s: s.update(model=nan_in(s["model"])),
        lambda s: s.update(model={k: v[..., None] for k, v in s["model"].items()}),
        lambda s: s.update(config={}),
        lambda s: s.pop("rng_torch"),
    ],
)
def test_every_command_refuses_a_broken_checkpoint_in_one_line(trained, tmp_path, capsys, change):
    (last,) = trained.glob("checkpoint/submit/*/last.pt")
    broken = checkpoints.load(last)
    change(broken)
    torch.save({k: v for k, v in broken.items() if k != "checksum"}, tmp_path / "b.pt")
    train = ["--cfg", str(trained / "c.yaml"), "--log", str(tmp_path)]
    for main, flags in (
        (cli.main, [*train, "--eval", "--checkpoint"]),
        (cli.main, [*train, "--resume_checkpoint"]),
        (
            lift.main,
            [
                "--points2d",
                str(trained / "tracks.npz"),
                "--out",
                str(tmp_path / "out"),
                "--no_pictures",
                "--checkpoint",
            ],
        ),
    ):
        capsys.readouterr()
        assert main([*flags, str(tmp_path / "b.pt")]) == 2
        (line,) = [
            line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")
        ]
        assert str(tmp_path / "b.pt") in line
        assert len(line) < 500
