"""A decoded scene as MJCF, under the conventions of the built-in scenes.

Objects become bodies of their names; what MJCF cannot say stands in `<custom>` texts (see
`pyrep_mujoco.scene.compose`). Geom groups: 1 drawn, 3 solid but not drawn, 4 neither.
"""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pyrep_mujoco.transforms import matrix_to_quat_wxyz, wxyz_to_xyzw
from pyrep_mujoco.ttm.mjcf.assets import Assets
from pyrep_mujoco.ttm.mjcf.contacts import Overlap, joined_pairs, masked_pairs, overlaps
from pyrep_mujoco.ttm.mjcf.format import check_texts, numbers, plain_name, pose_attributes
from pyrep_mujoco.ttm.mjcf.geoms import FRICTION, add_geoms
from pyrep_mujoco.ttm.mjcf.inertia import sound_inertia
from pyrep_mujoco.ttm.mjcf.joints import add_coupling, add_joint, add_motor
from pyrep_mujoco.ttm.mjcf.optics import add_optics
from pyrep_mujoco.ttm.mjcf.paths import fine_points
from pyrep_mujoco.ttm.mjcf.tree import BodyPlan, TreeBuilder
from pyrep_mujoco.ttm.reading.model import (
    COLLIDABLE,
    DETECTABLE,
    MEASURABLE,
    RENDERABLE,
    Camera,
    Dummy,
    ForceSensor,
    Joint,
    Light,
    Path,
    ProximitySensor,
    Scene,
    SceneObject,
    Shape,
    VisionSensor,
)

TABLE, TABLE_FRICTION = "diningTable", FRICTION[0]
"""RLBench's engine multiplies two shapes' frictions; its table, 0.7, never holds more than they."""
_KINDS = {
    ForceSensor: "force_sensor",
    VisionSensor: "vision_sensor",
    Camera: "camera",
    Light: "light",
    Path: "path",
    Joint: "joint",
}
FLUNG = 5e-3
"""Free bodies that overlap by more [m] as saved pass through each other."""


def write_scene(
    scene: Scene, name: str, bonds_break: bool = True
) -> tuple[str, dict[str, bytes], list[Overlap]]:
    """Write a scene so that nothing overlaps at its start.

    Args:
        scene: as read.
        name: of the model; names of meshes and materials start with it.
        bonds_break: what hangs on a force sensor may be taken off it.

    Returns:
        The XML, files by path relative to it, and overlaps of free bodies that were left.

    Raises:
        ValueError: MuJoCo or XML refuses what it holds.
    """
    check_texts(scene)
    writer = Writer(scene, name, bonds_break)
    xml = writer.write()
    found, free = overlaps(xml, writer.files)
    # Parts of one mechanism are held by their joints; loose things must still rest on something,
    # but two that are saved deep inside each other would be thrown apart.
    apart = {
        (o.first, o.second)
        for o in found
        if not {o.first, o.second} & free or (o.depth > FLUNG and {o.first, o.second} <= free)
    }
    left = [o for o in found if (o.first, o.second) not in apart]
    return writer.write_without(apart), writer.files, sorted(left, key=lambda o: -o.depth)


class Writer:
    """Writes one scene. After `write`, `files` holds everything but the XML."""

    def __init__(self, scene: Scene, name: str, bonds_break: bool = True) -> None:
        self._scene = scene
        self._bonds_break = bonds_break
        self._assets = Assets(scene, plain_name(name))
        self._root = Element("mujoco", model=plain_name(name))
        self._custom = Element("custom")
        self._contact = Element("contact")
        self._equality = Element("equality")
        self._actuator = Element("actuator")
        self._overrides = self._inherited_overrides()

    @property
    def files(self) -> dict[str, bytes]:
        """Meshes and textures by path relative to the XML."""
        return self._assets.files

    def _inherited_overrides(self) -> dict[int, int]:
        """Return for each handle what the model bases above it switch off."""
        out: dict[int, int] = {}
        for start in self._scene.objects:
            bits, current = 0, start
            while True:
                bits |= current.overrides if current.is_model_base else 0
                if current.parent is None:
                    break
                current = self._scene.by_handle[current.parent]
            out[start.handle] = bits
        return out

    def write(self) -> str:
        """Return the XML."""
        SubElement(self._root, "compiler", angle="radian", autolimits="true")
        self._root.append(self._assets.element())
        world = SubElement(self._root, "worldbody")
        bodies = TreeBuilder(self._scene, self._bonds_break).build()
        plans = [plan for body in bodies for plan in body.walk()]
        for body in bodies:
            self._add_body(world, body)
        written = {plan.joint.source.name for plan in plans if plan.joint}
        for plan in plans:
            if plan.joint is not None:
                add_motor(self._actuator, plan.joint)
                add_coupling(self._equality, plan.joint.source, self._scene, written)
        if self._bonds_break:
            self._note("friction", TABLE, f"{TABLE_FRICTION:g}")
        solid = {o.name for o in self._scene.objects if isinstance(o, Shape) and self._is_solid(o)}
        for pair in sorted(joined_pairs(bodies) | masked_pairs(self._scene)):
            if solid.issuperset(pair):
                self._exclude(pair)
        for element in (self._contact, self._equality, self._actuator, self._custom):
            if len(element):
                self._root.append(element)
        return self._text()

    def write_without(self, pairs: set[tuple[str, str]]) -> str:
        """Return the XML again, with pairs of bodies that shall not collide."""
        for pair in sorted(pairs):
            self._exclude(pair)
        if len(self._contact) and self._contact not in list(self._root):
            self._root.append(self._contact)
        return self._text()

    def _text(self) -> str:
        indent(self._root)
        return tostring(self._root, encoding="unicode") + "\n"

    def _exclude(self, pair: tuple[str, str]) -> None:
        SubElement(self._contact, "exclude", body1=pair[0], body2=pair[1])

    def _note(self, kind: str, name: str, text: str) -> None:
        SubElement(self._custom, "text", name=f"{kind}:{name}", data=text)

    # ---- bodies -------------------------------------------------------------------------

    def _add_body(self, parent: Element, plan: BodyPlan) -> None:
        body = SubElement(parent, "body", {"name": plan.name, **pose_attributes(plan.pose)})
        if plan.is_free:
            SubElement(body, "freejoint")
        if plan.joint is not None:
            add_joint(body, plan)
            turn = wxyz_to_xyzw(matrix_to_quat_wxyz(plan.joint.rotation))
            self._note("frame", plan.joint.source.name, numbers(turn))
        if plan.joint is not None and plan.joint.source.kind != "spherical":
            self._note("qpos", plan.joint.source.name, f"{plan.joint.source.value:.9g}")
        if plan.logical_parent is not None:
            self._note("parent", plan.name, plan.logical_parent)
        source = plan.source
        if isinstance(source, Shape):
            if plan.is_free or plan.joint is not None or source.is_dynamic:
                self._add_inertia(body, source)
            add_geoms(
                body,
                source,
                self._assets,
                drawn=self._is_drawn(source),
                solid=self._is_solid(source),
            )
            flags = self._flags(source)
            asleep = plan.is_free and source.starts_asleep
            self._note("flags", plan.name, f"{flags} asleep" if asleep else flags)
        else:
            if plan.joint is not None:
                SubElement(body, "inertial", pos="0 0 0", mass="0.01", diaginertia="1e-5 1e-5 1e-5")
            SubElement(body, "site", name=f"{plan.name}_site", group="4", size="0.005")
        if source is not None:
            self._annotate(source)
            add_optics(body, source)
        for child in plan.children:
            self._add_body(body, child)

    def _annotate(self, obj: SceneObject) -> None:
        if obj.extension:
            self._note("ext", obj.name, obj.extension)
        if isinstance(obj, Shape) and any(
            part.primitive is not None and part.primitive.kind == "cylinder" for part in obj.parts
        ):
            self._note("box", obj.name, numbers(obj.bounding_box))  # polygons in the file
        if isinstance(obj, Dummy):
            self._note("flags", obj.name, "model" if obj.is_model_base else "point")
        if isinstance(obj, ProximitySensor):
            sizes = " ".join(f"{key}={value:.9g}" for key, value in obj.volume.items())
            self._note("sensor", obj.name, f"{obj.kind} {sizes}")
        elif isinstance(obj, Path) and obj.points:
            rows = [numbers(row) for row in fine_points(obj)]
            self._note("path", obj.name, "; ".join(rows))
        kind = _KINDS.get(type(obj))
        if kind is not None:
            self._note("kind", obj.name, kind)

    def _flags(self, shape: Shape) -> str:
        overrides = self._overrides[shape.handle]
        words = []
        if shape.special & COLLIDABLE and not overrides & 1:
            words.append("collidable")
        if shape.special & MEASURABLE:
            words.append("measurable")
        if shape.special & DETECTABLE and not overrides & 8:
            words.append("detectable")
        if self._is_drawn(shape):
            words.append("renderable")
        if self._is_solid(shape):
            words.append("respondable")
        if shape.is_model_base:
            words.append("model")
        return " ".join(words) or "none"

    def _is_drawn(self, shape: Shape) -> bool:
        hidden = self._overrides[shape.handle] & (4 | 256)
        return bool(shape.special & RENDERABLE) and shape.is_visible and not hidden

    def _is_solid(self, shape: Shape) -> bool:
        return shape.is_respondable and not self._overrides[shape.handle] & 64

    # ---- mass ---------------------------------------------------------------------------

    def _add_inertia(self, body: Element, shape: Shape) -> None:
        mass, pose, moments = sound_inertia(shape)
        attributes = {"pos": "0 0 0", **pose_attributes(pose)}
        attributes |= {"mass": f"{mass:.9g}", "diaginertia": numbers(moments)}
        SubElement(body, "inertial", attributes)
