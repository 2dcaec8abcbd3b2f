"""Turn moments of a MuJoCo scene into observations."""

import re
from typing import Any

import numpy as np

from rlbench import cameras
from rlbench.backend.exceptions import SceneError
from rlbench.backend.observation import CameraImages, Observation
from rlbench.backend.robot import Robot
from rlbench.backend.task import Task
from rlbench.observation_config import ObservationConfig
from rlbench.sim.keypoints import Keypoints, make_keypoints, movable_shapes
from rlbench.sim.mujoco_engine import MujocoEngine
from rlbench.sim.mujoco_objects import MujocoShape
from rlbench.sim.visibility import keypoint_visibility
from rlbench.transforms import Floats, wxyz_to_xyzw

_OPEN = 0.9


def track_calibration(config: ObservationConfig) -> tuple[Floats, Floats]:
    """Return intrinsics (V, 3, 3) [px] and extrinsics (V, 3, 4) of the track cameras.

    Raises:
        SceneError: a camera is unknown, or moves with the robot.
    """
    height, width = config.track_image_size
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


class Recorder:
    """Observes one scene; resolves ids, cameras and keypoints once."""

    def __init__(
        self, engine: MujocoEngine, robot: Robot, task: Task, config: ObservationConfig
    ) -> None:
        self._engine, self._robot, self._task, self._config = engine, robot, task, config
        self.waypoints = task.waypoint_names()
        self.keypoints: Keypoints = make_keypoints(engine, config.keypoints, self.waypoints)
        self._K, self._E = track_calibration(config)
        self._centres = np.array(
            [cameras.CAMERAS[name].position for name in config.track_cams]
        ).reshape(-1, 3)
        self._renderers: dict[tuple[int, int], Any] = {}
        for name in config.cameras:
            _camera(name)
        base = task.get_base()
        tree = base.get_objects_in_tree()
        self._shapes = [obj for obj in tree if isinstance(obj, MujocoShape)]
        self._movable = np.array([s.body for s in movable_shapes(engine)], int)
        self._joints = [j for j in engine.joints() if j.body not in engine.robot_bodies]

    @property
    def track_cams(self) -> tuple[str, ...]:
        """Names of the track cameras, in the order of `Observation.keypoint_visibility`."""
        return self._config.track_cams

    def close(self) -> None:
        """Free the OpenGL contexts."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers = {}

    def observe(self) -> Observation:
        """Return the present moment."""
        robot, data = self._robot, self._engine.data
        xyz = self.keypoints.positions(self._engine)
        uv, depth = cameras.project_views(xyz[None], self._K, self._E)
        visibility, hiders = keypoint_visibility(
            self._engine.model,
            data,
            xyz,
            self.keypoints.owners,
            self._centres,
            uv[:, 0],
            depth[:, 0],
            self._config.track_image_size,
        )
        tip = robot.arm.get_tip()
        return Observation(
            images=self._images(),
            joint_velocities=robot.arm.get_joint_velocities(),
            joint_positions=robot.arm.get_joint_positions(),
            joint_forces=robot.arm.get_joint_forces(),
            gripper_open=float(robot.gripper.get_open_amount().mean() > _OPEN),
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
        data = self._engine.data
        poses = [data.xpos[self._movable], wxyz_to_xyzw(data.xquat[self._movable])]
        values = [joint.get_joint_position() for joint in self._joints]
        return np.concatenate([np.hstack(poses).ravel(), values])

    def _annotations(self) -> dict[str, Any]:
        """Return objects, waypoints and joints as plain lists and numbers."""
        data = self._engine.data
        objects = []
        for shape in self._shapes:
            box = shape.get_bounding_box() + np.repeat(data.xpos[shape.body], 2)
            objects.append(
                {
                    "name": re.sub(r"\d+", "", shape.get_name()),
                    "id": shape.get_handle(),
                    "bbox": box.tolist(),
                    "quat": np.roll(data.xquat[shape.body], -1).tolist(),
                }
            )
        waypoints = {}
        for name in self.waypoints:
            dummy = self._engine.dummy(name)
            parent = dummy.get_parent()
            waypoints[name] = {
                "pos": data.xpos[dummy.body].tolist(),
                "quat": np.roll(data.xquat[dummy.body], -1).tolist(),
                "ext_string": dummy.get_extension_string(),
                "parent_class": None if parent is None else re.sub(r"\d+", "", parent.get_name()),
                "parent_id": None if parent is None else parent.get_handle(),
            }
        joints = {joint.get_name(): joint.get_joint_position() for joint in self._joints}
        return {"objects": objects, "waypoints": waypoints, "joints": joints}

    def _misc(self) -> dict[str, Any]:
        misc: dict[str, Any] = {}
        for name, wanted in self._config.cameras.items():
            spec = cameras.CAMERAS[name]
            height, width = wanted.image_size
            K = cameras.intrinsics(spec.fov_deg, width, height)
            misc[f"{name}_camera_intrinsics"] = cameras.pyrep_intrinsics(K)
            misc[f"{name}_camera_extrinsics"] = cameras.pyrep_extrinsics(self._T_world_cam(spec))
            misc[f"{name}_camera_near"] = spec.near
            misc[f"{name}_camera_far"] = spec.far
        return misc

    def _T_world_cam(self, spec: cameras.CameraSpec) -> Floats:
        if spec.parent is None:
            return spec.T_world_cam()
        return self._engine.object(spec.parent).transform() @ spec.T_world_cam()

    def _images(self) -> dict[str, CameraImages]:
        out: dict[str, CameraImages] = {}
        for name, wanted in self._config.cameras.items():
            renderer = self._renderer(wanted.image_size)
            needs_depth = wanted.depth or wanted.point_cloud
            images = renderer.render(
                self._engine.data,
                name,
                rgb=wanted.rgb,
                depth=needs_depth,
                segmentation=wanted.mask,
            )
            cloud = None
            if wanted.point_cloud:
                spec = cameras.CAMERAS[name]
                height, width = wanted.image_size
                cloud = cameras.unproject_depth(
                    images.depth,
                    cameras.intrinsics(spec.fov_deg, width, height),
                    cameras.extrinsics(self._T_world_cam(spec)),
                ).astype(np.float32)
            out[name] = CameraImages(
                rgb=images.rgb if wanted.rgb else None,
                depth=images.depth if wanted.depth else None,
                mask=images.segmentation if wanted.mask else None,
                point_cloud=cloud,
            )
        return out

    def _renderer(self, size: tuple[int, int]) -> Any:
        if size not in self._renderers:
            # Imported late: `cams: []` must work where there is no OpenGL.
            from rlbench.sim.rendering import Renderer  # noqa: PLC0415

            height, width = size
            self._renderers[size] = Renderer(
                self._engine.model, width, height, shadows=self._config.shadows
            )
        return self._renderers[size]
