"""A path of an arm's joint values, followed in time."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pyrep.robots.configuration_paths.configuration_path import ConfigurationPath
from pyrep_mujoco.motion.path_profile import PathProfile
from pyrep_mujoco.session.current import current

Floats = npt.NDArray[np.float64]


class PathArm(Protocol):
    """What a path needs of an arm.

    Attributes:
        max_velocity: along paths [rad/s].
        max_acceleration: along paths [rad/s^2].
    """

    max_velocity: float
    max_acceleration: float

    def get_joint_count(self) -> int:
        """Return the number of joints."""

    def get_joint_upper_velocity_limits(self) -> list[float]:
        """Return the joints' greatest velocities [rad/s or m/s]."""

    def set_joint_positions(
        self, positions: Sequence[float], disable_dynamics: bool = False
    ) -> None:
        """Set the joints' values [rad or m] at once."""

    def set_joint_target_positions(self, positions: Sequence[float]) -> None:
        """Let the motors go to values [rad or m]."""

    def draw_tips(self, rows: Floats) -> int:
        """Draw the tip's way through (N, joints) configurations; return the drawing's number."""

    def clear_drawing(self, number: int) -> None:
        """Take a drawing out."""


class ArmConfigurationPath(ConfigurationPath):
    """A path of an arm, from rest to rest.

    The speed along the path, whose length is Euclidean in the space of the joints, keeps the arm's
    `max_velocity` and `max_acceleration`, and no joint is faster than its own limit.
    """

    def __init__(self, arm: PathArm, path_points: npt.ArrayLike) -> None:
        """Take a path.

        Args:
            arm: that follows it.
            path_points: (N * joints,) joint values [rad or m], configuration after configuration.
        """
        self._arm = arm
        self._path_points: Floats = np.asarray(path_points, np.float64)
        self._num_joints = arm.get_joint_count()
        self._path_done = False
        self._profile: PathProfile | None = None
        self._joint_position_action: Floats | None = None
        self._drawing: int | None = None

    def __len__(self) -> int:
        """Return the number of configurations."""
        return len(self._path_points) // self._num_joints

    def __getitem__(self, i: int | slice) -> "ArmConfigurationPath":
        """Return some of the configurations as a path of its own."""
        return self.__class__(arm=self._arm, path_points=self._rows()[i].flatten())

    def _rows(self) -> Floats:
        return self._path_points.reshape(-1, self._num_joints)

    def step(self) -> bool:
        """Command the next step of the simulation, which is not made here.

        Returns:
            Whether the path's end is commanded.

        Raises:
            RuntimeError: the path was done already.
        """
        if self._path_done:
            raise RuntimeError("the path is done; call set_to_start to follow it again")
        seconds = current().physics.step_seconds
        if self._profile is None:
            arm = self._arm
            limits = np.array(arm.get_joint_upper_velocity_limits())
            self._profile = PathProfile(
                self._rows(), arm.max_velocity, arm.max_acceleration, limits, seconds
            )
        wanted, self._path_done = self._profile.advance(seconds)
        self._joint_position_action = wanted
        self._arm.set_joint_target_positions(list(wanted))
        return self._path_done

    def set_to_start(self, disable_dynamics: bool = False) -> None:
        """Put the arm at the path's start, from which it can be followed again."""
        self._arm.set_joint_positions(list(self._rows()[0]), disable_dynamics=disable_dynamics)
        self._path_done, self._profile = False, None

    def set_to_end(self, disable_dynamics: bool = False) -> None:
        """Put the arm at the path's end."""
        self._arm.set_joint_positions(list(self._rows()[-1]), disable_dynamics=disable_dynamics)

    def get_executed_joint_position_action(self) -> Floats | None:
        """Return (joints,) what the last step commanded [rad or m]; None before the first."""
        return self._joint_position_action

    def visualize(self) -> None:
        """Draw the tip's way, for vision sensors of a windowed render mode.

        Raises:
            RuntimeError: the path has no points.
        """
        if len(self._path_points) == 0:
            raise RuntimeError("a path without points cannot be shown")
        self.clear_visualization()
        self._drawing = self._arm.draw_tips(self._rows())

    def clear_visualization(self) -> None:
        """Take the drawing out of the pictures."""
        if self._drawing is not None:
            self._arm.clear_drawing(self._drawing)
            self._drawing = None
