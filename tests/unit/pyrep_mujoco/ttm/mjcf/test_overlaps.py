"""What overlaps as saved is parted, in a converted file, unless that is not wanted."""

import os
from pathlib import Path

import mujoco
import pytest

from pyrep_mujoco.ttm import to_mjcf
from pyrep_mujoco.ttm.mjcf.contacts import overlaps
from pyrep_mujoco.ttm.mjcf.overlaps import part
from pyrep_mujoco.ttm.mjcf.writer import write_scene
from pyrep_mujoco.ttm.reading import model as ttm
from pyrep_mujoco.ttm.to_mjcf import SCENE_FILE, main
from tests.unit.pyrep_mujoco.ttm.ttm_scenes import at, box, dummy, scene_of, world_of


def sunk(depth, *more):
    """A loose block so deep in a fixed one, a waypoint on it, and a second one beside."""
    return [
        box("stand", 1, pose=at(0, 0, 0.5)),
        box("block", 2, 1, at(0, 0, 0.1 - depth), dynamic=True),
        dummy("waypoint0", 3, 2, at(0, 0, 0.05)),
        box("beside", 4, 1, at(0.03, 0, 0.1995), size=(0.1, 0.1, 0.098), dynamic=True),
        *more,
    ]


def test_what_stands_in_something_is_moved_until_it_touches():
    xml, files, left = write_scene(scene_of(*sunk(4e-3)), "test")
    assert [round(overlap.depth, 4) for overlap in left] == [0.004]
    parted, moved = part(xml, files)
    assert list(moved) == ["block"]
    assert moved["block"] == pytest.approx([0, 0, 4e-3], abs=1e-5)
    assert [o for o in overlaps(parted, files)[0] if o.depth > 1e-3] == []
    before, after = (mujoco.MjSpec.from_string(x, assets=files).compile() for x in (xml, parted))
    for name in ("stand", "block", "waypoint0", "beside"):
        way = world_of(after, name)[0] - world_of(before, name)[0]
        goes = name in ("block", "waypoint0")
        assert way == pytest.approx(moved["block"] * goes, abs=1e-8), name


@pytest.mark.parametrize("depth", [0.0, 0.9e-3, 12e-3])
def test_what_only_touches_or_is_deep_inside_stays(depth):
    xml, files, _ = write_scene(scene_of(*sunk(depth)), "test")
    assert part(xml, files) == (xml, {})


def test_what_is_bonded_stays_where_it_is():
    sensor = ttm.ForceSensor(name="sensor", handle=5, parent=1, pose=at(0.2, 0, 0))
    cap = box("cap", 6, 5, at(-0.103, 0, 0), dynamic=True)
    xml, files, left = write_scene(scene_of(*sunk(0.0, sensor, cap)), "test")
    assert [(o.first, o.second) for o in left if o.depth > 1e-3] == [("cap", "stand")]
    assert part(xml, files)[1] == {}


@pytest.mark.parametrize(
    ("options", "told"), [((), "moved by 4.0 mm"), (("--as_saved",), "4.0 mm as saved")]
)
def test_the_command_parts_unless_the_scene_is_wanted_as_saved(
    options, told, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(to_mjcf, "read_scene", lambda _: scene_of(*sunk(4e-3)))
    assert main(["scene.ttm", "-o", str(tmp_path / "out"), *options]) == 0
    assert told in capsys.readouterr().out
    model = mujoco.MjModel.from_xml_path(str(tmp_path / "out" / SCENE_FILE))
    height = world_of(model, "block")[0][2]
    assert height == pytest.approx(0.6 - 4e-3 * bool(options), abs=1e-5)


@pytest.mark.skipif("RLBENCH_ROOT" not in os.environ, reason="RLBENCH_ROOT names no checkout")
def test_the_chess_pieces_come_out_of_their_board(tmp_path, capsys):
    source = Path(os.environ["RLBENCH_ROOT"]) / "rlbench" / "task_ttms" / "setup_chess.ttm"
    saved, parted = tmp_path / "saved", tmp_path / "parted"
    assert main([str(source), "-o", str(saved), "--as_saved"]) == 0
    assert "overlap by 6.7 mm as saved" in capsys.readouterr().out
    assert main([str(source), "-o", str(parted)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "black_kingside_knight_dynamic is moved by 6.7 mm, out of what it stood in" in lines
    assert len(lines) == 18 + 1
    poses = []
    for folder in (saved, parted):
        model = mujoco.MjModel.from_xml_path(str(folder / SCENE_FILE))
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        poses.append((data.xpos.copy(), max((-c.dist for c in data.contact), default=0.0)))
    assert poses[0][1] > 6e-3
    assert poses[1][1] < 1e-3
    way = poses[1][0] - poses[0][0]
    assert abs(way[:, :2]).max() < 1e-6
    assert way[:, 2].min() > -1e-6
    assert way[:, 2].max() < 7e-3
