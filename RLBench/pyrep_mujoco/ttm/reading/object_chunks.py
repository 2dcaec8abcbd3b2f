"""Scene objects: what all have in common, and what each kind has of its own.

What is not drawn or not touched because a file is odd is noted in `Origin.pending`.
"""

from collections.abc import Callable

import numpy as np

from pyrep_mujoco.ttm.reading.chunks import Chunk, Fields
from pyrep_mujoco.ttm.reading.model import (
    COLLIDABLE,
    DETECTABLE,
    MEASURABLE,
    RENDERABLE,
    Camera,
    ControlPoint,
    Dummy,
    ForceSensor,
    Joint,
    Light,
    OtherObject,
    Path,
    ProximitySensor,
    SceneObject,
    Shape,
    VisionSensor,
)
from pyrep_mujoco.ttm.reading.shapes import SHAPE_TAGS, Library, shape_values
from pyrep_mujoco.ttm.reading.surfaces import emitted_color

Values = dict[str, object]

_COMMON_TAGS = frozenset(
    {"3do", "Cfq", "Ids", "Nme", "Anm", "Op2", "Omp", "Lar", "Mpo", "Rst", "Uis", "Ups", "Cod"}
    | {"Var", "Va2", "Va3", "Va4", "Sfa", "Sfb", "Alt", "Am2", "Hci", "Sci", "Om5", "Omr", "Tdo"}
    | {"Avo", "Ack"}
)
_JOINT_TAGS = frozenset(
    {"Jtt", "Prt", "Pmr", "Jsp", "Jst", "Va9", "Vaa", "Jmd", "Jdt", "Dmp", "Dp2", "Dpc", "Spp"}
    | {"Dtp", "Ulv", "Arg", "Mss", "Jm2", "Jm3", "BtN", "OdN", "Vo2", "Nw1", "Od1", "Bt1", "Ikw"}
    | {"Cl1", "Cl2"}
)
_DUMMY_TAGS = frozenset({"Dy2", "Lli", "Dl2", "Cl0", "Var", "Po5"})
_PROXIMITY_TAGS = frozenset(
    {"Snt", "Vod", "Sns", "Sox", "Sst", "Al2", "Pr4", "Pr5", "Rad", "Cl1", "Cl2", "Cl3", "Cl4"}
)
_VOLUME_TAGS = frozenset(
    {"Snt", "Ss3", "Sia", "Ssi", "Wtf", "Par", "Nc0", "Nc1", "Nc2", "Nc3", "Nc4", "Nc5"}
)
_VISION_TAGS = frozenset(
    {"Ccp", "Res", "Dox", "Db2", "Si2", "Siz", "Rmd", "Afr", "Va2", "Va3", "Cl1", "Cl2"}
)
_CAMERA_TAGS = frozenset({"Ccp", "Cp3", "Cp4", "Ca2", "Cmp", "Rmd", "Rm2", "Cl1", "Cl2"})
_LIGHT_TAGS = frozenset({"Cp2", "Cp3", "Caf", "Cas", "Cl1", "Cl2"})
_FORCE_TAGS = frozenset({"Siz", "Vab", "Tri", "Fil", "Cl1", "Cl2"})
_PATH_TAGS = frozenset({"Var", "Pss", "Sha", "Sec", "Scl", "Ntp"})
_TRACK_TAGS = frozenset({"Pat", "At2", "Av2", "Av3", "Av9", "Si2", "Cl0", "Jm2"})
MAX_CURVE_POINTS = 5000
"""Of all paths of one file; RLBench's largest has 375."""
MAX_RESOLUTION = 16384
_POINT_TAGS = frozenset({"At2", "At3", "At4"})

_JOINT_KINDS = {10: "revolute", 11: "prismatic", 12: "spherical"}
# 1 and 3 are older names of what is a passive joint and one for inverse kinematics now.
_JOINT_MODES = {0: "passive", 1: "passive", 2: "ik", 3: "ik", 4: "dependent", 5: "dynamic"}
_SENSOR_KINDS = {30: "pyramid", 31: "cylinder", 32: "disc", 33: "cone", 34: "ray"}
_LIGHT_KINDS = {1: "omni", 2: "spot", 3: "directional"}
_VOLUME = (
    "offset",
    "range",
    "x_size",
    "y_size",
    "x_size_far",
    "y_size_far",
    "radius",
    "radius_far",
    "angle",
)
# What a kind does not use may be garbage.
_VOLUME_OF = {
    "pyramid": ("offset", "range", "x_size", "y_size", "x_size_far", "y_size_far"),
    "cylinder": ("offset", "range", "radius", "radius_far"),
    "disc": ("offset", "range", "y_size", "radius", "angle"),
    "cone": ("offset", "range", "radius", "angle"),
    "ray": ("offset", "range"),
}


def read_object(chunk: Chunk, library: Library) -> SceneObject:
    """Read a scene object of any kind; its errors name it.

    Raises:
        TtmError: something in it cannot be.
    """
    common, stop = chunk.sequence(0, _COMMON_TAGS, "NXT")
    name = common.need("Nme").text()
    chunk.origin.name = name
    try:
        values = _common_values(common)
        tag = chunk.path
        if tag in _UNDRAWN:
            chunk.origin.pending[f"a {_UNDRAWN[tag]} is placed, but not drawn"] += 1
        if tag not in _READERS:
            return OtherObject(name=name, **values, tag=tag)  # type: ignore[arg-type]
        known, kind, read = _READERS[tag]
        own, stop = chunk.sequence(stop, known, "EOO")
        chunk.check_end(stop)
        return kind(name=name, **values, **read(own, library))
    finally:
        chunk.origin.settle()
        chunk.origin.name = ""


def _common_values(fields: Fields) -> Values:
    handle, parent = fields.need("Ids").unpack("2i")
    is_base = bool(fields.integer("Va3", 0, "B") & 1)
    return {
        "handle": handle,
        "parent": None if parent == -1 else parent,
        "pose": fields.need("Cfq").pose(position_first=False),
        "extension": fields.text("Rst"),
        "special": _noted(fields, "Omp", COLLIDABLE | MEASURABLE | DETECTABLE | RENDERABLE, "i"),
        "layers": _noted(fields, "Lar", 1, "H"),
        "is_model_base": is_base,
        "overrides": fields.integer("Mpo", 0) if is_base else 0,
        "alternative_name": fields.text("Anm"),
        "properties": fields.integer("Op2", 0),
    }


def _noted(fields: Fields, tag: str, default: int, layout: str) -> int:
    """Return the integer of a tag that every object has; without it, say what is taken."""
    if fields.get(tag) is None:
        fields.container.origin.pending[f"it has no {tag}: {default} is taken"] += 1
    return fields.integer(tag, default, layout)


def _choice(chunk: Chunk, choices: dict[int, str], what: str) -> str:
    number = chunk.integer()
    if number not in choices:
        known = ", ".join(map(str, sorted(choices)))
        raise chunk.error(f"names {what} {number}; known are {known}")
    return choices[number]


def _joint(fields: Fields, _: Library) -> Values:
    kind = _choice(fields.need("Jtt"), _JOINT_KINDS, "joint kind")
    mode = fields.get("Jmd")
    lower, span = fields.floats("Pmr", [0.0, 0.0])
    bits, more = fields.integer("Va9", 0, "B"), fields.integer("Vaa", 0, "B")
    if span < 0 and not bits & 1:
        raise fields.need("Pmr").error(f"has a range of {span:g}")
    velocity, force = fields.floats("Dmp", [0.0, 0.0])
    turned = fields.get("Jst") if kind == "spherical" else None
    return {
        "kind": kind,
        "value": fields.number("Prt", 0.0),
        "lower": float(lower),
        "upper": float(lower + span),
        "is_cyclic": bool(bits & 1),
        "mode": "passive" if mode is None else _choice(mode, _JOINT_MODES, "joint mode"),
        "motor_on": bool(bits & 16),
        "position_loop": bool(bits & 32),
        "spring_loop": bool(bits & 128),
        "is_hybrid": bool(bits & 64),
        "locks_at_zero": bool(more & 2),
        "target_velocity": float(velocity),
        "max_force": float(force),
        "target_position": fields.number("Dtp", 0.0),
        "pid": fields.floats("Dp2", [0.0, 0.0, 0.0]),
        "spring": fields.floats("Spp", [0.0, 0.0]),
        "velocity_limit": fields.number("Ulv", 0.0),
        "pitch": fields.number("Jsp", 0.0),
        "quaternion": None if turned is None else _quaternion(turned),
        "master": _master(fields.get("Jdt")),
    }


def _quaternion(chunk: Chunk) -> object:
    quat = chunk.floats(4)
    size = np.linalg.norm(quat)
    if size < 1e-6:
        raise chunk.error(f"holds the quaternion {quat.tolist()}")
    return quat / size


def _master(chunk: Chunk | None) -> tuple[int, float, float] | None:
    if chunk is None or chunk.integer() == -1:
        return None
    factor, offset = chunk.floats(2, 4).tolist()
    return chunk.integer(), factor, offset


def _dummy(fields: Fields, _: Library) -> Values:
    linked = fields.integer("Lli", -1)
    return {
        "size": fields.number("Dy2", 0.0),
        "linked": None if linked == -1 else linked,
        "link_type": fields.integer("Dl2", 0),
    }


def _proximity_sensor(fields: Fields, _: Library) -> Values:
    kind = _choice(fields.need("Snt"), _SENSOR_KINDS, "sensor kind")
    sizes = fields.need("Vod").fields(_VOLUME_TAGS).need("Ss3")
    volume = {name: float(sizes.floats(1, 4 * _VOLUME.index(name))[0]) for name in _VOLUME_OF[kind]}
    target = fields.integer("Sox", -1)
    return {"kind": kind, "volume": volume, "detects": None if target == -1 else target}


def _vision_sensor(fields: Fields, _: Library) -> Values:
    ortho, angle, near, far = fields.need("Ccp").floats(4).tolist()
    size = fields.need("Res")
    width, height = size.unpack("2i")
    if not (0 < width <= MAX_RESOLUTION and 0 < height <= MAX_RESOLUTION):
        raise size.error(f"claims {width} x {height} pixels; 1 to {MAX_RESOLUTION} are allowed")
    return {
        "angle": angle,
        "ortho_size": ortho,
        "near": near,
        "far": far,
        "resolution": (width, height),
        "is_perspective": bool(fields.integer("Va3", 1, "B") & 1),
        "is_explicit": bool(fields.integer("Va3", 1, "B") & 2),
        "render_mode": fields.integer("Rmd", 0),
    }


def _camera(fields: Fields, _: Library) -> Values:
    _, angle = fields.need("Cp3").floats(2).tolist()
    near, far = fields.need("Ccp").floats(2).tolist()
    return {"angle": angle, "near": near, "far": far}


def _light(fields: Fields, _: Library) -> Values:
    diffuse, specular = emitted_color(fields.need("Cl2"))
    return {
        "kind": _choice(fields.need("Cp2"), _LIGHT_KINDS, "light kind"),
        "is_on": bool(fields.integer("Cas", 1, "B") & 1),
        "diffuse": diffuse,
        "specular": specular,
        "cutoff": fields.number("Cp3", np.pi / 2),
        "attenuation": tuple(fields.floats("Caf", [1.0, 0.0, 0.0]).tolist()),
    }


def _force_sensor(fields: Fields, _: Library) -> Values:
    bits = fields.integer("Vab", 0, "B")
    force, torque = fields.floats("Tri", [0.0, 0.0]).tolist()
    return {
        "force_threshold": force if bits & 1 else None,
        "torque_threshold": torque if bits & 2 else None,
    }


def _path(fields: Fields, library: Library) -> Values:
    track = fields.need("Ntp").fields(_TRACK_TAGS)
    factor = track.get("Av3")
    attributes = track.integer("At2", 0)
    return {
        "points": [_control_point(chunk, library) for chunk in track.all("Pat")],
        "is_closed": bool(attributes & 4),
        "attributes": attributes,
        "angle_factor": 0.0 if factor is None else factor.number(),
        "length_method": 5 if factor is None else factor.unpack("ii")[1],
    }


def _control_point(chunk: Chunk, library: Library) -> ControlPoint:
    values = chunk.fields(_POINT_TAGS).need("At2")
    before, after = values.floats(2, 28).tolist()
    count = values.unpack("9ii")[9]
    if not 0 <= count <= MAX_CURVE_POINTS - library.curve_points:
        raise values.error(
            f"asks for {count} points of a curve after {library.curve_points} others; 0 to "
            f"{MAX_CURVE_POINTS} are made in one file"
        )
    library.curve_points += max(count, 1)
    return ControlPoint(values.pose(position_first=True), before, after, count)


_Reader = Callable[[Fields, Library], Values]
_READERS: dict[str, tuple[frozenset[str], Callable[..., SceneObject], _Reader]] = {
    "SHP": (SHAPE_TAGS, Shape, shape_values),
    "JNT": (_JOINT_TAGS, Joint, _joint),
    "DMY": (_DUMMY_TAGS, Dummy, _dummy),
    "SNR": (_PROXIMITY_TAGS, ProximitySensor, _proximity_sensor),
    "RSN": (_VISION_TAGS, VisionSensor, _vision_sensor),
    "CMA": (_CAMERA_TAGS, Camera, _camera),
    "LGT": (_LIGHT_TAGS, Light, _light),
    "FSE": (_FORCE_TAGS, ForceSensor, _force_sensor),
    "PAT": (_PATH_TAGS, Path, _path),
}
_UNDRAWN = {"MIR": "mirror", "OCT": "octree", "PTC": "point cloud"}
OBJECT_TAGS = frozenset(_READERS) | frozenset(_UNDRAWN) | {"GRH", "MIL"}
