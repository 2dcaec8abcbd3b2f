"""The table of tasks says what the validator found."""

import json

import pytest

from rlbench.tools import task_table


def report(task, first, succeeded, episodes=20, **extra):
    return {
        "task": task,
        "episodes": episodes,
        "first_attempt": first,
        "succeeded": succeeded,
        "failures": {"not_successful": episodes - first} if first < episodes else {},
        "seconds_per_demo": 0.25,
        "keypoints": {"waypoints/waypoint0": {}},
        "source": "builtin",
        **extra,
    }


def write(path, *rows):
    path.write_text(json.dumps(rows), encoding="utf-8")
    return str(path)


def test_rows_counts_and_causes(tmp_path):
    source = write(
        tmp_path / "a.json",
        report("reach_target", 20, 20),
        report("close_box", 10, 19, source="rlbench:1234"),
        report("water_plants", 0, 0, source="rlbench:1234", error="water_plants.py, line 3: boom"),
        report("stack_chairs", 5, 10, source="rlbench:1234"),
    )
    out = tmp_path / "TASKS.md"
    assert task_table.main([source, "--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    assert "2 of 4 tasks succeed in 90% of their episodes or more, 1 at the first attempt" in text
    assert "| 0 | reach_target | built-in | 20/20 | 20/20 | 0.2 | 1 | - |" in text
    assert "| 1 | close_box | RLBench | 10/20 | 19/20 | 0.2 | 1 | 10 x not successful |" in text
    assert "| water_plants | RLBench | 0/20 | 0/20 |  |  | water_plants.py, line 3: boom |" in text
    assert "| - | stack_chairs | RLBench |" in text
    assert "| 2 | close_microwave | not tried: its files are missing |" in text


def test_weak_tasks_are_explained(tmp_path, monkeypatch):
    monkeypatch.setitem(task_table.KNOWN_GAPS, "open_box", "the lid slips")
    source = write(
        tmp_path / "a.json",
        report("reach_target", 18, 20),
        report("close_box", 17, 20),
        report("open_box", 2, 3),
    )
    out = tmp_path / "TASKS.md"
    assert task_table.main([source, "--out", str(out)]) == 0
    gaps = out.read_text(encoding="utf-8").split("## Fewer than 90% at the first attempt")[1]
    assert gaps.strip().splitlines() == [
        "- `close_box`: not investigated: 3 x not successful",
        "- `open_box`: the lid slips",
    ]


def test_later_reports_replace_earlier_ones_and_pictures_are_linked(tmp_path):
    first = write(tmp_path / "a.json", report("reach_target", 1, 1))
    second = write(tmp_path / "b.json", report("reach_target", 20, 20))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "reach_target.png").write_bytes(b"")
    out = tmp_path / "TASKS.md"
    arguments = [first, second, "--out", str(out), "--pictures", str(pictures)]
    assert task_table.main(arguments) == 0
    row = next(line for line in out.read_text().splitlines() if line.startswith("| 0 |"))
    assert "20/20 | 20/20" in row
    assert '<img src="pictures/reach_target.png" alt="reach_target" width="128">' in row
    assert "squares are 10 cm wide" in out.read_text()


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[1]",
        '[{"name": 1}]',
        "[" * 100_000,
        "{}",
        '"x"',
        "\ud83d",
        json.dumps([report("a", 20, "20")]),
        json.dumps([report("a", 20, 20, failures={"x": None})]),
        json.dumps([report("a", 20, 20, seconds_per_demo="fast")]),
    ],
)
def test_other_files_are_refused(tmp_path, capsys, content):
    (tmp_path / "x.json").write_text(content, errors="surrogatepass")
    assert task_table.main([str(tmp_path / "x.json"), "--out", str(tmp_path / "T.md")]) == 2
    said = capsys.readouterr().err
    assert "is not what `task_validator --json` writes" in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "T.md").exists()
