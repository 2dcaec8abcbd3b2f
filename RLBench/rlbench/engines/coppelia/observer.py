"""What recordings need of a CoppeliaSim scene: poses, visibility and images."""

import logging
from typing import Any

import numpy as np
import numpy.typing as npt

from pyrep_mujoco.vision.images import RenderedImages
from pyrep_mujoco.vision.mesh_rays import Mesh, box_triangles
from pyrep_mujoco.vision.visibility import HIDDEN, OUTSIDE, SEEN, TOLERANCE, in_image
from rlbench import cameras
from rlbench.engines.coppelia.objects import CoppeliaJoint, CoppeliaObject, CoppeliaShape
from rlbench.engines.coppelia.scene_graph import SceneGraph
from rlbench.engines.errors import RenderingError, SceneError
from rlbench.engines.transforms import Floats, box_corners

logger = logging.getLogger(__name__)

SENSORS = {
    "left_shoulder": "cam_over_shoulder_left",
    "right_shoulder": "cam_over_shoulder_right",
    "overhead": "cam_overhead",
    "wrist": "cam_wrist",
    "front": "cam_front",
}
"""Vision sensors of RLBench's base scene; each has a twin `<name>_mask`."""


class CoppeliaObserver:
    """Reads a scene's state. See `protocols.Observer`."""

    def __init__(self, graph: SceneGraph[CoppeliaObject], shadows: bool) -> None:
        self._graph = graph
        self._shadows = shadows
        sim = graph.api.sim
        self._layers = int(sim.simGetInt32Parameter(sim.sim_intparam_visible_layers))
        self._meshes: dict[int, Mesh] = {}
        self._sensors: dict[tuple[str, bool], Any] = {}
        self._made: list[Any] = []
        self._onlooker: Any = None

    # ---- poses --------------------------------------------------------------------------

    def frames(self, handles: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return (N, 3) positions [m] and (N, 3, 3) rotations of objects."""
        found = [self._graph.of_handle(int(h)).get_matrix() for h in handles]
        T = np.array(found).reshape(-1, 4, 4)
        return T[:, :3, 3].copy(), T[:, :3, :3].copy()

    def poses(self, handles: npt.NDArray[np.int64]) -> Floats:
        """Return (N, 7) positions [m] and quaternions xyzw of objects."""
        found = [self._graph.of_handle(int(h)).get_pose() for h in handles]
        return np.array(found).reshape(-1, 7)

    # ---- visibility ---------------------------------------------------------------------

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
        """Tell how each camera sees each keypoint, by rays against the meshes that are drawn.

        The keypoint's own object, with all that is fixed to it, hides it from `own_reach` on.
        """
        is_inside = in_image(uv, depth, image_size)
        result = np.where(is_inside, SEEN, OUTSIDE).astype(np.float32)
        hiders = np.full(result.shape, -1, np.int32)
        views, points = np.nonzero(is_inside)
        if len(views) == 0:
            return result, hiders
        starts, ends = camera_positions[views], xyz[points]
        length = np.linalg.norm(ends - starts, axis=1)
        # The part of the ray in which geometry hides; what is left of it may be empty.
        length = np.maximum(length, 1e-9)
        nearest = np.maximum(1.0 - TOLERANCE / length, 0.0)
        # Negative where the own object lets every ray pass.
        nearest_own = 1.0 - own_reach[points] / length
        own = {int(o): self._fixed_to(int(o)) for o in np.unique(owners[points])}
        for shape in self._drawn():
            handle = shape.get_handle()
            is_own = np.array([handle in own[int(owners[k])] for k in points])
            limits = np.where(is_own, np.minimum(nearest, nearest_own), nearest)
            rays = limits >= 0
            if not rays.any():
                continue
            hits = self._mesh(shape).first_hits(
                starts[rays], ends[rays], shape.get_matrix(), limits[rays]
            )
            chosen = np.flatnonzero(rays)[np.isfinite(hits)]
            nearest[chosen] = hits[np.isfinite(hits)]
            result[views[chosen], points[chosen]] = HIDDEN
            hiders[views[chosen], points[chosen]] = handle
        return result, hiders

    def _drawn(self) -> list[CoppeliaShape]:
        """Return the shapes that vision sensors show."""
        sim, opacity = self._graph.api.sim, self._graph.opacity
        layer = sim.sim_objintparam_visibility_layer
        return [
            obj
            for obj in self._graph.tree(None)
            if isinstance(obj, CoppeliaShape)
            and obj.is_renderable()
            and sim.simGetObjectInt32Parameter(obj.get_handle(), layer) & self._layers
            and opacity.get(obj.get_handle(), 1.0) > 0
        ]

    def _mesh(self, shape: CoppeliaShape) -> Mesh:
        handle = shape.get_handle()
        if handle not in self._meshes:
            try:
                vertices, triangles, _ = shape.native.get_mesh_data()
                self._meshes[handle] = Mesh(np.asarray(vertices, float)[np.asarray(triangles)])
            except RuntimeError as error:
                logger.warning(
                    "%s: CoppeliaSim gives no mesh (%s); its box hides keypoints instead",
                    shape.get_name(),
                    error,
                )
                corners = box_corners(shape.get_bounding_box())
                self._meshes[handle] = Mesh(box_triangles(corners))
        return self._meshes[handle]

    def _fixed_to(self, handle: int) -> frozenset[int]:
        """Return the handles of an object and all that is fixed to it: no joint between."""
        top: CoppeliaObject = self._graph.of_handle(handle)
        while not _moves(top):
            above = top.get_parent()
            if above is None or isinstance(above, CoppeliaJoint):
                break
            top = above
        tree = top.get_objects_in_tree(exclude_base=False)
        return frozenset(o.get_handle() for o in tree if _is_fixed(o, top))

    # ---- images -------------------------------------------------------------------------

    def images(
        self,
        camera: str,
        image_size: tuple[int, int],
        rgb: bool = True,
        depth: bool = True,
        mask: bool = True,
    ) -> RenderedImages:
        """Return what a camera sees; `image_size` is (width, height) [px].

        Raises:
            RenderingError: there is no such camera.
        """
        out = RenderedImages()
        if rgb or depth:
            sensor = self._sensor(camera, image_size, is_mask=False)
            sensor.handle_explicitly()
            if rgb:
                out.rgb = _bytes(sensor.capture_rgb())
            if depth:
                out.depth = np.asarray(sensor.capture_depth(in_meters=True), np.float32)
        if mask:
            sensor = self._sensor(camera, image_size, is_mask=True)
            sensor.handle_explicitly()
            out.mask = self._handles(_bytes(sensor.capture_rgb()).astype(np.int32))
        return out

    def picture(
        self, camera: cameras.CameraSpec, image_size: tuple[int, int]
    ) -> npt.NDArray[np.uint8]:
        """Return (H, W, 3) what a camera sees that stands still in the world."""
        if self._onlooker is None:
            # Made once; a turn-table moves it.
            self._onlooker = self._graph.api.objects.VisionSensor.create(
                resolution=[16, 16], explicit_handling=True
            )
            self._made.append(self._onlooker)
        sensor = self._onlooker
        sensor.set_resolution(list(image_size))
        self._set_up(sensor, camera, is_mask=False)
        sensor.handle_explicitly()
        return _bytes(sensor.capture_rgb())

    def _handles(self, colour: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Decode handles; 0 where none of the scene's shapes is."""
        found = colour[..., 0] + (colour[..., 1] << 8) + (colour[..., 2] << 16)
        known = [o.get_handle() for o in self._graph.tree(None) if isinstance(o, CoppeliaShape)]
        return np.where(np.isin(found, known), found, 0).astype(np.int32)

    def _sensor(self, camera: str, image_size: tuple[int, int], is_mask: bool) -> Any:
        width, height = image_size
        if (camera, is_mask) not in self._sensors:
            self._sensors[camera, is_mask] = self._open(camera, is_mask)
        sensor = self._sensors[camera, is_mask]
        if list(sensor.get_resolution()) != [width, height]:
            sensor.set_resolution([width, height])
        return sensor

    def _open(self, camera: str, is_mask: bool) -> Any:
        """Take a camera of the base scene, or make one, and set it up as the table says."""
        if camera not in cameras.CAMERAS:
            raise RenderingError(
                f"camera {camera!r} is unknown; there are {sorted(cameras.CAMERAS)}"
            )
        spec, api = cameras.CAMERAS[camera], self._graph.api
        name = SENSORS.get(camera, "") + ("_mask" if is_mask else "")
        if camera in SENSORS and self._graph.has(name):
            sensor = api.objects.VisionSensor(name)
        else:
            sensor = api.objects.VisionSensor.create(resolution=[16, 16], explicit_handling=True)
            self._made.append(sensor)
        self._set_up(sensor, spec, is_mask)
        return sensor

    def _set_up(self, sensor: Any, spec: cameras.CameraSpec, is_mask: bool) -> None:
        mode = self._graph.api.const.RenderMode
        plain = mode.OPENGL3 if self._shadows else mode.OPENGL
        sensor.set_explicit_handling(1)
        sensor.set_render_mode(mode.OPENGL_COLOR_CODED if is_mask else plain)
        sensor.set_perspective_angle(spec.fov_deg)
        sensor.set_near_clipping_plane(spec.near)
        sensor.set_far_clipping_plane(spec.far)
        parent = None if spec.parent is None else self._native(spec.parent)
        if parent is not None:
            sensor.set_parent(parent)
        sensor.set_matrix(cameras.pyrep_extrinsics(spec.T_world_cam()), parent)

    def _native(self, name: str) -> Any:
        """Return PyRep's object that a camera rides on.

        Raises:
            SceneError: there is none.
        """
        found = self._graph.by_name(name) if self._graph.has(name) else None
        if found is None:
            raise SceneError(f"{self._graph.label} has no object named {name!r}")
        return found.native

    def close(self) -> None:
        """Remove the cameras that were made."""
        for sensor in self._made:
            sensor.remove()
        self._made, self._sensors, self._onlooker = [], {}, None


def _moves(obj: CoppeliaObject) -> bool:
    return isinstance(obj, CoppeliaShape) and obj.is_dynamic()


def _is_fixed(obj: CoppeliaObject, top: CoppeliaObject) -> bool:
    """Tell whether nothing between an object and one above it can move."""
    current: CoppeliaObject | None = obj
    while current is not None and current.get_handle() != top.get_handle():
        if isinstance(current, CoppeliaJoint) or _moves(current):
            return False
        current = current.get_parent()
    return True


def _bytes(image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Turn values in [0, 1] into bytes."""
    values = np.rint(np.asarray(image, float) * 255)
    return np.asarray(np.clip(values, 0, 255), np.uint8)
