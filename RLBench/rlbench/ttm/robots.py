"""RLBench's own robots, from its binary files: converted as scenes are, then given servos."""

from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, fromstring, indent, tostring

from rlbench.backend.exceptions import SceneError
from rlbench.sim.robot_model import PANDA, RobotModel
from rlbench.ttm.cache import converted_scene
from rlbench.ttm.mjcf_joints import HELD

ROBOT_FILE = "robot.xml"


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
        file: name in `rlbench/robot_ttms`.
        model: names; `mjcf`, `home` and `finger_joints`' travel are taken from the file.
        arm: servos of the arm's joints, in order.
        finger: servo of both fingers.
        place: (3,) where the root stands in the world [m]; None leaves it as the file has it.
    """

    file: str
    model: RobotModel
    arm: tuple[Servo, ...]
    finger: Servo
    place: tuple[float, float, float] | None = None


_SHOULDER = Servo(4500.0, 87.0, 1.0, 0.1)
_ELBOW = Servo(3500.0, 87.0, 1.0, 0.1)
_WRIST = Servo(2000.0, 12.0, 1.0, 0.05)
_FINGER = Servo(2000.0, 20.0, 2.0, 0.2)

# Friction stays as the file has it: fingers of rubber would lock a switch that they push.
_PADS = {"solref": "0.006 1", "solimp": "0.95 0.99 0.0005"}
# Soft: scenes ask for grasps at which the hand would press 2 mm into a bulb, which must not tip.
_PALM = {"solref": "0.03 1", "solimp": "0.8 0.95 0.002", "solmix": "1000"}

# RLBench's pace: its scenes are tuned to it (a block that is pushed faster slides on).
_PACE = {
    "max_velocity": (1.0,) * 7,
    "max_acceleration": (4.0,) * 7,
    "path_limits": (1.0, 4.0),
    "is_careful": True,
}

ROBOTS = {
    "panda": RobotFile(
        "panda.ttm",
        RobotModel(
            **{
                **PANDA.__dict__,
                "fingers": ("Panda_leftfinger_respondable", "Panda_rightfinger_respondable"),
                **_PACE,
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
            **_PACE,
        ),
        (_SHOULDER, _SHOULDER, _ELBOW, _ELBOW, _WRIST, _WRIST, _WRIST),
        _FINGER,
        # Where RLBench puts every other robot: at the origin of its Panda.
        place=(-0.3089, 0.0, 0.82),
    ),
}
"""Robots by the name that `robot_setup` takes."""


def has_robot(rlbench_root: Path, name: str = "panda") -> bool:
    """Tell whether a checkout has a robot's file."""
    return (rlbench_root / "rlbench" / "robot_ttms" / ROBOTS[name].file).is_file()


def converted_robot(rlbench_root: Path, name: str = "panda") -> RobotModel:
    """Return a robot of a checkout, converted if that was not done before.

    Raises:
        SceneError: the robot is unknown, its file is missing, or an object is missing in it.
        TtmError: the file cannot be read.
    """
    if name not in ROBOTS:
        raise SceneError(f"robot {name!r} is unknown; available: {', '.join(sorted(ROBOTS))}")
    robot = ROBOTS[name]
    source = rlbench_root / "rlbench" / "robot_ttms" / robot.file
    if not source.is_file():
        raise SceneError(f"robot file {robot.file} not found in {source.parent}")
    scene = converted_scene(source, bonds_break=False)
    out = scene.parent / ROBOT_FILE
    root = fromstring(scene.read_text(encoding="utf-8"))  # noqa: S314 - our own file
    home = _saved_values(root, robot.model.joints, source)
    if not out.is_file():
        _drive(root, robot, source)
        indent(root)
        part = out.with_suffix(f".{id(root)}.part")
        part.write_text(tostring(root, encoding="unicode") + "\n", encoding="utf-8")
        part.replace(out)
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
    if robot.place is not None:
        _place(root, model.root, robot.place)
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
        _add_servo(actuators, joint.get("name", ""), servo)
    if servos:
        raise SceneError(f"{source.name} has no joint {', '.join(servos)}")
    _make_gripping(root, model)
    contact = root.find("contact")
    if contact is None:
        contact = SubElement(root, "contact")
    SubElement(contact, "exclude", body1=model.fingers[0], body2=model.fingers[1])


def _place(root: Element, name: str, position: tuple[float, float, float]) -> None:
    for body in root.findall("worldbody/body"):
        if body.get("name") == name:
            body.set("pos", " ".join(f"{v:g}" for v in position))


def _make_gripping(root: Element, model: RobotModel) -> None:
    for body in root.iter("body"):
        body.set("gravcomp", "1")
        contact = {model.hand: _PALM, **dict.fromkeys(model.fingers, _PADS)}.get(body.get("name"))
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
