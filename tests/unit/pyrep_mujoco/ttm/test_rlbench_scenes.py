"""RLBench's own scenes, converted: where things are, and that they stay there."""

import os
from pathlib import Path

import mujoco
import numpy as np
import pytest

from pyrep_mujoco.robots.arm import Arm
from pyrep_mujoco.robots.gripper import Gripper
from pyrep_mujoco.ttm.reading.model import Joint, ProximitySensor, Shape
from pyrep_mujoco.ttm.reading.reader import read_scene
from pyrep_mujoco.ttm.to_mjcf import SCENE_FILE, convert, main
from rlbench.cameras import CAMERAS, mujoco_camera
from rlbench.engines.mujoco import MujocoEngine
from tests.benchmarks.scene_movements import UNEXPLAINED, StartedScene, overlaps

SAMPLES = Path(__file__).resolve().parents[5] / "shared" / "rlbench_ttm_samples"
ROOT = os.environ.get("RLBENCH_ROOT")
SCENES = sorted(p for p in SAMPLES.glob("*.ttm") if p.stem != "panda")
if ROOT:
    SCENES = sorted((Path(ROOT) / "rlbench" / "task_ttms").glob("*.ttm"))
MOVES = {
    "beat_the_buzz": "in the air",
    "empty_dishwasher": "in the air",
    "move_hanger": "in the air",
    "put_money_in_safe": "in the air",
    "put_toilet_roll_on_stand": "in the air",
    "put_tray_in_oven": "in the air",
    "reach_and_drag": "out of balance",
    "remove_cups": "out of balance",
    "sweep_to_dustpan": "in the air",
    "take_item_out_of_drawer": "in the air",
    "take_off_weighing_scales": "its spring",
    "take_plate_off_colored_dish_rack": "out of balance",
    "take_umbrella_out_of_umbrella_stand": "in the air",
    "weighing_scales": "its spring",
}
"""Scenes in which something moves by more than 5 mm, and why the first of those does."""

needs_samples = pytest.mark.skipif(not SCENES, reason="no ../shared/rlbench_ttm_samples here")


@pytest.fixture(scope="module", params=SCENES, ids=lambda p: p.stem)
def converted(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene") / request.param.stem
    left = convert(request.param, folder).overlaps
    return read_scene(request.param), folder / SCENE_FILE, left


def test_samples_are_there_or_said_to_be_missing():
    if not SCENES:
        pytest.skip("no ../shared/rlbench_ttm_samples here")


@needs_samples
def test_everything_is_where_the_file_has_it(converted):
    scene, path, _ = converted
    model = mujoco.MjModel.from_xml_path(str(path))
    data = mujoco.MjData(model)
    for obj in scene.objects:
        if isinstance(obj, Joint) and obj.kind != "spherical":
            data.qpos[model.joint(obj.name).qposadr[0]] = obj.value
            if not obj.is_cyclic and obj.upper > obj.lower:
                limits = model.joint(obj.name).range
                assert np.allclose(limits, [obj.lower, obj.upper], atol=1e-6), obj.name
    mujoco.mj_kinematics(model, data)
    world = scene.world_poses()
    for obj in scene.objects:
        if isinstance(obj, Joint):
            continue
        body = model.body(obj.name).id
        assert np.allclose(data.xpos[body], world[obj.handle][:3, 3], atol=1e-6), obj.name
        turn = data.xmat[body].reshape(3, 3)
        assert np.allclose(turn, world[obj.handle][:3, :3], atol=1e-6), obj.name


@needs_samples
def test_objects_have_their_kind_and_size(converted):
    scene, path, _ = converted
    engine, world = MujocoEngine(path), scene.world_poses()
    for obj in scene.objects:
        if isinstance(obj, Joint):
            frame = engine.joint(obj.name).get_matrix()
            assert np.allclose(frame, world[obj.handle], atol=1e-6), obj.name
        if isinstance(obj, Shape):
            box = engine.shape(obj.name).get_bounding_box()
            if len(engine.shape(obj.name).geoms):
                assert np.allclose(box, obj.bounding_box, atol=1e-4), obj.name
        elif isinstance(obj, ProximitySensor):
            engine.sensor(obj.name)


@needs_samples
def test_the_scene_rests_unless_it_is_saved_otherwise(converted):
    _, path, left = converted
    name = path.parent.name
    if name != "setup_chess":  # its pieces stand 3 to 7 mm deep in the board
        assert [o for o in left if o.depth > 1e-3] == []
    engine = MujocoEngine(path)
    Gripper(engine).reset()
    Arm(engine).home()
    engine.separate_overlaps()
    assert overlaps(engine) == {}
    start = StartedScene(engine)
    for _ in range(40):
        engine.step()
    assert sum(w.number for w in engine.data.warning) == 0
    reasons = [moved["why"] for moved in start.movements().values()]
    assert UNEXPLAINED not in reasons
    assert bool(reasons) == (name in MOVES), reasons
    if reasons:
        assert MOVES[name] in reasons[0]


@needs_samples
def test_parting_moves_little_and_only_what_overlaps(converted):
    _, path, _ = converted
    engine = MujocoEngine(path)
    Gripper(engine).reset()
    Arm(engine).home()
    free = [b for b in range(engine.model.nbody) if engine.world.is_free(b)]
    before = engine.data.xpos[free].copy()
    stands = {name for pair in overlaps(engine) for name in pair.split("+")}
    engine.separate_overlaps()
    way = np.linalg.norm(engine.data.xpos[free] - before, axis=1)
    assert way.max(initial=0.0) < 7e-3
    if not stands:
        assert way.max(initial=0.0) == 0.0


@pytest.mark.skipif(not (SAMPLES / "base_scene.ttt").is_file(), reason="no base_scene.ttt here")
def test_cameras_of_the_base_scene_are_those_of_the_table(tmp_path):
    out = tmp_path / "base"
    assert main([str(SAMPLES / "base_scene.ttt"), "-o", str(out)]) == 0
    model = mujoco.MjModel.from_xml_path(str(out / SCENE_FILE))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    scene = read_scene(SAMPLES / "base_scene.ttt")
    world = scene.world_poses()
    names = {
        "left_shoulder": "cam_over_shoulder_left",
        "right_shoulder": "cam_over_shoulder_right",
        "overhead": "cam_overhead",
        "front": "cam_front",
    }
    for ours, theirs in names.items():
        position, quat = mujoco_camera(CAMERAS[ours].T_world_cam())
        camera = model.camera(theirs).id
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, quat)
        # The table is rounded to 0.01 mm; the file's own pose is met to 1e-6.
        assert np.allclose(data.cam_xpos[camera], position, atol=1e-5), ours
        assert np.allclose(data.cam_xmat[camera], rotation, atol=1e-5), ours
        sensor = scene.by_name[theirs]
        assert np.allclose(data.cam_xpos[camera], world[sensor.handle][:3, 3], atol=1e-6), ours
        assert model.cam_fovy[camera] == pytest.approx(CAMERAS[ours].fov_deg, abs=1e-4)


@needs_samples
def test_the_command_line(tmp_path, capsys):
    out = tmp_path / "out"
    assert main([str(SCENES[0]), "-o", str(out)]) == 0
    assert str(out / SCENE_FILE) in capsys.readouterr().out
    assert main([str(SCENES[0]), "-o", str(out)]) == 2
    assert "give --force to replace it" in capsys.readouterr().err
    assert main([str(SCENES[0]), "-o", str(out), "--force"]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_the_command_line_refuses_other_files(tmp_path, capsys):
    bad = tmp_path / "bad.ttm"
    bad.write_bytes(b"PK\x03\x04" + bytes(2000))
    assert main([str(bad), "-o", str(tmp_path / "out")]) == 1
    assert "bad.ttm" in capsys.readouterr().err
    assert main([str(tmp_path / "none.ttm"), "-o", str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()
