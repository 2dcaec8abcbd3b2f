"""Results of scenes: kept one by one, continued, and summed up."""

import json

import pytest

from data_generation.RLBench.config import REPOSITORY, load_config
from data_generation.RLBench.errors import ConfigError, DataGenerationError
from data_generation.RLBench.executing import command, run
from data_generation.RLBench.executing.chart import draw
from data_generation.RLBench.executing.results import ResultFolder, summarise, table, wilson
from data_generation.RLBench.executing.settings import (
    Condition,
    Settings,
    parse_method,
    simulated_noises,
)
from data_generation.RLBench.raw.episode_key import EpisodeKey


def made(methods=("truth", "dlt"), scales=(1.0, 3.0), **options):
    config = load_config(REPOSITORY / "configs" / "dataset_config.json")
    parsed = tuple(parse_method(m) for m in methods)
    return Settings(config, 0, 7, parsed, simulated_noises(config, scales), **options)


def outcome(cause="", mm=2.0):
    looked = {"waypoint0": {"mm": mm, "deg": 1.0, "claimed_mm": None, "claimed_deg": None}}
    return {
        "cause": cause,
        "detail": "",
        "steps": 5,
        "looked": looked,
        "visits": [],
        "waited": {},
        "doubtful": [],
    }


@pytest.fixture
def folder(tmp_path):
    return ResultFolder(tmp_path / "out")


def test_conditions_are_all_pairs_and_the_truth_knows_no_noise():
    assert [str(c) for c in made().conditions()] == [
        "truth | exact | start",
        "dlt | 1x | start",
        "dlt | 3x | start",
    ]
    assert Condition.parse("dlt | 3x | start") == Condition("dlt", "3x", "start")


def test_only_what_is_missing_is_executed(folder):
    settings = made()
    folder.claim(settings)
    jobs = list(run.missing(settings, folder, 9, 2, 3))
    assert [(j.key.variation, j.key.example, j.number) for j in jobs] == [
        (0, 0, 0),
        (1, 0, 1),
        (0, 1, 2),
    ]
    folder.add(EpisodeKey(9, 0, 0), {"dlt | 1x | start": outcome()})
    jobs = list(run.missing(settings, folder, 9, 2, 3))
    assert [str(c) for c in jobs[0].conditions] == ["truth | exact | start", "dlt | 3x | start"]
    folder.add(EpisodeKey(9, 0, 0), {str(c): outcome() for c in jobs[0].conditions})
    assert len(list(run.missing(settings, folder, 9, 2, 3))) == 2


def test_a_folder_of_other_settings_is_refused(folder):
    folder.claim(made())
    folder.claim(made(["rts"]))
    with pytest.raises(ConfigError, match="occlusion"):
        folder.claim(made(occlusion="drop"))


def test_a_label_stands_for_one_checkpoint(folder, tmp_path):
    for n in range(2):
        (tmp_path / f"{n}.pt").write_bytes(bytes([n]))
    folder.claim(made([f"STC={tmp_path / '0.pt'}"]))
    with pytest.raises(ConfigError, match="another checkpoint"):
        folder.claim(made([f"STC={tmp_path / '1.pt'}"]))


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="other files"):
        ResultFolder(tmp_path).claim(made())


def test_a_damaged_file_is_named(folder):
    key = EpisodeKey(9, 0, 0)
    folder.add(key, {"dlt | 1x | start": outcome()})
    folder.path(key).write_text("{")
    with pytest.raises(DataGenerationError, match="v0_e0.json"):
        folder.outcomes(key)


def test_rates_have_intervals_and_causes(folder):
    for n in range(10):
        for task, fails in ((9, 2), (12, 0)):
            cause = "missed_grasp" if n < fails else ""
            found = {
                "dlt | 1x | start": outcome(cause, mm=4.0),
                "truth | exact | start": outcome(mm=0.0),
            }
            folder.add(EpisodeKey(task, n, 0), found)
    summary = summarise(folder)
    row = summary["T9"]["dlt | 1x | start"]
    assert (row["successes"], row["scenes"]) == (8, 10)
    assert row["low"] < 0.8 < row["high"]
    assert row["causes"] == {"missed_grasp": 2}
    assert summary["all"]["dlt | 1x | start"]["rate"] == pytest.approx(0.9)
    text = table(summary)
    assert "| T9 | dlt | 1x | start | 80 % [49, 94] of 10 | 0.80 |" in text
    assert "missed grasp 2" in text
    figure = draw(summary, {"all": "all tasks"})
    assert [a.get_title() for a in figure.axes][:3] == ["all tasks", "T9", "T12"]


@pytest.mark.parametrize(("successes", "low", "high"), [(0, 0.0, 0.278), (10, 0.722, 1.0)])
def test_intervals_stay_within_bounds(successes, low, high):
    assert wilson(successes, 10) == pytest.approx((low, high), abs=1e-3)


def test_a_run_is_reported_and_continued(folder, monkeypatch, capsys):
    def fake(settings, folder, tasks, scenes, processes, film):
        assert tasks == [9, "reach_target"]
        folder.claim(settings)
        for job in run.missing(settings, folder, 9, 1, scenes):
            folder.add(job.key, {str(c): outcome() for c in job.conditions})

    monkeypatch.setattr(command, "run", fake)
    argv = ["--path_out", str(folder.root), "--tasks", "9", "reach_target", "--scenes", "2"]
    assert command.main(argv) == 0
    assert "100 %" in capsys.readouterr().out
    results = json.loads((folder.root / "results.json").read_text())
    assert results["T9"]["rts | 1x | start"]["scenes"] == 2
    assert (folder.root / "success.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--methods", "magic"], "no such method and no such file"),
        (["--methods", "dlt", "dlt"], "two are called 'dlt'"),
        (["--noise_scale", "-1"], "noise_scale"),
        (["--frames", "5000"], "allowed: 1 to 1000"),
        (["--grasp_limit_mm", "nan"], "above 0"),
        (["--path_dataset_config", "nothing.json"], "not found"),
    ],
)
def test_wrong_flags_are_one_line(folder, capsys, flags, words):
    assert command.main(["--path_out", str(folder.root), *flags]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in line
    assert len(line) < 500
    assert not folder.root.exists()
