"""Plates with holes, such as the lid of a shape sorter, in convex prisms that leave the holes open.

A section through a plate is an area with holes. It is cut into triangles, and
neighbours are joined as long as they are convex together, to a fraction of a square millimetre.
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, Delaunay, QhullError

from pyrep_mujoco.transforms import Floats

THIN = 0.2
"""A plate is thinner than this share of its shorter side."""
SMALLEST_HOLE = 1e-4
"""Area [m^2] of the smallest hole that is worth it."""
OVERHANG = 1e-6
"""How much more area [m^2] a prism may have than the triangles that it stands for."""
_STRAIGHT = 2e-4  # [m]; a point so near to the line of its neighbours is dropped
_STEPS = (0.01, 0.005, 0.0025)  # between points of a line [m]
_MISSING = 0.01  # share of a line that triangles may cut, as where a mesh has a spur
_HEIGHTS = (0.02, 0.98, 0.25, 0.35, 0.5, 0.65, 0.75)
"""Where a plate is cut, as shares of its thickness. Rims of holes are bevelled, and guide what is
put in; prisms cannot, so the cut with the widest holes is taken."""
_DIGITS = 7  # of positions [m] that are one
_SLIVER = 1e-9  # area [m^2] of a triangle that fills nothing
_MOST_POINTS = 4000
Ints = npt.NDArray[np.int64]
Loops = list[Floats]


def prisms(vertices: Floats, faces: Ints) -> Loops:
    """Return the corners (V, 3) of convex prisms that fill a plate with holes.

    Args:
        vertices: (V, 3) of a mesh.
        faces: (F, 3).

    Returns:
        Nothing where the mesh is no plate, or has no hole.
    """
    frame = _frame(vertices, faces)
    if frame is None:
        return []
    local = vertices @ frame.T
    low, high = local[:, 2].min(), local[:, 2].max()
    sections = [_section(local, faces, low + share * (high - low)) for share in _HEIGHTS]
    loops = min(filter(None, sections), key=lambda found: (len(found), _solid(found)), default=[])
    if not _has_hole(loops):
        return []
    pieces = _convex_areas([_simpler(loop) for loop in loops])
    return [
        np.concatenate([np.insert(p, 2, low, axis=1), np.insert(p, 2, high, axis=1)]) @ frame
        for p in pieces
    ]


def _frame(vertices: Floats, faces: Ints) -> Floats | None:
    """Return (3, 3) axes of a plate as rows, the last one through it; None of another mesh."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    weighted = normals / np.sqrt(np.where(lengths > 0, lengths, 1.0))
    _, axes = np.linalg.eigh(weighted.T @ weighted)
    frame: Floats = axes.T * np.sign(np.linalg.det(axes))
    x, y, thick = np.ptp(vertices @ frame.T, axis=0)
    return frame if thick < THIN * min(x, y) else None


def _section(local: Floats, faces: Ints, height: float) -> Loops:
    """Return the lines (N, 2) in which a plane of constant z cuts a mesh; none if one is open."""
    above = local[:, 2] - height
    ends = []
    for first, second in ((0, 1), (1, 2), (2, 0)):
        i, j = faces[:, first], faces[:, second]
        crosses = above[i] * above[j] < 0
        share = above[i] / np.where(crosses, above[i] - above[j], 1.0)
        at = local[i] + share[:, None] * (local[j] - local[i])
        ends.append(np.where(crosses[:, None], at, np.nan))
    points = np.stack(ends, axis=1)[:, :, :2]
    cut = np.isfinite(points[..., 0])
    segments = points[cut.sum(1) == 2][cut[cut.sum(1) == 2]].reshape(-1, 2, 2)
    return _joined(np.round(segments, _DIGITS))


def _joined(segments: Floats) -> Loops:
    """Join segments (S, 2, 2) to closed lines."""
    neighbours: dict[tuple[float, ...], list[tuple[float, ...]]] = defaultdict(list)
    for start, end in segments.tolist():
        if start != end:
            neighbours[tuple(start)].append(tuple(end))
            neighbours[tuple(end)].append(tuple(start))
    if any(len(set(found)) != 2 for found in neighbours.values()):
        return []
    loops, left = [], dict(neighbours)
    while left:
        line = [next(iter(left))]
        while True:
            following = [p for p in left.pop(line[-1]) if p in left]
            if not following:
                break
            line.append(following[0])
        loops.append(np.array(line))
    return loops


def _area(loop: Floats) -> float:
    x, y = (loop - loop.mean(0)).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _solid(loops: Loops) -> float:
    """Return the area that lines enclose, without that of holes."""
    areas = sorted(map(_area, loops))
    return 2 * areas[-1] - sum(areas)


def _inside(points: Floats, loops: Loops) -> npt.NDArray[np.bool_]:
    """Tell which points (N, 2) an odd number of lines goes around."""
    odd = np.zeros(len(points), bool)
    for loop in loops:
        a, b = loop, np.roll(loop, -1, axis=0)
        y = points[:, 1:2]
        spans = (a[:, 1] > y) != (b[:, 1] > y)
        rise = np.where(b[:, 1] == a[:, 1], 1.0, b[:, 1] - a[:, 1])
        at = a[:, 0] + (y - a[:, 1]) / rise * (b[:, 0] - a[:, 0])
        odd ^= ((spans & (points[:, 0:1] < at)).sum(1) % 2).astype(bool)
    return odd


def _has_hole(loops: Loops) -> bool:
    """Tell whether a large line lies within another one."""
    large = [loop for loop in loops if _area(loop) > SMALLEST_HOLE]
    return any(
        _inside(inner[:1], [outer])[0] for inner in large for outer in large if outer is not inner
    )


def _simpler(loop: Floats) -> Floats:
    """Return a line without points that lie on the straight between their neighbours."""
    kept = [loop[0]]
    for i in range(1, len(loop)):
        following = loop[(i + 1) % len(loop)]
        along = following - kept[-1]
        length = np.linalg.norm(along)
        across = loop[i] - kept[-1]
        off = abs(along[0] * across[1] - along[1] * across[0]) / length if length else np.inf
        if off > _STRAIGHT:
            kept.append(loop[i])
    return np.array(kept)


def _finer(loop: Floats, step: float) -> Floats:
    """Return a line with points at most `step` apart."""
    pieces = []
    for a, b in zip(loop, np.roll(loop, -1, axis=0), strict=True):
        count = int(np.ceil(np.linalg.norm(b - a) / step)) or 1
        pieces.append(a + np.arange(count)[:, None] / count * (b - a))
    return np.concatenate(pieces)


def _convex_areas(loops: Loops) -> Loops:
    """Return the corners (V, 2) of convex areas that fill what lies between the lines."""
    for step in _STEPS:
        fine = [_finer(loop, step) for loop in loops]
        points = np.concatenate(fine)
        if len(points) > _MOST_POINTS:
            return []
        try:
            corners = Delaunay(points).simplices.astype(np.int64)
        except QhullError:
            return []
        if _missing(fine, corners) <= _MISSING:
            wide = np.array([_area(points[c]) > _SLIVER for c in corners])
            return _merged(points, corners[wide & _inside(points[corners].mean(1), loops)])
    return []


def _missing(loops: Loops, corners: Ints) -> float:
    """Return the share of the lines' pieces that are no side of a triangle."""
    sides = {(min(a, b), max(a, b)) for c in corners.tolist() for a, b in _sides(c)}
    missing = start = 0
    for loop in loops:
        numbers = np.arange(start, start + len(loop))
        pairs = np.sort(np.stack([numbers, np.roll(numbers, -1)], axis=1), axis=1)
        missing += sum(tuple(pair) not in sides for pair in pairs.tolist())
        start += len(loop)
    return missing / max(start, 1)


def _sides(corners: list[int]) -> Iterator[tuple[int, int]]:
    return zip(corners, corners[1:] + corners[:1], strict=True)


def _merged(points: Floats, corners: Ints) -> Loops:
    """Join triangles (T, 3), the largest first, as long as they are convex together."""
    by_side: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, c in enumerate(corners.tolist()):
        for a, b in _sides(c):
            by_side[min(a, b), max(a, b)].append(number)
    near: dict[int, set[int]] = defaultdict(set)
    for pair in by_side.values():
        if len(pair) == 2:
            near[pair[0]].add(pair[1])
            near[pair[1]].add(pair[0])
    areas = [_area(points[c]) for c in corners]
    free, found = set(range(len(corners))), []
    for seed in np.argsort(areas)[::-1].tolist():
        if seed not in free:
            continue
        free.discard(seed)
        own, area, hull = {*corners[seed].tolist()}, areas[seed], points[corners[seed]]
        border = near[seed] & free
        while border:
            grown = []
            for other in border:
                corner = points[list(own | {*corners[other].tolist()})]
                shape = ConvexHull(corner)
                grown.append((shape.volume - area - areas[other], other, corner[shape.vertices]))
            over, best, outline = min(grown, key=lambda one: (one[0], one[1]))
            if over > OVERHANG:
                break
            free.discard(best)
            own |= {*corners[best].tolist()}
            area, hull = area + areas[best], outline
            border = (border | near[best]) & free
        found.append(hull)
    return found
