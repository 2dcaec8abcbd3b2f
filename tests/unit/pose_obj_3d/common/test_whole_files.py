"""Files that are absent, old or complete, whoever is killed and whoever writes at the same time."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pose_obj_3d.common import whole_files
from pose_obj_3d.common.whole_files import is_temporary, write_whole, writing

ROOT = Path(__file__).resolve().parents[4]
WRITER = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from pose_obj_3d.common.whole_files import writing
with writing(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("begun", flush=True)
    sys.stdin.readline()
    file.write(b" and half")
"""


def begin(path):
    """Start a process that writes half of a file and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER.format(root=str(ROOT)), path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "begun\n"
    return process


def temporaries(path):
    return [p for p in path.parent.iterdir() if is_temporary(p.name)]


def test_what_a_killed_writer_left_goes_and_what_is_being_written_stays(tmp_path):
    path = tmp_path / "a b[1]*.npz"
    killed, alive = begin(path), begin(path)
    assert len(temporaries(path)) == 2
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    write_whole(path, b"mine")
    assert len(temporaries(path)) == 1
    assert path.read_bytes() == b"mine"
    alive.communicate("\n")
    assert alive.returncode == 0
    assert path.read_bytes() == b"half and half"
    assert not temporaries(path)


def test_a_fault_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    write_whole(path, b"old")

    def spoil():
        with writing(path) as file:
            file.write(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        spoil()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_files_of_other_names_are_left_alone(tmp_path):
    names = [".x.tmp", ".xy.0.tmp", ".y.0.tmp", "x.0.tmp", ".x.0.part"]
    for name in names:
        (tmp_path / name).write_text("theirs")
    write_whole(tmp_path / "x", b"1")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*names, "x"])


def test_many_writers_at_once(tmp_path):
    path, faults = tmp_path / "x", []

    def write(n):
        try:
            for _ in range(30):
                write_whole(path, bytes([n]) * 10_000)
                data = path.read_bytes()
                assert len(data) == 10_000
                assert len(set(data)) == 1
        except BaseException as error:  # noqa: BLE001 - told below
            faults.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert not temporaries(path)


def test_a_writer_whose_file_is_taken_for_a_leftover_before_it_is_locked(tmp_path, monkeypatch):
    path, real, calls = tmp_path / "x", whole_files.fcntl.flock, []

    def slow(file, how):
        calls.append(how)
        if len(calls) == 1:
            for left in temporaries(path):
                left.unlink()
        return real(file, how)

    monkeypatch.setattr(whole_files.fcntl, "flock", slow)
    write_whole(path, b"all")
    assert path.read_bytes() == b"all"
    assert len(calls) == 2
