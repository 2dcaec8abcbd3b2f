"""The accuracy benchmark: conditions follow from a seed, cells are computed once."""

import json

import numpy as np
import pytest
import torch

from pose_obj_3d.formal import UV_DETECTED, UV_EXACT, XYZ_WORLD, read_formal
from tests.benchmarks import bench_accuracy
from tests.benchmarks.accuracy_cases import Case, Source, histogram, masks, median
from tests.benchmarks.accuracy_cells import METHODS, Cells, sources_sha256
from tests.benchmarks.accuracy_data import CONDITIONS, few, under
from tests.benchmarks.accuracy_derived import ACROSS, Table, derive
from tests.unit.pose_obj_3d.synthetic import SIGMA_PX, write_scene

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_scene(
        tmp_path_factory.mktemp("accuracy") / "a.npz", tasks=(0, 9), examples=12, frames=30
    )


@pytest.fixture(scope="module")
def data(archive):
    return read_formal(archive)


def errors(data, task=0):
    return np.concatenate(
        [(x[..., UV_DETECTED] - x[..., UV_EXACT]).reshape(-1, 2) for x in data.tracks[task]]
    )


def test_clean_is_what_ships(data):
    found = under(data, CONDITIONS["clean"], 9)
    assert list(found.tracks) == [9]
    assert all(a is b for a, b in zip(found.tracks[9], data.tracks[9], strict=True))
    assert found.meta == data.meta


@pytest.mark.parametrize("name", ["noise2", "noise3", "drop20", "outlier5"])
def test_conditions_are_functions_of_the_seed(data, name):
    before = [x.copy() for x in data.tracks[0]]
    one, again, other = (under(data, CONDITIONS[name], 0, seed) for seed in (0, 0, 1))
    for a, b, c, source, kept in zip(
        *(d.tracks[0] for d in (one, again, other, data)), before, strict=True
    ):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c, equal_nan=True)
        np.testing.assert_array_equal(a[..., XYZ_WORLD], source[..., XYZ_WORLD])
        np.testing.assert_array_equal(source, kept)  # the archive in memory is left alone
        detected = a[..., UV_DETECTED]
        np.testing.assert_array_equal(
            np.nan_to_num(detected * 16), np.nan_to_num(np.rint(detected * 16))
        )


def test_conditions_do_what_they_say(data):
    for name, scale in (("noise2", 2), ("noise3", 3)):
        found = under(data, CONDITIONS[name], 0)
        assert errors(found).std() == pytest.approx(scale * SIGMA_PX, rel=0.03)
        assert found.sigma_px == pytest.approx(scale * SIGMA_PX)
    dropped = under(data, CONDITIONS["drop20"], 0)
    assert np.isnan(errors(dropped)).mean() == pytest.approx(0.2, abs=0.02)
    assert np.nanstd(errors(dropped)) == pytest.approx(SIGMA_PX, rel=0.03)
    wild = under(data, CONDITIONS["outlier5"], 0)
    assert (np.abs(errors(wild)).max(-1) > 6).mean() == pytest.approx(0.05 * 0.945, abs=0.012)
    assert np.abs(errors(wild)).max() <= 25.7
    assert wild.meta["noise"]["outlier_rate"] == [0.05] * 4


def test_errors_last_where_they_are_as_measured(data):
    found = under(data, CONDITIONS["as_measured"], 0)
    error = np.stack(
        [(x[..., UV_DETECTED] - x[..., UV_EXACT])[:, :, :, 0] for x in found.tracks[0]]
    )
    small = np.where(np.abs(error) < 6, error, np.nan)
    products = np.nanmean(small[:, :, 1:] * small[:, :, :-1]) / np.nanmean(small**2)
    assert products > 0.6
    assert found.meta["noise"]["noise_time_constant"] == [8.5] * 4
    assert found.sigma_px == pytest.approx(0.63 * SIGMA_PX)
    other = under(data, CONDITIONS["as_measured"], 0, seed=1)
    assert not np.array_equal(found.tracks[0][0], other.tracks[0][0])


def test_a_few_demonstrations_are_the_first_ones(data):
    kept = few(data, 2)
    assert {part: len(n) for part, n in kept.split(0).items()} == {"train": 2, "val": 1, "test": 2}
    assert kept.split(0)["test"] == data.split(0)["test"][:2]


def test_a_subset_of_views_loads_those_views(data):
    case = Case(Source(data, ""), "views3", CONDITIONS["views3"], 0, 0)
    assert case.rig.view_ids == (0, 1, 2)
    assert case.test.uv.shape[1] == 3
    found = masks(case.test, 0.05)
    assert not (found["moving"] & found["still"]).any()
    assert torch.equal(found["moving"] | found["still"], found["all"])
    assert torch.equal(found["never"] & found["still"], found["never"])


def call(archive, out, *flags):
    common = ["--data", str(archive), "--out", str(out), "--epochs", "1", "--resamples", "100"]
    return bench_accuracy.main([*common, *flags])


@pytest.mark.slow
def test_cells_are_computed_once_and_the_report_is_written(archive, tmp_path, monkeypatch):
    methods = ["--methods", "ml", "mean7", "savgol7", "stc_window", "bounds"]
    flags = ["--tasks", "0", "9", "--conditions", "clean", "drop20", "views3", *methods]
    assert call(archive, tmp_path, *flags) == 0
    first = (tmp_path / "accuracy.json").read_text()
    found = json.loads(first)
    assert {"T0", "T9", "together"} == set(found["means_mm"])
    ratio = found["derived"]["clean"]["STC window / R, still"]["together"]
    assert ratio["low"] <= ratio["value"] <= ratio["high"]
    assert any("bound with / without mask" in name for name in found["derived"][ACROSS])
    means = found["means_mm"]["T0"]["clean"]
    assert (
        0.8 < means["ml"]["all"]["all"]["value"] / means["bound_frame"]["all"]["all"]["value"] < 1.1
    )
    assert (
        means["bound_track"]["all"]["never"]["value"]
        < means["bound_window"]["all"]["never"]["value"]
    )
    assert "all" not in means["bound_track"]["all"]
    for name in ("accuracy.md", "error_against_bound.png", "error_by_views.png"):
        assert (tmp_path / name).stat().st_size > 1000
    assert (
        len(list((tmp_path / "training").iterdir())) == 4
    )  # the views' subset uses the models of all views

    monkeypatch.setattr(Cells, "compute", lambda *_: pytest.fail("a cell was computed again"))
    assert call(archive, tmp_path, *flags) == 0
    assert (tmp_path / "accuracy.json").read_text() == first


def test_an_interrupted_benchmark_goes_on(archive, tmp_path, monkeypatch):
    computed, original = [], Cells.compute

    def interrupted(self, case, train_case, method, given):
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(method)
        return original(self, case, train_case, method, given)

    flags = ["--tasks", "0", "--conditions", "clean", "--methods", "dlt", "ml", "mean7"]
    monkeypatch.setattr(Cells, "compute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        call(archive, tmp_path, *flags)
    monkeypatch.setattr(Cells, "compute", lambda *a: computed.append(a[3]) or original(*a))
    assert call(archive, tmp_path, *flags) == 0
    assert computed == ["dlt", "ml", "mean7"]


def test_pixels_are_scored_beside_simulated_detections(archive, tmp_path):
    pixels = write_scene(
        tmp_path / "p.npz", tasks=(9,), examples=12, frames=30, seed=5, detected=True
    )
    flags = [
        "--pixels",
        str(pixels),
        "--demos",
        "3",
        "--methods",
        "dlt",
        "hindsight_all",
        "map",
        "bounds",
    ]
    conditions = ["--conditions", "clean", "pixels", "as_measured"]
    assert call(archive, tmp_path, "--tasks", "9", *conditions, *flags) == 0
    found = json.loads((tmp_path / "accuracy.json").read_text())
    means = found["means_mm"]["T9"]
    assert set(means) == {"clean", "pixels", "as_measured"}
    assert set(means["pixels"]) == {
        "dlt",
        "hindsight_all",
        "map",
    }  # nobody knows the noise: no bounds
    assert set(means["pixels"]["dlt"]["all"]) >= {"all", "moving", "still", "every point"}
    assert "every point" not in means["clean"]["dlt"]["all"]
    text = (tmp_path / "accuracy.md").read_text()
    assert "68 % region [%], never" in text
    front = text[text.index("## Front page") :].splitlines()[2]
    columns = ("moving", "still", "never")
    titles = [*(f"white noise: {c}" for c in columns), "as measured: all", "pixels: all"]
    assert front == f"| method | {' | '.join(titles)} |"
    (row,) = [line for line in text.splitlines() if line.startswith("| median [mm]")]
    assert row.count("|") == 5
    cell = json.loads(next((tmp_path / "cells").glob("T9_pixels_map_*.json")).read_text())["sums"]
    of_keypoints = [cell[name]["all"] for name in cell if "/" in name]
    assert sum(sum(x["count"]) for x in of_keypoints) == sum(cell["all"]["all"]["count"])
    assert sum(sum(x["total"]) for x in of_keypoints) == pytest.approx(
        sum(cell["all"]["all"]["total"])
    )
    keypoints = text[text.index("all, T9, detected in pixels") :].splitlines()[2:]
    assert keypoints[0].startswith("| waypoints/waypoint0 | ")
    assert not any("/" in name for name in found["means_mm"]["T9"]["clean"]["dlt"])


def test_a_missing_archive_of_detections_is_one_line(archive, tmp_path, capsys):
    flags = ["--pixels", str(tmp_path / "none.npz"), "--methods", "dlt", "--tasks", "9"]
    assert call(archive, tmp_path, *flags, "--conditions", "clean", "pixels") == 0
    (line,) = [x for x in capsys.readouterr().err.splitlines() if "left out" in x]
    assert line.startswith("T9 pixels is left out")
    assert "none.npz does not exist" in line
    assert list(json.loads((tmp_path / "accuracy.json").read_text())["means_mm"]["T9"]) == ["clean"]


@pytest.mark.slow
def test_models_of_pixels_lift_simulated_detections(archive, tmp_path):
    pixels = write_scene(
        tmp_path / "p.npz", tasks=(9,), examples=12, frames=30, seed=5, detected=True
    )
    flags = ["--tasks", "9", "--pixels", str(pixels), "--methods", "stc_track"]
    conditions = ["as_measured", "pixels", "as_measured_pixels", "pixels_as_measured"]
    assert call(archive, tmp_path, *flags, "--conditions", *conditions) == 0
    means = json.loads((tmp_path / "accuracy.json").read_text())["means_mm"]["T9"]
    assert set(means) == set(conditions)
    assert len(list((tmp_path / "training").iterdir())) == 2


def test_medians_are_those_of_all_errors():
    error = torch.rand(999, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 50
    assert median(histogram(error)) == pytest.approx(float(error.median()), rel=0.02)
    assert np.isnan(median(histogram(error[:0])))


@pytest.mark.slow
def test_a_checkpoint_of_mht_is_reported(archive, tmp_path):
    out = tmp_path / "out"
    assert (
        call(archive, out, "--tasks", "9", "--conditions", "clean", "--methods", "stc_window") == 0
    )
    (folder,) = (out / "training").iterdir()  # any checkpoint of task 9 can be read
    flags = [
        "--tasks",
        "9",
        "--conditions",
        "clean",
        "--methods",
        "mht",
        "stc_window",
        "--mht_checkpoints",
        str(folder),
    ]
    assert call(archive, out, *flags) == 0
    means = json.loads((out / "accuracy.json").read_text())["means_mm"]["T9"]["clean"]
    assert means["mht"] == means["stc_window"]


def test_a_missing_task_is_one_line(archive, tmp_path, capsys):
    assert call(archive, tmp_path, "--tasks", "8") == 2
    assert "task T8 is missing" in capsys.readouterr().err


def test_the_key_of_a_learned_cell_has_the_model_in_it():
    assert len({sources_sha256(m) for m in ("ml", "stc_window", "mht")}) == 3
    assert sources_sha256("stc_window") == sources_sha256("stc_track_sup")


def cell(totals, count=10):
    column = {"total": [float(x) for x in totals], "count": [count] * len(totals)}
    return {
        "sums": {"all": dict.fromkeys(("all", "moving", "still", "never"), column)},
        "info": {},
        "seconds": 0,
    }


def test_conditions_may_have_other_test_demonstrations():
    """The archive with detections has fewer than the shipped one."""
    results = {(1, "clean", "rts"): cell([20, 20, 20]), (1, "pixels", "rts"): cell([40, 40])}
    table = Table(results, [1], resamples=50)
    means = [table.mean([1], c, "rts", "all") for c in ("clean", "pixels")]
    ratio = table.product([1], ("pixels", "rts", "all", 1), ("clean", "rts", "all", -1))
    assert means[1].value / means[0].value == pytest.approx(2.0)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2.0, 2.0, 2.0))


def test_derived_quantities_by_hand():
    results = {(t, c, m): cell([60, 60, 60]) for t in (1, 2) for c in CONDITIONS for m in METHODS}
    results |= {(t, "clean", "stc_window"): cell([30, 30, 30]) for t in (1, 2)}
    results[2, "clean", "savgol7"] = cell([40, 40, 40])
    results |= {(t, "drop20", "bound_window"): cell([90, 90, 90]) for t in (1, 2)}
    found = derive(Table(results, [1, 2], resamples=50), list(CONDITIONS))
    best = found["clean"]["STC window / R, moving"]
    assert {s: x.value for s, x in best.items()} == pytest.approx(
        {"T1": 0.5, "T2": 0.75, "together": 0.6}
    )
    name = "STC window, 20 % dropped / (clean x bound with / without mask), still"
    assert found[ACROSS][name]["T1"].value == pytest.approx(6 / 3 * 6 / 9)
    assert best["T1"].low == best["T1"].high == pytest.approx(0.5)
