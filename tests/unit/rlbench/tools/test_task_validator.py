"""The validator counts what happened, and refuses scenes and flags that are wrong."""

import json

import cv2
import pytest

from rlbench.backend.exceptions import DemoError, SceneError
from rlbench.task_environment import TaskEnvironment
from rlbench.tasks.reach_target import ReachTarget
from rlbench.tools import task_validator as tv
from rlbench.tools.task_pictures import BACKGROUND, COLOURS, Pictures


def test_a_report_covers_every_variation():
    report = tv.validate("reach_target", episodes=3)
    assert report.episodes == report.variations == 20
    assert report.first_attempt == report.succeeded == 20
    assert report.is_repeatable
    assert report.placements_per_attempt >= 1
    target = report.keypoints["waypoints/waypoint0"]
    assert target.moving == 0
    assert set(target.seen) == {"left_shoulder", "right_shoulder", "overhead", "front"}
    assert 0 < target.seen_two <= target.inside_two <= 1
    assert report.keypoints["robot/tip"].moving > 0.8
    assert report.problems() == []


def test_failures_are_counted_by_cause_and_retried(monkeypatch):
    demo = TaskEnvironment.get_demo

    def flaky(self, seed, example, attempt=0):
        if example == 1 or (example == 2 and attempt == 0):
            raise DemoError("no", cause="test")
        return demo(self, seed, example, attempt)

    monkeypatch.setattr(TaskEnvironment, "get_demo", flaky)
    report = tv.validate("close_fridge", episodes=4, attempts=2)
    assert (report.first_attempt, report.succeeded) == (2, 3)
    assert report.failures == {"test": 3}
    assert report.failed_episodes == ["0/1"]
    problems = report.problems()
    assert "2 of 4 first attempts succeeded, 95% are wanted; causes: {'test': 3}" in problems[0]
    assert problems[1] == "never succeeded in 2 attempts: 0/1"


def test_a_demonstration_that_fails_when_repeated_is_a_problem(monkeypatch):
    demo, calls = TaskEnvironment.get_demo, []

    def once(self, seed, example, attempt=0):
        calls.append(example)
        if len(calls) > 1:
            raise DemoError("no", cause="test")
        return demo(self, seed, example, attempt)

    monkeypatch.setattr(TaskEnvironment, "get_demo", once)
    report = tv.validate("close_fridge", episodes=1)
    assert "the same seed gave two different demonstrations" in report.problems()


def test_a_task_that_never_succeeds_still_has_a_report(monkeypatch, capsys):
    def fails(self, seed, example, attempt=0):
        raise DemoError("no", cause="test")

    monkeypatch.setattr(TaskEnvironment, "get_demo", fails)
    assert tv.main(["8", "--episodes", "2"]) == 1
    out = capsys.readouterr().out
    assert "no demonstration succeeded" in out
    assert "problem: close_fridge: 0 of 2 first attempts" in out


def test_command_writes_tables_and_json(tmp_path, capsys):
    path = tmp_path / "r.json"
    assert tv.main(["8", "--episodes", "3", "--json", str(path)]) == 0
    out = capsys.readouterr().out
    assert "| 8 | close_fridge | 1 | 3/3 | 3/3 |" in out
    assert "| waypoints/waypoint1 | 0% |" in out
    assert "note: close_fridge: seen by two cameras in less than 80% of the frames:" in out
    values = json.loads(path.read_text())
    assert values[0]["keypoints"]["objects/door_top"]["moving"] > 0.2


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nothing"], "'nothing' is not built in"),
        (["99"], "'99' is not built in"),
        (["8", "--episodes", "0"], "--episodes must be at least 1, got 0"),
        (["8", "--min_success", "2"], "--min_success in [0, 1]"),
    ],
)
def test_user_errors_are_one_line(argv, message, capsys):
    assert tv.main(argv) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


@pytest.mark.parametrize("there", [[], ["waypoint0"]])
def test_waypoints_with_a_gap_are_refused(there):
    class Fake:
        waypoint_names = there
        object_names = (*there, "waypoint2", "waypoint_helper")

        def get_name(self):
            return "fake"

    with pytest.raises(SceneError, match=r"fake: waypoints must be numbered .*waypoint2"):
        tv.check_waypoints(Fake())


def test_a_run_goes_on_where_it_was_stopped(tmp_path, monkeypatch, capsys):
    path = tmp_path / "r.json"
    assert tv.main(["8", "--episodes", "2", "--json", str(path)]) == 0
    tried = []
    validate = tv.validate
    monkeypatch.setattr(
        tv, "validate", lambda name, *a, **k: tried.append(name) or validate(name, *a, **k)
    )
    arguments = ["8", "12", "--episodes", "2", "--json", str(path), "--resume"]
    assert tv.main(arguments) == 0
    assert tried == ["unplug_charger"]
    assert [row["task"] for row in json.loads(path.read_text())] == [
        "close_fridge",
        "unplug_charger",
    ]
    assert "| 8 | close_fridge | 1 | 2/2 | 2/2 |" in capsys.readouterr().out
    assert tv.main([*arguments, "--seed", "3"]) == 2
    assert (
        "was made with --seed 0 --attempts 3 --robot_setup panda, not 3, 3, panda"
        in capsys.readouterr().err
    )
    path.write_text('[{"task": "x"}]')
    assert tv.main(arguments) == 2
    assert "r.json is not what --json writes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--resume"], "--resume goes on with a file: name it with --json"),
        (["--plain_pictures"], "also give --pictures FOLDER"),
    ],
)
def test_flags_that_need_another(flags, message, capsys):
    assert tv.main(["8", *flags]) == 2
    assert message in capsys.readouterr().err


def test_episodes_can_be_fewer_than_variations(tmp_path):
    report = tv.validate("reach_target", episodes=2, every_variation=False)
    assert (report.episodes, report.variations, report.succeeded) == (2, 20, 2)


def test_pictures_show_keypoints_with_and_without_the_scene(tmp_path):
    for is_plain in (False, True):
        tv.validate(
            "close_fridge", episodes=1, pictures=Pictures(tmp_path / str(is_plain), is_plain)
        )
    scene, plain = (
        cv2.imread(str(tmp_path / name / "close_fridge.png"))[..., ::-1]
        for name in ("False", "True")
    )
    assert scene.shape == plain.shape == (256, 256, 3)
    for picture in (scene, plain):
        for group in ("waypoints", "objects"):
            assert (picture == COLOURS[group]).all(axis=-1).sum() > 10
    assert (plain == BACKGROUND).all(axis=-1).mean() > 0.5
    assert (scene == BACKGROUND).all(axis=-1).mean() < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    "error", [ValueError("one line\nand another"), SystemExit(3), RecursionError()]
)
def test_a_task_that_raises_anything_is_told_and_the_others_go_on(monkeypatch, capsys, error):
    def fail(task, index):
        raise error

    monkeypatch.setattr(ReachTarget, "init_episode", fail)
    assert tv.main(["0", "12", "--episodes", "1", "--not_every_variation"]) == 1
    said = capsys.readouterr()
    problems = [line for line in said.out.splitlines() if line.startswith("problem: ")]
    assert len(problems) == 1
    assert problems[0].startswith(f"problem: reach_target: cannot run: {type(error).__name__}: ")
    assert "| 12 | unplug_charger | 1 | 1/1 |" in said.out
    assert not said.err
