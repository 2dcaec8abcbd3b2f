"""What `lift --refine` makes of disturbed cameras, on the example tracks.

Run by hand, after quickstart.sh: python tests/benchmarks/bench_refine.py [--examples 8] [--seed 0]
It prints a row for each disturbance: mean errors of what lift keeps, without and with --refine; the
mean after the best similarity; and how well left-out detections are predicted.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pose_obj_3d import lift_tracks
from pose_obj_3d.formal import shipped_archive
from pose_obj_3d.geometry.adjusting.rotations import rotation
from pose_obj_3d.lifting.refining.gauge import similarity
from pose_obj_3d.lifting.result import LiftResult
from pose_obj_3d.make_example_tracks import FOLDER, Example, make

CASES = {
    "right": (0.0, 0.0, None),
    "turned by 0.5 degrees": (0.5, 0.0, None),
    "focal lengths 1 % off": (0.0, 1.0, None),
    "both": (0.5, 1.0, None),
    "one turned by 3 degrees": (3.0, 0.0, 1),
}
"""Turns [degrees], errors of focal lengths [%], the one camera that they are of."""


def disturbed(members: dict[str, Any], degrees: float, percent: float, only: int | None, seed: int):
    """Turn cameras where they stand about random axes, and change focal lengths up and down."""
    rng = np.random.default_rng(seed)
    K, E = members["intrinsics"].copy(), members["extrinsics"].copy()
    for v in range(len(K)):
        axis = rng.normal(size=3)
        if only not in (None, v):
            continue
        E[v, :3] = rotation(np.deg2rad(degrees) * axis / np.linalg.norm(axis)) @ E[v, :3]
        K[v, [0, 1], [0, 1]] *= 1 + (-1) ** v * percent / 100
    return {**members, "intrinsics": K, "extrinsics": E}


def lifted(members: dict[str, Any], refine: bool) -> LiftResult:
    """Lift arrays by the default method."""
    plain = {name: x.tolist() if x.dtype.kind in "Ui" else x for name, x in members.items()}
    return lift_tracks(**{**plain, "fps": float(members["fps"])}, refine=refine)


def errors(result: LiftResult, truth: np.ndarray) -> tuple[float, float]:
    """Return mean errors [mm]: as they are, and after the best similarity."""
    good = np.isfinite(result.points).all(-1)
    found, true = result.points[good], truth[good]
    R, scale, shift = similarity(found, true)
    off = [np.linalg.norm(x - true, axis=-1) for x in (found, scale * found @ R.T + shift)]
    return float(off[0].mean()), float(off[1].mean())


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    example = Example(shipped_archive(FOLDER), 9, args.examples, 0.03, 0.1, 0, False)
    members = make(example)
    truth = members["truth"]
    for name, (degrees, percent, only) in CASES.items():
        given = disturbed(members, degrees, percent, only, args.seed)
        rows = [errors(lifted(given, refine=False), truth)]
        result = lifted(given, refine=True)
        rows.append(errors(result, truth))
        refinement = result.report.refinement
        assert refinement is not None
        (first, *_) = refinement.steps
        print(
            f"| {name} | {rows[0][0]:.2f} -> {rows[1][0]:.2f} | {rows[0][1]:.2f} ->"
            f" {rows[1][1]:.2f} | {first.before_px:.2f} -> {first.after_px:.2f} |"
            f" {refinement.accepted} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
