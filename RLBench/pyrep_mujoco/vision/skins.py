"""Smooth meshes that a robot's links wear in colour images, in place of their primitives; lines.

A mesh asset named `skin:<body>:<material>` replaces, in colour images only, the geoms of that body
and material. No geom has the mesh: physics, rays, depth and segmentation do not know of it. So what
rays find visible agrees with the depth images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import mujoco
import numpy as np
import numpy.typing as npt

from pyrep_mujoco.transforms import Floats, quat_wxyz_to_matrix
from pyrep_mujoco.vision.frustum import Frustum

PREFIX = "skin"
_LINE_COLOUR = np.array([1.0, 0.0, 1.0, 1.0], np.float32)
_LINE_RADIUS = 2e-3  # [m]
_UNSEEN = 5  # a geom group that is never drawn
_STILL, _MOVING = mujoco.mjtCatBit.mjCAT_STATIC, mujoco.mjtCatBit.mjCAT_DYNAMIC
_BOTH_MESHES = 2  # MuJoCo's numbers of drawn meshes count each mesh and its hull


@dataclass(frozen=True)
class Skin:
    """What a body wears.

    Attributes:
        mesh: number of the mesh.
        body: number of the body.
        material: number of the material.
        geoms: numbers of the geoms that it covers.
        pose: (4, 4) of the mesh's vertices in the body's frame.
    """

    mesh: int
    body: int
    material: int
    geoms: npt.NDArray[np.intp]
    pose: Floats


@dataclass(frozen=True)
class Wanted:
    """What is drawn.

    Attributes:
        categories: of geoms (`mjtCatBit`), of skins too: those of bodies that are fixed to the
            world are static.
        skins: whether bodies wear them.
        view: what lies outside is left out; None: nothing is.
    """

    categories: int
    skins: bool
    view: Frustum | None = None


class Skins:
    """Puts a model's skins into the scenes that are drawn.

    A body whose geoms were hidden, recoloured or made transparent is drawn as it is.

    Attributes:
        lines: each (N, 3) points [m], world, that colour images show joined by lines.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._skins = [s for mesh in range(model.nmesh) if (s := _skin_of(model, mesh))]
        self._looks = [self._look(skin) for skin in self._skins]
        self._balls = [_ball(model, skin) for skin in self._skins]
        # Planes and height fields have no end or another centre.
        has_end = (model.geom_rbound > 0) & (model.geom_type != mujoco.mjtGeom.mjGEOM_HFIELD)
        self._radii = np.where(has_end, model.geom_rbound, np.inf)

        self.lines: Sequence[Floats] = ()

    def __len__(self) -> int:
        """Number of skins."""
        return len(self._skins)

    def _look(self, skin: Skin) -> tuple[bytes, ...]:
        model = self._model
        columns = (model.geom_group, model.geom_matid, model.geom_rgba)
        return tuple(np.asarray(column[skin.geoms]).tobytes() for column in columns)

    def update(
        self,
        data: mujoco.MjData,
        option: mujoco.MjvOption,
        camera: mujoco.MjvCamera,
        scene: mujoco.MjvScene,
        wanted: Wanted,
    ) -> npt.NDArray[np.bool_]:
        """Fill a scene with what a camera may see; see `mjv_updateScene`.

        Args:
            data: the state.
            option: of what is drawn.
            camera: from where.
            scene: is changed.
            wanted: what is drawn.

        Returns:
            (ngeom,) the geoms that were left out: covered by skins, or out of view.
        """
        model, view = self._model, wanted.view
        worn = [
            (s, ball)
            for s, look, ball in zip(self._skins, self._looks, self._balls, strict=True)
            if wanted.skins and self._look(s) == look
        ]
        left_out = np.zeros(model.ngeom, bool)
        if view is not None:
            left_out = view.misses(data.geom_xpos, self._radii)
        for skin, _ in worn:
            left_out[skin.geoms] = True
        groups = model.geom_group[left_out]
        model.geom_group[left_out] = _UNSEEN
        try:
            mujoco.mjv_updateScene(model, data, option, None, camera, wanted.categories, scene)
        finally:
            model.geom_group[left_out] = groups
        for skin, (middle, radius) in worn:
            is_still = model.body_weldid[skin.body] == 0
            if not wanted.categories & int(_STILL if is_still else _MOVING):
                continue
            place = data.xpos[skin.body] + data.xmat[skin.body].reshape(3, 3) @ middle
            if view is None or not view.misses(place[None], np.array([radius]))[0]:
                self._add(data, skin, scene)
        if wanted.skins and wanted.categories & int(_MOVING):
            for points in self.lines:
                _add_line(points, scene)
        return left_out

    def _add(self, data: mujoco.MjData, skin: Skin, scene: mujoco.MjvScene) -> None:
        model = self._model
        rotation = data.xmat[skin.body].reshape(3, 3)
        place = data.xpos[skin.body] + rotation @ skin.pose[:3, 3]
        turn = (rotation @ skin.pose[:3, :3]).ravel()
        number = scene.ngeom
        geom = scene.geoms[number]
        colour = model.mat_rgba[skin.material]
        mujoco.mjv_initGeom(geom, mujoco.mjtGeom.mjGEOM_MESH, np.ones(3), place, turn, colour)
        geom.dataid, geom.matid = _BOTH_MESHES * skin.mesh, skin.material
        geom.emission = model.mat_emission[skin.material]
        geom.specular = model.mat_specular[skin.material]
        geom.shininess = model.mat_shininess[skin.material]
        geom.category = _STILL if model.body_weldid[skin.body] == 0 else _MOVING
        geom.objtype, geom.objid = mujoco.mjtObj.mjOBJ_GEOM, int(skin.geoms[0])
        geom.segid = number
        scene.ngeom = number + 1


def _add_line(points: Floats, scene: mujoco.MjvScene) -> None:
    """Draw a line through (N, 3) points, or through as many of them as the scene has room for."""
    room = scene.maxgeom - scene.ngeom
    if room < 1:
        return
    if len(points) > room + 1:
        points = points[np.linspace(0, len(points) - 1, room + 1).round().astype(int)]
    for start, end in pairwise(points):
        geom = scene.geoms[scene.ngeom]
        kind = mujoco.mjtGeom.mjGEOM_CAPSULE
        mujoco.mjv_initGeom(geom, kind, np.zeros(3), np.zeros(3), np.eye(3).ravel(), _LINE_COLOUR)
        mujoco.mjv_connector(geom, kind, _LINE_RADIUS, start, end)
        geom.category = _MOVING
        scene.ngeom += 1


def _ball(model: mujoco.MjModel, skin: Skin) -> tuple[Floats, float]:
    """Return the centre (3,) in the body's frame and the radius of a ball around a skin [m]."""
    first, count = model.mesh_vertadr[skin.mesh], model.mesh_vertnum[skin.mesh]
    points = model.mesh_vert[first : first + count] @ skin.pose[:3, :3].T + skin.pose[:3, 3]
    middle: Floats = 0.5 * (points.min(axis=0) + points.max(axis=0))
    return middle, float(np.linalg.norm(points - middle, axis=1).max())


def _skin_of(model: mujoco.MjModel, mesh: int) -> Skin | None:
    """Return the skin that a mesh is by its name, if it is one and its body is in the model."""
    prefix, _, rest = model.mesh(mesh).name.partition(":")
    body_name, _, material_name = rest.partition(":")
    if prefix != PREFIX:
        return None
    body, material = (
        mujoco.mj_name2id(model, kind, name)
        for kind, name in (
            (mujoco.mjtObj.mjOBJ_BODY, body_name),
            (mujoco.mjtObj.mjOBJ_MATERIAL, material_name),
        )
    )
    geoms = np.flatnonzero((model.geom_bodyid == body) & (model.geom_matid == material))
    if body < 0 or material < 0 or len(geoms) == 0:
        return None
    pose = np.eye(4)
    pose[:3, :3] = quat_wxyz_to_matrix(model.mesh_quat[mesh])
    pose[:3, 3] = model.mesh_pos[mesh]
    return Skin(mesh, body, material, geoms, pose)
