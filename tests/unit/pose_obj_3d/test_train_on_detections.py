"""Training and evaluation on what a detector says, through the command's own main function."""

import pytest

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
        ("plain.npz", "DETECTIONS: detected", ("T0 has no detections", "pose_obj_3d.detect")),
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
