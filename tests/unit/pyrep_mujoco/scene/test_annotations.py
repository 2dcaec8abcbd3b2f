"""What scenes say in custom texts is read by kind, and checked."""

import mujoco
import numpy as np
import pytest

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.scene.annotations import read_notes


def notes(**texts):
    rows = "".join(
        f'<text name="{name.replace("_", ":")}" data="{data}"/>' for name, data in texts.items()
    )
    return read_notes(mujoco.MjSpec.from_string(f"<mujoco><custom>{rows}</custom></mujoco>"))


def test_each_kind_fills_its_table():
    found = notes(
        parent_cup="table",
        ext_waypoint0="close_gripper()",
        flags_cup="model collidable",
        qpos_slide="0.25",
        frame_slide="0 0 0 1",
        kind_lamp="light",
        box_cup="-1 1 -2 2 0 3",
    )
    assert found.parents == {"cup": "table"}
    assert found.extensions == {"waypoint0": "close_gripper()"}
    assert found.flags == {"cup": {"model", "collidable"}}
    assert found.joint_values == {"slide": 0.25}
    assert np.array_equal(found.joint_frames["slide"], np.eye(3))
    assert found.kinds == {"lamp": "light"}
    assert found.boxes["cup"].tolist() == [-1, 1, -2, 2, 0, 3]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ({"colour_cup": "red"}, "custom text 'colour:cup' is unknown; allowed are parent:, ext:"),
        ({"frame_slide": "0 0 0 0"}, "custom text frame:slide = 0 0 0 0: it must be a quaternion"),
        ({"box_cup": "1 0 0 1 0 1"}, "custom text box:cup = 1 0 0 1 0 1: it must be xmin xmax"),
        ({"qpos_slide": "far"}, "custom text qpos:slide = far: it must be one number"),
        ({"qpos_slide": "nan"}, "custom text qpos:slide = nan: it must be one number"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(text, reason):
    with pytest.raises(SceneError) as error:
        notes(**text)
    assert str(error.value).startswith(reason)
    assert len(str(error.value)) < 500
    assert "\n" not in str(error.value)
