"""Chains of joints between any base and any tip of a model, as kinematics of their own.

The base stands where it is now, and joints that do not belong to the chain stay as they are now.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import mujoco
import numpy as np

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.motion.kinematics import Floats, Kinematics
from pyrep_mujoco.motion.loops import Link, Loops, links_of, path_up
from pyrep_mujoco.transforms import matrix_to_quat_wxyz

_ONE_DEGREE = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))


@dataclass(frozen=True)
class Chain:
    """Hinges and slides, and the frame that they move.

    Attributes:
        joints: (n,) ids, from the base.
        lower: (n,) bounds [rad or m].
        upper: (n,) bounds [rad or m].
        tip_body: the body that the tip is fixed to.
        T_body_tip: (4, 4) tip to this body.
        constraints: what of a pose must be reached; see `Kinematics.of_chain`.
    """

    joints: tuple[int, ...]
    lower: Floats
    upper: Floats
    tip_body: int
    T_body_tip: Floats
    constraints: tuple[bool, ...] = (True,) * 6


def chain_kinematics(model: mujoco.MjModel, data: mujoco.MjData, chain: Chain) -> Kinematics:
    """Return the kinematics of a chain from where its base is now.

    Args:
        model: of the scene.
        data: its state; world poses must be up to date.
        chain: joints and tip.

    Raises:
        SceneError: the joints do not move the tip.
    """
    form = form_of(model, chain)
    copy = _copy(model, data, chain, form)
    if not form.links:
        return Kinematics.of_chain(copy, chain.constraints)
    start = copy.qpos0.copy()
    ids = {j: copy.joint(f"joint{j}").id for j in (*chain.joints, *form.followers)}
    for joint, number in ids.items():
        start[number] = data.qpos[model.jnt_qposadr[joint]]
    links = [
        replace(link, bodies=tuple(copy.body(f"body{b}").id for b in link.bodies))
        for link in form.links
    ]
    leaders, followers = ([ids[j] for j in js] for js in (chain.joints, form.followers))
    loops = Loops(copy, leaders, followers, links, start)
    return Kinematics.of_chain(copy, chain.constraints, loops)


@dataclass(frozen=True)
class Form:
    """How the joints of a chain move its tip.

    Attributes:
        bodies: ids of what moves it, parents first.
        followers: ids of joints that are not the arm's, which links move along.
        links: what closes loops of these bodies; none where the tip hangs on all of the joints.
    """

    bodies: tuple[int, ...]
    followers: tuple[int, ...] = ()
    links: tuple[Link, ...] = ()


def form_of(model: mujoco.MjModel, chain: Chain) -> Form:
    """Look at how the joints of a chain move its tip.

    Raises:
        SceneError: they do not.
    """
    row = path_up(model, chain.tip_body)[-2::-1]
    found = [j for b in row for j in _joints_of(model, b) if j in chain.joints]
    if any(int(model.jnt_type[j]) not in _ONE_DEGREE for j in chain.joints):
        raise SceneError("an arm's joints must be hinges or slides")
    row = row[row.index(int(model.jnt_bodyid[found[0]])) :] if found else []
    if found == list(chain.joints):
        return Form(tuple(row))
    form = _looped(model, chain, row)
    found = [j for b in form.bodies for j in _joints_of(model, b) if j in chain.joints]
    missing = ", ".join(model.joint(j).name for j in chain.joints if j not in found)
    if missing or not form.links:
        reason = f"{missing} do not move it" if missing else "they are not in this order"
        tip = model.body(chain.tip_body).name
        raise SceneError(f"the joints of the arm do not lead to its tip at {tip!r}: {reason}")
    return form


def _looped(model: mujoco.MjModel, chain: Chain, row: Sequence[int]) -> Form:
    """Return the form of a chain whose tip hangs on bodies that links move."""
    bodies, followers, links = set(row), set[int](), []
    for link in links_of(model):
        sides = [[b for b in path_up(model, body) if b > 0] for body in link.bodies]
        if not all(row and row[0] in side for side in sides):
            continue
        loop = set(sides[0]) ^ set(sides[1])
        joints = {j for b in loop for j in _joints_of(model, b)} - set(chain.joints)
        bodies |= {b for side in sides for b in side[: side.index(row[0]) + 1]}
        followers |= {j for j in joints if int(model.jnt_type[j]) in _ONE_DEGREE}
        links.append(link)
    return Form(tuple(sorted(bodies)), tuple(sorted(followers)), tuple(links))


def _copy(model: mujoco.MjModel, data: mujoco.MjData, chain: Chain, form: Form) -> mujoco.MjModel:
    """Copy the bodies of a chain, from where its base is now, and the joints that move them."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    copies: dict[int, mujoco.MjsBody] = {}
    bounds = {j: (chain.lower[i], chain.upper[i]) for i, j in enumerate(chain.joints)}
    for body in form.bodies:
        joints = [j for j in _joints_of(model, body) if j in bounds or j in form.followers]
        above = int(model.body_parentid[body])
        if above not in copies:
            copies[above] = _add(spec.worldbody, data.xpos[above], data.xquat[above])
        pos, quat = model.body_pos[body], model.body_quat[body]
        if not joints:
            pos, quat = _relative(data, above, body)
        copies[body] = _add(copies[above], pos, quat, f"body{body}")
        for joint in joints:
            copies[body].add_joint(
                name=f"joint{joint}",
                type=model.jnt_type[joint],
                pos=model.jnt_pos[joint],
                axis=model.jnt_axis[joint],
                ref=model.qpos0[model.jnt_qposadr[joint]],
                limited=joint in bounds,
                range=bounds.get(joint, (0.0, 0.0)),
            )
    T = chain.T_body_tip
    _add(copies[chain.tip_body], T[:3, 3], matrix_to_quat_wxyz(T[:3, :3]), "tip")
    return spec.compile()


def _joints_of(model: mujoco.MjModel, body: int) -> range:
    first = int(model.body_jntadr[body])
    return range(first, first + int(model.body_jntnum[body]))


def _add(parent: mujoco.MjsBody, pos: Floats, quat: Floats, name: str = "") -> mujoco.MjsBody:
    inertia = {"mass": 1.0, "inertia": [1.0, 1.0, 1.0], "explicitinertial": True}
    return parent.add_body(name=name, pos=pos, quat=quat, **inertia)


def _relative(data: mujoco.MjData, above: int, body: int) -> tuple[Floats, Floats]:
    """Return where a body is now in the frame of another: (3,) [m] and (4,) wxyz."""
    pos, quat, back = np.zeros(3), np.zeros(4), np.zeros(4)
    mujoco.mju_negQuat(back, data.xquat[above])
    mujoco.mju_rotVecQuat(pos, data.xpos[body] - data.xpos[above], back)
    mujoco.mju_mulQuat(quat, back, data.xquat[body])
    return pos, quat


def moved_bodies(model: mujoco.MjModel, joints: Sequence[int]) -> frozenset[int]:
    """Return the bodies that any of some joints moves."""
    moved = {int(model.jnt_bodyid[j]) for j in joints}
    for body in range(1, model.nbody):
        if int(model.body_parentid[body]) in moved:
            moved.add(body)
    return frozenset(moved)
