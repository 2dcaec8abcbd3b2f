"""A scene of ten lines without robot or files, for tests of single components."""

import mujoco
import numpy as np

from pyrep_mujoco.scene.graph import SceneGraph
from pyrep_mujoco.scene.welds import Welds
from pyrep_mujoco.world import Notes, World

MJCF = """
<mujoco>
  <option gravity="0 0 -9.81"/>
  <worldbody>
    <body name="table" pos="0 0 0.5"><geom type="box" size="0.3 0.3 0.01"/>
      <body name="drawer" pos="0 0 -0.1">
        <joint name="slide" type="slide" axis="1 0 0"/><geom size="0.05" mass="1"/></body></body>
    <body name="cup" pos="0 0 0.6"><freejoint/><geom size="0.03" mass="0.1"/></body>
    <body name="lamp" pos="1 0 0.5"><geom size="0.1"/></body>
    <body name="hand" pos="0 0 1"><geom size="0.02"/></body>
  </worldbody>
  <equality><weld name="grasp:cup" body1="hand" body2="cup" active="false"/></equality>
</mujoco>
"""


def small_world(robot_root=None, **notes):
    """Return a world at its start; `notes` are tables of its annotations."""
    model = mujoco.MjModel.from_xml_string(MJCF)
    world = World("small.xml", model, Notes(**notes), robot_root)
    mujoco.mj_forward(world.model, world.data)
    return world


def parts_of(world):
    """Return welds and graph of a world."""
    welds = Welds(world)
    return welds, SceneGraph(world, welds)


def body(world, name):
    """Return the id of a body."""
    return world.model.body(name).id


def step(world, n=1):
    """Simulate `n` steps of physics."""
    for _ in range(n):
        mujoco.mj_step(world.model, world.data)
    world.refresh()


def at(x, y, z):
    """Return the (4, 4) pose of an unturned frame."""
    T = np.eye(4)
    T[:3, 3] = x, y, z
    return T
