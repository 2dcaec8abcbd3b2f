"""Turn moments of a scene into observations."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rlbench import cameras
from rlbench.backend.exceptions import SceneError
from rlbench.backend.observation import CameraImages, Observation
from rlbench.backend.robot import Robot
from rlbench.backend.task import Task
from rlbench.backend.turns_alike import TurnsAlike, turns_of_waypoints
from rlbench.engines.protocols import Engine, SceneObject, Shape
from rlbench.engines.transforms import Floats
from rlbench.observation_config import ObservationConfig, checked_size
from rlbench.recording.keypoints import Keypoints, make_keypoints, movable_shapes


def track_calibration(config: ObservationConfig) -> tuple[Floats, Floats]:
    """Return intrinsics (V, 3, 3) [px] and extrinsics (V, 3, 4) of the track cameras.

    Raises:
        SceneError: a camera is unknown, or moves with the robot.
    """
    width, height = checked_size(config.track_image_size, "track_image_size")
    K, E = [], []
    for name in config.track_cams:
        spec = _camera(name)
        if spec.parent is not None:
            raise SceneError(f"camera {name!r} moves with {spec.parent}: it cannot make tracks")
        K.append(cameras.intrinsics(spec.fov_deg, width, height))
        E.append(cameras.extrinsics(spec.T_world_cam()))
    return np.array(K).reshape(-1, 3, 3), np.array(E).reshape(-1, 3, 4)


def _camera(name: str) -> cameras.CameraSpec:
    if name not in cameras.CAMERAS:
        raise SceneError(f"camera {name!r} is unknown; there are {sorted(cameras.CAMERAS)}")
    return cameras.CAMERAS[name]


def _handles(objects: Sequence[SceneObject]) -> npt.NDArray[np.int64]:
    return np.array([obj.get_handle() for obj in objects], np.int64)


class Recorder:
    """Observes one scene; resolves ids, cameras and keypoints once.

    Attributes:
        observer: looks at the scene.
        waypoints: their names in number order.
        keypoints: what is tracked; replaced where other limits hold.
        track_K: (V, 3, 3) intrinsics of the track cameras [px].
        track_E: (V, 3, 4) extrinsics, camera from world.
        track_centres: (V, 3) where the track cameras are [m], world.
    """

    def __init__(self, engine: Engine, robot: Robot, task: Task, config: ObservationConfig) -> None:
        self.observer = engine.observer(config.shadows, config.antialiasing)
        self._engine, self._robot, self._task, self._config = engine, robot, task, config
        self.waypoints = task.waypoint_names()
        self.keypoints: Keypoints = make_keypoints(engine, config.keypoints, self.waypoints)
        self._as_loaded = self.keypoints
        self.track_K, self.track_E = track_calibration(config)
        self._track_size = checked_size(config.track_image_size, "track_image_size")
        self.track_centres = np.array(
            [cameras.CAMERAS[name].position for name in config.track_cams]
        ).reshape(-1, 3)
        for name in config.cameras:
            _camera(name)
        base = task.get_base()
        tree = base.get_objects_in_tree(exclude_base=False)
        self._shapes = [obj for obj in tree if isinstance(obj, Shape)]
        self._movable = _handles(movable_shapes(engine))
        self._drawn = _handles(self._shapes)
        self._marks = _handles([engine.dummy(name) for name in self.waypoints])
        self._joints = engine.task_joints()

    @property
    def track_cams(self) -> tuple[str, ...]:
        """Names of the track cameras, in the order of `Observation.keypoint_visibility`."""
        return self._config.track_cams

    def begin_episode(self) -> None:
        """Choose which poses the frames of things have that look the same after a turn."""
        turns = self.turns_alike()
        poses = {name: self._engine.dummy(name).get_matrix() for name in turns}
        hand = self._robot.arm.get_tip().get_matrix()
        chosen = self._as_loaded.standing_for(poses, turns, hand)
        self.keypoints = replace(self.keypoints, offsets=chosen.offsets)

    def turns_alike(self) -> dict[str, TurnsAlike]:
        """Return, by waypoint, the turns that what it hangs on looks the same after."""
        return turns_of_waypoints(self._engine, self.waypoints, self._task.turns_alike)

    def close(self) -> None:
        """Free what images need."""
        self.observer.close()

    def picture(self, camera: cameras.View, image_size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Return (height, width, 3) what a camera sees now; `image_size` is (width, height)."""
        spec = cameras.looking(camera) if isinstance(camera, str) else camera
        size = checked_size(image_size, "image_size")
        if cameras.CAMERAS.get(spec.name) != spec:
            return self.observer.picture(spec, size)
        images = self.observer.images(spec.name, size, rgb=True, depth=False, mask=False)
        return np.asarray(images.rgb)

    def matrices(self, camera: cameras.View, image_size: tuple[int, int]) -> tuple[Floats, Floats]:
        """Return (3, 3) intrinsics [px] and (3, 4) world to camera of a picture taken now."""
        spec = cameras.looking(camera) if isinstance(camera, str) else camera
        K = cameras.intrinsics(spec.fov_deg, *checked_size(image_size, "image_size"))
        return K, cameras.extrinsics(self._T_world_cam(spec))

    def observe(self) -> Observation:
        """Return the present moment."""
        robot = self._robot
        xyz = self.keypoints.positions(self.observer)
        uv, depth = cameras.project_views(xyz[None], self.track_K, self.track_E)
        visibility, hiders = self.observer.visibility(
            xyz,
            self.keypoints.owners,
            self.keypoints.own_reach,
            self.track_centres,
            uv[:, 0],
            depth[:, 0],
            self._track_size,
        )
        tip = robot.arm.get_tip()
        return Observation(
            images=self._images(),
            joint_velocities=robot.arm.get_joint_velocities(),
            joint_positions=robot.arm.get_joint_positions(),
            joint_forces=robot.arm.get_joint_forces(),
            gripper_open=float(robot.gripper.is_open()),
            gripper_pose=tip.get_pose(),
            gripper_matrix=tip.get_matrix(),
            gripper_joint_positions=robot.gripper.get_joint_positions(),
            gripper_touch_forces=robot.gripper.get_touch_sensor_forces(),
            task_low_dim_state=self._low_dim_state(),
            keypoints=xyz,
            keypoint_visibility=visibility,
            keypoint_hiders=hiders,
            obj_annotations=self._annotations(),
            misc=self._misc(),
        )

    def _low_dim_state(self) -> Floats:
        values = [joint.get_joint_position() for joint in self._joints]
        return np.concatenate([self.observer.poses(self._movable).ravel(), values])

    def _annotations(self) -> dict[str, Any]:
        """Return objects, waypoints and joints as plain lists and numbers."""
        objects = []
        for shape, pose in zip(self._shapes, self.observer.poses(self._drawn), strict=True):
            box = shape.get_bounding_box() + np.repeat(pose[:3], 2)
            objects.append(
                {
                    "name": re.sub(r"\d+", "", shape.get_name()),
                    "id": shape.get_handle(),
                    "bbox": box.tolist(),
                    "quat": pose[3:].tolist(),
                }
            )
        waypoints = {}
        poses = self.observer.poses(self._marks)
        for name, pose in zip(self.waypoints, poses, strict=True):
            dummy = self._engine.dummy(name)
            parent = dummy.get_parent()
            waypoints[name] = {
                "pos": pose[:3].tolist(),
                "quat": pose[3:].tolist(),
                "ext_string": dummy.get_extension_string(),
                "parent_class": None if parent is None else re.sub(r"\d+", "", parent.get_name()),
                "parent_id": None if parent is None else parent.get_handle(),
            }
        joints = {joint.get_name(): joint.get_joint_position() for joint in self._joints}
        return {"objects": objects, "waypoints": waypoints, "joints": joints}

    def _misc(self) -> dict[str, Any]:
        misc: dict[str, Any] = {"joint_poses": list(self._robot.arm.joint_poses())}
        misc |= self.calibration()
        return misc

    def calibration(self) -> dict[str, Any]:
        """Return each camera's matrices and planes under the names of `Observation.misc`."""
        misc: dict[str, Any] = {}
        for name, wanted in self._config.cameras.items():
            spec = cameras.CAMERAS[name]
            width, height = wanted.size
            K = cameras.intrinsics(spec.fov_deg, width, height)
            misc[f"{name}_camera_intrinsics"] = cameras.pyrep_intrinsics(K)
            misc[f"{name}_camera_extrinsics"] = cameras.pyrep_extrinsics(self._T_world_cam(spec))
            misc[f"{name}_camera_near"] = spec.near
            misc[f"{name}_camera_far"] = spec.far
        return misc

    def _T_world_cam(self, spec: cameras.CameraSpec) -> Floats:
        spec = self._engine.robot.mounted(spec)
        if spec.parent is None:
            return spec.T_world_cam()
        return self._engine.object(spec.parent).get_matrix() @ spec.T_world_cam()

    def _images(self) -> dict[str, CameraImages]:
        out: dict[str, CameraImages] = {}
        for name, wanted in self._config.cameras.items():
            needs_depth = wanted.depth or wanted.point_cloud
            images = self.observer.images(
                name, wanted.size, rgb=wanted.rgb, depth=needs_depth, mask=wanted.mask
            )
            cloud = None
            if wanted.point_cloud and images.depth is not None:
                spec = cameras.CAMERAS[name]
                width, height = wanted.size
                cloud = cameras.unproject_depth(
                    images.depth,
                    cameras.intrinsics(spec.fov_deg, width, height),
                    cameras.extrinsics(self._T_world_cam(spec)),
                ).astype(np.float32)
            out[name] = CameraImages(
                rgb=images.rgb if wanted.rgb else None,
                depth=images.depth if wanted.depth else None,
                mask=images.mask if wanted.mask else None,
                point_cloud=cloud,
            )
        return out
