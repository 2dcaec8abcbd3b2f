"""Makes MuJoCo's model of a document, and says which object is what in it."""

from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, SubElement, tostring

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.scene.compose import MAX_REASON, TIMESTEP
from pyrep_mujoco.session.document import NOT_RENDERABLE, NOT_VISIBLE, Document
from pyrep_mujoco.session.physics.body_plan import (
    BodyPlan,
    Plan,
    body_name,
    carrier_frame,
    is_driven,
    is_dynamic,
    is_respondable,
    joint_in_body,
    plan_bodies,
    zero_frame,
)
from pyrep_mujoco.session.physics.closures import add_closures
from pyrep_mujoco.session.physics.holds import add_holds, tune_holds
from pyrep_mujoco.session.physics.kept_assets import KeptAssets
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.mjcf.contacts import masked_pairs
from pyrep_mujoco.ttm.mjcf.format import numbers, pose_attributes
from pyrep_mujoco.ttm.mjcf.geoms import add_geoms
from pyrep_mujoco.ttm.mjcf.inertia import sound_inertia
from pyrep_mujoco.ttm.mjcf.joints import ARMATURE, HELD
from pyrep_mujoco.ttm.reading.model import RENDERABLE, Header, Joint, Light, Scene, Shape
from pyrep_mujoco.world import Ints

_KINDS = {"revolute": "hinge", "prismatic": "slide", "spherical": "ball"}
_LIGHTS = {"directional": "directional", "spot": "spot", "omni": "point"}
_DAMPING = {"hinge": 1e-3, "slide": 1e-2, "ball": 1e-3}
_NO_HEADER = Header(0, 0, False, 0, 0, 0, is_model=False)


@dataclass(frozen=True)
class Built:
    """A compiled model, and what its parts are in the document.

    Attributes:
        model: compiled.
        plan: its bodies.
        body_ids: handle of a body -> its id.
        body_handles: (bodies,) the handle of each body, 0 for the world.
        geom_handles: (geoms,) the handle of each geom's shape, 0 where it has none.
        geom_parts: (geoms,) which part of its shape each geom is of.
        free: handle of a free body -> address in `qpos`.
        joints: handle of a joint -> its id.
        driven: handles of the joints that physics moves.
        lights: handle of a light -> its id.
    """

    model: mujoco.MjModel
    plan: Plan
    body_ids: dict[int, int]
    body_handles: Ints
    geom_handles: Ints
    geom_parts: Ints
    free: dict[int, int] = field(default_factory=dict)
    joints: dict[int, int] = field(default_factory=dict)
    driven: frozenset[int] = frozenset()
    lights: dict[int, int] = field(default_factory=dict)


def is_drawn(document: Document, shape: Shape) -> bool:
    """Tell whether cameras show a shape."""
    hidden = document.overrides(shape.handle) & (NOT_RENDERABLE | NOT_VISIBLE)
    return bool(shape.special & RENDERABLE) and shape.is_visible and not hidden


def build(document: Document, timestep: float = TIMESTEP) -> Built:
    """Compile a document.

    Args:
        document: of which a model is made.
        timestep: of physics [s].

    Raises:
        SceneError: MuJoCo refuses what it holds.
    """
    plan = plan_bodies(document)
    maker = _Maker(document, plan)
    xml = maker.write()
    try:
        spec = mujoco.MjSpec.from_string(xml, assets=maker.assets.files)
        _set_options(spec, timestep)
        model = spec.compile()
    except (ValueError, mujoco.FatalError) as error:
        reason = " ".join(str(error).split())[:MAX_REASON]
        raise SceneError(f"{document.label}: MuJoCo refuses it: {reason}") from error
    tune_holds(model, plan)
    return _index(document, plan, model, maker.geom_parts)


def light_frame(document: Document, carrier: int | None, light: Light) -> Floats:
    """Return the (4, 4) frame of a light in the body that it is fixed to."""
    out: Floats = tf.invert(carrier_frame(document, carrier)) @ document.world(light.handle)
    return out


def _set_options(spec: mujoco.MjSpec, timestep: float) -> None:
    option = spec.option
    option.timestep = timestep
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10
    # What a hand holds is fixed to it, and must still be pressed by its fingers: which neighbours
    # do not touch is written out.
    option.disableflags = mujoco.mjtDisableBit.mjDSBL_FILTERPARENT
    if spec.equalities:  # with a sparse Jacobian MuJoCo's Newton solver diverges on closed chains
        option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
    spec.visual.map.znear = 0.01
    spec.visual.map.zfar = 6.0
    spec.stat.extent = 1.0


def _index(
    document: Document, plan: Plan, model: mujoco.MjModel, parts: dict[int, list[int]]
) -> Built:
    body_ids = {body.handle: model.body(body_name(body.handle)).id for body in plan.bodies}
    handles = np.zeros(model.nbody, np.int64)
    for handle, body in body_ids.items():
        handles[body] = handle
    shapes = [h if h and isinstance(document.get(int(h)), Shape) else 0 for h in handles]
    geom_handles = np.array(shapes, np.int64)[model.geom_bodyid]
    geom_parts = np.zeros(model.ngeom, np.int64)
    for handle, numbers_of_parts in parts.items():
        geom_parts[geom_handles == handle] = numbers_of_parts
    joints = {
        b.joint: model.joint(body_name(b.joint)).id for b in plan.bodies if b.joint is not None
    }
    free = {
        b.handle: int(model.jnt_qposadr[model.body_jntadr[body_ids[b.handle]]])
        for b in plan.bodies
        if b.is_free
    }
    driven = frozenset(h for h in joints if is_driven(document, document.of_kind(h, Joint, "")))
    lights = {
        o.handle: model.light(body_name(o.handle)).id for o in document if isinstance(o, Light)
    }
    tables = (free, joints, driven, lights)
    return Built(model, plan, body_ids, handles, geom_handles, geom_parts, *tables)


class _Maker:
    """Writes the XML of one document."""

    def __init__(self, document: Document, plan: Plan) -> None:
        self._document, self._plan = document, plan
        self.assets = KeptAssets(document.textures)
        self.geom_parts: dict[int, list[int]] = {}

    def write(self) -> str:
        """Return the XML; `assets` then has the files."""
        root = Element("mujoco", model="session")
        SubElement(root, "compiler", angle="radian", autolimits="true")
        world = SubElement(root, "worldbody")
        elements: dict[int | None, Element] = {None: world}
        for body in self._plan.bodies:
            elements[body.handle] = self._add_body(elements[body.carrier], body)
        self._add_lights(elements)
        root.append(self.assets.element())
        contact = SubElement(root, "contact")
        for first, second in sorted(self._apart()):
            SubElement(contact, "exclude", body1=body_name(first), body2=body_name(second))
        add_closures(self._document, self._plan, elements, root)
        add_holds(self._plan, root)
        return tostring(root, encoding="unicode")

    def _add_body(self, parent: Element, plan: BodyPlan) -> Element:
        document = self._document
        T = zero_frame(document, plan)
        if plan.carrier is not None:
            T = tf.invert(carrier_frame(document, plan.carrier)) @ T
        body = SubElement(parent, "body", {"name": body_name(plan.handle), **pose_attributes(T)})
        if plan.is_free:
            SubElement(body, "freejoint", name=f"free{plan.handle}")
        if plan.joint is not None:
            self._add_joint(body, plan)
        obj = document.get(plan.handle)
        if not isinstance(obj, Shape):
            self._add_load(body)
            return body
        if plan.is_free or plan.joint is not None or is_dynamic(document, obj):
            mass, pose, moments = sound_inertia(obj)
            attributes = {"pos": "0 0 0", **pose_attributes(pose)}
            attributes |= {"mass": f"{mass:.9g}", "diaginertia": numbers(moments)}
            SubElement(body, "inertial", attributes)
        counts = add_geoms(
            body,
            obj,
            self.assets,
            drawn=is_drawn(document, obj),
            solid=is_respondable(document, obj),
        )
        self.geom_parts[obj.handle] = [i for i, count in enumerate(counts) for _ in range(count)]
        return body

    def _add_load(self, body: Element) -> None:
        """Give the body of a joint without a shape of its own a mass, which MuJoCo wants."""
        SubElement(body, "inertial", pos="0 0 0", mass="0.01", diaginertia="1e-5 1e-5 1e-5")

    def _add_joint(self, body: Element, plan: BodyPlan) -> None:
        assert plan.joint is not None
        joint = self._document.of_kind(plan.joint, Joint, "joint")
        frame = joint_in_body(self._document, plan)
        kind = _KINDS[joint.kind]
        attributes = {
            "name": body_name(joint.handle),
            "type": kind,
            "pos": numbers(frame[:3, 3]),
            "axis": numbers(frame[:3, 2]),
            "armature": f"{ARMATURE[kind]:g}",
            "damping": f"{_DAMPING[kind] if joint.damping is None else joint.damping:g}",
            "limited": "false",
        }
        if kind == "ball":
            del attributes["axis"]
        elif not joint.is_cyclic and joint.upper > joint.lower:
            attributes["range"] = numbers([joint.lower, joint.upper])
            attributes |= {"solreflimit": "0.006 1", "solimplimit": "0.95 0.995 0.0005"}
            del attributes["limited"]
        if not is_driven(self._document, joint):
            attributes["frictionloss"] = f"{HELD:g}"
        SubElement(body, "joint", attributes)

    def _add_lights(self, elements: dict[int | None, Element]) -> None:
        """Write each light into the body that it is fixed to."""
        for light in self._document:
            if not isinstance(light, Light):
                continue
            carrier = self._plan.carriers[light.handle]
            T = light_frame(self._document, carrier, light)
            attributes = {
                "name": body_name(light.handle),
                "type": _LIGHTS.get(light.kind, "directional"),
                "pos": numbers(T[:3, 3]),
                "dir": numbers(T[:3, 2]),
                "diffuse": numbers(light.diffuse),
                "specular": numbers(light.specular),
                "attenuation": numbers(light.attenuation),
                "active": "true" if light.is_on else "false",
                "castshadow": "false",
            }
            if light.kind == "spot":
                attributes["cutoff"] = f"{np.rad2deg(light.cutoff):.6g}"
            SubElement(elements[carrier], "light", attributes)

    # ---- what does not touch ------------------------------------------------------------

    def _apart(self) -> set[tuple[int, int]]:
        """Return the pairs of bodies that do not collide."""
        document = self._document
        shapes = [o for o in document if isinstance(o, Shape)]
        solid = {o.handle for o in shapes if is_respondable(document, o)}
        scene = Scene(document.label, _NO_HEADER, list(document), {})
        masked = {(document.handle(a), document.handle(b)) for a, b in masked_pairs(scene)}
        found = masked | document.apart | self._joined(solid - document.rehung)
        return {(min(pair), max(pair)) for pair in found if solid.issuperset(pair)}

    def _joined(self, solid: set[int]) -> set[tuple[int, int]]:
        """Return the pairs of solid bodies that a joint joins: its limits hold them apart."""
        groups: dict[object, list[int]] = {}
        group: dict[int, object] = {}
        for body in self._plan.bodies:
            moves = body.is_free or body.joint is not None
            # What never moves belongs together where it is of one tree.
            fixed = body.carrier if body.carrier is not None else self._root(body.handle)
            group[body.handle] = body.handle if moves else fixed
            if body.handle in solid:
                groups.setdefault(group[body.handle], []).append(body.handle)
        pairs = set()
        for body in self._plan.bodies:
            if body.joint is not None:
                base = body.carrier if body.carrier is not None else self._root(body.joint)
                pairs |= {(a, b) for a in groups.get(base, []) for b in groups.get(body.handle, [])}
        return pairs

    def _root(self, handle: int) -> tuple[str, int]:
        """Return what stands for all of one tree that never moves."""
        *_, top = self._document.ancestors(handle)
        return ("fixed", top.handle)
