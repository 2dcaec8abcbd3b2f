"""Octrees: sets of equal cubes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pyrep.const import ObjectType
from pyrep.objects.object import Object, object_type_to_class
from pyrep_mujoco.session.current import current
from pyrep_mujoco.session.objects import octrees


class Octree(Object):
    """A set of cubes that are filled by points or by the surfaces of shapes.

    It is not drawn, and in nobody's way. Points are in the world's frame, with option 1 in the
    octree's own.
    """

    @staticmethod
    def create(voxel_size: float, point_size: float | None = None, options: int = 0) -> "Octree":
        """Put an empty octree into the scene.

        Args:
            voxel_size: of the cubes [m].
            point_size: has no effect.
            options: has no effect.
        """
        return Octree(octrees.create(current(), voxel_size))

    def _get_requested_type(self) -> ObjectType:
        return ObjectType.OCTREE

    def insert_voxels(
        self, points: Sequence[float], color: Sequence[float] | None = None, options: int = 0
    ) -> None:
        """Fill the cubes that points are in.

        Args:
            points: (N * 3,) x, y, z, x, ... [m].
            color: has no effect.
            options: 1: points are in the octree's frame.

        Raises:
            ValueError: they are not a multiple of three numbers.
        """
        octrees.insert_points(current(), self._handle, _points(points), options)

    def remove_voxels(self, points: Sequence[float] | None, options: int = 0) -> None:
        """Empty the cubes that points (N * 3,) [m] are in, or all with None."""
        found = None if points is None else _points(points)
        octrees.remove_points(current(), self._handle, found, options)

    def get_voxels(self) -> list[float]:
        """Return (N * 3,) the centres of the full cubes [m], in the octree's frame."""
        return octrees.voxels(current(), self._handle)

    def insert_object(
        self, obj: Object, color: Sequence[float] | None = None, options: int = 0
    ) -> None:
        """Fill the cubes that the surface of a shape is in; `color` and `options` do nothing."""
        octrees.insert_shape(current(), self._handle, obj.get_handle())

    def subtract_object(self, obj: Object, options: int = 0) -> None:
        """Empty the cubes that the surface of a shape is in; `options` do nothing."""
        octrees.subtract_shape(current(), self._handle, obj.get_handle())

    def check_point_occupancy(self, points: Sequence[float], options: int = 0) -> bool:
        """Tell whether all of (N * 3,) points [m] are in full cubes."""
        return octrees.is_occupied(current(), self._handle, _points(points), options)

    def clear_voxels(self) -> None:
        """Empty all cubes."""
        octrees.remove_points(current(), self._handle, None, 0)


def _points(numbers: Any) -> npt.NDArray[np.float64]:
    flat = np.asarray(numbers, np.float64).ravel()
    if len(flat) % 3:
        raise ValueError(f"points are given by three numbers each, found {len(flat)} numbers")
    return flat.reshape(-1, 3)


object_type_to_class[ObjectType.OCTREE] = Octree
