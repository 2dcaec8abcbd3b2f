"""Shapes that are made, painted, pushed, cut and simplified while a scene runs."""

import numpy as np
import pytest
from PIL import Image

from pyrep_mujoco.errors import SimulatorError

SQUARE = ([0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0], [0, 1, 2, 0, 2, 3])


@pytest.fixture
def scene(launch):
    return launch("")


@pytest.mark.parametrize(
    ("kind", "volume"),
    [("CUBOID", 0.006), ("SPHERE", 0.00314), ("CYLINDER", 0.00471), ("CONE", 0.00157)],
)
def test_primitives_have_the_size_that_was_asked_for(scene, kind, volume):
    from pyrep.const import PrimitiveShape
    from pyrep.objects.shape import Shape

    size = [0.1, 0.1, 0.6]
    made = Shape.create(PrimitiveShape[kind], size, mass=2.0, color=[0.7, 0.8, 0.9])
    box = made.get_bounding_box()
    assert np.allclose(np.diff(np.reshape(box, (3, 2))).ravel(), size, atol=2e-3)
    assert made.get_color() == [0.7, 0.8, 0.9]
    assert made.get_mass() == 2.0
    made.compute_mass_and_inertia(1000)
    assert made.get_mass() == pytest.approx(1000 * volume, rel=0.03)
    vertices, triangles, _ = made.get_mesh_data()
    corners = vertices[triangles]
    inside = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert inside == pytest.approx(volume, rel=0.03)


def test_made_shapes_fall_rest_and_are_pushed(scene):
    from pyrep.const import PrimitiveShape
    from pyrep.objects.shape import Shape

    Shape.create(PrimitiveShape.CUBOID, [2, 2, 0.1], static=True, position=[0, 0, -0.05])
    cube = Shape.create(PrimitiveShape.CUBOID, [0.1] * 3, mass=0.5, position=[0, 0, 0.06])
    for _ in range(10):
        scene.step()
    assert cube.get_position()[2] == pytest.approx(0.05, abs=1e-3)
    cube.set_bullet_friction(0.0)
    cube.add_force([0, 0, 0], [2.0, 0, 0])
    scene.step()
    assert cube.get_velocity()[0][0] == pytest.approx(2.0 / 0.5 * 0.05, rel=0.1)
    cube.add_force_and_torque([9, 0, 0], None)
    cube.add_force_and_torque([0, 0, 0], [0, 0, 0], reset_force=True)
    before = cube.get_velocity()[0]
    scene.step()
    assert np.allclose(cube.get_velocity()[0], before, atol=0.02)
    cube.set_respondable(False)
    for _ in range(4):
        scene.step()
    assert cube.get_position()[2] < -0.01
    cube.set_dynamic(False)
    place = cube.get_position()
    scene.step()
    assert np.allclose(cube.get_position(), place)
    with pytest.raises(SimulatorError, match="'Cuboid#0' is static"):
        cube.add_force([0, 0, 0], [1, 0, 0])


def test_meshes_are_checked(scene):
    from pyrep.const import PrimitiveShape
    from pyrep.objects.shape import Shape

    made = Shape.create_mesh(*SQUARE)
    assert np.allclose(made.get_position(), [0.5, 0.5, 0])
    with pytest.raises(SimulatorError, match="names vertex 7; there are 4"):
        Shape.create_mesh(SQUARE[0], [0, 1, 7])
    with pytest.raises(SimulatorError, match="three numbers of each triangle"):
        Shape.create_mesh(SQUARE[0], [0, 1])
    with pytest.raises(ValueError, match=r"absent\.obj"):
        Shape.import_mesh("absent.obj")
    with pytest.raises(ValueError, match="convex"):
        made.compute_mass_and_inertia(1000)
    with pytest.raises(SimulatorError, match="three positive lengths"):
        Shape.create(PrimitiveShape.CUBOID, [1, 0, 1])


def test_textures_are_worn_shared_and_taken_off(scene, tmp_path):
    from pyrep.const import PrimitiveShape, TextureMappingMode
    from pyrep.objects.shape import Shape

    image = np.zeros((4, 8, 3), np.uint8)
    image[0] = [255, 0, 0]
    Image.fromarray(image).save(tmp_path / "red_above.png")
    plane, texture = scene.create_texture(str(tmp_path / "red_above.png"))
    assert plane.get_texture() == texture
    cube = Shape.create(PrimitiveShape.CUBOID, [0.1] * 3)
    assert cube.get_texture().get_texture_id() == -1
    cube.set_texture(texture, TextureMappingMode.CUBE, repeat_along_u=True, uv_scaling=[0.1, 0.1])
    assert cube.get_texture() == texture
    plane.remove()
    info = cube.get_shape_viz(0)
    assert info.texture.shape == (4, 8, 4)
    assert info.texture[-1, 0].tolist() == [255, 0, 0, 255]
    assert info.texture_coords.shape == (36, 2)
    assert np.ptp(info.texture_coords) == pytest.approx(1.0)
    cube.apply_texture(info.texture_coords, info.texture, is_rgba=True)
    assert cube.get_texture() != texture
    cube.remove_texture()
    assert cube.get_shape_viz(0).texture_id == -1
    cube.copy().remove()
    assert scene._session.document.textures == {}
    with pytest.raises(SimulatorError, match=r"absent\.png"):
        scene.create_texture("absent.png")
    with pytest.raises(SimulatorError, match="needs 36 image points"):
        cube.apply_texture(np.zeros((3, 2)), image)
    scene.step()


def test_copies_and_scales(scene):
    from pyrep.const import PrimitiveShape
    from pyrep.objects.shape import Shape

    cube = Shape.create(PrimitiveShape.CUBOID, [0.1] * 3, mass=1.0)
    cube.set_transparency(0.4)
    twin = cube.copy()
    assert twin != cube
    assert twin.get_transparency() == 0.4
    twin.scale_object(2, 1, 1)
    assert np.allclose(twin.get_bounding_box(), [-0.1, 0.1, -0.05, 0.05, -0.05, 0.05])
    assert np.allclose(cube.get_bounding_box(), [-0.05, 0.05] * 3)
    assert twin.get_mass() == 2.0
    with pytest.raises(ValueError, match="between 0 and 1"):
        cube.set_transparency(3)
    twin.rotate([0, 0, 0.5])
    twin.reorient_bounding_box()
    assert np.allclose(twin.get_orientation(), 0)
    assert twin.get_bounding_box()[1] == pytest.approx(0.1 * np.cos(0.5) + 0.05 * np.sin(0.5))


def test_an_angle_falls_into_convex_parts_and_gets_simpler(scene):
    pytest.importorskip("coacd", reason="CoACD is an extra")
    pytest.importorskip("fast_simplification", reason="fast-simplification is an extra")
    from pyrep.objects.shape import Shape

    angle = Shape.create_mesh(*angle_of_two_boxes())
    count = len(angle.get_mesh_data()[1])
    assert len(angle.decimate_mesh(0.8).get_mesh_data()[1]) < count
    parts = angle.get_convex_decomposition()
    assert parts != angle
    assert np.allclose(parts.get_position(), angle.get_position())
    assert angle.get_convex_decomposition(morph=True) == angle
    pieces = parts.ungroup()
    assert len(pieces) > 1
    for piece in pieces:
        piece.compute_mass_and_inertia(1000)
    assert sum(p.get_mass() for p in pieces) == pytest.approx(3000, rel=0.05)


def angle_of_two_boxes():
    """An L of three unit cubes."""
    outline = np.array([[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]], float)
    points = [np.column_stack([outline, np.full(6, z)]) for z in (0.0, 1.0)]
    fan = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 5]])
    i = np.arange(6)
    j = np.roll(i, -1)
    sides = [np.stack([i, j, j + 6], 1), np.stack([i, j + 6, i + 6], 1)]
    return np.vstack(points), np.vstack([fan[:, ::-1], fan + 6, *sides])


def test_a_missing_library_is_one_clear_line(scene, monkeypatch):
    import sys

    from pyrep.objects.shape import Shape

    made = Shape.create_mesh(*SQUARE)
    for name in ("coacd", "fast_simplification"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SimulatorError, match="needs the package coacd: pip install"):
        made.get_convex_decomposition()
    with pytest.raises(SimulatorError, match="needs the package fast_simplification: pip install"):
        made.decimate_mesh(0.5)
