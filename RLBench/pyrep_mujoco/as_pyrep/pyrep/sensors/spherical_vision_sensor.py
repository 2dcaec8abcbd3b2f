"""A camera that sees all around, made of six."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pyrep.const import ObjectType, RenderMode
from pyrep.objects.object import Object
from pyrep.objects.vision_sensor import VisionSensor
from pyrep_mujoco.errors import CallError
from pyrep_mujoco.vision.sensors.all_around import AllAround

Pixels = npt.NDArray[np.float32]

_SIDES = ("front", "top", "back", "bottom", "left", "right")


class SphericalVisionSensor(Object):
    """A model of six square sensors `<name>_front` ..., whose pictures are put together.

    The picture's middle is straight ahead, its rows go from straight up to straight down. It is of
    the scene as it is when the picture is asked for.
    """

    def __init__(self, name: str) -> None:
        """Find it in the scene.

        Raises:
            PyRepError: its six sensors are not alike.
        """
        super().__init__(name)
        self._sensor_depth = VisionSensor(f"{self.get_name()}_sensorDepth")
        self._sensor_rgb = VisionSensor(f"{self.get_name()}_sensorRGB")
        self._six_sensors = [VisionSensor(f"{self.get_name()}_{side}") for side in _SIDES]
        for sensor in (self._sensor_depth, self._sensor_rgb, *self._six_sensors):
            sensor.set_explicit_handling(1)
        kinds = {
            (
                tuple(sensor.get_resolution()),
                sensor.get_perspective_angle(),
                sensor.get_near_clipping_plane(),
                sensor.get_far_clipping_plane(),
            )
            for sensor in self._six_sensors
        }
        if len(kinds) > 1:
            raise CallError(
                f"{self.get_name()}: its six sensors must have one resolution, view angle and "
                f"clipping planes; found {sorted(kinds)}"
            )

    def _get_requested_type(self) -> ObjectType:
        return self.get_type()

    def handle_explicitly(self) -> None:
        """Let all six look."""
        for sensor in self._six_sensors:
            sensor.handle_explicitly()

    def _around(self) -> AllAround:
        front = self._six_sensors[0]
        rotations = [sensor.get_matrix()[:3, :3] for sensor in self._six_sensors]
        width, height = self.get_resolution()
        angle = np.deg2rad(front.get_perspective_angle())
        return AllAround(rotations, angle, front.get_resolution()[0], (width, height))

    def capture_rgb(self) -> Pixels:
        """Return (height, width, 3) colours in [0, 1]."""
        self.handle_explicitly()
        return self._around().picture([sensor.capture_rgb() for sensor in self._six_sensors])

    def capture_depth(self, in_meters: bool = False) -> Pixels:
        """Return (height, width) distances from the sensor, straight along each pixel's ray.

        Args:
            in_meters: else 0 at the near clipping plane and 1 at the far one.
        """
        self.handle_explicitly()
        around = self._around()
        views = [sensor.capture_depth(in_meters=True) for sensor in self._six_sensors]
        radial = around.picture(views) * around.lengths
        if not in_meters:
            near, far = self.get_near_clipping_plane(), self.get_far_clipping_plane()
            radial = (radial - near) / (far - near)
        return radial.astype(np.float32)

    def get_resolution(self) -> list[int]:
        """Return [width, height] [px]."""
        return self._sensor_depth.get_resolution()

    def set_resolution(self, resolution: Sequence[int]) -> None:
        """Set [width, height] [px]; the width is twice the height, which is even.

        Raises:
            PyRepError: they are not.
        """
        width, height = resolution
        if width != 2 * height or height % 2:
            raise CallError(
                f"{self.get_name()}: the width must be twice the height, and the height even; got "
                f"{width} x {height}"
            )
        for sensor in self._six_sensors:
            sensor.set_resolution([height // 2, height // 2])
        self._sensor_depth.set_resolution([width, height])
        self._sensor_rgb.set_resolution([width, height])

    def get_render_mode(self) -> RenderMode:
        """Return how pictures are drawn."""
        return self._sensor_depth.get_render_mode()

    def set_render_mode(self, render_mode: RenderMode) -> None:
        """Set how pictures are drawn; see `VisionSensor`."""
        for sensor in (self._sensor_depth, self._sensor_rgb, *self._six_sensors):
            sensor.set_render_mode(render_mode)

    def get_windowed_size(self) -> Sequence[int]:
        """Return the size of a window [px], which is not opened."""
        return self._sensor_depth.get_windowed_size()

    def set_windowed_size(self, resolution: Sequence[int] = (0, 0)) -> None:
        """Keep the size of a window [px], which is not opened."""
        self._sensor_depth.set_windowed_size(resolution)
        self._sensor_rgb.set_windowed_size(resolution)

    def get_near_clipping_plane(self) -> float:
        """Return from where on things are seen [m]."""
        return self._six_sensors[0].get_near_clipping_plane()

    def set_near_clipping_plane(self, near_clipping: float) -> None:
        """Set from where on things are seen [m]."""
        for sensor in self._six_sensors:
            sensor.set_near_clipping_plane(near_clipping)

    def get_far_clipping_plane(self) -> float:
        """Return up to where things are seen [m]."""
        return self._six_sensors[0].get_far_clipping_plane()

    def set_far_clipping_plane(self, far_clipping: float) -> None:
        """Set up to where things are seen [m]."""
        for sensor in self._six_sensors:
            sensor.set_far_clipping_plane(far_clipping)

    def get_entity_to_render(self) -> int:
        """Return the handle of what is shown alone, -1 for everything."""
        return self._sensor_depth.get_entity_to_render()

    def set_entity_to_render(self, entity_to_render: int) -> None:
        """Show one object alone, with all that hangs on it; -1 shows everything."""
        for sensor in (self._sensor_depth, self._sensor_rgb, *self._six_sensors):
            sensor.set_entity_to_render(entity_to_render)
