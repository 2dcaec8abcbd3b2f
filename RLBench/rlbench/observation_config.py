"""What to observe."""

from dataclasses import dataclass, field

from rlbench.backend.exceptions import SceneError

KEYPOINT_GROUPS = ("waypoints", "objects", "boxes", "robot")
TRACK_CAMERAS = ("left_shoulder", "right_shoulder", "overhead", "front")


@dataclass(frozen=True)
class CameraConfig:
    """Which images of one camera are made."""

    rgb: bool = True
    depth: bool = True
    point_cloud: bool = False
    mask: bool = True
    image_size: tuple[int, int] = (256, 256)
    """Height and width [px]."""


@dataclass(frozen=True)
class ObservationConfig:
    """Which images and keypoints are recorded.

    Attributes:
        cameras: camera name -> images to make; empty needs no OpenGL.
        track_cams: cameras for which visibility is computed, in this order.
        track_image_size: height and width [px] of those cameras.
        keypoints: groups of `KEYPOINT_GROUPS`, in this order.
        shadows: render shadows (several times slower in software).
    """

    cameras: dict[str, CameraConfig] = field(default_factory=dict)
    track_cams: tuple[str, ...] = TRACK_CAMERAS
    track_image_size: tuple[int, int] = (256, 256)
    keypoints: tuple[str, ...] = ("waypoints", "objects", "robot")
    shadows: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be observed."""
        for group in self.keypoints:
            if group not in KEYPOINT_GROUPS:
                raise SceneError(
                    f"keypoint group {group!r} is unknown; allowed: {', '.join(KEYPOINT_GROUPS)}"
                )
        sizes = [self.track_image_size, *(c.image_size for c in self.cameras.values())]
        if min(min(size) for size in sizes) < 1:
            raise SceneError("an image size is below 1 px; give height and width of at least 1")
