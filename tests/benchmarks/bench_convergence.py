"""How long a model trains until its test error is within 2 % of the final one.

Run by hand: python tests/benchmarks/bench_convergence.py [--context track] [--config FILE]
[--supervised] The time counts training, validation and checkpoints, not the evaluation on the test
after each epoch.
"""

import argparse
import dataclasses
import sys
import tempfile
import time
from pathlib import Path

import torch
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pose_obj_3d.evaluation.protocol import Protocol, predict
from pose_obj_3d.models.choices import CONTEXTS
from pose_obj_3d.training.config import load_config
from pose_obj_3d.training.device import set_threads
from pose_obj_3d.training.experiment import open_experiment
from pose_obj_3d.training.logs import RunLog
from pose_obj_3d.training.run import Run
from pose_obj_3d.training.trainer import fit

CFG = Path(__file__).resolve().parents[2] / "pose_obj_3d" / "cfg" / "submit"
TOLERANCE = 1.02


def measure(config: Path, context: str, unsupervised: bool) -> list[tuple[float, float]]:
    """Return after each epoch the seconds trained so far and the test error [mm]."""
    resolved = load_config(config)
    set_threads(resolved.NETWORK.TYPE)
    experiment = open_experiment(resolved, config, unsupervised)
    network = experiment.config.NETWORK
    network = dataclasses.replace(network, STC=dataclasses.replace(network.STC, CONTEXT=context))
    experiment.config = dataclasses.replace(experiment.config, NETWORK=network)
    rig = experiment.rig()
    train, val = (experiment.tracks(s, rig, with_truth=not unsupervised) for s in ("train", "val"))
    test = experiment.tracks("test", rig, with_truth=True)
    assert test.truth is not None
    counts = test.is_real & ((test.weights > 0).sum(1) >= 2)
    torch.manual_seed(experiment.config.TRAIN.SEED)
    model = experiment.model(rig)
    model.set_normalisation(train.xyz[train.is_real])
    protocol = Protocol(network.TEMPORAL_LENGTH, None, experiment.config.TEST.BATCH_SIZE)
    sha = experiment.data_sha256()
    seconds, found = 0.0, []
    with tempfile.TemporaryDirectory() as folder:
        run = Run(
            experiment.config,
            unsupervised,
            model,
            train,
            val,
            rig,
            experiment.ids,
            sha,
            Path(folder),
        )
        log = RunLog(Path(folder) / "log", yaml.safe_dump(dataclasses.asdict(experiment.config)))
        for epoch in range(1, experiment.config.TRAIN.NUM_EPOCHES + 1):
            of_epoch = dataclasses.replace(experiment.config.TRAIN, NUM_EPOCHES=epoch)
            run.config = dataclasses.replace(experiment.config, TRAIN=of_epoch)
            start = time.perf_counter()
            fit(run, log)
            seconds += time.perf_counter() - start
            error = (predict(model, test, rig, protocol) - test.truth).norm(dim=-1)[counts].mean()
            found.append((seconds, 1000 * float(error)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, help="default: that of task 9 in cfg/submit")
    parser.add_argument("--context", choices=CONTEXTS, default="window")
    parser.add_argument("--supervised", action="store_true")
    args = parser.parse_args()
    config = args.config or CFG / f"config_{'' if args.supervised else 'u_'}waypoints_task_9.yaml"
    found = measure(config, args.context, not args.supervised)
    final = found[-1][1]
    print(
        f"{config.stem}, {args.context}, {torch.get_num_threads()} threads, torch"
        f" {torch.__version__}\n"
    )
    print("| epoch | trained [s] | test error [mm] | of the final |")
    print("|---:|---:|---:|---:|")
    for epoch, (seconds, error) in enumerate(found, 1):
        print(f"| {epoch} | {seconds:.0f} | {error:.3f} | {error / final:.3f} |")
    late = [i for i, (_, error) in enumerate(found) if error > TOLERANCE * final]
    first = late[-1] + 1 if late else 0
    print(f"\nwithin 2 % for good after epoch {first + 1}, {found[first][0]:.0f} s")


if __name__ == "__main__":
    main()
