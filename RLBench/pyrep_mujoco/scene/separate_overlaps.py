"""Moves free things out of what they stand in, before physics throws them out.

Many of RLBench's scenes are saved with things 1 to 7 mm deep in the table or in each other. Its
simulator pushes them apart slowly; stiff contacts make them jump.
"""

from typing import TYPE_CHECKING

import mujoco
import numpy as np

from pyrep_mujoco.transforms import Floats

if TYPE_CHECKING:
    from pyrep_mujoco.scene.edits import Alterations

OVERLAP = 1e-3
"""Deeper overlaps [m] are parted; contacts take care of the others without a jump."""
FURTHEST = 1e-2
"""Nothing is moved by more [m]: what is deeper inside something has been put there."""
ROUNDS = 30
UPRIGHT = 0.5
"""Of two free things whose contact normal rises by more, only the upper one is moved."""


def part_overlaps(engine: "Alterations") -> dict[int, Floats]:
    """Move free bodies along the normals of their deepest contacts until those only touch.

    What the hand holds, what is welded and what touches the robot alone stays where it is. A body
    that would have to go further than `FURTHEST` is left where it was.

    Returns:
        Moved bodies -> (3,) by how much [m], world.
    """
    moved: dict[int, Floats] = {}
    stuck: set[int] = set()
    for _ in range(ROUNDS):
        pushes = {b: p for b, p in _pushes(engine).items() if b not in stuck}
        if not pushes:
            break
        for body, push in pushes.items():
            total = moved.get(body, np.zeros(3)) + push
            if np.linalg.norm(total) > FURTHEST:
                stuck.add(body)
                engine.shift(body, -moved.pop(body, np.zeros(3)))
            else:
                moved[body] = total
                engine.shift(body, push)
    return moved


def _pushes(engine: "Alterations") -> dict[int, Floats]:
    """Return for each free body inside something the (3,) way out of its deepest contact."""
    model, data = engine.model, engine.data
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_collision(model, data)
    deepest: dict[int, float] = {}
    out: dict[int, Floats] = {}
    for contact in data.contact:
        depth, normal = -float(contact.dist), contact.frame[:3]
        if depth <= OVERLAP:
            continue
        first, second = (int(model.body_rootid[model.geom_bodyid[g]]) for g in contact.geom)
        for body, share in _shares(engine, first, second, float(normal[2])):
            if depth > deepest.get(body, 0.0):
                deepest[body], out[body] = depth, share * depth * normal
    return out


def _shares(engine: "Alterations", first: int, second: int, rise: float) -> list[tuple[int, float]]:
    """Return which of two bodies go, and how far along the normal from the first to the second."""
    robot = engine.robot_bodies
    if first == second or first in robot or second in robot:
        return []
    free = [engine.is_loose(first), engine.is_loose(second)]
    if all(free) and abs(rise) > UPRIGHT:
        free = [rise < 0, rise > 0]
    share = 1.0 / max(sum(free), 1)
    return [(b, s) for b, s, f in ((first, -share, free[0]), (second, share, free[1])) if f]
