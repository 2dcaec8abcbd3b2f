"""Cartesian paths."""

from collections.abc import Sequence

import numpy as np

from pyrep.const import ObjectType
from pyrep.objects.object import Object, object_type_to_class
from pyrep_mujoco.session.current import current
from pyrep_mujoco.session.objects import paths
from pyrep_mujoco.transforms import matrix_to_euler
from pyrep_mujoco.ttm.mjcf.paths import AUTOMATIC, FLAT, X_UP
from pyrep_mujoco.ttm.reading.model import Path

_CLOSED = 4
"""Bit of a path's attributes."""


class CartesianPath(Object):
    """A way through space."""

    @staticmethod
    def create(
        show_line: bool = True,
        show_orientation: bool = True,
        show_position: bool = True,
        closed_path: bool = False,
        automatic_orientation: bool = True,
        flat_path: bool = False,
        keep_x_up: bool = False,
        line_size: int = 1,
        length_calculation_method: int = 5,
        control_point_size: float = 0.01,
        ang_to_lin_conv_coeff: float = 1.0,
        virt_dist_scale_factor: float = 1.0,
        path_color: tuple[float, float, float] = (0.1, 0.75, 1.0),
    ) -> "CartesianPath":
        """Add a path without points at the origin.

        Args:
            show_line: paths are not drawn; this, and all that says how to draw, has no effect.
            show_orientation: no effect.
            show_position: no effect.
            closed_path: the last point is joined to the first.
            automatic_orientation: points are turned by the path, z along it, y out of its curves;
                else as they were given.
            flat_path: points lie at z = 0 of the path's frame.
            keep_x_up: where points are turned by the path, x stays near the z of the path's frame.
            line_size: no effect.
            length_calculation_method: how turns count, CoppeliaSim's number.
            control_point_size: no effect.
            ang_to_lin_conv_coeff: how many metres a radian counts.
            virt_dist_scale_factor: no effect.
            path_color: no effect.
        """
        new = Path(
            name="Path",
            handle=0,
            parent=None,
            pose=np.eye(4),
            points=[],
            is_closed=closed_path,
            attributes=_CLOSED * closed_path
            | AUTOMATIC * automatic_orientation
            | FLAT * flat_path
            | X_UP * keep_x_up,
            angle_factor=ang_to_lin_conv_coeff,
            length_method=length_calculation_method,
        )
        return CartesianPath(current().add(new))

    def _get_requested_type(self) -> ObjectType:
        return ObjectType.PATH

    def get_pose_on_path(self, relative_distance: float) -> tuple[list[float], list[float]]:
        """Return (3,) position [m] and (3,) Euler angles [rad] at a share, 0 to 1, of the length.

        Raises:
            PyRepError: the path has no points.
        """
        T = paths.pose_on_path(current(), self._handle, relative_distance)
        return [float(v) for v in T[:3, 3]], [float(v) for v in matrix_to_euler(T[:3, :3])]

    def insert_control_points(self, poses: Sequence[Sequence[float]]) -> None:
        """Put control points before those that are there already, as PyRep does.

        The path is rounded at each but the first and the last.

        Args:
            poses: rows of position [m] and Euler angles [rad], in the path's frame.
        """
        paths.insert_points(current(), self._handle, poses)


object_type_to_class[ObjectType.PATH] = CartesianPath
