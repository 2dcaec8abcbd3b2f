"""The objects of a CoppeliaSim scene: each of PyRep's is wrapped once, and what changes is kept."""

import warnings
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from rlbench.engines.coppelia.api import PyRepApi


class Named(Protocol):
    """What the graph needs of an object."""

    def get_name(self) -> str:
        """Return the object's name."""

    def get_handle(self) -> int:
        """Return CoppeliaSim's handle."""


Wrapped = TypeVar("Wrapped", bound=Named)


class SceneGraph(Generic[Wrapped]):
    """All objects of one scene.

    Attributes:
        api: PyRep's modules.
        label: what messages call the scene.
        opacity: handle -> opacity of the shapes of which it was changed.
    """

    def __init__(
        self,
        api: PyRepApi,
        pyrep: Any,
        label: str,
        robot: Any,
        wrap: "Callable[[SceneGraph[Wrapped], Any], Wrapped]",
    ) -> None:
        """Look at a scene.

        Args:
            api: PyRep's modules.
            pyrep: PyRep's simulation.
            label: what messages call the scene.
            robot: PyRep's object that everything of the robot hangs on.
            wrap: makes an object of this package for one of PyRep's.
        """
        self.api, self.label = api, label
        self.opacity: dict[int, float] = {}
        self._pyrep, self._wrap = pyrep, wrap
        self._wrapped: dict[int, Wrapped] = {}
        self._undo: dict[tuple[int, str], Callable[[], None]] = {}
        self._robot_handles = frozenset(obj.get_handle() for obj in self.tree(robot))

    # ---- objects ------------------------------------------------------------------------

    def wrap(self, native: Any) -> Wrapped:
        """Return the object of this package for one of PyRep's."""
        handle = int(native.get_handle())
        if handle not in self._wrapped:
            self._wrapped[handle] = self._wrap(self, native)
        return self._wrapped[handle]

    def tree(self, native: Any = None, **options: Any) -> list[Wrapped]:
        """Return an object of PyRep (None: the scene) and its descendants.

        Args:
            native: the object.
            options: PyRep's, of which `exclude_base` is False by default.
        """
        options = {"exclude_base": False, **options}
        with warnings.catch_warnings():
            # PyRep warns of each light and graph that it has no class for.
            warnings.simplefilter("ignore")
            if native is None:
                found = self._pyrep.get_objects_in_tree()
            else:
                found = native.get_objects_in_tree(**options)
        return [self.wrap(obj) for obj in found]

    def not_robot(self) -> list[Wrapped]:
        """Return all objects of the scene that are not part of the robot."""
        return [obj for obj in self.tree() if obj.get_handle() not in self._robot_handles]

    def has(self, name: str) -> bool:
        """Tell whether an object of that name exists."""
        return bool(self.api.objects.Object.exists(name))

    def by_name(self, name: str) -> Wrapped | None:
        """Return an object; None where PyRep has no class for its kind, such as a light.

        Args:
            name: of an object that exists.
        """
        try:
            return self.wrap(self.api.objects.Object.get_object(name))
        except KeyError:
            return None

    def of_handle(self, handle: int) -> Wrapped:
        """Return the object of a handle."""
        found = self._wrapped.get(handle)
        return found or self.wrap(self.api.objects.Object.get_object(int(handle)))

    # ---- changes ------------------------------------------------------------------------

    def remember(self, handle: int, what: str, undo: Callable[[], None]) -> None:
        """Keep how to undo the first change of a property since the last reset."""
        self._undo.setdefault((handle, what), undo)

    def changed(self, what: str) -> list[int]:
        """Return the handles of the objects of which a property was changed."""
        return [handle for handle, changed in self._undo if changed == what]

    def undo_all(self) -> None:
        """Undo what was changed."""
        for undo in self._undo.values():
            undo()
        self._undo = {}

    def keep_all(self) -> None:
        """Take what was changed for what the scene is like."""
        self._undo = {}
