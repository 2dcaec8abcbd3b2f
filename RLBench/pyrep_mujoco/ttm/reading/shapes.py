"""Shapes: one mesh, or meshes grouped to any depth."""

from dataclasses import dataclass

import numpy as np

from pyrep_mujoco.transforms import Floats, invert, transform_points
from pyrep_mujoco.ttm.reading.buffers import Indices, MeshBuffers
from pyrep_mujoco.ttm.reading.chunks import Chunk, Fields
from pyrep_mujoco.ttm.reading.parts import Material, Part, Primitive, Texture
from pyrep_mujoco.ttm.reading.surfaces import read_color, read_material, read_use

SHAPE_TAGS = frozenset({"Ge2", "Mat", "Dc2", "Idv", "Sss", "Ss3", "Ssh", "Var"})
_GEOMETRY_TAGS = frozenset({"Gst", "Gsg", "Coj"})
_NODE_TAGS = frozenset({"Nme", "Mas", "Dmi", "Ine", "Vtb", "Var"})
_LEAF_TAGS = frozenset(
    {"Cl0", "Cl2", "Ecl", "Vev", "Inv", "Nov", "Vvd", "Ppr", "Pp2", "Ppf", "Gsa", "Gs2", "Var"}
    | {"Toj", "Hfd"}
)
# By number; meshes and height fields are no pure forms.
_PRIMITIVES = (None, "plane", "disc", "cuboid", "spheroid", "cylinder", "cone", None, "capsule")
MAX_DEPTH = 32
MIN_AGREEMENT = 0.98
"""Share of stored normals that must look out of their triangle."""
MAX_ELEMENTS = 3_000_000
"""Vertices and triangles of one file: many parts may name the same buffer, so a small file could
fill the memory."""


@dataclass
class Library:
    """What shapes refer to.

    Attributes:
        buffers: of meshes.
        textures: by id.
        materials: by id.
        elements: how many vertices and triangles were made so far.
        curve_points: how many points of paths were made so far.
    """

    buffers: MeshBuffers
    textures: dict[int, Texture]
    materials: dict[int, Material]
    elements: int = 0
    curve_points: int = 0


@dataclass(frozen=True)
class _Node:
    """The tags that single and grouped meshes share."""

    name: str
    mass: float
    material: int
    inertia_pose: Floats
    gyration: Floats
    pose: Floats
    is_convex: bool


def shape_values(fields: Fields, library: Library) -> dict[str, object]:
    """Read what a shape has beyond what all objects have, by the names of `model.Shape`."""
    container = fields.need("Ge2")
    geometry = container.fields(_GEOMETRY_TAGS)
    grouped = geometry.get("Gsg")
    parts: list[Part] = []
    if grouped is not None:
        root = _add_group(grouped, library, parts, 1)
    else:
        single = geometry.need("Gst")
        root = _add_leaf(single, library, parts, is_single=True)
    if not parts:
        raise container.error("holds no mesh")
    state, contact = fields.integer("Sss", 0, "B"), fields.integer("Ss3", 0, "B")
    own = fields.get("Mat")
    material = read_material(own)[1] if own else library.materials.get(root.material)
    return {
        "parts": parts,
        "is_compound": grouped is not None,
        "is_convex": root.is_convex,
        "mass": root.mass,
        "inertia_pose": root.inertia_pose,
        "principal_moments": root.mass * root.gyration,
        "is_dynamic": bool(state & 0x80),
        "starts_asleep": bool(state & 0x40),
        "is_respondable": bool(contact & 1),
        "respondable_mask": fields.integer("Dc2", 0xFFFF, "H"),
        "material": material,
    }


def _read_node(fields: Fields) -> _Node:
    inertia, pose, mass = fields.get("Ine"), fields.get("Vtb"), fields.number("Mas", 0.0)
    if mass < 0:
        raise fields.container.error(f"has a mass of {mass:g} kg")
    return _Node(
        name=fields.text("Nme"),
        mass=mass,
        material=fields.integer("Dmi", -1),
        inertia_pose=inertia.pose(position_first=True, lenient=True) if inertia else np.eye(4),
        gyration=inertia.floats(3, 28) if inertia else np.zeros(3),
        pose=pose.pose(position_first=True, lenient=True) if pose else np.eye(4),
        is_convex=bool(fields.integer("Var", 0, "B") & 4),
    )


def _add_group(chunk: Chunk, library: Library, parts: list[Part], depth: int) -> _Node:
    """Read a grouped mesh: add its parts, return its node."""
    if depth > MAX_DEPTH:
        raise chunk.error(f"is a group nested more than {MAX_DEPTH} deep")
    fields = chunk.fields(_NODE_TAGS | {"Geo", "Wrp"})
    for child in fields.all("Geo", "Wrp"):
        if child.path.endswith("/Wrp"):
            _add_group(child, library, parts, depth + 1)
        else:
            _add_leaf(child, library, parts, is_single=False)
    return _read_node(fields)


def _add_leaf(chunk: Chunk, library: Library, parts: list[Part], *, is_single: bool) -> _Node:
    """Read a single mesh: add it as a part, return its node."""
    head, stop = chunk.sequence(0, _NODE_TAGS, "EOO")
    node = _read_node(head)
    fields, stop = chunk.sequence(stop, _LEAF_TAGS, "EOO")
    chunk.check_end(stop)
    placed = fields.get("Ppf")
    pose = placed.pose(position_first=True, lenient=True) if placed else np.eye(4)
    points, faces = _read_mesh(fields, library)
    library.elements += len(points) + len(faces)
    if library.elements > MAX_ELEMENTS:
        raise chunk.error(f"goes beyond {MAX_ELEMENTS} vertices and triangles in one file")
    vertices = transform_points(pose, points)
    corners = vertices[faces]
    worn = fields.get("Toj")
    # Poses of nodes matter to textures only: vertices are stored in the frame of the whole shape.
    T_leaf_shape = np.eye(4) if is_single else invert(node.pose)
    bits = fields.integer("Var", 0, "B")
    part = Part(
        name=node.name,
        vertices=vertices,
        faces=faces.astype(np.int32),
        normals=_read_normals(fields, library, corners, pose),
        pose=pose,
        primitive=_read_primitive(fields),
        color=read_color(fields.need("Cl0")),
        texture=read_use(worn, corners, T_leaf_shape, library.textures) if worn else None,
        is_culled=bool(bits & 2),
        is_convex=node.is_convex,
        is_inverted=bool(bits & 64),
        shading_angle=fields.number("Gsa", 0.0),
    )
    parts.append(part)
    return node


def _read_mesh(fields: Fields, library: Library) -> tuple[Floats, Indices]:
    """Return (V, 3) vertices in the frame of the buffer and (F, 3) triangles."""
    grid = fields.get("Hfd")
    if fields.get("Vev") is None and grid is not None:
        return _height_field(fields, grid)
    number, corners = fields.need("Vev"), fields.need("Inv")
    points, faces = library.buffers.vertices(number), library.buffers.corners(corners)
    if len(faces) == 0:
        raise corners.error("names a mesh without triangles")
    low, high = int(faces.min()), int(faces.max())
    if low < 0 or high >= len(points):
        raise corners.error(
            f"names a mesh with vertices {low} to {high}; the buffer has {len(points)}"
        )
    return points, faces


def _height_field(fields: Fields, grid: Chunk) -> tuple[Floats, Indices]:
    """Return the mesh of a grid of heights, centred like a primitive."""
    nx, ny = grid.unpack("2i")
    if nx < 2 or ny < 2 or nx * ny > len(grid.data) // 4:
        raise grid.error(f"claims {nx} x {ny} heights in {len(grid.data)} bytes")
    heights = grid.floats(nx * ny, 8)
    width, length = fields.need("Ppr").floats(2, 4)
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, nx) * width, np.linspace(-0.5, 0.5, ny) * length)
    middle = (heights.min() + heights.max()) / 2
    points = np.stack([x.ravel(), y.ravel(), heights - middle], axis=1)
    corner = (np.arange(ny - 1)[:, None] * nx + np.arange(nx - 1)).ravel()
    lower = np.stack([corner, corner + 1, corner + nx + 1], axis=1)
    upper = np.stack([corner, corner + nx + 1, corner + nx], axis=1)
    return points, np.stack([lower, upper], axis=1).reshape(-1, 3)


def _read_normals(fields: Fields, library: Library, corners: Floats, pose: Floats) -> Floats:
    """Return (F, 3, 3) unit normals in the shape frame.

    They are those of the triangles where none is stored, and for meshes whose stored ones look
    behind many triangles: these were left in an older frame (2 % of the triangles of RLBench).
    """
    flat = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    size = _lengths(flat)
    flat = np.where(size > 0, flat / np.maximum(size, 1e-300), [0.0, 0.0, 1.0])
    number = fields.get("Nov")
    if number is None:
        return np.repeat(flat[:, None], 3, axis=1)
    stored = library.buffers.normals(number)
    if len(stored) != len(corners):
        raise number.error(f"names normals of {len(stored)} triangles for {len(corners)}")
    size = _lengths(stored)
    turned = stored / np.maximum(size, 1e-12) @ pose[:3, :3].T
    looks_out = np.einsum("fi,fki->fk", flat, turned) >= 0
    if np.count_nonzero(looks_out) < MIN_AGREEMENT * looks_out.size:
        return np.repeat(flat[:, None], 3, axis=1)
    return np.where(size > 1e-12, turned, flat[:, None])


# As NumPy's, which look at their arguments for longer than these take for a small mesh.
def _lengths(vectors: Floats) -> Floats:
    """Return (..., 1) lengths of (..., 3) vectors."""
    out: Floats = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None]
    return out


def _cross(a: Floats, b: Floats) -> Floats:
    """Return the (N, 3) cross products of (N, 3) vectors."""
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=1)


def _read_primitive(fields: Fields) -> Primitive | None:
    chunk = fields.get("Ppr")
    if chunk is None:
        return None
    number = chunk.integer()
    if not 0 <= number < len(_PRIMITIVES):
        raise chunk.error(f"names primitive {number}; 0 to {len(_PRIMITIVES) - 1} are known")
    kind = _PRIMITIVES[number]
    if kind is None:
        return None
    return Primitive(kind, chunk.floats(3, 4), fields.number("Pp2", 0.0))
