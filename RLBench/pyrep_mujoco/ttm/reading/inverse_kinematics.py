"""Groups of inverse kinematics: what of a pose a tip must reach."""

from pyrep_mujoco.ttm.reading.chunks import Chunk
from pyrep_mujoco.ttm.reading.model import IkConstraints

_ELEMENT_TAGS = frozenset({"Oid", "Ik2", "Ik3", "Abc", "Pr2", "Ctr", "Wgt", "Var"})
_GROUP_TAGS = frozenset(
    {"Oid", "Nme", "Mit", "Ctr", "Wgt", "Jts", "Dpg", "Cmt", "Doo", "Var", "Va2", "Avx", "Avt"}
) | {"Uis", "Ike"}
_X, _Y, _Z, _ALPHA_BETA, _GAMMA = 1, 2, 4, 8, 16


def read_ik_group(chunk: Chunk) -> dict[int, IkConstraints]:
    """Return what each tip of a group must reach, by the tip's handle.

    Raises:
        TtmError: something in it cannot be.
    """
    fields = chunk.fields(_GROUP_TAGS)
    found = {}
    for part in fields.all("Ike"):
        element = part.fields(_ELEMENT_TAGS)
        bits = element.integer("Ctr", _X | _Y | _Z | _ALPHA_BETA | _GAMMA)
        turn = bool(bits & _ALPHA_BETA)
        place = bool(bits & _X), bool(bits & _Y), bool(bits & _Z)
        found[element.need("Ik2").integer()] = (*place, turn, turn, bool(bits & _GAMMA))
    return found
