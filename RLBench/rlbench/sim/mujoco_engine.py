"""The default engine: one compiled MuJoCo model per task, reset by data.

The engine owns the scene graph. MuJoCo nests bodies physically; free bodies must be children of
the world, so their place in RLBench's tree comes from the scene's annotations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import mujoco
import numpy as np

from rlbench import transforms as tf
from rlbench.backend.exceptions import SceneError
from rlbench.const import DEMO_DT
from rlbench.sim.compose import compose
from rlbench.sim.mujoco_objects import (
    MujocoDummy,
    MujocoJoint,
    MujocoObject,
    MujocoProximitySensor,
    MujocoShape,
)
from rlbench.sim.mujoco_observer import MujocoObserver, open_viewer
from rlbench.sim.robot_model import PANDA, RobotModel
from rlbench.transforms import Floats

# Model fields that an episode may change; restored on reset and kept in saved states.
_MUTABLE = (
    "body_pos",
    "body_quat",
    "geom_rgba",
    "geom_matid",
    "geom_contype",
    "geom_conaffinity",
    "eq_data",
)
_ROBOT_TYPE, _WORLD_TYPE = 2, 1
Kind = TypeVar("Kind", bound=MujocoObject)


@dataclass(frozen=True)
class State:
    """A moment of the simulation, complete."""

    physics: Floats
    model: dict[str, np.ndarray]
    parents: dict[int, int]
    held: dict[int, Floats]


class MujocoEngine:
    """Base scene, robot and one task, simulated by MuJoCo."""

    name = "mujoco"
    version = mujoco.__version__

    def __init__(self, scene: Path, robot: RobotModel = PANDA) -> None:
        self.scene = scene
        self.robot = robot
        self.model, self.notes = compose(scene, robot)
        self.data = mujoco.MjData(self.model)
        self.substeps = round(DEMO_DT / self.model.opt.timestep)
        self.robot_bodies = frozenset(self._physical_tree(self.model.body(robot.root).id))
        self._set_collision_bits()
        self._pristine = {name: getattr(self.model, name).copy() for name in _MUTABLE}
        self._scene_parents = self._read_parents()
        self._parents = dict(self._scene_parents)
        self._free_qpos = {
            int(self.model.jnt_bodyid[j]): int(self.model.jnt_qposadr[j])
            for j in range(self.model.njnt)
            if self.model.jnt_type[j] == mujoco.mjtJoint.mjJNT_FREE
        }
        self._welds = {
            int(self.model.eq_obj2id[e]): e
            for e in range(self.model.neq)
            if self.model.equality(e).name.startswith("grasp:")
        }
        self.held: dict[int, Floats] = {}
        self._objects = self._make_objects()
        self._joints = {
            self.model.joint(j).name: MujocoJoint(self, self.model.joint(j).name, j)
            for j in range(self.model.njnt)
            if j not in self._free_joints()
        }
        self.reset()

    # ---- construction -------------------------------------------------------------------

    def _free_joints(self) -> set[int]:
        kinds = self.model.jnt_type
        return {j for j in range(self.model.njnt) if kinds[j] == mujoco.mjtJoint.mjJNT_FREE}

    def _physical_tree(self, root: int) -> list[int]:
        out = [root]
        for body in range(root + 1, self.model.nbody):
            if self.model.body_parentid[body] in out:
                out.append(body)
        return out

    def _set_collision_bits(self) -> None:
        """Give the robot a bit of its own, so that a held object can spare the fingers."""
        model = self.model
        solid = (model.geom_contype | model.geom_conaffinity) != 0
        robot = np.isin(model.geom_bodyid, list(self.robot_bodies))
        model.geom_contype[solid] = np.where(robot[solid], _ROBOT_TYPE, _WORLD_TYPE)
        model.geom_conaffinity[solid] = _ROBOT_TYPE | _WORLD_TYPE

    def _read_parents(self) -> dict[int, int]:
        parents = {b: int(self.model.body_parentid[b]) for b in range(1, self.model.nbody)}
        names = {self.model.body(b).name: b for b in range(1, self.model.nbody)}
        for child, parent in self.notes.parents.items():
            for name in (child, parent):
                if name not in names:
                    raise SceneError(
                        f"{self.scene.name}: annotation parent:{child} = {parent} names "
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
                objects[name] = MujocoDummy(self, name, body)
        return objects

    # ---- look-up ------------------------------------------------------------------------

    def _find(self, name: str, kind: type[Kind], pool: Mapping[str, MujocoObject]) -> Kind:
        found = pool.get(name)
        if isinstance(found, kind):
            return found
        there = sorted(n for n, o in pool.items() if isinstance(o, kind))
        what = kind.__name__.removeprefix("Mujoco").lower()
        raise SceneError(f"{self.scene.name} has no {what} named {name!r}; it has {there}")

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
        return list(self._objects)

    def has(self, name: str) -> bool:
        """Tell whether an object of that name exists."""
        return name in self._objects

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
                f"{self.scene.name}: path:{name} must be rows `x y z qx qy qz qw` split by `;`"
            )
        base = self.dummy(name).transform()
        return [base @ tf.pose_to_transform(pose) for pose in poses]

    def object_of_body(self, body: int) -> MujocoObject:
        """Return the object of a body id."""
        return self._objects[self.model.body(body).name]

    object_of_handle = object_of_body

    def observer(self, shadows: bool = False) -> MujocoObserver:
        """Return what records this scene."""
        return MujocoObserver(self.model, self.data, shadows)

    def shapes(self) -> list[MujocoShape]:
        """Return all shapes that are not part of the robot."""
        return [
            o
            for o in self._objects.values()
            if isinstance(o, MujocoShape) and o.body not in self.robot_bodies
        ]

    # ---- scene graph --------------------------------------------------------------------

    def parent_of(self, body: int) -> int:
        """Return the logical parent's body id, 0 at the top."""
        return self._parents[body]

    def tree(self, body: int) -> list[int]:
        """Return a body and its logical descendants, parents first."""
        out = [body]
        for current in out:
            out.extend(b for b, parent in self._parents.items() if parent == current)
        return out

    def reparent(self, body: int, parent: int) -> None:
        """Change a logical parent.

        Raises:
            SceneError: a fixed object would have to follow a moving one, which a compiled
                model cannot do, or the graph would become a cycle.
        """
        name = self.model.body(body).name
        if parent in self.tree(body):
            raise SceneError(f"{name} cannot become a child of its own descendant")
        moves = parent != 0 and self.model.body_weldid[parent] != 0
        if moves and body not in self._free_qpos and self.model.body_parentid[body] != parent:
            raise SceneError(
                f"{name} is fixed in {self.scene.name}: it cannot follow the moving "
                f"{self.model.body(parent).name}; nest it there in the MJCF"
            )
        self._parents[body] = parent

    def world_transform(self, body: int) -> Floats:
        """Return (4, 4) body to world."""
        return tf.transform(self.data.xpos[body], self.data.xmat[body].reshape(3, 3))

    def move(self, body: int, T_new: Floats) -> None:
        """Place a body at (4, 4) world pose; logical descendants keep their relative pose."""
        before = self.world_transform(body)
        followers = [(b, self.world_transform(b)) for b in self.tree(body)[1:]]
        self._place(body, T_new)
        delta = T_new @ tf.invert(before)
        for follower, T_old in followers:
            goal = delta @ T_old
            now = self.world_transform(follower)
            if not np.allclose(now, goal, rtol=0, atol=1e-12):
                self._place(follower, goal)

    def _place(self, body: int, T: Floats) -> None:
        quat = tf.matrix_to_quat_wxyz(T[:3, :3])
        if body in self._free_qpos:
            start = self._free_qpos[body]
            self.data.qpos[start : start + 7] = np.concatenate([T[:3, 3], quat])
            dof = self.model.body_dofadr[body]
            self.data.qvel[dof : dof + 6] = 0.0
        else:
            # xpos = parent * (body_pos, body_quat) * joint motion; keep the joint's value.
            T_parent = self.world_transform(int(self.model.body_parentid[body]))
            local = tf.transform(
                self.model.body_pos[body], tf.quat_wxyz_to_matrix(self.model.body_quat[body])
            )
            motion = tf.invert(T_parent @ local) @ self.world_transform(body)
            goal = tf.invert(T_parent) @ T @ tf.invert(motion)
            self.model.body_pos[body] = goal[:3, 3]
            self.model.body_quat[body] = tf.matrix_to_quat_wxyz(goal[:3, :3])
        self.refresh()

    def refresh(self) -> None:
        """Recompute all world poses from positions."""
        mujoco.mj_kinematics(self.model, self.data)

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
        """Bring the scene back to how it was compiled, at its saved joint values."""
        for name, value in self._pristine.items():
            getattr(self.model, name)[:] = value
        self._parents = dict(self._scene_parents)
        self.held = {}
        self._controls: Floats | None = None
        mujoco.mj_resetData(self.model, self.data)
        for name, value in self.notes.joint_values.items():
            self.data.qpos[self.model.joint(name).qposadr[0]] = value
        mujoco.mj_forward(self.model, self.data)

    def control_rows(self) -> Floats:
        """Return the (substeps, actuators) controls of the next step, for writing."""
        if self._controls is None:
            self._controls = np.tile(self.data.ctrl, (self.substeps, 1))
        return self._controls

    def step(self) -> None:
        """Advance 50 ms under the controls written for this step; others hold."""
        controls, self._controls = self._controls, None
        for i in range(self.substeps):
            if controls is not None:
                self.data.ctrl[:] = controls[i]
            mujoco.mj_step(self.model, self.data)
        # Positions moved last: make world poses and contacts those of the new moment.
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)

    def get_state(self) -> State:
        """Return everything `set_state` needs."""
        spec = mujoco.mjtState.mjSTATE_INTEGRATION
        physics = np.empty(mujoco.mj_stateSize(self.model, spec))
        mujoco.mj_getState(self.model, self.data, physics, spec)
        fields = {name: getattr(self.model, name).copy() for name in _MUTABLE}
        return State(physics, fields, dict(self._parents), dict(self.held))

    def set_state(self, state: State) -> None:
        """Restore a state saved by `get_state`."""
        for name, value in state.model.items():
            getattr(self.model, name)[:] = value
        self._parents, self.held = dict(state.parents), dict(state.held)
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
        return open_viewer(self.model, self.data)

    # ---- grasp --------------------------------------------------------------------------

    def attach(self, body: int, holder: int) -> None:
        """Weld a free body to `holder` where it is; fingers no longer collide with it."""
        if body not in self._welds:
            raise SceneError(f"{self.model.body(body).name} is not free: it cannot be grasped")
        weld = self._welds[body]
        relative = tf.invert(self.world_transform(holder)) @ self.world_transform(body)
        self.model.eq_data[weld, 0:3] = 0.0
        self.model.eq_data[weld, 3:6] = relative[:3, 3]
        self.model.eq_data[weld, 6:10] = tf.matrix_to_quat_wxyz(relative[:3, :3])
        self.data.eq_active[weld] = 1
        solid = self._solid_tree_geoms(body)
        self.model.geom_contype[solid] = 0
        self.model.geom_conaffinity[solid] = _WORLD_TYPE
        self.held[body] = relative
        self._parents[body] = holder

    def detach(self, body: int) -> None:
        """Let a held body go."""
        self.data.eq_active[self._welds[body]] = 0
        solid = self._solid_tree_geoms(body)
        self.model.geom_contype[solid] = _WORLD_TYPE
        self.model.geom_conaffinity[solid] = _ROBOT_TYPE | _WORLD_TYPE
        del self.held[body]
        self._parents[body] = self._scene_parents[body]

    def _solid_tree_geoms(self, body: int) -> np.ndarray:
        bodies = self._physical_tree(body)
        geoms = np.flatnonzero(np.isin(self.model.geom_bodyid, bodies))
        solid = self._pristine["geom_contype"] | self._pristine["geom_conaffinity"]
        return geoms[solid[geoms] != 0]

    def contacts(self, bodies: Sequence[int]) -> set[int]:
        """Return the bodies in contact with any of `bodies` at this moment."""
        mine = set(bodies)
        pairs = self.model.geom_bodyid[self.data.contact.geom]
        touching = {int(b) for a, b in pairs if a in mine} | {int(a) for a, b in pairs if b in mine}
        return touching - mine
