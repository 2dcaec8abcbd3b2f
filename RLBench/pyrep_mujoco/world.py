"""What all parts of a simulation share: the compiled model, its data, and notes on its bodies.

Parts keep the world and look the model up in it each time: shapes that a task makes bring another
model into use.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np
import numpy.typing as npt

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.transforms import Floats

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Field = npt.NDArray[np.float64] | npt.NDArray[np.float32] | npt.NDArray[np.int32]
"""An array of the model or its data."""

WORLD_BIT, ROBOT_BIT, CRUMB_BIT = 1, 2, 4
"""Collision bits: a held object can spare the robot, and crumbs spare each other."""
MUTABLE = (
    "body_pos",
    "body_quat",
    "geom_rgba",
    "geom_matid",
    "geom_contype",
    "geom_conaffinity",
    "geom_group",
    "eq_data",
    "eq_obj1id",
    "eq_solref",
    "eq_solimp",
    "body_mass",
    "body_inertia",
    "body_invweight0",
    "dof_invweight0",
    "dof_frictionloss",
    "dof_solimp",
)
"""Model fields that an episode may change; restored on reset and kept in saved states."""
CARRIED = (
    "qpos",
    "qvel",
    "act",
    "ctrl",
    "qfrc_applied",
    "xfrc_applied",
    "qacc_warmstart",
    "eq_active",
)
"""Arrays of the data that go over to another model of the same scene."""


@dataclass(frozen=True)
class Notes:
    """What MJCF cannot say about objects; each table has objects' names as keys.

    Attributes:
        parents: name of the object that it hangs on.
        extensions: command of a waypoint.
        sensors: volume of a proximity sensor, in words.
        flags: words that hold of the object.
        joint_values: start of a joint [rad or m].
        joint_frames: (3, 3) axes of a joint in the frame of the body that it moves.
        paths: rows `x y z qx qy qz qw` of a Cartesian path.
        kinds: kind of an object that is no shape.
        frictions: sliding friction of all geoms.
        boxes: (6,) xmin xmax ymin ymax zmin zmax of a shape in its own frame [m].
    """

    parents: dict[str, str] = field(default_factory=dict)
    extensions: dict[str, str] = field(default_factory=dict)
    sensors: dict[str, str] = field(default_factory=dict)
    flags: dict[str, frozenset[str]] = field(default_factory=dict)
    joint_values: dict[str, float] = field(default_factory=dict)
    joint_frames: dict[str, Floats] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    frictions: dict[str, str] = field(default_factory=dict)
    boxes: dict[str, Floats] = field(default_factory=dict)


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
        return Changes(
            dict(self.flags),
            set(self.removed),
            {name: Drive(**vars(drive)) for name, drive in self.drives.items()},
            set(self.pinned),
            set(self.asleep),
            dict(self.parked),
            set(self.off_joint),
            set(self.on_joint),
        )


@dataclass(frozen=True)
class Compiled:
    """A model and what must be known of it.

    Attributes:
        model: may be changed by an episode.
        pristine: the fields that may, as compiled.
        solid: (geoms,) those that collide.
        free_qpos: free body -> its address in `qpos`.
        weld_ids: free body -> the equality that can hold it.
    """

    model: mujoco.MjModel
    pristine: dict[str, Field]
    solid: Flags
    free_qpos: dict[int, int]
    weld_ids: dict[int, int]


class World:
    """The model in use, its data, and tables that all parts read.

    Attributes:
        label: what messages call the scene.
        notes: the scene's annotations.
        model: in use now.
        data: its state.
        compiled: what is known of the model in use.
        solid: (geoms,) those that collide, held or not.
        robot_bodies: the robot's.
        scene_parents: body -> the body that it hangs on, 0 at the top, as the scene says.
        parents: the same, now.
        changes: what the episode changed that is no field of the model.
    """

    def __init__(
        self, label: str, model: mujoco.MjModel, notes: Notes, robot_root: str | None = None
    ) -> None:
        """Take over a compiled scene.

        Args:
            label: what messages call it.
            model: compiled.
            notes: its annotations.
            robot_root: the body that everything of the robot hangs on; None where there is none.

        Raises:
            SceneError: an annotation names a body that is not there.
        """
        self.label, self.notes, self.model = label, notes, model
        root = [] if robot_root is None else self.nested(model.body(robot_root).id)
        self.robot_bodies = frozenset(root)
        self.scene_parents = self._read_parents()
        self.parents = dict(self.scene_parents)
        self.changes = Changes()
        self.data = mujoco.MjData(model)
        self.use(self.prepare(model))

    def _read_parents(self) -> dict[int, int]:
        model = self.model
        parents = {b: int(model.body_parentid[b]) for b in range(1, model.nbody)}
        names = {model.body(b).name: b for b in range(1, model.nbody)}
        for child, parent in self.notes.parents.items():
            for name in (child, parent):
                if name not in names:
                    raise SceneError(
                        f"{self.label}: annotation parent:{child} = {parent} names "
                        f"{name!r}, which is no body of the scene"
                    )
            parents[names[child]] = names[parent]
        return parents

    # ---- models -------------------------------------------------------------------------

    def prepare(self, model: mujoco.MjModel) -> Compiled:
        """Set a new model's collision bits and index it."""
        solid = (model.geom_contype | model.geom_conaffinity) != 0
        # The robot has a bit of its own, so that a held object can spare the fingers.
        robot = np.isin(model.geom_bodyid, list(self.robot_bodies))
        model.geom_contype[solid] = np.where(robot[solid], ROBOT_BIT, WORLD_BIT)
        model.geom_conaffinity[solid] = ROBOT_BIT | WORLD_BIT
        free = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
        names = [model.equality(e).name for e in range(model.neq)]
        return Compiled(
            model,
            {name: getattr(model, name).copy() for name in MUTABLE},
            solid,
            {int(model.jnt_bodyid[j]): int(model.jnt_qposadr[j]) for j in free},
            {int(model.eq_obj2id[e]): e for e, n in enumerate(names) if n.startswith("grasp:")},
        )

    def use(self, compiled: Compiled) -> None:
        """Go on with a model, all its fields as compiled; the data stay those of the last one."""
        self.model, self.compiled = compiled.model, compiled
        self.solid = compiled.solid.copy()
        for name, value in compiled.pristine.items():
            getattr(self.model, name)[:] = value

    def reset_notes(self) -> None:
        """Bring fields of the model, parents and changes back to the scene's."""
        self.use(self.compiled)
        self.parents = dict(self.scene_parents)
        self.changes = Changes()

    def switch_to(self, compiled: Compiled) -> None:
        """Go on with a model that has more, or fewer, bodies at its end; nothing else changes."""
        before, data, solid = self.model, self.data, self.solid
        fields = {name: getattr(before, name).copy() for name in MUTABLE}
        self.use(compiled)
        self.data = mujoco.MjData(self.model)
        for name, value in fields.items():
            _carry(value, getattr(self.model, name))
        _carry(solid, self.solid)
        for name in CARRIED:
            _carry(getattr(data, name), getattr(self.data, name))
        self.data.time = data.time
        mujoco.mj_forward(self.model, self.data)

    def as_compiled(self, name: str) -> Field:
        """Return a field of the model as the scene has it."""
        return self.compiled.pristine[name]

    # ---- bodies -------------------------------------------------------------------------

    def body_name(self, body: int) -> str:
        """Return the name of a body."""
        return str(self.model.body(body).name)

    def is_free(self, body: int) -> bool:
        """Tell whether a body has all six degrees of freedom."""
        return body in self.compiled.free_qpos

    def nested(self, root: int) -> list[int]:
        """Return a body and all that is nested in it in the model, parents first."""
        out = [root]
        for body in range(root + 1, self.model.nbody):
            if self.model.body_parentid[body] in out:
                out.append(body)
        return out

    def transform(self, body: int) -> Floats:
        """Return (4, 4) body to world."""
        return tf.transform(self.data.xpos[body], self.data.xmat[body].reshape(3, 3))

    def rest_transform(self, body: int) -> Floats:
        """Return (4, 4) body to world as it would be with the body's joint at zero."""
        model = self.model
        local = tf.transform(model.body_pos[body], tf.quat_wxyz_to_matrix(model.body_quat[body]))
        return self.transform(int(model.body_parentid[body])) @ local

    def contacts(self, bodies: Sequence[int]) -> set[int]:
        """Return the bodies in contact with any of `bodies` at this moment."""
        mine = set(bodies)
        pairs = self.model.geom_bodyid[self.data.contact.geom]
        touching = {int(b) for a, b in pairs if a in mine} | {int(a) for a, b in pairs if b in mine}
        return touching - mine

    def refresh(self) -> None:
        """Recompute all world poses from positions."""
        mujoco.mj_kinematics(self.model, self.data)


def _carry(source: Field | Flags, target: Field | Flags) -> None:
    """Copy as much of an array as both have."""
    n = min(len(source), len(target))
    target[:n] = source[:n]
