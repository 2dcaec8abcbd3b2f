"""Numbers that are none are refused by name, where they come in."""

import numpy as np
import pytest

from pyrep_mujoco.scene.compose import compose
from rlbench.backend.exceptions import DemoError, SceneError
from rlbench.engines.mujoco import BASE_SCENE, PANDA, MujocoEngine
from rlbench.tasks import builtin_scene

NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def engine():
    return MujocoEngine(builtin_scene("close_fridge"))


@pytest.mark.parametrize(
    ("setter", "value"),
    [
        ("set_position", [NAN, 0, 1]),
        ("set_position", [0, INF, 1]),
        ("set_position", [0, 0, 1e12]),
        ("set_quaternion", [NAN, 0, 0, 1]),
        ("set_orientation", [0, 0, NAN]),
        ("set_pose", [0, 0, NAN, 0, 0, 0, 1]),
        ("set_pose", [0, 0, 1, NAN, 0, 0, 1]),
    ],
)
def test_poses(engine, setter, value):
    shape = engine.shape("fridge_base")
    before = shape.get_pose()
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(SceneError, match="fridge_base cannot be put at"),
    ):
        getattr(shape, setter)(value)
    np.testing.assert_array_equal(shape.get_pose(), before)


@pytest.mark.parametrize("value", [NAN, INF, -INF, 1e12])
def test_joint_values(engine, value):
    joint = engine.task_joints()[0]
    before = joint.get_joint_position()
    with pytest.raises(SceneError, match=f"joint {joint.get_name()} cannot be set to"):
        joint.set_joint_position(value)
    assert joint.get_joint_position() == before


@pytest.mark.parametrize("field", ["qpos", "qvel", "ctrl", "qfrc_applied"])
def test_motion(engine, field):
    engine.reset()
    engine.step()
    getattr(engine.data, field)[-1] = NAN
    with pytest.raises(
        DemoError, match=r"close_fridge.xml: the simulation became unstable"
    ) as error:
        engine.step()
    assert error.value.cause == "unstable_physics"
    engine.reset()
    engine.step()
    assert np.isfinite(engine.data.qpos).all()


BODIES = {
    "body_pos": '<body name="zz" pos="nan 0 0"><geom size="0.1"/></body>',
    "body_mass": '<body name="zz"><geom size="1e30"/></body>',
    "site_pos": '<body name="zz"><geom size="0.1"/><site name="s" pos="0 inf 0"/></body>',
    "jnt_range": '<body name="zz"><joint name="j" range="0 1e20"/><geom size="0.1"/></body>',
}


@pytest.mark.parametrize("field", BODIES)
def test_scenes(tmp_path, field):
    text = builtin_scene("reach_target").read_text(encoding="utf-8")
    path = tmp_path / "reach_target.xml"
    path.write_text(text.replace("</worldbody>", f"{BODIES[field]}</worldbody>"), encoding="utf-8")
    with pytest.raises(SceneError) as error:
        compose(path, PANDA, BASE_SCENE)
    said = str(error.value)
    assert said.startswith(f"scene file {path}: ")
    assert f"{field} of " in said or "MuJoCo refuses it" in said
    assert len(said) < 500
    assert "\n" not in said
