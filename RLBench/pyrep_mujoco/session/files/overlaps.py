"""Which shapes of a file overlap where the file has them, and so must not collide.

Parts of one mechanism are held by their joints. Loose things must still rest on something, but two
that are saved deep inside each other would be thrown apart.
"""

import mujoco

from pyrep_mujoco.session.document import Document
from pyrep_mujoco.session.files.loading import cached, read_file
from pyrep_mujoco.session.physics.stepping import Physics
from pyrep_mujoco.session.taking_in import take_in
from pyrep_mujoco.ttm.mjcf.contacts import OVERLAP
from pyrep_mujoco.ttm.mjcf.writer import FLUNG


@cached
def overlaps_of(path: str) -> frozenset[tuple[int, int]]:
    """Return the pairs of handles, as the file has them, of shapes that shall not collide."""
    scene = read_file(path)
    handles = {obj.name: obj.handle for obj in scene.objects}
    document = Document(path)
    if len(take_in(document, scene)) == 0:
        return frozenset()
    found = _overlapping(document)
    return frozenset((handles[document.name_of(a)], handles[document.name_of(b)]) for a, b in found)


def _overlapping(document: Document) -> set[tuple[int, int]]:
    physics = Physics(document)
    built, data = physics.built, physics.data
    mujoco.mj_collision(built.model, data)
    depths: dict[tuple[int, int], float] = {}
    for contact in data.contact:
        first, second = sorted(int(built.geom_handles[g]) for g in contact.geom)
        depths[first, second] = max(depths.get((first, second), 0.0), -float(contact.dist))
    apart = set()
    for pair, depth in depths.items():
        free = [handle in built.free for handle in pair]
        if depth > (FLUNG if any(free) else OVERLAP) and all(free) == any(free):
            apart.add(pair)
    return apart
