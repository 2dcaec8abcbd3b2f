"""The scene files say what the facts about RLBench's own scenes say."""

import itertools
import json
from pathlib import Path

import mujoco
import numpy as np
import pytest

from pyrep_mujoco.scene.compose import compose
from rlbench.engines.mujoco import BASE_SCENE, PANDA
from rlbench.tasks import AVAILABLE, builtin_scene

ROOT = Path(__file__).resolve().parents[4]
FACTS = ROOT.parent / "shared" / "rlbench_scene_facts"
HOME_TIP = (0.27812, -0.00818, 1.47321)
BASE = (-0.26796, -0.00639, 0.75003)
# Modified DH rows (a, alpha, d) of Franka's Panda; the eighth is the flange.
DH = (
    (0.0, 0.0, 0.333),
    (0.0, -np.pi / 2, 0.0),
    (0.0, np.pi / 2, 0.316),
    (0.0825, np.pi / 2, 0.0),
    (-0.0825, -np.pi / 2, 0.384),
    (0.0, np.pi / 2, 0.0),
    (0.088, np.pi / 2, 0.0),
    (0.0, 0.0, 0.107),
)
ARM = tuple(f"Panda_joint{i}" for i in range(1, 8))
WITHOUT_FACTS = {"meat_off_grill", "put_shoes_in_box"}
NOT_IN_SCENES = {"camera", "joint", "vision_sensor", "light", "force_sensor"}


@pytest.fixture(scope="module", params=AVAILABLE)
def scene(request):
    """(task, model, notes, data at the saved joint values)."""
    model, notes = compose(builtin_scene(request.param), PANDA, BASE_SCENE)
    data = mujoco.MjData(model)
    for name, value in notes.joint_values.items():
        data.joint(name).qpos[0] = value
    mujoco.mj_forward(model, data)
    return request.param, model, notes, data


def read_facts(name):
    if name in WITHOUT_FACTS:
        pytest.skip(f"there are no facts of a scene {name}: it is built from those of others")
    path = FACTS / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"the facts file {path.name} is not beside this repository")
    return {o["name"]: o for o in json.loads(path.read_text())}


def matrix(pos, quat_wxyz):
    rot = np.empty(9)
    mujoco.mju_quat2Mat(rot, np.array(quat_wxyz) / np.linalg.norm(quat_wxyz))
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = rot.reshape(3, 3), pos
    return out


def joint_motion(fact):
    """The motion (4, 4) that a fact's own joint value adds between it and its children."""
    if fact["type"] != "joint":
        return np.eye(4)
    value = fact["position"]
    if fact["kind"] == "revolute":
        return matrix((0, 0, 0), (np.cos(value / 2), 0, 0, np.sin(value / 2)))
    return matrix((0, 0, value), (1, 0, 0, 0))


def world_poses(facts):
    """Chain local poses; a parent may stand after its children in the file."""
    poses = {}

    def pose_of(name):
        if name not in poses:
            fact = facts[name]
            local = matrix(fact["local_pos"], fact["local_quat_wxyz"])
            parent = fact["parent"]
            if parent is not None:
                local = pose_of(parent) @ joint_motion(facts[parent]) @ local
            poses[name] = local
        return poses[name]

    return {name: pose_of(name) for name in facts}


def dh_chain(q):
    pose = np.eye(4)
    pose[:3, 3] = BASE
    for (a, alpha, d), angle in zip(DH, (*q, 0.0), strict=True):
        ca, sa, ct, st = np.cos(alpha), np.sin(alpha), np.cos(angle), np.sin(angle)
        pose = pose @ np.array(
            [
                [ct, -st, 0, a],
                [st * ca, ct * ca, -sa, -d * sa],
                [st * sa, ct * sa, ca, d * ca],
                [0, 0, 0, 1],
            ]
        )
    return pose


def assert_same_pose(data, name, expected, tolerance=1e-4):
    body = data.body(name)
    np.testing.assert_allclose(body.xpos, expected[:3, 3], atol=tolerance, err_msg=name)
    np.testing.assert_allclose(
        body.xmat.reshape(3, 3), expected[:3, :3], atol=2 * tolerance, err_msg=name
    )


@pytest.mark.parametrize("part", ["base_scene.xml", "robot_mjcf/panda.xml"])
def test_shared_files_compile_alone(part):
    package = builtin_scene("reach_target").parent.parent
    mujoco.MjModel.from_xml_path(str(package / part))


@pytest.mark.parametrize("task", AVAILABLE)
def test_task_files_compile_alone(task):
    mujoco.MjModel.from_xml_path(str(builtin_scene(task)))


def test_arm_has_franka_kinematics():
    model, _ = compose(builtin_scene("reach_target"), PANDA, BASE_SCENE)
    data = mujoco.MjData(model)
    rng = np.random.default_rng(3)
    turn = matrix((0, 0, 0.0184), (np.cos(np.pi / 8), 0, 0, -np.sin(np.pi / 8)))
    for _ in range(50):
        q = [rng.uniform(*model.joint(name).range) for name in ARM]
        for name, value in zip(ARM, q, strict=True):
            data.joint(name).qpos[0] = value
        mujoco.mj_kinematics(model, data)
        flange = dh_chain(q)
        np.testing.assert_allclose(data.site("Panda_flange").xpos, flange[:3, 3], atol=1e-9)
        assert_same_pose(data, "Panda_gripper", flange @ turn, 5e-9)


def test_home_tip_is_where_rlbench_has_it(scene):
    _, _, _, data = scene
    np.testing.assert_allclose(data.body("Panda_tip").xpos, HOME_TIP, atol=1e-3)


def test_arm_frames_match_the_facts(scene):
    _, _, _, data = scene
    facts = read_facts("_base_scene")
    poses = world_poses(facts)
    for name in ("Panda_gripper", "Panda_tip", "Panda_gripper_attachProxSensor"):
        assert_same_pose(data, name, poses[name], 1.2e-3)
    for i in range(1, 8):
        expected = poses[f"Panda_joint{i}"][:3, 3]
        np.testing.assert_allclose(data.joint(f"Panda_joint{i}").xanchor, expected, atol=1e-3)
    for side in ("left", "right"):
        expected = poses[f"Panda_{side}finger_respondable"][:3, 3]
        np.testing.assert_allclose(data.body(f"Panda_{side}finger").xpos, expected, atol=1.2e-3)
    gripper = np.linalg.inv(poses["Panda_gripper"])
    for name in ("Panda_tip", "Panda_gripper_attachProxSensor"):
        ours = np.linalg.inv(
            matrix(data.body("Panda_gripper").xpos, data.body("Panda_gripper").xquat)
        )
        ours = ours @ matrix(data.body(name).xpos, data.body(name).xquat)
        np.testing.assert_allclose(ours, gripper @ poses[name], atol=5e-5, err_msg=name)


def test_arm_limits_and_forces(scene):
    _, model, _, _ = scene
    facts = read_facts("_base_scene")
    for i, name in enumerate(ARM):
        fact = facts[name]
        shift = 0.0698 if i == 3 else 0.0
        low, high = model.joint(name).range
        assert low == pytest.approx(fact["min"] + shift, abs=1e-4)
        assert high == pytest.approx(fact["min"] + fact["range"] + shift, abs=2e-4)
        force = model.actuator(name).forcerange
        assert tuple(force) == (-fact["max_force"], fact["max_force"])
    for name in ("Panda_gripper_joint1", "Panda_gripper_joint2"):
        assert tuple(model.joint(name).range) == (0.0, 0.04)
        assert tuple(model.actuator(name).forcerange) == (-20.0, 20.0)


def test_nothing_touches_at_the_start_but_blocks_on_the_table(scene):
    _, model, _, data = scene
    for contact in data.contact:
        names = {model.body(model.geom_bodyid[g]).name for g in contact.geom}
        assert "diningTable" in names
        assert not any(name.startswith("Panda") for name in names), names


def test_arm_holds_its_pose(scene):
    _, model, notes, data = scene
    copy = mujoco.MjData(model)
    copy.qpos[:] = data.qpos
    for i in range(model.nu):
        name = model.actuator(i).name
        copy.ctrl[i] = notes.joint_values.get(name, 0.0)
    mujoco.mj_step(model, copy, 250)
    mujoco.mj_forward(model, copy)
    drift = np.linalg.norm(copy.body("Panda_tip").xpos - data.body("Panda_tip").xpos)
    assert drift < 1e-4
    assert np.abs(copy.qvel).max() < 1e-2


def test_objects_have_the_poses_of_the_facts(scene):
    task, model, notes, data = scene
    facts = read_facts(task)
    poses = world_poses(facts)
    for name, fact in facts.items():
        if fact["type"] == "joint":
            joint = data.joint(name)
            np.testing.assert_allclose(joint.xanchor, poses[name][:3, 3], atol=1e-4)
            np.testing.assert_allclose(joint.xaxis, poses[name][:3, 2], atol=2e-4)
            low, high = model.joint(name).range
            assert (low, high - low) == pytest.approx((fact["min"], fact["range"]), abs=1e-4)
            assert notes.joint_values.get(name, 0.0) == pytest.approx(fact["position"])
            dof = model.joint(name).dofadr[0]
            assert model.dof_frictionloss[dof] == pytest.approx(fact["max_force"])
        else:
            assert_same_pose(data, name, poses[name])


def test_tree_is_that_of_the_facts(scene):
    task, model, notes, _ = scene
    facts = read_facts(task)
    for name, fact in facts.items():
        if fact["type"] == "joint":
            continue
        parent = fact["parent"]
        if parent is not None and facts[parent]["type"] == "joint":
            assert model.body(model.jnt_bodyid[model.joint(parent).id]).name == name
            parent = facts[parent]["parent"]
        mjcf_parent = model.body(model.body(name).parentid[0]).name
        assert notes.parents.get(name, mjcf_parent) == (parent or "world"), name


def test_annotations_are_those_of_the_facts(scene):
    task, _, notes, _ = scene
    facts = read_facts(task)
    for name, fact in facts.items():
        assert notes.extensions.get(name) == fact.get("extension_string"), name
        if fact["type"] == "proximity_sensor":
            kind, *fields = notes.sensors[name].split()
            assert kind == fact["volume"]["type"]
            for field in fields:
                key, _, value = field.partition("=")
                assert float(value) == pytest.approx(fact["volume"][key], abs=1e-4), key
        if fact["type"] == "shape":
            assert ("respondable" in notes.flags[name]) == fact["respondable"], name


def corners(model, body):
    """All corner points of a body's geoms, in the body's frame."""
    for g in range(
        model.body(body).geomadr[0], model.body(body).geomadr[0] + model.body(body).geomnum[0]
    ):
        turn = matrix(model.geom_pos[g], model.geom_quat[g])
        if model.geom_type[g] == mujoco.mjtGeom.mjGEOM_MESH:
            mesh = model.mesh(model.geom_dataid[g])
            start = mesh.vertadr[0]
            points = model.mesh_vert[start : start + mesh.vertnum[0]]
            yield from points @ turn[:3, :3].T + turn[:3, 3]
            continue
        size = model.geom_size[g].copy()
        if model.geom_type[g] == mujoco.mjtGeom.mjGEOM_SPHERE:
            size[:] = size[0]
        elif model.geom_type[g] == mujoco.mjtGeom.mjGEOM_CYLINDER:
            size = np.array([size[0], size[0], size[1]])
        for signs in itertools.product((-1, 1), repeat=3):
            yield turn[:3, :3] @ (size * signs) + turn[:3, 3]


def test_shapes_have_the_size_mass_and_colour_of_the_facts(scene):
    task, model, _, _ = scene
    for name, fact in read_facts(task).items():
        if fact["type"] != "shape":
            continue
        points = np.array(list(corners(model, name)))
        # Meshes are redrawn from boxes: their outline is matched to a few millimetres.
        drawn = any(part["primitive"] is None for part in fact["parts"])
        tolerance = 0.004 if drawn else 2e-4
        np.testing.assert_allclose(
            points.min(0), fact["bbox_local_min"], atol=tolerance, err_msg=name
        )
        np.testing.assert_allclose(
            points.max(0), fact["bbox_local_max"], atol=tolerance, err_msg=name
        )
        body = model.body(name)
        if not fact["static"]:
            assert body.mass[0] == pytest.approx(fact["mass_kg"], rel=1e-3)
        if len(fact["parts"]) == 1 and fact["visible"] and not drawn and "shelf" not in name:
            colour = model.geom_rgba[body.geomadr[0]][:3]
            np.testing.assert_allclose(colour, fact["parts"][0]["rgb"], atol=1e-3, err_msg=name)


def test_base_scene_bodies_match_the_facts(scene):
    _, model, _, data = scene
    facts = read_facts("_base_scene")
    poses = world_poses(facts)
    names = {model.body(i).name for i in range(model.nbody)}
    found = 0
    for name, fact in facts.items():
        ours = not name.startswith("Panda") and fact["type"] not in NOT_IN_SCENES
        if ours and name in names:
            assert_same_pose(data, name, poses[name])
            found += 1
    assert found == 12


def test_the_table_is_as_solid_as_the_facts_say_and_drawn_smaller(scene):
    _, model, _, data = scene
    facts = read_facts("_base_scene")
    fact = facts["customizableTable_forwarder"]  # of an older base scene, whose table was a slab
    assert_same_pose(data, "diningTable", world_poses(facts)["customizableTable_forwarder"])
    points = np.array(list(corners(model, "diningTable")))
    np.testing.assert_allclose(points.min(0), fact["bbox_local_min"], atol=1e-4)
    np.testing.assert_allclose(points.max(0), fact["bbox_local_max"], atol=1e-4)
    solid = model.geom(int(model.body("diningTable").geomadr[0]))
    assert (int(solid.contype[0]), int(solid.conaffinity[0]), int(solid.group[0])) == (1, 1, 3)

    # The drawn top as recorded pictures show it, at the height of the solid one.
    top = (
        np.array(list(corners(model, "diningTable_visible")))
        + data.body("diningTable_visible").xpos
    )
    np.testing.assert_allclose(top.min(0)[:2], (-0.5, -0.55), atol=1e-9)
    np.testing.assert_allclose(top.max(0)[:2], (1.1, 0.55), atol=1e-9)
    assert top.max(0)[2] == pytest.approx(points.max(0)[2] + data.body("diningTable").xpos[2])
    drawn = [b for b in range(model.nbody) if model.body(b).name.startswith("diningTable_")]
    for g in np.flatnonzero(np.isin(model.geom_bodyid, drawn)):
        assert model.geom_contype[g] == model.geom_conaffinity[g] == 0
        assert model.geom_group[g] == 0


def test_floor_and_walls_are_drawn_where_they_are_recorded():
    model, _ = compose(builtin_scene("reach_target"), PANDA, BASE_SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    floor = model.body("Floor").geomadr[0]
    np.testing.assert_allclose(data.geom_xpos[floor], 0, atol=1e-4)
    np.testing.assert_allclose(data.geom_xmat[floor][6:], (0, 0, 1), atol=1e-6)
    behind = model.body("Wall3").geomadr[0]
    np.testing.assert_allclose(data.geom_xpos[behind][0], -2.5, atol=1e-4)


def test_boundaries_are_never_drawn_nor_solid(scene):
    _, model, _, _ = scene
    for i in range(model.nbody):
        name = model.body(i).name
        if "boundary" in name or name in {"workspace", "fridge_root"}:
            geom = model.body(i).geomadr[0]
            assert model.geom_group[geom] == 4
            assert model.geom_contype[geom] == model.geom_conaffinity[geom] == 0


def test_closing_the_fridge_is_free_of_obstacles():
    model, _ = compose(builtin_scene("close_fridge"), PANDA, BASE_SCENE)
    data = mujoco.MjData(model)
    for angle in np.linspace(0, 1.57, 12):
        data.joint("top_joint").qpos[0] = angle
        data.joint("bottom_joint").qpos[0] = angle
        mujoco.mj_forward(model, data)
        touching = {model.body(model.geom_bodyid[g]).name for c in data.contact for g in c.geom}
        assert not touching & {"door_top", "door_bottom"}
