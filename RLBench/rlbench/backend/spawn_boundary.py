"""Sample poses of objects inside boundary shapes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rlbench.backend.exceptions import BoundaryError
from rlbench.backend.placement_rules import OUR_RULES, RLBENCH_RULES, BoundaryRules
from rlbench.backend.pyrep_names.scene_context import own_object
from rlbench.engines.protocols import SceneObject, Shape
from rlbench.engines.transforms import box_corners, euler_to_matrix

MAX_SAMPLES = 100
_FLAT = 1e-3
Triple = tuple[float, float, float]


class SpawnBoundary:
    """A set of shapes in which objects may be put without touching each other."""

    def __init__(
        self,
        boundaries: Sequence[Shape],
        rng: np.random.Generator | None = None,
        rules: BoundaryRules | None = None,
    ) -> None:
        """Use the boxes of `boundaries`.

        Args:
            boundaries: shapes in which objects are put.
            rng: draws all samples; None for NumPy's global generator, which is seeded for each
                demonstration, as RLBench's own tasks leave it.
            rules: how objects are put there; by default ours where `rng` is given, else RLBench's.
        """
        self._boundaries = [own_object(boundary) for boundary in boundaries]
        self._rng: Any = np.random if rng is None else rng
        self._rules = rules or (RLBENCH_RULES if rng is None else OUR_RULES).boundary
        self._placed: list[tuple[SceneObject, float]] = []

    def clear(self) -> None:
        """Forget what was placed."""
        self._placed = []

    def sample(
        self,
        obj: SceneObject,
        ignore_collisions: bool = False,
        min_rotation: Triple = (0.0, 0.0, -np.pi),
        max_rotation: Triple = (0.0, 0.0, np.pi),
        min_distance: float = 0.01,
    ) -> None:
        """Give `obj` a new pose inside one of the boundaries.

        Its box stays inside; on a flat boundary it keeps its height. The rotation is drawn
        relative to the present pose.

        Args:
            obj: what to place, with its descendants.
            ignore_collisions: do not test against objects placed before.
            min_rotation: lowest Euler angles [rad] about the object's own axes, or the world's.
            max_rotation: highest Euler angles [rad].
            min_distance: smallest distance between origins of placed objects [m].

        Raises:
            BoundaryError: no free pose in 100 samples.
        """
        obj = own_object(obj)
        saved = obj.get_pose()
        area = np.array([self._size(b).prod() for b in self._boundaries])
        for _ in range(MAX_SAMPLES):
            boundary = self._boundaries[self._rng.choice(len(area), p=area / area.sum())]
            obj.set_pose(list(saved))
            if self._try(obj, boundary, np.array(min_rotation), np.array(max_rotation)) and (
                self._is_clear(obj, ignore_collisions, min_distance)
            ):
                if self._rules.remembers_ignored or not ignore_collisions:
                    self._placed.append((obj, min_distance))
                return
        obj.set_pose(list(saved))
        names = ", ".join(b.get_name() for b in self._boundaries)
        raise BoundaryError(
            f"no free place for {obj.get_name()} in {names} after {MAX_SAMPLES} samples"
        )

    @staticmethod
    def _size(boundary: Shape) -> np.ndarray:
        box = boundary.get_bounding_box()
        return np.maximum(box[1::2] - box[::2], _FLAT)

    def _try(self, obj: SceneObject, boundary: Shape, low: np.ndarray, high: np.ndarray) -> bool:
        """Draw one pose; False when the object's box does not fit inside."""
        turn = euler_to_matrix(self._rng.uniform(low, high))
        T = obj.get_matrix()
        T[:3, :3] = T[:3, :3] @ turn if self._rules.turns_in_own_frame else turn @ T[:3, :3]
        obj.set_matrix(T)
        # The object's box, in the boundary's frame and about the object's origin.
        R = obj.get_matrix(boundary)[:3, :3]
        corners = box_corners(obj.placing_box()) @ R.T
        extent = boundary.get_bounding_box()
        lower = extent[::2] - corners.min(0)
        upper = extent[1::2] - corners.max(0)
        flat = (extent[1::2] - extent[::2]) < _FLAT
        if np.any((upper < lower) & ~flat):
            return False
        position = obj.get_position(boundary)
        drawn = self._rng.uniform(lower, np.maximum(upper, lower))
        obj.set_position(list(np.where(flat, position, drawn)), boundary)
        return True

    def _is_clear(self, obj: SceneObject, ignore_collisions: bool, min_distance: float) -> bool:
        if ignore_collisions and not self._rules.remembers_ignored:
            return True
        here, keeps_older = obj.get_position(), self._rules.keeps_older_distance
        for other, distance in self._placed:
            gap = np.linalg.norm(here - other.get_position())
            if gap < (max(min_distance, distance) if keeps_older else min_distance):
                return False
            if not ignore_collisions and _collide(obj, other):
                return False
        return True


def _collide(a: SceneObject, b: SceneObject) -> bool:
    shapes = [o for o in a.get_objects_in_tree(exclude_base=False) if isinstance(o, Shape)]
    return any(shape.check_collision(b) for shape in shapes)
