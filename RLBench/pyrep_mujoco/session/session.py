"""One scene that changes while it is simulated: what all its objects share.

Objects are named by handles, whole numbers that are never given twice. What a kind of object can do
beside this stands in `pyrep_mujoco.session.objects`.
"""

from copy import copy
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import CallError
from pyrep_mujoco.near_names import near_names
from pyrep_mujoco.scene.health import check_pose
from pyrep_mujoco.session.document import Document
from pyrep_mujoco.session.files.loading import read_file
from pyrep_mujoco.session.files.overlaps import overlaps_of
from pyrep_mujoco.session.physics.building import Built
from pyrep_mujoco.session.physics.stepping import Physics
from pyrep_mujoco.session.taking_in import duplicate, take_in
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.reading.model import Joint, SceneObject, Shape

EMPTY = "the empty scene"
_OF_START = (
    *("value", "quaternion", "mode", "is_hybrid", "motor_on", "position_loop", "locks_at_zero"),
    *("target_position", "target_velocity", "max_force", "velocity_limit"),
)
"""What of a joint is again as it was when the simulation was started, once it is stopped."""


@dataclass(frozen=True)
class _Start:
    """Where an object was when the simulation was started.

    Attributes:
        parent: what it hung on.
        pose: (4, 4) in its parent's frame.
        world: (4, 4) to the world.
        joint: a copy of it, of a joint.
    """

    parent: int | None
    pose: Floats
    world: Floats
    joint: Joint | None


class Session:
    """A scene, its physics, and the calls that change it.

    Attributes:
        document: all objects.
        physics: MuJoCo's model and state of it.
        is_running: the simulation was started, and not stopped.
        signals: values that callers keep by name, by kind and name.
    """

    def __init__(self, scene: Path | str | None = None) -> None:
        """Open a scene.

        Args:
            scene: `.ttt`, `.ttm`, `.xml` or `.mjcf` file; None for an empty scene.

        Raises:
            SceneError: there is no such file, or MuJoCo refuses it.
            TtmError: the file is not what its name says.
        """
        self.document = Document(EMPTY if scene is None else Path(scene).name)
        self.physics = Physics(self.document)
        self.is_running = False
        self.signals: dict[tuple[str, str], object] = {}
        self._start: dict[int, _Start] = {}
        if scene is not None:
            take_in(self.document, read_file(scene), overlaps_of(str(scene)))
            self.physics.refresh()

    # ---- MuJoCo -------------------------------------------------------------------------

    @property
    def built(self) -> Built:
        """The compiled model of the scene as it is now, and which object is what in it."""
        return self.physics.built

    @property
    def model(self) -> mujoco.MjModel:
        """The compiled model of the scene as it is now."""
        return self.physics.built.model

    @property
    def data(self) -> mujoco.MjData:
        """The state of the scene as it is now, world poses included."""
        return self.physics.data

    # ---- time ---------------------------------------------------------------------------

    def start(self) -> None:
        """Start the simulation; `stop` brings back what is there now, where it is now."""
        if self.is_running:
            return
        self._start = {}
        for obj in self.document:
            joint = copy(obj) if isinstance(obj, Joint) else None
            T = self.document.world(obj.handle)
            self._start[obj.handle] = _Start(obj.parent, obj.pose.copy(), T, joint)
        self.is_running = True

    def stop(self) -> None:
        """Stop the simulation: all goes back to where it was at its start, what is newer goes."""
        if not self.is_running:
            return
        self.is_running = False
        for handle in self.document.roots():
            if handle not in self._start and handle in self.document:
                self.remove(handle)
        elsewhere = []
        for handle in self.document.roots():
            self.physics.stop(handle)
            obj, start = self.need(handle), self._start.get(handle)
            if start is None:
                continue
            if isinstance(obj, Joint) and start.joint is not None:
                self._restore_joint(obj, start.joint)
            if obj.parent == start.parent:
                obj.pose = start.pose
            else:
                elsewhere.append(handle)
        self.document.moved()
        for handle in elsewhere:
            self.document.place(handle, self._start[handle].world)
        self.physics.restart()
        self.physics.moved()

    def _restore_joint(self, joint: Joint, before: Joint) -> None:
        if joint.mode != before.mode:
            self.physics.changed()
        for name in _OF_START:
            setattr(joint, name, getattr(before, name))

    def step(self) -> None:
        """Simulate one step; nothing where the simulation was not started.

        Raises:
            RunError: the simulation became unstable.
        """
        if self.is_running:
            self.physics.step()

    # ---- coming and going ---------------------------------------------------------------

    def import_model(self, path: Path | str) -> int:
        """Take a model in; return the handle of its base.

        Raises:
            SceneError: there is no such file, or MuJoCo refuses it.
            TtmError: the file is not what its name says.
        """
        tops = take_in(self.document, read_file(path), overlaps_of(str(path)))
        if not tops:
            raise CallError(f"{path}: holds no object")
        self.physics.changed()
        bases = [top for top in tops if self.document.get(top).is_model_base]
        return (bases or tops)[0]

    def add(self, obj: SceneObject) -> int:
        """Take a new object in; return its handle."""
        handle = self.document.add(obj)
        if isinstance(obj, Shape | Joint):
            self.physics.changed()
        else:
            self.physics.hung()
        return handle

    def remove(self, handle: int) -> None:
        """Take an object out, and all below it where it is a model.

        Raises:
            ObjectAlreadyRemovedError: it is gone already.
        """
        if handle not in self.document:
            self.document.get(handle)
        if self.document.get(handle).is_model_base:
            self.remove_tree(handle)
            return
        self.document.remove(handle)
        self.document.drop_textures()
        self.physics.changed()

    def remove_tree(self, handle: int) -> None:
        """Take an object out, and all below it."""
        for each in reversed(self.document.tree(handle)):
            self.document.remove(each)
        self.document.drop_textures()
        self.physics.changed()

    def copy(self, handle: int, whole_model: bool) -> int:
        """Copy an object, or a whole model; return the handle of the copy."""
        obj = self.document.get(handle)
        handles = self.document.tree(handle) if whole_model and obj.is_model_base else [handle]
        copies = duplicate(self.document, handles)
        self.physics.changed()
        return copies[handle]

    # ---- poses --------------------------------------------------------------------------

    def matrix(self, handle: int, relative_to: int | None = None) -> Floats:
        """Return the (4, 4) transform of an object to the world, or to another object."""
        T = self.document.world(handle)
        return T if relative_to is None else tf.invert(self.document.world(relative_to)) @ T

    def set_matrix(self, handle: int, T: Floats, relative_to: int | None = None) -> None:
        """Put an object, with all below it, at a (4, 4) pose in the world, or in another's frame.

        Raises:
            SceneError: the pose is not finite.
        """
        check_pose(self.document.get(handle).name, T)
        base = np.eye(4) if relative_to is None else self.document.world(relative_to)
        self.document.place(handle, base @ T)
        self.physics.moved(handle)

    def set_position(self, handle: int, position: Floats, relative_to: int | None = None) -> None:
        """Move an object to (3,) [m], its rotation in the world stays."""
        T = self.matrix(handle, relative_to)
        T[:3, 3] = position
        self.set_matrix(handle, T, relative_to)

    def set_rotation(self, handle: int, R: Floats, relative_to: int | None = None) -> None:
        """Turn an object in place to a (3, 3) rotation, in the world or in another's frame."""
        T = self.matrix(handle, relative_to)
        T[:3, :3] = R
        self.set_matrix(handle, T, relative_to)

    def stop_motion(self, handle: int) -> None:
        """Bring an object, and all below it, to rest."""
        for each in self.document.tree(handle):
            self.physics.stop(each)

    def velocity(self, handle: int) -> tuple[Floats, Floats]:
        """Return (3,) velocity [m/s] and (3,) angular velocity [rad/s] of an object, world axes."""
        built, data = self.physics.built, self.physics.data
        body = built.plan.carriers.get(handle)
        T = self.document.world(handle)
        if body is None:
            return np.zeros(3), np.zeros(3)
        number, out = built.body_ids[body], np.zeros(6)
        mujoco.mj_comVel(built.model, data)
        mujoco.mj_objectVelocity(built.model, data, mujoco.mjtObj.mjOBJ_XBODY, number, out, 0)
        turning: Floats = out[:3]
        lever = T[:3, 3] - data.xpos[number]
        return out[3:] + np.cross(turning, lever), turning

    # ---- tree ---------------------------------------------------------------------------

    def hang(self, handle: int, parent: int | None, keep_in_place: bool = True) -> None:
        """Change what an object hangs on."""
        self.document.hang(handle, parent, keep_in_place)
        self.physics.hung()
        if not keep_in_place:
            self.physics.moved()

    def in_tree(
        self, root: int | None, *, exclude_base: bool, first_generation_only: bool
    ) -> list[int]:
        """Return handles of a tree, parents first.

        Args:
            root: None for the whole scene.
            exclude_base: leave the root out.
            first_generation_only: only what hangs right on the root.
        """
        document = self.document
        if root is None:
            return document.children(None) if first_generation_only else document.roots()
        document.get(root)
        below = document.children(root) if first_generation_only else document.tree(root)[1:]
        return below if exclude_base else [root, *below]

    # ---- names --------------------------------------------------------------------------

    def handle(self, name: str) -> int:
        """Return the handle of a name.

        Raises:
            CallError: there is none; names that are like it are given.
        """
        return self.document.handle(name)

    def still_exists(self, handle: int) -> bool:
        """Tell whether an object is in the scene."""
        return handle in self.document

    def need(self, handle: int) -> SceneObject:
        """Return the object of a handle.

        Raises:
            ObjectAlreadyRemovedError: it was removed.
            CallError: there never was one.
        """
        return self.document.get(handle)

    def collection(self, name: str) -> int:
        """Return the handle of a collection.

        Raises:
            CallError: the scene has none of that name.
        """
        for handle, collection in self.document.collections.items():
            if collection.name == name:
                return handle
        known = [collection.name for collection in self.document.collections.values()]
        raise CallError(
            f"{self.document.label} has no collection named {name!r}; {near_names(name, known)}"
        )
