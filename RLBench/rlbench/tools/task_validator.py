"""Try a task out: success of each variation, reach, time, and which keypoints cameras see.

python -m rlbench.tools.task_validator pick_and_lift --episodes 100
python -m rlbench.tools.task_validator all --json tasks.json
"""

from rlbench.engines import process_start

if __name__ == "__main__":
    process_start.prepare("task_validator", 350, simulates=True)

import argparse
import collections
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rlbench.backend.exceptions import (
    DemoError,
    EngineError,
    RLBenchError,
    SceneError,
    TaskEnvironmentError,
)
from rlbench.backend.task_files import SOURCES
from rlbench.catalogue import Catalogue
from rlbench.const import DEMO_DT, ROBOTS
from rlbench.demo import Demo
from rlbench.engines.vision import HIDDEN, SEEN
from rlbench.environment import ENGINES, Environment
from rlbench.observation_config import KEYPOINT_GROUPS, ObservationConfig
from rlbench.task_environment import TaskEnvironment
from rlbench.tasks.registry import TASK_NAMES, task_id
from rlbench.tools.task_pictures import Pictures
from rlbench.tools.task_report import (
    MIN_SUCCESS,
    KeypointReport,
    TaskReport,
    keypoint_table,
    read_reports,
    table,
    write_reports,
)

MAX_TOLD = 200
"""Characters of an error that is not ours."""
MOVING_SPEED = 0.005
"""[m/s] above which a keypoint counts as moving."""


def validate(
    name: str,
    episodes: int = 20,
    seed: int = 0,
    attempts: int = 3,
    groups: Sequence[str] = ("waypoints", "objects", "robot"),
    every_variation: bool = True,
    pictures: Pictures | None = None,
    **environment: Any,
) -> TaskReport:
    """Run episodes of a task, cycling through its variations.

    Args:
        name: task name.
        episodes: how many.
        seed: of all episodes.
        attempts: granted to an episode.
        groups: keypoint groups to watch.
        every_variation: run more episodes where a task has more variations.
        pictures: where a picture of the first demonstration goes, None for none.
        environment: `engine`, `rlbench_root`, `tasks_from`, `robot_setup` of `Environment`. Whether
            a seed repeats itself is checked on MuJoCo only.

    Raises:
        EngineError: the simulator is not there.
        TaskNotAvailableError: there is no such task.
        TaskFileError: a task file of RLBench fails.
        SceneError: its scene is not valid: an object is missing, a waypoint number is left out.
    """
    env = Environment(obs_config=ObservationConfig(keypoints=tuple(groups)), **environment)
    env.launch()
    try:
        task = env.get_task(name)
        check_waypoints(task)
        # PyRep's planner cannot be seeded.
        repeats = environment.get("engine", "mujoco") == "mujoco"
        trial = _Trial(task, attempts, seed, repeats, pictures)
        report = trial.run(max(episodes, task.variation_count() if every_variation else 0))
        report.source = env.catalogue.origin(name).label
        report.robot = env.robot_setup
        return report
    finally:
        env.shutdown()


def check_waypoints(task: TaskEnvironment) -> None:
    """Check that waypoints are there and numbered without a gap.

    Raises:
        SceneError: they are not.
    """
    there, names = task.waypoint_names, task.object_names
    numbered = [n for n in names if n.startswith("waypoint") and n[8:].isdigit()]
    left_over = sorted(set(numbered) - set(there))
    if not there or left_over:
        raise SceneError(
            f"{task.get_name()}: waypoints must be numbered from waypoint0 without a gap, "
            f"found {', '.join(sorted(numbered)) or 'none'}"
        )


class _Trial:
    """One validation of one task."""

    def __init__(
        self,
        task: TaskEnvironment,
        attempts: int,
        seed: int,
        repeats: bool = True,
        pictures: Pictures | None = None,
    ) -> None:
        self._repeats, self._pictures = repeats, pictures
        self._task, self._attempts, self._seed = task, attempts, seed
        self._failures: collections.Counter[str] = collections.Counter()
        self._refusals: collections.Counter[str] = collections.Counter()
        self._seconds: list[float] = []
        self._frames: list[int] = []
        self._placements = self._tries = 0
        self._visibility: list[np.ndarray] = []
        self._hiders: list[np.ndarray] = []
        self._moving: list[np.ndarray] = []

    def run(self, episodes: int) -> TaskReport:
        task = self._task
        variations = task.variation_count()
        report = TaskReport(
            task.get_name(), task_id(task.get_name()), variations, episodes, self._attempts
        )
        report.seed = self._seed
        first: Demo | None = None
        for n in range(episodes):
            demo = self._episode(report, n % variations, n // variations)
            if first is None and demo is not None:
                first = demo
                if self._pictures is not None:
                    self._pictures.draw(task, demo)
        report.failures, report.refusals = dict(self._failures), dict(self._refusals)
        report.placements_per_attempt = self._placements / self._tries
        if first is not None:
            report.is_repeatable = not self._repeats or self._is_repeatable(first)
            report.frames_per_demo = float(np.mean(self._frames))
            report.seconds_per_demo = float(np.mean(self._seconds))
            report.keypoints = self._keypoints(first.keypoint_names)
        return report

    def _episode(self, report: TaskReport, variation: int, example: int) -> Demo | None:
        self._task.set_variation(variation)
        for attempt in range(self._attempts):
            start = time.perf_counter()
            self._tries += 1
            try:
                demo = self._task.get_demo(self._seed, example, attempt)
            except DemoError as error:
                self._failures[error.cause] += 1
                continue
            finally:
                refusals = self._task.refusals
                self._refusals.update(refusals)
                self._placements += len(refusals) + 1
            self._seconds.append(time.perf_counter() - start)
            self._watch(demo)
            report.succeeded += 1
            report.first_attempt += attempt == 0
            return demo
        report.failed_episodes.append(f"{variation}/{example}")
        return None

    def _watch(self, demo: Demo) -> None:
        """Keep (V, T, K) visibility and (T, K) motion of a demonstration."""
        self._frames.append(len(demo))
        self._visibility.append(np.array([o.keypoint_visibility for o in demo]).transpose(1, 0, 2))
        self._hiders.append(np.array([o.keypoint_hiders for o in demo]))
        xyz = np.array([o.keypoints for o in demo])
        step = np.linalg.norm(np.diff(xyz, axis=0), axis=-1)
        still = np.zeros((1, xyz.shape[1]))
        fastest = np.maximum(np.concatenate([step, still]), np.concatenate([still, step]))
        self._moving.append(fastest > MOVING_SPEED * DEMO_DT)

    def _is_repeatable(self, first: Demo) -> bool:
        _, _, variation, example, attempt = first.random_seed
        self._task.set_variation(variation)
        try:
            again = self._task.get_demo(self._seed, example, attempt)
        except DemoError:
            return False
        return len(again) == len(first) and all(
            np.array_equal(a.keypoints, b.keypoints) for a, b in zip(first, again, strict=True)
        )

    def _keypoints(self, names: Sequence[str]) -> dict[str, KeypointReport]:
        visibility = np.concatenate(self._visibility, axis=1)  # (V, frames, K)
        hiders = np.concatenate(self._hiders)  # (frames, V, K)
        moving = np.concatenate(self._moving)
        cameras = self._task.track_cams
        seen, hidden = visibility == SEEN, visibility == HIDDEN
        inside_two = ((seen | hidden).sum(axis=0) >= 2).mean(axis=0)
        seen_two = (seen.sum(axis=0) >= 2).mean(axis=0)
        return {
            name: KeypointReport(
                float(moving[:, k].mean()),
                float(inside_two[k]),
                float(seen_two[k]),
                {c: float(seen[v, :, k].mean()) for v, c in enumerate(cameras)},
                {c: float(hidden[v, :, k].mean()) for v, c in enumerate(cameras)},
                self._hidden_by(hiders[..., k]),
            )
            for k, name in enumerate(names)
        }

    def _hidden_by(self, hiders: np.ndarray) -> dict[str, float]:
        """Give the share of each hider among (frames, V) handles, the largest first."""
        shares: dict[str, float] = {}
        for handle, count in zip(*np.unique(hiders[hiders >= 0], return_counts=True), strict=True):
            name = self._task.object_name(int(handle))
            hider = "robot" if self._task.is_robot(name) else name
            shares[hider] = shares.get(hider, 0.0) + int(count) / hiders.size
        return dict(sorted(shares.items(), key=lambda item: -item[1]))


def resolve(given: Sequence[str], catalogue: Catalogue) -> list[str]:
    """Turn names, ids and `all` into task names.

    Raises:
        TaskNotAvailableError: one of them does not run here.
    """
    if list(given) == ["all"]:
        return catalogue.names()
    names = [
        TASK_NAMES[int(g)] if g.isdigit() and int(g) < len(TASK_NAMES) else g
        for g in dict.fromkeys(given)
    ]
    incomplete = catalogue.incomplete()
    for name in names:
        if name not in incomplete:  # those get a row in the table that says why
            catalogue.origin(name)
    return names


def build_parser() -> argparse.ArgumentParser:
    """Give the command's flags."""
    parser = argparse.ArgumentParser(
        prog="task_validator", description="Try tasks out: success, reach, time, visibility."
    )
    add = parser.add_argument
    add("tasks", nargs="+", metavar="task", help="names or ids, or `all`")
    episodes = "episodes of a task; at least one of each variation (default 20)"
    add("--episodes", type=int, default=20, help=episodes)
    add(
        "--not_every_variation",
        action="store_true",
        help="make only --episodes episodes, even if a task has more variations",
    )
    add("--attempts", type=int, default=3, help="attempts at an episode (default 3)")
    add("--seed", type=int, default=0, help="seed of all episodes (default 0)")
    add(
        "--keypoints",
        nargs="+",
        choices=KEYPOINT_GROUPS,
        default=["waypoints", "objects", "robot"],
        help="keypoint groups (default waypoints objects robot)",
    )
    wanted = "required share of episodes that succeed at the first attempt (default 0.95)"
    add("--min_success", type=float, default=MIN_SUCCESS, help=wanted)
    add("--engine", choices=ENGINES, default="mujoco", help="simulator (default mujoco)")
    add(
        "--rlbench_root",
        help=(
            "checkout of RLBench whose tasks are available, too (default $RLBENCH_ROOT); its task"
            " files are Python programs: name only a checkout that you trust"
        ),
    )
    add(
        "--tasks_from",
        choices=SOURCES,
        help=(
            "auto: the checkout's version of a task if it has one; builtin: only built-in tasks;"
            " rlbench: only the checkout's tasks (default $RLBENCH_TASKS_FROM, else auto)"
        ),
    )
    add(
        "--robot_setup",
        choices=ROBOTS,
        default=ROBOTS[0],
        help="the robot; all but panda come from the checkout (default panda)",
    )
    add("--json", type=Path, help="also write all results to this JSON file, after each task")
    add("--resume", action="store_true", help="keep the results that are in the JSON file already")
    add("--pictures", type=Path, help="folder for a picture of each task's first demonstration")
    add("--plain_pictures", action="store_true", help="draw these pictures without the scene")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 when all tasks are fit, 1 when one is not, 2 for a user's error."""
    args = build_parser().parse_args(argv)
    if mistake := _mistake(args):
        return _refuse(mistake)
    try:
        reports = read_reports(args.json, *_settings(args)) if args.resume else []
        there = {report.task for report in reports}
        for name in resolve(args.tasks, Catalogue(args.rlbench_root, args.tasks_from)):
            if name in there:
                continue
            reports.append(_try_out(name, args))
            if args.json:
                write_reports(reports, args.json)
            print(keypoint_table(reports[-1]), end="\n\n", flush=True)
    except RLBenchError as error:
        return _refuse(str(error))
    print(table(reports))
    for report in reports:
        for line in report.notes():
            print(f"note: {report.task}: {line}")
    problems = [f"{r.task}: {p}" for r in reports for p in r.problems(args.min_success)]
    for problem in problems:
        print(f"problem: {problem}")
    return 1 if problems else 0


def _mistake(args: argparse.Namespace) -> str:
    """Say what is wrong with the flags, nothing when all is well."""
    for flag in ("episodes", "attempts"):
        if getattr(args, flag) < 1:
            return f"--{flag} must be at least 1, got {getattr(args, flag)}"
    if args.seed < 0 or not 0 <= args.min_success <= 1:
        return "--seed must be at least 0 and --min_success in [0, 1]"
    if args.resume and args.json is None:
        return "--resume goes on with a file: name it with --json"
    if args.plain_pictures and args.pictures is None:
        return "--plain_pictures says how pictures look: also give --pictures FOLDER"
    return ""


def _try_out(name: str, args: argparse.Namespace) -> TaskReport:
    """Validate one task; what keeps it from running is in the report."""
    pictures = Pictures(args.pictures, args.plain_pictures) if args.pictures else None
    try:
        return validate(
            name,
            args.episodes,
            args.seed,
            args.attempts,
            args.keypoints,
            every_variation=not args.not_every_variation,
            pictures=pictures,
            engine=args.engine,
            rlbench_root=args.rlbench_root,
            tasks_from=args.tasks_from,
            robot_setup=args.robot_setup,
        )
    except (EngineError, TaskEnvironmentError):
        raise  # no task can run
    except RLBenchError as error:
        why = str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a task's file may raise anything
        why = _told(error)
    seed, attempts, robot = _settings(args)
    return TaskReport(name, task_id(name), 0, 0, attempts, error=why, seed=seed, robot=robot)


def _told(error: BaseException) -> str:
    """Give an error that is not ours in one line, with the place that raised it."""
    frame = traceback.extract_tb(error.__traceback__, limit=-1)[0]
    text = " ".join(str(error).split())[:MAX_TOLD] or "no message"
    return f"{type(error).__name__}: {text} ({frame.filename}:{frame.lineno})"


def _settings(args: argparse.Namespace) -> tuple[int, int, str]:
    """Return what reports must share to stand in one file."""
    return args.seed, args.attempts, args.robot_setup


def _refuse(message: str) -> int:
    print(f"task_validator: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
