"""Masses and inertias as files hold them, made such that a body can have them."""

import numpy as np

from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.mjcf.tree import BodyPlan
from pyrep_mujoco.ttm.reading.model import Shape

MIN_MASS = 1e-3
MIN_GYRATION = 2e-3
"""Radius of gyration [m] below which inertia is raised: thin bodies make solvers stiff."""
PLAUSIBLE = (0.25, 4.0)
"""Moments in proportion to those of the full bounding box. A hollow box has up to 1.7, but files
hold 0.006 to 29: contacts of a body that turns too easily are soft, and it sinks into the table."""
TYPICAL = 0.8


def sound_inertia(shape: Shape) -> tuple[float, Floats, Floats]:
    """Return mass [kg], (4, 4) inertia frame in the shape frame, and (3,) moments [kg m^2].

    What is stored is kept where a body of the shape's size can have it; else the moments are those
    of its bounding box, and a centre of mass outside the box moves to the box's centre.
    """
    mass = max(float(shape.mass), MIN_MASS) if np.isfinite(shape.mass) else MIN_MASS
    box = shape.bounding_box
    centre, extent = (box[1::2] + box[::2]) / 2, box[1::2] - box[::2]
    x, y, z = extent**2
    typical = mass / 12 * np.array([y + z, x + z, x + y])
    stored = shape.principal_moments * (mass / max(float(shape.mass), 1e-12))
    pose = shape.inertia_pose
    R = pose[:3, :3]
    if not _is_sound(stored, np.diag(R @ np.diag(stored) @ R.T), typical):
        pose = np.eye(4)
        inside = np.abs(shape.inertia_pose[:3, 3] - centre) <= extent / 2
        pose[:3, 3] = shape.inertia_pose[:3, 3] if inside.all() else centre
        stored = TYPICAL * typical
    moments = np.maximum(stored, mass * MIN_GYRATION**2)
    largest = int(moments.argmax())
    # Written with nine digits: the sum of the others must stay larger.
    moments[largest] = min(moments[largest], (moments.sum() - moments[largest]) * (1 - 1e-6))
    return mass, pose, moments


def load_of(link: BodyPlan) -> tuple[float, float]:
    """Return the inertia [kg m^2] about a hinge of all that it carries, and its lever [kg m].

    The lever times gravity is the largest torque that the weight of the load can have.
    """
    assert link.joint is not None
    anchor, axis = link.joint.anchor, link.joint.axis
    inertia = lever = 0.0
    carried = [(link, np.eye(4))]
    while carried:
        body, T = carried.pop()
        carried += [(child, T @ child.pose) for child in body.children]
        if not isinstance(body.source, Shape) or not (body.source.is_dynamic or body is link):
            continue
        mass, pose, moments = sound_inertia(body.source)
        frame = T @ pose
        along = frame[:3, :3].T @ axis
        distance = float(np.linalg.norm(np.cross(frame[:3, 3] - anchor, axis)))
        inertia += float(moments @ along**2) + mass * distance**2
        lever += mass * distance
    return inertia, lever


def _is_sound(moments: Floats, along_axes: Floats, typical: Floats) -> bool:
    if not np.isfinite(moments).all():
        return False
    low, middle, high = np.sort(moments)
    # Older files hold x y / 6 for cuboids, which no body has.
    if low <= 0 or low + middle < high * (1 - 1e-3):
        return False
    ratio = along_axes / np.maximum(typical, 1e-30)
    return bool(ratio.min() >= PLAUSIBLE[0] and ratio.max() <= PLAUSIBLE[1])
