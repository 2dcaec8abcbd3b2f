"""Physics of a document: compiles it when its tree has changed, steps, brings the news back.

The document holds between steps. What a caller moved there is written into MuJoCo's state before it
is needed, and where physics moved things is written back after each step.
"""

from collections.abc import Sequence

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.constants import STEP
from pyrep_mujoco.scene.compose import TIMESTEP
from pyrep_mujoco.scene.health import check_motion
from pyrep_mujoco.session.document import Document
from pyrep_mujoco.session.physics.body_plan import carrier_frame, plan_bodies, zero_frame
from pyrep_mujoco.session.physics.building import Built, build, light_frame
from pyrep_mujoco.session.physics.holds import Holds
from pyrep_mujoco.session.physics.motors import Motors
from pyrep_mujoco.session.physics.sleep import Sleep
from pyrep_mujoco.transforms import Floats, quick_quat_wxyz
from pyrep_mujoco.ttm.mjcf.geoms import DRAWN
from pyrep_mujoco.ttm.reading.model import Joint, Light
from pyrep_mujoco.ttm.reading.parts import Part


class Physics:
    """MuJoCo's model and state of one document.

    Attributes:
        step_seconds: duration of a step that a caller asks for [s].
        time: simulated since the start [s].
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self.step_seconds = STEP
        self.time = 0.0
        self._built: Built | None = None
        self._data: mujoco.MjData | None = None
        self._motors: Motors | None = None
        self._tree_changed = True
        self._must_build = True
        self._moved: set[int] = set()
        self._all_moved = True
        self._velocities: dict[int, Floats] = {}
        self._wrenches: dict[int, Floats] = {}
        self._sleep = Sleep(document)
        self._holds = Holds(document)
        self._dependent: list[Joint] = []

    # ---- what callers changed -----------------------------------------------------------

    def changed(self) -> None:
        """Note that objects came or went, or became something else: a new model is needed."""
        self._keep_velocities()
        self._must_build = True

    def hung(self) -> None:
        """Note that an object hangs elsewhere: a new model may be needed."""
        self._keep_velocities()
        self._tree_changed = True

    def moved(self, handle: int | None = None) -> None:
        """Note that an object was moved by hand with all below it; None: who knows what."""
        self._holds.forget(handle)
        if handle is None:
            self._all_moved = True
        else:
            self._moved.add(handle)

    def set_timestep(self, seconds: float) -> None:
        """Set the duration of a step that a caller asks for [s]."""
        self.step_seconds = float(seconds)
        if self._built is not None:
            self._built.model.opt.timestep = self._substep()

    def _substep(self) -> float:
        return self.step_seconds / self._substeps()

    def _substeps(self) -> int:
        return max(round(self.step_seconds / TIMESTEP), 1)

    def repaint(self, handle: int, parts: Sequence[Part]) -> None:
        """Note that a shape's parts have other colours; the model is not made anew for that."""
        built = self._built
        if built is None or self._must_build:
            return
        for geom in np.flatnonzero(built.geom_handles == handle):
            part = parts[int(built.geom_parts[geom])]
            rgba = [*np.clip(part.color.rgb, 0.0, 1.0), part.color.opacity]
            if built.model.geom_group[geom] == int(DRAWN):
                built.model.geom_rgba[geom] = rgba

    def relight(self, light: Light) -> None:
        """Note that a light shines otherwise, or stands elsewhere in its body."""
        built = self._built
        if built is None or self._must_build or light.handle not in built.lights:
            return
        model, number = built.model, built.lights[light.handle]
        T = light_frame(self._document, built.plan.carriers[light.handle], light)
        model.light_pos[number], model.light_dir[number] = T[:3, 3], T[:3, 2]
        model.light_active[number] = light.is_on
        model.light_diffuse[number] = light.diffuse
        model.light_specular[number] = light.specular
        if light.kind == "spot":
            model.light_cutoff[number] = np.rad2deg(light.cutoff)

    # ---- the model ----------------------------------------------------------------------

    @property
    def built(self) -> Built:
        """The model of the document as it is now."""
        self.refresh()
        assert self._built is not None
        return self._built

    @property
    def data(self) -> mujoco.MjData:
        """The state of the document as it is now, world poses included."""
        self.refresh()
        assert self._data is not None
        return self._data

    @property
    def motors(self) -> Motors:
        """What drives the joints."""
        self.refresh()
        assert self._motors is not None
        return self._motors

    def refresh(self) -> None:
        """Make model and state those of the document."""
        if self._built is not None and self._tree_changed and not self._must_build:
            plan = plan_bodies(self._document)
            if set(plan.bodies) != set(self._built.plan.bodies):
                self._must_build = True
            else:
                self._built.plan.carriers.update(plan.carriers)
        self._tree_changed = False
        if self._built is None or self._must_build:
            self._build()
        if self._moved or self._all_moved:
            self._push()

    def _build(self) -> None:
        self._keep_velocities()
        self._built = build(self._document, self._substep())
        self._data = mujoco.MjData(self._built.model)
        forces = {} if self._motors is None else self._motors.forces
        self._motors = Motors(self._document, self._built, forces)
        joints = [obj for obj in self._document if isinstance(obj, Joint)]
        self._dependent = [joint for joint in joints if joint.mode == "dependent"]
        self._data.time = self.time
        self._must_build = False
        for handle, velocity in self._velocities.items():
            start, count = self._dofs(handle)
            if count == len(velocity):
                self._data.qvel[start : start + count] = velocity
        self._all_moved = True

    def _keep_velocities(self) -> None:
        """Remember how fast bodies and joints move, for the next model."""
        if self._built is None or self._data is None or self._must_build:
            return
        self._velocities = {}
        for handle in [*self._built.free, *self._built.joints]:
            start, count = self._dofs(handle)
            self._velocities[handle] = self._data.qvel[start : start + count].copy()
        held = [b.handle for b in self._built.plan.bodies if b.carrier is not None]
        if held:
            mujoco.mj_comVel(self._built.model, self._data)
        for handle in held:
            self._velocities.setdefault(handle, self._as_free(self._built.body_ids[handle]))

    def _as_free(self, body: int) -> Floats:
        """Return the (6,) velocity of a body that is held, as a free joint would have it."""
        assert self._built is not None
        assert self._data is not None
        turning, out = np.zeros(6), np.zeros(6)
        kind = mujoco.mjtObj.mjOBJ_XBODY
        mujoco.mj_objectVelocity(self._built.model, self._data, kind, body, out, 0)
        mujoco.mj_objectVelocity(self._built.model, self._data, kind, body, turning, 1)
        return np.concatenate([out[3:], turning[:3]])

    def _dofs(self, handle: int) -> tuple[int, int]:
        """Return the first degree of freedom of a free body or a joint, and how many it has."""
        built = self._built
        assert built is not None
        model = built.model
        if handle in built.free:
            return int(model.body_dofadr[built.body_ids[handle]]), 6
        if handle in built.joints:
            number = built.joints[handle]
            is_ball = model.jnt_type[number] == mujoco.mjtJoint.mjJNT_BALL
            return int(model.jnt_dofadr[number]), 3 if is_ball else 1
        return 0, 0

    # ---- document to MuJoCo -------------------------------------------------------------

    def _push(self) -> None:
        built, data, document = self._built, self._data, self._document
        assert built is not None
        assert data is not None
        model = built.model
        bodies = built.plan.bodies
        if not self._all_moved:
            trees = [document.tree(h) for h in self._moved if h in document]
            moved = {handle for tree in trees for handle in tree}
            bodies = [b for b in bodies if b.handle in moved or b.joint in moved]
        for body in bodies:
            T = zero_frame(document, body)
            if body.is_free:
                start = built.free[body.handle]
                data.qpos[start : start + 3] = T[:3, 3]
                data.qpos[start + 3 : start + 7] = quick_quat_wxyz(T[:3, :3])
                continue
            if body.carrier is not None:
                T = tf.invert(carrier_frame(document, body.carrier)) @ T
            number = built.body_ids[body.handle]
            model.body_pos[number] = T[:3, 3]
            model.body_quat[number] = quick_quat_wxyz(T[:3, :3])
            if body.joint is not None:
                self._push_joint(body.joint)
        self._holds.apply(model, built.plan)
        for handle in built.lights:
            self.relight(document.of_kind(handle, Light, "light"))
        self._moved.clear()
        self._all_moved = False
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)

    def _push_joint(self, handle: int) -> None:
        assert self._built is not None
        assert self._data is not None
        joint = self._document.of_kind(handle, Joint, "joint")
        start = self._built.model.jnt_qposadr[self._built.joints[handle]]
        if joint.kind == "spherical":
            self._data.qpos[start : start + 4] = [1.0, 0.0, 0.0, 0.0]
        else:
            self._data.qpos[start] = joint.value

    # ---- time ---------------------------------------------------------------------------

    def step(self) -> None:
        """Simulate one step of `step_seconds`."""
        self.refresh()
        built, data, motors = self._built, self._data, self._motors
        assert built is not None
        assert data is not None
        assert motors is not None
        self._follow_masters()
        motors.prepare()
        for handle, wrench in self._wrenches.items():
            if handle in built.body_ids:
                data.xfrc_applied[built.body_ids[handle]] = wrench
        asleep = self._sleep.sleeping(built)
        for _ in range(self._substeps()):
            before = data.qpos.copy() if asleep else None
            mujoco.mj_step1(built.model, data)
            motors.push(data)
            mujoco.mj_step2(built.model, data)
            motors.hold_kinematic(data)
            if before is not None:
                self._sleep.undo_step(asleep, built, data, before)
        check_motion(data, self._document.label)
        motors.read_forces(data)
        data.xfrc_applied[:] = 0.0
        self._wrenches = {}
        self.time += self.step_seconds
        mujoco.mj_kinematics(built.model, data)
        mujoco.mj_comPos(built.model, data)
        mujoco.mj_camlight(built.model, data)
        self._pull()
        self._follow_masters()

    def _follow_masters(self) -> None:
        """Bring dependent joints to where their masters want them."""
        for joint in self._dependent:
            if joint.master is None or joint.master[0] not in self._document:
                continue
            master, factor, offset = joint.master
            above = self._document.of_kind(master, Joint, "joint")
            value = offset + factor * above.value
            if joint.is_hybrid:
                joint.target_position = value
            elif value != joint.value:
                joint.value = value
                self._document.moved(joint.handle)
                self._moved.add(joint.handle)
        self.refresh()

    def _pull(self) -> None:
        """Bring where physics moved things back into the document."""
        built, data, document = self._built, self._data, self._document
        assert built is not None
        assert data is not None
        for handle in built.driven:
            joint = document.of_kind(handle, Joint, "joint")
            start = built.model.jnt_qposadr[built.joints[handle]]
            if joint.kind == "spherical":
                self._pull_ball(joint, start)
            else:
                joint.value = joint.wrapped(float(data.qpos[start]))
        poses = {}
        for handle in built.free:
            number = built.body_ids[handle]
            poses[handle] = tf.transform(data.xpos[number], data.xmat[number].reshape(3, 3))
        document.settle(poses)

    def _pull_ball(self, joint: Joint, start: int) -> None:
        """Turn a ball's zero, which is where it was, on to where it is."""
        assert self._data is not None
        turned = joint.motion[:3, :3] @ tf.quat_wxyz_to_matrix(self._data.qpos[start : start + 4])
        joint.quaternion = quick_quat_wxyz(turned)
        self._all_moved = True

    # ---- motion -------------------------------------------------------------------------

    def stop(self, handle: int) -> None:
        """Bring a free body, or a joint, to rest."""
        self._velocities.pop(handle, None)
        if self._built is None or self._data is None:
            return
        start, count = self._dofs(handle)
        self._data.qvel[start : start + count] = 0.0

    def restart(self) -> None:
        """Begin at time zero; what starts asleep sleeps again."""
        self.time = 0.0
        self._sleep.woken.clear()

    def add_wrench(self, handle: int, force: Floats, torque: Floats) -> None:
        """Let a force [N] and a torque [N m], world, act on a body in the next step, as well.

        The force acts at the centre of mass.
        """
        self._sleep.woken.add(handle)
        self._wrenches[handle] = self._wrenches.get(handle, np.zeros(6)) + np.r_[force, torque]

    def clear_wrench(self, handle: int, force: bool, torque: bool) -> None:
        """Forget the force, or the torque, that was added to a body for the next step."""
        wrench = self._wrenches.setdefault(handle, np.zeros(6))
        if force:
            wrench[:3] = 0.0
        if torque:
            wrench[3:] = 0.0
