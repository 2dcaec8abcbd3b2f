import importlib.util
import subprocess
import sys
from types import SimpleNamespace

import mujoco
import numpy as np
import pytest

from pyrep_mujoco.vision import rendering
from pyrep_mujoco.vision.rendering import Renderer, select_gl_backend
from rlbench.backend.exceptions import RenderingError
from rlbench.cameras import CAMERAS, extrinsics, intrinsics, mujoco_camera, project

STATIC = ("left_shoulder", "right_shoulder", "overhead", "front")
SIZE = 256
RADIUS = 0.02


def needs_gl():
    try:
        select_gl_backend()
    except RenderingError as error:
        pytest.skip(str(error))


def numbers(values) -> str:
    return " ".join(repr(float(v)) for v in values)


def make_model(bodies: str) -> mujoco.MjModel:
    cameras = ""
    for name in STATIC:
        pos, quat = mujoco_camera(CAMERAS[name].T_world_cam())
        cameras += f"<camera name='{name}' pos='{numbers(pos)}' quat='{numbers(quat)}' fovy='40'/>"
    return mujoco.MjModel.from_xml_string(
        "<mujoco><statistic extent='1'/><visual><map znear='.01' zfar='6'/></visual>"
        f"<worldbody>{cameras}{bodies}</worldbody></mujoco>"
    )


def ready(model):
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return data


def calibration(name, width=SIZE, height=SIZE):
    return intrinsics(40.0, width, height), extrinsics(CAMERAS[name].T_world_cam())


def sphere_image_centre(centre_cam, radius, K):
    """Centre of the ellipse that is a sphere's image (Hartley/Zisserman 8.3), [px]."""
    cone = np.outer(centre_cam, centre_cam) - (centre_cam @ centre_cam - radius**2) * np.eye(3)
    conic = np.linalg.inv(K).T @ cone @ np.linalg.inv(K)
    return np.linalg.solve(conic[:2, :2], -conic[:2, 2])


BOXES = make_model(
    "<geom name='ground' type='plane' size='2 2 .1' pos='0 0 .75'/>"
    "<body name='red' pos='.3 .1 .85'><geom type='box' size='.05 .08 .1' rgba='1 0 0 1'/></body>"
    "<body name='hull' pos='.3 -.1 .85'><geom type='box' size='.2 .2 .2' group='3'/>"
    "<site type='sphere' size='.1'/></body>"
    "<body name='ghost' pos='.3 .1 1'><geom type='box' size='.2 .2 .01' rgba='1 1 1 0'/></body>"
)


@pytest.fixture(scope="module")
def boxes():
    needs_gl()
    with Renderer(BOXES, SIZE, SIZE) as renderer:
        yield renderer


@pytest.mark.parametrize("name", STATIC)
def test_marker_lies_at_its_projection(name):
    """The test that catches every calibration fault: 49 balls spread over the image."""
    needs_gl()
    rng = np.random.default_rng(0)
    K, E = calibration(name)
    uv = np.stack(np.meshgrid(*[np.linspace(20, SIZE - 20, 7)] * 2), -1).reshape(-1, 2)
    uv += rng.uniform(-3, 3, uv.shape)
    depth = rng.uniform(1.2, 2.0, (len(uv), 1))
    xyz_cam = np.c_[(uv - K[:2, 2]) / K[0, 0], np.ones(len(uv))] * depth
    points = (xyz_cam - E[:, 3]) @ E[:, :3]
    model = make_model(
        "".join(f"<body pos='{numbers(p)}'><geom size='{RADIUS}'/></body>" for p in points)
    )
    with Renderer(model, SIZE, SIZE) as renderer:
        ids = renderer.render(ready(model), name, rgb=False, depth=False).mask
    errors = []
    for body, centre_cam in enumerate(xyz_cam, start=1):
        v, u = np.nonzero(ids == body)
        centre = sphere_image_centre(centre_cam, RADIUS, K)
        errors.append([u.mean() + 0.5, v.mean() + 0.5] - centre)
    np.testing.assert_allclose(project(points, K, E)[0], uv, atol=1e-9)
    assert np.linalg.norm(np.mean(errors, axis=0)) <= 0.03
    assert np.sqrt(np.mean(np.square(errors))) < 0.1
    assert np.linalg.norm(errors, axis=1).max() <= 0.3


@pytest.mark.parametrize("name", STATIC)
def test_depth_is_metres_along_the_axis(boxes, name):
    data = ready(BOXES)
    images = boxes.render(data, name)
    K, E = calibration(name)
    centre = np.array(CAMERAS[name].position)
    compared = 0
    for v, u in np.random.default_rng(1).integers(0, SIZE, (200, 2)):
        ray_cam = np.linalg.inv(K) @ [u + 0.5, v + 0.5, 1.0]
        ray = ray_cam @ E[:, :3]
        geom = np.zeros(1, np.int32)
        drawn = np.array([1, 1, 1, 0, 0, 0], np.uint8)
        distance = mujoco.mj_ray(BOXES, data, centre, ray, drawn, 1, -1, geom)
        if distance < 0 or images.mask[v, u] != BOXES.geom_bodyid[geom[0]]:
            continue
        assert images.depth[v, u] == pytest.approx(distance, abs=1e-3)
        compared += 1
    assert compared > 150


def test_only_drawn_geometry_is_seen(boxes):
    images = boxes.render(ready(BOXES), "front")
    assert set(np.unique(images.mask)) == {0, BOXES.body("red").id}
    assert images.mask.dtype == np.int32
    assert images.depth.dtype == np.float32
    red = images.mask == BOXES.body("red").id
    assert (images.rgb[red][:, 0] > 20).all()
    assert (images.rgb[red][:, 1:] == 0).all()


def test_a_change_of_what_is_drawn_shows_in_the_ids(boxes):
    data = ready(BOXES)
    ghost = BOXES.body("ghost")
    before = boxes.render(data, "overhead").mask
    BOXES.geom_rgba[ghost.geomadr[0], 3] = 1.0
    after = boxes.render(data, "overhead").mask
    BOXES.geom_rgba[ghost.geomadr[0], 3] = 0.0
    again = boxes.render(data, "overhead").mask
    assert ghost.id not in before
    assert ghost.id in after
    assert BOXES.body("red").id not in after
    np.testing.assert_array_equal(before, again)


def test_images_are_new_arrays_and_repeat(boxes):
    data = ready(BOXES)
    first, second = boxes.render(data, "front"), boxes.render(data, "front")
    for name in ("rgb", "depth", "mask"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        assert not np.shares_memory(getattr(first, name), getattr(second, name))


def test_only_what_is_asked_for_is_made(boxes):
    data = ready(BOXES)
    images = boxes.render(data, "front", rgb=False, mask=False)
    assert images.rgb is None
    assert images.mask is None
    full = boxes.render(data, "front")
    np.testing.assert_array_equal(images.depth, full.depth)
    ids = boxes.render(data, "front", rgb=False, depth=False).mask
    np.testing.assert_array_equal(ids, full.mask)
    assert boxes.render(data, "front", rgb=False, depth=False, mask=False).depth is None


@pytest.mark.parametrize(("width", "height"), [(200, 100), (100, 200)])
def test_other_shapes_of_image_follow_the_intrinsics(width, height):
    needs_gl()
    point = np.array([0.3, 0.05, 1.0])
    model = make_model(f"<body pos='{numbers(point)}'><geom size='.04'/></body>")
    with Renderer(model, width, height) as renderer:
        images = renderer.render(ready(model), "front")
    assert images.rgb.shape == (height, width, 3)
    v, u = np.nonzero(images.mask == 1)
    K, E = calibration("front", width, height)
    centre = sphere_image_centre(E[:, :3] @ point + E[:, 3], 0.04, K)
    np.testing.assert_allclose([u.mean() + 0.5, v.mean() + 0.5], centre, atol=0.2)
    uv, depth = project(point, K, E)
    assert images.depth[int(uv[1]), int(uv[0])] == pytest.approx(depth - 0.04, abs=2e-3)


def test_multisampling_changes_colours_only(boxes):
    data = ready(BOXES)
    plain = boxes.render(data, "front")
    with Renderer(BOXES, SIZE, SIZE, multisample=4) as renderer:
        smooth = renderer.render(data, "front")
    np.testing.assert_array_equal(smooth.depth, plain.depth)
    np.testing.assert_array_equal(smooth.mask, plain.mask)
    assert (smooth.rgb != plain.rgb).any()


@pytest.mark.parametrize("multisample", [0, 4])
def test_shadows_darken_colours_only(multisample):
    needs_gl()
    model = make_model(
        "<light type='directional' pos='.3 0 2' dir='0 0 -1'/>"
        "<geom type='plane' size='2 2 .1' pos='0 0 .75'/>"
        "<geom type='box' size='.1 .1 .01' pos='.3 0 1.1'/>"
    )
    data, images = ready(model), []
    for shadows in (False, True):
        with Renderer(model, SIZE, SIZE, shadows=shadows, multisample=multisample) as renderer:
            images.append(renderer.render(data, "front"))
    plain, dark = images
    np.testing.assert_array_equal(dark.depth, plain.depth)
    np.testing.assert_array_equal(dark.mask, plain.mask)
    uv, _ = project((0.3, 0, 0.75), *calibration("front"))  # below the box
    column, row = np.floor(uv).astype(int)
    assert dark.rgb[row, column].mean() < 0.8 * plain.rgb[row, column].mean()
    assert (dark.rgb.astype(int) <= plain.rgb.astype(int) + 1).all()


def test_renderers_live_side_by_side(boxes):
    """A renderer left to the collector once freed the buffers of its successor."""
    data = ready(BOXES)
    before = boxes.render(data, "front")
    other = Renderer(BOXES, 32, 32)
    small = other.render(data, "front").mask
    other = Renderer(BOXES, 32, 32, shadows=True)
    np.testing.assert_array_equal(other.render(data, "front").mask, small)
    del other
    np.testing.assert_array_equal(boxes.render(data, "front").rgb, before.rgb)


def test_the_models_settings_are_left_as_found(boxes):
    fresh = make_model("")
    assert BOXES.vis.global_.offwidth == fresh.vis.global_.offwidth
    assert BOXES.vis.quality.offsamples == fresh.vis.quality.offsamples
    assert BOXES.vis.quality.shadowsize == fresh.vis.quality.shadowsize


def test_unknown_camera_lists_the_known(boxes):
    with pytest.raises(RenderingError, match=r"'side' is not in the scene.*'front'"):
        boxes.render(ready(BOXES), "side")


def test_closed_renderer_says_so():
    needs_gl()
    renderer = Renderer(BOXES, 8, 8)
    renderer.close()
    renderer.close()
    with pytest.raises(RenderingError, match="closed"):
        renderer.render(ready(BOXES), "front")


def test_empty_image_is_refused():
    with pytest.raises(RenderingError, match="0 x 8"):
        Renderer(BOXES, 0, 8)


@pytest.fixture
def fresh_choice():
    rendering.working_backend.cache_clear()
    yield
    rendering.working_backend.cache_clear()


def test_switched_off_rendering_says_what_to_do(monkeypatch, fresh_choice):
    monkeypatch.setenv("MUJOCO_GL", "disable")
    with pytest.raises(RenderingError, match=r"MUJOCO_GL=disable switches rendering off; unset"):
        select_gl_backend()


def test_unknown_backend_lists_the_allowed(monkeypatch, fresh_choice):
    monkeypatch.setenv("MUJOCO_GL", "vulkan")
    with pytest.raises(RenderingError, match="allowed are egl, osmesa, glfw"):
        select_gl_backend()


def test_no_backend_gives_one_line_with_all_reasons(monkeypatch, fresh_choice):
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setattr(rendering, "backend_fault", lambda name: f"no {name} here")
    with pytest.raises(RenderingError) as caught:
        select_gl_backend()
    for name in ("egl", "osmesa", "glfw"):
        assert f"{name}: no {name} here" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_first_that_works_is_chosen_and_remembered(monkeypatch, fresh_choice):
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setattr(
        rendering, "backend_fault", lambda name: None if name == "osmesa" else "none"
    )
    assert select_gl_backend() == "osmesa"
    assert rendering.os.environ["MUJOCO_GL"] == "osmesa"


@pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="Triton is not installed; PyTorch's CUDA builds bring it",
)
def test_a_process_may_render_and_then_learn():
    needs_gl()
    code = """
import mujoco
from pyrep_mujoco.vision.rendering import Renderer, select_gl_backend
select_gl_backend()
Renderer(mujoco.MjModel.from_xml_string("<mujoco/>"), 8, 8)
import triton._C.libtriton
print("fine")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "fine\n"), run.stderr


def test_a_triton_that_cannot_be_loaded_is_a_warning(tmp_path, monkeypatch, caplog):
    (tmp_path / "_C").mkdir()
    (tmp_path / "_C" / "libtriton.so").write_text("nothing")
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(rendering.importlib.util, "find_spec", lambda _: spec)
    rendering.load_triton_first.__wrapped__()
    assert "Triton cannot be loaded: " in caplog.text
