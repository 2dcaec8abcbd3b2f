"""Where the objects of a tree are, kept as bytes and brought back."""

import json
from typing import Any

import numpy as np

from pyrep_mujoco.errors import CallError
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.ttm.reading.model import Joint

_MARK = "pyrep_mujoco configuration 1"


def save_tree(session: Session, handle: int) -> bytes:
    """Return where an object, and all below it, is: poses in the parent's frame, joints' values."""
    rows = []
    for each in session.document.tree(handle):
        obj = session.need(each)
        row: dict[str, Any] = {
            "handle": each,
            "parent": obj.parent,
            "pose": obj.pose.ravel().tolist(),
        }
        if isinstance(obj, Joint):
            row["value"] = obj.value
            row["quaternion"] = None if obj.quaternion is None else list(obj.quaternion)
        rows.append(row)
    return json.dumps({"mark": _MARK, "objects": rows}).encode()


def restore_tree(session: Session, saved: bytes) -> None:
    """Bring back what `save_tree` kept; objects that hang elsewhere now, or are gone, are left.

    Raises:
        CallError: the bytes are none of `save_tree`.
    """
    try:
        kept = json.loads(saved)
        rows = kept["objects"] if kept["mark"] == _MARK else None
    except (ValueError, TypeError, KeyError):
        rows = None
    if rows is None:
        raise CallError("this is no configuration tree: take one from get_configuration_tree()")
    for row in rows:
        if row["handle"] not in session.document:
            continue
        obj = session.need(row["handle"])
        if obj.parent == row["parent"]:
            obj.pose = np.array(row["pose"]).reshape(4, 4)
        if isinstance(obj, Joint):
            obj.value = row["value"]
            obj.quaternion = None if row["quaternion"] is None else np.array(row["quaternion"])
        session.physics.stop(obj.handle)
    session.document.moved()
    session.physics.moved()
