"""Films of demonstrations: what is written, and what is refused."""

import numpy as np
import pytest

from rlbench.backend.exceptions import DemoError
from rlbench.task_environment import TaskEnvironment
from rlbench.tools import record_demo

av = pytest.importorskip("av", reason="videos need PyAV (RLBench[video])")


def frames(path):
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        rate = stream.average_rate
        return [f.to_ndarray(format="rgb24") for f in video.decode(stream)], rate


def test_a_film_shows_the_task_turning_with_keypoints(needs_gl, tmp_path, capsys):
    base = ["reach_target", "--size", "97", "64", "--no_shadows"]
    plain, drawn = tmp_path / "plain.mp4", tmp_path / "drawn.webm"
    assert record_demo.main([*base, "--out", str(plain)]) == 0
    assert "plain.mp4: reach the red target" in capsys.readouterr().out
    more = ["--keypoints", "--turntable", "60"]
    assert record_demo.main([*base, "--out", str(drawn), *more]) == 0
    first, rate = frames(plain)
    second, _ = frames(drawn)
    assert rate == 20
    assert len(first) == len(second) > 10
    assert first[0].shape == (64, 98, 3)  # codecs want even sides
    assert first[0].std() > 20
    gap = [np.abs(a.astype(int) - b).mean() for a, b in zip(first, second, strict=True)]
    assert gap[-1] > 2 * gap[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["drawn.webm", "plain.mp4"]


def test_failed_attempts_leave_nothing(needs_gl, tmp_path, capsys, monkeypatch):
    def fails(self, seed, example, attempt=0, on_observation=None):
        on_observation(self.reset()[1])
        raise DemoError("no", cause="test")

    monkeypatch.setattr(TaskEnvironment, "get_demo", fails)
    args = ["reach_target", "--out", str(tmp_path / "a.mp4"), "--size", "32", "32"]
    assert record_demo.main([*args, "--attempts", "2"]) == 2
    assert "reach_target: 2 attempts failed (test)" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "give either --out demo.mp4, or --window"),
        (["--out", "a.mp4", "--window"], "give either"),
        (["--out", "a.avi"], "must end with .mp4 or .webm"),
        (["--out", "nowhere/a.mp4"], "a folder that exists"),
        (["--out", "a.mp4", "--size", "8", "720"], "--size must be 16 to 4096 px"),
        (["--out", "a.mp4", "--seed", "-1"], "--seed"),
        (["--out", "a.mp4", "--turntable", "nan"], "--turntable must be a number"),
        (["--out", "a.mp4", "--camera", "wrist", "--turntable"], "rides on the robot"),
        (["--out", "a.mp4", "--variation", "99"], "variation"),
    ],
)
def test_mistakes_are_one_line(args, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert record_demo.main(["reach_target", *args]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("record_demo: ")
    assert message in lines[0]
    assert not list(tmp_path.iterdir())


def test_an_unknown_task_and_a_missing_encoder(tmp_path, capsys, monkeypatch):
    out = str(tmp_path / "a.mp4")
    assert record_demo.main(["reach_targt", "--out", out]) == 2
    assert "reach_target" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    assert record_demo.main(["reach_target", "--out", out]) == 2
    assert "pip install av" in capsys.readouterr().err
