"""The command that shows what a file holds."""

import json
import subprocess
import sys

import pytest

from pyrep_mujoco.ttm import describe
from tests.unit.pyrep_mujoco.ttm import ttm_files as tf


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "all.ttm"
    path.write_bytes(tf.ttm(*tf.everything(), tf.container("COL")))
    return path


def test_table(file, capsys):
    assert describe.main([str(file)]) == 0
    first, second, head, *rows = capsys.readouterr().out.splitlines()
    assert "model, serialisation 22, CoppeliaSim 4.1.0, 13 objects, 1 textures" in first
    assert second == "passed over: COL x1"
    assert head.split()[:4] == ["handle", "parent", "type", "name"]
    assert len(rows) == 13
    text = {row.split()[3]: row for row in rows}
    assert text["base"].split()[:7] == ["10", "-", "dummy", "base", "1", "2", "3"]
    assert "size 1 1 1, mesh, mass 2, dynamic, respondable" in text["box"]
    assert "compound of 3" in text["door"]
    assert "textured" in text["cloth"]
    assert "revolute, value 0.5, range -1 2, mode dynamic, motor, force 12" in text["hinge"]
    assert "`open_gripper()`" in text["waypoint0"]
    assert "pyramid, offset 1, range 2, x_size 3" in text["success"]
    assert "resolution 128 64" in text["cam"]
    assert "points 3" in text["way"]
    assert text["graph"].split()[2] == "GRH"


def test_json(file, capsys):
    assert describe.main([str(file), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["version"], document["application"]) == (22, "4.1.0")
    assert document["is_model"]
    assert document["skipped"] == {"COL": 1}
    assert document["textures"] == [{"id": 3, "name": "wood", "width": 2, "height": 4}]
    rows = {row["name"]: row for row in document["objects"]}
    assert rows["base"]["position"] == [1.0, 2.0, 3.0]
    assert rows["base"]["parent"] is None
    assert rows["waypoint0"]["extension"] == "open_gripper()"
    assert rows["hinge"]["details"]["range"] == [-1.0, 2.0]


def test_a_cyclic_joint_has_no_range(tmp_path, capsys):
    path = tmp_path / "a.ttm"
    path.write_bytes(tf.ttm(tf.joint("j", 1, flags=1)))
    assert describe.main([str(path)]) == 0
    assert "no range" in capsys.readouterr().out


def test_what_cannot_be_read(tmp_path, capsys):
    path = tmp_path / "a.ttm"
    path.write_bytes(b"something else")
    assert describe.main([str(path)]) == 1
    assert describe.main([str(tmp_path / "none.ttm")]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert "this is no V-REP / CoppeliaSim file" in first
    assert "none.ttm" in second


def test_a_reader_that_has_seen_enough(tmp_path):
    path = tmp_path / "a.ttm"
    path.write_bytes(tf.ttm(*(tf.dummy(f"dummy_{i}", i) for i in range(1000))))
    command = [sys.executable, "-m", "pyrep_mujoco.ttm.describe", str(path), "--json"]
    package = describe.__file__.rsplit("/pyrep_mujoco/", 1)[0]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=package
    ) as process:
        assert process.stdout.readline() == b"{\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
