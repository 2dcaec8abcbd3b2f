"""Made, grouped and scaled shapes have the inertia of bodies of their form."""

import numpy as np
import pytest

from pyrep_mujoco.errors import SimulatorError

MOMENTS = {  # of 2 kg, full sizes 0.2, 0.4, 0.6 m
    "CUBOID": 2 / 12 * np.array([0.16 + 0.36, 0.04 + 0.36, 0.04 + 0.16]),
    "SPHERE": 2 / 20 * np.array([0.16 + 0.36, 0.04 + 0.36, 0.04 + 0.16]),
    "CYLINDER": 2 * np.array([0.16 / 16 + 0.03, 0.04 / 16 + 0.03, (0.04 + 0.16) / 16]),
    # About its centre of mass, a quarter of its height above its base.
    "CONE": 2 * np.array([0.16 * 3 / 80 + 0.0135, 0.04 * 3 / 80 + 0.0135, 0.2 * 3 / 80]),
}


@pytest.fixture(autouse=True)
def scene(launch):
    return launch("", run=False)


def create(kind, size=(0.2, 0.4, 0.6), mass=2.0, **settings):
    from pyrep.const import PrimitiveShape
    from pyrep.objects.shape import Shape

    return Shape.create(PrimitiveShape[kind], list(size), mass=mass, **settings)


def mass_of(scene, shape):
    from pyrep_mujoco.session.objects.masses import of_shape

    return of_shape(scene._session.need(shape.get_handle()))


@pytest.mark.parametrize("kind", MOMENTS)
def test_pure_forms_have_their_moments(scene, kind):
    made = mass_of(scene, create(kind))
    assert np.allclose(np.diag(made.inertia), MOMENTS[kind], rtol=0.02)
    assert made.centre[2] == pytest.approx(-0.15 if kind == "CONE" else 0.0, abs=1e-3)
    assert made.amount == 2.0


def test_two_halves_are_as_one(scene):
    halves = [create("CUBOID", (0.1, 0.4, 0.6), 1.0, position=[x, 0, 0]) for x in (-0.05, 0.05)]
    halves[0].set_orientation([0, 0, np.pi])
    whole = mass_of(scene, scene.group_objects(halves))
    assert whole.amount == pytest.approx(2.0)
    assert np.allclose(np.diag(whole.inertia), MOMENTS["CUBOID"])
    assert np.allclose(whole.centre, [-0.05, 0, 0])


def test_parts_share_the_mass_of_their_group_by_size(scene):
    parts = [create("CUBOID", (0.1, 0.1, z), 1.0, position=[z, 0, 0]) for z in (0.1, 0.3)]
    small, large = scene.group_objects(parts).ungroup()
    masses = sorted([small.get_mass(), large.get_mass()])
    assert masses == pytest.approx([0.5, 1.5])


def test_a_scaled_body_is_as_one_made_so(scene):
    scaled = create("CUBOID", (0.1, 0.1, 0.1), 0.5)
    scaled.scale_object(2, 4, 6)
    made = create("CUBOID", mass=0.5 * 48)
    assert np.allclose(mass_of(scene, scaled).inertia, mass_of(scene, made).inertia)
    assert scaled.get_mass() == pytest.approx(24.0)
    assert scaled.get_size_factor() == pytest.approx(48 ** (1 / 3))


def test_density_gives_the_inertia_of_a_turned_mesh(scene):
    from pyrep.objects.shape import Shape

    corners, triangles, _ = create("CUBOID").get_mesh_data()
    c, s = np.cos(0.4), np.sin(0.4)
    turned = Shape.create_mesh(
        list((corners @ [[c, s, 0], [-s, c, 0], [0, 0, 1]]).ravel()), list(triangles.ravel())
    )
    turned.compute_mass_and_inertia(2 / 0.048)
    assert turned.get_mass() == pytest.approx(2.0)
    assert np.allclose(
        np.linalg.eigvalsh(mass_of(scene, turned).inertia), np.sort(MOMENTS["CUBOID"]), rtol=1e-3
    )
    with pytest.raises(SimulatorError, match="positive number of kg"):
        turned.compute_mass_and_inertia(0)


def test_other_objects_are_scaled_too(scene):
    from pyrep.objects.cartesian_path import CartesianPath
    from pyrep.objects.dummy import Dummy
    from pyrep.objects.vision_sensor import VisionSensor

    dummy = Dummy.create(0.1)
    dummy.scale_object(2, 2, 2)
    assert np.allclose(dummy.get_bounding_box(), [-0.1, 0.1] * 3)
    path = CartesianPath.create()
    path.insert_control_points([[0, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]])
    path.scale_object(1, 2, 3)
    assert np.allclose(path.get_pose_on_path(1.0)[0], [1, 2, 3])
    sensor = VisionSensor.create([8, 8], near_clipping_plane=0.1, far_clipping_plane=2.0)
    sensor.scale_object(2, 2, 2)
    assert sensor.get_far_clipping_plane() == pytest.approx(4.0)
    with pytest.raises(SimulatorError, match="three positive numbers"):
        dummy.scale_object(0, 1, 1)
