"""PyRep's robots, from their binary files: converted as scenes are, then given servos."""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, fromstring, indent, tostring

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.robots.robot_model import PANDA, YIELDING, RobotModel
from pyrep_mujoco.ttm.cache import converted_scene, keep_text
from pyrep_mujoco.ttm.mjcf.joints import HELD


@dataclass(frozen=True)
class Servo:
    """A position servo: stiffness [N m/rad or N/m], force limit, and what steadies its joint."""

    stiffness: float
    force: float
    damping: float
    armature: float


@dataclass(frozen=True)
class RobotFile:
    """Where a robot is described and how its joints are driven.

    Attributes:
        file: its name.
        model: names; `mjcf`, `home` and `finger_joints`' travel are taken from the file.
        arm: servos of the arm's joints, in order.
        finger: servo of both fingers.
        place: (3,) where the root stands in the world [m]; None leaves it as the file has it.
        tip_forward: how far the tip is moved along its z [m].
        closing: finger joints that the file counts from open to closed -> joints that turn with
            each, and how far for each radian of it.
    """

    file: str
    model: RobotModel
    arm: tuple[Servo, ...]
    finger: Servo
    place: tuple[float, float, float] | None = None
    tip_forward: float = 0.0
    closing: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


_SHOULDER = Servo(4500.0, 87.0, 1.0, 0.1)
_ELBOW = Servo(3500.0, 87.0, 1.0, 0.1)
_WRIST = Servo(2000.0, 12.0, 1.0, 0.05)
_FINGER = Servo(2000.0, 20.0, 2.0, 0.2)
_TURNING_FINGER = Servo(20.0, 2.5, 0.05, 0.002)

# Friction stays as the file has it: fingers of rubber would lock a switch that they push.
_PADS = {"solref": "0.006 1", "solimp": "0.95 0.99 0.0005"}
# Soft: scenes ask for grasps at which the hand would press 2 mm into a bulb, which must not tip.
_PALM = {"solref": "0.03 1", "solimp": "0.8 0.95 0.002", "solmix": "1000"}


# RLBench's pace: its scenes are tuned to it (a block that is pushed faster slides on).
def _pace(joints: int) -> dict[str, Any]:
    return {
        "max_velocity": (1.0,) * joints,
        "max_acceleration": (4.0,) * joints,
        "path_limits": (1.0, 4.0),
        "is_careful": True,
        "path_grip": YIELDING,
    }


# Where RLBench puts every other robot: at the origin of its Panda.
_BASE = (-0.3089, 0.0, 0.82)
# The Panda's is in the camera table, and where its file has it.
_WRIST_CAMERA = "cam_wrist"


def _kinova(name: str, fingers: tuple[int, ...], finger_range: tuple[float, ...]) -> RobotFile:
    """Describe a Kinova arm of six joints with a hand of fingers that turn."""
    hand = f"{name}Hand"
    return RobotFile(
        f"{name.lower()}.ttm",
        RobotModel(
            name=name,
            mjcf=Path(),
            root=name,
            joints=tuple(f"{name}_joint{i}" for i in range(1, 7)),
            tip=f"{name}_tip",
            hand=hand,
            sensor=f"{hand}_attachProxSensor",
            fingers=tuple(f"{hand}_seg2_finger{i}" for i in fingers),
            finger_joints=tuple(f"{hand}_joint1_finger{i}" for i in fingers),
            finger_range=finger_range,
            home=(),
            wrist_camera=_WRIST_CAMERA,
            **_pace(6),
        ),
        (_SHOULDER, _SHOULDER, _ELBOW, _WRIST, _WRIST, _WRIST),
        _TURNING_FINGER,
        place=_BASE,
        # The file has it in the palm, where nothing can be grasped: to between the fingers' ends.
        tip_forward=0.15,
    )


ROBOTS = {
    "panda": RobotFile(
        "panda.ttm",
        RobotModel(
            **{
                **PANDA.__dict__,
                "fingers": ("Panda_leftfinger_respondable", "Panda_rightfinger_respondable"),
                **_pace(7),
            }
        ),
        (_SHOULDER, _SHOULDER, _ELBOW, _ELBOW, _WRIST, _WRIST, _WRIST),
        _FINGER,
    ),
    "sawyer": RobotFile(
        "sawyer.ttm",
        RobotModel(
            name="Sawyer",
            mjcf=Path(),
            root="Sawyer",
            joints=tuple(f"Sawyer_joint{i}" for i in range(1, 8)),
            tip="Sawyer_tip",
            hand="BaxterGripper",
            sensor="BaxterGripper_attachProxSensor",
            fingers=("BaxterGripper_leftFinger", "BaxterGripper_rightFinger"),
            finger_joints=("BaxterGripper_leftJoint", "BaxterGripper_rightJoint"),
            finger_range=0.04,
            home=(),
            wrist_camera=_WRIST_CAMERA,
            **_pace(7),
        ),
        (_SHOULDER, _SHOULDER, _ELBOW, _ELBOW, _WRIST, _WRIST, _WRIST),
        _FINGER,
        place=_BASE,
    ),
    "jaco": _kinova("Jaco", (1, 2, 3), (0.9599, 1.0472, 0.8727)),
    "ur5": RobotFile(
        "ur5.ttm",
        RobotModel(
            name="UR5",
            mjcf=Path(),
            root="UR5",
            joints=tuple(f"UR5_joint{i}" for i in range(1, 7)),
            tip="UR5_tip",
            hand="ROBOTIQ_85",
            sensor="ROBOTIQ_85_attachProxSensor",
            fingers=("ROBOTIQ_85_LfingerTip", "ROBOTIQ_85_RfingerTip"),
            finger_joints=("ROBOTIQ_85_Ljoint1", "ROBOTIQ_85_Rjoint1"),
            finger_range=(0.7854, 0.7854),
            home=(),
            wrist_camera=_WRIST_CAMERA,
            **_pace(6),
        ),
        (_SHOULDER, _SHOULDER, _ELBOW, _WRIST, _WRIST, _WRIST),
        _TURNING_FINGER,
        place=_BASE,
        # Four bars on each side keep the finger's end parallel; the file moves them by a chain of
        # auxiliary masses, which stay where they are here.
        closing={
            f"ROBOTIQ_85_{side}joint1": {
                f"ROBOTIQ_85_{side}joint2": -1.0,
                f"ROBOTIQ_85_{side}activeJoint": 1.0,
                f"ROBOTIQ_85_{side}auxJoint2": -1.0,
            }
            for side in "LR"
        },
    ),
    "mico": _kinova("Mico", (1, 3), (1.0472, 1.0472)),
}
"""Robots by the name that `robot_setup` takes."""


def has_robot(folder: Path, name: str = "panda") -> bool:
    """Tell whether a folder has a robot's file."""
    return (folder / ROBOTS[name].file).is_file()


def converted_robot(folder: Path, name: str = "panda") -> RobotModel:
    """Return the robot whose file is in a folder, converted if that was not done before.

    Args:
        folder: of `.ttm` files; RLBench's is `rlbench/robot_ttms`.
        name: of the robot, a key of `ROBOTS`.

    Raises:
        SceneError: the robot is unknown, its file is missing, or an object is missing in it.
        TtmError: the file cannot be read.
        CacheError: the result cannot be kept.
    """
    if name not in ROBOTS:
        raise SceneError(f"robot {name!r} is unknown; available: {', '.join(sorted(ROBOTS))}")
    robot = ROBOTS[name]
    source = folder / robot.file
    if not source.is_file():
        raise SceneError(f"robot file {robot.file} not found in {source.parent}")
    scene = converted_scene(source, bonds_break=False)
    # Named by what this table says of it, so that an older conversion is not taken for this one.
    out = scene.parent / f"robot_{zlib.crc32(repr(robot).encode()):08x}.xml"
    root = fromstring(scene.read_text(encoding="utf-8"))  # noqa: S314 - our own file
    home = _saved_values(root, robot.model.joints, source)
    _drive(root, robot, source)
    indent(root)
    keep_text(out, tostring(root, encoding="unicode") + "\n")
    return RobotModel(**{**robot.model.__dict__, "mjcf": out, "home": home})


def _saved_values(root: Element, joints: tuple[str, ...], source: Path) -> tuple[float, ...]:
    saved = {text.get("name"): text.get("data") for text in root.iter("text")}
    missing = [joint for joint in joints if f"qpos:{joint}" not in saved]
    if missing:
        raise SceneError(f"{source.name} has no joint {', '.join(missing)}")
    return tuple(float(saved[f"qpos:{joint}"] or 0) for joint in joints)


def _drive(root: Element, robot: RobotFile, source: Path) -> None:
    """Turn a converted robot's joints into servos, without weight, fingers apart."""
    model = robot.model
    old = root.find("actuator")
    if old is not None:
        root.remove(old)
    _place(root, robot)
    actuators = SubElement(root, "actuator")
    servos = dict(zip(model.joints, robot.arm, strict=True))
    servos |= dict.fromkeys(model.finger_joints, robot.finger)
    for joint in root.iter("joint"):
        servo = servos.pop(joint.get("name", ""), None)
        if servo is None:
            joint.set("frictionloss", f"{HELD:g}")  # a head that turns, say
            continue
        for key in ("frictionloss", "stiffness", "springref"):
            joint.attrib.pop(key, None)
        joint.set("damping", f"{servo.damping:g}")
        joint.set("armature", f"{servo.armature:g}")
        bound_turns(joint, root)
        _add_servo(actuators, joint.get("name", ""), servo)
    if servos:
        raise SceneError(f"{source.name} has no joint {', '.join(servos)}")
    for finger, followers in robot.closing.items():
        _count_openings(root, finger, followers)
    _make_gripping(root, model)
    contact = root.find("contact")
    if contact is None:
        contact = SubElement(root, "contact")
    for a, b in _fingers_apart(root, model):
        SubElement(contact, "exclude", body1=a, body2=b)


def bound_turns(joint: Element, root: Element) -> None:
    """Let a joint that turns more than once make one turn about where it is saved.

    Planning would look for the same poses in all turns.
    """
    low, high = (float(v) for v in joint.get("range", "0 0").split())
    if joint.get("type") == "hinge" and high - low > 2 * math.pi + 1e-3:
        name = f"qpos:{joint.get('name')}"
        saved = next(float(t.get("data") or 0) for t in root.iter("text") if t.get("name") == name)
        joint.set("range", f"{saved - math.pi:.6g} {saved + math.pi:.6g}")


def _count_openings(root: Element, finger: str, followers: Mapping[str, float]) -> None:
    """Let a finger's joint count from closed (0) to open, as saved, and let others turn with it."""
    joints = {joint.get("name"): joint for joint in root.iter("joint")}
    joint = joints[finger]
    opened = joint.get("range", "0 0").split()[1]
    joint.set("ref", opened)
    joint.set("axis", " ".join(f"{-float(v):g}" for v in joint.get("axis", "").split()))
    saved = next(t for t in root.iter("text") if t.get("name") == f"qpos:{finger}")
    saved.set("data", opened)
    equality = root.find("equality")
    if equality is None:
        equality = SubElement(root, "equality")
    for name, ratio in followers.items():
        joints[name].set("frictionloss", "0")
        poly = f"0 {-ratio:g} 0 0 0"
        SubElement(equality, "joint", joint1=name, joint2=finger, polycoef=poly)


def _fingers_apart(root: Element, model: RobotModel) -> list[tuple[str, str]]:
    """Return the pairs of bodies of different fingers, which may meet when the hand closes."""
    if len(model.fingers) == 2 and isinstance(model.finger_range, float):
        return [(model.fingers[0], model.fingers[1])]
    parts = []
    for joint in model.finger_joints:
        first = next(b for b in root.iter("body") if b.find(f"joint[@name='{joint}']") is not None)
        parts.append([b.get("name", "") for b in first.iter("body") if b.find("geom") is not None])
    return [(a, b) for one, two in combinations(parts, 2) for a in one for b in two]


def _place(root: Element, robot: RobotFile) -> None:
    """Put the root and the tip where the table wants them."""
    for body in root.iter("body"):
        if body.get("name") == robot.model.root and robot.place is not None:
            body.set("pos", " ".join(f"{v:g}" for v in robot.place))
        if body.get("name") == robot.model.tip:
            move_along_z(body, robot.tip_forward)


def move_along_z(body: Element, distance: float) -> None:
    """Move a body along its own z axis [m]."""
    if distance == 0:
        return
    position = [float(v) for v in body.get("pos", "0 0 0").split()]
    w, x, y, z = (float(v) for v in body.get("quat", "1 0 0 0").split())
    axis = (2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y))
    moved = [p + distance * a for p, a in zip(position, axis, strict=True)]
    body.set("pos", " ".join(f"{v:.9g}" for v in moved))


def _make_gripping(root: Element, model: RobotModel) -> None:
    for body in root.iter("body"):
        body.set("gravcomp", "1")
        contact = {model.hand: _PALM, **dict.fromkeys(model.fingers, _PADS)}.get(
            body.get("name", "")
        )
        for geom in body.findall("geom"):
            if contact is not None and geom.get("contype") == "1":
                geom.attrib |= contact


def _add_servo(actuators: Element, joint: str, servo: Servo) -> None:
    SubElement(
        actuators,
        "position",
        name=joint,
        joint=joint,
        kp=f"{servo.stiffness:g}",
        dampratio="1",
        forcerange=f"{-servo.force:g} {servo.force:g}",
        inheritrange="1",
    )
