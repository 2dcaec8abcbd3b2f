"""Write the drawn meshes of put_rubbish_in_bin: basket, crumpled paper, tomato and its calyx.

Run `python -m rlbench.tools.art.make_put_rubbish_in_bin_meshes`; the same bytes come out each time.
Lengths are metres. Each mesh stands in the frame of the body that carries it.
"""

from pathlib import Path

import numpy as np

from rlbench.engines.transforms import Floats, quat_wxyz_to_matrix
from rlbench.tools.art.obj_files import MESHES, join, obj_text, write_files

Mesh = tuple[Floats, np.ndarray]
"""(N, 3) vertices and (M, 3) indices, counter-clockwise seen from outside."""

# The basket: x of its frame is up, the floor lies at -HALF_HEIGHT.
HALF_HEIGHT = 0.0943
BOTTOM_RADIUS, TOP_RADIUS = 0.069, 0.0985
SOLID_HEIGHT = 0.040
RING_HEIGHTS = (0.067, 0.094, 0.121, 0.148)
RODS, RING_SIDES, RIM_SIDES = 24, 24, 48

# The paper: outline of its box, turn in the saved scene, and the table below its origin.
PAPER_BOX = np.array([0.0172, 0.0251, 0.0437])
PAPER_QUAT_WXYZ = np.array([0.70113, 0.2119, -0.65894, 0.17119])
PAPER_FLOOR = -0.0170
PAPER_SEED, PAPER_SPIKES = 40, 22

# The tomato stands upright in the saved scene; its frame does not.
TOMATO_QUAT_WXYZ = np.array([-0.15654, 0.62444, 0.74363, -0.18052])
TOMATO_RADIUS, TOMATO_DEPTH, TOMATO_RISE = 0.0332, 0.0309, 0.0285
SEPALS = ((0.0, 0.016), (1.05, 0.022), (2.6, 0.018), (4.2, 0.027), (5.4, 0.018))
"""(direction [rad], length [m]) of each leaf."""


def grid(rows: int, columns: int, close_rows: bool = False) -> np.ndarray:
    """Return triangles over a (rows, columns) grid of points, closed along the columns."""
    index = np.arange(rows * columns).reshape(rows, columns)
    below = np.roll(index, -1, axis=0) if close_rows else index[1:]
    above = index if close_rows else index[:-1]
    a, b = above, below
    a2, b2 = np.roll(a, -1, axis=1), np.roll(b, -1, axis=1)
    quads = np.stack([np.stack([a, a2, b2], -1), np.stack([a, b2, b], -1)])
    return quads.reshape(-1, 3)


def turned(profile: Floats, sides: int) -> Mesh:
    """Turn a closed (R, 2) profile (height, radius) about x; its inner side must rise."""
    phi = 2 * np.pi * np.arange(sides) / sides
    height = np.repeat(profile[:, :1], sides, axis=1)
    y, z = profile[:, 1:] * np.cos(phi), profile[:, 1:] * np.sin(phi)
    points = np.stack([height, y, z], axis=-1).reshape(-1, 3)
    return points, grid(len(profile), sides, close_rows=True)[:, ::-1]


def wall_radius(height: float) -> float:
    """Return the basket's radius at a height above its floor."""
    return BOTTOM_RADIUS + (TOP_RADIUS - BOTTOM_RADIUS) * height / (2 * HALF_HEIGHT)


def rod(height: float, top: float, angle: float, half: float = 0.0026) -> Mesh:
    """Return a three-sided rod up the wall at `angle`."""
    up, out = np.array([1.0, 0.0, 0.0]), np.array([0.0, np.cos(angle), np.sin(angle)])
    side = np.cross(up, out)
    section = [out * half, -0.5 * half * out - half * side, -0.5 * half * out + half * side]
    points = [
        (h - HALF_HEIGHT) * up + wall_radius(h) * out + corner
        for h in (height, top)
        for corner in section
    ]
    return np.array(points), grid(2, 3)[:, ::-1]


def basket() -> Mesh:
    """Return rim, rings and rods on a solid bowl."""
    floor, top = -HALF_HEIGHT, HALF_HEIGHT

    def ring(height: float, half: float) -> Floats:
        radius = wall_radius(height)
        rows = [(-half, radius), (half, radius), (0.0, radius + half)]
        return np.array([(floor + height + h, r) for h, r in rows])

    rim = np.array([(-0.015, -0.0030), (0.0, -0.0030), (0.0, 0.0008), (-0.015, 0.0004)])
    rim += (top, TOP_RADIUS)
    brim = wall_radius(SOLID_HEIGHT)
    bowl = np.array(
        [
            (floor, 1e-4),
            (floor + 0.002, 1e-4),
            (floor + 0.002, BOTTOM_RADIUS - 0.002),
            (floor + SOLID_HEIGHT, brim - 0.002),
            (floor + SOLID_HEIGHT, brim),
            (floor, BOTTOM_RADIUS),
        ]
    )
    return join(
        turned(bowl, RING_SIDES),
        turned(rim, RIM_SIDES),
        *(turned(ring(height, 0.0024), RING_SIDES) for height in RING_HEIGHTS),
        *(
            rod(SOLID_HEIGHT - 0.002, 2 * HALF_HEIGHT - 0.004, 2 * np.pi * k / RODS)
            for k in range(RODS)
        ),
    )


def sphere(divisions: int) -> Mesh:
    """Return an icosahedron whose triangles were split in four `divisions` times, radius 1."""
    g = (1 + 5**0.5) / 2
    points = [(0, s, t * g) for s in (-1, 1) for t in (-1, 1)]
    vertices = np.array([np.roll(p, k) for k in range(3) for p in points], float)
    faces = [
        (i, j, k)
        for i in range(12)
        for j in range(i + 1, 12)
        for k in range(j + 1, 12)
        if max(np.linalg.norm(vertices[a] - vertices[b]) for a, b in ((i, j), (j, k), (k, i))) < 2.1
    ]
    out = [f if np.linalg.det(vertices[list(f)]) > 0 else f[::-1] for f in faces]
    for _ in range(divisions):
        grown, middle = list(vertices), {}
        split = []
        for face in out:
            mids = []
            for a, b in zip(face, (*face[1:], face[0]), strict=True):
                key = (min(a, b), max(a, b))
                if key not in middle:
                    middle[key] = len(grown)
                    grown.append((grown[a] + grown[b]) / 2)
                mids.append(middle[key])
            (a, b, c), (ab, bc, ca) = face, mids
            split += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        vertices, out = np.array(grown), split
    return vertices / np.linalg.norm(vertices, axis=1, keepdims=True), np.array(out)


def paper() -> Mesh:
    """Return a ball of paper: folds around random spikes, lying flat on the table."""
    rng = np.random.default_rng(PAPER_SEED)
    directions, faces = sphere(2)
    spikes = rng.normal(size=(PAPER_SPIKES, 3))
    spikes /= np.linalg.norm(spikes, axis=1, keepdims=True)
    heights = rng.uniform(0.5, 1.0, PAPER_SPIKES)
    near = np.exp(-9.0 * (1.0 - directions @ spikes.T))
    radius = 0.45 + (near * heights).max(axis=1) + rng.uniform(-0.12, 0.12, len(directions))
    points = directions * radius[:, None]
    points += rng.uniform(-0.06, 0.06, points.shape)
    low, high = points.min(0), points.max(0)
    points = (2 * (points - low) / (high - low) - 1) * PAPER_BOX
    R = quat_wxyz_to_matrix(PAPER_QUAT_WXYZ)
    standing = points @ R.T
    standing[:, 2] = np.maximum(standing[:, 2], PAPER_FLOOR)
    # Vertices of its own for each triangle: flat facets.
    return (standing @ R)[faces].reshape(-1, 3), np.arange(faces.size).reshape(-1, 3)


def tomato_profile(latitude: Floats) -> Floats:
    """Return (R, 2) height and radius of the fruit's skin at latitudes in -pi/2..pi/2."""
    c, s = np.cos(latitude), np.sin(latitude)
    radius = TOMATO_RADIUS * np.abs(c) ** 0.9
    height = np.where(s < 0, TOMATO_DEPTH, TOMATO_RISE) * np.sign(s) * np.abs(s) ** 0.85
    # A dimple around the stalk.
    return np.stack([height - 0.006 * np.exp(-((radius / 0.008) ** 2)) * (s > 0), radius], axis=1)


def upright_tomato(mesh: Mesh) -> Mesh:
    """Bring a mesh whose x is up into the tomato's frame."""
    vertices, faces = mesh
    world = vertices[:, [1, 2, 0]]
    return world @ quat_wxyz_to_matrix(TOMATO_QUAT_WXYZ), faces


def tomato() -> Mesh:
    """Return the fruit."""
    profile = tomato_profile(np.linspace(-np.pi / 2, np.pi / 2, 17)[1:-1])
    sides = 24
    points, _ = turned(profile, sides)
    # The profile is open at both poles: close them by a point each.
    faces = grid(len(profile), sides)
    top, bottom = (profile[-1, 0], 0.0, 0.0), (profile[0, 0], 0.0, 0.0)
    n, k = len(points), np.arange(sides)
    ring = np.roll(k, -1)
    caps = [
        np.stack([np.full(sides, n), k + n - sides, ring + n - sides], axis=1),
        np.stack([np.full(sides, n + 1), ring, k], axis=1),
    ]
    return upright_tomato((np.vstack([points, top, bottom]), np.concatenate([faces, *caps])))


def calyx() -> Mesh:
    """Return five leaves on the fruit's skin and a stalk."""
    parts = []
    for angle, length in SEPALS:
        out = np.array([0.0, np.cos(angle), np.sin(angle)])
        side = np.array([0.0, -np.sin(angle), np.cos(angle)])
        along = np.array([0.0, 0.4, 1.0]) * length
        width = np.array([0.0025, 0.0042, 0.0006])
        height = skin_height(along) + np.array([0.0015, 0.0022, 0.0050])
        middle = along[:, None] * out + height[:, None] * np.array([1.0, 0.0, 0.0])
        thick = np.array([0.0014, 0.0, 0.0])
        rows = [middle + width[:, None] * side, middle + thick, middle - width[:, None] * side]
        parts.append((np.stack(rows, axis=1).reshape(-1, 3), grid(3, 3)))
    stalk = np.array(
        [(0.021, 0, 0), (0.030, 0.004, 0.003), (0.038, 0.009, 0.006), (0.0382, 0.009, 0.006)]
    )
    phi = 2 * np.pi * np.arange(5) / 5
    circle = np.stack([0 * phi, np.cos(phi), np.sin(phi)], axis=1)
    points = stalk[:, None] + np.array([0.0038, 0.0024, 0.0022, 0.0001])[:, None, None] * circle
    parts.append((points.reshape(-1, 3), grid(4, 5)))
    return upright_tomato(join(*parts))


def skin_height(radius: Floats) -> Floats:
    """Return the height of the fruit's upper skin at distances from its axis."""
    profile = tomato_profile(np.linspace(np.pi / 2, 0.0, 60))
    return np.interp(radius, profile[:, 1], profile[:, 0])


def write(folder: Path = MESHES) -> list[Path]:
    """Write all meshes of the task and return their paths."""
    made = {"basket": basket(), "paper": paper(), "tomato": tomato(), "calyx": calyx()}
    files = {f"put_rubbish_in_bin_{part}.obj": obj_text(*mesh) for part, mesh in made.items()}
    return write_files(folder, files)


if __name__ == "__main__":
    write()
