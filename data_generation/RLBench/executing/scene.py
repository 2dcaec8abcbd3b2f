"""One scene: placed, watched, lifted and acted in, once for each condition."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generation.RLBench.errors import DataGenerationError
from data_generation.RLBench.executing.jobs import Job, Outcome
from data_generation.RLBench.executing.lifters import (
    Lifter,
    check_task,
    groups_of,
    known_ids,
    lift_poses,
    open_lifter,
)
from data_generation.RLBench.executing.pictures import DetectorErrors, PictureDetectors
from data_generation.RLBench.executing.poses import LiftedPose
from data_generation.RLBench.executing.settings import (
    EACH_WAYPOINT,
    TRUTH,
    Condition,
    Noise,
    Settings,
)
from data_generation.RLBench.executing.structure import Structure
from data_generation.RLBench.executing.watch import Watch
from data_generation.RLBench.generation.worker import told
from data_generation.RLBench.raw.episode_key import seed_example
from pose_obj_3d.common.errors import PoseObj3DError
from pose_obj_3d.evaluation.frame_poses import GROUP
from rlbench.acting import Acted, Actor, Waypoint
from rlbench.backend.exceptions import DemoError, EngineError, RLBenchError
from rlbench.environment import Environment
from rlbench.observation_config import CameraConfig, ObservationConfig
from rlbench.task_environment import TaskEnvironment

Float = npt.NDArray[np.float64]
Shown = Callable[[TaskEnvironment, Mapping[str, Float], str], None]
"""Told the task, (4, 4) poses by waypoint that the robot has not passed, and the next waypoint."""


@dataclass(frozen=True)
class Span:
    """The frames of a look.

    Attributes:
        first: number of the first one.
        frames: how many.
        is_start: nothing has moved yet.
    """

    first: int
    frames: int
    is_start: bool


class Executor:
    """Executes scenes; the environment, a task and the lifters are kept between them."""

    def __init__(self, settings: Settings) -> None:
        """Open a simulator and all checkpoints.

        Raises:
            DataGenerationError: One of them cannot be used.
        """
        self.settings = settings
        self.lifters: dict[str, Lifter] = {
            m.label: open_lifter(m) for m in settings.methods if m.name != TRUTH
        }
        self._detectors = PictureDetectors(settings.detectors) if settings.detectors else None
        structure = settings.structure
        self._structure = None if structure is None else Structure(structure)
        self._errors = None if settings.detected is None else DetectorErrors(settings.detected)
        try:
            self._env = Environment(obs_config=self._observed(), **settings.engine)
            self._env.launch()
        except RLBenchError as error:
            raise DataGenerationError(str(error)) from None
        self.tasks = self._env.catalogue.by_id()
        self._calibration = self._env.track_calibration()
        self._actor: Actor | None = None
        self._task_id = -1

    def _observed(self) -> ObservationConfig:
        groups = [g for lifter in self.lifters.values() for g in groups_of(lifter)]
        config = self.settings.config
        camera = CameraConfig(depth=False, point_cloud=False, image_size=config.image_size)
        return ObservationConfig(
            cameras=dict.fromkeys(config.track_cams, camera) if self._detectors else {},
            track_cams=config.track_cams,
            track_image_size=config.image_size,
            keypoints=tuple(dict.fromkeys([GROUP, *groups])),
            shadows=config.shadows,
            antialiasing=config.antialiasing,
        )

    def actor(self, task_id: int) -> Actor:
        """Return what acts in a task.

        Raises:
            DataGenerationError: The task cannot be loaded, or a checkpoint does not know it.
        """
        if self._actor is None or task_id != self._task_id:
            self._task_id = -1
            try:
                self._actor = Actor(self._env.get_task(self.tasks[task_id]))
            except RLBenchError as error:
                raise DataGenerationError(f"task {task_id}: {error}") from None
            names = self._actor.task.keypoint_names
            for label, lifter in self.lifters.items():
                check_task(lifter, self.settings.method(label), task_id, names)
                if self._errors is not None:
                    self._errors.of(known_ids(lifter, task_id, names))
            if self._detectors is not None:
                self._detectors.check_task(task_id, names, self.settings.config.track_cams)
            self._task_id = task_id
        return self._actor

    def variations(self, task_id: int) -> int:
        """Count a task's variations; errors as of `actor`."""
        return self.actor(task_id).task.variation_count()

    def run(self, job: Job) -> dict[str, Outcome]:
        """Execute a scene; the result is a function of the settings and the job alone.

        Raises:
            DataGenerationError: The simulator, or a lifter, does not work at all.
        """
        found = {}
        for condition in job.conditions:
            actor = self.actor(job.key.task_id)
            actor.task.set_variation(job.key.variation)
            execution = _Execution(self, actor, job, condition)
            try:
                found[str(condition)] = execution.run()
            except DataGenerationError:
                raise
            except (EngineError, PoseObj3DError) as error:
                raise DataGenerationError(f"{job.key}, {condition}: {error}") from None
            except Exception as error:  # noqa: BLE001 - a user's task file may raise anything
                self._task_id = -1  # who knows what it left behind
                found[str(condition)] = execution.broken(told(error))
        return found

    def show(self, job: Job, shown: Shown) -> Outcome:
        """Execute a scene in its only condition, and show each step of 50 ms.

        Args:
            job: The scene.
            shown: Is called after each step.
        """
        actor = self.actor(job.key.task_id)
        actor.task.set_variation(job.key.variation)
        return _Execution(self, actor, job, job.conditions[0], shown).run()

    def watch(self, actor: Actor, job: Job) -> Watch:
        """Return an empty watch of a scene."""
        config = self.settings.config
        return Watch(
            actor.task.keypoint_names,
            config.track_cams,
            self._calibration,
            config.image_size,
            (job.key.task_id, seed_example("test", job.number)),
            self._detectors,
        )

    def lift(
        self, lifter: Lifter, watch: Watch, noise: Noise, task: int, look: Span
    ) -> dict[str, LiftedPose]:
        """Return the waypoints' poses in the middle of a look, as `lift_poses` does."""
        data = watch.data(noise)
        if self._errors is not None:
            ids = known_ids(lifter, task, data.keypoint_names(task))
            data = replace(data, meta={**data.meta, "noise": self._errors.of(ids)})
        relations = None
        if self._structure is not None and look.is_start:
            relations = self._structure.relations(task)
        middle = look.first + look.frames // 2
        occlusion = self.settings.occlusion
        return lift_poses(lifter, data, task, middle, occlusion, look.first, relations)

    def is_new(self, lifter: Lifter, noise: Noise) -> bool:
        """Tell whether each look errs by itself: windows of white noise do."""
        detector = noise.detector
        if detector is None:
            return False  # of what a network finds in pictures, errors last
        lasting = detector.noise_time_constant, detector.noise_persistent_share
        is_white = not any(np.any(setting) for setting in lasting)
        return is_white and lifter.window is not None and lifter.window <= self.settings.frames

    def close(self) -> None:
        """Free the simulator."""
        self._env.shutdown()


class _Execution:
    """One scene in one condition; used once."""

    def __init__(
        self,
        executor: Executor,
        actor: Actor,
        job: Job,
        condition: Condition,
        shown: Shown | None = None,
    ) -> None:
        self._shown, self._poses, self._passed = shown, dict[str, LiftedPose](), list[str]()
        self._executor, self._settings = executor, executor.settings
        self._actor, self._job = actor, job
        self._noise = self._settings.noise(condition.noise)
        self._lifter = executor.lifters.get(condition.method)
        self._watch = executor.watch(actor, job)
        self._is_first = True
        self._is_looking, self._has_pictures = False, bool(executor.settings.detectors)
        self._waited: dict[str, int] = {}
        self._doubtful: list[str] = []

    def broken(self, detail: str) -> Outcome:
        """Return the outcome where the task's own code has failed."""
        return self._outcome(Acted("broken", detail, (), 0), {})

    def run(self) -> Outcome:
        key = self._job.key
        try:
            self._actor.place(self._settings.seed, seed_example("test", key.example))
        except DemoError as error:
            acted = Acted("not_placed", str(error), (), 0)
            return self._outcome(acted, {})
        for observation in self._actor.watch(self._settings.frames):
            self._watch.add(observation)
        self._poses = self._lift(self._settings.frames)
        looked = self._compared(self._poses)
        acted = self._actor.follow(
            {name: pose.T for name, pose in self._poses.items()},
            self._before,
            self._stepped,
            lambda name: self._poses[name].doubts(self._settings.tries),
        )
        return self._outcome(acted, looked)

    def _before(
        self, waypoint: Waypoint, step: Callable[[], None], known: Mapping[str, Float]
    ) -> Mapping[str, Float] | None:
        """Note the next waypoint; look again where that was asked for."""
        self._passed.append(waypoint.name)
        if self._settings.replan != EACH_WAYPOINT:
            return None
        self._poses = {name: pose.moved_to(known[name]) for name, pose in self._poses.items()}
        self._look(waypoint, step)
        return {name: pose.T for name, pose in self._poses.items()}

    def _stepped(self) -> None:
        if self._is_looking or (self._settings.replan == EACH_WAYPOINT and not self._has_pictures):
            self._watch.add(self._actor.task.get_observation())
        elif self._settings.replan == EACH_WAYPOINT:
            self._watch.skip()
        if self._shown is not None:
            passed = set(self._passed[:-1])
            ahead = {n: pose.T for n, pose in self._poses.items() if n not in passed}
            self._shown(self._actor.task, ahead, self._passed[-1])

    def _lift(self, frames: int) -> dict[str, LiftedPose]:
        """Return the poses in the last frames, a look, in which nothing has moved."""
        if self._lifter is None:
            true = self._actor.true_poses()
            return {name: LiftedPose(T, math.nan, math.nan) for name, T in true.items()}
        look = Span(len(self._watch) - frames, frames, len(self._passed) <= 1)
        task = self._job.key.task_id
        return self._executor.lift(self._lifter, self._watch, self._noise, task, look)

    def _look(self, waypoint: Waypoint, step: Callable[[], None]) -> None:
        """Look again; before a grasp as long as the claims ask for, and there is patience."""
        settings, name = self._settings, waypoint.name
        self._is_looking = True
        if not self._is_first:
            self._see(settings.frames, step)
        self._is_first = False
        closes = waypoint.gripper is not None and not waypoint.gripper.opens
        waited = 0
        while closes and _doubt(self._poses, name) > settings.grasp_limit_mm:
            if waited >= settings.longest_wait:
                self._doubtful.append(name)
                break
            more = min(settings.frames, settings.longest_wait - waited)
            self._see(more, step)
            waited += more
        self._is_looking = False
        if waited:
            self._waited[name] = self._waited.get(name, 0) + waited

    def _see(self, frames: int, step: Callable[[], None]) -> None:
        """Look for some frames, and bring up to date what is known."""
        for _ in range(frames):
            step()
        is_new = self._lifter is not None and self._executor.is_new(self._lifter, self._noise)
        for name, seen in self._lift(frames).items():
            known = self._poses.get(name)
            self._poses[name] = seen if known is None else known.updated(seen, is_new)

    def _compared(self, poses: Mapping[str, LiftedPose]) -> dict[str, dict[str, float | None]]:
        found = {}
        for name, true in self._actor.true_poses().items():
            if name not in poses:
                continue
            pose = poses[name]
            mm, deg = self._actor.deviation(name, pose.T, true)
            numbers = {
                "mm": mm,
                "deg": deg,
                "claimed_mm": pose.sd_mm,
                "claimed_deg": pose.sd_deg,
            }
            found[name] = {k: _number(v) for k, v in numbers.items()}
            if pose.is_inferred:
                found[name]["inferred"] = 1.0
        return found

    def _outcome(self, acted: Acted, looked: dict[str, Any]) -> Outcome:
        visits = []
        for visit in acted.visits:
            mm, deg = self._actor.deviation(visit.name, visit.used, visit.true)
            seen = {"waypoint": visit.name, "mm": _number(mm), "deg": _number(deg)}
            visits.append({**seen, "is_other": visit.is_other})
        return {
            "cause": acted.cause,
            "detail": acted.detail[:300],
            "steps": acted.steps,
            "looked": looked,
            "visits": visits,
            "waited": self._waited,
            "doubtful": self._doubtful,
        }


def _doubt(poses: Mapping[str, LiftedPose], name: str) -> float:
    """Return the claimed deviation [mm] of a waypoint; infinite for one that is not seen."""
    if name not in poses:
        return math.inf
    return poses[name].sd_mm  # NaN, no claim, is above no limit


def _number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
