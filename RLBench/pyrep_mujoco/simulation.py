"""A scene with a robot, simulated by MuJoCo: one compiled model per task, reset by data.

Here the parts are put together. MuJoCo nests bodies physically; free bodies must be children of the
world, so their place in the scene's tree comes from its annotations.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mujoco

from pyrep_mujoco.constants import STEP
from pyrep_mujoco.objects.frames import MujocoDummy, MujocoForceSensor, MujocoPath, path_poses
from pyrep_mujoco.objects.joint import MujocoJoint
from pyrep_mujoco.objects.object_table import ObjectTable
from pyrep_mujoco.objects.proximity_sensor import MujocoProximitySensor
from pyrep_mujoco.objects.scene_object import MujocoObject, SceneParts
from pyrep_mujoco.objects.shape import MujocoShape, shapes_beside_robot
from pyrep_mujoco.objects.shape_maker import ShapeMaker, Snapshot
from pyrep_mujoco.robots.robot_model import RobotModel
from pyrep_mujoco.scene.compose import compose, compose_spec, scene_label
from pyrep_mujoco.scene.controls import Controls
from pyrep_mujoco.scene.edits import Edits
from pyrep_mujoco.scene.graph import SceneGraph
from pyrep_mujoco.scene.health import check_motion
from pyrep_mujoco.scene.runtime_models import RuntimeModels
from pyrep_mujoco.scene.separate_overlaps import separate_overlaps
from pyrep_mujoco.scene.sleep import Sleep
from pyrep_mujoco.scene.state import State, StateKeeper
from pyrep_mujoco.scene.tree import ObjectTree
from pyrep_mujoco.scene.welds import Welds
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.vision.cameras import CameraSpec
from pyrep_mujoco.vision.observer import MujocoObserver, open_viewer
from pyrep_mujoco.world import World

_FRAMES = {"force_sensor": MujocoForceSensor, "path": MujocoPath}


class Simulation:
    """Base scene, robot and one task, simulated by MuJoCo.

    Attributes:
        scene: MJCF file of the task.
        robot: names and numbers of the robot.
        world: the model in use, its data, and what all parts share.
        welds: what the hand holds, and what is held in the air.
        graph: who hangs on whom, and moving whole trees.
        controls: of the actuators.
        table: all objects.
        editor: makes shapes.
    """

    def __init__(
        self, scene: Path, robot: RobotModel, base: Path, cameras: Sequence[CameraSpec] = ()
    ) -> None:
        """Load a scene.

        Args:
            scene: MJCF file of the task.
            robot: the arm and gripper.
            base: MJCF of what surrounds every task: table, floor, lights.
            cameras: that the scene can be seen by.

        Raises:
            SceneError: a file is missing, or says something that cannot be.
        """
        self.scene, self.robot = scene, robot
        cameras = tuple(cameras)
        model, notes = compose(scene, robot, base, cameras)
        world = World(scene_label(scene), model, notes, robot.root)
        self.world, self.welds = world, Welds(world)
        self.graph = SceneGraph(world, self.welds)
        self.controls = Controls(world, round(STEP / model.opt.timestep))
        self._sleep = Sleep(world, self.welds)
        self._edits = Edits(world, self.graph, self.welds)
        self.table: ObjectTable[MujocoObject] = ObjectTable(world.label)
        tree = ObjectTree(world, self.graph, self.welds)
        parts = SceneParts(world, self.graph, self.welds, tree, self._edits, self.table)
        models = RuntimeModels(
            world, lambda: compose_spec(scene, robot, base, cameras)[0], robot.hand
        )
        self.editor = ShapeMaker(parts, models)
        self._states = StateKeeper(world, self.graph, self.welds, self.editor)
        self._start: State[Snapshot] | None = None
        self._add_objects(parts)
        self.reset()

    def _add_objects(self, parts: SceneParts) -> None:
        model, tree = parts.world.model, parts.tree
        for joint in range(model.njnt):
            if model.jnt_type[joint] != mujoco.mjtJoint.mjJNT_FREE:
                self.table.add_joint(MujocoJoint(parts, model.joint(joint).name, joint))
        for body in range(1, model.nbody):
            obj = self._object(parts, body)
            self.table.add(obj)
            handle = tree.handle_at(body)
            # A body that was made for a joint without a shape stands for the joint.
            self.table.give_handle(body, obj if handle == body else self.table.of_handle(handle))

    def _object(self, parts: SceneParts, body: int) -> MujocoObject:
        model, notes = parts.world.model, parts.world.notes
        name = model.body(body).name
        if name in notes.sensors:
            return MujocoProximitySensor(parts, name, body)
        if model.body_geomnum[body] > 0:
            return MujocoShape(parts, name, body, self.editor)
        kind = _FRAMES.get(notes.kinds.get(name, ""), MujocoDummy)
        return kind(parts, name, body)

    @property
    def label(self) -> str:
        """What messages call the scene."""
        return self.world.label

    @property
    def model(self) -> mujoco.MjModel:
        """The model in use; shapes that are made bring another."""
        return self.world.model

    @property
    def data(self) -> mujoco.MjData:
        """The state of the model in use."""
        return self.world.data

    # ---- look-up ------------------------------------------------------------------------

    def shape(self, name: str) -> MujocoShape:
        """Look a shape up by name."""
        return self.table.find(name, MujocoShape, "shape")

    def dummy(self, name: str) -> MujocoDummy:
        """Look a dummy up by name."""
        return self.table.find(name, MujocoDummy, "dummy")

    def sensor(self, name: str) -> MujocoProximitySensor:
        """Look a proximity sensor up by name."""
        return self.table.find(name, MujocoProximitySensor, "proximity sensor")

    def joint(self, name: str) -> MujocoJoint:
        """Look a hinge or slide up by name."""
        return self.table.find_joint(name, MujocoJoint)

    def object(self, name: str) -> MujocoObject:
        """Look any body-like object up by name."""
        return self.table.find(name, MujocoObject, "object")

    def has(self, name: str) -> bool:
        """Tell whether a body-like object of that name exists."""
        return self.table.has(name)

    def object_of_handle(self, handle: int) -> MujocoObject:
        """Return the object of a handle."""
        return self.table.of_handle(handle)

    def object_names(self) -> list[str]:
        """Return the names of all body-like objects, in the model's order."""
        return self.table.names()

    def joints(self) -> list[MujocoJoint]:
        """Return all hinges and slides, the robot's too."""
        return [j for j in self.table.joints() if isinstance(j, MujocoJoint)]

    def task_joints(self) -> list[MujocoJoint]:
        """Return the hinges and slides that are not part of the robot."""
        return [j for j in self.joints() if j.body not in self.world.robot_bodies]

    def shapes(self) -> list[MujocoShape]:
        """Return all shapes that are not part of the robot."""
        return shapes_beside_robot(self.world, self.table)

    def mask_names(self) -> dict[int, str]:
        """Return handle -> name of all shapes, the robot's and the base scene's too."""
        return {o.get_handle(): o.get_name() for o in self.table.of_kind(MujocoShape)}

    def path_points(self, name: str) -> list[Floats]:
        """Return the (4, 4) world poses of a Cartesian path; empty when `name` is none.

        Raises:
            SceneError: the annotation is not rows of seven numbers.
        """
        if name not in self.world.notes.paths:
            return []
        return path_poses(self.world, name, self.dummy(name).transform())

    # ---- start --------------------------------------------------------------------------

    def reset(self) -> None:
        """Bring the scene back to how it was compiled, or to where `remember_start` was called."""
        self.controls.take()
        if self._start is not None:
            self.set_state(self._start)
            return
        world = self.world
        self.welds.reset()
        self.graph.followers = {}
        self.editor.clear()
        world.reset_notes()
        self._sleep.begin()
        mujoco.mj_resetData(world.model, world.data)
        for name, value in world.notes.joint_values.items():
            world.data.qpos[world.model.joint(name).qposadr[0]] = value
        world.refresh()
        self.welds.attach_to_sensors()
        mujoco.mj_forward(world.model, world.data)

    def remember_start(self) -> None:
        """Make this moment the one that `reset` brings back."""
        self._start = self.get_state()

    def separate_overlaps(self) -> None:
        """Move loose things out of what they stand more than 1 mm deep in."""
        world, is_loose, shift = self.world, self.welds.is_loose, self.graph.shift
        separate_overlaps(world.model, world.data, is_loose, shift, world.robot_bodies)

    def get_state(self) -> State[Snapshot]:
        """Return everything `set_state` needs."""
        return self._states.save()

    def set_state(self, state: State[Snapshot]) -> None:
        """Restore a state saved by `get_state`."""
        self._states.restore(state)

    # ---- time ---------------------------------------------------------------------------

    def step(self) -> None:
        """Advance 50 ms under the controls written for this step; others hold."""
        self.editor.build_all()
        world, controls = self.world, self.controls.take()
        drives = [(self.joint(name), drive) for name, drive in world.changes.drives.items()]
        for i in range(self.controls.substeps):
            if controls is not None:
                world.data.ctrl[:] = controls[i]
            for joint, drive in drives:
                joint.push(drive)
            before = world.data.qpos.copy() if world.changes.asleep else None
            mujoco.mj_step(world.model, world.data)
            if before is not None:
                self._sleep.undo_step(before)
        check_motion(world.data, world.label)
        self._edits.keep_away()
        # Positions moved last: make world poses and contacts those of the new moment.
        world.refresh()
        self.graph.follow()
        mujoco.mj_comPos(world.model, world.data)

    # ---- pictures -----------------------------------------------------------------------

    def observer(self, shadows: bool = False, antialiasing: int = 0) -> MujocoObserver:
        """Return what records this scene.

        Args:
            shadows: cast shadows in colour images.
            antialiasing: samples per pixel of colour images, 0 for one without smoothing.
        """
        return MujocoObserver(self.world, shadows, antialiasing)

    def open_viewer(self, view: CameraSpec | None = None) -> Any:
        """Open MuJoCo's own viewer on the running simulation.

        Args:
            view: from where it looks at first.

        Raises:
            SceneError: there is no display.
        """
        return open_viewer(self.world, view)
