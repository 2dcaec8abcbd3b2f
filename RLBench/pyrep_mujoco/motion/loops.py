"""Closed chains: joints that no motor needs to drive, since links hold them to the others.

The links of a parallelogram are such: the arm's tip hangs on joints that follow those of the arm.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from pyrep_mujoco.transforms import Floats

_CLOSED = 1e-10  # [m] between two points that are held together
_MAX_STEPS = 20


@dataclass(frozen=True)
class Link:
    """Two points that are held in one place.

    Attributes:
        bodies: two ids.
        points: their (3,) places in the frames of their bodies [m].
    """

    bodies: tuple[int, int]
    points: tuple[Floats, Floats]


def links_of(model: mujoco.MjModel) -> list[Link]:
    """Return what a model's active constraints between sites hold together."""
    found = []
    for number in range(model.neq):
        between_sites = model.eq_objtype[number] == mujoco.mjtObj.mjOBJ_SITE
        if between_sites and model.eq_active0[number]:
            sites = int(model.eq_obj1id[number]), int(model.eq_obj2id[number])
            bodies = int(model.site_bodyid[sites[0]]), int(model.site_bodyid[sites[1]])
            points = model.site_pos[sites[0]].copy(), model.site_pos[sites[1]].copy()
            found.append(Link(bodies, points))
    return found


def path_up(model: mujoco.MjModel, body: int) -> list[int]:
    """Return a body and all above it, up to the world."""
    bodies = [body]
    while bodies[-1] > 0:
        bodies.append(int(model.body_parentid[bodies[-1]]))
    return bodies


class Loops:
    """Finds where the joints that follow must be, for values of those that lead.

    The followers are found from where they were at the start, moved on as they go there: so the
    same values of the leaders always give the same values of the followers.

    Attributes:
        leaders: (n,) ids of the joints that lead.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        leaders: Sequence[int],
        followers: Sequence[int],
        links: Sequence[Link],
        start: Floats,
    ) -> None:
        """Take a chain.

        Args:
            model: hinges and slides only, of one degree of freedom each.
            leaders: ids of joints.
            followers: ids of joints.
            links: what holds together, of this model.
            start: (nq,) values of all joints near to which the links are closed [rad or m].
        """
        self._model = model
        self.leaders, self._followers = np.array(leaders), np.array(followers)
        self._links = list(links)
        self._J = np.zeros((2, 3, model.nv))
        data = mujoco.MjData(model)
        data.qpos[:] = start
        self._close(data)
        self._start = data.qpos.copy()
        self._gain = self._gains(data)

    def place(self, data: mujoco.MjData, q: Floats) -> None:
        """Set all joints for (n,) values of the leaders [rad or m], and all poses."""
        start = self._start
        data.qpos[self.leaders] = q
        data.qpos[self._followers] = start[self._followers] + self._gain @ (q - start[self.leaders])
        self._close(data)

    def followers_of(self, data: mujoco.MjData) -> Floats:
        """Return the values of the joints that follow [rad or m]."""
        values: Floats = data.qpos[self._followers].copy()
        return values

    def of_leaders(self, data: mujoco.MjData, J: Floats) -> Floats:
        """Return (m, n), what a (m, nv) Jacobian of all joints is of those that lead."""
        found: Floats = J[:, self.leaders] + J[:, self._followers] @ self._gains(data)
        return found

    def _gains(self, data: mujoco.MjData) -> Floats:
        """Return (followers, n) velocities of the followers over those of the leaders."""
        _, J = self._gaps(data)
        found = np.linalg.lstsq(J[:, self._followers], -J[:, self.leaders], rcond=None)[0]
        return found.astype(np.float64)

    def _close(self, data: mujoco.MjData) -> None:
        """Move the followers until the links are closed, as far as they can be."""
        mujoco.mj_kinematics(self._model, data)
        for _ in range(_MAX_STEPS):
            gaps, J = self._gaps(data)
            if np.abs(gaps).max() < _CLOSED:
                break
            step = np.linalg.lstsq(J[:, self._followers], -gaps, rcond=None)[0]
            data.qpos[self._followers] += step
            mujoco.mj_kinematics(self._model, data)

    def _gaps(self, data: mujoco.MjData) -> tuple[Floats, Floats]:
        """Return (3 links,) what is between the points [m], and its (3 links, nv) Jacobian."""
        mujoco.mj_comPos(self._model, data)
        gaps, rows = [], []
        for link in self._links:
            places = []
            for side, (body, point) in enumerate(zip(link.bodies, link.points, strict=True)):
                place = data.xpos[body] + data.xmat[body].reshape(3, 3) @ point
                mujoco.mj_jac(self._model, data, self._J[side], None, place, body)
                places.append(place)
            gaps.append(places[0] - places[1])
            rows.append(self._J[0] - self._J[1])
        return np.concatenate(gaps), np.concatenate(rows)

    def is_closed(self, data: mujoco.MjData) -> bool:
        """Tell whether the links are closed where the joints are."""
        return bool(np.abs(self._gaps(data)[0]).max() < 1e-6)
