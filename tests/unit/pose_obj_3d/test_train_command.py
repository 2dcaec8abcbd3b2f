"""The command line, through the entry points' own main function."""

import json
import shutil

import numpy as np
import pytest

from pose_obj_3d.train_command import main
from pose_obj_3d.training import running
from pose_obj_3d.training.config import load_config
from pose_obj_3d.training.experiment import open_experiment
from pose_obj_3d.training.running import find_resumable
from tests.unit.pose_obj_3d.synthetic import write_scene

CONFIG = """
NETWORK: {TYPE: STC, STC: {WIDTH: 16, NUM_LAYERS: 1, NUM_HEADS: 2}}
TRAIN: {NUM_EPOCHES: 2, BATCH_SIZE: 64}
OBJ_POSE_DATA:
  ROOT_DIR: ./a.npz
  SUBJECTS_TRAIN: [T0]
  KEYPOINTS: [waypoints, objects, robot]
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with data, a config and one finished supervised run."""
    folder = tmp_path_factory.mktemp("trained")
    write_scene(folder / "a.npz")
    (folder / "c.yaml").write_text(CONFIG, encoding="utf-8")
    assert call(folder, "c.yaml") == 0
    return folder


def call(folder, config, *flags, unsupervised=False):
    return main(["--cfg", str(folder / config), "--log", str(folder), *flags], unsupervised)


def newest(folder):
    return max((folder / "log" / "submit").iterdir(), key=lambda p: p.stat().st_mtime_ns)


def results(folder):
    return json.loads((newest(folder) / "results.json").read_text(encoding="utf-8"))


def assert_one_line(capsys, *words):
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(error) == 1
    for word in words:
        assert word in error[0]


@pytest.mark.slow
def test_training_leaves_checkpoints_results_and_pictures(trained):
    (run,) = (trained / "checkpoint" / "submit").iterdir()
    assert sorted(p.name for p in run.iterdir()) == ["best.pt", "last.pt"]
    log = trained / "log" / "submit" / run.name
    for name in (
        "results.json",
        "results.md",
        "training_curve.png",
        "reprojection.png",
        "track_3d.png",
    ):
        assert (log / name).stat().st_size > 0
    assert list(log.glob("events.out.tfevents.*"))
    found = json.loads((log / "results.json").read_text(encoding="utf-8"))
    assert found["unsupervised"] is False
    assert len(found["results"]) == 1


@pytest.mark.slow
def test_eval_of_a_checkpoint_repeats_its_numbers(trained, capsys):
    (run,) = (trained / "checkpoint" / "submit").iterdir()
    first = json.loads(
        (trained / "log" / "submit" / run.name / "results.json").read_text(encoding="utf-8")
    )
    for flags in (["--checkpoint", str(run / "best.pt")], []):
        assert call(trained, "c.yaml", "--eval", *flags) == 0
        assert results(trained)["results"] == first["results"]
    capsys.readouterr()
    assert call(trained, "c.yaml", "--eval", "--eval_n_views", "3", "--eval_n_frames", "3") == 0
    found = results(trained)
    assert len(found["results"]) == 1 + 4 + 1
    assert "Test, all 4 subsets of 3 views" in capsys.readouterr().out
    assert "## Test, all 4 subsets of 3 views" in (newest(trained) / "results.md").read_text()
    assert found["view_subsets"][0]["subsets"] == 4


def test_triangulate_needs_no_checkpoint(tmp_path):
    write_scene(tmp_path / "a.npz")
    (tmp_path / "c.yaml").write_text(CONFIG, encoding="utf-8")
    assert call(tmp_path, "c.yaml", "--triangulate") == 0
    (result,) = results(tmp_path)["results"].values()
    methods = {name: m["all"]["mpjpe_mm"] for name, m in result["methods"].items()}
    bound = next(v for k, v in methods.items() if "one frame" in k)
    assert methods["model: triangulation"] == pytest.approx(methods["robust (Huber)"], rel=1e-4)
    assert (
        0.9 * bound < methods["maximum likelihood"] <= 1.02 * methods["linear triangulation (DLT)"]
    )
    assert not (tmp_path / "checkpoint").exists()


def test_checkpoint_of_another_config(trained, capsys):
    (run,) = (trained / "checkpoint" / "submit").iterdir()
    (trained / "wide.yaml").write_text(CONFIG.replace("WIDTH: 16", "WIDTH: 32"), encoding="utf-8")
    for flags in (["--eval", "--checkpoint"], ["--resume_checkpoint"]):
        assert call(trained, "wide.yaml", *flags, str(run / "best.pt")) == 2
        assert_one_line(capsys, "belongs to another model", "NETWORK.STC.WIDTH: 16 there, 32 here")


def test_resuming_on_other_terms(trained, capsys):
    (run,) = (trained / "checkpoint" / "submit").iterdir()
    assert (
        call(trained, "c.yaml", "--resume_checkpoint", str(run / "last.pt"), unsupervised=True) == 2
    )
    assert_one_line(capsys, "supervised and unsupervised training differ")
    (trained / "slow.yaml").write_text(
        CONFIG.replace("BATCH_SIZE: 64", "BATCH_SIZE: 32"), encoding="utf-8"
    )
    assert call(trained, "slow.yaml", "--resume_checkpoint", str(run / "last.pt")) == 2
    assert_one_line(capsys, "cannot be resumed", "TRAIN.BATCH_SIZE: 64 there, 32 here")


@pytest.mark.parametrize(
    ("old", "new", "unsupervised", "words"),
    [
        ("BATCH_SIZE: 64", "BATCH_SIZE: 32", False, "TRAIN.BATCH_SIZE: 64 there, 32 here"),
        ("NUM_EPOCHES: 2", "NUM_EPOCHES: 3", False, "TRAIN.NUM_EPOCHES: 2 there, 3 here"),
        ("WIDTH: 16", "WIDTH: 32", False, "NETWORK.STC.WIDTH: 16 there, 32 here"),
        ("TRAIN:", "TRAIN:", True, "supervised and unsupervised training differ"),
    ],
)
def test_auto_says_why_it_starts_anew(trained, tmp_path, caplog, old, new, unsupervised, words):
    (run,) = (trained / "checkpoint" / "submit").iterdir()
    text = CONFIG.replace(old, new).replace("./a.npz", str(trained / "a.npz"))
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    path = tmp_path / "c.yaml"
    experiment = open_experiment(load_config(path), path, unsupervised, trained)
    sha = experiment.data_sha256()
    with caplog.at_level("INFO"):
        assert find_resumable(experiment, "auto", sha) is None
    assert words in caplog.messages[-1]
    assert str(run / "last.pt") in caplog.messages[-1]
    with caplog.at_level("INFO"):
        assert find_resumable(experiment, "auto", "another") is None
    assert "the data file has changed" in caplog.messages[-1]


def test_auto_continues_the_same_run_and_says_when_there_is_none(trained, tmp_path, caplog):
    (run,) = (trained / "checkpoint" / "submit").iterdir()
    path = trained / "c.yaml"
    experiment = open_experiment(load_config(path), path, False, trained)
    sha = experiment.data_sha256()
    assert find_resumable(experiment, "auto", sha) == run / "last.pt"
    experiment.checkpoint_root = tmp_path
    with caplog.at_level("INFO"):
        assert find_resumable(experiment, "auto", sha) is None
    assert "there is none" in caplog.messages[-1]


@pytest.mark.parametrize(
    "flags",
    [
        ["--eval", "--checkpoint", "{}/c.yaml"],
        ["--eval", "--checkpoint", "{}/none.pt"],
        ["--triangulate", "--checkpoint", "x.pt"],
    ],
)
def test_what_is_no_checkpoint(trained, capsys, flags):
    assert call(trained, "c.yaml", *[f.format(trained) for f in flags]) == 2
    assert_one_line(capsys, "checkpoint")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--checkpoint", "none.pt"], ["--checkpoint", "add --eval", "--resume_checkpoint"]),
        (["--checkpoint", "auto"], ["--checkpoint", "add --eval"]),
        (
            ["--eval", "--resume_checkpoint", "none.pt"],
            ["--eval", "pass --checkpoint, not --resume_checkpoint"],
        ),
        (["--triangulate", "--resume_checkpoint", "auto"], ["triangulation has no checkpoint"]),
    ],
)
def test_flags_without_effect_are_refused(trained, capsys, flags, words):
    before = sorted((trained / "log" / "submit").iterdir())
    assert call(trained, "c.yaml", *flags) == 2
    assert_one_line(capsys, *words)
    assert sorted((trained / "log" / "submit").iterdir()) == before


TRACK = CONFIG.replace("{WIDTH: 16", "{CONTEXT: track, WIDTH: 16")


@pytest.mark.parametrize(
    ("config", "flags", "words"),
    [
        (
            CONFIG,
            ["--eval_n_frames", "9"],
            ["TEST.NUM_FRAMES (--eval_n_frames) has 9", "TEMPORAL_LENGTH is 7", "up to 7"],
        ),
        (CONFIG, ["--n_frames", "3", "--eval_n_frames", "5"], ["TEMPORAL_LENGTH is 3"]),
        (CONFIG + "TEST: {NUM_FRAMES: [3, 9]}", [], ["TEST.NUM_FRAMES", "has 9"]),
        (
            CONFIG,
            ["--eval_n_views", "2", "5"],
            ["TEST.NUM_VIEWS (--eval_n_views) has 5", "[0, 1, 2, 3]", "1 to 4"],
        ),
        (
            CONFIG,
            ["--eval_view_list", "0", "2", "--eval_n_views", "3"],
            ["has 3", "[0, 2]", "1 to 2"],
        ),
        (CONFIG, ["--eval_view_list", "0", "7"], ["view 7 does not exist", "3 front"]),
        (CONFIG + "  TEST_CAMERAS: [0, 7]", [], ["view 7 does not exist"]),
        (
            CONFIG,
            ["--eval_view_list", "1"],
            ["TEST_CAMERAS (--eval_view_list) is [1]", "two or more", "one for NETWORK.TYPE MHT"],
        ),
        (
            CONFIG,
            ["--triangulate", "--eval_view_list", "1"],
            ["TEST_CAMERAS (--eval_view_list) is [1]"],
        ),
        (TRACK + "TEST: {NUM_FRAMES: [3]}", [], ["CONTEXT track", "TEST.NUM_FRAMES"]),
    ],
)
def test_faults_of_the_evaluation_are_found_before_training(
    tmp_path, capsys, monkeypatch, config, flags, words
):
    monkeypatch.setattr(running, "fit", lambda *_: pytest.fail("training began"))
    write(tmp_path, config)
    assert call(tmp_path, "c.yaml", *flags) == 2
    assert_one_line(capsys, *words)
    assert not (tmp_path / "log").exists()


@pytest.mark.slow
def test_one_view_needs_a_model_that_predicts_from_it(trained, capsys):
    """The others leave it out, with one line, and evaluate the rest."""
    assert call(trained, "c.yaml", "--eval", "--eval_n_views", "1", "2", "4") == 0
    assert "(--eval_n_views) 1 is left out" in capsys.readouterr().err
    assert [title.split(" (")[0] for title in results(trained)["results"]] == [
        "Test, 4 views",
        *["Test, 2 views"] * 6,
    ]


MHT = """
NETWORK: {TYPE: MHT, DROPOUT: 0.0, NUM_CHANNELS: 16, AFTER_MHF_DIM: 32,
          ROT_MODEL: {NUM_CHANNELS: 16},
  T_FORMER: {NUM_CHANNELS: 16, NUM_LAYERS: 3, NUM_HEADS: 2}}
""" + CONFIG[CONFIG.index("TRAIN:") :]


@pytest.mark.slow
def test_one_view_of_mht_is_scored_apart(tmp_path, capsys, drawn):
    write(tmp_path, MHT.replace("NUM_EPOCHES: 2", "NUM_EPOCHES: 1"))
    assert call(tmp_path, "c.yaml", "--eval_n_views", "1", "2", "3", "4") == 0
    found = results(tmp_path)["results"]
    titles = list(found)
    assert [title.split(" (")[0] for title in titles] == [
        f"Test, {n}" for n in ("4 views", *["1 view"] * 4, *["2 views"] * 6, *["3 views"] * 4)
    ]
    one = found[titles[1]]
    assert "(left_shoulder), 7 frames" in titles[1]
    every = sum(found[titles[0]]["counts"][c] for c in ("all", "fewer than two views"))
    columns = {"all": 0, "moving": 0, "still": 0, "fewer than two views": every}
    assert {c: one["counts"][c] for c in columns} == columns
    scored = {name: m["fewer than two views"]["mpjpe_mm"] for name, m in one["methods"].items()}
    assert 0 < scored.pop("model: MHT") < 5000
    assert set(scored.values()) == {None}  # bounds; a reference method has nothing to triangulate
    assert one["details"]["model: MHT"]["task"]["T0"]["count"] == every
    assert "claimed uncertainty" in capsys.readouterr().out
    assert call(tmp_path, "c.yaml", "--eval", "--eval_view_list", "3") == 0
    ((title, last),) = results(tmp_path)["results"].items()
    assert title == "Test, 1 view (front), 7 frames"
    assert last["methods"]["model: MHT"]["fewer than two views"]["count"] == every
    assert "claimed uncertainty" not in capsys.readouterr().out
    assert (newest(tmp_path) / "reprojection.png").stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize("flags", [["--eval"], ["--triangulate"], []])
def test_a_rig_that_looks_wrong_is_told_once(trained, tmp_path, capsys, flags):
    def turn(members):
        members["extrinsics"][3, :, 3] += [0.3, 0.0, 0.0]

    shutil.copytree(trained / "checkpoint", tmp_path / "checkpoint")
    (checkpoint,) = tmp_path.glob("checkpoint/submit/*/best.pt")
    write(tmp_path, CONFIG.replace("NUM_EPOCHES: 2", "NUM_EPOCHES: 1"), turn)
    more = ["--checkpoint", str(checkpoint)] if "--eval" in flags else []
    assert call(tmp_path, "c.yaml", *flags, *more) == 0
    assert capsys.readouterr().err.count("camera front is") == 1


def write(tmp_path, config=CONFIG, change=None):
    path = write_scene(tmp_path / "a.npz", examples=3)
    if change:
        with np.load(path) as archive:
            members = {name: archive[name] for name in archive.files}
        change(members)
        np.savez_compressed(path, **members)
    (tmp_path / "c.yaml").write_text(config, encoding="utf-8")
    return path


@pytest.mark.parametrize("unsupervised", [False, True])
def test_missing_task(tmp_path, capsys, unsupervised):
    write(tmp_path, CONFIG.replace("T0", "T8"))
    assert call(tmp_path, "c.yaml", unsupervised=unsupervised) == 2
    assert_one_line(capsys, "task T8 is missing; the file holds T0")
    assert not (tmp_path / "log").exists()


def test_nan_in_the_data(tmp_path, capsys):
    def change(members):
        members["T0/exemple_1"][2, 4, 1, 3] = np.nan

    write(tmp_path, change=change)
    assert call(tmp_path, "c.yaml") == 2
    assert_one_line(capsys, "T0/exemple_1", "not finite")


def test_truncated_file(tmp_path, capsys):
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert call(tmp_path, "c.yaml") == 2
    assert_one_line(capsys, "a.npz", "not a readable npz")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a.npz", "b.npz", "no such file"),
        ("STC,", "MHTT,", "did you mean MHT"),
        ("[waypoints, objects, robot]", "[boxes]", "boxes"),
        ("NUM_EPOCHES", "EPOCHS", "TRAIN.EPOCHS is unknown"),
        ("[T0]", "[T0]\n  TRAIN_CAMERAS: [0, 7]", "view 7 does not exist"),
        ("[T0]", "[T0]\n  SUBJECTS_TEST: [T9]", "T9"),
    ],
)
def test_faults_of_the_config(tmp_path, capsys, old, new, message):
    write(tmp_path, CONFIG.replace(old, new))
    assert call(tmp_path, "c.yaml") == 2
    assert_one_line(capsys, message)


def test_debug_shows_the_traceback(tmp_path):
    write(tmp_path, CONFIG.replace("T0", "T8"))
    with pytest.raises(Exception, match="T8"):
        call(tmp_path, "c.yaml", "--debug")


@pytest.mark.slow
@pytest.mark.parametrize("context", ["window", "track"])
def test_cameras_not_seen_in_training(tmp_path, context):
    """Train on three cameras, lift with another set, one of which was never seen."""
    write_scene(tmp_path / "a.npz", examples=10, frames=30)
    config = (
        CONFIG.replace("{WIDTH: 16", f"{{CONTEXT: {context}, WIDTH: 16")
        + "  TRAIN_CAMERAS: [0, 1, 3]\n"
    )
    (tmp_path / "c.yaml").write_text(
        config.replace("NUM_EPOCHES: 2", "NUM_EPOCHES: 8"), encoding="utf-8"
    )
    assert call(tmp_path, "c.yaml", unsupervised=True) == 0
    (best,) = (tmp_path / "checkpoint" / "submit").glob("*/best.pt")
    assert (
        call(
            tmp_path,
            "c.yaml",
            "--eval",
            "--checkpoint",
            str(best),
            "--eval_view_list",
            "0",
            "2",
            "3",
            unsupervised=True,
        )
        == 0
    )
    (result,) = results(tmp_path)["results"].values()
    errors = {name: m["all"]["mpjpe_mm"] for name, m in result["methods"].items()}
    ours = errors["model: STC (unsupervised)"]
    assert ours < 0.8 * errors["maximum likelihood"]
