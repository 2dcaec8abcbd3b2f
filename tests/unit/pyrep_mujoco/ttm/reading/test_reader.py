"""Files written here are read back as what was written."""

import numpy as np
import pytest

from pyrep_mujoco.ttm.reading.model import (
    Camera,
    Dummy,
    ForceSensor,
    Joint,
    Light,
    OtherObject,
    Path,
    ProximitySensor,
    Shape,
    VisionSensor,
)
from pyrep_mujoco.ttm.reading.reader import decode, read_header, read_scene
from tests.unit.pyrep_mujoco.ttm import ttm_files as tf


@pytest.fixture(scope="module", params=[True, False], ids=["packed", "plain"])
def scene(request):
    return decode(tf.ttm(*tf.everything(), compressed=request.param), "all.ttm")


def one(*chunks):
    """The last object of a file with one texture and one mesh."""
    return decode(tf.ttm(tf.texture(), tf.buffers(), *chunks)).objects[-1]


def one_part(**changes):
    (part,) = one(tf.shape("s", 1, geometry=tf.leaf(**changes))).parts
    return part


def test_every_kind_is_read(scene):
    kinds = [type(obj) for obj in scene.objects]
    assert kinds == [
        Dummy,
        Shape,
        Joint,
        Shape,
        Shape,
        Dummy,
        ProximitySensor,
        VisionSensor,
        Camera,
        Light,
        ForceSensor,
        Path,
        OtherObject,
    ]
    assert [obj.handle for obj in scene.objects] == list(range(10, 23))
    assert scene.by_name["graph"].tag == "GRH"
    assert scene.scripts == [13]
    assert scene.skipped == {}
    assert scene.missing == []
    assert scene.source == "all.ttm"


def test_header(tmp_path):
    file = tmp_path / "a.ttm"
    file.write_bytes(tf.ttm(tf.dummy("a", 1), version=21, application=30602))
    header = read_header(file)
    assert (header.version, header.oldest_reader, header.application) == (21, 18, 30602)
    assert header.is_compressed
    assert header.is_model
    assert read_scene(file).header == header


@pytest.mark.parametrize(
    ("kind", "name", "is_model"),
    [(1, "a.ttt", False), (2, "a.ttm", True), (0, "a.ttm", True), (0, "a.ttt", False)],
)
def test_kind_of_file(tmp_path, kind, name, is_model):
    file = tmp_path / name
    file.write_bytes(tf.ttm(kind=kind))
    assert read_scene(file).header.is_model == is_model


@pytest.mark.parametrize("version", range(18, 24))
def test_versions(version):
    assert decode(tf.ttm(tf.dummy("a", 1), version=version)).header.version == version


def test_common_part(scene):
    base, waypoint = scene.by_name["base"], scene.by_name["waypoint0"]
    np.testing.assert_allclose(base.pose[:3, 3], [1, 2, 3])
    np.testing.assert_allclose(base.pose[:3, :3], [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-6)
    assert base.parent is None
    assert base.is_model_base
    assert base.overrides == 8
    assert waypoint.parent == scene.by_name["door"].handle
    assert waypoint.extension == "open_gripper()"
    assert (waypoint.special, waypoint.layers, waypoint.properties) == (1011, 1, 36)
    assert waypoint.alternative_name == "waypoint0_other"
    assert not waypoint.is_model_base


def test_overrides_count_for_a_model_base_only():
    assert one(tf.dummy("a", 1, Mpo=tf.chunk("Mpo", tf.i32(8)))).overrides == 0


def test_world_poses_follow_joints(scene):
    poses = scene.world_poses()
    hinge, door = scene.by_name["hinge"], scene.by_name["door"]
    np.testing.assert_allclose(poses[door.handle], poses[hinge.handle] @ hinge.motion)
    assert hinge.motion[1, 0] == pytest.approx(np.sin(0.5))


def test_names_that_are_no_utf8():
    raw = tf.chunk("Nme", tf.i32(2), b"a\xe9")
    assert one(tf.dummy("a", 1, Nme=raw)).name == "aé"


def test_shape(scene):
    box = scene.by_name["box"]
    assert (box.is_dynamic, box.starts_asleep, box.is_respondable) == (True, True, True)
    assert box.respondable_mask == 0x00FF
    assert not box.is_compound
    assert box.mass == 2.0
    np.testing.assert_allclose(box.inertia_pose[:3, 3], [0.1, 0.2, 0.3], atol=1e-7)
    np.testing.assert_allclose(box.principal_moments, [0.02, 0.04, 0.06], atol=1e-7)
    np.testing.assert_allclose(box.bounding_box, [0, 1, 0, 1, 0, 1])
    assert not scene.by_name["door"].is_dynamic


def test_material(scene):
    material = scene.by_name["box"].material
    assert material.name == "sticky"
    got = (
        material.bullet_restitution,
        material.bullet_old_friction,
        material.bullet_friction,
        material.ode_friction,
        material.newton_friction,
    )
    assert got == pytest.approx((0.1, 1.0, 0.5, 0.9, 0.8))


def test_shared_material_where_a_shape_has_none():
    chunks = [tf.material("DMA", 7, "old"), tf.buffers(), tf.shape("s", 1, contact_material=[])]
    assert decode(tf.ttm(*chunks)).by_name["s"].material.name == "old"
    assert decode(tf.ttm(*chunks[1:])).by_name["s"].material is None


def test_mesh():
    part = one_part()
    np.testing.assert_allclose(part.vertices, tf.TETRA_POINTS)
    np.testing.assert_array_equal(part.faces, tf.TETRA_FACES)
    expected = tf.TETRA_NORMALS / np.linalg.norm(tf.TETRA_NORMALS, axis=1, keepdims=True)
    np.testing.assert_allclose(part.normals, expected.reshape(4, 3, 3), atol=1e-6)
    assert part.shading_angle == pytest.approx(0.3)
    assert (part.is_culled, part.is_convex, part.is_inverted) == (False, False, False)
    assert part.primitive is None
    assert part.texture is None


def test_mesh_flags():
    node = tf.node_chunks(Var=tf.chunk("Var", tf.u8(4)))
    part = one_part(Var=tf.chunk("Var", tf.u8(2 | 64)), node=node)
    assert (part.is_culled, part.is_convex, part.is_inverted) == (True, True, True)


def test_vertices_and_normals_are_moved_by_the_mesh_pose():
    # The quaternion turns by 90 degrees about z, and is stored at half its length.
    part = one_part(Ppf=tf.chunk("Ppf", tf.xq((1, 0, 0), (0.35355, 0, 0, 0.35355))))
    np.testing.assert_allclose(
        part.vertices, [[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 1]], atol=1e-6
    )
    np.testing.assert_allclose(part.normals[1, 0], [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(part.pose[:3, 3], [1, 0, 0])


def test_mesh_pose_without_rotation():
    part = one_part(Ppf=tf.chunk("Ppf", tf.xq((1, 0, 0), (0, 0, 0, 0))))
    np.testing.assert_allclose(part.pose[:3, :3], np.eye(3))


def test_missing_normals_are_those_of_the_triangles():
    zeros = tf.chunk("No2", tf.packed_normals(0 * tf.TETRA_NORMALS))
    mesh = [
        tf.chunk("Ver", tf.TETRA_POINTS.tobytes()),
        tf.chunk("Ind", tf.i32(*tf.TETRA_FACES.ravel())),
        zeros,
    ]
    shape = decode(tf.ttm(tf.buffers(*mesh), tf.shape("s", 1))).objects[0]
    expected = tf.TETRA_NORMALS / np.linalg.norm(tf.TETRA_NORMALS, axis=1, keepdims=True)
    np.testing.assert_allclose(shape.parts[0].normals.reshape(-1, 3), expected, atol=1e-6)
    np.testing.assert_allclose(one_part(Nov=None).normals.reshape(-1, 3), expected, atol=1e-6)


def test_normals_of_another_frame_are_not_used():
    other = tf.chunk("No2", tf.packed_normals(-tf.TETRA_NORMALS))
    mesh = [
        tf.chunk("Ver", tf.TETRA_POINTS.tobytes()),
        tf.chunk("In2", tf.delta_coded(tf.TETRA_FACES.ravel())),
        other,
    ]
    part = decode(tf.ttm(tf.buffers(*mesh), tf.shape("s", 1))).objects[0].parts[0]
    np.testing.assert_allclose(part.normals[0], [[0, 0, -1]] * 3)


@pytest.mark.slow
@pytest.mark.parametrize("reach", [5, 3000, 70_000, 400_000])
def test_corners_of_any_length(reach):
    rng = np.random.default_rng(reach)
    faces = rng.integers(0, reach, (50_000, 3))
    points = rng.random((reach, 3)).astype("<f4")
    mesh = [
        tf.chunk("Ver", points.tobytes()),
        tf.chunk("In2", tf.delta_coded(faces.ravel())),
        tf.chunk("Nor", tf.f32(*np.ones(9 * len(faces)))),
    ]
    content = tf.ttm(tf.buffers(*mesh), tf.shape("s", 1), compressed=False)
    part = decode(content).objects[0].parts[0]
    np.testing.assert_array_equal(part.faces, faces)
    np.testing.assert_array_equal(part.vertices, points)


def test_color():
    shown = one_part(Cl0=tf.color(rgb=(1, 0.5, 0.25), flags=4, name="paint")).color
    assert shown.rgb == (1, 0.5, 0.25)
    assert shown.specular == pytest.approx((0.2,) * 3)
    assert shown.emission == pytest.approx((0.3,) * 3)
    assert (shown.shininess, shown.opacity, shown.name) == (20, 1.0, "paint")
    assert one_part(Cl0=tf.color(flags=0)).color.opacity == 0.5


@pytest.mark.parametrize(
    ("number", "kind"),
    [(1, "plane"), (2, "disc"), (3, "cuboid"), (4, "spheroid"), (5, "cylinder"), (6, "cone")],
)
def test_primitives(number, kind):
    form = one_part(
        Ppr=tf.chunk("Ppr", tf.i32(number), tf.f32(1, 2, 3)), Pp2=tf.chunk("Pp2", tf.f32(0.5))
    ).primitive
    assert (form.kind, form.hollow) == (kind, 0.5)
    np.testing.assert_array_equal(form.size, [1, 2, 3])


def test_height_field_without_mesh():
    heights = np.arange(12.0)
    part = one_part(
        Vev=None,
        Inv=None,
        Nov=None,
        Ppr=tf.chunk("Ppr", tf.i32(7), tf.f32(3, 2, 11)),
        Hfd=tf.chunk("Hfd", tf.i32(4, 3), tf.f32(*heights)),
    )
    assert part.faces.shape == (12, 3)
    np.testing.assert_allclose(part.vertices[0], [-1.5, -1, -5.5])
    np.testing.assert_allclose(part.vertices[-1], [1.5, 1, 5.5])
    assert (part.normals[..., 2] > 0).all()
    assert part.primitive is None


def test_height_field_with_mesh():
    part = one_part(Hfd=tf.chunk("Hfd", tf.i32(0, 0)))
    assert len(part.vertices) == 4


def test_groups_keep_the_order_of_their_parts():
    far = tf.node_chunks("far", pose=tf.xq((5, 5, 5)))
    inner = tf.group("Wrp", tf.leaf("Geo", node=tf.node_chunks("b")), node=far)
    children = [tf.leaf("Geo", node=tf.node_chunks("a")), inner, tf.leaf("Geo", node=far)]
    shape = one(tf.shape("s", 1, geometry=tf.group("Gsg", *children)))
    assert [part.name for part in shape.parts] == ["a", "b", "far"]
    assert shape.is_compound
    for part in shape.parts:  # poses of nodes do not move them
        np.testing.assert_allclose(part.vertices, tf.TETRA_POINTS)


def test_joint(scene):
    joint = one(tf.joint("j", 1, kind=11, value=0.2, limits=(-1, 3), flags=1 | 32 | 128))
    assert (joint.kind, joint.mode) == ("prismatic", "dynamic")
    assert (joint.lower, joint.upper) == (-1, 2)
    assert (joint.is_cyclic, joint.motor_on, joint.position_loop) == (True, False, True)
    assert (joint.is_hybrid, joint.spring_loop, joint.locks_at_zero) == (False, True, True)
    assert (joint.target_velocity, joint.max_force) == (0.5, 12.0)
    assert (joint.target_position, joint.velocity_limit) == (0.25, 6.0)
    np.testing.assert_allclose(joint.pid, [0.1, 0.2, 0.3], atol=1e-7)
    np.testing.assert_allclose(joint.spring, [4, 5])
    assert joint.master is None
    assert joint.quaternion is None
    assert scene.by_name["hinge"].motor_on


def test_spherical_joint():
    turned = tf.chunk("Jst", tf.f32(0, 0, 0, 2))
    joint = one(tf.joint("j", 1, kind=12, Jst=turned))
    np.testing.assert_allclose(joint.quaternion, [0, 0, 0, 1])
    np.testing.assert_allclose(joint.motion, np.diag([-1, -1, 1, 1]))


def test_dependent_joint():
    joint = one(
        tf.joint("a", 1),
        tf.joint(
            "b",
            2,
            Jmd=tf.chunk("Jmd", tf.i32(4)),
            Jdt=tf.chunk("Jdt", tf.i32(1), tf.f32(-1, 0.5)),
        ),
    )
    assert joint.mode == "dependent"
    assert joint.master == (1, -1.0, 0.5)


def test_dummy_link():
    dummy = one(tf.dummy("a", 1, linked=4))
    assert (dummy.linked, dummy.link_type, dummy.size) == (4, 5, pytest.approx(0.01))
    assert one(tf.dummy("a", 1)).linked is None


NAN = float("nan")
VOLUMES = [
    (0, (1, 2, 3, 4, 5, 6, NAN, NAN, NAN), "offset range x_size y_size x_size_far y_size_far"),
    (1, (1, 2, NAN, NAN, NAN, NAN, 3, 4, NAN), "offset range radius radius_far"),
    (2, (1, 2, NAN, 3, NAN, NAN, 4, NAN, 5), "offset range y_size radius angle"),
    (3, (1, 2, NAN, NAN, NAN, NAN, 3, NAN, 4), "offset range radius angle"),
    (4, (1, 2, NAN, NAN, NAN, NAN, NAN, NAN, NAN), "offset range"),
]


@pytest.mark.parametrize(("kind", "sizes", "names"), VOLUMES)
def test_sensor_volumes_hold_what_their_kind_uses(kind, sizes, names):
    sensor = one(tf.proximity_sensor("s", 1, kind=kind, sizes=sizes))
    assert sensor.volume == {name: i + 1.0 for i, name in enumerate(names.split())}
    assert sensor.detects is None


def test_vision_sensor_camera_light_and_force_sensor(scene):
    sensor = scene.by_name["cam"]
    assert (sensor.angle, sensor.near, sensor.far) == pytest.approx((0.7, 0.02, 3.5))
    assert sensor.resolution == (128, 64)
    assert sensor.is_perspective
    view = scene.by_name["view"]
    assert (view.angle, view.near, view.far) == pytest.approx((0.9, 0.05, 30))
    lamp = scene.by_name["lamp"]
    assert (lamp.kind, lamp.is_on) == ("directional", True)
    assert lamp.diffuse == pytest.approx((0.2, 0.3, 0.4))
    assert lamp.specular == pytest.approx((0.5, 0.6, 0.7))
    assert lamp.attenuation == (0.5, 0.25, 0.125)
    bond = scene.by_name["bond"]
    assert (bond.force_threshold, bond.torque_threshold) == (100.0, None)


def test_unknown_chunks_are_counted():
    odd = tf.chunk("Xyz", b"abc")
    content = tf.ttm(odd, odd, tf.dummy("a", 1, Xyz=odd), tf.joint("j", 2, Xyz=odd))
    scene = decode(content)
    assert scene.skipped == {"Xyz": 2, "DMY/Xyz": 1, "JNT/Xyz": 1}
    assert scene.missing == [
        "its chunk Xyz is unknown: passed over (2 times)",
        "'a': its chunk DMY/Xyz is unknown: passed over",
        "'j': its chunk JNT/Xyz is unknown: passed over",
    ]


def test_chunks_that_nobody_misses_are_not_named():
    scene = decode(tf.ttm(tf.chunk("COL"), tf.chunk("BBK"), tf.dummy("a", 1)))
    assert scene.skipped == {"COL": 1, "BBK": 1}
    assert scene.missing == []


def test_many_missing_things_are_few_lines():
    odd = tf.chunk("Xyz")
    scene = decode(tf.ttm(*(tf.dummy(f"d{i}", i, Xyz=odd) for i in range(30))))
    assert len(scene.missing) == 21
    assert scene.missing[-1] == "and 10 more of the kind"


def test_without_layers_a_shape_is_drawn():
    scene = decode(tf.ttm(tf.buffers(), tf.shape("s", 1, Lar=None, Omp=None)))
    shape = scene.by_name["s"]
    assert shape.is_visible
    assert shape.special == 1011
    assert scene.missing == ["'s': it has no Lar: 1 is taken", "'s': it has no Omp: 1011 is taken"]


def test_objects_that_are_not_drawn_are_named():
    scene = decode(tf.ttm(*(tf.scene_object(tag, tag, i) for i, tag in enumerate(("GRH", "PTC")))))
    assert scene.missing == ["'PTC': a point cloud is placed, but not drawn"]


def test_scripts_of_no_object_are_left_out():
    content = tf.ttm(tf.dummy("a", 1), tf.script(-1), tf.script(1), tf.script(1))
    assert decode(content).scripts == [1]


def test_a_parent_may_come_after_its_child():
    scene = decode(tf.ttm(tf.dummy("child", 2, 1), tf.dummy("parent", 1)))
    assert scene.children(scene.by_name["parent"]) == [scene.by_name["child"]]


def test_an_empty_file_holds_nothing():
    assert decode(tf.ttm()).objects == []
