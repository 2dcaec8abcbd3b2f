"""Lifting speed of STC on test demonstrations of a shipped task, by context and threads.

Run by hand, after quickstart.sh: python tests/benchmarks/bench_lifting.py [--task 9]
The weights are those before training; they have no influence on the speed.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pose_obj_3d.evaluation.protocol import estimate
from pose_obj_3d.formal import read_formal
from pose_obj_3d.models.choices import CONTEXTS
from pose_obj_3d.training.config import NetworkConfig, StcNetworkConfig
from pose_obj_3d.training.model_registry import build_model
from tests.benchmarks.accuracy_cases import Case, Source
from tests.benchmarks.accuracy_data import CONDITIONS
from tests.benchmarks.bench_accuracy import ARCHIVE


@torch.no_grad()
def measure(case: Case, context: str, repeats: int) -> tuple[list[float], list[float]]:
    """Return keypoint-frames/s of each repeat, without and with tracks smoothed before."""
    network = NetworkConfig(
        TYPE="STC", TEMPORAL_LENGTH=case.protocol.num_frames, STC=StcNetworkConfig(CONTEXT=context)
    )
    model = build_model(network, len(case.ids), case.rig)
    count = int(case.test.is_real.sum())
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        case.test.cache.clear()
        for found in rates:
            start = time.perf_counter()
            estimate(model, case.test, case.rig, case.protocol)
            found.append(count / (time.perf_counter() - start))
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", type=int, default=9)
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()
    case = Case(Source(read_formal(ARCHIVE), ""), "clean", CONDITIONS["clean"], args.task, 0)
    print(
        f"task {args.task}, {int(case.test.is_real.sum())} keypoint-frames; median (range) of"
        f" {args.repeats}\n"
    )
    print("| context | threads | keypoint-frames/s | once smoothed |")
    print("|---|---:|---:|---:|")
    for context in CONTEXTS:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            cells = (
                f"{statistics.median(r):.0f} ({min(r):.0f}-{max(r):.0f})"
                for r in measure(case, context, args.repeats)
            )
            print(f"| {context} | {threads} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
