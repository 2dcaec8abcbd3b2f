"""Joints of a scene as MuJoCo's: limits, dry friction, springs, motors, couplings."""

from xml.etree.ElementTree import Element, SubElement

import numpy as np

from pyrep_mujoco.ttm.mjcf.format import numbers
from pyrep_mujoco.ttm.mjcf.inertia import load_of
from pyrep_mujoco.ttm.mjcf.tree import BodyPlan, JointPlan
from pyrep_mujoco.ttm.reading.model import Joint, Scene

_MUJOCO_KINDS = {"revolute": "hinge", "prismatic": "slide", "spherical": "ball"}
DRY_FRICTION = {"hinge": 1e-2, "slide": 5e-2, "ball": 0.0}
"""Of a joint without a motor: axes are level to 0.3 mrad only, and nothing shall creep."""
TILT = 1e-3
"""Slope [rad] on which dry friction still holds a light hinge; RLBench's have none at all."""
LEAST_FRICTION = 1e-4
COAST = 1.0
"""A light hinge loses its speed in this time [s] or more: a screw must not stop at once."""
GRAVITY = 9.81
HELD = 1000.0
"""Dry friction [N m or N] of joints that physics does not move."""
ARMATURE = {"hinge": 1e-4, "slide": 1e-2, "ball": 1e-5}
DAMPING = {"hinge": 1e-2, "slide": 1e-1, "ball": 1e-3}
SERVO_STIFFNESS = {"hinge": 20.0, "slide": 500.0}
SERVO_DAMPING = {"hinge": 1.0, "slide": 20.0}
"""Soft enough for light links; damping is the joint's, because a clamped motor's is not stable."""


def add_joint(body: Element, link: BodyPlan) -> None:
    """Write the `<joint>` of a body into it."""
    plan = link.joint
    assert plan is not None
    joint = plan.source
    kind = _MUJOCO_KINDS[joint.kind]
    attributes = {
        "name": joint.name,
        "type": kind,
        "pos": numbers(plan.anchor),
        "axis": numbers(plan.axis),
        "armature": f"{ARMATURE[kind]:g}",
        "damping": f"{DAMPING[kind]:g}",
    }
    if kind == "ball":
        del attributes["axis"]
    elif joint.is_cyclic or joint.upper <= joint.lower:
        attributes["limited"] = "false"
    else:
        attributes["range"] = numbers([joint.lower, joint.upper])
        attributes |= {"solreflimit": "0.006 1", "solimplimit": "0.95 0.995 0.0005"}
    if not plan.is_driven:
        attributes["frictionloss"] = f"{HELD:g}"
    elif joint.motor_on and not joint.position_loop and joint.target_velocity == 0:
        attributes["frictionloss"] = f"{joint.max_force:.6g}"
    elif joint.motor_on and joint.position_loop and joint.spring_loop:
        attributes["stiffness"] = f"{max(joint.spring[0], 0):.6g}"
        attributes["damping"] = f"{max(joint.spring[1], DAMPING[kind]):.6g}"
        attributes["springref"] = f"{joint.target_position:.6g}"
    elif joint.motor_on and joint.position_loop:
        attributes["damping"] = f"{SERVO_DAMPING[kind]:g}"
    elif joint.motor_on:
        # A constant force that damping balances at the velocity wanted.
        attributes["damping"] = f"{joint.max_force / abs(joint.target_velocity):.6g}"
    elif kind == "hinge":
        attributes |= _free_hinge(link)
    elif DRY_FRICTION[kind] > 0:
        attributes["frictionloss"] = f"{DRY_FRICTION[kind]:g}"
    SubElement(body, "joint", attributes)


def _free_hinge(link: BodyPlan) -> dict[str, str]:
    """Return damping and dry friction of a hinge without a motor: less where it carries less."""
    inertia, lever = load_of(link)
    damping = min((inertia + ARMATURE["hinge"]) / COAST, DAMPING["hinge"])
    friction = np.clip(TILT * GRAVITY * lever, LEAST_FRICTION, DRY_FRICTION["hinge"])
    return {"damping": f"{damping:.4g}", "frictionloss": f"{friction:.4g}"}


def add_motor(actuators: Element, plan: JointPlan) -> None:
    """Write the motor that needs no control signal: towards a position, or at a velocity."""
    joint = plan.source
    kind = _MUJOCO_KINDS[joint.kind]
    if not (plan.is_driven and joint.motor_on) or kind == "ball":
        return
    if joint.position_loop and not joint.spring_loop:
        gain = SERVO_STIFFNESS[kind]
        bias = [gain * joint.target_position, -gain, 0.0]
    elif not joint.position_loop and joint.target_velocity != 0:
        bias = [float(np.copysign(joint.max_force, joint.target_velocity)), 0.0, 0.0]
    else:
        return
    force = max(float(joint.max_force), 1e-6)
    SubElement(
        actuators,
        "general",
        name=f"motor:{joint.name}",
        joint=joint.name,
        gainprm="0",
        biastype="affine",
        biasprm=numbers(bias),
        forcerange=numbers([-force, force]),
    )


def add_coupling(equality: Element, joint: Joint, scene: Scene, written: set[str]) -> None:
    """Write the equation of a dependent joint: value = offset + factor * master."""
    if joint.mode != "dependent" or joint.master is None:
        return
    handle, factor, offset = joint.master
    master = scene.by_handle.get(handle)
    if not isinstance(master, Joint) or master.name not in written:
        return
    SubElement(
        equality,
        "joint",
        name=f"depends:{joint.name}",
        joint1=joint.name,
        joint2=master.name,
        polycoef=numbers(np.array([offset, factor, 0, 0, 0])),
    )
