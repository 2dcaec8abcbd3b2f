"""Processor time of a training step of STC, in this checkout and another one, alternating.

Run by hand: python tests/benchmarks/bench_steps.py --against OTHER_CHECKOUT [--context track]
The other checkout's code trains on this one's shipped archive: task 9, batch 256, one thread.
Processor time, since other programs may run; the two take turns, since the machine's speed varies.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = ROOT / "pose_obj_3d/data/RLBench_pose_est_data/sim_all_formal.npz"


def measure(root: Path, args: argparse.Namespace) -> dict[str, float]:
    """Train with a checkout's code; milliseconds of a step, and seconds before the first."""
    sys.path.insert(0, str(root))
    import pose_obj_3d  # noqa: PLC0415
    from pose_obj_3d.training.config import load_config  # noqa: PLC0415
    from pose_obj_3d.training.experiment import open_experiment  # noqa: PLC0415
    from pose_obj_3d.training.run import Run  # noqa: PLC0415
    from pose_obj_3d.training.trainer import train_epoch  # noqa: PLC0415

    if not Path(pose_obj_3d.__file__).is_relative_to(root):
        raise SystemExit(f"{pose_obj_3d.__file__} is not from {root}")
    unsupervised = not args.labels
    name = f"config_{'u_' if unsupervised else ''}waypoints_task_9.yaml"
    path = root / "pose_obj_3d/cfg/submit" / name
    config = load_config(path)
    data = dataclasses.replace(
        config.OBJ_POSE_DATA, ROOT_DIR=str(ARCHIVE), KEYPOINTS=tuple(args.keypoints)
    )
    stc = dataclasses.replace(config.NETWORK.STC, CONTEXT=args.context)
    network = dataclasses.replace(config.NETWORK, STC=stc)
    config = dataclasses.replace(config, OBJ_POSE_DATA=data, NETWORK=network)
    experiment = open_experiment(config, path, unsupervised)
    experiment.config = config
    rig = experiment.rig()
    train, val = (experiment.tracks(s, rig, with_truth=args.labels) for s in ("train", "val"))
    model = experiment.model(rig)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(config, unsupervised, model, train, val, rig, experiment.ids, "", Path(folder))
        start = time.process_time()
        run.get_ready()
        ready = time.process_time() - start
        steps = -(-len(train) // config.TRAIN.BATCH_SIZE)
        times = []
        for _ in range(args.epochs):
            start = time.process_time()
            train_epoch(run)
            times.append(1000 * (time.process_time() - start) / steps)
    return {"step_ms": min(times), "ready_s": ready}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--against", type=Path, help="root of the other checkout")
    parser.add_argument("--context", choices=("window", "track"), default="window")
    parser.add_argument("--labels", action="store_true", help="train with labels")
    parser.add_argument("--keypoints", nargs="+", default=["waypoints"], help="groups")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each checkout")
    parser.add_argument("--epochs", type=int, default=2, help="of each turn; the faster counts")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args.child.resolve(), args)))
        return
    roots = [root.resolve() for root in (args.against, ROOT) if root]
    found: dict[Path, list[dict[str, float]]] = {root: [] for root in roots}
    for _ in range(args.rounds):
        for root in roots:
            command = [sys.executable, __file__, *sys.argv[1:], "--child", str(root)]
            done = subprocess.run(
                command,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
                check=True,
            )
            found[root].append(json.loads(done.stdout.splitlines()[-1]))
    print("| checkout | ms a step, each turn | median | before the first step [s] |")
    print("|---|---|---:|---:|")
    medians = []
    for root, rows in found.items():
        times = [row["step_ms"] for row in rows]
        medians.append(statistics.median(times))
        ready = statistics.median(row["ready_s"] for row in rows)
        turns = ", ".join(f"{t:.1f}" for t in times)
        print(f"| {root.name} | {turns} | {medians[-1]:.1f} | {ready:.1f} |")
    if len(medians) > 1:
        print(f"\nratio of the medians: {medians[0] / medians[1]:.2f}")


if __name__ == "__main__":
    main()
