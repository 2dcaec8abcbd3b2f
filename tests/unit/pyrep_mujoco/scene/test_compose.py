"""One model of base scene, robot and task scene: any files may be given for the three."""

from dataclasses import replace

import pytest

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.robots.robot_model import PANDA
from pyrep_mujoco.scene.compose import compose

PARTS = {
    "base": '<mujoco><worldbody><body name="floor"><geom size="1"/></body></worldbody></mujoco>',
    "robot": '<mujoco><worldbody><body name="hand"><geom size="0.1"/></body></worldbody></mujoco>',
    "scene": """<mujoco><custom><text name="ext:cup" data="close_gripper()"/></custom><worldbody>
      <body name="cup"><freejoint/><geom size="0.1"/></body></worldbody></mujoco>""",
}


@pytest.fixture
def files(tmp_path):
    found = {name: tmp_path / f"{name}.xml" for name in PARTS}
    for name, path in found.items():
        path.write_text(PARTS[name], encoding="utf-8")
    return found


def composed(files):
    return compose(files["scene"], replace(PANDA, mjcf=files["robot"], hand="hand"), files["base"])


def test_three_files_become_one_model(files):
    model, notes = composed(files)
    assert [model.body(b).name for b in range(model.nbody)] == ["world", "floor", "hand", "cup"]
    assert notes.extensions == {"cup": "close_gripper()"}
    assert model.equality("grasp:cup").active0 == 0


@pytest.mark.parametrize(
    ("name", "said"), [("scene", "scene"), ("robot", "robot"), ("base", "base scene")]
)
def test_a_file_that_is_missing_is_named(files, name, said):
    files[name].unlink()
    with pytest.raises(SceneError, match=rf"^{said} file {name}\.xml not found in "):
        composed(files)


def test_what_mujoco_refuses_is_one_line(files):
    files["scene"].write_text("<mujoco><worldbody><body/><nonsense/></worldbody></mujoco>")
    with pytest.raises(SceneError, match=r"^scene file .*scene\.xml: MuJoCo refuses it: ") as error:
        composed(files)
    assert "\n" not in str(error.value)
