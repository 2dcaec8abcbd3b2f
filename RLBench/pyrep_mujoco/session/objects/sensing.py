"""What sensors without a picture tell: proximity, force and torque."""

from itertools import pairwise

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.objects.detection import Volume, parse_volume, surface_in_volume
from pyrep_mujoco.objects.proximity_sensor import NEAREST
from pyrep_mujoco.session.objects.triangles import cut_polygon, nearest_points
from pyrep_mujoco.session.physics.holds import hold_wrench
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.reading.model import DETECTABLE, ForceSensor, ProximitySensor, Shape

NOT_DETECTABLE = 8
ON_THE_EDGE = 1e-9
"""Points this near to a volume [m] are in it."""


def _volume_text(sensor: ProximitySensor) -> str:
    return " ".join([sensor.kind, *(f"{k}={v:.9g}" for k, v in sensor.volume.items())])


def is_detected(session: Session, sensor: int, other: int) -> bool:
    """Tell whether a surface point of a shape, or another object's origin, is in the volume."""
    return bool(np.isfinite(_distance(session, sensor, other, exact=False)))


def read_proximity(session: Session, sensor: int) -> float:
    """Return the distance of the nearest detectable surface in the volume [m], -1 without one."""
    own = session.document.of_kind(sensor, ProximitySensor, "proximity sensor")
    shapes = [
        obj.handle
        for obj in session.document
        if isinstance(obj, Shape)
        and obj.special & DETECTABLE
        and not session.document.overrides(obj.handle) & NOT_DETECTABLE
        and (own.detects is None or own.detects == obj.handle)
    ]
    nearest = min((_distance(session, sensor, h, exact=True) for h in shapes), default=np.inf)
    return -1.0 if np.isinf(nearest) else float(nearest)


def _distance(session: Session, handle: int, other: int, *, exact: bool) -> float:
    """Return the distance of an object from a sensor [m], infinity where it is not in its volume.

    Without `exact` only that tells.
    """
    sensor = session.document.of_kind(handle, ProximitySensor, "proximity sensor")
    volume = parse_volume(sensor.name, _volume_text(sensor))
    obj, T = session.need(other), session.matrix(other, handle)
    if not isinstance(obj, Shape):
        return float(np.linalg.norm(T[:3, 3])) if volume(T[None, :3, 3])[0] <= 0 else np.inf
    if _is_far(obj, T, volume):
        return np.inf
    corners = [tf.transform_points(T, part.vertices)[part.faces] for part in obj.parts]
    triangles = np.concatenate(corners)
    if not surface_in_volume(triangles, volume):
        return np.inf
    return _nearest(triangles, sensor, volume) if exact else 0.0


def _nearest(triangles: Floats, sensor: ProximitySensor, volume: Volume) -> float:
    """Return the distance of the part of (N, 3, 3) triangles that is in a volume [m]."""
    points = nearest_points(np.zeros(3), triangles)
    distances = np.linalg.norm(points, axis=1)
    inside = volume(points) <= ON_THE_EDGE
    bound = float(distances[inside].min()) if inside.any() else np.inf
    # Of what is nearer, another point than the nearest may be in the volume.
    triangles = triangles[(distances < bound - ON_THE_EDGE) & ~inside]
    if len(triangles) == 0 or not surface_in_volume(triangles, volume):
        return bound
    if sensor.kind == "pyramid":
        return min(bound, _in_pyramid(triangles, sensor.volume))
    return min(bound, _by_halves(triangles, volume))


def _is_far(shape: Shape, T: Floats, volume: Volume) -> bool:
    """Tell whether not even a ball around a shape at (4, 4) reaches a volume."""
    least = np.min([part.vertices.min(axis=0) for part in shape.parts], axis=0)
    most = np.max([part.vertices.max(axis=0) for part in shape.parts], axis=0)
    centre = tf.transform_points(T, 0.5 * (least + most))
    return bool(volume(centre[None])[0] > 0.5 * np.linalg.norm(most - least))


def _in_pyramid(triangles: Floats, sizes: dict[str, float]) -> float:
    """Return the distance of the part of (N, 3, 3) triangles in a pyramid [m], cut exactly."""
    offset, length = sizes["offset"], sizes["range"]
    planes = [np.array([0.0, 0.0, -1.0, offset]), np.array([0.0, 0.0, 1.0, -offset - length])]
    for axis, word in ((0, "x"), (1, "y")):
        near, far = sizes[f"{word}_size"] / 2, sizes[f"{word}_size_far"] / 2
        slope = (far - near) / length
        for sign in (1.0, -1.0):
            plane = np.array([0.0, 0.0, -slope, slope * offset - near])
            plane[axis] = sign
            planes.append(plane)
    least = np.inf
    for triangle in triangles:
        corners = list(triangle)
        for plane in planes:
            corners = cut_polygon(corners, plane)
        if len(corners) >= 3:
            fan = [[corners[0], b, c] for b, c in pairwise(corners[1:])]
            points = nearest_points(np.zeros(3), np.array(fan))
            least = min(least, float(np.linalg.norm(points, axis=1).min()))
    return least


def _by_halves(triangles: Floats, volume: Volume) -> float:
    """Return the distance of the part of (N, 3, 3) triangles that is in a volume [m]."""
    near, far = 0.0, float(np.linalg.norm(triangles, axis=2).max())
    while far - near > NEAREST:
        middle = (near + far) / 2

        def within(points: Floats, limit: float = middle) -> Floats:
            nearer: Floats = np.maximum(volume(points), np.linalg.norm(points, axis=1) - limit)
            return nearer

        near, far = (near, middle) if surface_in_volume(triangles, within) else (middle, far)
    return far


def read_force(session: Session, handle: int) -> tuple[list[float], list[float]]:
    """Return (3,) force [N] and (3,) torque [N m] on a force sensor, in its frame.

    They are those of what it carries, as in CoppeliaSim: at rest its weight, which points down.
    """
    document = session.document
    document.of_kind(handle, ForceSensor, "force sensor")
    built, data = session.built, session.data
    carried = [h for h in document.children(handle) if h in built.body_ids]
    force, torque = np.zeros(3), np.zeros(3)
    T = document.world(handle)
    if carried:
        mujoco.mj_rnePostConstraint(built.model, data)
    held = {body.handle for body in built.plan.bodies if body.hold == handle}
    for child in carried:
        body = built.body_ids[child]
        if child in held:
            push, turn = hold_wrench(built.model, data, built.body_ids, child)
            force -= push
            torque -= turn + np.cross(data.xpos[body] - T[:3, 3], push)
            continue
        wrench = data.cfrc_int[body]
        lever = T[:3, 3] - data.subtree_com[built.model.body_rootid[body]]
        force -= wrench[3:]
        torque -= wrench[:3] - np.cross(lever, wrench[3:])
    R = T[:3, :3].T
    return [float(v) for v in R @ force], [float(v) for v in R @ torque]
