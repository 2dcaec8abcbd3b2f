"""Training and evaluation on what a detector says, through the command's own main function."""

import json

import numpy as np
import pytest
import torch

from pose_obj_3d.training.checkpoints import store as checkpoints
from pose_obj_3d.training.data_files import find_data
from tests.unit.pose_obj_3d.synthetic import write_scene
from tests.unit.pose_obj_3d.test_train_command import CONFIG, assert_one_line, call, results


@pytest.fixture(scope="module")
def detected(tmp_path_factory):
    """Return a folder with an archive of detections, and a config that uses them."""
    folder = tmp_path_factory.mktemp("detected")
    write_scene(folder / "a.npz", detected=True)
    text = CONFIG.rstrip() + "\n  DETECTIONS: detected\n"
    (folder / "d.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.slow
def test_training_on_detections(detected, capsys):
    assert call(detected, "d.yaml", "--eval_n_views", "2", unsupervised=True) == 0
    out = capsys.readouterr().out
    assert "no Cramer-Rao bounds" in out
    assert "1 examples have exchanged names" in out
    found = results(detected)
    assert found["detections"] == {"detections": "detected", "visibility": "detector"}
    assert found["config"]["OBJ_POSE_DATA"]["DETECTIONS"] == "detected"
    for result in found["results"].values():
        assert not any("Cramer-Rao" in name for name in result["methods"])
        counts = result["counts"]
        assert counts["every point"] == counts["all"] + counts["fewer than two views"]


@pytest.mark.parametrize(
    ("archive", "lines", "words"),
    [
        ("plain.npz", "DETECTIONS: detected", ("T0 has no detections", "make_detected_data.sh")),
        (
            "a.npz",
            "{DETECTIONS: detected, SUBJECTS_TEST: [T54]}",
            ("T54 is missing; the file holds T0", "make_detected_data.sh makes an archive"),
        ),
        ("a.npz", "DETECTIONS: real", ("DETECTIONS", "simulated, detected")),
        ("a.npz", "VISIBILITY: both", ("VISIBILITY", "truth, detector")),
        ("a.npz", "{VISIBILITY: detector, OCCLUSION: drop}", ("OCCLUSION drop",)),
    ],
)
def test_bad_choices_of_detections(detected, tmp_path, capsys, archive, lines, words):
    (tmp_path / "a.npz").symlink_to(detected / "a.npz")
    write_scene(tmp_path / "plain.npz", examples=3, frames=6)
    keys = lines.strip("{}").split(", ")
    text = CONFIG.replace("a.npz", archive).rstrip() + "".join(f"\n  {key}" for key in keys)
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    assert call(tmp_path, "c.yaml") == 2
    assert_one_line(capsys, *words)


def test_a_folder_is_searched_for_detections(tmp_path):
    plain = write_scene(tmp_path / "sim_all_formal.npz", examples=3, frames=4)
    other = write_scene(tmp_path / "a.npz", (9,), 3, 4, detected=True)
    detected = write_scene(tmp_path / "b.npz", (0, 9), 3, 4, detected=True)
    config = tmp_path / "c.yaml"
    assert find_data(str(tmp_path), config, [0]) == plain
    assert find_data(str(tmp_path), config, [0], detected=True) == detected
    assert find_data(str(tmp_path), config, [9], detected=True) == other
    detected.unlink()
    # What is read then says that detections are missing, and how to make them.
    assert find_data(str(tmp_path), config, [0], detected=True) == plain


def scramble(path):
    """Replace all of an archive that no unsupervised training on detections may read."""
    with np.load(path) as archive:
        members = {name: archive[name] for name in archive.files}
    rng = np.random.default_rng(0)
    for name, x in members.items():
        if name.startswith("T0/"):
            x[..., :4] = rng.uniform(0, 256, (*x.shape[:3], 4))
            x[..., 4:7] = rng.normal(size=(*x.shape[1:3], 3))
            x[..., 7] = rng.choice([0, 0.5, 1], x.shape[:3])
    meta = json.loads(str(members["meta"]))
    meta["noise"] = {"sigma_px": 7.0}
    meta["exchangeable"] = {}
    members["meta"] = np.array(json.dumps(meta))
    np.savez_compressed(path, **members)


@pytest.mark.slow
@pytest.mark.parametrize("context", ["window", "track"])
def test_truth_and_simulation_do_not_reach_unsupervised_weights(tmp_path, context):
    states = []
    for name in ("plain", "scrambled"):
        folder = tmp_path / name
        path = write_scene(folder / "a.npz", detected=True)
        if name == "scrambled":
            scramble(path)
        text = CONFIG.replace("WIDTH", f"CONTEXT: {context}, WIDTH").rstrip()
        (folder / "c.yaml").write_text(f"{text}\n  DETECTIONS: detected\n", encoding="utf-8")
        assert call(folder, "c.yaml", unsupervised=True) == 0
        (best,) = folder.glob("checkpoint/*/*/best.pt")
        states.append(checkpoints.load(best))
    a, b = states
    assert a["best"] == b["best"]
    for name, value in a["model"].items():
        assert torch.equal(value, b["model"][name]), name


@pytest.mark.parametrize(
    ("channels", "value"), [(5, 0.0), (slice(0, 2), np.nan)], ids=["outside", "missing"]
)
def test_a_detector_that_has_found_nothing(tmp_path, capsys, channels, value):
    path = write_scene(tmp_path / "a.npz", examples=3, frames=6, detected=True)
    with np.load(path) as archive:
        members = {name: archive[name] for name in archive.files}
    for name, x in members.items():
        if name.startswith("detections/"):
            x[..., channels] = value
    np.savez_compressed(path, **members)
    text = CONFIG.rstrip() + "\n  DETECTIONS: detected\n"
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    assert call(tmp_path, "c.yaml", unsupervised=True) == 2
    assert_one_line(capsys, "no keypoint is seen by two views")


def test_a_detector_whose_points_are_all_gross_errors(tmp_path, capsys):
    path = write_scene(tmp_path / "a.npz", examples=6, frames=12, detected=True)
    rng = np.random.default_rng(0)
    with np.load(path) as archive:
        members = {name: archive[name] for name in archive.files}
    for name, x in members.items():
        if name.startswith("detections/"):
            x[..., :2] = rng.uniform(0, 256, x[..., :2].shape)
    np.savez_compressed(path, **members)
    text = CONFIG.rstrip() + "\n  DETECTIONS: detected\n"
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    assert call(tmp_path, "c.yaml", unsupervised=True) == 2
    assert_one_line(capsys, "most detections are gross errors", "px from where the views agree")
