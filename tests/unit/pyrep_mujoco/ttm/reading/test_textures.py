"""Images, stored and computed texture coordinates."""

import numpy as np
import pytest

from pyrep_mujoco.errors import TtmError
from pyrep_mujoco.ttm.reading.reader import decode
from tests.unit.pyrep_mujoco.ttm import ttm_files as tf

SQUARE = {"width": 4, "height": 4}
PLANE, CYLINDER, SPHERE, CUBE = range(4)


def part(image=SQUARE, mesh=(), group=False, node=None, **use):
    geometry = tf.leaf("Geo" if group else "Gst", node=node, Toj=tf.texture_use(**use))
    if group:
        geometry = tf.group("Gsg", geometry)
    scene = decode(
        tf.ttm(tf.texture(**image), tf.buffers(*mesh), tf.shape("s", 1, geometry=geometry))
    )
    return scene.objects[0].parts[0]


def triangle(*points):
    return [
        tf.chunk("Ver", tf.f32(*np.ravel(points))),
        tf.chunk("In2", tf.delta_coded([0, 1, 2])),
        tf.chunk("Nor", tf.f32(*[0, 0, 1] * 3)),
    ]


@pytest.mark.parametrize("channels", [3, 4])
def test_image(channels):
    scene = decode(tf.ttm(tf.texture(5, 3, 2, channels)))
    image = scene.textures[5]
    assert image.name == "wood"
    expected = np.arange(6 * channels).reshape(2, 3, channels)
    np.testing.assert_array_equal(image.pixels, expected)


def test_stored_coordinates():
    uv = np.random.default_rng(0).random((4, 3, 2)).astype(np.float32)
    use = part(uv=uv, mode=1, mapping=CUBE).texture
    np.testing.assert_array_equal(use.uv, uv)
    assert use.mapping is None
    assert (use.texture_id, use.mode) == (3, "decal")
    assert (use.interpolate, use.repeat_u, use.repeat_v) == (True, True, False)


def test_plane():
    found = part(scale=(2.0, 0.5))
    assert found.texture.mapping == "plane"
    expected = found.vertices[found.faces][..., :2] / [2.0, 0.5] + 0.5
    np.testing.assert_allclose(found.texture.uv, expected)


@pytest.mark.parametrize(("width", "height", "x", "y"), [(8, 2, 1, 0.25), (2, 8, 0.25, 1)])
def test_plane_keeps_the_aspect_of_the_image(width, height, x, y):
    found = part({"width": width, "height": height})
    expected = found.vertices[found.faces][..., :2] / [x, y] + 0.5
    np.testing.assert_allclose(found.texture.uv, expected)


def test_plane_in_a_moved_frame():
    half = np.sqrt(0.5)
    found = part(pose=tf.qx((1, 0, 0), (half, half, 0, 0)))  # its y is the shape's z
    corners = found.vertices[found.faces]
    expected = np.stack([corners[..., 0] - 0.5, corners[..., 2] + 0.5], axis=-1)
    np.testing.assert_allclose(found.texture.uv, expected, atol=1e-6)


def test_only_in_groups_the_pose_of_the_leaf_counts():
    node = tf.node_chunks(pose=tf.xq((0.25, 0, 0)))
    alone = part(node=node)
    np.testing.assert_allclose(alone.texture.uv, alone.vertices[alone.faces][..., :2] + 0.5)
    grouped = part(node=node, group=True)
    np.testing.assert_allclose(
        grouped.texture.uv, grouped.vertices[grouped.faces][..., :2] + [0.25, 0.5]
    )


@pytest.mark.parametrize(("axis", "u", "v"), [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_cube_takes_the_two_axes_across_the_normal(axis, u, v):
    points = np.zeros((3, 3))
    points[1, u], points[2, v], points[:, axis] = 0.5, 0.25, 3.0
    uv = part(mesh=triangle(*points), mapping=CUBE).texture.uv[0]
    np.testing.assert_allclose(uv, [[0.5, 0.5], [1.0, 0.5], [0.5, 0.75]])


def test_cylinder_goes_on_beyond_its_seam():
    angles = np.radians([170, 180.001, 190])
    points = np.stack([np.cos(angles), np.sin(angles), [0.0, 0.1, 0.2]], axis=1)
    uv = part(mesh=triangle(*points), mapping=CYLINDER, scale=(1, 0.4)).texture.uv[0]
    np.testing.assert_allclose(uv[:, 0], (np.array([170, 180.001, 190]) / 180 + 1) / 2, atol=1e-6)
    np.testing.assert_allclose(uv[:, 1], [0.5, 0.75, 1.0], atol=1e-6)


def test_sphere():
    uv = part(mesh=triangle((0, 0, 2), (2, 0, 0), (0, 0, -2)), mapping=SPHERE).texture.uv[0]
    np.testing.assert_allclose(uv[:, 1], [1.0, 0.5, 0.0], atol=1e-7)
    assert part(mesh=triangle((0, 0, 0), (2, 0, 0), (0, 0, -2)), mapping=SPHERE).texture


def test_a_missing_image_is_named():
    shape = tf.shape("s", 1, geometry=tf.leaf(Toj=tf.texture_use(99)))
    scene = decode(tf.ttm(tf.buffers(), shape))
    assert scene.objects[0].parts[0].texture is None
    assert scene.missing == ["'s': its texture 99 is not in the file: drawn without"]


BAD_IMAGES = [
    ({"Ipa": tf.chunk("Ipa", tf.i32(3, 100_000, 2))}, "claims an image of 100000 x 2"),
    ({"Ipa": tf.chunk("Ipa", tf.i32(3, -1, 2))}, "claims an image of -1 x 2"),
    ({"Ipa": tf.chunk("Ipa", tf.i32(3, 4, 4))}, "24 bytes; 4 x 4 x 3 are needed"),
    ({"Img": None}, "TEX at byte .* has no Img"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_IMAGES)
def test_bad_images(changes, message):
    with pytest.raises(TtmError, match=message):
        decode(tf.ttm(tf.texture(**changes)))


BAD_USES = [
    ({"mapping": 4}, "names mapping 4; 0 to 3 are known"),
    ({"mode": -1}, "names mode -1"),
    ({"scale": (0.0, 1.0)}, "scales the texture by 0, 1"),
    ({"uv": [1.0] * 10}, "40 bytes do not fit 4 triangles"),
]


@pytest.mark.parametrize(("use", "message"), BAD_USES)
def test_bad_uses(use, message):
    with pytest.raises(TtmError, match=message):
        part(**use)
