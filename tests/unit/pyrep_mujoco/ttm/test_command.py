"""The converter as a command."""

import subprocess
import sys

from pyrep_mujoco.ttm import to_mjcf
from tests.unit.pyrep_mujoco.ttm import ttm_files as tf

PACKAGE = to_mjcf.__file__.rsplit("/pyrep_mujoco/", 1)[0]


def test_a_reader_that_goes_away(tmp_path):
    path = tmp_path / "a.ttm"
    path.write_bytes(tf.ttm(tf.dummy("a", 1)))
    command = [
        sys.executable,
        "-m",
        "pyrep_mujoco.ttm.to_mjcf",
        str(path),
        "-o",
        str(tmp_path / "out"),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=PACKAGE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert (tmp_path / "out" / to_mjcf.SCENE_FILE).is_file()


def test_a_name_that_xml_cannot_hold(tmp_path, capsys):
    path = tmp_path / "a.ttm"
    path.write_bytes(tf.ttm(tf.dummy("w\0z", 4)))
    assert to_mjcf.main([str(path), "-o", str(tmp_path / "out")]) == 1
    line = rf"{path}: cannot be converted: the name of 'w\x00z' holds '\x00', which XML does not"
    assert capsys.readouterr().err.startswith(line)
