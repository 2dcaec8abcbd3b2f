"""What all paths of joint values can do."""

from abc import ABC, abstractmethod


class ConfigurationPath(ABC):
    """A path of joint values that a robot can follow."""

    @abstractmethod
    def step(self) -> bool:
        """Command the next step; tell whether the path is done."""

    @abstractmethod
    def set_to_start(self) -> None:
        """Put the robot at the path's start."""

    @abstractmethod
    def set_to_end(self) -> None:
        """Put the robot at the path's end."""

    @abstractmethod
    def visualize(self) -> None:
        """Show the path."""

    @abstractmethod
    def clear_visualization(self) -> None:
        """Show it no longer."""
