"""Film a demonstration of a task, or play it in MuJoCo's viewer.

python -m rlbench.tools.record_demo pick_and_lift --out demo.mp4
python -m rlbench.tools.record_demo pick_and_lift --out demo.mp4 --keypoints --turntable 20
python -m rlbench.tools.record_demo pick_and_lift --window
"""

from rlbench.engines import process_start

if __name__ == "__main__":
    process_start.prepare("record_demo", 350, simulates=True)

import argparse
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rlbench.backend.exceptions import DemoError, RLBenchError
from rlbench.backend.observation import Observation
from rlbench.backend.task_files import SOURCES
from rlbench.cameras import CAMERAS, CINEMATIC, View, looking, project, turned
from rlbench.const import DEMO_DT, ROBOTS
from rlbench.demo import Demo
from rlbench.environment import Environment
from rlbench.observation_config import ObservationConfig
from rlbench.task_environment import MAX_ATTEMPTS, TaskEnvironment
from rlbench.tools.task_pictures import COLOURS, draw_line
from rlbench.tools.video import check_video, video_file

SIZE = (1280, 720)
SMALLEST, LARGEST = 16, 4096
"""Sides of a picture [px]."""
TURN = 10.0
"""[degrees/s] of a turn-table, unless another speed is given."""
TRAIL_FRAMES = 20
"""A trail shows where a keypoint was in so many frames."""

Floats = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Shot:
    """How a film looks.

    Attributes:
        camera: name of the camera.
        size: width and height [px].
        keypoints: draw keypoints and their trails.
        turn: speed at which the camera goes round the table [degrees/s].
    """

    camera: str = CINEMATIC.name
    size: tuple[int, int] = SIZE
    keypoints: bool = False
    turn: float = 0.0

    def view(self, seconds: float) -> View:
        """Return the camera at a moment of the film."""
        return (
            turned(looking(self.camera), np.deg2rad(self.turn * seconds))
            if self.turn
            else (self.camera)
        )


class Film:
    """Makes the pictures of one attempt at a demonstration, one for each observation."""

    def __init__(self, task: TaskEnvironment, shot: Shot) -> None:
        self._task, self._shot = task, shot
        self._names = task.keypoint_names
        self._past: deque[Floats] = deque(maxlen=TRAIL_FRAMES)
        self.frames = 0

    def picture(self, obs: Observation) -> Picture:
        """Return (height, width, 3) the present moment, which an observation was just made of."""
        shot, view = self._shot, self._shot.view(self.frames * DEMO_DT)
        self.frames += 1
        picture = self._task.render(view, shot.size)
        if not shot.keypoints:
            return picture
        self._past.append(np.asarray(obs.keypoints, np.float64))
        uv, depth = project(np.array(self._past), *self._task.recorder.matrices(view, shot.size))
        canvas = picture.astype(np.float64)
        # The task's own keypoints over those of the arm.
        is_arm = [name.startswith("robot/") for name in self._names]
        order = sorted(range(len(is_arm)), key=lambda k: not is_arm[k])
        for k in order:
            if (depth[:, k] > 0).all():
                self._draw(canvas, uv[:, k], self._names[k])
        return np.asarray(canvas.round(), np.uint8)

    def _draw(self, canvas: Floats, trail: Floats, name: str) -> None:
        colour = COLOURS.get(name.split("/", maxsplit=1)[0], COLOURS["objects"])
        unit = max(1.0, min(self._shot.size) / 256)
        draw_near(canvas, trail, colour, 1.2 * unit)
        draw_near(canvas, trail[-1:], (255, 255, 255), 5.0 * unit)
        draw_near(canvas, trail[-1:], colour, 3.6 * unit)


def draw_near(canvas: Floats, points: Floats, colour: Sequence[float], width: float) -> None:
    """Draw a line on the part of a large picture in which it lies; see `draw_line`."""
    limits = np.array([canvas.shape[1], canvas.shape[0]])
    low = np.clip(np.floor(points.min(axis=0) - width - 1), 0, limits).astype(int)
    high = np.clip(np.ceil(points.max(axis=0) + width + 1), 0, limits).astype(int)
    if (low < high).all():
        part = canvas[low[1] : high[1], low[0] : high[0]]
        draw_line(part, points - low, colour, width)


def film_demo(
    task: TaskEnvironment, shot: Shot, out: Path, seed: int, example: int, attempts: int
) -> Demo:
    """Film the first attempt that succeeds; return its demonstration.

    Raises:
        DemoError: all attempts fail; nothing is written.
        VideoError: the video cannot be made.
    """

    def attempt(number: int) -> Demo:
        film = Film(task, shot)
        with video_file(out, 1 / DEMO_DT, shot.size) as video:
            return task.get_demo(seed, example, number, lambda obs: video.add(film.picture(obs)))

    return first_success(attempt, task.get_name(), attempts)


def play_demo(task: TaskEnvironment, seed: int, example: int, attempts: int) -> Demo:
    """Make a demonstration at its true speed, for the viewer that the environment has opened."""

    def attempt(number: int) -> Demo:
        start, shown = time.monotonic(), 0

        def wait(_: Observation) -> None:
            nonlocal shown
            shown += 1
            time.sleep(max(0.0, start + shown * DEMO_DT - time.monotonic()))

        return task.get_demo(seed, example, number, wait)

    return first_success(attempt, task.get_name(), attempts)


def first_success(make: Callable[[int], Demo], task: str, attempts: int) -> Demo:
    """Return the first demonstration that succeeds.

    Raises:
        DemoError: none does.
    """
    causes = []
    for number in range(attempts):
        try:
            return make(number)
        except DemoError as error:
            causes.append(error.cause)
    raise DemoError(
        f"{task}: {attempts} attempts failed ({', '.join(sorted(set(causes)))}); try another"
        " --example or more --attempts",
        cause="max_attempts",
    )


def build_parser() -> argparse.ArgumentParser:
    """Give the command's flags."""
    parser = argparse.ArgumentParser(
        prog="record_demo", description="Film a demonstration, or play it in MuJoCo's viewer."
    )
    add = parser.add_argument
    add("task", help="the task's name")
    add("--out", type=Path, help="video to write: .mp4 or .webm; an older one is replaced")
    add("--window", action="store_true", help="play it in MuJoCo's viewer; needs a display")
    cameras = [CINEMATIC.name, *CAMERAS]
    add("--camera", choices=cameras, default=CINEMATIC.name, help="default cinematic")
    add(
        "--size",
        type=int,
        nargs=2,
        default=SIZE,
        metavar=("WIDTH", "HEIGHT"),
        help=f"of the video [px] (default {SIZE[0]} {SIZE[1]})",
    )
    add("--keypoints", action="store_true", help="draw keypoints and their trails")
    add(
        "--turntable",
        type=float,
        nargs="?",
        const=TURN,
        default=0.0,
        metavar="SPEED",
        help=f"let the camera go round the table, by SPEED degrees a second (default {TURN:g})",
    )
    add("--no_shadows", action="store_true", help="faster: no shadows, no smooth edges")
    add("--variation", type=int, default=0, help="the task's variation (default 0)")
    add("--seed", type=int, default=0, help="default 0")
    add("--example", type=int, default=0, help="number of the demonstration (default 0)")
    add("--attempts", type=int, default=MAX_ATTEMPTS, help=f"default {MAX_ATTEMPTS}")
    add("--robot_setup", choices=ROBOTS, default=ROBOTS[0], help="default panda")
    add("--rlbench_root", help="checkout of RLBench (default $RLBENCH_ROOT)")
    add("--tasks_from", choices=SOURCES, help="default $RLBENCH_TASKS_FROM, else auto")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 when all is well, 2 for a user's error or a task that fails."""
    args = build_parser().parse_args(argv)
    try:
        if mistake := _mistake(args):
            raise RLBenchError(mistake)
        if args.out:
            check_video(args.out)
        print(_run(args))
    except (RLBenchError, OSError) as error:
        print(f"record_demo: {error}", file=sys.stderr)
        return 2
    return 0


def _mistake(args: argparse.Namespace) -> str:
    """Say what is wrong with the flags, nothing when all is well."""
    if (args.out is None) != args.window:
        return "give either --out demo.mp4, or --window"
    if not all(SMALLEST <= side <= LARGEST for side in args.size):
        return f"--size must be {SMALLEST} to {LARGEST} px each way, got {args.size}"
    if min(args.seed, args.example, args.variation) < 0 or args.attempts < 1:
        return "--seed, --example and --variation must be at least 0, --attempts at least 1"
    if not np.isfinite(args.turntable):
        return f"--turntable must be a number of degrees a second, got {args.turntable}"
    if args.turntable and looking(args.camera).parent is not None:
        return f"--turntable: camera {args.camera} rides on the robot; choose another --camera"
    return ""


def _run(args: argparse.Namespace) -> str:
    """Make the demonstration; return what to tell about it."""
    fine = not args.no_shadows
    env = Environment(
        obs_config=ObservationConfig(track_cams=(), shadows=fine, antialiasing=4 if fine else 0),
        headless=not args.window,
        robot_setup=args.robot_setup,
        rlbench_root=args.rlbench_root,
        tasks_from=args.tasks_from,
    )
    env.launch()
    try:
        task = env.get_task(args.task)
        task.set_variation(args.variation)
        which = args.seed, args.example, args.attempts
        if args.window:
            demo = play_demo(task, *which)
        else:
            shot = Shot(args.camera, tuple(args.size), args.keypoints, args.turntable)
            demo = film_demo(task, shot, args.out, *which)
    finally:
        env.shutdown()
    about = f"{demo.descriptions[0]}: {len(demo)} frames, {len(demo) * DEMO_DT:.1f} s"
    return about if args.window else f"{args.out}: {about}"


if __name__ == "__main__":
    sys.exit(main())
