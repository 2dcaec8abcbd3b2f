"""The default engine: one compiled MuJoCo model per task, reset by data.

The engine owns the scene graph. MuJoCo nests bodies physically; free bodies must be children of
the world, so their place in RLBench's tree comes from the scene's annotations.
"""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.constants import STEP
from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.near_names import near_names
from pyrep_mujoco.objects.scene_object import (
    JOINT_HANDLES,
    MujocoDummy,
    MujocoForceSensor,
    MujocoJoint,
    MujocoObject,
    MujocoPath,
    MujocoProximitySensor,
    MujocoShape,
)
from pyrep_mujoco.objects.shape import Changes
from pyrep_mujoco.objects.shape_maker import Compiled, Editor
from pyrep_mujoco.robots.robot_model import PANDA, RobotModel
from pyrep_mujoco.scene.compose import compose, scene_label
from pyrep_mujoco.scene.health import check_motion
from pyrep_mujoco.scene.state import CARRIED, MUTABLE, State, carry
from pyrep_mujoco.scene.tree import ObjectTree
from pyrep_mujoco.scene.welds import ROBOT_TYPE, WORLD_TYPE
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.vision.observer import MujocoObserver, open_viewer

_FRAMES = {"force_sensor": MujocoForceSensor, "path": MujocoPath}
Kind = TypeVar("Kind", bound=MujocoObject)


class MujocoEngine(ObjectTree):
    """Base scene, robot and one task, simulated by MuJoCo.

    Attributes:
        label: what messages call the scene.
        changes: what the episode changed that is no field of the model.
        editor: makes shapes.
    """

    name = "mujoco"
    version = mujoco.__version__

    def __init__(self, scene: Path, robot: RobotModel = PANDA) -> None:
        self.scene, self.label = scene, scene_label(scene)
        self.robot = robot
        self.model, self.notes = compose(scene, robot)
        self.data = mujoco.MjData(self.model)
        self.substeps = round(STEP / self.model.opt.timestep)
        self.robot_bodies = frozenset(self._physical_tree(self.model.body(robot.root).id))
        self._scene_parents = self._read_parents()
        kinds = self.notes.kinds
        self._bonds = frozenset(
            self.model.body(name).id for name in kinds if kinds[name] == "force_sensor"
        )
        self._parents = dict(self._scene_parents)
        self._followers: dict[int, Floats] = {}
        self.changes = Changes()
        self.held, self._held_from = {}, {}
        self._start: State | None = None
        self._use(self.prepare(self.model))
        self._objects = self._make_objects()
        self._by_body = {obj.body: obj for obj in self._objects.values()}
        free = set(np.flatnonzero(self.model.jnt_type == mujoco.mjtJoint.mjJNT_FREE))
        self._joints = {
            self.model.joint(j).name: MujocoJoint(self, self.model.joint(j).name, j)
            for j in range(self.model.njnt)
            if j not in free
        }
        self._links = {j.body: j for j in self._joints.values()}
        for body, joint in self._links.items():
            if self.model.body(body).name == joint.get_name():
                self._by_body[body] = joint  # made for a joint without a shape
        self.editor = Editor(self)
        self.reset()

    # ---- construction -------------------------------------------------------------------

    def prepare(self, model: mujoco.MjModel) -> Compiled:
        """Set a new model's collision bits and index it."""
        solid = (model.geom_contype | model.geom_conaffinity) != 0
        # The robot has a bit of its own, so that a held object can spare the fingers.
        robot = np.isin(model.geom_bodyid, list(self.robot_bodies))
        model.geom_contype[solid] = np.where(robot[solid], ROBOT_TYPE, WORLD_TYPE)
        model.geom_conaffinity[solid] = ROBOT_TYPE | WORLD_TYPE
        free = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
        names = [model.equality(e).name for e in range(model.neq)]
        return Compiled(
            model,
            {name: getattr(model, name).copy() for name in MUTABLE},
            solid,
            {int(model.jnt_bodyid[j]): int(model.jnt_qposadr[j]) for j in free},
            {int(model.eq_obj2id[e]): e for e, n in enumerate(names) if n.startswith("grasp:")},
        )

    def _use(self, compiled: Compiled) -> None:
        self.model, self.compiled = compiled.model, compiled
        self.solid = compiled.solid.copy()
        self._free_qpos, self._welds = compiled.free_qpos, compiled.welds
        for name, value in compiled.pristine.items():
            getattr(self.model, name)[:] = value

    def adopt(self, compiled: Compiled) -> None:
        """Go on with a model that has more, or fewer, bodies at its end."""
        before, data, solid = self.model, self.data, self.solid
        fields = {name: getattr(before, name).copy() for name in MUTABLE}
        self._use(compiled)
        self.data = mujoco.MjData(self.model)
        for name, value in fields.items():
            carry(value, getattr(self.model, name))
        carry(solid, self.solid)
        for name in CARRIED:
            carry(getattr(data, name), getattr(self.data, name))
        self.data.time = data.time
        mujoco.mj_forward(self.model, self.data)

    def _read_parents(self) -> dict[int, int]:
        parents = {b: int(self.model.body_parentid[b]) for b in range(1, self.model.nbody)}
        names = {self.model.body(b).name: b for b in range(1, self.model.nbody)}
        for child, parent in self.notes.parents.items():
            for name in (child, parent):
                if name not in names:
                    raise SceneError(
                        f"{self.label}: annotation parent:{child} = {parent} names "
                        f"{name!r}, which is no body of the scene"
                    )
            parents[names[child]] = names[parent]
        return parents

    def _make_objects(self) -> dict[str, MujocoObject]:
        objects: dict[str, MujocoObject] = {}
        for body in range(1, self.model.nbody):
            name = self.model.body(body).name
            if name in self.notes.sensors:
                objects[name] = MujocoProximitySensor(self, name, body)
            elif self.model.body_geomnum[body] > 0:
                objects[name] = MujocoShape(self, name, body)
            else:
                kind = _FRAMES.get(self.notes.kinds.get(name, ""), MujocoDummy)
                objects[name] = kind(self, name, body)
        return objects

    # ---- look-up ------------------------------------------------------------------------

    def _find(self, name: str, kind: type[Kind], pool: Mapping[str, MujocoObject]) -> Kind:
        found = pool.get(name)
        if isinstance(found, kind) and found.still_exists():
            return found
        there = [n for n, o in pool.items() if isinstance(o, kind) and o.still_exists()]
        what = kind.__name__.removeprefix("Mujoco").lower()
        raise SceneError(f"{self.label} has no {what} named {name!r}; {near_names(name, there)}")

    def shape(self, name: str) -> MujocoShape:
        """Look a shape up by name."""
        return self._find(name, MujocoShape, self._objects)

    def dummy(self, name: str) -> MujocoDummy:
        """Look a dummy up by name."""
        return self._find(name, MujocoDummy, self._objects)

    def sensor(self, name: str) -> MujocoProximitySensor:
        """Look a proximity sensor up by name."""
        return self._find(name, MujocoProximitySensor, self._objects)

    def joint(self, name: str) -> MujocoJoint:
        """Look a hinge or slide up by name."""
        return self._find(name, MujocoJoint, self._joints)

    def joints(self) -> list[MujocoJoint]:
        """Return all hinges and slides, the robot's too."""
        return list(self._joints.values())

    def task_joints(self) -> list[MujocoJoint]:
        """Return the hinges and slides that are not part of the robot."""
        return [j for j in self._joints.values() if j.body not in self.robot_bodies]

    def object_names(self) -> list[str]:
        """Return the names of all body-like objects, in the model's order."""
        return [name for name, obj in self._objects.items() if obj.still_exists()]

    def has(self, name: str) -> bool:
        """Tell whether an object of that name exists."""
        return name in self._objects and self._objects[name].still_exists()

    def object(self, name: str) -> MujocoObject:
        """Look any body-like object up by name."""
        return self._find(name, MujocoObject, self._objects)

    def path_points(self, name: str) -> list[Floats]:
        """Return the (4, 4) world poses of a Cartesian path; empty when `name` is none.

        Raises:
            SceneError: the annotation is not rows of seven numbers.
        """
        text = self.notes.paths.get(name)
        if text is None:
            return []
        try:
            poses = [np.array([float(v) for v in row.split()]) for row in text.split(";")]
        except ValueError:
            poses = []
        if not poses or any(pose.shape != (7,) for pose in poses):
            raise SceneError(
                f"{self.label}: path:{name} must be rows `x y z qx qy qz qw` split by `;`"
            )
        base = self.dummy(name).transform()
        return [base @ tf.pose_to_transform(pose) for pose in poses]

    def object_of_body(self, body: int) -> MujocoObject:
        """Return the object of a body id."""
        return self._by_body[body]

    def object_of_handle(self, handle: int) -> MujocoObject:
        """Return the object of a handle."""
        if handle < JOINT_HANDLES:
            return self._by_body[handle]
        return self._joints[self.model.joint(handle - JOINT_HANDLES).name]

    def mask_names(self) -> dict[int, str]:
        """Return handle -> name of all shapes, the robot's and the base scene's too."""
        self.editor.build_all()
        shapes = (o for o in self._objects.values() if isinstance(o, MujocoShape))
        return {o.get_handle(): o.get_name() for o in shapes if o.still_exists()}

    def observer(self, shadows: bool = False) -> MujocoObserver:
        """Return what records this scene."""
        return MujocoObserver(self, shadows)

    def shapes(self) -> list[MujocoShape]:
        """Return all shapes that are not part of the robot."""
        self.editor.build_all()
        return [
            o
            for o in self._objects.values()
            if isinstance(o, MujocoShape) and o.still_exists() and o.body not in self.robot_bodies
        ]

    @property
    def scene_version(self) -> Hashable:
        """Another value whenever there are other shapes, or other flags."""
        self.editor.build_all()
        changes = self.changes
        flags = frozenset(changes.flags.items()), frozenset(changes.removed)
        return id(self.model), self.solid.tobytes(), flags, self.editor.bodies()

    def shapes_touch(self, a: MujocoShape, b: MujocoShape) -> bool:
        """Tell whether two shapes intersect (all their geoms, whatever their flags)."""
        data = self.data
        for g in a.geoms:
            for h in b.geoms:
                gap = np.linalg.norm(data.geom_xpos[g] - data.geom_xpos[h])
                if gap > self.model.geom_rbound[g] + self.model.geom_rbound[h]:
                    continue
                if mujoco.mj_geomDistance(self.model, data, g, h, 1.0, None) <= 0:
                    return True
        return False

    # ---- time ---------------------------------------------------------------------------

    def reset(self) -> None:
        """Bring the scene back to how it was compiled, or to where `remember_start` was called."""
        self._controls: Floats | None = None
        if self._start is not None:
            self.set_state(self._start)
            return
        self.held, self._held_from, self._followers = {}, {}, {}
        self.editor.clear()
        self._use(self.compiled)
        self._parents = dict(self._scene_parents)
        self.changes = Changes()
        self.fall_asleep()
        mujoco.mj_resetData(self.model, self.data)
        for name, value in self.notes.joint_values.items():
            self.data.qpos[self.model.joint(name).qposadr[0]] = value
        self.refresh()
        for body, parent in self._scene_parents.items():
            if parent in self._bonds:
                self.bond(body)
        mujoco.mj_forward(self.model, self.data)

    def remember_start(self) -> None:
        """Make this moment the one that `reset` brings back."""
        self._start = self.get_state()

    def control_rows(self) -> Floats:
        """Return the (substeps, actuators) controls of the next step, for writing."""
        if self._controls is None:
            self._controls = np.tile(self.data.ctrl, (self.substeps, 1))
        return self._controls

    def set_controls(self, actuators: np.ndarray, values: Floats) -> None:
        """Let (n,) actuators hold `values` from now on, also in a step that is already written."""
        self.data.ctrl[actuators] = values
        if self._controls is not None:
            self._controls[:, actuators] = values

    def step(self) -> None:
        """Advance 50 ms under the controls written for this step; others hold."""
        self.editor.build_all()
        controls, self._controls = self._controls, None
        drives = [(self.joint(name), drive) for name, drive in self.changes.drives.items()]
        for i in range(self.substeps):
            if controls is not None:
                self.data.ctrl[:] = controls[i]
            for joint, drive in drives:
                joint.push(drive)
            before = self.data.qpos.copy() if self.changes.asleep else None
            mujoco.mj_step(self.model, self.data)
            if before is not None:
                self.stay_asleep(before)
        check_motion(self.data, self.label)
        for body, T in self.changes.parked.items():
            if self.is_free(body):
                self._place(body, T)
        # Positions moved last: make world poses and contacts those of the new moment.
        mujoco.mj_kinematics(self.model, self.data)
        self.follow()
        mujoco.mj_comPos(self.model, self.data)

    def get_state(self) -> State:
        """Return everything `set_state` needs."""
        made = self.editor.snapshot()
        spec = mujoco.mjtState.mjSTATE_INTEGRATION
        physics = np.empty(mujoco.mj_stateSize(self.model, spec))
        mujoco.mj_getState(self.model, self.data, physics, spec)
        return State(
            physics,
            {name: getattr(self.model, name).copy() for name in MUTABLE},
            dict(self._parents),
            dict(self._followers),
            dict(self.held),
            dict(self._held_from),
            self.solid.copy(),
            self.changes.copy(),
            made,
        )

    def set_state(self, state: State) -> None:
        """Restore a state saved by `get_state`."""
        self.held = {}
        self.editor.restore(state.made)
        for name, value in state.model.items():
            getattr(self.model, name)[:] = value
        self._parents, self._followers = dict(state.parents), dict(state.followers)
        self.held, self._held_from = dict(state.held), dict(state.held_from)
        self.solid[:] = state.solid
        self.changes = state.changes.copy()
        mujoco.mj_resetData(self.model, self.data)
        mujoco.mj_setState(
            self.model, self.data, state.physics, mujoco.mjtState.mjSTATE_INTEGRATION
        )
        mujoco.mj_forward(self.model, self.data)

    def open_viewer(self) -> Any:
        """Open MuJoCo's own viewer on the running simulation.

        Raises:
            SceneError: there is no display.
        """
        return open_viewer(self)
