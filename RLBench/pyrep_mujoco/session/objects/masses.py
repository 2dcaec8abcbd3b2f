"""Masses of bodies that fill their surfaces, and of several bodies together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.reading.model import Shape
from pyrep_mujoco.ttm.reading.parts import Part, Primitive

_FORMS = {
    "cuboid": (1.0, np.full(3, 1 / 12)),
    "spheroid": (np.pi / 6, np.full(3, 1 / 20)),
    "cylinder": (np.pi / 4, np.array([1 / 16, 1 / 16, 1 / 12])),
}
"""Share of its box that a form fills, and its second moments along x, y, z by the box's sides."""


@dataclass(frozen=True)
class Mass:
    """A mass in space, all in one frame.

    Attributes:
        amount: [kg].
        centre: (3,) of mass [m].
        inertia: (3, 3) about the centre [kg m^2].
    """

    amount: float
    centre: Floats
    inertia: Floats

    def scaled(self, factor: float) -> "Mass":
        """Return the same body of another density."""
        return Mass(self.amount * factor, self.centre, self.inertia * factor)

    def moved(self, T: Floats) -> "Mass":
        """Return the same body moved by a (4, 4) transform."""
        R = T[:3, :3]
        return Mass(self.amount, R @ self.centre + T[:3, 3], R @ self.inertia @ R.T)

    def stretched(self, factors: Floats) -> "Mass":
        """Return a body of the same density stretched by (3,) factors along the axes."""
        grown, D = float(np.prod(factors)), np.diag(factors)
        second = D @ (np.trace(self.inertia) / 2 * np.eye(3) - self.inertia) @ D * grown
        inertia = np.trace(second) * np.eye(3) - second
        return Mass(self.amount * grown, self.centre * factors, inertia)

    def principal(self) -> tuple[Floats, Floats]:
        """Return the (4, 4) pose of the principal axes, and (3,) moments about them [kg m^2]."""
        pose, moments = np.eye(4), np.diag(self.inertia).copy()
        pose[:3, 3] = self.centre
        if np.abs(self.inertia - np.diag(moments)).max() > 1e-9 * max(moments.sum(), 1e-300):
            moments, axes = np.linalg.eigh(self.inertia)
            axes[:, 2] = np.cross(axes[:, 0], axes[:, 1])
            pose[:3, :3] = axes
        return pose, moments


def of_shape(shape: Shape) -> Mass:
    """Return the mass that a shape has, in its frame."""
    pose = shape.inertia_pose
    R = pose[:3, :3]
    inertia = R @ np.diag(shape.principal_moments) @ R.T
    return Mass(float(shape.mass), pose[:3, 3], inertia)


def together(masses: Sequence[Mass]) -> Mass:
    """Return several bodies as one."""
    amount = sum(mass.amount for mass in masses)
    weights = [mass.amount / amount if amount > 0 else 1 / len(masses) for mass in masses]
    centre = sum((w * mass.centre for w, mass in zip(weights, masses, strict=True)), np.zeros(3))
    inertia = np.zeros((3, 3))
    for mass in masses:
        lever = mass.centre - centre
        inertia += mass.inertia + mass.amount * (lever @ lever * np.eye(3) - np.outer(lever, lever))
    return Mass(float(amount), centre, inertia)


def filled(parts: Sequence[Part]) -> Mass:
    """Return the mass of closed parts that are full, of density 1, in the shape's frame."""
    return together([_of_part(part) for part in parts])


def _of_part(part: Part) -> Mass:
    form = part.primitive
    if form is not None and form.kind in _FORMS and not form.hollow:
        return _of_form(form).moved(part.pose)
    return _of_mesh(part.vertices, part.faces.astype(np.int64))


def _of_form(form: Primitive) -> Mass:
    share, factors = _FORMS[form.kind]
    volume = share * float(np.prod(form.size))
    second = volume * factors * form.size**2
    return Mass(volume, np.zeros(3), np.diag(second.sum() - second))


def _of_mesh(vertices: Floats, faces: npt.NDArray[np.int64]) -> Mass:
    """Add up the tetrahedra between the triangles and one point."""
    middle = vertices.mean(axis=0)
    corners = vertices[faces] - middle
    volumes = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    volume = float(volumes.sum())
    if abs(volume) < 1e-18:
        return Mass(0.0, middle, np.zeros((3, 3)))
    sums = corners.sum(axis=1)
    centre = (volumes @ sums) / 4 / volume
    second = np.einsum("f,fki,fkj->ij", volumes, corners, corners)
    second = (second + np.einsum("f,fi,fj->ij", volumes, sums, sums)) / 20
    second -= volume * np.outer(centre, centre)
    inertia = np.trace(second) * np.eye(3) - second
    sign = np.sign(volume)
    return Mass(abs(volume), centre + middle, sign * inertia)
