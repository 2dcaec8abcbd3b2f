"""Vision sensors: any pose, planes, projection, and what masks show."""

from collections.abc import Iterator

import mujoco
import numpy as np
import pytest

from pyrep_mujoco.errors import RenderingError
from pyrep_mujoco.vision.rendering import Renderer
from pyrep_mujoco.vision.sensor_views import Planes, SensorView

# A floor, a box whose top is 0.6 m high, and a ball that moves beside it. Seen from 2 m above.
SCENE = """
<mujoco><visual><map znear="0.1" zfar="5"/></visual><statistic extent="1"/>
<worldbody>
  <light pos="0 0 3"/>
  <geom name="floor" type="plane" size="2 2 0.1" rgba="0.3 0.6 0.3 1"/>
  <body name="box" pos="0 0 0.5"><geom name="box" type="box" size="0.2 0.1 0.1" rgba="1 0 0 1"/>
  </body>
  <body name="ball" pos="0.4 0 0.1"><freejoint/><geom name="ball" size="0.1" rgba="0 0 1 1"/></body>
  <camera name="above" pos="0 0 2" fovy="40"/>
</worldbody></mujoco>
"""
DOWN = np.array([[-1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 2.0], [0, 0, 0, 1]])
LABELS = np.array([11, 70000, 33])


@pytest.fixture(scope="module")
def scene() -> Iterator[tuple[mujoco.MjData, Renderer]]:
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    try:
        renderer = Renderer(model, 64, 48, labels=LABELS)
    except RenderingError as error:
        pytest.skip(str(error))
    yield data, renderer
    renderer.close()


def view(planes: Planes, size: float, T: np.ndarray = DOWN, key: int = 7) -> SensorView:
    return SensorView.at(key, T, planes, size)


def test_a_sensor_sees_what_a_camera_of_the_model_sees(scene):
    data, renderer = scene
    ours = renderer.render(data, view(Planes(0.1, 5.0), np.deg2rad(40)))
    models = renderer.render(data, "above")
    np.testing.assert_array_equal(ours.mask, models.mask)
    np.testing.assert_allclose(ours.depth, models.depth, atol=1e-5)
    assert np.abs(ours.rgb.astype(int) - models.rgb).max() <= 2


def test_masks_show_labels(scene):
    data, renderer = scene
    mask = renderer.render(data, view(Planes(0.1, 5.0), np.deg2rad(40)), rgb=False).mask
    assert set(np.unique(mask)) == set(LABELS)
    assert mask[24, 32] == 70000


def test_a_parallel_projection_has_sizes_in_metres(scene):
    data, renderer = scene
    parallel = view(Planes(0.1, 5.0, is_parallel=True), 1.6)
    images = renderer.render(data, parallel, rgb=False)
    box = images.mask == 70000
    # 64 px are 1.6 m.
    assert box.any(axis=0).sum() == round(0.4 / 1.6 * 64)
    assert box.any(axis=1).sum() == round(0.2 / 1.6 * 64)
    np.testing.assert_allclose(images.depth[box], 1.4, atol=1e-5)


@pytest.mark.parametrize(("near", "far", "seen"), [(1.5, 5.0, {11, 33}), (0.1, 1.7, {0, 70000})])
def test_planes_clip(scene, near, far, seen):
    data, renderer = scene
    images = renderer.render(data, view(Planes(near, far), np.deg2rad(40)), rgb=False)
    assert set(np.unique(images.mask)) == seen
    np.testing.assert_allclose(images.depth[images.mask == 0], far, rtol=1e-6)


def test_sensors_and_what_they_see_may_move(scene):
    data, renderer = scene
    planes, angle = Planes(0.1, 5.0), np.deg2rad(40)
    for _ in range(3):  # what stands still is kept from the second picture on
        before = renderer.render(data, view(planes, angle))
    data.qpos[0] = -0.4
    mujoco.mj_forward(renderer._model, data)
    moved = renderer.render(data, view(planes, angle))
    fresh = renderer.render(data, view(planes, angle, key=8))
    for ours, others in ((moved.rgb, fresh.rgb), (moved.mask, fresh.mask)):
        np.testing.assert_array_equal(ours, others)
    assert (moved.mask == 33)[:, :32].any()
    assert (before.mask == 33)[:, 32:].any()
    T = DOWN.copy()
    T[0, 3] = 0.3
    aside = renderer.render(data, view(planes, angle, T), rgb=False)
    assert (aside.mask == 70000)[:, :32].sum() > (aside.mask == 70000)[:, 32:].sum()
    data.qpos[0] = 0.4
    mujoco.mj_forward(renderer._model, data)


def test_a_sensor_can_be_turned(scene):
    data, renderer = scene
    T = DOWN.copy()
    T[:3, 0], T[:3, 1] = [0, 1, 0], [1, 0, 0]  # up in the image is along x
    images = renderer.render(data, view(Planes(0.1, 5.0), np.deg2rad(40), T), rgb=False)
    box = images.mask == 70000
    assert box.any(axis=0).sum() < box.any(axis=1).sum()
