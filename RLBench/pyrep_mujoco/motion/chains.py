"""Chains of joints between any base and any tip of a model, as kinematics of their own.

The base stands where it is now, and joints that do not belong to the chain stay as they are now.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.motion.kinematics import Floats, Kinematics
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
        SceneError: the joints are not in a row between the world and the tip.
    """
    bodies = _bodies(model, chain)
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    parent, above = spec.worldbody, 0
    bounds = {j: (chain.lower[i], chain.upper[i]) for i, j in enumerate(chain.joints)}
    for body in bodies:
        first = model.body_jntadr[body]
        own = [j for j in range(first, first + model.body_jntnum[body]) if j in bounds]
        if own and above != 0:
            pos, quat = model.body_pos[body], model.body_quat[body]
        elif own:
            above = int(model.body_parentid[body])
            parent = _add(parent, data.xpos[above], data.xquat[above])
            pos, quat = model.body_pos[body], model.body_quat[body]
        else:
            pos, quat = _relative(data, above, body)
        parent, above = _add(parent, pos, quat), body
        for joint in own:
            parent.add_joint(
                type=model.jnt_type[joint],
                pos=model.jnt_pos[joint],
                axis=model.jnt_axis[joint],
                ref=model.qpos0[model.jnt_qposadr[joint]],
                limited=True,
                range=bounds[joint],
            )
    T = chain.T_body_tip
    _add(parent, T[:3, 3], matrix_to_quat_wxyz(T[:3, :3]))
    return Kinematics.of_chain(spec.compile(), chain.constraints)


def _bodies(model: mujoco.MjModel, chain: Chain) -> list[int]:
    """Return the bodies from the one that the first joint moves to the tip's."""
    bodies = [chain.tip_body]
    while bodies[0] > 0:
        bodies.insert(0, int(model.body_parentid[bodies[0]]))
    bodies = bodies[1:]
    found = [int(j) for b in bodies for j in _joints_of(model, b) if j in chain.joints]
    if found != list(chain.joints) or not found:
        names = ", ".join(model.joint(j).name for j in chain.joints if j not in found)
        reason = f"{names} do not move it" if names else "they are not in this order"
        tip = model.body(chain.tip_body).name
        raise SceneError(f"the joints of the arm do not lead to its tip at {tip!r}: {reason}")
    if any(int(model.jnt_type[j]) not in _ONE_DEGREE for j in found):
        raise SceneError("an arm's joints must be hinges or slides")
    return bodies[bodies.index(int(model.jnt_bodyid[found[0]])) :]


def _joints_of(model: mujoco.MjModel, body: int) -> range:
    first = int(model.body_jntadr[body])
    return range(first, first + int(model.body_jntnum[body]))


def _add(parent: mujoco.MjsBody, pos: Floats, quat: Floats) -> mujoco.MjsBody:
    return parent.add_body(
        pos=pos, quat=quat, mass=1.0, inertia=[1.0, 1.0, 1.0], explicitinertial=True
    )


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
