"""What a V-REP / CoppeliaSim file holds, decoded: plain data, no behaviour beyond geometry.

Units are metres, radians, kilograms. Poses are (4, 4) transforms; an object's pose is relative to
its parent, `Scene.world_poses` chains them.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.reading.parts import Material, Part, Texture

IkConstraints = tuple[bool, bool, bool, bool, bool, bool]
"""What of a pose a tip must reach: x, y, z in the world, the two turns of the tip's z axis, and the
turn about it."""
# Bits of `SceneObject.special`.
COLLIDABLE, MEASURABLE, DETECTABLE, RENDERABLE = 1, 2, 0x1F0, 512
VISIBLE_LAYERS = 0x00FF
"""Layers that are drawn by default."""


@dataclass(frozen=True)
class Header:
    """The fixed start of a file."""

    version: int
    oldest_reader: int
    is_compressed: bool
    payload_size: int
    application: int
    revision: int
    is_model: bool


@dataclass(kw_only=True)
class SceneObject:
    """What all objects have.

    Attributes:
        name: unique in the file.
        handle: number in the file.
        parent: handle of the parent, None at the top.
        pose: (4, 4) relative to the parent (a joint parent's motion comes before it).
        extension: extension string; on dummies RLBench's waypoint command.
        special: property bits: `COLLIDABLE`, `MEASURABLE`, `DETECTABLE`, `RENDERABLE`.
        layers: visibility layers, bits.
        is_model_base: the root of a model.
        overrides: property bits that a model base switches off in its whole tree.
        alternative_name: second name, often empty.
        properties: editor property bits.
    """

    name: str
    handle: int
    parent: int | None
    pose: Floats
    extension: str = ""
    special: int = 0
    layers: int = 0
    is_model_base: bool = False
    overrides: int = 0
    alternative_name: str = ""
    properties: int = 0

    @property
    def is_visible(self) -> bool:
        """Tell whether the object lies on a layer that is drawn."""
        return bool(self.layers & VISIBLE_LAYERS)


@dataclass(kw_only=True)
class Shape(SceneObject):
    """Something to see or to touch.

    Attributes:
        parts: its meshes, at least one.
        is_compound: made of several, or grouped.
        is_convex: the whole is stored as convex.
        mass: [kg].
        inertia_pose: (4, 4) centre of mass and principal axes in the shape frame.
        principal_moments: (3,) [kg m^2].
        is_dynamic: moves by physics (else fixed to its parent).
        starts_asleep: physics leaves it where it is until it is touched.
        is_respondable: collides.
        respondable_mask: low byte: with objects of the same tree, high byte: with others.
        material: contact parameters.
    """

    parts: list[Part]
    is_compound: bool
    is_convex: bool
    mass: float
    inertia_pose: Floats
    principal_moments: Floats
    is_dynamic: bool
    is_respondable: bool
    starts_asleep: bool = False
    respondable_mask: int = 0xFFFF
    material: Material | None = None

    @cached_property
    def bounding_box(self) -> Floats:
        """(6,) xmin xmax ymin ymax zmin zmax in the shape frame [m]."""
        points = np.concatenate([part.vertices for part in self.parts])
        return np.stack([points.min(0), points.max(0)], axis=1).reshape(6)


@dataclass(kw_only=True)
class Joint(SceneObject):
    """A revolute, prismatic or spherical joint about or along its frame's z.

    Attributes:
        kind: revolute, prismatic or spherical.
        value: [rad or m].
        quaternion: (4,) wxyz of a spherical joint.
        lower: limit, ignored when cyclic.
        upper: limit, ignored when cyclic.
        is_cyclic: no limits.
        pitch: screw [m/rad].
        mode: passive, ik, dependent or dynamic.
        motor_on: a motor drives it (mode dynamic).
        position_loop: the motor holds `target_position` rather than `target_velocity`.
        spring_loop: the position loop is a spring and damper rather than a PID.
        is_hybrid: not in mode dynamic, yet moved by physics.
        locks_at_zero: the motor is locked when its target velocity is 0.
        max_force: of the motor [N m or N].
        pid: (3,) gains.
        spring: (2,) stiffness, damping.
        velocity_limit: of the position loop.
        master: handle, factor, offset of a dependent joint.
        damping: [N m s/rad or N s/m] of a joint that is not of such a file; None where it is.
    """

    kind: str
    value: float
    lower: float
    upper: float
    is_cyclic: bool
    mode: str
    motor_on: bool
    position_loop: bool
    spring_loop: bool
    is_hybrid: bool
    locks_at_zero: bool
    target_velocity: float
    max_force: float
    target_position: float
    pid: Floats
    spring: Floats
    velocity_limit: float
    pitch: float = 0.0
    quaternion: Floats | None = None
    master: tuple[int, float, float] | None = None
    damping: float | None = None

    def allowed(self, value: float) -> float:
        """Return what the joint takes on when it is told a value: the nearest within its limits.

        A cyclic hinge takes the same angle within -pi and pi [rad].
        """
        if not self.is_cyclic:
            return min(max(value, self.lower), self.upper)
        return self.wrapped(value)

    def wrapped(self, value: float) -> float:
        """Return a value, of a cyclic hinge the same angle within -pi and pi [rad]."""
        if not self.is_cyclic or self.kind != "revolute" or self.pitch or abs(value) <= np.pi:
            return value
        return float(np.arctan2(np.sin(value), np.cos(value)))

    @property
    def motion(self) -> Floats:
        """(4, 4) transform by the joint's present value."""
        out = np.eye(4)
        if self.kind == "prismatic":
            out[2, 3] = self.value
        elif self.kind == "revolute":
            c, s = np.cos(self.value), np.sin(self.value)
            out[:2, :2] = [[c, -s], [s, c]]
            out[2, 3] = self.pitch * self.value
        elif self.quaternion is not None:
            w, x, y, z = self.quaternion / np.linalg.norm(self.quaternion)
            out[:3, :3] = [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        return out


@dataclass(kw_only=True)
class Dummy(SceneObject):
    """A named frame; `linked` is the handle of the dummy it is linked to (`link_type` 5: IK).

    `reaches`: what of a pose it must reach as the tip of an arm.
    """

    size: float
    reaches: IkConstraints = (True,) * 6
    linked: int | None = None
    link_type: int = 0


@dataclass(kw_only=True)
class ProximitySensor(SceneObject):
    """A sensing volume, looking along its z.

    Attributes:
        kind: pyramid, cylinder, disc, cone or ray.
        volume: the sizes that the kind uses, by the names of `pyrep_mujoco.objects.detection`:
            offset, range, x_size, y_size, x_size_far, y_size_far, radius, radius_far, angle.
        detects: handle of the only entity it detects, None for all detectable ones.
    """

    kind: str
    volume: dict[str, float]
    detects: int | None = None


@dataclass(kw_only=True)
class VisionSensor(SceneObject):
    """A camera: looks along +z, +y up, +x left in the image; `angle` of the longer side [rad].

    `is_explicit`: it sees only when it is asked to. `render_mode`: 0 colours, 2 handles as colours,
    7 colours with shadows, as CoppeliaSim counts.
    """

    angle: float
    ortho_size: float
    near: float
    far: float
    resolution: tuple[int, int]
    is_perspective: bool
    is_explicit: bool = False
    render_mode: int = 0


@dataclass(kw_only=True)
class Camera(SceneObject):
    """A view of the editor."""

    angle: float
    near: float
    far: float


@dataclass(kw_only=True)
class Light(SceneObject):
    """A light along +z: kind omni, spot or directional."""

    kind: str
    is_on: bool
    diffuse: tuple[float, float, float]
    specular: tuple[float, float, float]
    cutoff: float
    attenuation: tuple[float, float, float]


@dataclass(kw_only=True)
class ForceSensor(SceneObject):
    """A rigid bond that measures; breaks at thresholds when those are on."""

    force_threshold: float | None = None
    torque_threshold: float | None = None


@dataclass(frozen=True)
class ControlPoint:
    """One support of a path: (4, 4) in the path's frame, curve factors, number of curve points."""

    pose: Floats
    before: float
    after: float
    count: int


@dataclass(kw_only=True)
class Path(SceneObject):
    """A Cartesian path through control points."""

    points: list[ControlPoint]
    is_closed: bool
    attributes: int
    angle_factor: float = 0.0
    length_method: int = 5


@dataclass(kw_only=True)
class OtherObject(SceneObject):
    """An object of a kind that is only placed, not decoded (graph, mirror, mill, octree ...)."""

    tag: str


@dataclass(frozen=True)
class Collection:
    """A named set of objects: rows are applied in order.

    Attributes:
        name: of the set.
        rows: handle of the root of a tree, None for all objects; and whether the objects come in,
            or go out.
    """

    name: str
    rows: tuple[tuple[int | None, bool], ...]


@dataclass
class Scene:
    """A file's contents.

    Attributes:
        source: file name, for messages.
        header: the file's header.
        objects: in file order; a parent may come after its child.
        textures: by id.
        skipped: chunks that were passed over, `<container>/<tag>` -> how many.
        missing: a line for each thing that the scene shows or does otherwise than its maker meant,
            since it is not in the file or not known here.
        scripts: handles of objects that carry a script.
        collections: named sets of objects.
    """

    source: str
    header: Header
    objects: list[SceneObject]
    textures: dict[int, Texture]
    skipped: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    scripts: list[int] = field(default_factory=list)
    collections: list[Collection] = field(default_factory=list)

    @cached_property
    def by_handle(self) -> dict[int, SceneObject]:
        """Objects by handle."""
        return {obj.handle: obj for obj in self.objects}

    @cached_property
    def by_name(self) -> dict[str, SceneObject]:
        """Objects by name."""
        return {obj.name: obj for obj in self.objects}

    @cached_property
    def _by_parent(self) -> dict[int | None, list[SceneObject]]:
        found: dict[int | None, list[SceneObject]] = {}
        for obj in self.objects:
            found.setdefault(obj.parent, []).append(obj)
        return found

    def children(self, obj: SceneObject | None) -> list[SceneObject]:
        """Return the objects right below `obj` (None: at the top), in file order."""
        return self._by_parent.get(None if obj is None else obj.handle, [])

    def world_poses(self) -> dict[int, Floats]:
        """Return (4, 4) object to world by handle, joints' motions included."""
        poses: dict[int, Floats] = {}
        for start in self.objects:
            chain = []
            obj: SceneObject | None = start
            while obj is not None and obj.handle not in poses:
                chain.append(obj)
                obj = None if obj.parent is None else self.by_handle[obj.parent]
            for item in reversed(chain):
                base = np.eye(4)
                if item.parent is not None:
                    parent = self.by_handle[item.parent]
                    base = poses[parent.handle]
                    if isinstance(parent, Joint):
                        base = base @ parent.motion
                poses[item.handle] = base @ item.pose
        return poses
