"""What shapes are made of, decoded: meshes, their colours, textures and contact materials.

Units are metres and radians.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyrep_mujoco.transforms import Floats


@dataclass(frozen=True)
class Texture:
    """An image; `pixels` is (height, width, 3 or 4) uint8 with row 0 at v = 0 (bottom)."""

    id: int
    name: str
    pixels: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class TextureUse:
    """How a part wears a texture: `uv` is (faces, 3 corners, 2), computed where not stored."""

    texture_id: int
    mapping: str | None
    uv: Floats
    interpolate: bool
    repeat_u: bool
    repeat_v: bool
    mode: str


@dataclass(frozen=True)
class Color:
    """A surface's colour; `opacity` is 1 unless the transparency bit is on."""

    rgb: tuple[float, float, float]
    specular: tuple[float, float, float]
    emission: tuple[float, float, float]
    shininess: int
    opacity: float
    name: str


@dataclass(frozen=True)
class Primitive:
    """A pure form: kind plane, disc, cuboid, spheroid, cylinder or cone; full sizes (3,) [m]."""

    kind: str
    size: Floats
    hollow: float


@dataclass(frozen=True)
class Material:
    """Contact parameters of the engines that a file carries; None where it has none."""

    name: str
    bullet_friction: float | None = None
    bullet_old_friction: float | None = None
    bullet_restitution: float | None = None
    ode_friction: float | None = None
    newton_friction: float | None = None


@dataclass(frozen=True)
class Part:
    """One mesh of a shape, in the frame of the whole shape.

    Attributes:
        name: as stored.
        vertices: (V, 3) [m], shape frame.
        faces: (F, 3) vertex numbers, counter-clockwise about the outside as stored.
        normals: (F, 3, 3) unit normal per corner, shape frame (coarse, about 4 degrees).
        pose: (4, 4) frame of the primitive in the shape frame.
        primitive: the pure form that the mesh draws, None for a free mesh.
        color: of the surface.
        texture: how it is textured, None if it is not.
        is_culled: only faces turned to the viewer are drawn; else both sides are.
        is_convex: stored as convex.
        is_inverted: stored as turned inside out.
        shading_angle: edges sharper than this are drawn sharp [rad].
    """

    name: str
    vertices: Floats
    faces: npt.NDArray[np.int32]
    normals: Floats
    pose: Floats
    primitive: Primitive | None
    color: Color
    texture: TextureUse | None
    is_culled: bool
    is_convex: bool
    is_inverted: bool
    shading_angle: float
