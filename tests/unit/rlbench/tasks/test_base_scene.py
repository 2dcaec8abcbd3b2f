"""What surrounds every task: how its pictures are made, and that it looks as it was recorded."""

import tomllib
import xml.etree.ElementTree as ET

import mujoco
import numpy as np
import pytest
from PIL import Image

from pyrep_mujoco.vision.rendering import Renderer, select_gl_backend
from rlbench.backend.exceptions import RenderingError
from rlbench.cameras import CAMERAS, extrinsics, intrinsics, unproject_depth
from rlbench.const import colors
from rlbench.engines.mujoco import BASE_SCENE, PANDA, MujocoEngine
from rlbench.tasks import builtin_scene
from rlbench.tools.art import make_base_scene_textures as art

SIZE = 128
TABLE_Z = 0.75207
VIEWS = ("left_shoulder", "right_shoulder", "overhead", "front")
# Mean colours of patches (left, upper, right, lower) [px] of a recording of RLBench at 128 px.
RECORDED = (
    ("overhead", (75, 80, 110, 125), (209, 169, 89), "wood"),
    ("left_shoulder", (10, 85, 50, 125), (206, 172, 95), "wood"),
    ("front", (5, 95, 125, 125), (202, 163, 86), "wood"),
    ("overhead", (66, 12, 92, 25), (213, 207, 198), "dark tile"),
    ("overhead", (66, 0, 90, 10), (231, 225, 215), "light tile"),
    ("front", (20, 57, 30, 60), (221, 217, 207), "tiles"),
    ("front", (2, 2, 50, 18), (0, 50, 55), "wall"),
    ("front", (2, 40, 50, 54), (0, 30, 38), "low wall"),
)


@pytest.fixture(scope="module")
def views():
    """Images of the four fixed cameras, and the names of bodies by number."""
    try:
        select_gl_backend()
    except RenderingError as error:
        pytest.skip(str(error))
    engine = MujocoEngine(builtin_scene("reach_target"))
    model, data = engine.world.model, engine.world.data
    mujoco.mj_forward(model, data)
    with Renderer(model, SIZE, SIZE) as renderer:
        images = {name: renderer.render(data, name) for name in VIEWS}
    return images, np.array([model.body(b).name for b in range(model.nbody)])


def test_the_textures_are_written_the_same_again(tmp_path):
    written = art.write(tmp_path)
    assert {path.name for path in written} == {path.name for path in art.TEXTURES.iterdir()}
    for path in written:
        again, kept = (Image.open(folder / path.name) for folder in (tmp_path, art.TEXTURES))
        assert np.array_equal(again.convert("RGB"), kept.convert("RGB"))


@pytest.mark.parametrize(
    ("scene", "kind", "count"), [(BASE_SCENE, "texture", 3), (PANDA.mjcf, "mesh", 7)]
)
def test_textures_and_skins_are_part_of_the_package(scene, kind, count):
    root = BASE_SCENE.parents[1]
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    packed = {
        file
        for package, patterns in settings["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for file in (root / package).glob(pattern)
    }
    files = [asset.get("file") for asset in ET.parse(scene).iter(kind)]  # noqa: S314 - our own
    assert len(files) == count
    assert {(scene.parent / file).resolve() for file in files} <= packed


@pytest.mark.parametrize("camera", VIEWS)
def test_table_and_floor_are_where_their_depth_says(views, camera):
    images, names = views[0][camera], views[1]
    shown = names[images.mask]
    pose = extrinsics(CAMERAS[camera].T_world_cam())
    points = unproject_depth(images.depth, intrinsics(40.0, SIZE, SIZE), pose)
    wood, tiles = points[shown == "diningTable_visible"], points[shown == "Floor"]
    assert len(wood) > 0.3 * SIZE**2
    np.testing.assert_allclose(wood[:, 2], TABLE_Z, atol=2e-3)
    assert (np.abs(wood[:, 0] - 0.3) < 0.8 + 1e-3).all()
    assert (np.abs(wood[:, 1]) < 0.55 + 1e-3).all()
    assert len(tiles) > 20
    np.testing.assert_allclose(tiles[:, 2], 0, atol=5e-3)


def test_the_table_has_the_outline_of_the_recording(views):
    images, names = views
    seen = names[images["overhead"].mask] == "diningTable_visible"
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen[26])
    assert rows[0] == 26
    assert (columns[0], columns[-1]) == (17, 110)
    seen = names[images["front"].mask] == "diningTable_visible"
    assert abs(np.flatnonzero(seen.any(axis=1))[0] - 61) <= 1
    assert (names[images["front"].mask][:50] != "Floor").all()
    assert (names[images["front"].mask][57, :50] == "Floor").all()


def test_the_colours_of_objects_can_be_told_apart():
    try:
        select_gl_backend()
    except RenderingError as error:
        pytest.skip(str(error))
    world = MujocoEngine(builtin_scene("reach_target")).world
    model, data = world.model, world.data
    mujoco.mj_forward(model, data)
    body = model.body("target")
    geom, shown = body.geomadr[0], []
    named = np.array([colour for _, colour in colors])
    with Renderer(model, 256, 256) as renderer:
        for colour in named:
            model.geom_matid[geom], model.geom_rgba[geom, :3] = -1, colour
            image = renderer.render(data, "front")
            shown.append(np.median(image.rgb[image.mask == body.id], axis=0))
    distance = np.linalg.norm(np.array(shown)[:, None] - 255 * named, axis=-1)
    wrong = {colors[i][0] for i in np.flatnonzero(distance.argmin(axis=1) != np.arange(20))}
    assert wrong <= {"white", "silver"}  # each looks like the next darker one
    apart = np.linalg.norm(np.array(shown)[:, None] - np.array(shown), axis=-1)
    assert apart[~np.eye(20, dtype=bool)].min() > 60


@pytest.mark.parametrize(("camera", "patch", "colour", "what"), RECORDED)
def test_colours_are_those_of_the_recording(views, camera, patch, colour, what):
    left, upper, right, lower = patch
    shown = views[0][camera].rgb[upper:lower, left:right].reshape(-1, 3)
    np.testing.assert_allclose(np.median(shown, axis=0), colour, atol=20, err_msg=what)
    if what == "wood":
        assert 5 < shown[:, 1].std() < 25  # there is grain to hold on to
