"""Octrees: sets of equal cubes, which count where something is; not drawn, and not in the way."""

import weakref
from dataclasses import dataclass, field

import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import CallError
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.reading.model import OtherObject, Shape

TAG = "OCT"
IN_OWN_FRAME = 1
"""The option that says that points are in the octree's own frame."""
_MOST_POINTS = 20_000_000

Cell = tuple[int, int, int]


@dataclass
class _Cells:
    size: float
    full: set[Cell] = field(default_factory=set)


_all: weakref.WeakKeyDictionary[Session, dict[int, _Cells]] = weakref.WeakKeyDictionary()


def create(session: Session, size: float) -> int:
    """Put an octree of cubes of a size [m] into the scene, empty; return its handle.

    Raises:
        CallError: the size is not above 0.
    """
    if not 0 < size < np.inf:
        raise CallError(f"an octree's voxels must have a size above 0, got {size}")
    octree = OtherObject(name="Octree", handle=0, parent=None, pose=np.eye(4), tag=TAG)
    handle = session.add(octree)
    _all.setdefault(session, {})[handle] = _Cells(float(size))
    return handle


def _cells(session: Session, handle: int) -> _Cells:
    own = session.document.of_kind(handle, OtherObject, "octree")
    found = _all.get(session, {}).get(handle)
    if found is None:
        raise CallError(
            f"{session.document.label}: {own.name!r} is of a file; its voxels are not read"
        )
    return found


def _of_points(session: Session, handle: int, points: Floats, options: int) -> set[Cell]:
    """Return the cells that (N, 3) points [m] are in."""
    cells = _cells(session, handle)
    if not options & IN_OWN_FRAME:
        points = tf.transform_points(tf.invert(session.document.world(handle)), points)
    numbers = np.floor(points / cells.size).astype(np.int64)
    return {(int(x), int(y), int(z)) for x, y, z in np.unique(numbers, axis=0)}


def _of_surface(session: Session, handle: int, shape: int) -> set[Cell]:
    """Return the cells that the surface of a shape is in."""
    own = session.document.of_kind(shape, Shape, "shape")
    step = 0.5 * _cells(session, handle).size
    T, found = session.document.world(shape), set()
    for part in own.parts:
        corners = tf.transform_points(T, part.vertices)[part.faces]
        for points in _on_triangles(own.name, corners, step):
            found |= _of_points(session, handle, points, 0)
    return found


def _on_triangles(name: str, corners: Floats, step: float) -> list[Floats]:
    """Return points on (N, 3, 3) triangles that are at most a step [m] apart."""
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    counts = np.maximum(np.ceil(edges / step), 1).astype(np.int64)
    if ((counts + 1) * (counts + 2) // 2).sum() > _MOST_POINTS:
        raise CallError(f"{name!r} is too large for an octree of voxels of {2 * step:g} m")
    out = []
    for count in np.unique(counts):
        i, j = np.meshgrid(np.arange(count + 1), np.arange(count + 1), indexing="ij")
        inside = i + j <= count
        weights = np.stack([i, j, count - i - j], axis=-1)[inside] / count
        out.append(np.einsum("pw,twk->tpk", weights, corners[counts == count]).reshape(-1, 3))
    return out


def insert_points(session: Session, handle: int, points: Floats, options: int) -> None:
    """Fill the cells that (N, 3) points [m] are in."""
    _cells(session, handle).full |= _of_points(session, handle, points, options)


def remove_points(session: Session, handle: int, points: Floats | None, options: int) -> None:
    """Empty the cells that (N, 3) points [m] are in, or all."""
    full = _cells(session, handle).full
    if points is None:
        full.clear()
    else:
        full -= _of_points(session, handle, points, options)


def insert_shape(session: Session, handle: int, shape: int) -> None:
    """Fill the cells that the surface of a shape is in."""
    _cells(session, handle).full |= _of_surface(session, handle, shape)


def subtract_shape(session: Session, handle: int, shape: int) -> None:
    """Empty the cells that the surface of a shape is in."""
    _cells(session, handle).full.difference_update(_of_surface(session, handle, shape))


def voxels(session: Session, handle: int) -> list[float]:
    """Return (N * 3,) the centres of the full cells [m], in the octree's own frame."""
    cells = _cells(session, handle)
    centres = (np.array(sorted(cells.full), np.float64).reshape(-1, 3) + 0.5) * cells.size
    return [float(v) for v in centres.ravel()]


def is_occupied(session: Session, handle: int, points: Floats, options: int) -> bool:
    """Tell whether all of (N, 3) points [m] are in full cells."""
    return _of_points(session, handle, points, options) <= _cells(session, handle).full
