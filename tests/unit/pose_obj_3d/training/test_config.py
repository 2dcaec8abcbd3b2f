"""Config: what is refused, what is ignored, what is kept."""

import dataclasses
import logging

import pytest
import yaml

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.detector.config import load_config as load_detector_config
from pose_obj_3d.training.config import (
    PACKAGE_DIR,
    Config,
    NetworkConfig,
    load_config,
    network_of,
    to_dict,
    to_yaml,
)
from pose_obj_3d.training.data_files import find_data
from tests.unit.pose_obj_3d.synthetic import write_scene


def load(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("TRAIN: {NUM_EPOCHS: 3}", "c.yaml: TRAIN.NUM_EPOCHS is unknown; did you mean NUM_EPOCHES"),
        ("NETWORK: {STC: {WITH: 3}}", "NETWORK.STC.WITH is unknown; did you mean WIDTH"),
        ("TRIAN: {}", "did you mean TRAIN"),
        ("TRAIN: {BATCH_SIZE: many}", "TRAIN.BATCH_SIZE must be int, found 'many'"),
        ("TRAIN: {BATCH_SIZE: true}", "must be int"),
        ("TRAIN: {LEARNING_RATE: fast}", "must be float"),
        ("TRAIN: {USE_INTER_LOSS: 3}", "must be bool"),
        ("TRAIN: 3", "TRAIN must be a section"),
        ("TRAIN: {LR_DECAY: 2}", "LR_DECAY is 2.0; allowed"),
        ("NETWORK: {TEMPORAL_LENGTH: 6}", "odd"),
        ("NETWORK: {MASK_RATE: 1}", "NETWORK.MASK_RATE is 1.0; allowed: 0 <= x < 1"),
        (
            "NETWORK: {T_FORMER: {NUM_LAYERS: 2}}",
            "NETWORK.T_FORMER.NUM_LAYERS is 2; allowed: 3 to 64",
        ),
        (
            "NETWORK: {CONFIDENCE_METHOD: mod}",
            "CONFIDENCE_METHOD is 'mod'; allowed: modulate, concat, no",
        ),
        ("NETWORK: {ESTIMATOR: hubber}", "NETWORK.ESTIMATOR is 'hubber'; did you mean huber"),
        ("NETWORK: {TYPE: triangulate}", "did you mean triangulation"),
        ("OBJ_POSE_DATA: {SUBJECTS_TRAIN: [9]}", "T<task id>"),
        ("OBJ_POSE_DATA: {TRAIN_CAMERAS: [1]}", "two or more"),
        (
            "OBJ_POSE_DATA: {TRAIN_CAMERAS: [1, 1]}",
            "TRAIN_CAMERAS is .*two or more different view numbers",
        ),
        (
            "OBJ_POSE_DATA: {TEST_CAMERAS: [0, 1, 1]}",
            "TEST_CAMERAS is .*two or more different view numbers",
        ),
        (
            "OBJ_POSE_DATA: {SUBJECTS_TRAIN: [T9, T9]}",
            "SUBJECTS_TRAIN is .*allowed: each task once",
        ),
        (
            "OBJ_POSE_DATA: {SUBJECTS_TEST: [T9, T0, T09]}",
            "SUBJECTS_TEST is .*allowed: each task once",
        ),
        ("OBJ_POSE_DATA: {SUBJECTS_TRAIN: [T²]}", "T<task id>"),
        ("OBJ_POSE_DATA: {KEYPOINTS: [robot, robot]}", "KEYPOINTS is .*allowed: each group once"),
        (
            "TEST: {NUM_FRAMES: [3, 3]}",
            r"TEST.NUM_FRAMES is \[3, 3\]; allowed: odd, > 0, each once",
        ),
        ("TEST: {NUM_VIEWS: [2, 2]}", r"TEST.NUM_VIEWS is \[2, 2\]; allowed: 1 to 1000, each once"),
        ("TRAIN: {LEARNING_RATE: .inf}", "TRAIN.LEARNING_RATE is inf; allowed: finite numbers"),
        ("TRAIN: {LEARNING_RATE: 1e999}", "TRAIN.LEARNING_RATE is inf; allowed: finite numbers"),
        ("TRAIN: {LEARNING_RATE: nan}", "TRAIN.LEARNING_RATE is nan; allowed: finite numbers"),
        (
            "TRAIN: {INTER_LOSS_WEIGHT: [0.1, .nan]}",
            "TRAIN.INTER_LOSS_WEIGHT is nan; allowed: finite numbers",
        ),
        (
            "TRAIN: {CONSIS_LOSS_WEIGHT: inf}",
            "TRAIN.CONSIS_LOSS_WEIGHT is inf; allowed: finite numbers",
        ),
        ("NETWORK: {DROPOUT: .nan}", "NETWORK.DROPOUT is nan; allowed: finite numbers"),
        (
            "NETWORK: {STC: {WIDTH: 100000000}}",
            "NETWORK.STC.WIDTH is 100000000; allowed: 8 to 4096",
        ),
        (
            "NETWORK: {STC: {WIDTH: 4096, NUM_LAYERS: 64}}",
            "layers times width squared, is 1073741824; allowed",
        ),
        ("NETWORK: {T_FORMER: {NUM_CHANNELS: 100000000}}", "NUM_CHANNELS is 100000000; allowed"),
        ("NETWORK: {TRANSFORM_DIM: 100000000}", "TRANSFORM_DIM is 100000000; allowed"),
        ("TRAIN: {NUM_EPOCHES: 100000000}", "NUM_EPOCHES is 100000000; allowed"),
        ("TRAIN: {BATCH_SIZE: 1000000000}", "BATCH_SIZE is 1000000000; allowed"),
        ("TRAIN: {SEED: 18446744073709551616}", "line 1, column 15"),
        ("TRAIN: {CONSIS_LOSS_WEIGHT: 1e300}", "CONSIS_LOSS_WEIGHT is 1e[+]300; allowed"),
        ("TEST: {NUM_VIEWS: [1000000000]}", "NUM_VIEWS is .1000000000.; allowed"),
        ("OBJ_POSE_DATA: {SUBJECTS_TRAIN: [T" + "9" * 4000 + "]}", "T<task id>"),
        ("OBJ_POSE_DATA: {SUBJECTS_TRAIN: [T\u0661]}", "T<task id>"),
        ('OBJ_POSE_DATA: {ROOT_DIR: "a\\0b"}', "printable texts"),
        ("OBJ_POSE_DATA: {ROOT_DIR: " + "x" * 5000 + "}", "printable texts"),
        ("- 1", "mapping"),
        ("a: [", "not valid YAML"),
    ],
)
def test_faults_are_one_line(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")


def test_legacy_sections_and_unused_keys_are_named(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="pose_obj_3d.training.config")
    config = load(
        tmp_path,
        "H36M_DATA: {X: 1}\nVIS: 3\nNETWORK: {TRANSFORM_DIM: 4}\nTRAIN: {LEARNING_RATE: 1e-4}",
    )
    assert config.TRAIN.LEARNING_RATE == 1e-4
    assert "H36M_DATA, VIS of the original are ignored" in caplog.text
    assert "NETWORK.TRANSFORM_DIM" in caplog.text


def test_keys_of_another_model_are_named(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="pose_obj_3d.training.config")
    sizes = "TRANSFORM_DIM: 4, STC: {WIDTH: 32}, USE_GT_TRANSFORM: true"
    load(tmp_path, f"NETWORK: {{TYPE: MHT, {sizes}}}\nTRAIN: {{CONSIS_LOSS_WEIGHT: 0.1}}")
    assert caplog.text.strip().endswith(
        "on NETWORK.TYPE MHT: NETWORK.STC.WIDTH, NETWORK.USE_GT_TRANSFORM"
    )
    caplog.clear()
    load(tmp_path, f"NETWORK: {{TYPE: STC, {sizes}}}\nTRAIN: {{CONSIS_LOSS_WEIGHT: 0.1}}")
    assert (
        "STC: NETWORK.TRANSFORM_DIM, NETWORK.USE_GT_TRANSFORM, TRAIN.CONSIS_LOSS_WEIGHT"
        in caplog.text
    )


def test_resolved_config_loads_to_itself(tmp_path):
    config = dataclasses.replace(Config(), GPU="1")
    assert load(tmp_path, to_yaml(config)) == config
    assert to_dict(config) == yaml.safe_load(to_yaml(config))


CONFIGS = sorted((PACKAGE_DIR / "cfg").rglob("*.yaml"))
OF_DETECTORS = [p for p in CONFIGS if p.parent.name == "detector" or "detector" in p.stem]


@pytest.mark.parametrize(
    "path", [p for p in CONFIGS if p not in OF_DETECTORS], ids=lambda p: p.name
)
def test_every_config_of_the_package_loads(path):
    assert load_config(path).NETWORK.TEMPORAL_LENGTH == 7


@pytest.mark.parametrize("path", OF_DETECTORS, ids=lambda p: p.name)
def test_every_config_of_a_detector_loads(path):
    assert load_detector_config(path).DATA.FOLDS == 2


def test_a_folder_of_archives_gives_the_first_that_holds_the_tasks(tmp_path):
    folder = tmp_path / "data"
    write_scene(folder / "sim_all_formal.npz", tasks=(9, 12))
    write_scene(folder / "more.npz", tasks=(0, 8, 9))

    def found(*tasks):
        return find_data(str(folder), tmp_path / "c.yaml", tasks).name

    assert found(9) == found(12, 9) == "sim_all_formal.npz"
    assert found(0) == found(0, 9) == "more.npz"
    with pytest.raises(
        ConfigError,
        match=r"no archive in .* holds T0, T12 together \(sim_all_formal.npz holds T9, T12; more",
    ):
        found(0, 12)
    assert find_data(str(folder / "more.npz"), tmp_path / "c.yaml", [12]).name == "more.npz"
    with pytest.raises(ConfigError, match="no such file"):
        find_data(str(tmp_path / "nowhere"), tmp_path / "c.yaml", [0])


def test_only_what_has_an_effect_on_the_network_tells_networks_apart():
    """A checkpoint stays usable when a model gains a key that has a default."""
    raw = to_dict(Config(NETWORK=NetworkConfig(TYPE="STC")))["NETWORK"]
    older = {k: v for k, v in raw.items() if k not in ("ESTIMATOR", "NUM_CHANNELS")} | {
        "RESIDUAL": {"WIDTH": 3}
    }
    older["STC"] = {k: v for k, v in raw["STC"].items() if k != "NUM_MIXES"}
    assert network_of(older) == network_of(raw)
    assert network_of(raw | {"NUM_CHANNELS": 64}) == network_of(raw)
    assert network_of(raw | {"STC": raw["STC"] | {"WIDTH": 32}}) != network_of(raw)
    assert network_of(raw | {"TYPE": "MHT"}) != network_of(raw)
