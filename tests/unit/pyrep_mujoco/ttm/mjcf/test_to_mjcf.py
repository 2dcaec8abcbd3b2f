"""Decoded scenes become MJCF: bodies, joints, masses, contacts, annotations."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from pyrep_mujoco.scene.compose import compose
from pyrep_mujoco.transforms import euler_to_matrix, transform
from pyrep_mujoco.ttm.mjcf.writer import write_scene
from pyrep_mujoco.ttm.reading import model as ttm
from pyrep_mujoco.ttm.reading import parts
from rlbench.backend.exceptions import SceneError
from rlbench.engines.mujoco import BASE_SCENE, PANDA
from tests.unit.pyrep_mujoco.ttm.ttm_scenes import (
    CORNERS,
    FACES,
    GREY,
    at,
    box,
    compiled,
    dummy,
    engine_of,
    joint,
    scene_of,
    world_of,
)


def test_static_shapes_nest_and_dynamic_ones_are_free():
    model, texts, _ = compiled(
        dummy("root", 1, pose=at(0.25, 0, 0.75)),
        box("table", 2, 1, at(0.1, 0, 0)),
        box("cube", 3, 2, at(0, 0, 0.2), dynamic=True),
        dummy("waypoint0", 4, 3, at(0, 0, 0.05), extension="close_gripper()"),
    )
    assert model.body("table").parentid == model.body("root").id
    assert model.body("cube").parentid == 0
    assert model.njnt == 1
    assert texts["parent:cube"] == "table"
    assert texts["ext:waypoint0"] == "close_gripper()"
    assert np.allclose(world_of(model, "waypoint0")[0], [0.35, 0, 1.0], atol=1e-9)


def test_a_hinge_turns_about_its_own_axis_from_zero():
    turn = np.array([[1, 0, 0, 0.3], [0, 0, -1, 0], [0, 1, 0, 0.1], [0, 0, 0, 1.0]])
    objects = [
        box("base", 1, pose=at(0, 0, 1)),
        joint("hinge", 2, 1, turn, value=0.7, lower=-0.2, upper=0.9),
        box("lid", 3, 2, at(0.05, 0.02, 0), dynamic=True),
    ]
    scene = scene_of(*objects)
    model, texts, _ = compiled(*objects)
    assert np.allclose(model.joint("hinge").range, [-0.2, 0.9])
    assert float(texts["qpos:hinge"]) == pytest.approx(0.7)
    expected = scene.world_poses()[3]
    position, rotation = world_of(model, "lid", hinge=0.7)
    assert np.allclose(position, expected[:3, 3], atol=1e-8)
    assert np.allclose(rotation, expected[:3, :3], atol=1e-8)


def test_all_children_of_a_joint_follow_it():
    objects = [
        box("base", 1),
        joint("slide", 2, 1, at(0.2), kind="prismatic", upper=0.4, lower=0.0, value=0.3),
        dummy("waypoint1", 3, 2, at(0, 0.1)),
        box("drawer", 4, 2, at(0, 0, 0.2), dynamic=True),
        box("handle", 5, 2, at(0, 0.3, 0.2), is_respondable=False),
    ]
    scene = scene_of(*objects)
    model, _, _ = compiled(*objects)
    for handle, name in ((3, "waypoint1"), (4, "drawer"), (5, "handle")):
        position, _ = world_of(model, name, slide=0.3)
        assert np.allclose(position, scene.world_poses()[handle][:3, 3], atol=1e-9), name


@pytest.mark.parametrize("kind", ["revolute", "prismatic", "spherical"])
def test_a_joint_keeps_its_own_frame_and_moves_by_it(tmp_path, kind):
    turn = transform(np.array([0.2, 0.0, 0.3]), euler_to_matrix(np.array([0.4, -0.7, 2.1])))
    link = transform(np.array([0.0, 0.1, 0.05]), euler_to_matrix(np.array([-1.0, 0.2, 0.3])))
    extra = {"value": 0.3, "lower": 0.0, "upper": 0.5}
    if kind == "spherical":
        extra = {"quaternion": np.array([0.9, 0.1, 0.2, 0.3])}
    objects = (
        box("base", 1, None, at(0.1)),
        joint("j", 2, 1, turn, kind=kind, **extra),
        box("arm", 3, 2, link, dynamic=True),
        dummy("mark", 4, 3, at(0.1, 0.2)),
    )
    truth = scene_of(*objects).world_poses()
    engine = engine_of(tmp_path, *objects)
    hinge, arm, mark = engine.joint("j"), engine.shape("arm"), engine.dummy("mark")
    assert np.allclose(hinge.get_matrix(), truth[2], atol=1e-6)
    assert np.allclose(arm.get_matrix(), truth[3], atol=1e-6)
    hinge.set_pose(hinge.get_pose())
    assert np.allclose(arm.get_matrix(), truth[3], atol=1e-6)
    hinge.set_position([0.5, 0.0, 1.0])
    hinge.rotate([0.1, 0.2, -0.5])
    goal = transform(
        np.array([0.5, 0.0, 1.0]),
        truth[2][:3, :3] @ euler_to_matrix(np.array([0.1, 0.2, -0.5])),
    )
    assert np.allclose(hinge.get_matrix(), goal, atol=1e-6)
    for obj, handle in ((arm, 3), (mark, 4)):
        before = np.linalg.inv(truth[2]) @ truth[handle]
        assert np.allclose(obj.get_matrix(hinge), before, atol=1e-6)
    assert np.allclose(engine.shape("base").get_matrix(), truth[1], atol=1e-6)


def test_messages_name_the_folder_of_a_converted_scene(tmp_path):
    (tmp_path / "open_box").mkdir()
    engine = engine_of(tmp_path / "open_box", box("base", 1))
    with pytest.raises(SceneError, match="^open_box has no shape named 'nope'; it has"):
        engine.shape("nope")


def test_a_solid_sheet_is_as_thin_as_it_is_drawn(tmp_path):
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) / 10
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    part = parts.Part(
        "board",
        corners,
        faces,
        np.zeros((2, 3, 3)),
        np.eye(4),
        None,
        GREY,
        None,
        False,
        False,
        False,
        0.5,
    )
    engine = engine_of(tmp_path, box("base", 1), box("board", 2, parts=[part], is_convex=False))
    board = engine.shape("board")
    assert {1, 3} <= set(engine.model.geom_group[board.geoms])
    assert np.allclose(board.get_bounding_box(), [-0.1, 0.1, -0.1, 0.1, 0, 0], atol=1.1e-4)
    assert np.abs(board.triangles[..., 2]).max() < 1.1e-4


@pytest.mark.parametrize("text", ["0 0 1", "a b c d", "0 0 0 0"])
def test_a_joint_frame_that_is_no_quaternion_is_one_line(tmp_path, text):
    engine_of(tmp_path, box("base", 1), joint("j", 2, 1), box("arm", 3, 2, dynamic=True))
    path = tmp_path / "scene.xml"
    path.write_text(path.read_text().replace('frame:j" data="0 0 0 1"', f'frame:j" data="{text}"'))
    with pytest.raises(SceneError, match=f"frame:j = {text}: it must be a quaternion"):
        compose(path, PANDA, BASE_SCENE)


def test_a_cylinder_measures_what_its_polygon_does_and_collides_as_a_circle(tmp_path):
    angles = np.arange(8) * np.pi / 4 + np.pi / 8
    ring = np.stack([0.1 * np.cos(angles), 0.1 * np.sin(angles)], axis=1)
    corners = np.concatenate([np.insert(ring, 2, z, axis=1) for z in (-0.05, 0.05)])
    faces = np.array([[i, (i + 1) % 8, 8 + i] for i in range(8)], np.int32)
    part = replace(
        box("any", 1).parts[0],
        vertices=corners,
        faces=faces,
        primitive=parts.Primitive("cylinder", np.array([0.2, 0.2, 0.1]), 0.0),
    )
    engine = engine_of(tmp_path, box("base", 1), box("rod", 2, parts=[part]))
    rod = engine.shape("rod")
    reach = 0.1 * np.cos(np.pi / 8)
    assert np.allclose(
        rod.get_bounding_box(), [-reach, reach, -reach, reach, -0.05, 0.05], atol=1e-8
    )
    assert [mujoco.mjtGeom(t) for t in engine.model.geom_type[rod.solid_geoms]] == [
        mujoco.mjtGeom.mjGEOM_CYLINDER
    ]


@pytest.mark.parametrize("text", ["0 1 0 1 0", "1 0 0 1 0 1", "a"])
def test_a_box_that_is_none_is_one_line(tmp_path, text):
    xml = f'<mujoco><custom><text name="box:rod" data="{text}"/></custom></mujoco>'
    (tmp_path / "scene.xml").write_text(xml)
    with pytest.raises(SceneError, match=f"box:rod = {text}: it must be xmin xmax"):
        compose(tmp_path / "scene.xml", PANDA, BASE_SCENE)


def test_a_joint_without_a_shape_gets_a_body_and_stays_put():
    model, _, _ = compiled(
        box("base", 1), joint("dial", 2, 1, at(0.2)), dummy("mark", 3, 2, at(0.1))
    )
    assert model.dof_frictionloss[model.joint("dial").dofadr[0]] >= 100
    assert np.allclose(world_of(model, "mark", dial=np.pi / 2)[0], [0.2, 0.1, 0], atol=1e-9)


def test_a_dynamic_shape_whose_joint_hangs_on_a_dummy_is_free():
    model, _, _ = compiled(dummy("root", 1), joint("j", 2, 1), box("b", 3, 2, dynamic=True))
    assert model.body("b").jntnum == 1
    assert model.jnt_type[model.body("b").jntadr[0]] == mujoco.mjtJoint.mjJNT_FREE


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, {"frictionloss": 1e-4, "actuators": 0}),
        ({"motor_on": True, "max_force": 2.5}, {"frictionloss": 2.5, "actuators": 0}),
        (
            {"motor_on": True, "position_loop": True, "target_position": 0.3},
            {"frictionloss": 0.0, "actuators": 1},
        ),
        ({"motor_on": True, "target_velocity": 0.5}, {"frictionloss": 0.0, "actuators": 1}),
        ({"mode": "passive"}, {"frictionloss": 1000.0, "actuators": 0}),
        ({"mode": "passive", "is_hybrid": True}, {"frictionloss": 1e-4, "actuators": 0}),
    ],
)
def test_motors(extra, expected):
    model, _, _ = compiled(
        box("base", 1), joint("j", 2, 1, at(0.2), **extra), box("b", 3, 2, dynamic=True)
    )
    assert model.dof_frictionloss[0] == expected["frictionloss"]
    assert model.nu == expected["actuators"]


def test_a_light_hinge_coasts_and_a_heavy_one_is_held_by_friction():
    light, _, _ = compiled(
        box("base", 1), joint("j", 2, 1), box("b", 3, 2, size=(0.01,) * 3, mass=0.1, dynamic=True)
    )
    light.opt.gravity[:] = 0
    data = mujoco.MjData(light)
    data.qvel[0] = 1.0
    for _ in range(100):  # 0.2 s
        mujoco.mj_step(light, data)
    assert 0.6 < data.qvel[0] < 1.0
    door = box("b", 3, 2, at(1.0), mass=20.0, dynamic=True)
    heavy, _, _ = compiled(box("base", 1), joint("j", 2, 1), door)
    assert heavy.dof_frictionloss[0] == heavy.dof_damping[0] == 0.01


def test_a_position_motor_goes_to_its_target_and_a_spring_pulls():
    for extra in (
        {"position_loop": True, "max_force": 50.0},
        {"position_loop": True, "spring_loop": True, "spring": np.array([20.0, 1.0])},
    ):
        hinge = joint("j", 2, 1, motor_on=True, target_position=0.4, **extra)
        model, _, _ = compiled(box("base", 1), hinge, box("b", 3, 2, dynamic=True))
        model.opt.gravity[:] = 0
        data = mujoco.MjData(model)
        for _ in range(2000):
            mujoco.mj_step(model, data)
        assert data.qpos[0] == pytest.approx(0.4, abs=0.02)


def test_a_dependent_joint_follows_its_master():
    model, _, _ = compiled(
        box("base", 1),
        joint("master", 2, 1, at(0.5)),
        box("a", 3, 2, dynamic=True),
        joint("slave", 4, 1, at(-0.5), mode="dependent", master=(2, -2.0, 0.1)),
        box("b", 5, 4, dynamic=True),
    )
    assert model.neq == 1
    assert np.allclose(model.eq_data[0, :3], [0.1, -2.0, 0])


def test_impossible_inertia_is_made_possible_and_small_masses_grow():
    wrong = 0.5 * np.array([0.005, 0.00667, 0.02])
    model, _, _ = compiled(
        box("plate", 1, size=(0.4, 0.3, 0.1), dynamic=True, principal_moments=wrong),
        box("crumb", 2, pose=at(1), dynamic=True, mass=1e-7, principal_moments=np.full(3, 1e-15)),
    )
    expected = 0.8 * 0.5 / 12 * np.array([0.3**2 + 0.1**2, 0.4**2 + 0.1**2, 0.4**2 + 0.3**2])
    assert np.allclose(np.sort(model.body("plate").inertia), np.sort(expected))
    assert model.body("crumb").mass[0] >= 1e-3


def touching(model):
    """Return the pairs of names of bodies that touch at the start."""
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return {
        tuple(sorted(model.body(model.geom_bodyid[g]).name for g in contact.geom))
        for contact in data.contact
    }


def test_what_joints_hold_does_not_collide_and_what_overlaps_is_told():
    model, _, left = compiled(
        box("base", 1),
        joint("hinge", 2, 1),
        box("door", 3, 2, at(0.05), dynamic=True),
        box("cube", 4, pose=at(0, 0, 0.097), dynamic=True),
    )
    pairs = touching(model)
    assert pairs == {("base", "cube"), ("cube", "door")}
    assert {(o.first, o.second) for o in left} == {("base", "cube"), ("cube", "door")}
    assert left[0].depth == pytest.approx(0.003, abs=2e-4)


def test_free_bodies_deep_inside_each_other_are_not_thrown_apart():
    model, _, left = compiled(
        box("first", 1, dynamic=True),
        box("second", 2, pose=at(0.08), dynamic=True),
        box("third", 3, pose=at(0, 0, 0.098), dynamic=True),
    )
    pairs = touching(model)
    assert pairs == {("first", "third"), ("second", "third")}
    assert {(o.first, o.second) for o in left} == pairs


def test_masks_keep_shapes_apart():
    model, _, _ = compiled(
        box("a", 1, respondable_mask=0x0FFF),
        box("b", 2, pose=at(0.05), dynamic=True, respondable_mask=0xF0FF),
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    assert data.ncon == 0


def test_flags_follow_property_bits_layers_and_model_overrides():
    _, texts, _ = compiled(
        box("seen", 1, special=ttm.RENDERABLE, is_respondable=False),
        box("ghost", 2, layers=256, special=ttm.COLLIDABLE),
        dummy("model", 3, is_model_base=True, overrides=1 | 4 | 8 | 64),
        box("silenced", 4, 3, at(1)),
    )
    assert texts["flags:seen"] == "renderable"
    assert texts["flags:ghost"] == "collidable respondable"
    assert texts["flags:silenced"] == "measurable"


def test_a_textured_part_is_drawn_the_right_way_up():
    image = np.zeros((4, 4, 3), np.uint8)
    image[0] = 255  # row 0 is v = 0
    uv = np.tile(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]), (12, 1, 1))
    shape = box("poster", 1, is_respondable=False)
    part = shape.parts[0]
    use = parts.TextureUse(7, None, uv, True, True, True, "modulate")
    shape.parts = [parts.Part(**{**part.__dict__, "texture": use, "primitive": None})]
    scene = scene_of(shape)
    scene.textures[7] = parts.Texture(7, "poster", image)
    xml, files, _ = write_scene(scene, "test")
    model = mujoco.MjSpec.from_string(xml, assets=files).compile()
    rows = model.tex_data.reshape(4, 4, -1)[..., 0]
    # Texture coordinate v = 0 must find the white row.
    v = model.mesh_texcoord[:, 1]
    white = int(np.flatnonzero(rows.mean(axis=1) > 128)[0])
    assert set(np.unique(v)) == {0.0, 1.0}
    stored_v_of_white = (white + 0.5) / 4
    corner = model.mesh_texcoord[np.isclose(v, 1.0)][0]
    assert abs(corner[1] - stored_v_of_white) < 0.2


def test_a_sheet_can_be_drawn():
    shape = box("sheet", 1, is_respondable=False)
    part = shape.parts[0]
    flat = CORNERS * [1, 1, 0]
    shape.parts = [
        parts.Part(**{**part.__dict__, "vertices": flat, "faces": FACES[8:], "primitive": None})
    ]
    model, _, _ = compiled(shape)
    assert model.ngeom == 1


def test_what_hangs_on_a_force_sensor_can_be_taken_off(tmp_path):
    sensor = ttm.ForceSensor(name="sensor", handle=3, parent=2, pose=at(0, 0, 0.06))
    objects = [
        dummy("root", 1, pose=at(0.3, 0, 1.2)),
        box("stand", 2, 1),
        sensor,
        box("cap", 4, 3, at(0, 0, 0.06), dynamic=True),
    ]
    assert compiled(*objects)[0].body("cap").jntnum == 1
    rigid, _, _ = write_scene(scene_of(*objects), "test", bonds_break=False)
    assert "freejoint" not in rigid
    engine = engine_of(tmp_path, *objects)
    cap = engine.shape("cap")
    for _ in range(20):
        engine.step()
    assert cap.get_position() == pytest.approx([0.3, 0, 1.32], abs=1e-3)
    cap.set_parent(engine.dummy("root"))
    cap.set_position([0.5, 0, 1.32])
    for _ in range(20):
        engine.step()
    assert cap.get_position()[2] < 1.0
    engine.reset()
    for _ in range(20):
        engine.step()
    assert cap.get_position() == pytest.approx([0.3, 0, 1.32], abs=1e-3)


def test_on_the_table_things_have_no_more_friction_than_their_own(tmp_path):
    # A sponge that stuck to the table dug itself in, and threw the hand off its way.
    engine = engine_of(tmp_path, box("block", 1, pose=at(0.3, 0.4, 0.8021), dynamic=True))
    engine.step()
    table = engine.model.body("diningTable").id
    block = engine.shape("block").body
    found = [
        contact.friction[0]
        for contact in engine.data.contact
        if set(engine.model.geom_bodyid[contact.geom]) == {table, block}
    ]
    assert found
    assert np.allclose(found, 0.5)


@pytest.mark.parametrize("text", ["nothing 0.3", "workspace much", "workspace -1"])
def test_a_bad_friction_is_one_line(tmp_path, text):
    name, value = text.split()
    path = tmp_path / "scene.xml"
    custom = f'<custom><text name="friction:{name}" data="{value}"/></custom>'
    path.write_text(f"<mujoco>{custom}</mujoco>", encoding="utf-8")
    with pytest.raises(SceneError, match=f"friction:{name} = {value}"):
        compose(path, PANDA, BASE_SCENE)


NAMES = [
    ({"name": ""}, "the object with handle 1 has no name; give it one"),
    ({"name": "world"}, "an object is named 'world', as MuJoCo's own root; rename it"),
    ({"name": "w\0z"}, r"the name of 'w\\x00z' holds '\\x00', which XML does not allow"),
    ({"name": "a", "extension": "\x1b[1m"}, r"the extension string of 'a' holds '\\x1b'"),
]


@pytest.mark.parametrize(("changes", "message"), NAMES)
def test_names_that_mjcf_cannot_hold(changes, message):
    with pytest.raises(ValueError, match=message):
        write_scene(scene_of(dummy(handle=1, **changes)), "test")


def test_names_that_mjcf_can_hold():
    odd = ["a b", 'x<&>"y', "a:b", "../x", "é", "two\nlines"]
    model, _, _ = compiled(*(dummy(name, i) for i, name in enumerate(odd)))
    assert [model.body(i).name for i in range(1, model.nbody)] == odd


def test_a_path_without_points_is_a_frame():
    path = ttm.Path(
        name="way", handle=1, parent=None, pose=at(), points=[], is_closed=False, attributes=0
    )
    assert compiled(path)[1]["kind:way"] == "path"
