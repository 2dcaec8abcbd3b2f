"""All objects of a scene: by name, by handle, in the scene's order."""

from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.near_names import near_names


class Listed(Protocol):
    """What the table needs of an object."""

    def get_name(self) -> str:
        """Return the object's name."""

    def get_handle(self) -> int:
        """Return the object's handle."""

    def still_exists(self) -> bool:
        """Tell whether the object is still in the scene."""


Object = TypeVar("Object", bound=Listed)
Kind = TypeVar("Kind", bound=Listed)


class ObjectTable(Generic[Object]):
    """Objects that are bodies, and joints, which have names of their own."""

    def __init__(self, label: str) -> None:
        """Begin without objects; `label` is what messages call the scene."""
        self._label = label
        self._bodies: dict[str, Object] = {}
        self._joints: dict[str, Object] = {}
        self._by_handle: dict[int, Object] = {}
        self._before_listing: list[Callable[[], None]] = []

    def before_listing(self, action: Callable[[], None]) -> None:
        """Have something done before objects are listed: some wait for their body until then."""
        self._before_listing.append(action)

    # ---- changes ------------------------------------------------------------------------

    def add(self, obj: Object) -> None:
        """Add a body-like object; its handle may come later."""
        self._bodies[obj.get_name()] = obj

    def add_joint(self, joint: Object) -> None:
        """Add a joint."""
        self._joints[joint.get_name()] = joint
        self._by_handle[joint.get_handle()] = joint

    def remove(self, name: str) -> None:
        """Forget a body-like object."""
        self._bodies.pop(name, None)

    def give_handle(self, handle: int, obj: Object) -> None:
        """Let a handle mean an object."""
        self._by_handle[handle] = obj

    def free_handle(self, handle: int) -> None:
        """Let a handle mean nothing."""
        self._by_handle.pop(handle, None)

    # ---- look-up ------------------------------------------------------------------------

    def of_handle(self, handle: int) -> Object:
        """Return the object of a handle.

        Raises:
            KeyError: there is none.
        """
        return self._by_handle[handle]

    def has(self, name: str) -> bool:
        """Tell whether a body-like object of that name exists."""
        return name in self._bodies and self._bodies[name].still_exists()

    def find(self, name: str, kind: type[Kind], word: str) -> Kind:
        """Look a body-like object of a kind up; `word` is what messages call the kind.

        Raises:
            SceneError: there is none; names that are like it are given.
        """
        return self._find(name, kind, word, self._bodies)

    def find_joint(self, name: str, kind: type[Kind]) -> Kind:
        """Look a joint up.

        Raises:
            SceneError: there is none; names that are like it are given.
        """
        return self._find(name, kind, "joint", self._joints)

    def _find(self, name: str, kind: type[Kind], word: str, pool: Mapping[str, Object]) -> Kind:
        found = pool.get(name)
        if isinstance(found, kind) and found.still_exists():
            return found
        there = [n for n, o in pool.items() if isinstance(o, kind) and o.still_exists()]
        raise SceneError(f"{self._label} has no {word} named {name!r}; {near_names(name, there)}")

    # ---- lists --------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the names of all body-like objects, in the model's order."""
        return [name for name, obj in self._bodies.items() if obj.still_exists()]

    def joints(self) -> list[Object]:
        """Return all joints, the robot's too, in the model's order."""
        return list(self._joints.values())

    def of_kind(self, kind: type[Kind]) -> list[Kind]:
        """Return all body-like objects of a kind, in the model's order, each with its body."""
        for action in self._before_listing:
            action()
        return [o for o in self._bodies.values() if isinstance(o, kind) and o.still_exists()]
