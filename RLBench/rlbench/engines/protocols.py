"""Protocols that every engine implements; PyRep's method and argument names.

Tasks, conditions and placement see only these. Objects are in `object_protocols`, the robot is in
`robot_protocols`; both are handed on here.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from rlbench.engines.cameras import CameraSpec
from rlbench.engines.object_protocols import (
    Dummy,
    Joint,
    ProximitySensor,
    SceneObject,
    Shape,
)
from rlbench.engines.robot_protocols import (
    Arm,
    ArmPath,
    Gripper,
    LimitedArm,
    Robot,
    RobotModel,
    ServoArm,
)
from rlbench.engines.transforms import Floats

__all__ = [
    "Arm",
    "ArmPath",
    "Dummy",
    "Engine",
    "Floats",
    "Gripper",
    "Images",
    "Joint",
    "LimitedArm",
    "Observer",
    "ProximitySensor",
    "Robot",
    "RobotModel",
    "SceneObject",
    "ServoArm",
    "Shape",
    "Simulator",
    "Viewer",
]

Saved = object
"""A saved moment of a simulation; only the engine that made it looks into it."""


class Images(Protocol):
    """What one camera sees; None where not asked for."""

    @property
    def rgb(self) -> npt.NDArray[np.uint8] | None:
        """(H, W, 3) colours."""

    @property
    def depth(self) -> npt.NDArray[np.float32] | None:
        """(H, W) distance along the camera's z axis [m]."""

    @property
    def mask(self) -> npt.NDArray[np.int32] | None:
        """(H, W) handle of the object seen, 0 where there is none."""


class Observer(Protocol):
    """What recordings need of an engine: poses of many objects, and what cameras see."""

    def frames(self, handles: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return (N, 3) positions [m] and (N, 3, 3) rotations, object to world."""

    def poses(self, handles: npt.NDArray[np.int64]) -> Floats:
        """Return (N, 7) positions [m] and quaternions xyzw, world."""

    def visibility(
        self,
        xyz: Floats,
        owners: npt.NDArray[np.int64],
        own_reach: Floats,
        camera_positions: Floats,
        uv: Floats,
        depth: Floats,
        image_size: tuple[int, int],
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
        """Tell how each camera sees each keypoint.

        Args:
            xyz: (K, 3) keypoints [m], world.
            owners: (K,) handle of the object that each hangs on.
            own_reach: (K,) [m] that object, with all that is fixed to it, hides the keypoint
                with what is at least this far before it; infinity: with nothing.
            camera_positions: (V, 3) camera centres [m], world.
            uv: (V, K, 2) projections [px].
            depth: (V, K) distances along the cameras' z axes [m].
            image_size: (width, height) [px].

        Returns:
            (V, K) 1 seen, 0.5 inside the image but hidden, 0 outside or behind the camera;
            (V, K) handle of the object that hides the keypoint, -1 where none does.
        """

    def images(
        self,
        camera: str,
        image_size: tuple[int, int],
        rgb: bool = True,
        depth: bool = True,
        mask: bool = True,
    ) -> Images:
        """Return what a camera of the table sees.

        Args:
            camera: its name.
            image_size: (width, height) [px]; images are (height, width, ...).
            rgb: make the colour image.
            depth: make the depth image.
            mask: make the image of handles.
        """

    def picture(self, camera: CameraSpec, image_size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Return the colour image of a camera that need not be one of the table's.

        Args:
            camera: stands still in the world.
            image_size: (width, height) [px]; the image is (height, width, 3).
        """

    def close(self) -> None:
        """Free what images need."""


class Simulator(Protocol):
    """A simulator that runs beside the scenes it loads, one at a time."""

    @property
    def version(self) -> str:
        """Version of the simulator."""

    def load(self, task: str) -> tuple["Engine", Robot]:
        """Load a task's scene with the robot; one loaded before is removed.

        Raises:
            SceneError: there is no scene of that name.
        """

    def close(self) -> None:
        """Shut it down; twice is harmless."""


class Viewer(Protocol):
    """A window on the running simulation."""

    def sync(self) -> None:
        """Show the present moment."""

    def close(self) -> None:
        """Close the window."""


@runtime_checkable
class Engine(Protocol):
    """A loaded simulation with the robot and one task's scene."""

    @property
    def name(self) -> str:
        """Name of the simulator."""

    @property
    def version(self) -> str:
        """Version of the simulator."""

    @property
    def robot(self) -> RobotModel:
        """What is known of the robot."""

    def reset(self) -> None:
        """Bring the scene back to how it was loaded."""

    def remember_start(self) -> None:
        """Make this moment the one that `reset` brings back."""

    def separate_overlaps(self) -> None:
        """Move loose things out of what they stand in, where physics would throw them out."""

    def has(self, name: str) -> bool:
        """Tell whether an object of that name exists."""

    def step(self) -> None:
        """Advance one observation step (50 ms)."""

    def shape(self, name: str) -> Shape:
        """Look a shape up by name."""

    def dummy(self, name: str) -> Dummy:
        """Look a dummy up by name."""

    def joint(self, name: str) -> Joint:
        """Look a joint up by name."""

    def sensor(self, name: str) -> ProximitySensor:
        """Look a proximity sensor up by name."""

    def object(self, name: str) -> SceneObject:
        """Look any object but a joint up by name."""

    def object_of_handle(self, handle: int) -> SceneObject:
        """Return the object that segmentation images show as `handle`."""

    def mask_names(self) -> dict[int, str]:
        """Return handle -> name, each its own, of all that segmentation images may show now."""

    def object_names(self) -> list[str]:
        """Return the names of all objects but joints."""

    def shapes(self) -> Sequence[Shape]:
        """Return all shapes that are not part of the robot."""

    def task_joints(self) -> Sequence[Joint]:
        """Return the joints that are not part of the robot."""

    def observer(self, shadows: bool = False, antialiasing: int = 0) -> Observer:
        """Return what records this scene.

        Args:
            shadows: cast shadows in colour images.
            antialiasing: samples per pixel of colour images, 0 for one without smoothing.

        Raises:
            EngineError: the engine cannot smooth images.
        """

    def open_viewer(self, view: CameraSpec | None = None) -> Viewer:
        """Return a window on the running simulation, which looks from `view` at first."""

    def path_points(self, name: str) -> list[Floats]:
        """Return the (4, 4) world poses of a Cartesian path; empty when `name` is none."""

    def get_state(self) -> Saved:
        """Return everything `set_state` needs to bring this moment back."""

    def set_state(self, state: Any) -> None:
        """Restore a state saved by `get_state`."""
