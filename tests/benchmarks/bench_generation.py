"""Where the time of generation goes, one process: one table.

Run by hand: LP_NUM_THREADS=1 python tests/benchmarks/bench_generation.py [--demos 10]
The first table has processor time, since other programs may run; that of generate_data.py has time
of the clock.
Without shadows, without multisampling; rgb, depth and segmentation of four cameras at 256 px.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "RLBench"))

import pyrep_mujoco.simulation as engine_module
from pyrep_mujoco.robots import arm as mujoco_robot
from rlbench.backend.observation import Observation
from rlbench.environment import Environment
from rlbench.observation_config import TRACK_CAMERAS, CameraConfig, ObservationConfig
from rlbench.recording import recorder
from rlbench.tasks import AVAILABLE, get_task_class, task_id

ROOT = Path(__file__).resolve().parents[2]
GENERATE = ROOT / "data_generation" / "RLBench" / "generate_data.py"
TASKS = {task_id(name): name for name in AVAILABLE}
SPENT: dict[str, float] = defaultdict(float)


def timed(owner: type, method: str, label: str) -> None:
    """Count the seconds spent in a method."""
    plain = getattr(owner, method)

    def wrapper(*args, **kwargs):
        start = time.process_time()
        try:
            return plain(*args, **kwargs)
        finally:
            SPENT[label] += time.process_time() - start

    setattr(owner, method, wrapper)


def drop_images(observation: Observation) -> None:
    """Keep the memory small, as the writer does."""
    observation.images = {}


def demos(number: int, count: int, with_images: bool) -> tuple[int, float]:
    """Return frames and seconds of `count` demonstrations, nothing written."""
    wanted = CameraConfig(point_cloud=False, image_size=(256, 256), depth_in_meters=True)
    images = dict.fromkeys(TRACK_CAMERAS, wanted) if with_images else {}
    env = Environment(obs_config=ObservationConfig(cameras=images))
    env.launch()
    task = env.get_task(get_task_class(TASKS[number]))
    task.get_demo(10_000, 0, 0, drop_images)
    SPENT.clear()
    start = time.process_time()
    frames = sum(len(task.get_demo(seed, 0, 0, drop_images)) for seed in range(count))
    seconds = time.process_time() - start
    env.shutdown()
    return frames, seconds


def written(number: int, count: int, cams: list[str]) -> dict[str, float]:
    """Return the report of generate_data.py with one process."""
    config = {"train_task_ids": [number], "n_ex_per_task": count, "cams": cams}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        command = [sys.executable, str(GENERATE), "--path_dataset", f"{folder}/data"]
        subprocess.run(
            [*command, "--path_dataset_config", str(path), "--n_processes", "1"],
            check=True,
            capture_output=True,
        )
        return json.loads((Path(folder) / "data" / "report.json").read_text(encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demos", type=int, default=10)
    parser.add_argument("--tasks", type=int, nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--no_writing", action="store_true", help="leave out generate_data.py")
    args = parser.parse_args()
    timed(mujoco_robot.Arm, "plan", "planning")
    timed(mujoco_robot.Arm, "can_reach", "planning")
    timed(engine_module.Simulation, "step", "stepping")
    timed(recorder.Recorder, "_images", "rendering")
    print("| task | images | frames | frames/s | planning | stepping | rendering | other |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for number in args.tasks:
        name = TASKS[number]
        for with_images in (False, True):
            frames, seconds = demos(number, args.demos, with_images)
            parts = {key: SPENT[key] / seconds for key in ("planning", "stepping", "rendering")}
            cells = " | ".join(
                f"{share:.0%}" for share in (*parts.values(), 1 - sum(parts.values()))
            )
            kind = "4 cameras" if with_images else "none"
            print(f"| {name} | {kind} | {frames} | {frames / seconds:.1f} | {cells} |")
    print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB\n")
    if args.no_writing:
        return
    print(
        "| generate_data.py, all written | images | frames/s | episodes/h | of it writing | peak"
        " MiB |"
    )
    print("|---|---|---:|---:|---:|---:|")
    for number in args.tasks:
        name = TASKS[number]
        for cams in ([], list(TRACK_CAMERAS)):
            report = written(number, args.demos, cams)
            busy = report["seconds_in_demos"] + report["seconds_in_writing"]
            share = report["seconds_in_writing"] / busy
            rate = report["frames"] / busy
            memory = report["peak_memory_mib"]
            hourly = 3600 * report["done"] / busy
            print(
                f"| {name} | {len(cams)} cameras | {rate:.1f} | {hourly:.0f} | {share:.0%} |"
                f" {memory:.0f} |"
            )


if __name__ == "__main__":
    main()
