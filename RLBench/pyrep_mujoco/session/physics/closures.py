"""Closed chains: linked dummies hold together the bodies that they are on."""

from xml.etree.ElementTree import Element, SubElement

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.session.document import Document
from pyrep_mujoco.session.physics.body_plan import Plan, carrier_frame
from pyrep_mujoco.ttm.mjcf.format import pose_attributes
from pyrep_mujoco.ttm.reading.model import Dummy, Joint

_OVERLAP = 0
"""CoppeliaSim's number of links that physics keeps closed."""
_STIFF = {"solref": "0.01 1", "solimp": "0.99 0.999 0.001"}


def add_closures(
    document: Document, plan: Plan, elements: dict[int | None, Element], root: Element
) -> None:
    """Write what keeps linked dummies in one place.

    A dummy that hangs on a joint without a shape may turn there: only the places are held together,
    not the directions.

    Args:
        document: the scene.
        plan: its bodies.
        elements: of the bodies, by handle; None for the world.
        root: of the model.
    """
    pairs = [
        (dummy, other)
        for dummy in document
        if isinstance(dummy, Dummy) and dummy.link_type == _OVERLAP and dummy.linked in document
        for other in (document.of_kind(int(dummy.linked or 0), Dummy, "dummy"),)
        if dummy.handle < other.handle
        and plan.carriers.get(dummy.handle) != plan.carriers.get(other.handle)
    ]
    if not pairs:
        return
    equality = SubElement(root, "equality")
    for one, other in pairs:
        names = [_add_site(document, plan, elements, each) for each in (one, other)]
        turns = any(_hangs_on_bare_joint(document, each) for each in (one, other))
        kind = "connect" if turns else "weld"
        SubElement(equality, kind, {"site1": names[0], "site2": names[1], **_STIFF})


def _add_site(
    document: Document, plan: Plan, elements: dict[int | None, Element], dummy: Dummy
) -> str:
    """Write a site where a dummy is on its body; return its name."""
    carrier = plan.carriers[dummy.handle]
    T = tf.invert(carrier_frame(document, carrier)) @ document.world(dummy.handle)
    name = f"link{dummy.handle}"
    SubElement(elements[carrier], "site", {"name": name, "group": "5", **pose_attributes(T)})
    return name


def _hangs_on_bare_joint(document: Document, dummy: Dummy) -> bool:
    return dummy.parent is not None and isinstance(document.get(dummy.parent), Joint)
