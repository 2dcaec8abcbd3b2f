"""Several runs in one table."""

import json

import pytest

from pose_obj_3d import compare_runs


def write_run(root, name, model, error, trained=True, data="a.npz"):
    folder = root / name
    folder.mkdir()
    counts = dict.fromkeys(("all", "moving", "still", "fewer than two views"), 3)
    methods = {
        n: {c: {"mpjpe_mm": e} for c in counts}
        for n, e in ((f"model: {model}", error), ("DLT", 5.0))
    }
    run = {"data": data, "results": {"Test": {"counts": counts, "methods": methods}}}
    (folder / "results.json").write_text(json.dumps(run), encoding="utf-8")
    if trained:
        (folder / "training_curve.png").write_bytes(b"")
    return folder


def test_joins_models_before_the_lines_they_share(tmp_path, capsys):
    write_run(tmp_path, "sup_20260101_000000", "a", 9.0)
    write_run(tmp_path, "sup_20260102_000000", "a", 2.0)
    write_run(tmp_path, "sup_20260103_000000", "evaluated only", 7.0, trained=False)
    write_run(tmp_path, "unsup_20260101_000000", "b", 3.0)
    assert compare_runs.main([str(tmp_path / "sup"), str(tmp_path / "unsup")]) == 0
    said = capsys.readouterr().out
    assert said.index("model: a") < said.index("model: b") < said.index("DLT")
    assert "2.000" in said
    assert "9.000" not in said
    assert "training_curve.png" in said


def test_says_what_the_detections_are(tmp_path, capsys):
    folder = write_run(tmp_path, "a", "a", 1.0)
    run = json.loads((folder / "results.json").read_text())
    run["results"]["Test"]["detections"] = {"about": "Detections: found by a net.", "errors": {}}
    (folder / "results.json").write_text(json.dumps(run), encoding="utf-8")
    assert compare_runs.main([str(folder)]) == 0
    assert "\nDetections: found by a net.\n" in capsys.readouterr().out


@pytest.mark.parametrize("names", [("window", "track"), ("one/run", "two/run")])
def test_runs_of_one_label_stay_apart(tmp_path, capsys, names):
    """STC with window and with track context have one label."""
    for error, name in enumerate(names, 1):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_run(tmp_path, f"{name}_20260101_000000", "STC (unsupervised)", float(error))
    write_run(tmp_path, "other_20260101_000000", "MHT", 3.0)
    called = [str(tmp_path / name) for name in (*names, "other", names[0])]
    assert compare_runs.main(called) == 0
    rows = [
        line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("model")
    ]
    assert [row[-1] for row in rows] == ["1.000", "2.000", "3.000"]
    assert all(f"{name}_20260101_000000]" in row[3] for name, row in zip(names, rows, strict=False))
    assert rows[2][:2] == ["model:", "MHT"]
    assert rows[2][2] == "3.000"


@pytest.mark.parametrize("names", [[], ["nothing"], ["a", "b"]])
def test_refuses_in_one_line(tmp_path, capsys, names):
    write_run(tmp_path, "a", "a", 1.0)
    write_run(tmp_path, "b", "b", 1.0, data="other.npz")
    assert compare_runs.main([str(tmp_path / name) for name in names]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


COUNTS = dict.fromkeys(("all", "moving", "still", "fewer than two views"), 3)


def errors(value):
    return {column: {"mpjpe_mm": value} for column in COUNTS}


@pytest.mark.parametrize(
    "text",
    [
        *(
            json.dumps({"data": "a", "results": {"T": result}})
            for result in (
                {"counts": COUNTS, "methods": [errors(1)]},
                {"counts": COUNTS, "methods": {"a": errors(1)}, "detections": [1]},
                {"counts": COUNTS, "methods": {"a": errors(1)}, "detections": {"about": 1}},
                {"counts": COUNTS, "methods": {"a": errors("x")}},
                {"counts": {"all": 3}, "methods": {"a": errors(1)}},
                {"counts": COUNTS, "methods": {"a": errors(10**400)}},
                {"counts": COUNTS, "methods": {"a": {"all": {"mpjpe_mm": 1.0}}}},
            )
        ),
        "3",
        "null",
        "1" * 5000,
        "",
        "{",
        "[1]",
        "[" * 100_000,
        '{"data": 1}',
        '{"data": 1, "results": []}',
        '{"data": 1, "results": {}}',
        '{"data": 1, "results": {"Test": 3}}',
        '{"data": 1, "results": {"Test": {"counts": [], "methods": {"a": 1}}}}',
    ],
)
def test_what_is_no_result_of_a_run(tmp_path, capsys, text):
    write_run(tmp_path, "a", "a", 1.0)
    (write_run(tmp_path, "b", "b", 1.0) / "results.json").write_text(text)
    assert compare_runs.main([str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "b/results.json: not what a run writes" in said[0]
