"""Vision sensors: pictures, when they are taken, what they are set to."""

import numpy as np
import pytest

MJCF = """
<mujoco><worldbody>
  <light pos="0 0 3" dir="0 0 -1"/>
  <geom name="floor" type="plane" size="2 2 .1" rgba="0.2 0.5 0.2 1"/>
  <body name="box" pos="0 0 0.5"><geom type="box" size="0.2 0.1 0.1" rgba="1 0 0 1"/></body>
</worldbody></mujoco>
"""
DOWN = [0, np.pi, 0]  # the sensor's z down; x, to the left in the image, along -x


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    from pyrep import PyRep
    from pyrep.errors import PyRepError
    from pyrep.objects.vision_sensor import VisionSensor

    file = tmp_path_factory.mktemp("scene") / "box.xml"
    file.write_text(MJCF, encoding="utf-8")
    made = PyRep()
    made.launch(str(file), headless=True)
    made.start()
    sensor = VisionSensor.create([8, 8], explicit_handling=True)
    try:
        sensor.handle_explicitly()
        sensor.capture_rgb()
    except PyRepError as error:
        made.shutdown()
        pytest.skip(str(error))
    sensor.remove()
    yield made
    made.shutdown()


@pytest.fixture
def sensor(simulator):
    from pyrep.objects.vision_sensor import VisionSensor

    made = VisionSensor.create(
        [64, 48], view_angle=40.0, position=[0, 0, 2], orientation=DOWN, explicit_handling=True
    )
    yield made
    made.remove()


def test_pictures_are_black_before_the_first_look(simulator):
    from pyrep.objects.vision_sensor import VisionSensor

    looks_always = VisionSensor.create([8, 8], position=[0, 0, 2], orientation=DOWN)
    assert looks_always.capture_rgb().sum() == 0
    assert (looks_always.capture_depth() == 1.0).all()
    with pytest.raises(RuntimeError, match="set_explicit_handling"):
        looks_always.handle_explicitly()
    simulator.step()
    assert looks_always.capture_rgb().sum() > 0
    looks_always.remove()


def test_depth_points_and_handles(sensor):
    from pyrep.const import RenderMode
    from pyrep.objects.shape import Shape

    sensor.handle_explicitly()
    depth = sensor.capture_depth(in_meters=True)
    assert depth.shape == (48, 64)
    assert depth[24, 32] == pytest.approx(1.4, abs=1e-4)
    shares = sensor.capture_depth()
    np.testing.assert_allclose(0.01 + shares * 9.99, depth, atol=1e-5)
    points = sensor.capture_pointcloud()
    assert points[24, 32] == pytest.approx([0, 0, 0.6], abs=2e-3)
    sensor.set_render_mode(RenderMode.OPENGL_COLOR_CODED)
    coded = sensor.capture_rgb()
    coded *= 255
    handles = coded[..., 0] + 256 * coded[..., 1] + 65536 * coded[..., 2]
    box = Shape("box")
    seen = handles.astype(int) == box.get_handle()
    assert seen[24, 32]
    xs = points[seen][:, 0]
    assert [xs.min(), xs.max()] == pytest.approx([-0.2, 0.2], abs=0.03)


def test_a_look_lasts_until_the_next(sensor):
    from pyrep.objects.shape import Shape

    box = Shape("box")
    sensor.handle_explicitly()
    before = sensor.capture_depth(in_meters=True)
    box.set_position([0, 0, 0.8])
    assert np.array_equal(sensor.capture_depth(in_meters=True), before)
    sensor.handle_explicitly()
    assert sensor.capture_depth(in_meters=True)[24, 32] == pytest.approx(1.1, abs=1e-4)
    box.set_position([0, 0, 0.5])


def test_projections_planes_and_sizes(sensor):
    from pyrep.const import PerspectiveMode
    from pyrep.errors import PyRepError

    assert sensor.get_perspective_angle() == pytest.approx(40.0)
    K = sensor.get_intrinsic_matrix()
    assert K[0, 0] == K[1, 1] == pytest.approx(-32 / np.tan(np.deg2rad(20)))
    sensor.set_perspective_mode(PerspectiveMode.ORTHOGRAPHIC)
    sensor.set_orthographic_size(1.6)
    sensor.set_resolution([128, 64])
    sensor.handle_explicitly()
    depth = sensor.capture_depth(in_meters=True)
    assert (np.abs(depth - 1.4) < 1e-3).any(axis=0).sum() == 32
    sensor.set_far_clipping_plane(1.0)
    sensor.handle_explicitly()
    assert (sensor.capture_depth() == 1.0).all()
    sensor.set_near_clipping_plane(2.0)
    sensor.handle_explicitly()
    with pytest.raises(PyRepError, match="near clipping plane"):
        sensor.capture_depth()
    with pytest.raises(PyRepError, match="resolution"):
        sensor.set_resolution([0, 10])
    with pytest.raises(PyRepError, match="resolution"):
        sensor.create([0, 10])
    assert not sensor.exists("Vision_sensor#0")


def test_one_object_can_be_shown_alone(sensor):
    from pyrep.objects.shape import Shape

    sensor.set_entity_to_render(Shape("box").get_handle())
    sensor.handle_explicitly()
    depth = sensor.capture_depth(in_meters=True)
    assert depth[24, 32] == pytest.approx(1.4, abs=1e-4)
    assert depth[0, 0] == pytest.approx(10.0)
    assert sensor.get_entity_to_render() == Shape("box").get_handle()


def test_drawn_lines_are_shown_by_windowed_modes_only(sensor):
    from pyrep.const import RenderMode
    from pyrep_mujoco.session.current import current
    from pyrep_mujoco.vision.sensors import drawings

    number = drawings.add(current(), np.array([[-0.5, 0.3, 0.5], [0.5, 0.3, 0.5]]))
    magenta = []
    for mode in (RenderMode.OPENGL3, RenderMode.OPENGL3_WINDOWED):
        sensor.set_render_mode(mode)
        sensor.handle_explicitly()
        image = sensor.capture_rgb()
        magenta.append(int(((image[..., 0] > 0.3) & (image[..., 1] < 0.2)).any(axis=0).sum()))
    drawings.remove(current(), number)
    assert magenta[1] > magenta[0] + 10
