"""Which bodies a scene becomes: the physical tree of MuJoCo and the logical one of the scene.

MuJoCo nests what is fixed together and what hangs on a hinge or slide; a free body is a child of
the world, and its place in the scene's tree is kept beside (`logical_parent`).
"""

from dataclasses import dataclass, field

import numpy as np

from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.reading.model import ForceSensor, Joint, Scene, SceneObject, Shape


@dataclass
class JointPlan:
    """A hinge, slide or ball of the body it stands in.

    Attributes:
        source: the joint of the scene.
        anchor: (3,) in the body's frame [m].
        rotation: (3, 3) the joint's own axes in the body's frame, the joint at zero.
        is_driven: physics moves it; else it stays where it is put.
    """

    source: Joint
    anchor: Floats
    rotation: Floats
    is_driven: bool

    @property
    def axis(self) -> Floats:
        """(3,) unit, in the body's frame."""
        return self.rotation[:, 2]


@dataclass
class BodyPlan:
    """A body to write.

    Attributes:
        name: of the object, or of the joint that has no shape of its own.
        source: the object; None for the carrier of a joint without a shape.
        pose: (4, 4) in the frame of the physical parent with every joint at zero.
        logical_parent: name of the parent in the scene where it is not the physical parent.
        is_free: gets a free joint.
        joint: hinge or slide to the physical parent.
        children: nested bodies.
    """

    name: str
    source: SceneObject | None
    pose: Floats
    logical_parent: str | None = None
    is_free: bool = False
    joint: JointPlan | None = None
    children: list["BodyPlan"] = field(default_factory=list)

    def walk(self) -> "list[BodyPlan]":
        """Return this body and all below it, parents first."""
        found, left = [], [self]
        while left:
            found.append(left.pop())
            left += reversed(found[-1].children)
        return found


def is_free(scene: Scene, shape: SceneObject, bonds_break: bool = True) -> bool:
    """Tell whether physics can move an object freely: dynamic, and held by no joint.

    A joint holds only if a shape is above it. A force sensor is a bond that tasks break by hanging
    the shape elsewhere; those of a robot (not `bonds_break`) are for ever.
    """
    if not isinstance(shape, Shape) or not shape.is_dynamic:
        return False
    if shape.parent is None:
        return True
    parent = scene.by_handle[shape.parent]
    if not isinstance(parent, Joint | ForceSensor) or parent.parent is None:
        return True
    if isinstance(parent, ForceSensor) and bonds_break:
        return True
    return not isinstance(scene.by_handle[parent.parent], Shape)


def _link(scene: Scene, joint: Joint) -> Shape | None:
    """Return the shape whose body carries a joint: the first dynamic child, else the first."""
    shapes = [o for o in scene.children(joint) if isinstance(o, Shape) and not is_free(scene, o)]
    return next((s for s in shapes if s.is_dynamic), shapes[0] if shapes else None)


class TreeBuilder:
    """Turns a scene's objects into bodies. `roots` are the children of MuJoCo's world."""

    def __init__(self, scene: Scene, bonds_break: bool = True) -> None:
        self.scene = scene
        self._bonds_break = bonds_break
        self.roots: list[BodyPlan] = []
        self._world = scene.world_poses()

    def build(self) -> list[BodyPlan]:
        """Return the children of the world, in file order."""
        for top in self.scene.children(None):
            self._add(top, None, np.eye(4), None)
        return self.roots

    def _add(
        self,
        obj: SceneObject,
        parent: BodyPlan | None,
        T_parent: Floats,
        logical: str | None,
    ) -> None:
        """Place `obj` below a body.

        Args:
            obj: to place.
            parent: physical parent, None for the world.
            T_parent: (4, 4) frame in which `obj.pose` is given, in the physical parent's frame.
            logical: name of the parent where that is not `parent`.
        """
        if is_free(self.scene, obj, self._bonds_break):
            above = logical or (parent.name if parent else None)
            body = BodyPlan(obj.name, obj, self._world[obj.handle], above, is_free=True)
            self.roots.append(body)
            self._add_children(obj, body, np.eye(4))
        elif isinstance(obj, Joint):
            # A ball's zero is where it was saved.
            T = obj.pose @ obj.motion if obj.kind == "spherical" else obj.pose
            self._add_joint(obj, parent, T_parent @ T, logical)
        else:
            body = BodyPlan(obj.name, obj, T_parent @ obj.pose, logical)
            self._attach(body, parent)
            self._add_children(obj, body, np.eye(4))

    def _attach(self, body: BodyPlan, parent: BodyPlan | None) -> None:
        (self.roots if parent is None else parent.children).append(body)

    def _add_children(self, obj: SceneObject, body: BodyPlan, T: Floats) -> None:
        for child in self.scene.children(obj):
            self._add(child, body, T, None)

    def _add_joint(
        self, joint: Joint, parent: BodyPlan | None, T_joint: Floats, logical: str | None
    ) -> None:
        link = _link(self.scene, joint)
        T_body_joint: Floats = np.eye(4)
        if link is None:
            body = BodyPlan(joint.name, None, T_joint, logical)
        else:
            body = BodyPlan(link.name, link, T_joint @ link.pose, logical)
            T_body_joint = np.asarray(np.linalg.inv(link.pose), np.float64)
        driven = (
            link is not None
            and link.is_dynamic
            and (joint.mode == "dynamic" or joint.is_hybrid)
            and parent is not None
        )
        rotation = T_body_joint[:3, :3]
        if joint.kind == "spherical":
            rotation = rotation @ np.linalg.inv(joint.motion[:3, :3])  # not what it has turned
        body.joint = JointPlan(joint, T_body_joint[:3, 3], rotation, driven)
        self._attach(body, parent)
        if link is not None:
            self._add_children(link, body, np.eye(4))
        for child in self.scene.children(joint):
            if child is not link:
                self._add(child, body, T_body_joint, None)
