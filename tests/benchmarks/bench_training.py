"""Training speed of a learned model, with and without labels: one table.

Run by hand, after quickstart.sh: python tests/benchmarks/bench_training.py [--type MHT]
T=7, batch 256, all views, keypoint groups and tasks of the quickstart configs.
"""

import argparse
import dataclasses
import resource
import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pose_obj_3d.training.config import NETWORK_TYPES, load_config
from pose_obj_3d.training.device import set_threads
from pose_obj_3d.training.experiment import open_experiment
from pose_obj_3d.training.run import Run
from pose_obj_3d.training.trainer import train_epoch

CFG = Path(__file__).resolve().parents[2] / "pose_obj_3d" / "cfg" / "quickstart"


def measure(
    config: Path, network_type: str | None, unsupervised: bool, epochs: int
) -> dict[str, float]:
    """Return windows/s (best epoch), the share of loading [%], and sizes."""
    resolved = load_config(config)
    set_threads(resolved.NETWORK.TYPE)
    experiment = open_experiment(resolved, config, unsupervised)
    faster = dataclasses.replace(experiment.config.TRAIN, BATCH_SIZE=256)
    network = dataclasses.replace(
        experiment.config.NETWORK, TYPE=network_type or experiment.config.NETWORK.TYPE
    )
    experiment.config = dataclasses.replace(experiment.config, TRAIN=faster, NETWORK=network)
    rig = experiment.rig()
    train, val = (experiment.tracks(s, rig, with_truth=not unsupervised) for s in ("train", "val"))
    model = experiment.model(rig)
    model.set_normalisation(train.xyz[train.is_real])
    sha = experiment.data_sha256()
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
        if epochs > 1:
            train_epoch(run)  # the first epoch pays for allocations
        scalars = [train_epoch(run) for _ in range(epochs)]
    best = max(scalars, key=lambda s: s["time/windows_per_s"])
    return {
        "rate": best["time/windows_per_s"],
        "loading": best["time/loading_percent"],
        "windows": len(train),
        "parameters": sum(p.numel() for p in model.parameters()),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument(
        "--type", choices=NETWORK_TYPES, help="NETWORK.TYPE (default: that of the configs)"
    )
    args = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print("| training | windows/s | loading | windows an epoch | parameters | peak MiB |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, unsupervised in (("config_quickstart", False), ("config_u_quickstart", True)):
        result = measure(CFG / f"{name}.yaml", args.type, unsupervised, args.epochs)
        print(
            f"| {'without labels' if unsupervised else 'with labels'} | {result['rate']:.0f} |"
            f" {result['loading']:.1f} % | {result['windows']} | {result['parameters']} |"
            f" {result['peak']:.0f} |"
        )


if __name__ == "__main__":
    main()
