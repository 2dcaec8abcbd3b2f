"""What hands hold: it is pulled to its place by a hold that gives way a little under load.

What a hand leads against an edge can then shift in it, as tasks of RLBench need. A thing that is
hung on a force sensor is a free body, welded to the one that carries the sensor.
"""

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.session.document import Document
from pyrep_mujoco.session.physics.body_plan import Plan, body_name, carrier_frame
from pyrep_mujoco.transforms import Floats, quick_quat_wxyz

STIFFNESS = 1e5
"""Force of a hold over the distance of a thing from its place [N/m]: 1 mm for 100 N."""
LEVER = 0.2
"""A hold's torque over an angle is `STIFFNESS` times the square of this [m]: 4000 N m/rad."""
_SECONDS = 0.02
"""Time constant of a thing on its way back to its place."""
_STIFFEST = 0.9999
"""The greatest impedance of MuJoCo's."""
_PLACE, _SCALE = slice(3, 10), 10
"""Where MuJoCo's numbers of a weld have the place, and the scale of its turning."""


def add_holds(plan: Plan, root: Element) -> None:
    """Write the weld of each body that is held into a model; `Holds.apply` says where it pulls."""
    held = [body for body in plan.bodies if body.hold is not None]
    if not held:
        return
    equality = SubElement(root, "equality")
    for body in held:
        carrier = plan.carriers[body.hold or 0]
        first = "world" if carrier is None else body_name(carrier)
        names = {"body1": first, "body2": body_name(body.handle)}
        SubElement(equality, "weld", {"name": _name(body.handle), **names})


def tune_holds(model: mujoco.MjModel, plan: Plan) -> None:
    """Give the holds of a compiled model their stiffness, whatever mass they hold."""
    for number in (model.equality(_name(b.handle)).id for b in plan.bodies if b.hold is not None):
        ends = [int(model.eq_obj1id[number]), int(model.eq_obj2id[number])]
        straight, turning = model.body_invweight0[ends].sum(axis=0)
        share = STIFFNESS * straight * _SECONDS**2
        model.eq_solref[number] = _SECONDS, 1.0
        model.eq_solimp[number, :2] = min(share / (1 + share), _STIFFEST)
        model.eq_data[number, _SCALE] = LEVER * np.sqrt(turning / straight)


class Holds:
    """Remembers where holds pull what they hold to.

    A thing's place in its hand is the one in which it was hung there, or put since by a caller;
    where loads have shifted it does not count.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._places: dict[tuple[int, int], Floats] = {}

    def forget(self, handle: int | None = None) -> None:
        """Note that a caller has moved an object, or any (None): what is held is in its place."""
        kept = {} if handle is None else {k: T for k, T in self._places.items() if k[0] != handle}
        self._places = kept

    def apply(self, model: mujoco.MjModel, plan: Plan) -> None:
        """Write the places of what is held now into a model; forget those of all others."""
        places = {}
        for body in plan.bodies:
            if body.hold is None:
                continue
            key = body.handle, body.hold
            places[key] = self._places.get(key, self._document.get(body.handle).pose).copy()
            carrier = carrier_frame(self._document, plan.carriers[body.hold])
            T = tf.invert(carrier) @ self._document.world(body.hold) @ places[key]
            number = model.equality(_name(body.handle)).id
            model.eq_data[number, _PLACE] = [*T[:3, 3], *quick_quat_wxyz(T[:3, :3])]
        self._places = places


def hold_wrench(
    model: mujoco.MjModel, data: mujoco.MjData, body_ids: Mapping[int, int], handle: int
) -> tuple[Floats, Floats]:
    """Return (3,) force [N] and (3,) torque [N m] of the hold of a body in the last step, world.

    The torque is that about the origin of the body.
    """
    number = model.equality(_name(handle)).id
    rows = (data.efc_type == mujoco.mjtConstraint.mjCNSTR_EQUALITY) & (data.efc_id == number)
    out = np.zeros(model.nv)
    mujoco.mj_mulJacTVec(model, data, out, np.where(rows, data.efc_force, 0.0))
    body = body_ids[handle]
    start = int(model.body_dofadr[body])
    R = data.xmat[body].reshape(3, 3)
    return out[start : start + 3], R @ out[start + 3 : start + 6]


def _name(handle: int) -> str:
    """Return what the weld of a body is called in the model."""
    return f"hold{handle}"
