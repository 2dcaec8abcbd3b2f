"""Colours, contact materials and textures."""

import numpy as np

from pyrep_mujoco.transforms import Floats, invert, transform_points
from pyrep_mujoco.ttm.reading.chunks import Chunk
from pyrep_mujoco.ttm.reading.parts import Color, Material, Texture, TextureUse

TEXTURE_TAGS = frozenset({"Ipa", "Gon", "Bst", "Img"})
_COLOR_TAGS = frozenset({"Cl2", "Cl3", "Sh2", "Trf", "Var", "Cnm", "Rst", "Fi3"})
_MATERIAL_TAGS = frozenset(
    {"Ipa", "Gon", "BuN", "OdN", "Nw1", "Vo4", "Bul", "Od2", "Bcv", "Var", "Ode", "Vor"}
)
_USE_TAGS = frozenset({"Tob", "Trc", "Bst", "Bs2", "Ftc", "Apm"})
_MAPPINGS = ("plane", "cylinder", "sphere", "cube")
_MODES = ("modulate", "decal", "add")
MAX_TEXTURE_SIDE = 16384


def read_color(chunk: Chunk) -> Color:
    """Read a colour container.

    A light keeps its colour in the slot that `emitted_color` reads.
    """
    fields = chunk.fields(_COLOR_TAGS)
    slots = _slots(fields.get("Cl3") or fields.need("Cl2"))
    # The bit says opaque; a file without it says nothing about transparency.
    is_transparent = not fields.integer("Var", 4, "B") & 4
    opacity = float(np.clip(fields.number("Trf", 1.0), 0.0, 1.0)) if is_transparent else 1.0
    return Color(
        rgb=_rgb(slots[0]),
        specular=_rgb(slots[2]),
        emission=_rgb(slots[3]),
        shininess=fields.integer("Sh2", 48),
        opacity=opacity,
        name=fields.text("Cnm"),
    )


def emitted_color(
    chunk: Chunk,
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return the diffuse and specular colour of a light."""
    fields = chunk.fields(_COLOR_TAGS)
    slots = _slots(fields.get("Cl3") or fields.need("Cl2"))
    return _rgb(slots[1]), _rgb(slots[2])


def _slots(chunk: Chunk) -> Floats:
    return chunk.floats(15).reshape(5, 3)


def _rgb(values: Floats) -> tuple[float, float, float]:
    r, g, b = values.tolist()
    return r, g, b


def read_material(chunk: Chunk) -> tuple[int, Material]:
    """Read contact parameters; return their number and them."""
    fields = chunk.fields(_MATERIAL_TAGS)
    bullet, ode, newton = (_counted(fields.get(tag)) for tag in ("BuN", "OdN", "Nw1"))
    material = Material(
        name=fields.text("Gon"),
        bullet_restitution=_at(bullet, 0),
        bullet_old_friction=_at(bullet, 1),
        bullet_friction=_at(bullet, 2),
        ode_friction=_at(ode, 0),
        newton_friction=_at(newton, 0),
    )
    return fields.integer("Ipa", -1), material


def _counted(chunk: Chunk | None) -> Floats | None:
    """Return the numbers after a count of numbers and a count of integers."""
    if chunk is None:
        return None
    count, _ = chunk.unpack("2i")
    if not 0 <= count <= len(chunk.data) // 4:
        raise chunk.error(f"claims {count} numbers in {len(chunk.data)} bytes")
    return chunk.floats(count, 8)


def _at(values: Floats | None, place: int) -> float | None:
    return None if values is None or len(values) <= place else float(values[place])


def read_texture(chunk: Chunk) -> Texture:
    """Read an image.

    Raises:
        TtmError: its size is absurd, or the bytes are not that many.
    """
    fields = chunk.fields(TEXTURE_TAGS)
    numbers, image = fields.need("Ipa"), fields.need("Img")
    number, width, height = numbers.unpack("3i")
    if not (0 < width <= MAX_TEXTURE_SIDE and 0 < height <= MAX_TEXTURE_SIDE):
        raise numbers.error(
            f"claims an image of {width} x {height}; 1 to {MAX_TEXTURE_SIDE} are allowed"
        )
    has_alpha = fields.integer("Bst", 0, "B") & 1
    channels = 4 if has_alpha else 3
    if len(image.data) != width * height * channels:
        raise image.error(
            f"holds {len(image.data)} bytes; {width} x {height} x {channels} are needed"
        )
    # A copy does not keep the whole file in memory.
    pixels = np.frombuffer(image.data, np.uint8).reshape(height, width, channels).copy()
    return Texture(number, fields.text("Gon"), pixels)


def read_use(
    chunk: Chunk, corners: Floats, T_leaf_shape: Floats, textures: dict[int, Texture]
) -> TextureUse | None:
    """Read how a mesh wears a texture.

    Args:
        chunk: the reference.
        corners: (F, 3, 3) corners of the triangles in the shape frame [m].
        T_leaf_shape: (4, 4) shape frame to the frame that the mapping is given in.
        textures: by id.

    Returns:
        None where the file does not hold the texture; this is noted as missing.
    """
    fields = chunk.fields(_USE_TAGS)
    target = fields.need("Tob")
    number, mapping = target.unpack("2i")
    if number not in textures:
        chunk.origin.pending[f"its texture {number} is not in the file: drawn without"] += 1
        return None
    if not 0 <= mapping < len(_MAPPINGS):
        raise target.error(f"names mapping {mapping}; 0 to {len(_MAPPINGS) - 1} are known")
    mode = fields.integer("Apm", 0)
    if not 0 <= mode < len(_MODES):
        raise chunk.error(f"names mode {mode}; 0 to {len(_MODES) - 1} are known")
    stored = fields.get("Ftc")
    is_stored = stored is not None and len(stored.data) > 0
    if stored is not None and is_stored:
        if len(stored.data) != 24 * len(corners):
            raise stored.error(f"{len(stored.data)} bytes do not fit {len(corners)} triangles")
        uv = stored.floats(6 * len(corners)).reshape(-1, 3, 2)
    else:
        T_map_leaf = invert(fields.need("Trc").pose(position_first=False))
        points = transform_points(T_map_leaf @ T_leaf_shape, corners)
        uv = _map(_MAPPINGS[mapping], points, target, textures[number])
    bits = fields.integer("Bs2", 0, "B")
    return TextureUse(
        texture_id=number,
        mapping=None if is_stored else _MAPPINGS[mapping],
        uv=uv,
        interpolate=bool(bits & 1),
        repeat_u=bool(bits & 4),
        repeat_v=bool(bits & 8),
        mode=_MODES[mode],
    )


def _map(kind: str, points: Floats, target: Chunk, texture: Texture) -> Floats:
    """Compute texture coordinates.

    Args:
        kind: one of `_MAPPINGS`.
        points: (F, 3, 3) corners in the mapping's frame [m].
        target: holds the scales.
        texture: its aspect stretches the scales.

    Returns:
        (F, 3, 2) u, v.
    """
    scale_u, scale_v = target.floats(2, 8)
    height, width = texture.pixels.shape[:2]
    scale_u *= width / height if height > width else 1.0
    scale_v *= height / width if width >= height else 1.0
    if min(abs(scale_u), abs(scale_v)) < 1e-9:
        raise target.error(f"scales the texture by {scale_u:g}, {scale_v:g}")
    return map_points(kind, points, scale_u, scale_v)


def map_points(kind: str, points: Floats, scale_u: float, scale_v: float) -> Floats:
    """Return (F, 3, 2) u, v of (F, 3, 3) corners in the mapping's frame [m].

    Args:
        kind: plane, cylinder, sphere or cube.
        points: the corners.
        scale_u: how many metres one image covers along u.
        scale_v: the same along v.
    """
    x, y, z = np.moveaxis(points, -1, 0)
    if kind == "plane":
        return np.stack([x / scale_u + 0.5, y / scale_v + 0.5], axis=-1)
    if kind == "cube":
        edges = points[:, 1:] - points[:, :1]
        axis = np.abs(np.cross(edges[:, 0], edges[:, 1])).argmax(axis=-1)[:, None, None]
        first = np.take_along_axis(points, (axis + 1) % 3, axis=-1)[..., 0]
        second = np.take_along_axis(points, (axis + 2) % 3, axis=-1)[..., 0]
        return np.stack([first / scale_u + 0.5, second / scale_v + 0.5], axis=-1)
    u = (np.arctan2(y, x) / np.pi + 1.0) / 2.0
    # Where a triangle crosses the seam, its corners go on beyond it.
    u -= np.round(u - u[:, :1])
    if kind == "cylinder":
        return np.stack([u, z / scale_v + 0.5], axis=-1)
    length = np.linalg.norm(points, axis=-1)
    cosine = np.divide(z, length, out=np.zeros_like(z), where=length > 0)
    return np.stack([u, 1.0 - np.arccos(np.clip(cosine, -1.0, 1.0)) / np.pi], axis=-1)
