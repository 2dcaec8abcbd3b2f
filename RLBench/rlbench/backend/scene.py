"""One task in the world: its episodes, its steps, and its demonstrations."""

from collections.abc import Callable

import numpy as np

from rlbench.backend.episodes.demonstration import Demonstration
from rlbench.backend.episodes.placement import Placement
from rlbench.backend.episodes.waypoint_plans import WaypointPlanner
from rlbench.backend.episodes.waypoint_poses import WaypointPoses
from rlbench.backend.exceptions import TaskEnvironmentError
from rlbench.backend.observation import Observation
from rlbench.backend.pyrep_names.pyrep_simulation import PyRep
from rlbench.backend.robot import Robot
from rlbench.backend.task import Task
from rlbench.engines.protocols import Engine
from rlbench.engines.transforms import Floats

WORKSPACE_MARGIN, WORKSPACE_HEIGHT = 0.2, 1.0
"""Actions may aim so far [m] beside the workspace, and so far above it."""


class Scene:
    """Runs episodes of one task.

    Attributes:
        engine: the simulation.
        robot: its arm and gripper.
        task: what is done.
        on_step: called after every `step`.
        joint_position_action: in a demonstration (n + 1,) what was commanded in the last 50 ms:
            joints [rad] and opening of the hand [0, 1]; None before its first step.
        robot_setup: name of the robot.
    """

    def __init__(
        self, engine: Engine, robot: Robot, task: Task, static_positions: bool = False
    ) -> None:
        """Load `task` into the engine's scene; `static_positions` never places it anew."""
        self.engine = engine
        self.robot = robot
        self.task = task
        self._planner = WaypointPlanner(engine, robot.arm, task)
        self._placement = Placement(engine, robot, task, self._planner, static_positions)
        if task.rules.starts_at_centre:
            self._placement.bring_into_workspace()
        with task.global_random:
            task.init_task()
        if task.rules.starts_at_centre:
            engine.remember_start()
        task.keep_start()
        self.on_step: Callable[[], None] | None = None
        self.joint_position_action: Floats | None = None
        self.robot_setup = "panda"
        self._step_callback: Callable[[], None] | None = None
        self._observe: Callable[[], Observation] | None = None

    # ---- RLBench's names ----------------------------------------------------------------

    @property
    def pyrep(self) -> PyRep:
        """The simulation under PyRep's names."""
        return self.task.pyrep

    def register_step_callback(self, func: Callable[[], None] | None) -> None:
        """Call `func` after every 50 ms of steps and demonstrations; None ends that."""
        self._step_callback = func and self.task.global_random.giving_back(func)

    def observe_by(self, function: Callable[[], Observation]) -> None:
        """Say what observes the scene."""
        self._observe = function

    def get_observation(self) -> Observation:
        """Return the present moment.

        Raises:
            TaskEnvironmentError: nothing observes the scene.
        """
        if self._observe is None:
            raise TaskEnvironmentError("the scene is not observed; Environment.get_task does that")
        return self._observe()

    # ---- episodes -----------------------------------------------------------------------

    @property
    def placements(self) -> int:
        """How many placements the present episode took."""
        return self._placement.count

    @property
    def refusals(self) -> list[str]:
        """Why each refused placement of the present episode was refused."""
        return self._placement.refusals

    def reset(self) -> None:
        """Bring the scene back to how it was loaded, with an open hand and the arm at home."""
        self._placement.reset()

    def init_episode(self, variation: int, seed: np.random.SeedSequence) -> list[str]:
        """Reset the simulation and place the task; the result depends on the seed alone.

        NumPy's and Python's global generators are left as they are.

        Returns:
            Descriptions of the variation.

        Raises:
            DemoError: all placements failed (cause `placement`).
            FixedPlacementError: the only one there is failed.
        """
        place_seed, plan_seed, legacy_seed = seed.spawn(3)
        self.task.rng.bit_generator.state = np.random.default_rng(place_seed).bit_generator.state
        self._planner.rng = np.random.default_rng(plan_seed)
        # RLBench's own task files draw from NumPy's and Python's global generators.
        self.task.global_random.seed(int(legacy_seed.generate_state(1)[0]))
        with self.task.global_random:
            return self._placement.run(variation)

    def checked_variation(self, variation: object) -> int:
        """Return a number of a variation.

        Raises:
            TaskEnvironmentError: it is out of range, or no whole number.
        """
        count = self.task.variation_count()
        if not isinstance(variation, int | np.integer) or not 0 <= variation < count:
            raise TaskEnvironmentError(
                f"{self.task.name}: variation {variation!r} is out of range; allowed 0..{count - 1}"
            )
        return int(variation)

    def shaped_reward(self) -> float:
        """Return the task's own reward of this moment.

        Raises:
            TaskEnvironmentError: the task defines none.
        """
        reward = self.task.reward()
        if reward is None:
            raise TaskEnvironmentError(
                f"{self.task.name} has no shaped reward; define {type(self.task).__name__}."
                "reward() or leave shaped_rewards out"
            )
        return float(reward)

    def demonstrate(
        self,
        record: Callable[[], None],
        reached: Callable[[], None],
        poses: WaypointPoses | None = None,
    ) -> None:
        """Follow the waypoints to success.

        Args:
            record: called at the start and after every step of 50 ms.
            reached: called when the tip arrives at a waypoint, before the gripper acts.
            poses: of the waypoints; by default the scene's.

        Raises:
            DemoError: a waypoint cannot be reached, or the task is not fulfilled at the end.
        """
        self.joint_position_action = None
        demonstration = Demonstration(
            self.engine, self.robot, self.task, self._planner, self._demonstrated, poses
        )
        with self.task.global_random:
            demonstration.run(record, reached)

    def _demonstrated(self, command: Floats) -> None:
        self.joint_position_action = command
        if self._step_callback is not None:
            self._step_callback()

    # ---- actions ------------------------------------------------------------------------

    @property
    def plan_rng(self) -> np.random.Generator:
        """Source of all motion planning in this episode."""
        return self._planner.rng

    def step(self) -> None:
        """Advance 50 ms; action modes call it as often as an action takes."""
        self.engine.step()
        self.task.step()
        for told in (self._step_callback, self.on_step):
            if told is not None:
                told()

    def workspace_bounds(self) -> tuple[Floats, Floats]:
        """Return (3,) lowest and (3,) highest position [m], world, that actions may aim at."""
        workspace = self.engine.shape("workspace")
        position, (x0, x1, y0, y1, _, _) = workspace.get_position(), workspace.get_bounding_box()
        margin = np.array([WORKSPACE_MARGIN, WORKSPACE_MARGIN, 0.0])
        low, high = np.array([x0, y0, 0.0]), np.array([x1, y1, WORKSPACE_HEIGHT])
        return position + low - margin, position + high + margin

    def check_target_in_workspace(self, position: Floats) -> bool:
        """Tell whether (3,) `position` [m] lies within `workspace_bounds`."""
        low, high = self.workspace_bounds()
        return bool(((low < position) & (position < high)).all())
