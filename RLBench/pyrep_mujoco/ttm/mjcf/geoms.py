"""The geoms of a shape: what is drawn of it, and what is touched."""

from typing import Protocol
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.mjcf.collision import Solid
from pyrep_mujoco.ttm.mjcf.format import numbers, pose_attributes
from pyrep_mujoco.ttm.reading.model import Shape
from pyrep_mujoco.ttm.reading.parts import Part

DRAWN, SOLID, UNSEEN = "1", "3", "4"
FRICTION = (0.3, 1.0)
"""Sliding friction is kept within; the engine takes the larger of two geoms."""


class GeomAssets(Protocol):
    """Where geoms find their meshes and materials."""

    def material(self, part: Part) -> str:
        """Return the name of the material that draws a part."""

    def drawn_mesh(self, part: Part) -> str | None:
        """Return the name of the mesh that draws a part; None where nothing has an area."""

    def hull(self, vertices: Floats) -> str:
        """Return the name of the mesh whose hull (V, 3) vertices span."""

    def solids(self, part: Part) -> list[Solid]:
        """Return the convex pieces of a part."""


# ---- geoms --------------------------------------------------------------------------


def add_geoms(
    body: Element, shape: Shape, assets: GeomAssets, *, drawn: bool, solid: bool
) -> list[int]:
    """Write the geoms of a shape into its body; return how many each of its parts has.

    Args:
        body: of the shape.
        shape: whose parts are written.
        assets: of the scene.
        drawn: cameras show it.
        solid: it is touched.
    """
    counts = []
    for part in shape.parts:
        before = len(body)
        pieces = assets.solids(part) if solid else []
        # One geom serves both where the drawn form is the solid one.
        shared = drawn and len(pieces) == 1 and _draws_itself(pieces[0], part)
        for piece in pieces:
            color = paint(part, assets) if shared else {"rgba": "0.85 0.85 1 0.5"}
            group = DRAWN if shared else SOLID
            _add_solid(body, piece, assets, {"group": group, **contact_of(shape), **color})
        if not shared and (drawn or not solid):
            _add_surface(body, part, assets, drawn)
        counts.append(len(body) - before)
    return counts


def _draws_itself(piece: Solid, part: Part) -> bool:
    return (
        piece.kind != "mesh"
        and part.texture is None
        and part.primitive is not None
        and (part.primitive.kind not in ("plane", "disc"))
    )


def paint(part: Part, assets: GeomAssets) -> dict[str, str]:
    """Return the attributes of a geom that draws a part."""
    rgba = [*np.clip(part.color.rgb, 0, 1), np.clip(part.color.opacity, 0, 1)]
    if part.texture is not None and part.texture.mode == "decal":
        rgba[:3] = [1.0, 1.0, 1.0]
    # MuJoCo takes exactly this grey for "no colour given".
    if rgba == [0.5, 0.5, 0.5, 1.0]:
        rgba[0] = 0.501
    return {"rgba": numbers(np.round(rgba, 4)), "material": assets.material(part)}


def contact_of(shape: Shape) -> dict[str, str]:
    """Return the attributes of a geom of a shape that is touched."""
    material = shape.material
    given = None if material is None else material.bullet_friction
    value = 0.5 if given is None else given
    out = {
        "contype": "1",
        "conaffinity": "1",
        "mass": "0",
        "condim": "4",
        # Stiff: what is held, welded stiffly to the hand, must not be pressed into a wall.
        "solref": "0.006 1",
        "solimp": "0.95 0.995 0.0005",
        "friction": numbers([float(np.clip(value, *FRICTION)), 0.01, 0.0001]),
    }
    if value < FRICTION[0]:
        # The slippery side decides.
        out["friction"] = numbers([max(value, 1e-3), 0.001, 0.0001])
        out["priority"] = "1"
    return out


def _add_solid(body: Element, piece: Solid, assets: GeomAssets, attributes: dict[str, str]) -> None:
    geom = {"type": piece.kind, **pose_attributes(piece.pose), **attributes}
    if piece.vertices is not None:
        geom["mesh"] = assets.hull(piece.vertices)
    else:
        geom["size"] = numbers(piece.size)
    SubElement(body, "geom", geom)


def _add_surface(body: Element, part: Part, assets: GeomAssets, drawn: bool) -> None:
    """Add what is drawn, or sensed, without being touched."""
    base = {"group": DRAWN if drawn else UNSEEN, "contype": "0", "conaffinity": "0"}
    base["mass"] = "0"
    base |= paint(part, assets)
    form = part.primitive
    if form is not None and form.hollow == 0 and part.texture is None:
        attributes = _pure_attributes(form.kind, form.size, drawn)
        if attributes is not None:
            SubElement(body, "geom", {**attributes, **pose_attributes(part.pose), **base})
            return
    mesh = assets.drawn_mesh(part)
    if mesh is not None:
        SubElement(body, "geom", {"type": "mesh", "mesh": mesh, **base})


def _pure_attributes(kind: str, size: Floats, drawn: bool) -> dict[str, str] | None:
    """Return type and size of a geom for a pure form, None where only a mesh will do."""
    x, y, z = (float(v) / 2 for v in size)
    if kind == "cuboid" and min(x, y, z) > 0:
        return {"type": "box", "size": numbers([x, y, z])}
    if kind == "spheroid" and min(x, y, z) > 0:
        return {"type": "ellipsoid", "size": numbers([x, y, z])}
    if kind == "cylinder" and abs(x - y) < 1e-6 and min(x, z) > 0:
        return {"type": "cylinder", "size": numbers([x, z])}
    if kind == "plane" and not drawn and min(x, y) > 0:
        return {"type": "box", "size": numbers([x, y, 5e-5])}
    return None
