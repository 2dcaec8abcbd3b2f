"""What limits a large generation: the file system, the report, the driver of a cluster.

Run by hand: python tests/benchmarks/bench_cluster.py [--episodes 300] [--ray HOST:PORT]

It writes episodes like those of pick_and_lift (four cameras, 256 px, 93 frames) from ready bytes,
counts files, bytes and calls of the file system, and measures how the time of writing one grows
with what is there, and what the report takes: processor time, since other programs may run. With
--ray it measures how many jobs a second go through a cluster, without work in them.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_generation.RLBench.raw import layout
from data_generation.RLBench.raw.episode import Calibration, CameraFilm, Episode
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.store import RawStore

CAMERAS = ("left_shoulder", "right_shoulder", "overhead", "front")
FRAMES, KEYPOINTS = 93, 11
SIZES = {"rgb": 40_000, "depth": 40_000, "seg": 3_000}  # bytes of a picture, about
CALLS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.scandir", "os.listdir")


def film(size: int) -> CameraFilm:
    """Give a film of ready bytes: no picture is encoded here."""
    made = CameraFilm()
    data = {kind: bytes(number // size) for kind, number in SIZES.items()}
    made._frames = [data] * FRAMES
    return made


def episode(size: int) -> Episode:
    """Make an episode whose files are `size` times smaller than real ones."""
    calibration = Calibration((256, 256), np.eye(3), np.eye(4)[:3])
    return Episode(
        info={"task_name": "pick_and_lift"},
        keypoint_names=tuple(f"robot/{k}" for k in range(KEYPOINTS)),
        xyz=np.zeros((FRAMES, KEYPOINTS, 3)),
        visibility=np.zeros((4, FRAMES, KEYPOINTS), np.float32),
        track_cams=CAMERAS,
        cameras=dict.fromkeys(CAMERAS, calibration),
        ee_state=np.zeros((FRAMES, 8)),
        actions={"abs_joint_position": np.zeros((FRAMES, 8))},
        waypoint_frames=np.array([FRAMES - 1]),
        obj_poses=[{"objects": [{"name": "block", "id": 3}]}] * FRAMES,
        random_seed=(0, 1, 2),
        films={camera: film(size) for camera in CAMERAS},
    )


def calls_of(action) -> Counter[str]:
    """Count the calls of the file system that Python makes; `stat` has no event."""
    counted: Counter[str] = Counter()
    counting = True

    def hook(event: str, args: tuple) -> None:
        if counting and event in CALLS:
            counted[event] += 1

    sys.addaudithook(hook)
    action()
    counting = False
    return counted


def ray_rate(address: str, jobs: int = 5000) -> float:
    """Give the empty jobs a second that one driver gives out and takes back."""
    import ray  # noqa: PLC0415 - an optional package

    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    empty = ray.remote(num_cpus=1, max_retries=0)(lambda: None)
    ray.get([empty.remote() for _ in range(100)])
    start, running, left = time.perf_counter(), [], jobs
    while left or running:
        while left and len(running) < 64:
            running.append(empty.remote())
            left -= 1
        ray.wait(running, num_returns=1)
        done, running = ray.wait(running, num_returns=len(running), timeout=0)
        ray.get(done)
    seconds = time.perf_counter() - start
    ray.shutdown()
    return jobs / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--episodes", type=int, default=300)
    parser.add_argument("--shrink", type=int, default=40, help="write files so many times smaller")
    parser.add_argument("--ray", help="address of a cluster")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = RawStore(Path(folder) / "data")
        store.create(0, {})
        small = episode(args.shrink)
        print("| episodes there | ms to write one | ms more if it replaces one |")
        print("|---:|---:|---:|")
        for example in range(args.episodes):
            key, start = EpisodeKey(9, example, 0), time.process_time()
            store.write(key, small)
            written = time.process_time() - start
            if example in (0, 10, 100, args.episodes - 1):
                start = time.process_time()
                sum(1 for _ in layout.files_of(store.task_dir(9), EpisodeKey(9, 10**6, 0)))
                looked = time.process_time() - start
                print(f"| {example} | {1e3 * written:.0f} | {1e3 * looked:.0f} |", flush=True)
        key = EpisodeKey(9, args.episodes, 0)
        calls = calls_of(lambda: store.write(key, small))
        files = store.read_record(key)["files"]
        print(f"\nan episode: {len(files) + 1} files; calls to write it: {dict(calls)}")
        start = time.process_time()
        keys = store.episodes(9)
        listed = time.process_time() - start
        start = time.process_time()
        assert all(store.frames_if_whole(key) for key in keys)
        counted = time.process_time() - start
        start = time.process_time()
        for key in keys:
            store.check(key, deep=False)
        checked = time.process_time() - start
        n = len(keys)
        print(
            f"report, per episode: {1e3 * listed / n:.2f} ms to list, {1e3 * counted / n:.1f} ms to"
            f" count (stat of each file), {1e3 * checked / n:.1f} ms to check at the start"
        )
        store.close()
    if args.ray:
        print(f"Ray: {ray_rate(args.ray):.0f} jobs/s through one driver")


if __name__ == "__main__":
    main()
