"""Kill a generation at random moments until it is complete; compare it with an unbroken one.

python tests/benchmarks/kill_generation.py --kills 30 [--seed 0] [--n_processes 2]

Killed are, in turn, the main process, all processes at once, and one worker (the run goes on then).
Run by hand; prints how many episodes were lost (made, then gone) and how many files differ.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIG = {
    "train_task_ids": [0, 9],
    "n_ex_per_task": 8,
    "n_variation_per_task": 3,
    "obs_dim": [24, 32, 3],
    "cams": ["front"],
    "track_cams": ["left_shoulder", "front"],
}
UNEQUAL = {"report.json"}  # times of the run


def start(data: Path, config: Path, n_processes: int) -> subprocess.Popen[bytes]:
    """Begin, or continue, a generation in a process group of its own."""
    command = [
        sys.executable,
        ROOT / "data_generation/RLBench/generate_data.py",
        "--path_dataset",
        data,
        "--path_dataset_config",
        config,
        "--n_processes",
        str(n_processes),
    ]
    return subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def episodes(data: Path) -> set[str]:
    """List the episodes that exist."""
    return {str(p.relative_to(data)) for p in data.rglob("episode.json")}


def files(data: Path) -> dict[str, bytes]:
    """Return what every file holds."""
    return {
        str(p.relative_to(data)): p.read_bytes()
        for p in data.rglob("*")
        if p.is_file() and p.name not in UNEQUAL
    }


def workers(pid: int) -> list[int]:
    """List the processes that a process started with `spawn`."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
            found.append(int(child))
    return found


def kill(process: subprocess.Popen[bytes], kind: int, rng: random.Random) -> str:
    """Kill the main process, all, or a worker; say which."""
    try:
        if kind == 0:
            process.kill()
        elif kind == 1:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            victims = workers(process.pid)
            if not victims:
                return "none"
            os.kill(rng.choice(victims), signal.SIGKILL)
    except OSError:
        return "none"
    return ("main", "all", "worker")[kind]


def main() -> int:
    """Return 0 when nothing was lost and all bytes are equal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n_processes", type=int, default=2)
    args = parser.parse_args()
    rng = random.Random(args.seed)  # noqa: S311 - moments, not secrets
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.json"
        config.write_text(json.dumps(CONFIG), encoding="utf-8")
        whole = Path(folder) / "whole"
        begun = time.perf_counter()
        if start(whole, config, args.n_processes).wait() != 0:
            print("the unbroken run failed")
            return 2
        seconds = time.perf_counter() - begun
        wanted = files(whole)
        print(
            f"unbroken: {len(episodes(whole))} episodes, {len(wanted)} files, {seconds:.1f} s",
            flush=True,
        )
        done: dict[str, int] = {}
        lost = unequal = sets = 0
        while sum(done.values()) < args.kills:
            data = Path(folder) / f"broken{sets}"
            sets += 1
            is_complete = False
            while not is_complete:
                before = episodes(data)
                process = start(data, config, args.n_processes)
                time.sleep(rng.uniform(0.0, 0.9 * seconds))
                if process.poll() is None and sum(done.values()) < args.kills:
                    what = kill(process, sum(done.values()) % 3, rng)
                    done[what] = done.get(what, 0) + (what != "none")
                is_complete = process.wait() == 0
                lost += len(before - episodes(data))
            now = files(data)
            unequal += sum(now.get(name) != data_ for name, data_ in wanted.items()) + len(
                now.keys() - wanted.keys()
            )
            print(
                f"set {sets}: killed so far {done}, lost {lost}, files that differ {unequal}",
                flush=True,
            )
    return 1 if lost or unequal else 0


if __name__ == "__main__":
    sys.exit(main())
