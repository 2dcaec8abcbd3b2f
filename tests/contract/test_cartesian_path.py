"""A waypoint with a path annotation is followed through all its poses."""

import numpy as np
import pytest

from pyrep_mujoco.robots.arm import Arm
from pyrep_mujoco.robots.gripper import Gripper
from rlbench.backend.conditions import DetectedCondition
from rlbench.backend.exceptions import SceneError
from rlbench.backend.robot import Robot
from rlbench.backend.scene import Scene
from rlbench.backend.task import Task
from rlbench.engines.mujoco import MujocoEngine

XML = """
<mujoco><custom>
  <text name="path:waypoint1" data="{path}"/>
  <text name="sensor:goal" data="cylinder offset=-0.02 range=0.04 radius=0.02 radius_far=0.02"/>
</custom><worldbody>
  <body name="arc" pos="0.3 0 1.1" quat="0 1 0 0">
    <site name="arc_site" size="0.01" group="4"/>
    <body name="waypoint0"><site name="waypoint0_site" size="0.01" group="4"/></body>
    <body name="waypoint1"><site name="waypoint1_site" size="0.01" group="4"/></body>
    <body name="goal" pos="0 0.2 0"><site name="goal_site" size="0.01" group="4"/></body>
  </body>
</worldbody></mujoco>
"""
ANGLES = np.linspace(0, np.pi, 9)[1:]
POINTS = np.stack([np.zeros(8), 0.1 - 0.1 * np.cos(ANGLES), -0.1 * np.sin(ANGLES)], axis=1)
PATH = "; ".join(f"{x} {y} {z} 0 0 0 1" for x, y, z in POINTS)


class Arc(Task):
    def init_task(self):
        tip = self.robot.arm.get_tip()
        self.register_success_conditions([DetectedCondition(tip, self.sensor("goal"))])

    def init_episode(self, index):
        return ["follow the arc"]

    def variation_count(self):
        return 1

    def is_static_workspace(self):
        return True


def load(tmp_path, path):
    scene = tmp_path / "arc.xml"
    scene.write_text(XML.format(path=path), encoding="utf-8")
    engine = MujocoEngine(scene)
    robot = Robot(Arm(engine), Gripper(engine))
    return Scene(engine, robot, Arc(engine, robot, "arc"))


def test_tip_follows_the_arc(tmp_path):
    scene = load(tmp_path, PATH)
    scene.init_episode(0, np.random.SeedSequence(0))
    base, tip = scene.engine.dummy("waypoint1"), scene.robot.arm.get_tip()
    track, marks = [], []
    scene.demonstrate(
        lambda: track.append(tip.get_position(base)), lambda: marks.append(len(track) - 1)
    )
    arc = np.array(track[marks[0] : marks[1] + 1])
    radius = np.hypot(arc[:, 1] - 0.1, arc[:, 2])
    assert np.abs(arc[:, 0]).max() < 2e-3
    assert radius.min() > 0.1 * np.cos(np.pi / 16) - 3e-3  # chords between the points
    assert radius.max() < 0.1 + 3e-3
    assert arc[:, 2].min() < -0.09
    assert np.allclose(arc[-1], [0, 0.2, 0], atol=2e-3)


@pytest.mark.parametrize("path", ["1 2 3", "a b c d e f g"])
def test_malformed_path_is_named(tmp_path, path):
    with pytest.raises(SceneError, match="arc.xml: path:waypoint1"):
        load(tmp_path, path).init_episode(0, np.random.SeedSequence(0))
