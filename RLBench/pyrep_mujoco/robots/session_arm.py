"""An arm of a session's scene: its chain of joints, and what is in its way."""

from collections.abc import Sequence

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import CallError
from pyrep_mujoco.motion.arm_planner import ArmPlan, ArmPlanner
from pyrep_mujoco.motion.chains import Chain, form_of
from pyrep_mujoco.session.document import NOT_COLLIDABLE, Document
from pyrep_mujoco.session.physics.body_plan import carrier_frame
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.reading.model import COLLIDABLE, Dummy, IkConstraints, Joint, Shape
from pyrep_mujoco.world import Flags

_MOST_TURN = 2 * np.pi
"""Limits beyond count as these: planning would look for the same poses in all turns."""


class SessionArm:
    """Joints between a base and a tip."""

    def __init__(self, session: Session, joints: list[int], tip: int) -> None:
        """Take an arm.

        Args:
            session: the scene.
            joints: handles, from the base.
            tip: handle of the frame that reaches poses.
        """
        self._session, self._joints, self._tip = session, joints, tip
        document, root = session.document, joints[0]
        while (parent := document.get(root).parent) is not None:
            root = parent
        self._root = root
        self._parts = frozenset(document.tree(root))
        self._planner: tuple[tuple[object, ...], ArmPlanner] | None = None
        self._loops: tuple[mujoco.MjModel, tuple[int, ...]] | None = None

    @property
    def constraints(self) -> IkConstraints:
        """What of a pose the tip must reach."""
        return self._session.document.of_kind(self._tip, Dummy, "dummy").reaches

    @constraints.setter
    def constraints(self, constraints: IkConstraints) -> None:
        self._session.document.of_kind(self._tip, Dummy, "dummy").reaches = constraints

    def plan(self) -> ArmPlan:
        """Plan from where everything is now.

        Raises:
            CallError: an object of the arm is gone.
            SceneError: the joints do not move the tip.
        """
        session = self._session
        model, data = session.model, session.data
        chain = self._chain()
        numbers = tuple(a.tobytes() for a in (chain.lower, chain.upper, chain.T_body_tip))
        key = (model, chain.joints, chain.tip_body, chain.constraints, numbers)
        if self._planner is None or self._planner[0] != key:
            self._planner = key, ArmPlanner(model, chain)
        # CoppeliaSim looks at an arm as its file has it: what hangs on it since, as what a hand
        # holds, is in nothing's way.
        is_part = np.isin(session.built.geom_handles, list(self._parts))
        return self._planner[1].begin(data, self._obstacles(model), is_part)

    def touched(self) -> set[int]:
        """Return the handles of the collidable shapes that the arm touches."""
        handles = self._session.built.geom_handles
        own = {int(handles[geom]) for geom in self.plan().touched()}
        return own | {shape for shape, solid in _stand_ins(self._session).items() if solid in own}

    def jacobian(self) -> Floats:
        """Return (m, joints) the tip's velocity for that of each joint; see `constraints`.

        The turning is about the world's axes, or the tip's own where one of them does not count.
        """
        J, wanted = self.plan().jacobian(), np.array(self.constraints)
        if not wanted[3:].all():
            J[3:] = self._session.document.world(self._tip)[:3, :3].T @ J[3:]
        kept: Floats = J[wanted]
        return kept

    def followers(self, values: Sequence[float]) -> dict[int, float]:
        """Return joint -> value [rad or m] of joints that links move along with the arm's.

        Args:
            values: of the arm's joints [rad or m]; they must not have been set yet.
        """
        built = self._session.built
        if self._loops is None or self._loops[0] is not built.model:
            self._loops = built.model, form_of(built.model, self._chain()).followers
        followers = self._loops[1]
        if not followers:
            return {}
        whole = self.plan().kinematics.with_followers(np.asarray(values, np.float64))
        handles = {number: handle for handle, number in built.joints.items()}
        named = zip(followers, whole[len(self._joints) :].tolist(), strict=True)
        return {handles[joint]: value for joint, value in named}

    # ---- the chain ----------------------------------------------------------------------

    def _chain(self) -> Chain:
        document, built = self._session.document, self._session.built
        joints = [document.of_kind(handle, Joint, "joint") for handle in self._joints]
        loose = [joint.name for joint in joints if joint.handle not in built.joints]
        if loose:
            raise CallError(f"{document.label}: nothing hangs on {', '.join(loose)}")
        limits = np.array([self._limits(joint) for joint in joints])
        carrier = built.plan.carriers.get(self._tip)
        tip = document.of_kind(self._tip, Dummy, "dummy")
        if carrier is None:
            raise CallError(f"{document.label}: no joint moves {tip.name}")
        T: Floats = tf.invert(carrier_frame(document, carrier)) @ document.world(self._tip)
        ids = tuple(built.joints[handle] for handle in self._joints)
        # Rounded: the last bits of where a moving arm is must not make another chain of it.
        T, number = np.round(T, 9), built.body_ids[carrier]
        return Chain(ids, limits[:, 0], limits[:, 1], number, T, tip.reaches)

    def _limits(self, joint: Joint) -> tuple[float, float]:
        if joint.is_cyclic:
            here = round(joint.value, 1)  # the chain stays the same while it moves a little
            return here - np.pi, here + np.pi
        if joint.kind == "prismatic":
            return joint.lower, joint.upper
        return max(joint.lower, -_MOST_TURN), min(joint.upper, _MOST_TURN)

    # ---- what is in the way -------------------------------------------------------------

    def _obstacles(self, model: mujoco.MjModel) -> Flags:
        """Return (ngeom,) what counts as collidable.

        CoppeliaSim looks at the drawn meshes of collidable shapes. MuJoCo meets convex forms only:
        a shape that is drawn as any mesh counts where it hangs on a solid one, by that one's forms.
        """
        document, built = self._session.document, self._session.built
        solid = (model.geom_contype | model.geom_conaffinity) != 0
        has_form = solid | (model.geom_type != mujoco.mjtGeom.mjGEOM_MESH)
        counted = _collidable(document)
        convex = [h for h in counted if document.of_kind(h, Shape, "shape").is_convex]
        has_form |= np.isin(built.geom_handles, convex)
        standing = set(_stand_ins(self._session).values())
        direct: Flags = np.isin(built.geom_handles, list(counted)) & has_form
        indirect: Flags = np.isin(built.geom_handles, list(standing)) & solid
        return (direct | indirect) & ~np.isin(built.geom_handles, self._carried())

    def _carried(self) -> list[int]:
        """Return the handles of what the hand holds: it moves along with the arm."""
        document, own = self._session.document, set(self._session.document.tree(self._root))
        held = [b.handle for b in self._session.built.plan.bodies if b.hold in own]
        return [handle for each in held for handle in document.tree(each)]


def _collidable(document: Document) -> set[int]:
    """Return the handles of all collidable shapes."""
    return {
        obj.handle
        for obj in document
        if isinstance(obj, Shape)
        and obj.special & COLLIDABLE
        and not document.overrides(obj.handle) & NOT_COLLIDABLE
    }


def _stand_ins(session: Session) -> dict[int, int]:
    """Return collidable shapes that are not solid -> the solid shape that they hang on."""
    document, built = session.document, session.built
    model = built.model
    solid_geoms = (model.geom_contype | model.geom_conaffinity) != 0
    solid = {int(h) for h in built.geom_handles[solid_geoms]}
    found = {}
    for handle in _collidable(document) - solid:
        parent = document.get(handle).parent
        if parent is not None and parent in solid:
            found[handle] = parent
    return found
