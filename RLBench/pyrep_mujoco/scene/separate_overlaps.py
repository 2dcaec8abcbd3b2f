"""Moves free things out of what they stand in, before physics throws them out.

Many of RLBench's scenes are saved with things 1 to 7 mm deep in the table or in each other. Its
simulator pushes them apart slowly; stiff contacts make them jump.
"""

from collections.abc import Callable, Collection

import mujoco
import numpy as np

from pyrep_mujoco.transforms import Floats

OVERLAP = 1e-3
"""Deeper overlaps [m] are separated; contacts take care of the others without a jump."""
FURTHEST = 1e-2
"""Nothing is moved by more [m]: what is deeper inside something has been put there."""
ROUNDS = 30
UPRIGHT = 0.5
"""Of two free things whose contact normal rises by more, only the upper one is moved."""

IsLoose = Callable[[int], bool]


def separate_overlaps(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    is_loose: IsLoose,
    shift: Callable[[int, Floats], None],
    robot_bodies: Collection[int] = (),
) -> dict[int, Floats]:
    """Move free bodies along the normals of their deepest contacts until those only touch.

    What the hand holds, what is welded and what touches the robot alone stays where it is. A body
    that would have to go further than `FURTHEST` is left where it was.

    Args:
        model: of the scene.
        data: its state.
        is_loose: tells whether a body is free, and welded to nothing.
        shift: moves a free body, and only it, by (3,) [m], world.
        robot_bodies: contacts with them are left alone.

    Returns:
        Moved bodies -> (3,) by how much [m], world.
    """
    moved: dict[int, Floats] = {}
    stuck: set[int] = set()
    for _ in range(ROUNDS):
        pushes = _pushes(model, data, is_loose, robot_bodies)
        pushes = {b: p for b, p in pushes.items() if b not in stuck}
        if not pushes:
            break
        for body, push in pushes.items():
            total = moved.get(body, np.zeros(3)) + push
            if np.linalg.norm(total) > FURTHEST:
                stuck.add(body)
                shift(body, -moved.pop(body, np.zeros(3)))
            else:
                moved[body] = total
                shift(body, push)
    return moved


def _pushes(
    model: mujoco.MjModel, data: mujoco.MjData, is_loose: IsLoose, robot_bodies: Collection[int]
) -> dict[int, Floats]:
    """Return for each free body inside something the (3,) way out of its deepest contact."""
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
        if first == second or first in robot_bodies or second in robot_bodies:
            continue
        free = is_loose(first), is_loose(second)
        for body, share in _shares(first, second, free, float(normal[2])):
            if depth > deepest.get(body, 0.0):
                deepest[body], out[body] = depth, share * depth * normal
    return out


def _shares(
    first: int, second: int, is_free: tuple[bool, bool], rise: float
) -> list[tuple[int, float]]:
    """Return which of two bodies go, and how far along the normal from the first to the second."""
    goes = is_free
    if all(is_free) and abs(rise) > UPRIGHT:
        goes = (rise < 0, rise > 0)
    share = 1.0 / max(sum(goes), 1)
    return [(b, s) for b, s, g in ((first, -share, goes[0]), (second, share, goes[1])) if g]
