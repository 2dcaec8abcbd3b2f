"""A packed archive holds the same, in fewer bytes, the same each time."""

import subprocess
import sys

import numpy as np

from data_generation.RLBench.config import REPOSITORY
from data_generation.RLBench.publishing import pack_archive
from pose_obj_3d.formal import read_formal
from tests.unit.pose_obj_3d.synthetic import write_scene


def test_packing_changes_only_the_size(tmp_path):
    plain = write_scene(tmp_path / "plain.npz", tasks=(0, 9))
    for name in ("a.npz", "b.npz"):
        (tmp_path / name).write_bytes(plain.read_bytes())
    assert pack_archive.main([str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]) == 0
    packed = (tmp_path / "a.npz").read_bytes()
    assert packed == (tmp_path / "b.npz").read_bytes()
    assert len(packed) < 0.98 * plain.stat().st_size
    before, after = read_formal(plain), read_formal(tmp_path / "a.npz")
    assert before.meta == after.meta
    for task, examples in before.tracks.items():
        for x, y in zip(examples, after.tracks[task], strict=True):
            np.testing.assert_array_equal(x, y)
    with np.load(plain) as x, np.load(tmp_path / "a.npz") as y:
        assert x.files == y.files


def test_user_errors_are_one_line(tmp_path, capsys):
    (tmp_path / "x.npz").write_text("no archive")
    for path in (tmp_path / "x.npz", tmp_path / "none.npz"):
        assert pack_archive.main([str(path)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2
    assert all("not a readable archive" in line for line in lines)


def test_it_runs_as_a_module_from_the_root(tmp_path):
    module = "data_generation.RLBench.publishing.pack_archive"
    command = [sys.executable, "-m", module, str(tmp_path / "none.npz")]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("pack_archive: not a readable archive")
