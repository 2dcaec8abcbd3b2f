"""Named sets of objects."""

from pyrep_mujoco.ttm.reading.chunks import Chunk
from pyrep_mujoco.ttm.reading.model import Collection

_TAGS = frozenset({"Grn", "Gix", "Par", "Uis", "Asg"})
_ROW_TAGS = frozenset({"Obj", "Gty", "Var"})
_ALL = 5
"""Kind of a row that means all objects."""


def read_collection(chunk: Chunk) -> Collection:
    """Read a collection.

    Raises:
        TtmError: something in it cannot be.
    """
    fields, stop = chunk.sequence(0, _TAGS, "EOO")
    chunk.check_end(stop)
    rows = []
    for part in fields.all("Asg"):
        row, end = part.sequence(0, _ROW_TAGS, "EOO")
        part.check_end(end)
        root = row.need("Obj").integer()
        is_all = row.integer("Gty", 1, "B") == _ALL or root < 0
        rows.append((None if is_all else root, bool(row.integer("Var", 1, "B") & 1)))
    return Collection(fields.need("Grn").text(), tuple(rows))
