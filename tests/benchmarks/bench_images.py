"""Images of Lift scenes here and in robosuite, alternating in one run: one table.

Run by hand, with robosuite in a virtual environment of its own (it does not start with MuJoCo 4):
    python -m venv other && other/bin/pip install robosuite==1.5.2 mujoco==3.3.7
    LP_NUM_THREADS=1 python tests/benchmarks/bench_images.py --robosuite other/bin/python
A whole observation of four cameras, each with rgb, depth and instance segmentation at 256 px;
nothing is written and no physics runs. robosuite is measured twice: as it comes (multisampling,
reflections, a buffer of 640 x 480), and stripped of all that is not drawn here either. A number is
for one camera: time of the processor, all threads, and time on the clock.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SIZE, CAMERAS = 256, 4
FRAMES = 5  # in one turn
LEAST_SPREAD = 5  # grey levels; a picture of nothing has none
UNITS = ("processor", "clock")


def ours(root: Path) -> Callable[[], Any]:
    """Return what makes one observation of pick_and_lift, by the code of a checkout."""
    sys.path.insert(0, str(root / "RLBench"))
    from rlbench.environment import Environment  # noqa: PLC0415 - only one side has it
    from rlbench.observation_config import (  # noqa: PLC0415
        TRACK_CAMERAS,
        CameraConfig,
        ObservationConfig,
    )
    from rlbench.tasks import get_task_class  # noqa: PLC0415

    wanted = CameraConfig(point_cloud=False, image_size=(SIZE, SIZE), depth_in_meters=True)
    env = Environment(obs_config=ObservationConfig(cameras=dict.fromkeys(TRACK_CAMERAS, wanted)))
    env.launch()
    task = env.get_task(get_task_class("pick_and_lift"))
    task.reset()
    frame = task.get_observation()
    kinds = ("rgb", "depth", "mask")
    check([getattr(frame, f"{camera}_{kind}") for camera in TRACK_CAMERAS for kind in kinds])
    observe: Callable[[], Any] = task.get_observation
    return observe


def theirs(is_stripped: bool) -> Callable[[], Any]:
    """Return what makes one observation of robosuite's Lift."""
    os.environ.setdefault("MUJOCO_GL", "egl")
    import mujoco  # noqa: PLC0415 - another version on either side
    import robosuite  # noqa: PLC0415 - only one side has it

    cameras = ("frontview", "birdview", "agentview", "sideview")
    env = robosuite.make(
        "Lift",
        robots="Panda",
        has_renderer=False,
        has_offscreen_renderer=True,
        use_camera_obs=True,
        camera_names=list(cameras),
        camera_heights=SIZE,
        camera_widths=SIZE,
        camera_depths=True,
        camera_segmentations="instance",
    )
    env.reset()
    if is_stripped:
        context, model = env.sim._render_context_offscreen, env.sim.model._model
        model.vis.quality.offsamples = 0
        model.vis.global_.offwidth = model.vis.global_.offheight = SIZE
        context.con.free()
        context._set_mujoco_context_and_buffers()
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            context.scn.flags[flag] = 0

    def observe() -> Any:
        return env._get_observations(force_update=True)

    frame, kinds = observe(), ("image", "depth", "segmentation_instance")
    check([frame[f"{camera}_{kind}"] for camera in cameras for kind in kinds])
    return observe


def check(images: list[Any]) -> None:
    """Refuse to measure what draws nothing: rgb, depth and mask of each camera in turn."""
    assert len(images) == 3 * CAMERAS
    for n, image in enumerate(images):
        assert image.shape[:2] == (SIZE, SIZE), image.shape
        assert n % 3 != 0 or image.std() > LEAST_SPREAD, "a picture of nothing"
        assert image.min() < image.max(), "depth or mask of nothing"


def serve(observe: Callable[[], Any]) -> None:
    """Measure once for each line that is read; print milliseconds per camera."""
    observe()
    for _ in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        for _frame in range(FRAMES):
            observe()
        spent = time.process_time() - cpu, time.perf_counter() - wall
        print("ms", *(1e3 * s / FRAMES / CAMERAS for s in spent), flush=True)


def ask(side: "subprocess.Popen[str]") -> tuple[float, float]:
    """Let one side measure while the others wait."""
    assert side.stdin is not None
    assert side.stdout is not None
    side.stdin.write("\n")
    side.stdin.flush()
    for line in side.stdout:
        if line.startswith("ms "):
            cpu, wall = map(float, line.split()[1:])
            return cpu, wall
    raise SystemExit("one side ended; its message is above")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--robosuite", help="a Python that has robosuite 1.5.2")
    parser.add_argument("--before", type=Path, help="another checkout of this repository")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        is_theirs = arguments.serve.startswith("robosuite")
        stripped = arguments.serve == "robosuite, stripped"
        serve(theirs(stripped) if is_theirs else ours(arguments.before or ROOT))
        return
    sides = {"here": [sys.executable, __file__, "--serve", "here"]}
    if arguments.before:
        before = ["--serve", "before", "--before", str(arguments.before)]
        sides["before"] = [sys.executable, __file__, *before]
    if arguments.robosuite:
        for name in ("robosuite, stripped", "robosuite, as it comes"):
            sides[name] = [arguments.robosuite, __file__, "--serve", name]
    pipe = subprocess.PIPE
    running = [subprocess.Popen(c, stdin=pipe, stdout=pipe, text=True) for c in sides.values()]
    turns = [[ask(side) for side in running] for _ in range(arguments.turns)]
    for side in running:
        side.communicate()
    print(f"LP_NUM_THREADS: {os.environ.get('LP_NUM_THREADS', 'as many as cores')}")
    for k, name in enumerate(sides):
        for n, unit in enumerate(UNITS):
            spent = statistics.median(turn[k][n] for turn in turns)
            ratios = sorted(turn[k][n] / turn[0][n] for turn in turns)
            print(
                f"{name:23} {unit:9} {spent:6.2f} ms a camera; {statistics.median(ratios):5.2f} x"
                f" the time here ({ratios[0]:.2f}-{ratios[-1]:.2f} in {len(turns)} turns)"
            )


if __name__ == "__main__":
    main()
