"""Meshes of files, simpler meshes, convex decompositions, other frames: by libraries.

`trimesh` reads files of many kinds, `fast-simplification` and `coacd` do what their names say; all
three come with the extra `meshes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import CallError, SceneError
from pyrep_mujoco.objects.mesh_import import read_obj
from pyrep_mujoco.session.files.parts_made import GREY, mesh_part
from pyrep_mujoco.session.objects.shape_making import create_centred, moved, new_shape
from pyrep_mujoco.session.objects.shapes import set_parts, shape
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.reading.parts import Color, Part, TextureUse

_EXTRA = "pip install './RLBench[meshes]'"
MAX_TRIANGLES = 3_000_000
_CONCAVITY = 0.05
"""CoACD's default: parts are this near to their hulls, as a share of the size."""


@dataclass(frozen=True)
class Looks:
    """What of a file's looks is taken: colours, images."""

    color: bool
    texture: bool


def _library(name: str, what: str) -> Any:
    """Return an optional package.

    Raises:
        CallError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise CallError(f"{what} needs the package {name}: {_EXTRA}") from error


# ---- files --------------------------------------------------------------------------------------


def import_file(session: Session, path: Path | str, scale: float, looks: Looks) -> int:
    """Add the mesh of a file as a shape, its frame in the middle of its box; return its handle.

    Raises:
        CallError: the file holds no mesh, or needs a package that is not installed.
    """
    path = Path(path)
    if not (np.isfinite(scale) and scale > 0):
        raise CallError(f"{path}: a mesh is scaled by a positive number, found {scale}")
    plain = path.suffix.lower() == ".obj" and not (looks.color or looks.texture)
    try:
        if plain:
            parts = [mesh_part(scale * v, f.astype(np.int32)) for v, f in read_obj(path)]
        else:
            parts = _read_by_trimesh(session, path, scale, looks)
    except (SceneError, OSError, UnicodeDecodeError) as error:
        raise CallError(str(error)) from error
    return create_centred(session, "Shape", parts)


def _read_by_trimesh(session: Session, path: Path, scale: float, looks: Looks) -> list[Part]:
    trimesh = _library("trimesh", f"{path}: reading such a file")
    try:
        scene = trimesh.load(str(path), force="scene", process=False)
        meshes = [m for m in scene.dump() if isinstance(m, trimesh.Trimesh) and len(m.faces)]
    except (ValueError, TypeError, LookupError, AttributeError, NotImplementedError) as error:
        raise CallError(f"{path}: cannot be read as a mesh: {error}") from error
    if not meshes or sum(len(m.faces) for m in meshes) > MAX_TRIANGLES:
        raise CallError(f"{path}: holds no mesh, or one of more than {MAX_TRIANGLES} triangles")
    return [_part_of(session, mesh, scale, looks) for mesh in meshes]


def _part_of(session: Session, mesh: Any, scale: float, looks: Looks) -> Part:
    color, texture = GREY, None
    visual = mesh.visual
    if looks.color:
        color = _color_of(visual)
    image = getattr(getattr(visual, "material", None), "image", None)
    uv = getattr(visual, "uv", None)
    if looks.texture and image is not None and uv is not None:
        pixels = np.asarray(image.convert("RGB"), np.uint8)[::-1].copy()
        number = session.document.add_texture("image", pixels)
        points = np.asarray(uv, float)[np.asarray(mesh.faces)]
        texture = TextureUse(number, None, points, True, True, True, "modulate")
    return mesh_part(
        scale * np.asarray(mesh.vertices), np.asarray(mesh.faces, np.int32), color, texture=texture
    )


def _color_of(visual: Any) -> Color:
    found = getattr(visual, "main_color", None)
    material = getattr(visual, "material", None)
    if material is not None:
        found = getattr(material, "main_color", found)
    if found is None:
        return GREY
    red, green, blue = (float(v) / 255.0 for v in np.asarray(found)[:3])
    return replace(GREY, rgb=(red, green, blue))


# ---- simpler meshes -----------------------------------------------------------------------------


def decimate(session: Session, handle: int, share: float) -> int:
    """Make a grey shape of a share of a shape's triangles, at the same place; return its handle.

    Raises:
        CallError: `fast-simplification` is not installed.
    """
    meshes = [_simpler(p.vertices, p.faces, share) for p in shape(session, handle).parts]
    parts = [mesh_part(vertices, faces) for vertices, faces in meshes]
    T = session.document.world(handle)
    return new_shape(session, "Shape", parts, T=T)


def _simpler(vertices: Floats, faces: Any, share: float) -> tuple[Floats, Any]:
    """Return a mesh of a share of the triangles."""
    library = _library("fast_simplification", "a simpler mesh")
    # Vertices are one where they are at one place: else a mesh falls apart at its seams.
    points, index = np.unique(vertices.round(9), axis=0, return_inverse=True)
    corners = index.reshape(-1)[faces].astype(np.int32)
    points, corners = library.simplify(
        points.astype(np.float32), corners, target_reduction=1.0 - share
    )
    return np.asarray(points, float), np.asarray(corners, np.int32)


def decompose(
    session: Session,
    handle: int,
    *,
    morph: bool,
    each_part: bool,
    most_vertices: int,
    triangles: int,
) -> int:
    """Make a shape of convex parts that fill another; return its handle.

    Args:
        session: the scene.
        handle: of the shape.
        morph: it becomes the new one; else that is another shape at the same place.
        each_part: each of its parts is decomposed on its own.
        most_vertices: of one convex part.
        triangles: a mesh of more is made simpler first.

    Raises:
        CallError: `coacd`, or what makes meshes simpler, is not installed.
    """
    own = shape(session, handle)
    sources = [(p.vertices, p.faces) for p in own.parts] if each_part else [_joined(own.parts)]
    pieces = [
        piece
        for vertices, faces in sources
        for piece in _convex_pieces(vertices, faces, most_vertices, triangles)
    ]
    parts = [replace(mesh_part(v, f, own.parts[0].color), is_convex=True) for v, f in pieces]
    if morph:
        own.is_compound, own.is_convex = len(parts) > 1, True
        set_parts(session, handle, parts)
        return handle
    new = new_shape(session, own.name, parts, mass=own.mass, T=session.document.world(handle))
    copy = shape(session, new)
    copy.is_dynamic, copy.is_respondable = own.is_dynamic, own.is_respondable
    return new


def _joined(parts: Sequence[Part]) -> tuple[Floats, Any]:
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = [part.faces + start for part, start in zip(parts, starts, strict=False)]
    return np.concatenate([part.vertices for part in parts]), np.concatenate(faces)


def _convex_pieces(
    vertices: Floats, faces: Any, most_vertices: int, triangles: int
) -> list[tuple[Floats, Any]]:
    coacd = _library("coacd", "get_convex_decomposition")
    if len(faces) > max(triangles, 12):
        vertices, faces = _simpler(vertices, faces, triangles / len(faces))
    coacd.set_log_level("error")
    mesh = coacd.Mesh(np.asarray(vertices, np.float64), np.asarray(faces, np.int32))
    found = coacd.run_coacd(
        mesh,
        threshold=_CONCAVITY,
        decimate=True,
        max_ch_vertex=int(max(most_vertices, 4)),
        preprocess_resolution=30,
        resolution=500,
        mcts_iterations=20,
        mcts_max_depth=2,
        mcts_nodes=5,
        seed=0,
    )
    return [(np.asarray(v, float), np.asarray(f, np.int32)) for v, f in found]


# ---- frames -------------------------------------------------------------------------------------


def reorient(session: Session, handle: int, frame: int | None) -> None:
    """Turn a shape's frame to that of another object, or the world's; its surface stays."""
    own, before = shape(session, handle), session.document.world(handle)
    after = before.copy()
    after[:3, :3] = np.eye(3) if frame is None else session.document.world(frame)[:3, :3]
    change = tf.invert(after) @ before
    parts = [moved(part, change) for part in own.parts]
    own.inertia_pose = change @ own.inertia_pose
    children = {h: session.document.world(h) for h in session.document.children(handle)}
    session.document.place(handle, after)
    for child, T in children.items():
        session.document.place(child, T)
    set_parts(session, handle, parts)
