"""Which keypoints a camera sees: a ray test against drawn geometry, without any image."""

import math
from typing import NamedTuple

import mujoco
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SEEN, HIDDEN, OUTSIDE = 1.0, 0.5, 0.0
TOLERANCE = 0.005  # [m] geometry this close before the keypoint does not hide it
OWN_REACH = 0.03
"""The object that a keypoint hangs on does not hide it with surface this close before it [m].

A waypoint lies inside the thing to be grasped, and a corner of a box on its surface.
"""

_DRAWN_GROUPS = np.array([1, 1, 1, 0, 0, 0], np.uint8)
_LEFT_OUT = 5  # a geom group that is never drawn
_HIT = np.full(1, -1, np.int32)  # where `mj_ray` writes the geom that it meets


def in_image(
    uv: npt.ArrayLike, depth: npt.ArrayLike, image_size: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Tell which projections lie in the image and before the camera; unknown ones do not.

    Args:
        uv: (V, K, 2) projections [px].
        depth: (V, K) distances along the cameras' z axes [m].
        image_size: (width, height) [px].
    """
    uv, width_height = np.asarray(uv), np.asarray(image_size)
    # Pixel i covers [i, i + 1); comparisons with NaN are false.
    return ((uv >= 0) & (uv < width_height)).all(axis=-1) & (np.asarray(depth) > 0)


def keypoint_visibility(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    xyz: npt.ArrayLike,
    owner_body: npt.ArrayLike,
    own_reach: npt.ArrayLike,
    camera_positions: npt.ArrayLike,
    is_inside: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Tell how each camera sees each keypoint.

    A keypoint is hidden when the ray from the camera meets drawn geometry (groups 0-2, not
    fully transparent) at least 5 mm before it. Of the body that it hangs on, with all that is
    fixed to that body by the model, only what is at least `own_reach` before it counts; a grasp
    does not make such a bond, so fingers can hide the block they hold.

    Args:
        model: the scene.
        data: its state, with positions up to date.
        xyz: (K, 3) keypoints [m], world.
        owner_body: (K,) body that each keypoint hangs on; -1 for none.
        own_reach: (K,) [m] the own body hides from this distance on; infinity: never.
        camera_positions: (V, 3) camera centres [m], world.
        is_inside: (V, K) see `in_image`.

    Returns:
        (V, K) float32: 1 seen, 0.5 inside the image but hidden, 0 outside or behind the camera;
        (V, K) int32: the body that hides the keypoint, -1 where none does.
    """
    xyz = np.asarray(xyz, dtype=np.float64)
    centres = np.asarray(camera_positions, dtype=np.float64)
    owners, reach = np.asarray(owner_body), np.asarray(own_reach, dtype=np.float64)
    result = np.where(is_inside, SEEN, OUTSIDE).astype(np.float32)
    hiders = np.full(result.shape, -1, np.int32)
    views, points = np.nonzero(is_inside)
    starts, ways = centres[views], xyz[points] - centres[views]
    lengths = np.linalg.norm(ways, axis=1)
    ways /= np.maximum(lengths, TOLERANCE)[:, None]
    for owner in np.unique(owners[points]):
        chosen = np.flatnonzero(owners[points] == owner)
        rays = _Rays(starts[chosen], ways[chosen], lengths[chosen].tolist())
        geoms = _first_before_all(
            model, data, rays, _fixed_geoms(model, int(owner)), reach[points[chosen]]
        )
        is_hidden = geoms >= 0
        v, k = views[chosen[is_hidden]], points[chosen[is_hidden]]
        result[v, k] = HIDDEN
        hiders[v, k] = model.geom_bodyid[geoms[is_hidden]]
    return result, hiders


def _fixed_geoms(model: mujoco.MjModel, body: int) -> npt.NDArray[np.intp]:
    """Return the geoms of a body and of all bodies fixed to it.

    Static bodies count as fixed to each other only within one child of the world: else a cup's
    place on the table could be hidden by nothing static at all.
    """
    if body < 0:
        return np.zeros(0, np.intp)
    bodies = model.body_weldid == model.body_weldid[body]
    if model.body_weldid[body] == 0:
        bodies &= model.body_rootid == model.body_rootid[body]
    found: npt.NDArray[np.intp] = np.nonzero(bodies[model.geom_bodyid])[0]
    return found


class _Rays(NamedTuple):
    """Rays from cameras to keypoints.

    Attributes:
        starts: (n, 3) [m], world.
        ways: (n, 3) unit vectors, world.
        lengths: n distances to the keypoints [m].
    """

    starts: Floats
    ways: Floats
    lengths: list[float]


def _first_before_all(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    rays: _Rays,
    own_geoms: npt.NDArray[np.intp],
    own_reach: Floats,
) -> npt.NDArray[np.intp]:
    """Return the geom (n,) that hides each ray's keypoint, -1 where none does.

    Args:
        model: the scene.
        data: its state.
        rays: to keypoints of one owner.
        own_geoms: the geoms of the owner.
        own_reach: (n,) [m] see `keypoint_visibility`.
    """
    found, passes_own = np.full(len(rays.lengths), -1, np.intp), []
    own = set(own_geoms.tolist())
    for n, reach in enumerate(own_reach.tolist()):
        if math.isinf(reach):
            passes_own.append(n)
            continue
        geom, gap = _first_before(model, data, rays, n)
        if geom in own and gap < reach:
            passes_own.append(n)
        else:
            found[n] = geom
    if passes_own:
        # One body at most can be left out of `mj_ray`; a group can hold them all meanwhile.
        groups = model.geom_group[own_geoms].copy()
        model.geom_group[own_geoms] = _LEFT_OUT
        try:
            for n in passes_own:
                found[n] = _first_before(model, data, rays, n)[0]
        finally:
            model.geom_group[own_geoms] = groups
    return found


def _first_before(
    model: mujoco.MjModel, data: mujoco.MjData, rays: _Rays, n: int
) -> tuple[int, float]:
    """Return the first drawn geom on a ray before its keypoint, and how far before it [m].

    Where there is none, the geom is -1.
    """
    length = rays.lengths[n]
    if length <= TOLERANCE:
        return -1, 0.0
    # `mj_ray`, one by one: `mj_multiRay` gives wrong hits when some geoms are only drawn.
    hit = mujoco.mj_ray(model, data, rays.starts[n], rays.ways[n], _DRAWN_GROUPS, 1, -1, _HIT)
    return (int(_HIT[0]), length - hit) if 0 <= hit <= length - TOLERANCE else (-1, 0.0)
