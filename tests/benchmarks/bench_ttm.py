"""How fast scene files are unpacked and read.

python tests/benchmarks/bench_ttm.py file.ttm ...
RLBENCH_ROOT=checkout python tests/benchmarks/bench_ttm.py

Rates are unpacked megabytes a second of processor time, the best of several runs.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "RLBench"))

from pyrep_mujoco.ttm.reading.reader import decode, read_header, unpack  # noqa: E402

LARGE = 2_000_000
"""Unpacked bytes from which a file counts as large."""


def best_time(call: Callable[[], object], runs: int) -> float:
    """Return the shortest processor time [s] of several calls."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def measure(file: Path, runs: int) -> tuple[int, float, float]:
    """Return unpacked bytes, time to unpack [s] and time to read all [s]."""
    content, header = file.read_bytes(), read_header(file)
    unpacking = best_time(lambda: unpack(content, header, str(file)), runs)
    reading = best_time(lambda: decode(content, str(file)), runs)
    return header.payload_size, unpacking, reading


def rates(rows: list[tuple[int, float, float]]) -> str:
    """Return the rates of all rows together."""
    size, unpacking, reading = (sum(column) for column in zip(*rows, strict=True))
    return (
        f"{size / 1e6:8.2f} MB  unpack {size / unpacking / 1e6:6.1f} MB/s  "
        f"read {size / reading / 1e6:6.1f} MB/s"
    )


def main() -> int:
    """Measure and print one line per file, then the totals."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    root = os.environ.get("RLBENCH_ROOT")
    files = args.files or (sorted(Path(root).rglob("*.tt[mt]")) if root else [])
    if not files:
        print("name files, or a checkout of RLBench in RLBENCH_ROOT", file=sys.stderr)
        return 2
    rows = []
    for file in files:
        rows.append(measure(file, args.runs))
        print(f"{file.name:42} {rates(rows[-1:])}")
    print(f"{f'all {len(rows)} files':42} {rates(rows)}")
    large = [row for row in rows if row[0] >= LARGE]
    if large:
        print(f"{f'{len(large)} files from {LARGE / 1e6:.0f} MB':42} {rates(large)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
