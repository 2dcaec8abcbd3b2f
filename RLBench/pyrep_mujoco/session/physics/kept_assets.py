"""Meshes, images and materials of scenes that are compiled again and again: each made once.

Files are named by what they hold, so that MuJoCo finds what it made of them before.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from pyrep_mujoco.png import png_bytes
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.mjcf.collision import Solid, solids
from pyrep_mujoco.ttm.mjcf.mesh_files import hull_bytes, msh_bytes
from pyrep_mujoco.ttm.mjcf.mesh_repair import drawn_faces
from pyrep_mujoco.ttm.reading.parts import Part, Texture

KEPT_BYTES = 500_000_000
"""Of files that are kept in one process, and of the arrays that they were made of."""


_OVERHEAD = 500
"""Bytes that keeping takes beside what is kept."""


@dataclass(frozen=True)
class _Kept:
    """What was made, of what, and how many bytes both have."""

    sources: tuple[object, ...]
    value: object
    size: int


def _size(thing: object) -> int:
    if isinstance(thing, np.ndarray):
        return thing.nbytes
    return len(thing) if isinstance(thing, bytes) else 0


class _Memory:
    """What was made of arrays, by the arrays themselves; the oldest are forgotten."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[object, ...], _Kept] = OrderedDict()
        self._bytes = 0

    def get(self, kind: object, *sources: object) -> object | None:
        """Return what was kept of sources, None where nothing was."""
        entry = self._found.get((kind, *map(id, sources)))
        return None if entry is None else entry.value

    def keep(self, value: object, kind: object, *sources: object) -> None:
        """Keep what was made of sources; they stay alive with it."""
        size = _OVERHEAD + sum(_size(thing) for thing in (value, *sources))
        self._found[kind, *map(id, sources)] = _Kept(sources, value, size)
        self._bytes += size
        while self._bytes > KEPT_BYTES:
            self._bytes -= self._found.popitem(last=False)[1].size


_MEMORY = _Memory()


class KeptAssets:
    """The assets of one compilation.

    Attributes:
        files: contents by name.
    """

    def __init__(self, textures: dict[int, Texture]) -> None:
        """Begin with nothing; `textures` are the scene's images by id."""
        self._textures = textures
        self._element = Element("asset")
        self._names: set[str] = set()
        self.files: dict[str, bytes] = {}

    def element(self) -> Element:
        """Return the `<asset>` element."""
        return self._element

    def solids(self, part: Part) -> list[Solid]:
        """Return the convex pieces of a part."""
        # A part that is painted is another one, of the same arrays.
        key = ("solids", part.is_convex)
        sources = part.vertices, part.faces, part.primitive
        found = _MEMORY.get(key, *sources)
        if not isinstance(found, list):
            found = solids(part, open_holes=True)
            _MEMORY.keep(found, key, *sources)
        return found

    def drawn_mesh(self, part: Part) -> str | None:
        """Return the name of the mesh that draws a part; None where nothing has an area."""
        use = part.texture
        ends = None if use is None else (use.repeat_u, use.repeat_v)
        key = ("drawn", part.is_culled, part.shading_angle, ends)
        sources = part.vertices, part.faces, None if use is None else use.uv
        found = _MEMORY.get(key, *sources)
        if not isinstance(found, bytes):
            drawn = drawn_faces(part.vertices, part.faces.astype(np.int64), part.is_culled)
            found = msh_bytes(part, drawn) if len(drawn.index) else b""
            _MEMORY.keep(found, key, *sources)
        return self._mesh(found) if found else None

    def hull(self, vertices: Floats) -> str:
        """Return the name of the mesh whose hull (V, 3) vertices span."""
        found = _MEMORY.get("hull", vertices)
        if not isinstance(found, bytes):
            found = hull_bytes(vertices)
            _MEMORY.keep(found, "hull", vertices)
        return self._mesh(found)

    def _mesh(self, content: bytes) -> str:
        name = f"mesh:{_digest(content)}"
        if name not in self._names:
            file = f"{_digest(content)}.msh"
            self._names.add(name)
            self.files[file] = content
            SubElement(self._element, "mesh", name=name, file=file, inertia="shell")
        return name

    def material(self, part: Part) -> str:
        """Return the name of the material that draws a part; its rgb is the geom's."""
        color, use = part.color, part.texture
        strength = max(float(np.mean(color.rgb)), 1e-3)
        specular = f"{np.clip(np.mean(color.specular), 0, 1):.3g}"
        shininess = f"{np.clip(color.shininess / 128, 0, 1):.3g}"
        emission = f"{np.clip(np.mean(color.emission) / strength, 0, 1):.3g}"
        texture = None if use is None else self._texture(use.texture_id)
        name = f"material:{specular}:{shininess}:{emission}:{texture}"
        if name not in self._names:
            self._names.add(name)
            attributes = {"specular": specular, "shininess": shininess, "emission": emission}
            if texture is not None:
                attributes["texture"] = texture
            SubElement(self._element, "material", {"name": name, "rgba": "1 1 1 1", **attributes})
        return name

    def _texture(self, number: int) -> str | None:
        image = self._textures.get(number)
        if image is None:
            return None
        content = _MEMORY.get("image", image.pixels)
        if not isinstance(content, bytes):
            content = png_bytes(np.ascontiguousarray(image.pixels[::-1, :, :3]), level=1)
            _MEMORY.keep(content, "image", image.pixels)
        name = f"texture:{_digest(content)}"
        if name not in self._names:
            file = f"{_digest(content)}.png"
            self._names.add(name)
            self.files[file] = content
            SubElement(self._element, "texture", name=name, type="2d", file=file)
        return name


def _digest(content: bytes) -> str:
    found = _MEMORY.get("digest", content)
    if not isinstance(found, str):
        found = hashlib.sha256(content).hexdigest()[:20]
        _MEMORY.keep(found, "digest", content)
    return found
