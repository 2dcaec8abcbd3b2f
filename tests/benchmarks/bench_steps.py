"""Processor time of a training step of STC, in this checkout and another one, alternating.

Run by hand: python tests/benchmarks/bench_steps.py --against OTHER_CHECKOUT [--context track]
The other checkout's code trains on this one's shipped archive: task 9, batch 256, one thread.
Processor time, since other programs may run. Each checkout has a process; they take turns of one
epoch, since the machine's speed varies, and the first turn is left out.
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


def serve(root: Path, args: argparse.Namespace) -> None:
    """Train with a checkout's code; for each line read, an epoch: say the milliseconds of a step.

    The first answer has the seconds before the first step.
    """
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
        print(json.dumps(ready), flush=True)
        for _ in sys.stdin:
            start = time.process_time()
            train_epoch(run)
            print(json.dumps(1000 * (time.process_time() - start) / steps), flush=True)


def ask(process: subprocess.Popen[str]) -> float:
    """Return the next number that a process says."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit("a checkout's training has ended: run it with --child to see why")
    return float(json.loads(line))


def turn(process: subprocess.Popen[str]) -> float:
    """Let a process train for an epoch; the milliseconds of a step."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return ask(process)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--against", type=Path, help="root of the other checkout")
    parser.add_argument("--context", choices=("window", "track"), default="window")
    parser.add_argument("--labels", action="store_true", help="train with labels")
    parser.add_argument("--keypoints", nargs="+", default=["waypoints"], help="groups")
    parser.add_argument("--rounds", type=int, default=6, help="turns of each checkout")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        serve(args.child.resolve(), args)
        return
    roots = [root.resolve() for root in (args.against, ROOT) if root]
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, *sys.argv[1:], "--child", str(root)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for root in roots
    ]
    ready = [ask(process) for process in processes]
    turns = [[turn(process) for process in processes] for _ in range(args.rounds + 1)][1:]
    print("| checkout | ms a step, each turn | median | before the first step [s] |")
    print("|---|---|---:|---:|")
    medians = []
    for root, process, seconds, times in zip(
        roots, processes, ready, zip(*turns, strict=True), strict=True
    ):
        process.communicate()
        medians.append(statistics.median(times))
        said = ", ".join(f"{t:.1f}" for t in times)
        print(f"| {root.name} | {said} | {medians[-1]:.1f} | {seconds:.1f} |")
    if len(medians) > 1:
        print(f"\nratio of the medians: {medians[0] / medians[1]:.2f}")


if __name__ == "__main__":
    main()
