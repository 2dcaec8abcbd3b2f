"""Many demonstrations: convert them in shards, train an epoch; time and peak memory.

Run by hand: python tests/benchmarks/bench_many_demos.py --demos 1000 10000 --folder DIR

The demonstrations are those of the shipped archive, again and again, each time with other noise of
the detector. `convert_data.convert` makes the archive; episodes come from memory instead of files.
Training is the usual command in a process of its own. `--seconds` ends it before the epoch is done;
the time of an epoch is then worked out from its windows/s, and the table says so. Memory is
the largest resident size (VmHWM), added up over the processes that ran at once; pages that several
of them share count several times.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_generation.RLBench import convert_data
from data_generation.RLBench.config import load_config
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.store import RawTracks
from data_generation.RLBench.tracks.detector import DetectorNoise
from pose_obj_3d.formal import VISIBILITY, XYZ_WORLD, FormalData, read_formal

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "pose_obj_3d" / "data" / "RLBench_pose_est_data" / "sim_all_formal.npz"
COMMANDS = {
    "unsupervised": "run_h36m_waypoints_unsup.py",
    "supervised": "run_h36m_waypoints.py",
}
NETWORKS = {
    "STC": "TYPE: STC, TEMPORAL_LENGTH: 7, DROPOUT: 0.0, STC: {CONTEXT: window}",
    "STC track": "TYPE: STC, TEMPORAL_LENGTH: 7, DROPOUT: 0.0, STC: {CONTEXT: track}",
    "MHT": "TYPE: MHT, TEMPORAL_LENGTH: 7",
}
CONFIG = """
NETWORK: {{{network}}}
TRAIN: {{NUM_EPOCHES: 1, BATCH_SIZE: 256, LEARNING_RATE: 0.003}}
OBJ_POSE_DATA:
  ROOT_DIR: {archive}
  SUBJECTS_TRAIN: [T9]
  KEYPOINTS: [{keypoints}]
  MEMORY_GB: {memory}
"""
LOOK_S = 0.25
GIB = 2**30


@dataclass(frozen=True)
class Repeated:
    """A raw data set of task 9 whose episodes are those of an archive, again and again.

    Attributes:
        root: Where the statistics go.
        count: Number of episodes.
    """

    root: Path
    count: int
    mode: str = "train"
    base: int = 100

    @cached_property
    def data(self) -> FormalData:
        return read_formal(SHIPPED, 64)

    def marker(self) -> dict[str, int]:
        return {"seed": 0}

    def task_ids(self) -> list[int]:
        return [9]

    def episodes(self, task: int) -> list[EpisodeKey]:
        return [EpisodeKey(task, n, 0) for n in range(self.count)]

    def read_tracks(self, key: EpisodeKey) -> RawTracks:
        x, data = self.data.tracks[9][key.example % self.base], self.data
        return RawTracks(
            key=key,
            task_name=data.task_name(9),
            keypoint_names=tuple(data.keypoint_names(9)),
            track_cams=tuple(data.camera_names),
            image_size=data.image_size,
            xyz=x[0, ..., XYZ_WORLD].astype(np.float64),
            visibility=x[..., VISIBILITY],
            intrinsics=data.intrinsics,
            extrinsics=data.extrinsics,
            random_seed=(0, 9, 0, key.example, 0),
        )

    def read_array(self, key: EpisodeKey, kind: str) -> np.ndarray:
        return np.zeros((self.data.tracks[9][key.example % self.base].shape[1], 8))


def convert(folder: Path, demos: int, shards: int, processes: int) -> None:
    """Convert in this process."""
    config = replace(load_config(ROOT / "configs" / "ready_dataset.json"), train_task_ids=(9,))
    store = Repeated(folder, demos)
    output = folder / "many.npz"
    print(convert_data.convert(store, config, DetectorNoise(), output, shards, processes))


@dataclass
class Measured:
    """A command that has run.

    Attributes:
        seconds: How long.
        peak: Largest sum of resident sizes [bytes].
        lines: What it wrote.
        ended: Whether it ended by itself.
    """

    seconds: float
    peak: int
    lines: list[str]
    ended: bool


def watch(command: list[str], limit: float | None) -> Measured:
    """Run a command, and look at the memory of it and its children; end it after `limit` [s]."""
    start, peaks, most = time.perf_counter(), {}, 0
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT / "pose_obj_3d")
        ended = True
        while process.poll() is None:
            now = dict(sizes(process.pid))
            peaks.update(now)
            most = max(most, sum(peaks[pid] for pid in now))
            if limit is not None and time.perf_counter() - start > limit:
                process.kill()
                ended = False
                break
            time.sleep(LOOK_S)
        process.wait()
        out.seek(0)
        lines = out.read().splitlines()
    if ended and process.returncode:
        raise SystemExit("\n".join(lines[-20:]))
    return Measured(time.perf_counter() - start, most, lines, ended)


def sizes(pid: int) -> Iterator[tuple[int, int]]:
    """Give the largest resident size so far [bytes] of a process and of its children."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has ended
        return
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    if found:
        yield pid, int(found[1]) * 1024
    for child in children:
        yield from sizes(int(child))


def train(folder: Path, network: str, kind: str, args: argparse.Namespace) -> str:
    """Train an epoch; a row of the table."""
    config = folder / "many.yaml"
    text = CONFIG.format(
        network=NETWORKS[network],
        archive=folder / "many.npz",
        keypoints=", ".join(args.keypoints),
        memory=args.memory_gb,
    )
    config.write_text(text)
    log = folder / "log"
    command = [sys.executable, COMMANDS[kind], "--cfg", str(config), "--log", str(log)]
    done = watch(command, args.seconds)
    shutil.rmtree(log, ignore_errors=True)
    joined = "\n".join(done.lines)
    found = re.search(r"training on (?:about )?(\d+) windows", joined)
    rates = re.findall(r"(\d+) windows/s", joined)
    blocks = re.search(r"training in (\d+) blocks", joined)
    if not (found and rates):
        raise SystemExit(
            f"no windows yet after {done.seconds:.0f} s: give more --seconds\n{joined}"
        )
    windows, rate = int(found[1]), int(rates[-1])
    part = "" if done.ended else f"ended after {done.seconds:.0f} s"
    return (
        f"| {network}, {kind} | {windows} | {blocks[1] if blocks else 1} | {rate} |"
        f" {windows / rate / 60:.1f} | {done.seconds / 60:.1f} | {done.peak / GIB:.2f} | {part} |"
    )


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--demos", type=int, nargs="+", default=[1000])
    add("--networks", nargs="+", choices=NETWORKS, default=["STC", "MHT"])
    add("--kinds", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    add("--keypoints", nargs="+", default=["waypoints"])
    add("--shards", type=int, default=16)
    add("--processes", type=int, default=2)
    add("--memory_gb", type=float, default=4.0)
    add("--seconds", type=float, help="end each training after so long (default: a whole epoch)")
    add("--folder", type=Path, help="for the archives (default: one that is removed)")
    add("--keep", action="store_true", help="leave the archives in --folder, and use those there")
    add("--only_convert", type=int, help=argparse.SUPPRESS)
    return parser


def main() -> None:
    args = build_parser().parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        base = args.folder or Path(temporary)
        if args.only_convert:
            convert(base, args.only_convert, args.shards, args.processes)
            return
        for demos in args.demos:
            measure(base / f"demos_{demos}", demos, args)


def measure(folder: Path, demos: int, args: argparse.Namespace) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not (args.keep and (folder / "converted.json").is_file()):
        flags = [f"--shards={args.shards}", f"--processes={args.processes}", f"--folder={folder}"]
        command = [sys.executable, str(Path(__file__).resolve()), f"--only_convert={demos}", *flags]
        done = watch(command, None)
        size = sum(p.stat().st_size for p in folder.glob("many-*.npz"))
        record = {"s": round(done.seconds, 1), "peak_gib": round(done.peak / GIB, 2), "bytes": size}
        (folder / "converted.json").write_text(json.dumps(record))
        print(
            f"\n{demos} demonstrations: converted in {done.seconds / 60:.1f} min by"
            f" {args.processes} process(es), {args.shards} shards, {size / GIB:.2f} GiB, peak"
            f" {done.peak / GIB:.2f} GiB\n",
            flush=True,
        )
    print(
        "| training | windows | blocks | windows/s | min an epoch | min in all | peak GiB | |\n"
        "|---|---:|---:|---:|---:|---:|---:|---|"
    )
    for network in args.networks:
        for kind in args.kinds:
            print(train(folder, network, kind, args), flush=True)
    if not args.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
