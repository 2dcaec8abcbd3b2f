"""Episodes as recordings of Rerun's viewer."""

import sys

import pytest

from data_generation.RLBench import view_dataset


def user_error(capsys, *argv):
    assert view_dataset.main([str(a) for a in argv]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("view_dataset.py: ")
    return lines[0]


def test_a_recording_holds_cameras_pictures_and_keypoints(tmp_path, raw, capsys):
    pytest.importorskip("rerun", reason="recordings need rerun-sdk (.[rerun])")
    out = tmp_path / "episode.rrd"
    assert view_dataset.main([str(raw()), "--task", "1", "--episode", "2", "--out", str(out)]) == 0
    assert "T1 variation" in capsys.readouterr().out
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
    content = out.read_bytes()  # names are stored as plain text
    for camera in ("left", "right", "top"):
        assert f"/world/cameras/{camera}/keypoints".encode() in content
        has_pictures = camera != "top"  # of which the data set has none
        assert (f"/world/cameras/{camera}/image".encode() in content) == has_pictures
    for part in (b"/world/keypoints", b"Pinhole", b"Points3D", b"frame", b"time"):
        assert part in content


def test_an_archive_gives_a_recording_without_pictures(tmp_path, archive):
    pytest.importorskip("rerun", reason="recordings need rerun-sdk (.[rerun])")
    out = tmp_path / "episode.rrd"
    assert view_dataset.main([str(archive()), "--out", str(out)]) == 0
    content = out.read_bytes()
    for part in (b"/detected", b"/world/keypoints/trails"):
        assert part in content


def test_mistakes_are_one_line(tmp_path, archive, capsys, monkeypatch):
    path = archive()
    assert "give either --out" in user_error(capsys, path)
    assert "must end with .rrd" in user_error(capsys, path, "--out", "a.mp4")
    assert "folder that exists" in user_error(capsys, path, "--out", tmp_path / "no" / "a.rrd")
    out = tmp_path / "a.rrd"
    monkeypatch.setitem(sys.modules, "rerun", None)
    for module in ("data_generation.RLBench.inspection.rerun_recording", "rerun_scene"):
        name = module if "." in module else f"pose_obj_3d.common.{module}"
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert "pip install rerun-sdk" in user_error(capsys, path, "--out", out)
    assert not out.exists()


def test_an_episode_that_is_not_there(tmp_path, archive, capsys):
    pytest.importorskip("rerun", reason="recordings need rerun-sdk (.[rerun])")
    out = tmp_path / "a.rrd"
    path = archive()
    assert "no such example" in user_error(capsys, path, "--out", out, "--episode", "9")
    assert "--tasks 3: not in" in user_error(capsys, path, "--out", out, "--task", "3")
    assert not out.exists()
