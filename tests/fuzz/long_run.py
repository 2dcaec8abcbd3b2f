"""Damage sound files in thousands of ways, read them, and count what happens.

python tests/fuzz/long_run.py --mutations 2000

Each kind runs in a process of its own, which is killed by nothing but its own fault. A file must be
read, or refused by one line below 500 characters, within 10 s and the memory of what it declares
plus 500 MiB.
"""

import argparse
import io
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
SECONDS, MEBIBYTES, CHARACTERS = 10.0, 500, 500
KEPT = 5  # examples of each fault that are kept
NAMES = ("formal", "detections", "tracks", "legacy", "checkpoint", "yaml")


def declared(raw: bytes) -> int:
    """Return the bytes that a file declares: its own, or those of an archive's members."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            return max(len(raw), sum(info.file_size for info in archive.infolist()))
    except Exception:  # noqa: BLE001 - no archive, or one so damaged that it declares nothing
        return len(raw)


def memory(key: str) -> int:
    """Return a value of this process's memory in bytes: VmRSS, VmHWM, VmSize."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{key}:"):
            return 1024 * int(line.split()[1])
    raise KeyError(key)


@dataclass(frozen=True)
class Outcome:
    """What came of reading a file.

    Attributes:
        result: `read`, `refused`, or the name of a fault.
        line: What was said.
        seconds: How long it took.
        peak: Bytes of memory at most, beyond those before.
    """

    result: str
    line: str
    seconds: float
    peak: int


def outcome_of(kind: Any, path: Path, content: int) -> Outcome:
    """Read a file that declares `content` bytes."""
    # The parent process needs none of it.
    from pose_obj_3d.common.errors import PoseObj3DError  # noqa: PLC0415

    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    before, start = memory("VmRSS"), time.perf_counter()
    result, line = "read", ""
    try:
        kind.read(path)
    except PoseObj3DError as error:
        result, line = "refused", str(error)
    except Exception:  # noqa: BLE001 - this is what it looks for
        result, line = "undocumented", traceback.format_exc(limit=-3)
    seconds, peak = time.perf_counter() - start, memory("VmHWM") - before
    if result == "refused" and (
        len(line) >= CHARACTERS or "\n" in line or not line.startswith(str(path))
    ):
        result = "badly worded"
    if seconds > SECONDS or peak > content + MEBIBYTES * 2**20 or "fit into the memory" in line:
        result = "over the limits"
    return Outcome(result, line, seconds, peak)


def child(name: str, count: int, seed: int, folder: Path) -> dict[str, Any]:
    """Try one kind of file; the file in work is left in the folder should the process die."""
    import numpy as np  # noqa: PLC0415 - the parent process needs none of it

    from tests.fuzz.kinds import KINDS  # noqa: PLC0415 - it loads PyTorch

    logging.disable(logging.CRITICAL)
    np.seterr(all="ignore")
    kind = KINDS[name]
    seeds = kind.seeds(folder)
    path = folder / f"{name}{kind.suffix}"
    for sound in seeds:
        path.write_bytes(sound)
        kind.read(path)
    limit = memory("VmSize") + (MEBIBYTES + 1024) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    counts: Counter[str] = Counter()
    faults: dict[str, list[str]] = {}
    slowest = largest = 0.0
    for n in range(count):
        rng = np.random.default_rng([seed, NAMES.index(name), n])
        raw = seeds[n % len(seeds)]
        for _ in range(1 if rng.random() < 0.8 else 2):
            mutation = kind.mutations[int(rng.integers(len(kind.mutations)))]
            try:
                raw = mutation(rng, raw)
            except Exception:  # noqa: BLE001 - the second finds no structure left to damage
                break
        path.write_bytes(raw)
        found = outcome_of(kind, path, declared(raw))
        slowest, largest = max(slowest, found.seconds), max(largest, found.peak)
        counts[found.result] += 1
        if (
            found.result not in ("read", "refused")
            and len(faults.setdefault(found.result, [])) < KEPT
        ):
            faults[found.result].append(
                f"mutation {n}: {found.seconds:.1f} s, {found.peak / 2**20:.0f} MiB: {found.line}"
            )
    return {
        "counts": counts,
        "faults": faults,
        "slowest_s": round(slowest, 2),
        "peak_mib": round(largest / 2**20),
    }


def run(name: str, count: int, seed: int = 0) -> dict[str, Any]:
    """Try one kind in a process of its own; a process that dies is a fault, too."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            __file__,
            "--child",
            name,
            "--mutations",
            str(count),
            "--seed",
            str(seed),
            "--folder",
            folder,
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
        )
        if done.returncode:
            return {
                "counts": {"died": 1},
                "faults": {"died": [f"exit {done.returncode}: {done.stderr[-2000:]}"]},
                "slowest_s": 0,
                "peak_mib": 0,
            }
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def main(argv: list[str] | None = None) -> int:
    """Try all kinds; 0 if nothing but `read` and `refused` came out, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--mutations", type=int, default=2000, help="of each kind of file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--child", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.child:
        print(json.dumps(child(args.child, args.mutations, args.seed, args.folder)))
        return 0
    bad = 0
    for name in args.kinds:
        found = run(name, args.mutations, args.seed)
        print(
            f"{name}: {dict(found['counts'])}, slowest {found['slowest_s']} s, peak"
            f" {found['peak_mib']} MiB more than before",
            flush=True,
        )
        for fault, lines in found["faults"].items():
            bad += 1
            print(*(f"  {fault}: {line}" for line in lines), sep="\n", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
