"""Draw smooth skins over the white parts of our Panda's links.

`python -m rlbench.tools.art.make_panda_skins` reads the primitives of robot_mjcf/panda.xml and
writes robot_mjcf/skins/. Where primitives meet, the skin is rounded; it stays within 4 mm of them.
See `pyrep_mujoco.vision.skins`.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import mujoco
import numpy as np
import numpy.typing as npt

from rlbench.tools.art.obj_files import Floats, Ints, obj_text, write_files

PANDA = Path(__file__).resolve().parents[2] / "robot_mjcf" / "panda.xml"
SKINS = PANDA.parent / "skins"
AXLE_M = 0.016  # half the length of an axle
MATERIAL = "panda_white"
LINKS = tuple(f"Panda_link{i}" for i in range(1, 8))
CELL = 0.01  # [m] of the grid on which the surface is found
ROUND = 0.024  # [m] a right-angled crease is filled by a sixth of this
EDGE = 0.006  # [m] radius of the rims of cylinders
MARGIN = 2  # cells around the shape
NEWTON_STEPS = 3  # that bring vertices onto the surface
PROBE = 1e-4  # [m] for slopes
LEAST_SLOPE = 0.3  # squared; in creases slopes vanish


@dataclass(frozen=True)
class Solid:
    """One primitive in its link's frame.

    Attributes:
        kind: MuJoCo's type of geom.
        size: (3,) MuJoCo's sizes [m].
        position: (3,) [m].
        rotation: (3, 3).
    """

    kind: int
    size: Floats
    position: Floats
    rotation: Floats

    def distance(self, points: Floats) -> Floats:
        """Return how far (..., 3) points are outside [m], negative inside."""
        local = np.stack(
            [((points - self.position) * axis).sum(-1) for axis in self.rotation.T], axis=-1
        )
        return _DISTANCES[self.kind](local, self.size)


def _capsule(p: Floats, size: Floats) -> Floats:
    rest = p[..., 2] - np.clip(p[..., 2], -size[1], size[1])
    out: Floats = np.sqrt(p[..., 0] ** 2 + p[..., 1] ** 2 + rest**2) - size[0]
    return out


def _cylinder(p: Floats, size: Floats) -> Floats:
    edge = np.minimum(EDGE, size[1] / 2)
    side = np.sqrt(p[..., 0] ** 2 + p[..., 1] ** 2) - size[0]
    gaps = np.stack([side, np.abs(p[..., 2]) - size[1]], axis=-1)
    out: Floats = _outside(gaps + edge) - edge
    return out


def _box(p: Floats, size: Floats) -> Floats:
    return _outside(np.abs(p) - size)


def _outside(gaps: Floats) -> Floats:
    """Return the distance from a solid that ends where each of (..., N) gaps is 0."""
    out: Floats = np.sqrt((np.maximum(gaps, 0) ** 2).sum(-1)) + np.minimum(gaps.max(-1), 0)
    return out


def _ellipsoid(p: Floats, size: Floats) -> Floats:
    scaled = np.sqrt(((p / size) ** 2).sum(-1))
    slope = np.sqrt(((p / size**2) ** 2).sum(-1))
    out: Floats = scaled * (scaled - 1) / np.maximum(slope, 1e-9)
    return out


_DISTANCES = {
    int(mujoco.mjtGeom.mjGEOM_CAPSULE): _capsule,
    int(mujoco.mjtGeom.mjGEOM_CYLINDER): _cylinder,
    int(mujoco.mjtGeom.mjGEOM_ELLIPSOID): _ellipsoid,
    int(mujoco.mjtGeom.mjGEOM_BOX): _box,
}
_UPRIGHT = np.eye(3)
_SIDEWAYS = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # an axis along y


def _axle(radius: float, position: tuple[float, float, float], rotation: Floats) -> Solid:
    size = np.array([radius, AXLE_M, 0])
    return Solid(int(mujoco.mjtGeom.mjGEOM_CYLINDER), size, np.array(position), rotation)


AXLES = {
    "Panda_link1": (
        _axle(0.0535, (0, 0, 0), _SIDEWAYS),
        _axle(0.0535, (0, 0, -0.192), _UPRIGHT),
    ),
    "Panda_link2": (_axle(0.0535, (0, -0.194, 0), _SIDEWAYS),),
    "Panda_link3": (_axle(0.0545, (0.0825, 0, 0), _SIDEWAYS),),
    "Panda_link4": (_axle(0.0535, (-0.0825, 0.123, 0), _SIDEWAYS),),
    "Panda_link5": (_axle(0.0485, (0, 0, 0), _SIDEWAYS),),
}
"""They reach into the links that turn on a link: no gap is seen between the two."""


def solids_of(model: mujoco.MjModel, link: str) -> list[Solid]:
    """Return the primitives that a link's skin covers, and its axle."""
    body, material = model.body(link).id, model.mat(MATERIAL).id
    found = []
    for g in np.flatnonzero((model.geom_bodyid == body) & (model.geom_matid == material)):
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, model.geom_quat[g])
        place = model.geom_size[g].copy(), model.geom_pos[g].copy(), rotation.reshape(3, 3)
        found.append(Solid(int(model.geom_type[g]), *place))
    return [*found, *AXLES.get(link, ())]


def blended(solids: Sequence[Solid], points: Floats) -> Floats:
    """Return the distance of (..., 3) points from all solids, creases between them filled [m].

    The more two surfaces differ in direction, the more is filled: nothing where they coincide.
    """
    gaps = np.stack([solid.distance(points) for solid in solids])
    slopes = np.stack([_slope(solid.distance, points) for solid in solids])
    nearest = gaps.argmin(axis=0)[None]
    least = np.take_along_axis(gaps, nearest, axis=0)
    slope = np.take_along_axis(slopes, nearest[..., None], axis=0)
    turn = np.sqrt(np.clip((1 - (slopes * slope).sum(-1)) / 2, 0, 1))
    filled = turn * np.maximum(ROUND - (gaps - least), 0) ** 2 / (4 * ROUND)
    out: Floats = least[0] - filled.max(axis=0)
    return out


def _slope(distance: Callable[[Floats], Floats], points: Floats) -> Floats:
    """Return (..., 3) how a distance grows along each axis."""
    sides = [distance(points + p) - distance(points - p) for p in PROBE * np.eye(3)]
    return np.stack(sides, axis=-1) / (2 * PROBE)


def draw_skin(solids: Sequence[Solid]) -> tuple[Floats, Ints]:
    """Return vertices [m] and triangles of the surface around solids, by surface nets."""
    reach = [solid.size.sum() for solid in solids]
    low = np.min([s.position - r for s, r in zip(solids, reach, strict=True)], axis=0)
    high = np.max([s.position + r for s, r in zip(solids, reach, strict=True)], axis=0)
    start = np.floor(low / CELL) - MARGIN
    shape = (np.ceil(high / CELL) + MARGIN - start).astype(int)
    field = blended(solids, (start + np.moveaxis(np.indices(shape), 0, -1)) * CELL)
    corners = np.array(list(product((0, 1), repeat=3)))
    inside = np.stack([_cells(field, corner) < 0 for corner in corners], axis=-1)
    crossed = inside.any(-1) & ~inside.all(-1)
    cells = np.argwhere(crossed)
    numbers = np.full(crossed.shape, -1)
    numbers[crossed] = np.arange(len(cells))
    values = np.stack([_cells(field, corner)[crossed] for corner in corners], axis=-1)
    points = (start + cells + _crossings(values, corners)) * CELL
    for _ in range(NEWTON_STEPS):
        points = points + _step_to_surface(solids, points)
    return points, _faces(field < 0, numbers)


def _cells(field: Floats, corner: Ints) -> Floats:
    """Return the field at one corner of each cell."""
    return field[tuple(slice(c, n - 1 + c) for c, n in zip(corner, field.shape, strict=True))]


def _crossings(values: Floats, corners: Ints) -> Floats:
    """Return the (N, 3) mean place in each cell where its edges meet the surface.

    Args:
        values: (N, 8) the field at the corners.
        corners: (8, 3) places in the cell.
    """
    total, count = np.zeros((len(values), 3)), np.zeros((len(values), 1))
    for i, j in product(range(8), repeat=2):
        way = corners[j] - corners[i]
        if i < j and np.abs(way).sum() == 1:
            meets = (values[:, i] < 0) != (values[:, j] < 0)
            share = values[meets, i] / (values[meets, i] - values[meets, j])
            total[meets] += corners[i] + share[:, None] * way
            count[meets] += 1
    return total / count


def _step_to_surface(solids: Sequence[Solid], points: Floats) -> Floats:
    """Return one step of Newton's for each point, at most half a cell."""
    slope = _slope(partial(blended, solids), points)
    steep = np.maximum((slope**2).sum(-1, keepdims=True), LEAST_SLOPE)
    step = -blended(solids, points)[:, None] * slope / steep
    out: Floats = np.clip(step, -CELL / 2, CELL / 2)
    return out


def _faces(inside: npt.NDArray[np.bool_], numbers: Ints) -> Ints:
    """Return triangles: two around each grid edge that meets the surface, seen from outside."""
    faces = []
    for axis in range(3):
        ahead = np.roll(inside, -1, axis)
        second, third = np.eye(3, dtype=int)[(axis + 1) % 3], np.eye(3, dtype=int)[(axis + 2) % 3]
        around = (second + third, third, 0 * second, second)
        for leaves in (True, False):
            edges = np.argwhere((inside & ~ahead) if leaves else (~inside & ahead))
            ring = [numbers[tuple((edges - offset).T)] for offset in around]
            a, b, c, d = ring if leaves else ring[::-1]
            faces += [np.stack([a, b, c], axis=-1), np.stack([a, c, d], axis=-1)]
    return np.concatenate(faces)


def write(folder: Path = SKINS) -> list[Path]:
    """Write the skins of all links and return their paths."""
    model = mujoco.MjModel.from_xml_path(str(PANDA))
    return write_files(
        folder,
        {f"{link.lower()}.obj": obj_text(*draw_skin(solids_of(model, link))) for link in LINKS},
    )


if __name__ == "__main__":
    write(*(Path(argument) for argument in sys.argv[1:2]))
