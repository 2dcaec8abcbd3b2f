"""Vision sensors: cameras that take pictures of colours, depth and handles."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pyrep.const import ObjectType, PerspectiveMode, RenderMode
from pyrep.objects.object import Object, object_type_to_class
from pyrep_mujoco.errors import CallError
from pyrep_mujoco.session.current import current
from pyrep_mujoco.ttm.reading.model import VisionSensor as _Sensor
from pyrep_mujoco.vision.sensors import vision_sensors as sensors

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.float32]


class VisionSensor(Object):
    """A camera: looks along its z, y up, x to the left of the image.

    It looks at each step of the simulation, or only when told to (`set_explicit_handling`); before
    its first look its pictures are black. All render modes draw the same, without shadows, but
    `OPENGL_COLOR_CODED`, which shows handles, and the windowed ones, which show drawn paths too.
    """

    def __init__(self, name_or_handle: str | int) -> None:
        """Look a vision sensor up."""
        super().__init__(name_or_handle)
        self.resolution = self.get_resolution()

    @staticmethod
    def create(
        resolution: Sequence[int],
        explicit_handling: bool = False,
        perspective_mode: bool = True,
        show_volume_not_detecting: bool = True,
        show_volume_detecting: bool = True,
        passive: bool = False,
        use_local_lights: bool = False,
        show_fog: bool = True,
        near_clipping_plane: float = 1e-2,
        far_clipping_plane: float = 10.0,
        view_angle: float = 60.0,
        ortho_size: float = 1.0,
        sensor_size: Sequence[float] | None = None,
        render_mode: RenderMode = RenderMode.OPENGL3,
        position: Sequence[float] | None = None,
        orientation: Sequence[float] | None = None,
    ) -> "VisionSensor":
        """Put a vision sensor into the scene.

        Args:
            resolution: [width, height] [px].
            explicit_handling: it looks only when told to.
            perspective_mode: else its projection is parallel.
            show_volume_not_detecting: has no effect, as all of `show_volume_detecting`, `passive`,
                `use_local_lights`, `show_fog` and `sensor_size`.
            show_volume_detecting: has no effect.
            passive: has no effect.
            use_local_lights: has no effect.
            show_fog: has no effect.
            near_clipping_plane: what is nearer is not seen [m].
            far_clipping_plane: what is farther is not seen [m].
            view_angle: over the longer side of the image [degrees], in perspective.
            ortho_size: over the longer side of the image [m], in parallel projection.
            sensor_size: has no effect.
            render_mode: of the colour image.
            position: (3,) [m].
            orientation: (3,) Euler angles [rad].
        """
        width, height = resolution
        own = _Sensor(
            name="Vision_sensor",
            handle=0,
            parent=None,
            pose=np.eye(4),
            angle=math.radians(view_angle),
            ortho_size=ortho_size,
            near=near_clipping_plane,
            far=far_clipping_plane,
            resolution=(int(width), int(height)),
            is_perspective=perspective_mode,
            is_explicit=explicit_handling,
            render_mode=render_mode.value,
        )
        made = VisionSensor(sensors.create(current(), own))
        if position is not None:
            made.set_position(position)
        if orientation is not None:
            made.set_orientation(orientation)
        return made

    def _get_requested_type(self) -> ObjectType:
        return ObjectType.VISION_SENSOR

    def _own(self) -> _Sensor:
        return sensors.sensor(current(), self._handle)

    # ---- pictures -----------------------------------------------------------------------

    def handle_explicitly(self) -> None:
        """Look now, without a step of the simulation.

        Raises:
            RuntimeError: the sensor looks at each step by itself.
        """
        if not self.get_explicit_handling():
            raise CallError(
                f"{self.get_name()}: it looks at each step; call set_explicit_handling(value=1) "
                "first"
            )
        sensors.look(current(), self._handle)

    def get_explicit_handling(self) -> int:
        """Return 1 where the sensor looks only when told to, else 0."""
        return int(self._own().is_explicit)

    def set_explicit_handling(self, value: int) -> None:
        """Let the sensor look only when told to (1), or at each step (0)."""
        self._own().is_explicit = bool(value)

    def capture_rgb(self) -> Pixels:
        """Return (height, width, 3) colours in [0, 1]; handles are r + 256 g + 65536 b, by 255."""
        return sensors.rgb(current(), self._handle)

    def capture_depth(self, in_meters: bool = False) -> Pixels:
        """Return (height, width) distances along the sensor's z.

        Args:
            in_meters: else 0 at the near clipping plane and 1 at the far one.
        """
        return sensors.depth(current(), self._handle, in_metres=in_meters)

    def capture_pointcloud(self) -> Floats:
        """Return (height, width, 3) points [m], world."""
        return self.pointcloud_from_depth(self.capture_depth(in_meters=True))

    def pointcloud_from_depth(self, depth: npt.NDArray[np.floating]) -> Floats:
        """Turn (height, width) distances [m] into (height, width, 3) points [m], world."""
        return VisionSensor.pointcloud_from_depth_and_camera_params(
            depth, self.get_matrix(), self.get_intrinsic_matrix()
        )

    @staticmethod
    def pointcloud_from_depth_and_camera_params(
        depth: npt.NDArray[np.floating], extrinsics: Floats, intrinsics: Floats
    ) -> Floats:
        """Turn (height, width) distances [m] into (height, width, 3) points [m], world.

        Args:
            depth: along the sensor's z.
            extrinsics: (4, 4) sensor to world.
            intrinsics: (3, 3), with PyRep's negative focal lengths; pixels are at whole numbers.
        """
        height, width = depth.shape
        u, v = np.meshgrid(np.arange(width), np.arange(height))
        pixels = np.stack([u, v, np.ones_like(u)], axis=-1) * depth[..., None]
        points: Floats = pixels @ np.linalg.inv(intrinsics).T
        return points @ extrinsics[:3, :3].T + extrinsics[:3, 3]

    def get_intrinsic_matrix(self) -> Floats:
        """Return (3, 3) [px], with negative focal lengths: x is to the left, y up."""
        size = np.array(self.get_resolution(), np.float64)
        focal = 0.5 * size.max() / np.tan(0.5 * self._own().angle)
        return np.array([[-focal, 0.0, size[0] / 2], [0.0, -focal, size[1] / 2], [0.0, 0.0, 1.0]])

    # ---- what it is set to --------------------------------------------------------------

    def get_resolution(self) -> list[int]:
        """Return [width, height] [px]."""
        return list(self._own().resolution)

    def set_resolution(self, resolution: Sequence[int]) -> None:
        """Set [width, height] [px].

        Raises:
            PyRepError: they are below 1, or above what OpenGL draws.
        """
        width, height = resolution
        sensors.set_resolution(current(), self._handle, (int(width), int(height)))
        self.resolution = list(resolution)

    def get_perspective_mode(self) -> PerspectiveMode:
        """Return the projection."""
        return PerspectiveMode(int(self._own().is_perspective))

    def set_perspective_mode(self, perspective_mode: PerspectiveMode) -> None:
        """Set the projection."""
        self._own().is_perspective = perspective_mode is PerspectiveMode.PERSPECTIVE

    def get_render_mode(self) -> RenderMode:
        """Return how the colour image is drawn."""
        return RenderMode(self._own().render_mode)

    def set_render_mode(self, render_mode: RenderMode) -> None:
        """Set how the colour image is drawn."""
        self._own().render_mode = render_mode.value

    def get_windowed_size(self) -> Sequence[int]:
        """Return (width, height) of a window [px], which is not opened."""
        values = [self._number(f"windowed_{side}", 0) for side in "xy"]
        return int(values[0]), int(values[1])

    def set_windowed_size(self, resolution: Sequence[int] = (0, 0)) -> None:
        """Keep (width, height) of a window [px], which is not opened."""
        for side, value in zip("xy", resolution, strict=True):
            sensors.set_setting(current(), self._handle, f"windowed_{side}", value)

    def get_perspective_angle(self) -> float:
        """Return the view angle over the longer side of the image [degrees]."""
        return math.degrees(self._own().angle)

    def set_perspective_angle(self, angle: float) -> None:
        """Set the view angle over the longer side of the image [degrees]."""
        self._own().angle = math.radians(angle)

    def get_orthographic_size(self) -> float:
        """Return the size of a parallel projection over the longer side of the image [m]."""
        return self._own().ortho_size

    def set_orthographic_size(self, ortho_size: float) -> None:
        """Set the size of a parallel projection over the longer side of the image [m]."""
        self._own().ortho_size = float(ortho_size)

    def get_near_clipping_plane(self) -> float:
        """Return from where on things are seen [m]."""
        return self._own().near

    def set_near_clipping_plane(self, near_clipping: float) -> None:
        """Set from where on things are seen [m]."""
        self._own().near = float(near_clipping)

    def get_far_clipping_plane(self) -> float:
        """Return up to where things are seen [m]."""
        return self._own().far

    def set_far_clipping_plane(self, far_clipping: float) -> None:
        """Set up to where things are seen [m]."""
        self._own().far = float(far_clipping)

    def get_entity_to_render(self) -> int:
        """Return the handle of what is shown alone, -1 for everything."""
        return int(self._number(sensors.ENTITY, sensors.EVERYTHING))

    def set_entity_to_render(self, entity_to_render: int) -> None:
        """Show one object alone, with all that hangs on it; -1 shows everything."""
        sensors.set_setting(current(), self._handle, sensors.ENTITY, entity_to_render)

    def _number(self, name: str, default: float) -> float:
        return sensors.setting(current(), self._handle, name, default)


object_type_to_class[ObjectType.VISION_SENSOR] = VisionSensor
