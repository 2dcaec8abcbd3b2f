"""What to observe."""

import copy
import operator
import reprlib
from collections.abc import Iterator
from dataclasses import InitVar, dataclass, field

from rlbench.backend.exceptions import SceneError
from rlbench.noise_model import Identity, NoiseModel

KEYPOINT_GROUPS = ("waypoints", "objects", "boxes", "robot", "frames")
TRACK_CAMERAS = ("left_shoulder", "right_shoulder", "overhead", "front")
RLBENCH_CAMERAS = ("left_shoulder", "right_shoulder", "overhead", "wrist", "front")
LOW_DIM = (
    "joint_velocities",
    "joint_positions",
    "joint_forces",
    "gripper_open",
    "gripper_pose",
    "gripper_matrix",
    "gripper_joint_positions",
    "gripper_touch_forces",
    "task_low_dim_state",
)
"""Readings that can be switched off; they are None in observations then."""
IMAGES = ("rgb", "depth", "point_cloud", "mask")


@dataclass
class CameraConfig:
    """Which images of one camera are made; RLBench's arguments and defaults.

    Attributes:
        rgb: the colour image.
        rgb_noise: added to the colour image.
        depth: the depth image.
        depth_noise: added to the depth image; the point cloud stays exact.
        point_cloud: world coordinates of every pixel.
        mask: the image of object handles.
        image_size: width and height [px], as PyRep's resolutions; images are (height, width, ...).
        render_mode: accepted as in RLBench, without effect.
        masks_as_one_channel: (H, W) handles; False: (H, W, 3) float32 in [0, 1], a handle's three
            lowest bytes / 255, the lowest first.
        depth_in_meters: metres along the camera's axis; False: 0 at the camera's near plane to
            1 at its far plane, which `Observation.misc` names.
    """

    rgb: bool = True
    rgb_noise: NoiseModel = field(default_factory=Identity)
    depth: bool = True
    depth_noise: NoiseModel = field(default_factory=Identity)
    point_cloud: bool = True
    mask: bool = True
    image_size: tuple[int, int] = (128, 128)
    render_mode: object = None
    masks_as_one_channel: bool = True
    depth_in_meters: bool = False

    def set_all(self, value: bool) -> None:
        """Ask for all images, or for none."""
        self.rgb = self.depth = self.point_cloud = self.mask = value

    @property
    def size(self) -> tuple[int, int]:
        """Width and height [px]; see `checked_size`."""
        return checked_size(self.image_size, "image_size")

    @property
    def is_wanted(self) -> bool:
        """Whether any image is asked for."""
        return any(getattr(self, image) for image in IMAGES)


@dataclass
class ObservationConfig:
    """Which images, readings and keypoints are recorded.

    RLBench's arguments come first, in its order. Its five cameras are also attributes later on:
    `config.front_camera.rgb = True`. Images are made of what is asked for only, by `cameras`, by
    a camera's argument, or by `set_all`.

    Attributes:
        joint_velocities, joint_positions, joint_forces, gripper_open, gripper_pose,
            gripper_matrix, gripper_joint_positions, gripper_touch_forces, task_low_dim_state:
            False leaves the reading out: it is None.
        wrist_camera_matrix: accepted as in RLBench; `Observation.misc` holds the calibration of
            every camera anyway.
        record_gripper_closing: accepted as in RLBench; every step of a demonstration is recorded.
        joint_velocities_noise, joint_positions_noise, joint_forces_noise: added to the readings.
        cameras: camera name -> images to make; empty needs no OpenGL.
        track_cams: cameras for which visibility is computed, in this order.
        track_image_size: width and height [px] of those cameras.
        keypoints: groups of `KEYPOINT_GROUPS`, in this order.
        shadows: cast shadows in colour images (several times slower in software).
        antialiasing: samples per pixel of colour images, 0 for one without smoothing.
    """

    # Entries of `cameras` under RLBench's names, see `_camera_property`.
    left_shoulder_camera: InitVar[CameraConfig | None] = None
    right_shoulder_camera: InitVar[CameraConfig | None] = None
    overhead_camera: InitVar[CameraConfig | None] = None
    wrist_camera: InitVar[CameraConfig | None] = None
    front_camera: InitVar[CameraConfig | None] = None
    joint_velocities: bool = True
    joint_velocities_noise: NoiseModel = field(default_factory=Identity)
    joint_positions: bool = True
    joint_positions_noise: NoiseModel = field(default_factory=Identity)
    joint_forces: bool = True
    joint_forces_noise: NoiseModel = field(default_factory=Identity)
    gripper_open: bool = True
    gripper_pose: bool = True
    gripper_matrix: bool = True
    gripper_joint_positions: bool = True
    gripper_touch_forces: bool = True
    wrist_camera_matrix: bool = True
    record_gripper_closing: bool = True
    task_low_dim_state: bool = True
    cameras: dict[str, CameraConfig] = field(default_factory=dict)
    track_cams: tuple[str, ...] = TRACK_CAMERAS
    track_image_size: tuple[int, int] = (256, 256)
    keypoints: tuple[str, ...] = ("waypoints", "objects", "robot")
    shadows: bool = False
    antialiasing: int = 0

    def __post_init__(self, *given: CameraConfig | None) -> None:
        """Take over the cameras of RLBench's arguments; refuse what cannot be observed."""
        for name, camera in zip(RLBENCH_CAMERAS, given, strict=True):
            if camera is not None:
                self.cameras[name] = camera
        self.check()

    def set_all(self, value: bool) -> None:
        """Ask for everything, or for nothing."""
        self.set_all_high_dim(value)
        self.set_all_low_dim(value)

    def set_all_high_dim(self, value: bool) -> None:
        """Ask for all images of RLBench's five cameras, or for no images."""
        for name in RLBENCH_CAMERAS:
            self.cameras.setdefault(name, _blank())
        for camera in self.cameras.values():
            camera.set_all(value)

    def set_all_low_dim(self, value: bool) -> None:
        """Ask for all readings, or for none."""
        for name in LOW_DIM:
            setattr(self, name, value)

    def recording(self) -> "ObservationConfig":
        """Return a copy that names the cameras that images are asked of, and no others."""
        out = copy.copy(self)
        out.cameras = {name: c for name, c in self.cameras.items() if c.is_wanted}
        return out

    def noise_models(self) -> Iterator[NoiseModel]:
        """Return every noise model, in a fixed order."""
        yield from (self.joint_velocities_noise, self.joint_positions_noise)
        yield self.joint_forces_noise
        for camera in self.cameras.values():
            yield from (camera.rgb_noise, camera.depth_noise)

    def check(self) -> None:
        """Refuse what cannot be observed.

        Raises:
            SceneError: a keypoint group is unknown, or an image has no pixels.
        """
        for group in self.keypoints:
            if group not in KEYPOINT_GROUPS:
                raise SceneError(
                    f"keypoint group {group!r} is unknown; allowed: {', '.join(KEYPOINT_GROUPS)}"
                )
        checked_size(self.track_image_size, "track_image_size")
        for name, camera in self.cameras.items():
            checked_size(camera.image_size, f"image_size of the camera {name!r}")


def checked_size(size: object, what: str) -> tuple[int, int]:
    """Return an image's width and height [px] as they are used from here on.

    Args:
        size: two whole numbers in any sequence.
        what: names the size in the error.

    Raises:
        SceneError: they are not.
    """
    try:
        width, height = (operator.index(side) for side in size)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        width = height = 0
    if min(width, height) < 1:
        raise SceneError(
            f"{what} is {reprlib.repr(size)}; it must be width and height [px], whole numbers of "
            "at least 1"
        )
    return width, height


def _blank() -> CameraConfig:
    """Return a camera that makes no images."""
    return CameraConfig(rgb=False, depth=False, point_cloud=False, mask=False)


def _camera_property(name: str) -> property:
    """Return an attribute that stands for `cameras[name]`; reading it adds a blank camera."""

    def get(config: ObservationConfig) -> CameraConfig:
        return config.cameras.setdefault(name, _blank())

    def put(config: ObservationConfig, camera: CameraConfig | None) -> None:
        if camera is not None:
            config.cameras[name] = camera

    return property(get, put, doc=f"The images of the camera `{name}`.")


for _name in RLBENCH_CAMERAS:
    setattr(ObservationConfig, f"{_name}_camera", _camera_property(_name))
