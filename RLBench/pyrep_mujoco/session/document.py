"""The objects of a scene that can change: names, handles, who hangs on whom, where things are.

The document is what holds; MuJoCo's model is made of it and tells it after each step where things
went. Handles are never given twice.
"""

from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import CallError, ObjectAlreadyRemovedError
from pyrep_mujoco.near_names import near_names
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.reading.model import (
    Collection,
    Joint,
    SceneObject,
    Shape,
)
from pyrep_mujoco.ttm.reading.parts import Texture

Kind = TypeVar("Kind", bound=SceneObject)
NOT_COLLIDABLE, NOT_MEASURABLE, NOT_RENDERABLE, NOT_DETECTABLE = 1, 2, 4, 8
NOT_DYNAMIC, NOT_RESPONDABLE, NOT_VISIBLE = 32, 64, 256
"""What a model's base switches off in its whole tree: bits of `SceneObject.overrides`."""


_FIRST_COLLECTION = 2_000_000
"""Collections have handles that no object has."""


class Document:
    """All objects of one scene.

    Attributes:
        label: what messages call the scene.
        textures: images by id.
        collections: named sets of objects by handle.
        settings: by handle, by name: numbers of an object that change nothing but themselves.
        apart: pairs of shapes that do not collide, since they overlap where their file has them.
        rehung: objects that were hung elsewhere than where their file has them.
    """

    def __init__(self, label: str) -> None:
        """Begin without objects."""
        self.label = label
        self.textures: dict[int, Texture] = {}
        self.collections: dict[int, Collection] = {}
        self.settings: dict[int, dict[str, float]] = {}
        self.apart: set[tuple[int, int]] = set()
        self.rehung: set[int] = set()
        self._objects: dict[int, SceneObject] = {}
        self._names: dict[str, int] = {}
        self._children: dict[int | None, list[int]] = {None: []}
        self._gone: dict[int, str] = {}
        self._next = 1
        self._poses: dict[int, Floats] = {}

    def __iter__(self) -> Iterator[SceneObject]:
        """Walk over all objects, oldest first."""
        return iter(list(self._objects.values()))

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, handle: object) -> bool:
        return handle in self._objects

    # ---- look-up ------------------------------------------------------------------------

    def get(self, handle: int) -> SceneObject:
        """Return the object of a handle.

        Raises:
            ObjectAlreadyRemovedError: it was removed.
            CallError: there never was one.
        """
        found = self._objects.get(handle)
        if found is not None:
            return found
        if handle in self._gone:
            raise ObjectAlreadyRemovedError(
                f"{self.label}: {self._gone[handle]!r} (handle {handle}) was removed already"
            )
        raise CallError(f"{self.label}: no object has the handle {handle}")

    def of_kind(self, handle: int, kind: type[Kind], word: str) -> Kind:
        """Return the object of a handle, which must be of a kind; `word` is what messages call it.

        Raises:
            CallError: it is of another kind, or there is none.
        """
        found = self.get(handle)
        if not isinstance(found, kind):
            raise CallError(
                f"{self.label}: {found.name!r} is a {type(found).__name__}, not a {word}"
            )
        return found

    def handle(self, name: str) -> int:
        """Return the handle of a name; `name@alt` means an alternative name.

        Raises:
            CallError: no object has the name; names that are like it are given.
        """
        if name.endswith("@alt"):
            wanted = name.removesuffix("@alt")
            for obj in self._objects.values():
                if obj.alternative_name == wanted:
                    return obj.handle
        elif name in self._names:
            return self._names[name]
        raise CallError(
            f"{self.label} has no object named {name!r}; {near_names(name, list(self._names))}"
        )

    def has(self, name: str) -> bool:
        """Tell whether an object has a name."""
        return name in self._names

    def name_of(self, handle: int) -> str:
        """Return the name of a handle, empty where there is no such object (any more)."""
        found = self._objects.get(handle)
        return "" if found is None else found.name

    # ---- names --------------------------------------------------------------------------

    def rename(self, handle: int, name: str) -> None:
        """Give an object another name.

        Raises:
            CallError: another object has it, or it is empty.
        """
        obj = self.get(handle)
        if not name or self._names.get(name, handle) != handle:
            why = "it is taken" if name else "a name has letters"
            raise CallError(f"{self.label}: {obj.name!r} cannot be named {name!r}: {why}")
        del self._names[obj.name]
        obj.name = name
        self._names[name] = handle

    def free_name(self, stem: str) -> str:
        """Return `stem`, or `stem#0`, `stem#1` ... where that is taken."""
        return stem + self.free_suffix([stem])

    def free_suffix(self, stems: Sequence[str]) -> str:
        """Return the suffix under which all of the names are free, empty where they are."""
        suffix, number = "", 0
        while any(stem + suffix in self._names for stem in stems):
            suffix, number = f"#{number}", number + 1
        return suffix

    # ---- tree ---------------------------------------------------------------------------

    def children(self, handle: int | None) -> list[int]:
        """Return the handles right below one (None: at the top), oldest first."""
        return list(self._children.get(handle, ()))

    def tree(self, handle: int) -> list[int]:
        """Return a handle and all below it, parents first, each branch to its end."""
        out, left = [], [handle]
        while left:
            out.append(left.pop())
            left += reversed(self._children.get(out[-1], ()))
        return out

    def roots(self) -> list[int]:
        """Return all handles, parents first."""
        return [h for top in self._children[None] for h in self.tree(top)]

    def ancestors(self, handle: int) -> Iterator[SceneObject]:
        """Walk up from an object to the top, itself first."""
        current: int | None = handle
        while current is not None:
            obj = self._objects[current]
            yield obj
            current = obj.parent

    def overrides(self, handle: int) -> int:
        """Return the bits that model bases at or above an object switch off."""
        bits = 0
        for obj in self.ancestors(handle):
            bits |= obj.overrides if obj.is_model_base else 0
        return bits

    def hang(self, handle: int, parent: int | None, keep_in_place: bool = True) -> None:
        """Change what an object hangs on.

        Raises:
            CallError: the parent is in the object's own tree.
        """
        obj = self.get(handle)
        if parent is not None:
            self.get(parent)
            if any(above.handle == handle for above in self.ancestors(parent)):
                raise CallError(
                    f"{self.label}: {obj.name!r} cannot hang on {self.name_of(parent)!r}, "
                    "which hangs on it"
                )
        T = self.world(handle)
        self._children[obj.parent].remove(handle)
        obj.parent = parent
        self.rehung.add(handle)
        # By age: a thing that is hung back is where it was in lists of a tree.
        insort(self._children.setdefault(parent, []), handle)
        if keep_in_place:
            obj.pose = tf.invert(self.frame(parent)) @ T
        self.moved()

    # ---- poses --------------------------------------------------------------------------

    def moved(self, handle: int | None = None) -> None:
        """Forget world poses: an object was moved with all below it; None: who knows what."""
        if handle is None:
            self._poses.clear()
        else:
            for each in self.tree(handle):
                self._poses.pop(each, None)

    def frame(self, parent: int | None) -> Floats:
        """Return the (4, 4) frame, to the world, that what hangs on a parent is placed in."""
        if parent is None:
            return np.eye(4)
        obj, T = self._objects[parent], self.world(parent)
        return T @ obj.motion if isinstance(obj, Joint) else T

    def world(self, handle: int) -> Floats:
        """Return the (4, 4) object to world; a joint's own motion is not in its own pose."""
        found = self._poses.get(handle)
        if found is None:
            obj = self.get(handle)
            found = self.frame(obj.parent) @ obj.pose if obj.parent is not None else obj.pose
            self._poses[handle] = found
        return found.copy()

    def place(self, handle: int, T: Floats) -> None:
        """Put an object, and all below it, at (4, 4) object to world."""
        obj = self.get(handle)
        obj.pose = T.copy() if obj.parent is None else tf.invert(self.frame(obj.parent)) @ T
        self.moved(handle)

    def settle(self, poses: dict[int, Floats]) -> None:
        """Put many objects, and only them, where physics has moved them.

        Args:
            poses: handle -> (4, 4) object to world. What is below an object moves with it, where
                it has no pose of its own here.
        """
        self.moved()
        for handle in sorted(poses, key=self._depth):
            obj, T = self._objects[handle], poses[handle]
            obj.pose = T if obj.parent is None else tf.invert(self.frame(obj.parent)) @ T
            self._poses[handle] = T

    def _depth(self, handle: int) -> int:
        return sum(1 for _ in self.ancestors(handle))

    # ---- coming and going ---------------------------------------------------------------

    def add(self, obj: SceneObject) -> int:
        """Take an object in; it gets a handle, and a name that is free. Return the handle."""
        obj.name = self.free_name(obj.name)
        obj.handle = self.new_handle()
        self.enter(obj)
        return obj.handle

    def new_handle(self) -> int:
        """Return a number that was not given before."""
        self._next += 1
        return self._next - 1

    def enter(self, obj: SceneObject) -> None:
        """Take an object in that has a new handle and a free name."""
        self._objects[obj.handle] = obj
        self._names[obj.name] = obj.handle
        self._children.setdefault(obj.parent, []).append(obj.handle)
        self._gone.pop(obj.handle, None)
        self.moved()

    def remove(self, handle: int) -> None:
        """Take one object out; what hung on it stays where it is and hangs on nothing."""
        obj = self.get(handle)
        for child in self.children(handle):
            self.hang(child, None)
        self._children[obj.parent].remove(handle)
        self._children.pop(handle, None)
        del self._names[obj.name]
        del self._objects[handle]
        self.settings.pop(handle, None)
        self.rehung.discard(handle)
        self.apart = {pair for pair in self.apart if handle not in pair}
        self._gone[handle] = obj.name
        self.moved()

    def add_texture(self, name: str, pixels: npt.NDArray[np.uint8]) -> int:
        """Take in an image, (height, width, 3 or 4) bottom row first; return its id."""
        number = self.new_handle()
        self.textures[number] = Texture(number, name, pixels)
        return number

    def drop_textures(self) -> None:
        """Forget the images that no shape wears any more."""
        shapes = [obj for obj in self._objects.values() if isinstance(obj, Shape)]
        uses = (part.texture for shape in shapes for part in shape.parts)
        worn = {use.texture_id for use in uses if use is not None}
        for number in self.textures.keys() - worn:
            del self.textures[number]

    def collect(self, collection: Collection) -> None:
        """Take in a collection; its name gets a suffix where it is taken."""
        taken = {c.name for c in self.collections.values()}
        stem, number = collection.name.partition("#")[0], 0
        name = collection.name
        while name in taken:
            name, number = f"{stem}#{number}", number + 1
        self.collections[_FIRST_COLLECTION + self.new_handle()] = replace(collection, name=name)

    def members(self, collection: int) -> list[int]:
        """Return the handles of the objects of a collection, parents first.

        Raises:
            CallError: there is no such collection.
        """
        if collection not in self.collections:
            raise CallError(f"{self.label}: no collection has the handle {collection}")
        chosen: set[int] = set()
        for root, adds in self.collections[collection].rows:
            found = self.roots() if root is None else self.tree(root) if root in self else []
            chosen = chosen | set(found) if adds else chosen - set(found)
        return [handle for handle in self.roots() if handle in chosen]
