"""The base class of tasks: four verbs, registration, and the objects of the scene by name."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rlbench.backend.conditions import Condition
from rlbench.backend.episodes.global_random import GlobalRandom
from rlbench.backend.observation import Observation
from rlbench.backend.placement_rules import OUR_RULES, Rules
from rlbench.backend.pyrep_names.pyrep_simulation import PyRep
from rlbench.backend.robot import Robot
from rlbench.backend.waypoints import Waypoint
from rlbench.engines.protocols import Dummy, Engine, Joint, ProximitySensor, SceneObject, Shape

Floats = npt.NDArray[np.float64]
Triple = tuple[float, float, float]


class Task:
    """One task of the robot. Subclasses define `init_task`, `init_episode`, `variation_count`.

    Attributes:
        rules: how it is placed and demonstrated.
        turns_alike: what `register_turns_alike` was told, by the thing's name.
    """

    rules: ClassVar[Rules] = OUR_RULES

    def __init__(self, engine: Engine, robot: Robot, name: str | None = None) -> None:
        """Bind the task to a loaded scene.

        Args:
            engine: the simulation with the scene `<name>` in it.
            robot: the arm and the gripper.
            name: snake_case name; also the name of the scene's root object. By default from the
                name of the class.
        """
        self.engine = engine
        self.robot = robot
        self.name = name or re.sub("(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()
        # One generator for ever, re-seeded in place each episode: boundaries may keep it.
        self.rng = np.random.default_rng(0)
        # What its functions draw from the global generators is not the caller's.
        self.global_random = GlobalRandom()
        # Names of RLBench: its task files call their own methods `_repeat` and the like.
        self._graspable_objects: list[Shape] = []
        self._success_conditions: list[Condition] = []
        self._fail_conditions: list[Condition] = []
        self._waypoint_abilities: dict[tuple[int, str], Callable[[Waypoint], None]] = {}
        self._waypoints_should_repeat: Callable[[], bool] | None = None
        self._stop_at_waypoint_index: int | None = None
        self._start: dict[str, Any] | None = None
        self.turns_alike: dict[str, int | None] = {}

    # ---- the four verbs -----------------------------------------------------------------

    def init_task(self) -> None:
        """Look objects up and register success conditions; called once per scene."""
        raise NotImplementedError(f"{type(self).__name__} must define init_task")

    def init_episode(self, index: int) -> list[str]:
        """Set the scene up for variation `index`; return descriptions of the task."""
        raise NotImplementedError(f"{type(self).__name__} must define init_episode")

    def variation_count(self) -> int:
        """Return the number of variations."""
        raise NotImplementedError(f"{type(self).__name__} must define variation_count")

    def base_rotation_bounds(self) -> tuple[Triple, Triple]:
        """Return the lowest and highest Euler angles [rad] of the whole task's placement."""
        return (0.0, 0.0, -np.pi), (0.0, 0.0, np.pi)

    # ---- hooks --------------------------------------------------------------------------

    def boundary_root(self) -> SceneObject:
        """Return the object whose box must fit the workspace."""
        return self.get_base()

    def is_static_workspace(self) -> bool:
        """Tell whether the whole task stays where its scene puts it."""
        return False

    def step(self) -> None:
        """Act after every observation step."""

    def decorate_observation(self, observation: Observation) -> Observation:
        """Return an observation as the task wants it seen."""
        return observation

    def cleanup(self) -> None:
        """Undo what an episode changed beyond the scene's state."""

    def reward(self) -> float | None:
        """Return the shaped reward of this moment, higher is better; None where there is none."""
        return None

    def get_low_dim_state(self) -> Floats | None:
        """Return what a policy must know of the task's state, (N,); None for poses and joints.

        None stands for the poses of all movable objects and the values of all joints.
        """
        return None

    # ---- RLBench's names ----------------------------------------------------------------

    @property
    def pyrep(self) -> PyRep:
        """The simulation under PyRep's names."""
        return PyRep(self.engine)

    def get_name(self) -> str:
        """Return the snake_case name."""
        return self.name

    def validate(self) -> None:
        """Do nothing: a placement is checked by whoever places."""

    # ---- objects ------------------------------------------------------------------------

    def get_base(self) -> Dummy:
        """Return the scene's root."""
        return self.engine.dummy(self.name)

    def shape(self, name: str) -> Shape:
        """Look a shape up."""
        return self.engine.shape(name)

    def dummy(self, name: str) -> Dummy:
        """Look a dummy up."""
        return self.engine.dummy(name)

    def joint(self, name: str) -> Joint:
        """Look a joint up."""
        return self.engine.joint(name)

    def sensor(self, name: str) -> ProximitySensor:
        """Look a proximity sensor up."""
        return self.engine.sensor(name)

    # ---- registration, with RLBench's names of arguments ----------------------------------

    def register_graspable_objects(self, objects: Sequence[Shape]) -> None:
        """Say which shapes a closing gripper may hold."""
        self._graspable_objects = list(objects)

    def register_success_conditions(self, condition: Sequence[Condition]) -> None:
        """Say what must hold for success, all at once."""
        self._success_conditions = list(condition)

    def register_fail_conditions(self, condition: Sequence[Condition]) -> None:
        """Say what, all at once, makes the episode a failure and ends it."""
        self._fail_conditions = list(condition)

    def register_waypoint_ability_start(
        self, waypoint_index: int, func: Callable[[Waypoint], None]
    ) -> None:
        """Call `func` before the way to waypoint `waypoint_index` is planned."""
        self._waypoint_abilities[waypoint_index, "start"] = func

    def register_waypoint_ability_end(
        self, waypoint_index: int, func: Callable[[Waypoint], None]
    ) -> None:
        """Call `func` when waypoint `waypoint_index` is reached."""
        self._waypoint_abilities[waypoint_index, "end"] = func

    def register_waypoints_should_repeat(self, func: Callable[[], bool]) -> None:
        """Follow all waypoints again as long as `func` returns True."""
        self._waypoints_should_repeat = func

    def register_stop_at_waypoint(self, waypoint_index: int) -> None:
        """End the demonstration before waypoint `waypoint_index`; -1 leaves none out."""
        self._stop_at_waypoint_index = waypoint_index

    def register_turns_alike(self, obj: SceneObject, turns: int | None) -> None:
        """Say that a thing looks the same, and serves as well, after some turns.

        No picture tells how often such a thing has turned. So keypoints of the group `frames` that
        hang on it are those of one of the poses alike: the one that the hand, at the episode's
        start, would have to turn the least for.

        Args:
            obj: what a waypoint hangs on, or what that hangs on.
            turns: how many turns about the vertical through its origin look alike: 4 for a cube.
                None for any turn, as of a ball.
        """
        self.turns_alike[obj.get_name()] = turns

    # ---- used by the scene --------------------------------------------------------------

    def keep_start(self) -> None:
        """Keep the attributes as they are now, `init_task` done."""
        self._start = None
        self._start = _copied(vars(self), {})

    def return_to_start(self) -> None:
        """Bring kept attributes back: what an episode counted or collected is not the next one's.

        Lists, tuples, sets, dicts and arrays get their content back; objects of the scene have
        their own reset.
        """
        if self._start is not None:
            start = self._start
            vars(self).clear()
            vars(self).update(_copied(start, {}), _start=start)

    def get_graspable_objects(self) -> list[Shape]:
        """Return the registered graspable shapes."""
        return list(self._graspable_objects)

    def may_repeat_waypoints(self) -> bool:
        """Tell whether the task may want its waypoints followed once more.

        This asks nothing of the task: RLBench's tasks count how often they are asked.
        """
        return self._waypoints_should_repeat is not None

    def should_repeat_waypoints(self) -> bool:
        """Ask the task whether to follow its waypoints once more."""
        return self._waypoints_should_repeat is not None and self._waypoints_should_repeat()

    def reset_conditions(self) -> None:
        """Tell all conditions that an episode starts now."""
        for condition in (*self._success_conditions, *self._fail_conditions):
            condition.reset()

    def watches(self) -> bool:
        """Tell whether a condition remembers the past, and so must see every step."""
        return any(condition.remembers for condition in self._success_conditions)

    def success(self) -> tuple[bool, bool]:
        """Return (all conditions are met and it is no failure, the episode must end)."""
        if self._fail_conditions and all(c.condition_met()[0] for c in self._fail_conditions):
            return False, True
        results = [condition.condition_met() for condition in self._success_conditions]
        return all(met for met, _ in results), any(met and ends for met, ends in results)

    def waypoint_names(self) -> list[str]:
        """Return waypoint0, waypoint1, ... as far as the scene has them."""
        names: list[str] = []
        while self.engine.has(f"waypoint{len(names)}"):
            names.append(f"waypoint{len(names)}")
        return names

    def get_waypoints(self) -> list[Waypoint]:
        """Return the waypoints in number order, with abilities, up to the registered stop."""
        names = self.waypoint_names()
        stop = self._stop_at_waypoint_index
        if stop is not None and stop >= 0:
            names = names[:stop]
        return [
            Waypoint(
                self.engine.dummy(name),
                self._waypoint_abilities.get((i, "start")),
                self._waypoint_abilities.get((i, "end")),
                self.engine.path_points(name),
            )
            for i, name in enumerate(names)
        ]


def _copied(value: Any, done: dict[int, Any]) -> Any:
    """Copy containers and arrays in depth, nothing else; what was one object stays one."""
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, np.ndarray):
        copy: Any = value.copy()
    elif type(value) is dict:
        copy = {key: _copied(item, done) for key, item in value.items()}
    elif type(value) in {list, tuple, set}:
        copy = type(value)(_copied(item, done) for item in value)
    else:
        return value
    done[id(value)] = copy
    return copy


def __getattr__(name: str) -> str:
    """Return `TASKS_PATH`: the folder of task files, in $RLBENCH_ROOT or else this package."""
    if name != "TASKS_PATH":
        raise AttributeError(f"module 'rlbench.backend.task' has no {name!r}")
    # Imported late: tasks need nothing of it.
    from rlbench.backend.task_files import chosen_source, open_checkout  # noqa: PLC0415

    checkout = None if chosen_source(None) == "builtin" else open_checkout(None)
    if checkout is not None:
        return str(checkout.file("__init__").parent)
    return str(Path(__file__).resolve().parent.parent / "tasks")
