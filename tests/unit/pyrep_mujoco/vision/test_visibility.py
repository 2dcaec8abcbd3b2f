import mujoco
import numpy as np
import pytest

from pyrep_mujoco.vision.cameras import extrinsics, intrinsics, project_views
from pyrep_mujoco.vision.visibility import OWN_REACH, in_image, keypoint_visibility

# Three cameras at height 2 look straight down; a fourth looks up, away from everything.
CENTRES = np.array([[0.0, 0.0, 2.0], [0.4, 0.0, 2.0], [0.0, 0.4, 2.0], [0.0, 0.0, 2.0]])
DOWN = np.diag([1.0, -1.0, -1.0])
SIZE = (200, 100)  # (width, height) [px]

SCENE = """
<mujoco><worldbody>
  <geom name="ground" type="plane" size="3 3 .1"/>
  <body name="table"><geom type="box" size=".5 .5 .05" pos="0 0 .5"/>
    <body name="top"><geom type="box" size=".1 .1 .05" pos="0 0 .6"/></body></body>
  <body name="lamp" pos="0 0 1.2">
    <geom name="shade" type="box" size=".1 .1 .02"/>
    <body name="bulb"><geom type="sphere" size=".02" pos=".08 .08 -.1"/></body></body>
  <body name="cup" pos="0 0 .8"><freejoint/><geom type="sphere" size=".05"/>
    <body name="handle"><geom type="box" size=".2 .01 .01" pos="0 0 .1"/></body>
    <body name="lid" pos="0 0 .2"><joint type="hinge"/>
      <geom name="lid" type="box" size=".04 .04 .005"/>
    </body></body>
</worldbody></mujoco>
"""


@pytest.fixture
def scene():
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    hide(model, "shade")
    hide(model, "lid")
    return model, data


def hide(model, geom):
    model.geom_group[model.geom(geom).id] = 3


def show(model, geom):
    model.geom_group[model.geom(geom).id] = 0


def look(scene, xyz, owner, centres=CENTRES, own_reach=np.inf):
    """Visibility (4,) of one keypoint in the four cameras."""
    model, data = scene
    T = np.tile(np.eye(4), (4, 1, 1))
    T[:3, :3, :3] = DOWN
    T[:, :3, 3] = centres
    E = np.stack([extrinsics(pose) for pose in T])
    K = np.stack([intrinsics(90.0, *SIZE)] * 4)
    uv, depth = project_views(np.array([[xyz]]), K, E)
    body = model.body(owner).id if owner else -1
    inside = in_image(uv[:, 0], depth[:, 0], SIZE)
    return keypoint_visibility(model, data, [xyz], [body], [own_reach], centres, inside)[0][
        :, 0
    ].tolist()


def test_a_point_in_the_open_is_seen_and_behind_the_camera_is_not(scene):
    assert look(scene, [0.45, 0.2, 0.7], None) == [1, 1, 1, 0]
    assert look(scene, [0.45, 0.2, 2.7], None)[:3] == [0, 0, 0]


def test_beside_the_image_is_outside_even_when_hidden(scene):
    # 200 px wide at 90 degrees: half the height spans half the distance.
    assert look(scene, [0.0, 0.85, 0.2], None)[0] == 1.0
    assert look(scene, [0.0, 0.95, 0.2], None)[0] == 0.0
    assert look(scene, [0.0, 0.0, 0.2], None)[0] == 0.5


def test_an_obstacle_hides_from_the_views_behind_it(scene):
    show(scene[0], "shade")
    # The shade, 0.2 m wide, covers the point from straight above only.
    assert look(scene, [0.0, 0.06, 0.86], None) == [0.5, 1, 1, 0]


def test_own_body_and_what_is_fixed_to_it_do_not_count(scene):
    assert look(scene, [0, 0, 0.8], "cup")[0] == 1.0  # inside the sphere, under the handle
    assert look(scene, [0, 0, 0.8], "handle")[0] == 1.0
    assert look(scene, [0, 0, 0.8], None)[0] == 0.5


@pytest.mark.parametrize(("height", "expected"), [(0.5203, 1.0), (0.5197, 0.5)])
def test_own_surface_hides_from_3_cm_on(scene, height, expected):
    # The second camera is straight above; the table's own top is at 0.55 m.
    assert look(scene, [0.4, 0, height], "table", own_reach=OWN_REACH)[1] == expected
    assert look(scene, [0.4, 0, height], "table")[1] == 1.0
    assert look(scene, [0.4, 0, height], "lamp", own_reach=OWN_REACH)[1] == 0.5


def test_own_distance_is_counted_along_the_ray(scene):
    # 2.5 cm under the top, which is 3.1 cm along the slanted way that the first camera looks.
    centres = CENTRES.copy()
    centres[0] = [-0.7, 0.0, 2.0]
    seen = look(scene, [0.4, 0.0, 0.525], "table", centres, OWN_REACH)
    assert seen[:2] == [0.5, 1.0]


def test_what_stands_behind_the_own_surface_hides_as_ever(scene):
    """The handle's top, 25 mm before the point, is passed; a shade within the handle is not."""
    model, data = scene
    point, lamp = [0.05, 0.0, 0.885], model.body("lamp").id
    assert look(scene, point, "cup", own_reach=OWN_REACH)[0] == 1.0
    show(model, "shade")
    model.body_pos[lamp, 2] = 0.88  # its top is 10 mm below the handle's
    mujoco.mj_kinematics(model, data)
    assert look(scene, point, "cup", own_reach=OWN_REACH)[0] == 0.5
    model.body_pos[lamp, 2] = 0.868  # less than 5 mm before the point
    mujoco.mj_kinematics(model, data)
    assert look(scene, point, "cup", own_reach=OWN_REACH)[0] == 1.0


def test_own_geometry_that_is_not_drawn_never_hides(scene):
    model, _ = scene
    table = int(np.flatnonzero(model.geom_bodyid == model.body("table").id)[0])
    assert look(scene, [0.4, 0, 0.46], "table", own_reach=OWN_REACH)[1] == 0.5
    model.geom_group[table] = 3
    assert look(scene, [0.4, 0, 0.46], "table", own_reach=OWN_REACH)[1] == 1.0
    model.geom_group[table] = 0
    model.geom_rgba[table, 3] = 0.0
    assert look(scene, [0.4, 0, 0.46], "table", own_reach=OWN_REACH)[1] == 1.0


def test_what_hangs_on_a_joint_counts(scene):
    show(scene[0], "lid")
    assert look(scene, [0, 0, 0.8], "cup")[0] == 0.5
    assert look(scene, [0, 0, 1.0], "lid")[0] == 1.0


def test_static_bodies_are_fixed_to_their_own_object_only(scene):
    model, _ = scene
    show(model, "shade")
    assert look(scene, [0.3, 0.3, 0.5], "top")[0] == 1.0  # inside the table it belongs to
    assert look(scene, [0.3, 0.3, 0.5], "lamp")[0] == 0.5
    assert look(scene, [0.08, 0.08, 1.1], "bulb")[0] == 1.0  # under its own shade


def test_five_millimetres_before_the_point_do_not_hide_it(scene):
    assert look(scene, [0.3, 0.3, 0.5459], None)[0] == 1.0  # 4.1 mm into the table, seen obliquely
    assert look(scene, [0.3, 0.3, 0.5440], None)[0] == 0.5


def test_only_drawn_geometry_hides(scene):
    model, _ = scene
    show(model, "shade")
    shade = model.geom("shade").id
    for group, expected in ((0, 0.5), (2, 0.5), (3, 1.0), (5, 1.0)):
        model.geom_group[shade] = group
        assert look(scene, [0.0, 0.0, 0.9], "cup")[0] == expected
    model.geom_group[shade] = 0
    model.geom_rgba[shade, 3] = 0.0
    assert look(scene, [0.0, 0.0, 0.9], "cup")[0] == 1.0
    model.geom_rgba[shade, 3] = 0.1
    assert look(scene, [0.0, 0.0, 0.9], "cup")[0] == 0.5


def test_unknown_points_are_outside_and_the_model_is_left_as_found(scene):
    model, _ = scene
    before = model.geom_group.copy()
    assert look(scene, [np.nan, 0.0, 0.9], "cup") == [0, 0, 0, 0]
    look(scene, [0.0, 0.0, 0.8], "cup")
    np.testing.assert_array_equal(model.geom_group, before)


def test_many_points_at_once_equal_one_by_one(scene):
    model, data = scene
    show(model, "shade")
    show(model, "lid")
    rng = np.random.default_rng(0)
    xyz = rng.uniform([-0.5, -0.5, 0.3], [0.5, 0.5, 1.3], (40, 3))
    names = rng.choice(["cup", "lid", "table", "lamp", "world"], 40)
    T = np.tile(np.eye(4), (4, 1, 1))
    T[:3, :3, :3] = DOWN
    T[:, :3, 3] = CENTRES
    K = np.stack([intrinsics(90.0, *SIZE)] * 4)
    uv, depth = project_views(xyz[None], K, np.stack([extrinsics(pose) for pose in T]))
    owners = [model.body(name).id for name in names]
    reach = rng.choice([np.inf, OWN_REACH], 40)
    inside = in_image(uv[:, 0], depth[:, 0], SIZE)
    got, hiders = keypoint_visibility(model, data, xyz, owners, reach, CENTRES, inside)
    assert got.dtype == np.float32
    assert set(np.unique(got)) == {0.0, 0.5, 1.0}
    one_by_one = [
        look(scene, point, name, own_reach=near)
        for point, name, near in zip(xyz, names, reach, strict=True)
    ]
    np.testing.assert_array_equal(got, np.array(one_by_one).T)
    np.testing.assert_array_equal(hiders >= 0, got == 0.5)
    hiding = {model.body(b).name for b in np.unique(hiders[hiders >= 0])}
    assert "table" in hiding
