"""What must not collide: joined bodies, masked ones, and what overlaps as saved."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import mujoco

from pyrep_mujoco.ttm.mjcf.tree import BodyPlan
from pyrep_mujoco.ttm.reading.model import Scene, Shape

OVERLAP = 5e-4
"""Bodies of one mechanism that overlap by more [m] as saved do not collide."""


@dataclass(frozen=True)
class Overlap:
    """Two bodies that overlap as saved, by `depth` [m]."""

    first: str
    second: str
    depth: float


def joined_pairs(roots: list[BodyPlan]) -> set[tuple[str, str]]:
    """Return the pairs of bodies that a hinge or slide joins: its limits hold them apart.

    What is fixed to either of the two belongs to it.
    """
    pairs = set()
    for root in roots:
        for body in root.walk():
            for child in body.children:
                if child.joint is not None:
                    pairs |= {
                        _ordered(a.name, b.name)
                        for a in _fixed_together(body, root)
                        for b in _fixed_below(child)
                    }
    return pairs


def _fixed_below(body: BodyPlan) -> list[BodyPlan]:
    out = [body]
    for child in body.children:
        if child.joint is None:
            out += _fixed_below(child)
    return out


def _fixed_together(body: BodyPlan, root: BodyPlan) -> list[BodyPlan]:
    """Return all bodies of the tree that are rigid with `body`."""
    parents = {id(child): b for b in root.walk() for child in b.children}
    top = body
    while top.joint is None and id(top) in parents:
        top = parents[id(top)]
    return _fixed_below(top)


def _ordered(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a < b else (b, a)


def masked_pairs(scene: Scene) -> set[tuple[str, str]]:
    """Return the pairs of respondable shapes whose masks have no bit in common.

    The low byte counts between shapes of one tree, the high byte between others. Shapes are of one
    tree when they are linked by something other than the root.
    """
    solid = [o for o in scene.objects if isinstance(o, Shape) and o.is_respondable]
    if all(shape.respondable_mask & 0xFFFF == 0xFFFF for shape in solid):
        return set()
    top = {shape.handle: _tree_top(scene, shape) for shape in solid}
    pairs = set()
    for a, b in combinations(solid, 2):
        byte = 0x00FF if top[a.handle] == top[b.handle] else 0xFF00
        if not a.respondable_mask & b.respondable_mask & byte:
            pairs.add(_ordered(a.name, b.name))
    return pairs


def _tree_top(scene: Scene, shape: Shape) -> int:
    top = shape.handle
    current = shape.parent
    while current is not None:
        obj = scene.by_handle[current]
        if isinstance(obj, Shape):
            top = obj.handle
        current = obj.parent
    return top


def overlaps(xml: str, files: Mapping[str, bytes]) -> tuple[list[Overlap], set[str]]:
    """Compile a scene alone and return what overlaps as saved, and the names of free bodies.

    Raises:
        ValueError: MuJoCo refuses the scene.
    """
    model, data = started(xml, files)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_collision(model, data)
    depth: dict[tuple[str, str], float] = {}
    for contact in data.contact:
        names = (model.body(model.geom_bodyid[geom]).name for geom in contact.geom)
        pair = _ordered(*names)
        depth[pair] = max(depth.get(pair, 0.0), -float(contact.dist))
    free = {
        model.body(model.jnt_bodyid[j]).name
        for j in range(model.njnt)
        if model.jnt_type[j] == mujoco.mjtJoint.mjJNT_FREE
    }
    found = [Overlap(a, b, d) for (a, b), d in sorted(depth.items()) if d > OVERLAP]
    return found, free


def started(xml: str, files: Mapping[str, bytes]) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """Compile a scene alone; return it, and its state with all joints as saved.

    Raises:
        ValueError: MuJoCo refuses the scene.
    """
    spec = mujoco.MjSpec.from_string(xml, assets=dict(files))
    values = {
        text.name.removeprefix("qpos:"): float(text.data)
        for text in spec.texts
        if text.name.startswith("qpos:")
    }
    model = spec.compile()
    data = mujoco.MjData(model)
    for name, value in values.items():
        data.qpos[model.joint(name).qposadr[0]] = value
    return model, data
