"""What can be asked and changed of objects beyond poses: flags, masses, existence. PyRep's names.

Everything changed here is kept in `Changes` or in the compiled model's fields, so that a reset
brings the scene back.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from pyrep_mujoco.errors import ObjectAlreadyRemovedError, SceneError
from pyrep_mujoco.objects.detection import geom_triangles
from pyrep_mujoco.objects.object_types import KINDS, ObjectType
from pyrep_mujoco.objects.shape_forms import mesh_form
from pyrep_mujoco.transforms import Floats

if TYPE_CHECKING:
    from pyrep_mujoco.simulation import MujocoEngine

ALL_FLAGS = frozenset({"collidable", "measurable", "detectable", "renderable"})
HIDDEN_GROUP, DRAWN_GROUP, SOLID_GROUP = 4, 1, 3


@dataclass
class Drive:
    """What a joint's motor does beyond what the scene says.

    Attributes:
        velocity: wanted [rad/s or m/s], None for a position.
        position: wanted [rad or m], None for a velocity.
        is_on: the motor works.
        force: its greatest force [N m or N].
    """

    velocity: float | None = None
    position: float | None = None
    is_on: bool = True
    force: float = 10.0


@dataclass
class Changes:
    """What an episode changed that is no field of the compiled model.

    Attributes:
        flags: object -> its present flags, of those whose flags were changed.
        removed: names of objects that are gone.
        drives: joint -> its motor.
        pinned: free bodies that physics shall not move.
        asleep: free bodies that stay where they are until something that can move touches them.
        parked: bodies that are out of the scene -> (4, 4) where they wait.
        off_joint: links that were hung elsewhere than on their joint.
        on_joint: bodies that were hung on the joint of another link, not on the link.
    """

    flags: dict[str, frozenset[str]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    drives: dict[str, Drive] = field(default_factory=dict)
    pinned: set[int] = field(default_factory=set)
    asleep: set[int] = field(default_factory=set)
    parked: dict[int, Floats] = field(default_factory=dict)
    off_joint: set[int] = field(default_factory=set)
    on_joint: set[int] = field(default_factory=set)

    def copy(self) -> "Changes":
        """Return an independent copy."""
        drives = {name: Drive(**vars(drive)) for name, drive in self.drives.items()}
        return Changes(
            dict(self.flags),
            set(self.removed),
            drives,
            set(self.pinned),
            set(self.asleep),
            dict(self.parked),
            set(self.off_joint),
            set(self.on_joint),
        )


class ObjectProperties:
    """What every object of a MuJoCo scene has."""

    _engine: "MujocoEngine"
    _name: str
    body: int

    def get_type(self) -> ObjectType:
        """Return the kind of object."""
        return KINDS.get(self._engine.notes.kinds.get(self._name, ""), ObjectType.DUMMY)

    def still_exists(self) -> bool:
        """Tell whether the object is still in the scene."""
        return self._name not in self._engine.changes.removed

    def remove(self) -> None:
        """Take the object, and all below it where it is a model, out until the next reset.

        Raises:
            ObjectAlreadyRemovedError: it is gone already.
            SceneError: it is part of the robot.
        """
        if not self.still_exists():
            raise ObjectAlreadyRemovedError(
                f"{self._engine.label}: {self._name} was removed already"
            )
        if self.body in self._engine.robot_bodies:
            raise SceneError(f"{self._name} is part of the robot and cannot be removed")
        bodies = self._engine.tree(self.body) if self.is_model() else [self.body]
        self._engine.take_out(bodies)

    # ---- flags --------------------------------------------------------------------------

    def flags(self) -> frozenset[str]:
        """Return the words that hold of the object."""
        given = self._engine.notes.flags.get(self._name, self._default_flags())
        return self._engine.changes.flags.get(self._name, given)

    def _default_flags(self) -> frozenset[str]:
        return frozenset()

    def _set_flag(self, word: str, value: bool) -> None:
        now = self.flags()
        self._engine.changes.flags[self._name] = now | {word} if value else now - {word}

    def is_model(self) -> bool:
        """Tell whether the object is marked as the root of a model."""
        return "model" in self.flags()

    def set_model(self, value: bool) -> None:
        """Mark the object as the root of a model, or not."""
        self._set_flag("model", value)

    def is_collidable(self) -> bool:
        """Tell whether motion planning must avoid the object."""
        return "collidable" in self.flags()

    def set_collidable(self, value: bool) -> None:
        """Say whether motion planning must avoid the object."""
        self._set_flag("collidable", value)

    def is_measurable(self) -> bool:
        """Tell the flag of that name; it has no effect."""
        return "measurable" in self.flags()

    def set_measurable(self, value: bool) -> None:
        """Set the flag of that name; it has no effect."""
        self._set_flag("measurable", value)

    def is_detectable(self) -> bool:
        """Tell whether proximity sensors react to the object."""
        return "detectable" in self.flags()

    def set_detectable(self, value: bool) -> None:
        """Say whether proximity sensors react to the object when they look at everything."""
        self._set_flag("detectable", value)

    def is_renderable(self) -> bool:
        """Tell whether cameras show the object."""
        return "renderable" in self.flags()

    def set_renderable(self, value: bool) -> None:
        """Say whether cameras show the object."""
        self._set_flag("renderable", value)

    # ---- models -------------------------------------------------------------------------

    def get_model_bounding_box(self) -> Floats:
        """Return (6,) box of every shape in the object's tree, in the object's frame [m]."""
        box: Floats = self.tree_bounding_box()  # type: ignore[attr-defined]
        return box

    def _of_model(self, what: str) -> bool:
        return any(
            getattr(self._engine.object_of_body(b), f"is_{what}")()
            for b in self._engine.tree(self.body)
            if hasattr(self._engine.object_of_body(b), f"is_{what}")
        )

    def _set_model_flag(self, what: str, value: bool) -> None:
        for body in self._engine.tree(self.body):
            setter = getattr(self._engine.object_of_body(body), f"set_{what}", None)
            if setter is not None:
                setter(value)

    def is_model_collidable(self) -> bool:
        """Tell whether anything in the tree is collidable."""
        return self._of_model("collidable")

    def set_model_collidable(self, value: bool) -> None:
        """Say it of everything in the tree."""
        self._set_model_flag("collidable", value)

    def is_model_detectable(self) -> bool:
        """Tell whether anything in the tree is detectable."""
        return self._of_model("detectable")

    def set_model_detectable(self, value: bool) -> None:
        """Say it of everything in the tree."""
        self._set_model_flag("detectable", value)

    def is_model_measurable(self) -> bool:
        """Tell whether anything in the tree is measurable."""
        return self._of_model("measurable")

    def set_model_measurable(self, value: bool) -> None:
        """Say it of everything in the tree."""
        self._set_model_flag("measurable", value)

    def is_model_renderable(self) -> bool:
        """Tell whether cameras show anything of the tree."""
        return self._of_model("renderable")

    def set_model_renderable(self, value: bool) -> None:
        """Show or hide the whole tree."""
        self._set_model_flag("renderable", value)

    def is_model_dynamic(self) -> bool:
        """Tell whether physics moves anything of the tree."""
        return self._of_model("dynamic")

    def set_model_dynamic(self, value: bool) -> None:
        """Let physics move the tree's shapes, or hold them."""
        self._set_model_flag("dynamic", value)

    def is_model_respondable(self) -> bool:
        """Tell whether anything in the tree collides."""
        return self._of_model("respondable")

    def set_model_respondable(self, value: bool) -> None:
        """Let all shapes of the tree collide with things, or none."""
        self._set_model_flag("respondable", value)

    # ---- motion -------------------------------------------------------------------------

    def reset_dynamic_object(self) -> None:
        """Bring the object to rest."""
        model, data = self._engine.model, self._engine.data
        start = model.body_dofadr[self.body]
        data.qvel[start : start + model.body_dofnum[self.body]] = 0.0

    def get_velocity(self) -> tuple[Floats, Floats]:
        """Return (3,) velocity [m/s] and (3,) angular velocity [rad/s], world axes."""
        model, data, out = self._engine.model, self._engine.data, np.zeros(6)
        # What was placed or stopped since the last step has velocities of then in `cvel`.
        mujoco.mj_comPos(model, data)
        mujoco.mj_comVel(model, data)
        kind = mujoco.mjtObj.mjOBJ_XBODY
        mujoco.mj_objectVelocity(model, data, kind, self.body, out, 0)
        return out[3:], out[:3]


class ShapeProperties(ObjectProperties):
    """What shapes have beside."""

    geoms: Any
    solid_geoms: Any

    def get_type(self) -> ObjectType:
        """Return `ObjectType.SHAPE`."""
        return ObjectType.SHAPE

    def _default_flags(self) -> frozenset[str]:
        return ALL_FLAGS

    def is_collidable(self) -> bool:
        """Tell whether motion planning must avoid the shape."""
        return "collidable" in self.flags() and len(self.solid_geoms) > 0

    def set_renderable(self, value: bool) -> None:
        """Show the shape's drawn geoms to cameras, or hide them."""
        super().set_renderable(value)
        groups = self._engine.model.geom_group
        scene = self._engine.scene_value("geom_group")[self.geoms]
        drawn = self.geoms[scene != SOLID_GROUP]
        if value:
            groups[drawn if len(drawn) else self.geoms] = DRAWN_GROUP
        else:
            groups[self.geoms] = np.where(scene == SOLID_GROUP, SOLID_GROUP, HIDDEN_GROUP)

    def is_respondable(self) -> bool:
        """Tell whether other bodies collide with the shape."""
        return len(self.solid_geoms) > 0

    def set_respondable(self, value: bool) -> None:
        """Let other bodies collide with the shape, or pass through it."""
        self._engine.set_solid(self, value)
        self._set_flag("respondable", value)

    def set_dynamic(self, value: bool) -> None:
        """Let physics move the shape, or hold it where it is.

        Raises:
            SceneError: the scene's model has the shape fixed.
        """
        if value == self.is_dynamic():
            return
        if self._engine.is_free(self.body):
            self._engine.pin(self.body, not value)
        elif value:
            raise SceneError(
                f"{self._engine.label}: {self._name} is fixed in the scene and cannot become "
                "dynamic; make it dynamic in the scene file"
            )

    def is_dynamic(self) -> bool:
        """Tell whether the shape moves freely or on a joint."""
        moves = bool(self._engine.model.body_dofnum[self.body] > 0)
        return moves and self.body not in self._engine.changes.pinned

    # ---- substance ----------------------------------------------------------------------

    def get_mass(self) -> float:
        """Return the mass [kg]."""
        return float(self._engine.model.body_mass[self.body])

    def set_mass(self, mass: float) -> None:
        """Change the mass [kg], with the inertia in proportion.

        Raises:
            SceneError: it is not positive, or the shape is fixed.
        """
        model = self._engine.model
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
        if self._engine.is_free(self.body):
            start = model.body_dofadr[self.body]
            model.dof_invweight0[start : start + 6] /= ratio

    def copy(self) -> Any:
        """Make another shape of the same form, mass and colour at the same place."""
        engine = self._engine
        form = mesh_form(
            [_points(geom_triangles(engine.model, g)) for g in self.geoms],
            self.is_dynamic(),
            self.get_mass(),
        )
        other = engine.editor.make(f"{self._name}_copy", form, engine.world_transform(self.body))
        other.set_respondable(self.is_respondable())
        other.set_renderable(self.is_renderable())
        other.set_color(self.get_color())
        return other

    # ---- looks --------------------------------------------------------------------------

    def set_color(self, color: Any) -> None:
        """Paint the shape's own drawn geoms (rgb in [0, 1])."""
        model = self._engine.model
        model.geom_matid[self.geoms] = -1
        model.geom_rgba[self.geoms, :3] = color

    def get_color(self) -> Floats:
        """Return (3,) rgb of the first geom."""
        return self._engine.model.geom_rgba[self.geoms[0], :3].astype(float)

    def get_transparency(self) -> float:
        """Return the opacity (1 = opaque), PyRep's sense."""
        return float(self._engine.model.geom_rgba[self.geoms[0], 3])

    def set_transparency(self, value: float) -> None:
        """Set opacity (1 = opaque), PyRep's sense."""
        self._engine.model.geom_rgba[self.geoms, 3] = value

    def remove_texture(self) -> None:
        """Show the shape in its plain colour."""
        self._engine.model.geom_matid[self.geoms] = -1

    def set_texture(self, *_: Any, **__: Any) -> None:
        """Refuse: textures belong to the scene.

        Raises:
            SceneError: always.
        """
        raise SceneError(
            f"{self._name}: textures cannot be changed on this engine; use set_color, or give the "
            "shape its texture in the scene file"
        )

    def get_mesh_data(self) -> tuple[Floats, Any, Floats]:
        """Return (N, 3) vertices [m], (M, 3) triangles and (M, 3, 3) normals, in the own frame."""
        triangles: Floats = self.triangles  # type: ignore[attr-defined]
        indices = np.arange(3 * len(triangles)).reshape(-1, 3)
        normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        return triangles.reshape(-1, 3), indices, np.repeat(normals[:, None], 3, axis=1)


def _points(triangles: Floats) -> tuple[Floats, np.ndarray]:
    """Return (N, 3) vertices and (M, 3) indices of (M, 3, 3) triangles."""
    points, indices = np.unique(triangles.reshape(-1, 3), axis=0, return_inverse=True)
    return points, indices.reshape(-1, 3)
