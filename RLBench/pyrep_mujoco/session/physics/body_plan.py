"""Which objects of a document become bodies, and how MuJoCo nests them.

Shapes become bodies; all other objects are only in the document. What is fixed to something that
moves is nested in it, as is what hangs on a joint; free bodies and what never moves are children of
the world.
"""

from dataclasses import dataclass, field

import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.session.document import NOT_DYNAMIC, NOT_RESPONDABLE, Document
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.reading.model import ForceSensor, Joint, SceneObject, Shape


@dataclass(frozen=True)
class BodyPlan:
    """One body.

    Attributes:
        handle: of the shape; of a joint that moves no shape of its own.
        carrier: handle of the body that it is nested in, None for the world.
        is_free: gets a free joint.
        joint: handle of the hinge, slide or ball that carries it.
        hold: handle of the force sensor that holds it, and gives way a little.
    """

    handle: int
    carrier: int | None
    is_free: bool = False
    joint: int | None = None
    hold: int | None = None


@dataclass(frozen=True)
class Plan:
    """All bodies of a document.

    Attributes:
        bodies: carriers before what is nested in them.
        carriers: object -> the moving body that it is fixed to, None for the world; of a shape
            its own.
    """

    bodies: list[BodyPlan] = field(default_factory=list)
    carriers: dict[int, int | None] = field(default_factory=dict)


def body_name(handle: int) -> str:
    """Return what a body or joint is called in the model: objects' names may hold anything."""
    return f"h{handle}"


def is_dynamic(document: Document, shape: Shape) -> bool:
    """Tell whether physics moves a shape, by its own flag and by its models'."""
    return shape.is_dynamic and not document.overrides(shape.handle) & NOT_DYNAMIC


def is_respondable(document: Document, shape: Shape) -> bool:
    """Tell whether a shape is touched, by its own flag and by its models'."""
    return shape.is_respondable and not document.overrides(shape.handle) & NOT_RESPONDABLE


def is_driven(document: Document, joint: Joint) -> bool:
    """Tell whether physics moves a joint: its mode says so, and it joins two shapes."""
    if joint.mode != "dynamic" and not joint.is_hybrid:
        return False
    if not _joins(document, joint):
        return False
    link = link_of(document, joint)
    return link is not None and is_dynamic(document, link)


def link_of(document: Document, joint: Joint) -> Shape | None:
    """Return the shape that a joint moves: its first dynamic child, else its first one."""
    children = [document.get(h) for h in document.children(joint.handle)]
    shapes = [o for o in children if isinstance(o, Shape)]
    return next((s for s in shapes if is_dynamic(document, s)), shapes[0] if shapes else None)


def hold_of(document: Document, shape: Shape) -> int | None:
    """Return the handle of the force sensor that holds a shape since it was hung there.

    What hangs on a force sensor in its file is fixed to it, and has no hold.
    """
    if shape.parent is None or shape.handle not in document.rehung:
        return None
    parent = document.get(shape.parent)
    holds = isinstance(parent, ForceSensor) and _joins(document, parent)
    return shape.parent if holds and is_dynamic(document, shape) else None


def is_free(document: Document, shape: Shape) -> bool:
    """Tell whether a shape moves by itself: no joint carries it, and it is fixed to nothing.

    What a force sensor holds since it was hung there moves by itself, and is pulled to its place.
    """
    if not is_dynamic(document, shape):
        return False
    if hold_of(document, shape) is not None:
        return True
    if shape.parent is None:
        return True
    parent = document.get(shape.parent)
    return not isinstance(parent, Joint | ForceSensor) or not _joins(document, parent)


def _joins(document: Document, bond: Joint | ForceSensor) -> bool:
    """Tell whether a joint or force sensor holds what hangs on it: it hangs on a shape itself.

    Joints of MJCF hold, whatever they hang on; they are marked by being dynamic and hybrid.
    """
    if isinstance(bond, Joint) and bond.mode == "dynamic" and bond.is_hybrid:
        return True
    return bond.parent is not None and isinstance(document.get(bond.parent), Shape)


def plan_bodies(document: Document) -> Plan:
    """Say which bodies a document becomes."""
    plan = Plan()
    with_shapes = _above_shapes(document)
    left: list[tuple[int, int | None]] = [(top, None) for top in reversed(document.children(None))]
    while left:
        handle, carrier = left.pop()
        obj = document.get(handle)
        below = carrier
        if isinstance(obj, Joint) and handle in with_shapes:
            below = _add_joint(document, obj, carrier, plan)
        elif isinstance(obj, Shape) and carrier != handle:
            free = is_free(document, obj)
            hold = hold_of(document, obj)
            plan.bodies.append(BodyPlan(handle, None if free else carrier, free, hold=hold))
            below = handle if free else carrier
        plan.carriers[handle] = handle if isinstance(obj, Shape) else carrier
        for child in reversed(document.children(handle)):
            left.append((child, below))
    return plan


def _add_joint(document: Document, joint: Joint, carrier: int | None, plan: Plan) -> int:
    """Enter the body that a joint moves; return its handle."""
    link = link_of(document, joint)
    if link is not None and is_free(document, link):
        link = None
    handle = joint.handle if link is None else link.handle
    plan.bodies.append(BodyPlan(handle, carrier, joint=joint.handle))
    return handle


def _above_shapes(document: Document) -> set[int]:
    """Return all objects that are a shape, or have one below them."""
    found: set[int] = set()
    for obj in document:
        if isinstance(obj, Shape):
            for above in document.ancestors(obj.handle):
                if above.handle in found:
                    break
                found.add(above.handle)
    return found


def zero_frame(document: Document, body: BodyPlan) -> Floats:
    """Return the (4, 4) frame of a body to the world, with its own joint at zero.

    A ball's zero is where it is.
    """
    if body.joint is None:
        return document.world(body.handle)
    joint = document.of_kind(body.joint, Joint, "joint")
    T = document.world(body.joint)
    if joint.kind == "spherical":
        T = T @ joint.motion
    if body.handle != body.joint:
        T = T @ document.get(body.handle).pose
    return T


def carrier_frame(document: Document, carrier: int | None) -> Floats:
    """Return the (4, 4) frame of a body as it is now, to the world."""
    if carrier is None:
        return np.eye(4)
    obj: SceneObject = document.get(carrier)
    return document.frame(carrier) if isinstance(obj, Joint) else document.world(carrier)


def joint_in_body(document: Document, body: BodyPlan) -> Floats:
    """Return the (4, 4) frame of a body's joint in the body's own frame, the joint at zero."""
    if body.joint is None or body.joint == body.handle:
        return np.eye(4)
    return tf.invert(document.get(body.handle).pose)
