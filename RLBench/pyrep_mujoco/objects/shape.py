"""Shapes of a MuJoCo scene, by PyRep's names: geometry, substance, looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import mujoco
import numpy as np

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.objects.detection import geom_triangles
from pyrep_mujoco.objects.object_table import ObjectTable
from pyrep_mujoco.objects.object_types import ObjectType
from pyrep_mujoco.objects.scene_object import MujocoObject, Numbers, SceneParts
from pyrep_mujoco.objects.shape_forms import mesh_form
from pyrep_mujoco.scene.edits import DRAWN_GROUP, HIDDEN_GROUP, SOLID_GROUP
from pyrep_mujoco.scene.forms import Form
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.world import Ints, World

ALL_FLAGS = frozenset({"collidable", "measurable", "detectable", "renderable"})
STANDS_OUT = 1e-4
"""A solid geom that reaches this far [m] beyond what is drawn is that of a thickened sheet."""


class ShapeSource(Protocol):
    """What makes shapes while a task runs."""

    def make(self, name: str, form: Form, T: Floats) -> "MujocoShape":
        """Add a shape at a (4, 4) world pose; its name gets a number where it is taken."""


class HasTree(Protocol):
    """What other objects hang on."""

    def get_objects_in_tree(self, *, exclude_base: bool = True) -> Sequence[object]:
        """Return the logical descendants, joints too."""


@dataclass(frozen=True)
class Geometry:
    """What a shape consists of.

    Attributes:
        geoms: ids.
        triangles: (N, 3, 3) surface in the shape's frame [m].
        box: (6,) xmin xmax ymin ymax zmin zmax in the shape's frame [m].
    """

    geoms: Ints
    triangles: Floats
    box: Floats


def read_geometry(world: World, name: str, body: int) -> Geometry:
    """Read the geometry of a body that is a shape of a name."""
    model = world.model
    start = model.body_geomadr[body]
    geoms = np.arange(start, start + model.body_geomnum[body])
    parts = [geom_triangles(model, g) for g in geoms]
    triangles = np.concatenate(parts)
    box = _box_of(triangles)
    # A sheet collides as something up to 2 mm thick: then what is drawn is the shape.
    groups = world.as_compiled("geom_group")[geoms]
    drawn = [part for part, group in zip(parts, groups, strict=True) if group != SOLID_GROUP]
    if drawn and np.abs(_box_of(np.concatenate(drawn)) - box).max() > STANDS_OUT:
        triangles = np.concatenate(drawn)
        box = _box_of(triangles)
    return Geometry(geoms, triangles, world.notes.boxes.get(name, box))


def _box_of(triangles: Floats) -> Floats:
    """Return (6,) xmin xmax ymin ymax zmin zmax of (N, 3, 3) triangles."""
    return np.stack([triangles.min((0, 1)), triangles.max((0, 1))], axis=1).reshape(6)


class MujocoShape(MujocoObject):
    """A body with geoms.

    Attributes:
        is_crumb: one of many small things that do not touch each other.
    """

    is_crumb = False

    def __init__(self, parts: SceneParts, name: str, body: int, source: ShapeSource) -> None:
        """Stand for a body.

        Args:
            parts: of the scene.
            name: of the shape.
            body: its id; negative where it comes later.
            source: makes copies.
        """
        super().__init__(parts, name, body)
        self._welds, self._source = parts.welds, source
        self._geometry = None if body < 0 else read_geometry(parts.world, name, body)

    @property
    def geometry(self) -> Geometry:
        """What the shape consists of."""
        assert self._geometry is not None
        return self._geometry

    @property
    def geoms(self) -> Ints:
        """Ids of the geoms."""
        return self.geometry.geoms

    @property
    def triangles(self) -> Floats:
        """The (N, 3, 3) surface in the shape's frame [m]."""
        return self.geometry.triangles

    @property
    def solid_geoms(self) -> Ints:
        """Ids of the geoms that collide."""
        geoms = self.geoms
        return geoms[self._world.solid[geoms]]

    def get_type(self) -> ObjectType:
        """Return `ObjectType.SHAPE`."""
        return ObjectType.SHAPE

    def get_extension_string(self) -> str:
        """Return the command string, empty when there is none."""
        return self._world.notes.extensions.get(self._name, "")

    # ---- geometry -----------------------------------------------------------------------

    def get_bounding_box(self) -> Floats:
        """Return (6,) xmin xmax ymin ymax zmin zmax in the shape's own frame [m]."""
        return self.geometry.box.copy()

    def own_corners(self) -> Floats:
        """Return the (8, 3) corners of the bounding box, world [m]."""
        return self.box_corners()

    def box_corners(self, world: bool = True) -> Floats:
        """Return the (8, 3) corners of the bounding box [m], in the world or the own frame."""
        box = self.geometry.box
        bits = (np.arange(8)[:, None] >> np.arange(3)) & 1
        local = np.where(bits == 1, box[1::2], box[::2])
        if not world:
            return local
        T = self.transform()
        return local @ T[:3, :3].T + T[:3, 3]

    def get_mesh_data(self) -> tuple[Floats, Ints, Floats]:
        """Return (N, 3) vertices [m], (M, 3) triangles and (M, 3, 3) normals, in the own frame."""
        triangles = self.triangles
        indices = np.arange(3 * len(triangles)).reshape(-1, 3)
        normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        return triangles.reshape(-1, 3), indices, np.repeat(normals[:, None], 3, axis=1)

    def check_collision(self, obj: HasTree | None = None) -> bool:
        """Tell whether the shape touches `obj`'s tree, or any collidable shape.

        Flags do not matter between shapes that are named, as in CoppeliaSim.
        """
        if obj is None:
            others = shapes_beside_robot(self._world, self._table)
        else:
            tree = obj.get_objects_in_tree(exclude_base=False)
            others = [o for o in tree if isinstance(o, MujocoShape)]
        mine = {o.body for o in self.get_objects_in_tree(exclude_base=False)}
        return any(
            self.touches(other)
            for other in others
            if other.body not in mine and (obj is not None or other.is_collidable())
        )

    def touches(self, other: "MujocoShape") -> bool:
        """Tell whether two shapes intersect (all their geoms, whatever their flags)."""
        model, data = self._world.model, self._world.data
        for g in self.geoms:
            for h in other.geoms:
                gap = np.linalg.norm(data.geom_xpos[g] - data.geom_xpos[h])
                if gap > model.geom_rbound[g] + model.geom_rbound[h]:
                    continue
                if mujoco.mj_geomDistance(model, data, g, h, 1.0, None) <= 0:
                    return True
        return False

    # ---- flags --------------------------------------------------------------------------

    def _default_flags(self) -> frozenset[str]:
        return ALL_FLAGS

    def is_collidable(self) -> bool:
        """Tell whether motion planning must avoid the shape."""
        return "collidable" in self.flags() and len(self.solid_geoms) > 0

    def set_renderable(self, value: bool) -> None:
        """Show the shape's drawn geoms to cameras, or hide them."""
        super().set_renderable(value)
        geoms, groups = self.geoms, self._world.model.geom_group
        scene = self._world.as_compiled("geom_group")[geoms]
        drawn = geoms[scene != SOLID_GROUP]
        if value:
            groups[drawn if len(drawn) else geoms] = DRAWN_GROUP
        else:
            groups[geoms] = np.where(scene == SOLID_GROUP, SOLID_GROUP, HIDDEN_GROUP)

    def is_respondable(self) -> bool:
        """Tell whether other bodies collide with the shape."""
        return len(self.solid_geoms) > 0

    def set_respondable(self, value: bool) -> None:
        """Let other bodies collide with the shape, or pass through it."""
        self._set_solid(value)
        self._set_flag("respondable", value)

    def _set_solid(self, value: bool) -> None:
        geoms = self.solid_geoms if not value or len(self.solid_geoms) else self.geoms
        self._edits.set_solid(geoms, value, self.is_crumb)

    def set_dynamic(self, value: bool) -> None:
        """Let physics move the shape, or hold it where it is.

        Raises:
            SceneError: the scene's model has the shape fixed.
        """
        if value == self.is_dynamic():
            return
        if self._world.is_free(self.body):
            self._welds.pin(self.body, not value)
        elif value:
            raise SceneError(
                f"{self._world.label}: {self._name} is fixed in the scene and cannot become "
                "dynamic; make it dynamic in the scene file"
            )

    def is_dynamic(self) -> bool:
        """Tell whether the shape moves freely or on a joint."""
        moves = bool(self._world.model.body_dofnum[self.body] > 0)
        return moves and self.body not in self._world.changes.pinned

    # ---- substance ----------------------------------------------------------------------

    def get_mass(self) -> float:
        """Return the mass [kg]."""
        return float(self._world.model.body_mass[self.body])

    def set_mass(self, mass: float) -> None:
        """Change the mass [kg], with the inertia in proportion.

        Raises:
            SceneError: it is not positive, or the shape is fixed.
        """
        model = self._world.model
        before = float(model.body_mass[self.body])
        if not mass > 0 or not before > 0:
            raise SceneError(
                f"{self._name}: the mass can be changed from {before:g} kg to {mass:g} kg only if "
                "both are positive"
            )
        ratio = mass / before
        model.body_mass[self.body] = mass
        model.body_inertia[self.body] *= ratio
        model.body_invweight0[self.body] /= ratio
        if self._world.is_free(self.body):
            start = model.body_dofadr[self.body]
            model.dof_invweight0[start : start + 6] /= ratio

    def copy(self) -> "MujocoShape":
        """Make another shape of the same form, mass and colour at the same place."""
        parts = [_points(geom_triangles(self._world.model, g)) for g in self.geoms]
        form = mesh_form(parts, self.is_dynamic(), self.get_mass())
        other = self._source.make(f"{self._name}_copy", form, self._world.transform(self.body))
        other.set_respondable(self.is_respondable())
        other.set_renderable(self.is_renderable())
        other.set_color(self.get_color())
        return other

    # ---- looks --------------------------------------------------------------------------

    def set_color(self, color: Numbers) -> None:
        """Paint the shape's own drawn geoms (rgb in [0, 1])."""
        model = self._world.model
        model.geom_matid[self.geoms] = -1
        model.geom_rgba[self.geoms, :3] = color

    def get_color(self) -> Floats:
        """Return (3,) rgb of the first geom."""
        rgb: Floats = self._world.model.geom_rgba[self.geoms[0], :3].astype(float)
        return rgb

    def get_transparency(self) -> float:
        """Return the opacity (1 = opaque), PyRep's sense."""
        return float(self._world.model.geom_rgba[self.geoms[0], 3])

    def set_transparency(self, value: float) -> None:
        """Set opacity (1 = opaque), PyRep's sense."""
        self._world.model.geom_rgba[self.geoms, 3] = value

    def remove_texture(self) -> None:
        """Show the shape in its plain colour."""
        self._world.model.geom_matid[self.geoms] = -1

    def set_texture(self, *_: Any, **__: Any) -> None:
        """Refuse: textures belong to the scene.

        Raises:
            SceneError: always.
        """
        raise SceneError(
            f"{self._name}: textures cannot be changed on this engine; use set_color, or give the "
            "shape its texture in the scene file"
        )


def shapes_beside_robot(world: World, table: ObjectTable[MujocoObject]) -> list[MujocoShape]:
    """Return all shapes that are not part of the robot, in the model's order."""
    return [shape for shape in table.of_kind(MujocoShape) if shape.body not in world.robot_bodies]


def _points(triangles: Floats) -> tuple[Floats, Ints]:
    """Return (N, 3) vertices and (M, 3) indices of (M, 3, 3) triangles."""
    points, indices = np.unique(triangles.reshape(-1, 3), axis=0, return_inverse=True)
    return points, indices.reshape(-1, 3)
