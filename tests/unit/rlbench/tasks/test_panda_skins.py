"""The skins of our Panda: close to what physics and rays know, seen in images alone."""

import mujoco
import numpy as np
import pytest

from pyrep_mujoco.vision.rendering import Renderer, select_gl_backend
from rlbench.backend.exceptions import RenderingError
from rlbench.engines.mujoco import MujocoEngine
from rlbench.tasks import builtin_scene
from rlbench.tools.art import make_panda_skins as art

SIZE = 256
CLOSE = 0.0065  # [m] rims are rounded by 6 mm, creases filled by 4 mm
VIEWS = ("left_shoulder", "overhead", "front")
LINK = "Panda_link5"


@pytest.fixture(scope="module")
def world():
    try:
        select_gl_backend()
    except RenderingError as error:
        pytest.skip(str(error))
    world = MujocoEngine(builtin_scene("reach_target")).world
    mujoco.mj_forward(world.model, world.data)
    return world


@pytest.fixture(scope="module")
def renderer(world):
    with Renderer(world.model, SIZE, SIZE) as renderer:
        yield renderer


@pytest.fixture(scope="module")
def bare(world):
    """Images of the links without their skins."""
    model = world.model
    colours = model.mat_rgba.copy()
    with Renderer(model, SIZE, SIZE) as renderer:
        white = model.geom_matid == model.mat("panda_white").id
        model.geom_rgba[white, 0] *= 0.999  # a changed colour takes a skin off
        images = {name: renderer.render(world.data, name) for name in VIEWS}
        model.geom_rgba[white, 0] /= 0.999
    assert (model.mat_rgba == colours).all()
    return images


def read_obj(path):
    rows = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    points = np.array([row[1:] for row in rows if row[0] == "v"], float)
    return points, np.array([row[1:] for row in rows if row[0] == "f"], int)


def test_skins_are_written_the_same_again(tmp_path):
    for again in art.write(tmp_path):
        (points, faces), (kept, kept_faces) = read_obj(again), read_obj(art.SKINS / again.name)
        np.testing.assert_allclose(points, kept, atol=2e-5)
        assert np.array_equal(faces, kept_faces)


@pytest.mark.parametrize("link", art.LINKS)
def test_a_skin_lies_close_to_the_primitives(link):
    points, faces = read_obj(art.SKINS / f"{link.lower()}.obj")
    solids = art.solids_of(mujoco.MjModel.from_xml_path(str(art.PANDA)), link)
    gaps = np.min([solid.distance(points) for solid in solids], axis=0)
    assert np.abs(gaps).max() < CLOSE
    assert np.quantile(np.abs(gaps), 0.9) < 0.003
    # Closed and facing outwards: the volume is positive, and every edge has two faces.
    a, b, c = (points[faces[:, i] - 1] for i in range(3))
    assert np.einsum("ij,ij->i", a, np.cross(b, c)).sum() > 0
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    assert set(np.unique(edges, axis=0, return_counts=True)[1].tolist()) <= {2, 4}


@pytest.mark.parametrize("camera", VIEWS)
def test_images_with_skins_show_the_same_robot(world, renderer, bare, camera):
    dressed, plain = renderer.render(world.data, camera), bare[camera]
    names = np.array([world.model.body(b).name for b in range(world.model.nbody)])
    robot = np.char.startswith(names[plain.mask], "Panda")
    assert robot.sum() > 1000
    assert np.array_equal(dressed.mask, plain.mask)
    assert np.array_equal(dressed.depth, plain.depth)
    changed = np.abs(dressed.rgb.astype(int) - plain.rgb).max(axis=-1) > 30
    assert changed[robot].any()
    assert changed[~robot].sum() < 0.03 * robot.sum()  # a skin lies a few mm outside
    assert (dressed.rgb[robot] == 255).all(axis=-1).mean() < 0.02  # no burnt-out whites


def test_depth_alone_is_that_beside_a_colour_image(world, renderer):
    alone = renderer.render(world.data, "front", rgb=False)
    beside = renderer.render(world.data, "front")
    assert np.array_equal(alone.depth, beside.depth)
    assert np.array_equal(alone.mask, beside.mask)


def test_a_recoloured_or_hidden_link_wears_no_skin(world, renderer):
    model = world.model
    body = model.body(LINK)
    geoms = np.arange(body.geomadr[0], body.geomadr[0] + body.geomnum[0])
    seen = renderer.render(world.data, "overhead").mask == body.id
    assert seen.sum() > 100
    kept = model.geom_matid[geoms].copy(), model.geom_rgba[geoms].copy()
    model.geom_matid[geoms], model.geom_rgba[geoms] = -1, (1, 0, 0, 1)
    red = renderer.render(world.data, "overhead")
    model.geom_matid[geoms], model.geom_rgba[geoms] = kept
    coloured = red.rgb[red.mask == body.id].astype(int)
    is_red = coloured[:, 0] > 2 * coloured[:, 1]
    assert is_red.mean() > 0.95  # the neighbours' skins cover its edges
    groups = model.geom_group[geoms].copy()
    model.geom_group[geoms] = 4
    hidden = renderer.render(world.data, "overhead").mask
    model.geom_group[geoms] = groups
    assert not (hidden == body.id).any()
    assert np.array_equal(renderer.render(world.data, "overhead").mask == body.id, seen)


def test_physics_and_rays_know_no_skin(world):
    model = world.model
    skins = [i for i in range(model.nmesh) if model.mesh(i).name.startswith("skin:")]
    assert len(skins) == len(art.LINKS)
    meshes = model.geom_dataid[model.geom_type == mujoco.mjtGeom.mjGEOM_MESH]
    assert not set(skins) & set(meshes.tolist())
