"""The engine on CoppeliaSim through PyRep: RLBench's own scenes, CoppeliaSim's physics.

Written against PyRep 4.1; docs/coppeliasim.md says what was exercised.
"""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.near_names import near_names
from pyrep_mujoco.robots.robot_model import PANDA
from pyrep_mujoco.transforms import Floats
from rlbench.engines.coppelia.objects import (
    CoppeliaDummy,
    CoppeliaJoint,
    CoppeliaObject,
    CoppeliaProximitySensor,
    CoppeliaShape,
)
from rlbench.engines.coppelia.observer import CoppeliaObserver
from rlbench.engines.errors import SceneError

if TYPE_CHECKING:
    from rlbench.engines.coppelia.simulator import CoppeliaSimulator

NAME = "coppeliasim"
ROBOT = replace(PANDA, fingers=("Panda_leftfinger_respondable", "Panda_rightfinger_respondable"))
"""The Panda of RLBench's base scene."""
_PATH_SAMPLES = 33
Kind = TypeVar("Kind", bound=CoppeliaObject)


@dataclass(frozen=True)
class State:
    """A moment of the scene, as far as PyRep can bring it back; see `CoppeliaEngine.set_state`.

    Attributes:
        trees: configuration trees of arm, gripper and task.
        arm: (7,) joint positions [rad].
        fingers: (2,) joint positions [m].
        parents: handle of each task object -> its parent's handle, -1 at the top.
        held: handles of the shapes that the gripper holds.
        colors: rgb of the shapes whose colour was changed.
    """

    trees: tuple[Any, Any, Any]
    arm: list[float]
    fingers: list[float]
    parents: dict[int, int]
    held: tuple[int, ...]
    colors: dict[int, list[float]]


class PathPoints(list[Floats]):
    """The (4, 4) poses along a Cartesian path, and the path itself for PyRep's planner."""

    def __init__(self, poses: Iterable[Floats], native: Any) -> None:
        super().__init__(poses)
        self.native = native


class OwnWindow:
    """CoppeliaSim's window, which follows the simulation by itself."""

    def sync(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: the window lives as long as the simulator."""


class CoppeliaEngine:
    """RLBench's base scene with one task's model in it."""

    name = NAME
    robot = ROBOT

    def __init__(self, simulator: "CoppeliaSimulator", task: str, scene: str) -> None:
        """Take over a scene into which a task's model was just loaded.

        Args:
            simulator: the running simulator.
            task: name of the model's root.
            scene: file name of the model, for messages.

        Raises:
            SceneError: the model has no root of that name.
        """
        self.simulator = simulator
        self.version = simulator.version
        self.api = simulator.api
        self.scene = scene
        self.opacity: dict[int, float] = {}
        self._undo: dict[tuple[int, str], Callable[[], None]] = {}
        self._wrapped: dict[int, CoppeliaObject] = {}
        kind = self.api.const.ObjectType
        self._classes: dict[Any, type[CoppeliaObject]] = {
            kind.SHAPE: CoppeliaShape,
            kind.JOINT: CoppeliaJoint,
            kind.DUMMY: CoppeliaDummy,
            kind.PATH: CoppeliaDummy,
            kind.PROXIMITY_SENSOR: CoppeliaProximitySensor,
        }
        if not self.has(task):
            raise SceneError(f"{scene} has no object named {task!r}, which must be its root")
        self._base = self.api.objects.Object.get_object(task)
        self.robot_handles = frozenset(o.get_handle() for o in self.tree(simulator.arm))
        self._objects = self.tree(self._base)
        self._start = self.get_state()

    # ---- look-up ------------------------------------------------------------------------

    def wrap(self, native: Any) -> CoppeliaObject:
        """Return the object of this engine for one of PyRep's."""
        handle = int(native.get_handle())
        if handle not in self._wrapped:
            cls = self._classes.get(native.get_type(), CoppeliaObject)
            self._wrapped[handle] = cls(self, native)
        return self._wrapped[handle]

    def tree(self, native: Any, **options: Any) -> list[CoppeliaObject]:
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
                found = self.simulator.pyrep.get_objects_in_tree()
            else:
                found = native.get_objects_in_tree(**options)
        return [self.wrap(obj) for obj in found]

    def _find(self, name: str, kind: type[Kind]) -> Kind:
        if self.has(name):
            try:
                found = self.wrap(self.api.objects.Object.get_object(name))
            except KeyError:  # a kind that PyRep has no class for, such as a light
                found = None
            if isinstance(found, kind):
                return found
        what = kind.__name__.removeprefix("Coppelia").lower()
        there = [o.get_name() for o in self._objects if isinstance(o, kind)]
        raise SceneError(f"{self.scene} has no {what} named {name!r}; {near_names(name, there)}")

    def has(self, name: str) -> bool:
        """Tell whether an object of that name exists."""
        return bool(self.api.objects.Object.exists(name))

    def shape(self, name: str) -> CoppeliaShape:
        """Look a shape up by name."""
        return self._find(name, CoppeliaShape)

    def dummy(self, name: str) -> CoppeliaDummy:
        """Look a dummy or a Cartesian path up by name."""
        return self._find(name, CoppeliaDummy)

    def joint(self, name: str) -> CoppeliaJoint:
        """Look a joint up by name."""
        return self._find(name, CoppeliaJoint)

    def sensor(self, name: str) -> CoppeliaProximitySensor:
        """Look a proximity sensor up by name."""
        return self._find(name, CoppeliaProximitySensor)

    def object(self, name: str) -> CoppeliaObject:
        """Look any object up by name."""
        return self._find(name, CoppeliaObject)

    def object_of_handle(self, handle: int) -> CoppeliaObject:
        """Return the object that segmentation images show as `handle`."""
        found = self._wrapped.get(handle)
        return found or self.wrap(self.api.objects.Object.get_object(int(handle)))

    def mask_names(self) -> dict[int, str]:
        """Return handle -> name of all shapes, the robot's and the base scene's too."""
        shapes = (o for o in self.tree(None) if isinstance(o, CoppeliaShape))
        return {o.get_handle(): o.get_name() for o in shapes}

    def object_names(self) -> list[str]:
        """Return the names of all objects but joints, those of the base scene too."""
        return [o.get_name() for o in self.tree(None) if not isinstance(o, CoppeliaJoint)]

    def shapes(self) -> list[CoppeliaShape]:
        """Return all shapes that are not part of the robot."""
        return [
            o
            for o in self.tree(None)
            if isinstance(o, CoppeliaShape) and o.get_handle() not in self.robot_handles
        ]

    def task_joints(self) -> list[CoppeliaJoint]:
        """Return the joints of the task's model."""
        return [o for o in self._objects if isinstance(o, CoppeliaJoint)]

    def path_points(self, name: str) -> list[Floats]:
        """Return (4, 4) world poses along a Cartesian path; empty when `name` is none."""
        obj = self.api.objects.Object
        if not self.has(name) or obj.get_object_type(name) != self.api.const.ObjectType.PATH:
            return []
        path = obj.get_object(name)
        return PathPoints(
            (
                tf.transform(np.asarray(xyz, float), tf.euler_to_matrix(np.asarray(angles, float)))
                for xyz, angles in map(path.get_pose_on_path, np.linspace(0, 1, _PATH_SAMPLES))
            ),
            path,
        )

    # ---- time ---------------------------------------------------------------------------

    def step(self) -> None:
        """Advance 50 ms."""
        self.simulator.pyrep.step()

    def remember(self, handle: int, what: str, undo: Callable[[], None]) -> None:
        """Keep how to undo the first change of a property since the last reset."""
        self._undo.setdefault((handle, what), undo)

    def reset(self) -> None:
        """Bring the scene back to how it was loaded, as far as `set_state` can."""
        for undo in self._undo.values():
            undo()
        self._undo = {}
        self.set_state(self._start)

    def remember_start(self) -> None:
        """Make this moment the one that `reset` brings back."""
        self._undo = {}
        self._start = self.get_state()

    def part_overlaps(self) -> None:
        """Do nothing: CoppeliaSim itself pushes apart slowly what overlaps."""

    def get_state(self) -> State:
        """Return what `set_state` needs."""
        arm, gripper = self.simulator.arm, self.simulator.gripper
        painted = [handle for handle, what in self._undo if what == "color"]
        return State(
            trees=(
                arm.get_configuration_tree(),
                gripper.get_configuration_tree(),
                self._base.get_configuration_tree(),
            ),
            arm=list(arm.get_joint_positions()),
            fingers=list(gripper.get_joint_positions()),
            parents={o.get_handle(): self._parent(o) for o in self._objects},
            held=tuple(o.get_handle() for o in gripper.get_grasped_objects()),
            colors={h: list(self._wrapped[h].native.get_color()) for h in painted},
        )

    def set_state(self, state: State) -> None:
        """Restore a state saved by `get_state`.

        Restored: poses and joint values of the robot and the task's model, parents, colours,
        what is held. Objects come to rest. Not restored: velocities, contact forces, motor
        targets of the task's joints, random generators of CoppeliaSim, and objects made or
        removed meanwhile. Two steps of 50 ms pass for the robot's joints before the task is
        put back.

        Raises:
            SceneError: an object of the task was removed meanwhile.
        """
        self._check_complete()
        arm, gripper = self.simulator.arm, self.simulator.gripper
        gripper.release()
        # Trees hold poses relative to parents, so parents come first.
        for obj in self._objects:
            parent = state.parents[obj.get_handle()]
            if obj.get_handle() not in state.held and self._parent(obj) != parent:
                above = None if parent < 0 else self._wrapped[parent].native
                obj.native.set_parent(above, True)
        for handle in state.held:
            self.simulator.attach(self._wrapped[handle].native)
        for handle, what in self._undo:
            if what == "color" and handle in state.colors:
                self._wrapped[handle].native.set_color(state.colors[handle])
        pyrep = self.simulator.pyrep
        pyrep.set_configuration_tree(state.trees[0])
        pyrep.set_configuration_tree(state.trees[1])
        for part, values in ((arm, state.arm), (gripper, state.fingers)):
            part.set_joint_positions(values, disable_dynamics=True)
            part.set_joint_target_velocities([0.0] * len(values))
        pyrep.set_configuration_tree(state.trees[2])

    def _parent(self, obj: CoppeliaObject) -> int:
        parent = obj.get_parent()
        return -1 if parent is None else parent.get_handle()

    def _check_complete(self) -> None:
        for obj in self._objects:
            if not obj.native.still_exists():
                raise SceneError(
                    f"an object of {self.scene} (handle {obj.get_handle()}) was removed: the scene "
                    "cannot be reset; a task may remove only what it made"
                )

    # ---- recording ----------------------------------------------------------------------

    def observer(self, shadows: bool = False) -> CoppeliaObserver:
        """Return what records this scene."""
        return CoppeliaObserver(self, shadows)

    def open_viewer(self) -> OwnWindow:
        """Return CoppeliaSim's own window; it was opened with the simulator."""
        return OwnWindow()
