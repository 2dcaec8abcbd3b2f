"""The engine on CoppeliaSim through PyRep: RLBench's own scenes, CoppeliaSim's physics.

Written against PyRep 4.1; docs/coppeliasim.md says what was exercised.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from pyrep_mujoco.near_names import near_names
from rlbench.engines import transforms as tf
from rlbench.engines.cameras import CameraSpec
from rlbench.engines.coppelia.objects import (
    CoppeliaDummy,
    CoppeliaJoint,
    CoppeliaObject,
    CoppeliaProximitySensor,
    CoppeliaShape,
)
from rlbench.engines.coppelia.observer import CoppeliaObserver
from rlbench.engines.coppelia.process import ROBOT, CoppeliaProcess
from rlbench.engines.coppelia.scene_graph import SceneGraph
from rlbench.engines.errors import EngineError, SceneError
from rlbench.engines.transforms import Floats

NAME = "coppeliasim"
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
    """RLBench's base scene with one task's model in it.

    Attributes:
        version: of CoppeliaSim and PyRep.
    """

    name = NAME
    robot = ROBOT

    def __init__(
        self, process: CoppeliaProcess, graph: SceneGraph[CoppeliaObject], task: str
    ) -> None:
        """Take over a scene into which a task's model was just loaded.

        Args:
            process: the running simulator.
            graph: the scene's objects.
            task: name of the model's root.

        Raises:
            SceneError: the model has no root of that name.
        """
        self._process, self._graph = process, graph
        self.version = process.version
        self._api = process.api
        if not self.has(task):
            raise SceneError(f"{graph.label} has no object named {task!r}, which must be its root")
        self._base = self._api.objects.Object.get_object(task)
        self._objects = graph.tree(self._base)
        self._start = self.get_state()

    # ---- look-up ------------------------------------------------------------------------

    def wrap(self, native: Any) -> CoppeliaObject:
        """Return the object of this engine for one of PyRep's."""
        return self._graph.wrap(native)

    def _find(self, name: str, kind: type[Kind]) -> Kind:
        if self.has(name):
            found = self._graph.by_name(name)
            if isinstance(found, kind):
                return found
        what = kind.__name__.removeprefix("Coppelia").lower()
        there = [o.get_name() for o in self._objects if isinstance(o, kind)]
        raise SceneError(
            f"{self._graph.label} has no {what} named {name!r}; {near_names(name, there)}"
        )

    def has(self, name: str) -> bool:
        """Tell whether an object of that name exists."""
        return self._graph.has(name)

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
        return self._graph.of_handle(handle)

    def mask_names(self) -> dict[int, str]:
        """Return handle -> name of all shapes, the robot's and the base scene's too."""
        shapes = (o for o in self._graph.tree() if isinstance(o, CoppeliaShape))
        return {o.get_handle(): o.get_name() for o in shapes}

    def object_names(self) -> list[str]:
        """Return the names of all objects but joints, those of the base scene too."""
        return [o.get_name() for o in self._graph.tree() if not isinstance(o, CoppeliaJoint)]

    def shapes(self) -> list[CoppeliaShape]:
        """Return all shapes that are not part of the robot."""
        return [o for o in self._graph.not_robot() if isinstance(o, CoppeliaShape)]

    def task_joints(self) -> list[CoppeliaJoint]:
        """Return the joints of the task's model."""
        return [o for o in self._objects if isinstance(o, CoppeliaJoint)]

    def path_points(self, name: str) -> list[Floats]:
        """Return (4, 4) world poses along a Cartesian path; empty when `name` is none."""
        obj = self._api.objects.Object
        if not self.has(name) or obj.get_object_type(name) != self._api.const.ObjectType.PATH:
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
        self._process.pyrep.step()

    def reset(self) -> None:
        """Bring the scene back to how it was loaded, as far as `set_state` can."""
        self._graph.undo_all()
        self.set_state(self._start)

    def remember_start(self) -> None:
        """Make this moment the one that `reset` brings back."""
        self._graph.keep_all()
        self._start = self.get_state()

    def separate_overlaps(self) -> None:
        """Do nothing: CoppeliaSim itself pushes apart slowly what overlaps."""

    def get_state(self) -> State:
        """Return what `set_state` needs."""
        arm, gripper = self._process.arm, self._process.gripper
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
            colors={h: list(self._native(h).get_color()) for h in self._graph.changed("color")},
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
        arm, gripper = self._process.arm, self._process.gripper
        gripper.release()
        # Trees hold poses relative to parents, so parents come first.
        for obj in self._objects:
            parent = state.parents[obj.get_handle()]
            if obj.get_handle() not in state.held and self._parent(obj) != parent:
                above = None if parent < 0 else self._native(parent)
                obj.native.set_parent(above, True)
        for handle in state.held:
            self._process.attach(self._native(handle))
        for handle in self._graph.changed("color"):
            if handle in state.colors:
                self._native(handle).set_color(state.colors[handle])
        pyrep = self._process.pyrep
        pyrep.set_configuration_tree(state.trees[0])
        pyrep.set_configuration_tree(state.trees[1])
        for part, values in ((arm, state.arm), (gripper, state.fingers)):
            part.set_joint_positions(values, disable_dynamics=True)
            part.set_joint_target_velocities([0.0] * len(values))
        pyrep.set_configuration_tree(state.trees[2])

    def _native(self, handle: int) -> Any:
        return self._graph.of_handle(handle).native

    def _parent(self, obj: CoppeliaObject) -> int:
        parent = obj.get_parent()
        return -1 if parent is None else parent.get_handle()

    def _check_complete(self) -> None:
        for obj in self._objects:
            if not obj.native.still_exists():
                raise SceneError(
                    f"an object of {self._graph.label} (handle {obj.get_handle()}) was removed: "
                    "the scene cannot be reset; a task may remove only what it made"
                )

    # ---- recording ----------------------------------------------------------------------

    def observer(self, shadows: bool = False, antialiasing: int = 0) -> CoppeliaObserver:
        """Return what records this scene; see `Engine.observer`."""
        if antialiasing:
            raise EngineError(
                f"antialiasing {antialiasing}: CoppeliaSim's cameras have no such setting; it must"
                " be 0 there"
            )
        return CoppeliaObserver(self._graph, shadows)

    def open_viewer(self, view: CameraSpec | None = None) -> OwnWindow:
        """Return CoppeliaSim's own window; it was opened with the simulator, on its own view."""
        return OwnWindow()
