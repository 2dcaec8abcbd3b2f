"""Drawn meshes and textures as files that MuJoCo loads."""

import struct

import numpy as np
import numpy.typing as npt

from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.mjcf.mesh_repair import DrawnFaces, weld
from pyrep_mujoco.ttm.reading.parts import Part

Ints = npt.NDArray[np.int64]


def smooth_normals(vertices: Floats, faces: Ints, angle: float) -> Floats:
    """Return (F, 3, 3) unit normals per corner: the mean over faces within `angle` [rad].

    Stored normals have five bits a component (about 4 degrees), which shows in highlights.
    """
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    scaled = np.cross(b - a, c - a)  # twice the area: large faces count more
    unit = scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-30)
    corner = weld(vertices)[faces].reshape(-1)
    order = np.argsort(corner, kind="stable")
    counts = np.bincount(corner)
    counts = counts[counts > 0]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    size = np.repeat(counts, counts)
    first = np.repeat(np.arange(len(order)), size)
    within = np.arange(len(first)) - np.repeat(np.cumsum(size) - size, size)
    second = np.repeat(np.repeat(starts, counts), size) + within
    face_1, face_2 = order[first] // 3, order[second] // 3
    near = np.einsum("ij,ij->i", unit[face_1], unit[face_2]) > np.cos(angle) - 1e-6
    total = np.zeros((len(order), 3))
    np.add.at(total, order[first[near]], scaled[face_2[near]])
    length = np.linalg.norm(total, axis=1, keepdims=True)
    own = np.repeat(unit, 3, axis=0)
    return np.where(length > 0, total / np.maximum(length, 1e-30), own).reshape(-1, 3, 3)


def msh_bytes(part: Part, drawn: DrawnFaces) -> bytes:
    """Encode the drawn faces of a part as MuJoCo's binary mesh, shape frame [m]."""
    faces = part.faces[drawn.index].astype(np.int64)
    normals = smooth_normals(part.vertices, part.faces.astype(np.int64), part.shading_angle)
    normals = normals[drawn.index]
    columns = [part.vertices[faces], normals]
    if part.texture is not None:
        columns.append(_image_points(part)[drawn.index])
    corners = np.concatenate(columns, axis=2)
    turned = drawn.is_reversed
    corners[turned] = corners[turned][:, ::-1]
    corners[turned, :, 3:6] *= -1
    rows = corners.reshape(-1, corners.shape[2]).astype(np.float32)
    raw = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.strides[0]))).reshape(-1)
    _, kept, number = np.unique(raw, return_index=True, return_inverse=True)
    rows = rows[kept]
    count = len(rows)
    has_image = rows.shape[1] == 8
    head = struct.pack("<4i", count, count, count if has_image else 0, len(faces))
    blocks = [rows[:, :3], rows[:, 3:6], rows[:, 6:8] if has_image else rows[:, :0]]
    body = b"".join(np.ascontiguousarray(block).tobytes() for block in blocks)
    return head + body + number.astype("<i4").tobytes()


def hull_bytes(vertices: Floats) -> bytes:
    """Encode (V, 3) points as MuJoCo's binary mesh without faces: MuJoCo wraps them by a hull."""
    return struct.pack("<4i", len(vertices), 0, 0, 0) + vertices.astype("<f4").tobytes()


def _image_points(part: Part) -> Floats:
    """Return (F, 3, 2) with v turned: row 0 of a saved image is its top."""
    use = part.texture
    if use is None:
        raise ValueError(f"part {part.name} is not textured")
    uv = use.uv.copy()
    for axis, repeats in enumerate((use.repeat_u, use.repeat_v)):
        if not repeats:
            uv[..., axis] = np.clip(uv[..., axis], 0.0, 1.0)
    uv[..., 1] = 1.0 - uv[..., 1]
    return uv
