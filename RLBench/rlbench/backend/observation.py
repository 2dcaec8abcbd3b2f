"""What is observed at one moment; upstream's field names."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rlbench.observation_config import RLBENCH_CAMERAS

_IMAGE_FIELDS = ("point_cloud", "depth", "mask", "rgb")
Floats = npt.NDArray[np.float64]


@dataclass
class CameraImages:
    """Images of one camera; None where not asked for.

    Attributes:
        rgb: (H, W, 3) uint8.
        depth: (H, W) float32 [m], along the camera's z axis.
        mask: (H, W) int32 object handles; or (H, W, 3), see `CameraConfig.masks_as_one_channel`.
        point_cloud: (H, W, 3) float32 [m], world frame.
    """

    rgb: npt.NDArray[np.uint8] | None = None
    depth: npt.NDArray[np.float32] | None = None
    mask: npt.NDArray[np.int32] | npt.NDArray[np.float32] | None = None
    point_cloud: npt.NDArray[np.float32] | None = None


@dataclass
class Observation:
    """One moment of a demonstration or an episode.

    Readings that the `ObservationConfig` leaves out are None, and so are images. Images are also
    found under upstream's names: `obs.left_shoulder_rgb`, `obs.wrist_depth`, ...

    Attributes:
        images: camera name -> images.
        joint_velocities: (7,) [rad/s].
        joint_positions: (7,) [rad].
        joint_forces: (7,) [N m].
        gripper_open: 1.0 when more than 90 % open, holding nothing, and not closed on something
            about as wide as the hand; else 0.0.
        gripper_pose: (7,) tip position [m] and quaternion xyzw, world.
        gripper_matrix: (4, 4) tip to world.
        gripper_joint_positions: (2,) finger travel [m].
        gripper_touch_forces: (6,) force on each finger [N], world.
        task_low_dim_state: flat poses of the task's objects, world.
        misc: as upstream writes it: calibration of each camera; `variation_index`; `joint_poses`,
            of the arm's joints, (7,) each as `gripper_pose`; in demonstrations, but at their first
            moment, `joint_position_action`: the (8,) joints [rad] and opening of the hand [0, 1]
            that were commanded in the 50 ms before.
        keypoints: (K, 3) [m], world; names are in `Demo.keypoint_names`.
        keypoint_visibility: (V, K) 1 seen, 0.5 hidden, 0 out of the image.
        keypoint_hiders: (V, K) handle of the object that hides the keypoint, -1 where none does.
        obj_annotations: objects, waypoints and joints of this frame.
        ignore_collisions: 1.0 where the path to the next waypoint ignored collisions, in stored
            demonstrations of PerAct's fork; else None.
    """

    images: dict[str, CameraImages]
    joint_velocities: Floats
    joint_positions: Floats
    joint_forces: Floats
    gripper_open: float
    gripper_pose: Floats
    gripper_matrix: Floats
    gripper_joint_positions: Floats
    gripper_touch_forces: Floats
    task_low_dim_state: Floats
    keypoints: Floats = field(default_factory=lambda: np.zeros((0, 3)))
    keypoint_visibility: npt.NDArray[np.float32] = field(
        default_factory=lambda: np.zeros((0, 0), np.float32)
    )
    keypoint_hiders: npt.NDArray[np.int32] = field(
        default_factory=lambda: np.zeros((0, 0), np.int32)
    )
    obj_annotations: dict[str, Any] = field(default_factory=dict)
    misc: dict[str, Any] = field(default_factory=dict)
    ignore_collisions: float | None = None

    def __getattr__(self, name: str) -> Any:
        """Find `<camera>_<rgb|depth|mask|point_cloud>` of one's own cameras among the images."""
        images = self.__dict__.get("images", {})
        for kind in _IMAGE_FIELDS:
            if name.endswith(f"_{kind}") and name.removesuffix(f"_{kind}") in images:
                return getattr(images[name.removesuffix(f"_{kind}")], kind)
        raise AttributeError(
            f"observation has no {name!r}; its cameras are {sorted(images)}; ask for images by "
            "ObservationConfig.set_all(True) or ObservationConfig(front_camera=CameraConfig())"
        )

    def get_low_dim_data(self) -> Floats:
        """Return all low-dimensional readings as one flat array; what was left out is not in it."""
        parts: list[npt.ArrayLike | None] = [
            self.gripper_open,
            self.joint_velocities,
            self.joint_positions,
            self.joint_forces,
            self.gripper_pose,
            self.gripper_joint_positions,
            self.gripper_touch_forces,
            self.task_low_dim_state,
        ]
        there = [np.ravel(part) for part in parts if part is not None]
        return np.concatenate(there) if there else np.zeros(0)


def _image_property(camera: str, kind: str) -> property:
    """Return an attribute that stands for an image; scripts of RLBench set images to None."""

    def get(obs: Observation) -> Any:
        return getattr(obs.images.get(camera), kind, None)

    def put(obs: Observation, image: Any) -> None:
        setattr(obs.images.setdefault(camera, CameraImages()), kind, image)

    return property(get, put, doc=f"The image `{kind}` of the camera `{camera}`, None without.")


for _camera in RLBENCH_CAMERAS:
    for _kind in _IMAGE_FIELDS:
        setattr(Observation, f"{_camera}_{_kind}", _image_property(_camera, _kind))
