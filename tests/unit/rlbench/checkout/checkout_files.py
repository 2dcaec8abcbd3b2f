"""Task files in RLBench's style, on this package's scenes, as a small checkout."""

import shutil

from rlbench.tasks import builtin_scene

REACH = """
from typing import List
import numpy as np
from pyrep.objects.shape import Shape
from pyrep.objects import Dummy, Object
from pyrep.objects.proximity_sensor import ProximitySensor
from rlbench.const import colors
from rlbench.backend.task import Task
from rlbench.backend.conditions import DetectedCondition
from rlbench.backend.spawn_boundary import SpawnBoundary


class ReachTarget(Task):

    def init_task(self) -> None:
        self.ball = Shape('target')
        self.others = [Shape('distractor0'), Shape('distractor1')]
        self.area = Shape('boundary')
        self.register_success_conditions(
            [DetectedCondition(self.robot.arm.get_tip(), ProximitySensor('success'))])

    def init_episode(self, index: int) -> List[str]:
        name, rgb = colors[index]
        self.ball.set_color(rgb)
        for other, i in zip(self.others, np.random.choice(len(colors), 2, replace=False)):
            other.set_color(colors[i][1])
        b = SpawnBoundary([self.area])
        for ob in [self.ball] + self.others:
            b.sample(ob, min_distance=0.2, min_rotation=(0, 0, 0), max_rotation=(0, 0, 0))
        return ['touch the %s ball' % name]

    def variation_count(self) -> int:
        return len(colors)

    def is_static_workspace(self) -> bool:
        return True
"""

LIFT = """
import random
import numpy as np
from pyrep.const import PrimitiveShape, ObjectType
from pyrep.objects.dummy import Dummy
from pyrep.objects.shape import Shape
from pyrep.objects.proximity_sensor import ProximitySensor
from rlbench.backend.task import Task
from rlbench.backend.waypoints import Point
from rlbench.backend.conditions import ConditionSet, DetectedCondition, GraspedCondition
from rlbench.backend.spawn_boundary import SpawnBoundary


class PickAndLift(Task):

    def init_task(self):
        self.block = Shape('pick_and_lift_target')
        self.goal = ProximitySensor('pick_and_lift_success')
        self.register_graspable_objects([self.block])
        self.boundary = SpawnBoundary([Shape('pick_and_lift_boundary')])
        self.register_success_conditions([ConditionSet([
            GraspedCondition(self.robot.gripper, self.block),
            DetectedCondition(self.block, self.goal)])])
        self.register_waypoint_ability_start(0, self._note)
        self.crumbs = []
        self.noted = []

    def init_episode(self, index):
        assert Shape.exists('pick_and_lift_target') and not Shape.exists('nonsense')
        self.boundary.clear()
        for ob in (self.goal, self.block):
            self.boundary.sample(ob, min_distance=0.1)
        for i in range(3):
            crumb = Shape.create(type=PrimitiveShape.CUBOID, size=[.01, .01, .01], mass=0.01,
                                 color=[0.2, 0.3, 0.4])
            crumb.set_parent(self.get_base())
            crumb.set_position([0.1 + 0.02 * random.random(), -0.4 + 0.1 * i, 0.9])
            self.crumbs.append(crumb)
        return ['lift the block']

    def variation_count(self):
        return 2

    def step(self):
        for crumb in self.crumbs:
            if crumb.get_position()[2] < 0.8:
                self.crumbs.remove(crumb)
                crumb.remove()

    def cleanup(self):
        for crumb in self.crumbs:
            crumb.remove()
        self.crumbs = []
        self.noted = []

    def _note(self, waypoint):
        way = waypoint.get_waypoint_object()
        assert way == Dummy('waypoint0') and way.get_type() == ObjectType.DUMMY
        assert isinstance(waypoint, Point)
        self.noted.append(way.get_name())
"""

BY_NAME = {"reach_target": REACH, "pick_and_lift": LIFT}


def write_task(root, name, text, scene=None):
    """Put a task file and a copy of a built-in scene into the checkout `root`."""
    tasks, scenes = root / "rlbench" / "tasks", root / "rlbench" / "task_ttms"
    tasks.mkdir(parents=True, exist_ok=True)
    scenes.mkdir(exist_ok=True)
    (tasks / f"{name}.py").write_text(text)
    if scene is not None:
        shutil.copy(builtin_scene(scene), scenes / f"{name}.xml")
    return tasks / f"{name}.py"


def write_checkout(root, names=tuple(BY_NAME)):
    """Write the tasks above."""
    for name in names:
        write_task(root, name, BY_NAME[name], name)
    return root
