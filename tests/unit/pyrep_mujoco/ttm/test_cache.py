"""Converted scenes are kept whole: by several processes at once, and after damage."""

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import mujoco
import pytest

from pyrep_mujoco.errors import CacheError
from pyrep_mujoco.ttm import cache
from pyrep_mujoco.ttm import robot_files as robots
from pyrep_mujoco.ttm.to_mjcf import convert, main
from rlbench.backend.exceptions import RLBenchError
from tests.unit.pyrep_mujoco.ttm import ttm_files as tf

PROCESSES = 3


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RLBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "two boxes.ttm"
    path.write_bytes(tf.ttm(*tf.everything()))
    return path


def files_of(scene):
    return {p: p.read_bytes() for p in scene.parent.rglob("*") if p.is_file()}


def use(source, barrier, results):
    """Convert at the same time as others, put something beside the scene, and go on using both."""
    barrier.wait()
    try:
        scene = cache.converted_scene(source)
        beside = scene.parent / "robot.xml"
        cache.keep_text(beside, "made of it")
        for _ in range(50):
            mujoco.MjModel.from_xml_path(str(scene))
            assert beside.read_text() == "made of it"
            time.sleep(0.01)
    except (OSError, ValueError, AssertionError, RLBenchError) as error:
        results.put(f"{type(error).__name__}: {error}")
    else:
        results.put("")


@pytest.mark.slow
def test_processes_that_convert_at_once_share_what_they_make(folder, source):
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(PROCESSES), context.Queue()
    made = [context.Process(target=use, args=(source, barrier, results)) for _ in range(PROCESSES)]
    for process in made:
        process.start()
    assert [results.get(timeout=120) for _ in made] == [""] * PROCESSES
    for process in made:
        process.join()
    assert not list(folder.rglob(".*"))


def test_who_comes_late_takes_nothing_away(folder, source, monkeypatch):
    convert, inner = cache.conversion, []

    def slow(*args):
        made = convert(*args)
        if not inner:  # another process is faster
            inner.append(None)
            scene = cache.converted_scene(source)
            inner[0] = (scene, (scene.parent / "robot.xml"))
            cache.keep_text(inner[0][1], "in use")
        return made

    monkeypatch.setattr(cache, "conversion", slow)
    late = cache.converted_scene(source)
    scene, robot = inner[0]
    assert late == scene
    assert robot.read_text() == "in use"


def remove(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def spoil(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [remove, empty, spoil])
@pytest.mark.parametrize("which", ["*.xml", "files/*.msh", cache.LIST_FILE])
def test_a_damaged_conversion_is_made_again(folder, source, damage, which):
    scene = cache.converted_scene(source)
    whole = files_of(scene)
    damage(next(iter(sorted(scene.parent.glob(which)))))
    assert cache.converted_scene(source) == scene
    assert files_of(scene) == whole


WRITER = """
import pathlib, sys, time
from pyrep_mujoco.whole_files import writing
with writing(pathlib.Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def start_writer():
    """Return a function that starts a process which is in the middle of writing a file."""
    started = []

    def start(path):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(cache.__file__).parents[2])},
        )
        started.append(process)
        assert process.stdout.readline() == b"writing\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_what_killed_processes_left_goes_when_the_folder_is_filled_again(
    folder, source, start_writer
):
    scene = cache.converted_scene(source)
    listed, mesh = scene.parent / cache.LIST_FILE, next(scene.parent.glob("files/*.msh"))
    for path in (listed, mesh):
        killed = start_writer(path)
        killed.kill()
        killed.wait()
    start_writer(scene)  # this one is alive
    assert len(list(folder.rglob(".*"))) == 3
    listed.unlink()  # the killed process had not come so far
    assert cache.converted_scene(source) == scene
    assert [path.name.split(".")[1] for path in folder.rglob(".*")] == [scene.stem]


def test_what_is_complete_is_not_converted_again(folder, source, monkeypatch):
    scene = cache.converted_scene(source)
    monkeypatch.setattr(cache, "conversion", None)
    assert cache.converted_scene(source) == scene
    cache.keep_text(scene.parent / "robot.xml", "one")
    cache.keep_text(scene.parent / "robot.xml", "two")
    assert (scene.parent / "robot.xml").read_text() == "two"


def test_the_scene_has_the_name_of_its_file(folder, source):
    assert cache.converted_scene(source).name == "two_boxes.xml"


def test_other_users_may_read_what_is_kept(folder, source):
    mask = os.umask(0o022)
    try:
        scene = cache.converted_scene(source)
    finally:
        os.umask(mask)
    assert {p.stat().st_mode & 0o777 for p in scene.parent.rglob("*") if p.is_file()} == {0o644}


@pytest.mark.parametrize("place", ["/proc/nope", "a file"])
def test_a_folder_that_cannot_be_used_is_one_line(source, tmp_path, monkeypatch, place):
    (tmp_path / "a file").write_text("")
    place = str(tmp_path / place)
    monkeypatch.setenv("RLBENCH_CACHE", place)
    with pytest.raises(CacheError) as caught:
        cache.converted_scene(source)
    line = str(caught.value)
    assert line.startswith(f"{place}: converted scenes cannot be kept there: ")
    assert line.endswith("set RLBENCH_CACHE to a folder that can be written")
    assert "\n" not in line


@pytest.mark.skipif("RLBENCH_ROOT" not in os.environ, reason="RLBENCH_ROOT names no checkout")
def test_a_damaged_robot_is_driven_again(folder):
    root = Path(os.environ["RLBENCH_ROOT"]) / "rlbench" / "robot_ttms"
    driven = robots.converted_robot(root).mjcf
    text = driven.read_text()
    driven.write_text("")
    assert robots.converted_robot(root).mjcf == driven
    assert driven.read_text() == text


def test_converting_replaces_a_folder_only_when_told(source, tmp_path):
    out = tmp_path / "out"
    convert(source, out)
    (out / "own").write_text("")
    with pytest.raises(OSError, match="not empty"):
        convert(source, out)
    assert (out / "own").exists()
    convert(source, out, replace=True)
    assert not (out / "own").exists()


def test_what_a_scene_misses_is_said_once_in_a_process(
    folder, tmp_path, monkeypatch, caplog, capsys
):
    path = tmp_path / "poster.ttm"
    poster = tf.shape("poster", 1, geometry=tf.leaf(Toj=tf.texture_use(99)))
    path.write_bytes(tf.ttm(tf.buffers(), poster))
    line = f"{path}: 'poster': its texture 99 is not in the file: drawn without"
    for _ in range(2):
        monkeypatch.setattr(cache, "told_folders", set())  # another process: the first converts
        caplog.clear()
        cache.converted_scene(path)
        cache.converted_scene(path)
        assert [record.getMessage() for record in caplog.records] == [line]
    assert main([str(path), "-o", str(tmp_path / "out")]) == 0
    assert line in capsys.readouterr().err.splitlines()
