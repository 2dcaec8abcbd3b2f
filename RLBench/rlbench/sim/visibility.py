"""Which keypoints a camera sees: a ray test against drawn geometry, without any image."""

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
    for owner in np.unique(owners[is_inside.any(axis=0)]):
        own_geoms = _fixed_geoms(model, int(owner))
        rays = list(zip(*np.nonzero(is_inside & (owners == owner)), strict=True))
        found = _first_before_all(model, data, centres, xyz, rays, own_geoms, reach)
        for (v, k), geom in zip(rays, found, strict=True):
            if geom >= 0:
                result[v, k] = HIDDEN
                hiders[v, k] = model.geom_bodyid[geom]
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


def _first_before_all(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    centres: Floats,
    xyz: Floats,
    rays: list[tuple[int, int]],
    own_geoms: npt.NDArray[np.intp],
    own_reach: Floats,
) -> list[int]:
    """Return the geom that hides each keypoint from a view, -1 where none does.

    Args:
        model: the scene.
        data: its state.
        centres: (V, 3) camera centres [m], world.
        xyz: (K, 3) keypoints of one owner [m], world.
        rays: pairs of view and keypoint.
        own_geoms: the geoms of the owner.
        own_reach: (K,) [m] see `keypoint_visibility`.
    """
    found, passes_own = [-1] * len(rays), []
    own = set(own_geoms.tolist())
    for n, (v, k) in enumerate(rays):
        if np.isinf(own_reach[k]):
            passes_own.append(n)
            continue
        geom, gap = _first_before(model, data, centres[v], xyz[k])
        if geom in own and gap < own_reach[k]:
            passes_own.append(n)
        else:
            found[n] = geom
    if passes_own:
        # One body at most can be left out of `mj_ray`; a group can hold them all meanwhile.
        groups = model.geom_group[own_geoms].copy()
        model.geom_group[own_geoms] = _LEFT_OUT
        try:
            for n in passes_own:
                v, k = rays[n]
                found[n] = _first_before(model, data, centres[v], xyz[k])[0]
        finally:
            model.geom_group[own_geoms] = groups
    return found


def _first_before(
    model: mujoco.MjModel, data: mujoco.MjData, centre: Floats, point: Floats
) -> tuple[int, float]:
    """Return the first drawn geom between a camera and a point, and how far before it [m].

    Where there is none, the geom is -1.
    """
    ray = point - centre
    distance = float(np.linalg.norm(ray))
    if distance <= TOLERANCE:
        return -1, 0.0
    geom = np.full(1, -1, np.int32)
    # `mj_ray`, one by one: `mj_multiRay` gives wrong hits when some geoms are only drawn.
    hit = mujoco.mj_ray(model, data, centre, ray / distance, _DRAWN_GROUPS, 1, -1, geom)
    return (int(geom[0]), distance - hit) if 0 <= hit <= distance - TOLERANCE else (-1, 0.0)
