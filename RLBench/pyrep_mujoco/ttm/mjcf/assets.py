"""Meshes, textures and materials of a scene being written, each kept once."""

from xml.etree.ElementTree import Element, SubElement

import numpy as np

from pyrep_mujoco.png import png_bytes
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.mjcf.collision import Solid, solids
from pyrep_mujoco.ttm.mjcf.mesh_files import hull_bytes, msh_bytes
from pyrep_mujoco.ttm.mjcf.mesh_repair import drawn_faces
from pyrep_mujoco.ttm.reading.model import Scene
from pyrep_mujoco.ttm.reading.parts import Part

FILES = "files"
"""Folder of meshes and textures beside the scene's XML."""


class Assets:
    """Collects files and `<asset>` elements. Names start with the scene's, to stay apart."""

    def __init__(self, scene: Scene, prefix: str) -> None:
        self._scene = scene
        self._prefix = prefix
        self._element = Element("asset")
        self._textures: dict[int, str] = {}
        self._materials: dict[tuple[object, ...], str] = {}
        self._meshes: dict[bytes, str] = {}
        self.files: dict[str, bytes] = {}

    def element(self) -> Element:
        """Return the `<asset>` element."""
        return self._element

    def material(self, part: Part) -> str:
        """Return the name of the material that draws a part; its rgb is the geom's."""
        color, use = part.color, part.texture
        strength = max(float(np.mean(color.rgb)), 1e-3)
        specular = round(float(np.clip(np.mean(color.specular), 0, 1)), 3)
        shininess = round(float(np.clip(color.shininess / 128, 0, 1)), 3)
        emission = round(float(np.clip(np.mean(color.emission) / strength, 0, 1)), 3)
        texture = None if use is None else self._texture(use.texture_id)
        key = (texture, specular, shininess, emission)
        if key not in self._materials:
            name = f"{self._prefix}:material{len(self._materials)}"
            attributes = {"specular": f"{specular:g}", "shininess": f"{shininess:g}"}
            if emission > 0:
                attributes["emission"] = f"{emission:g}"
            if texture is not None:
                attributes["texture"] = texture
            SubElement(self._element, "material", {"name": name, "rgba": "1 1 1 1", **attributes})
            self._materials[key] = name
        return self._materials[key]

    def _texture(self, number: int) -> str | None:
        if number not in self._scene.textures:
            return None
        if number not in self._textures:
            name = f"{self._prefix}:texture{len(self._textures)}"
            file = f"{FILES}/texture{len(self._textures)}.png"
            pixels = self._scene.textures[number].pixels  # bottom row first
            self.files[file] = png_bytes(pixels[::-1, :, :3], level=1)
            SubElement(self._element, "texture", name=name, type="2d", file=file)
            self._textures[number] = name
        return self._textures[number]

    def drawn_mesh(self, part: Part) -> str | None:
        """Return the name of the mesh that draws a part; None where nothing has an area."""
        drawn = drawn_faces(part.vertices, part.faces.astype(np.int64), part.is_culled)
        if len(drawn.index) == 0:
            return None
        # Open and thin surfaces have no volume.
        return self._mesh(msh_bytes(part, drawn), {"inertia": "shell"})

    def hull(self, vertices: Floats) -> str:
        """Return the name of the mesh whose hull (V, 3) vertices span."""
        return self._mesh(hull_bytes(vertices), {"inertia": "shell"})

    def solids(self, part: Part) -> list[Solid]:
        """Return the convex pieces of a part."""
        return solids(part)

    def _mesh(self, content: bytes, attributes: dict[str, str]) -> str:
        if content not in self._meshes:
            name = f"{self._prefix}:mesh{len(self._meshes)}"
            file = f"{FILES}/mesh{len(self._meshes)}.msh"
            self.files[file] = content
            SubElement(self._element, "mesh", {"name": name, "file": file, **attributes})
            self._meshes[content] = name
        return self._meshes[content]
