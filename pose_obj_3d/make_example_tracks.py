"""Write an example `tracks.npz` for `lift`, made from the shipped archive.

It is such a file as a user's own videos would give. Demonstrations of one task become one file of
several sequences, in millimetres, seen by cameras with lens distortion. The noise of detectors is
added to the archive's exact projections: it differs between cameras, with outliers, missing
detections and confidences. Or the points are what a detector has found in the pictures
(`--detected`), with the errors that it claims. `python -m pose_obj_3d.make_example_tracks --help`
lists the flags.
"""

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("python -m pose_obj_3d.make_example_tracks", 600)

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_obj_3d.common.archive.detections import (
    DETECTED,
    DETECTED_UV,
    DETECTOR,
    Witness,
    claimed_covariance,
)
from pose_obj_3d.common.errors import ConfigError, PoseObj3DError
from pose_obj_3d.common.whole_files import writing
from pose_obj_3d.formal import (
    UV_EXACT,
    VISIBILITY,
    XYZ_WORLD,
    FormalData,
    read_formal,
    shipped_archive,
)
from pose_obj_3d.geometry.lenses import distort
from pose_obj_3d.tracks.choosing import choose_detections
from pose_obj_3d.tracks.exchanging import names_order
from pose_obj_3d.training.config import PACKAGE_DIR

FOLDER = PACKAGE_DIR / "data" / "RLBench_pose_est_data"
DISTORTION = (-0.25, 0.08, 0.001, -0.0005, 0.0)  # k1 k2 p1 p2 k3 of an ordinary lens
SIGMA_PX = (1.3, 1.3, 1.3, 2.6)  # of a confident detection; the last camera is noisier
OUTLIER_PX = 40.0  # outliers lie within this of the true place


@dataclass(frozen=True)
class Example:
    """What the example is made of.

    Attributes:
        archive: The archive to take demonstrations from.
        task: Task id.
        examples: Number of demonstrations, from the end of the test part.
        outliers: Share of detections that are grossly wrong.
        missing: Share of detections that are missing.
        seed: Seed of the noise.
        detected: Take the archive's detections and claims; no noise and no distortion is made up.
    """

    archive: Path
    task: int
    examples: int
    outliers: float
    missing: float
    seed: int
    detected: bool = False

    def __post_init__(self) -> None:
        """Check the shares."""
        if not (0 <= self.outliers < 1 and 0 <= self.missing < 1):
            raise ConfigError(
                f"--outliers {self.outliers} --missing {self.missing}: both are shares, 0 <= x < 1"
            )


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m pose_obj_3d.make_example_tracks",
        description=(__doc__ or "").splitlines()[0],
    )
    add = parser.add_argument
    add(
        "output",
        type=Path,
        nargs="?",
        default=Path("tracks.npz"),
        help="file to write (tracks.npz)",
    )
    add(
        "--archive",
        type=Path,
        default=shipped_archive(FOLDER),
        help="archive to take demonstrations from (the shipped one)",
    )
    add("--task", type=int, default=9, help="task id")
    add("--examples", type=int, default=20, help="demonstrations, from the end of the test part")
    add("--outliers", type=float, default=0.03, help="share of detections that are grossly wrong")
    add("--missing", type=float, default=0.1, help="share of detections that are missing")
    add("--seed", type=int, default=0)
    add(
        "--detected",
        action="store_true",
        help="take what a detector has found, with the errors that it claims; needs an --archive"
        " with detections",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file; 0 on success, 2 on a user's error."""
    args = build_parser().parse_args(argv)
    try:
        members = make(
            Example(
                args.archive,
                args.task,
                args.examples,
                args.outliers,
                args.missing,
                args.seed,
                args.detected,
            )
        )
        with writing(args.output) as file:
            np.savez_compressed(file, **members)
    except (PoseObj3DError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    V, T, K, _ = members["points"].shape
    sizes = f"{V} cameras, {T} frames, {K} keypoints, {len(members['sequence_starts'])} sequences"
    print(f"{args.output}: {sizes}")  # noqa: T201
    return 0


def make(wanted: Example) -> dict[str, Any]:
    """Return the members of the file; docs/own_videos.md has the schema.

    Raises:
        ConfigError: The archive does not have so many demonstrations.
        FormalError: The archive cannot be read, or does not have the task.
    """
    data = read_formal(wanted.archive)
    data.require_tasks([wanted.task])
    if wanted.detected:
        data = choose_detections(data, Witness(DETECTED, DETECTOR), [wanted.task])
    numbers = data.split(wanted.task)["test"]
    if not 1 <= wanted.examples <= len(numbers):
        raise ConfigError(
            f"--examples {wanted.examples}: the test part of T{wanted.task} has {len(numbers)};"
            " allowed: 1 to that"
        )
    numbers = numbers[-wanted.examples :]
    examples = [data.tracks[wanted.task][n] for n in numbers]
    x = np.concatenate(examples, axis=1)
    orders = [names_order(data, wanted.task, n) for n in numbers]
    truth = [e[0][:, order, XYZ_WORLD] for e, order in zip(examples, orders, strict=True)]
    made = _claimed(data, wanted.task, numbers) if wanted.detected else _made_up(x, data, wanted)
    return {
        **made,
        "intrinsics": data.intrinsics,
        "extrinsics": data.extrinsics * [1, 1, 1, 1000],
        "units": np.array("mm"),
        "fps": np.array(1 / data.frame_period_s),
        "camera_names": np.array(data.camera_names),
        "keypoint_names": np.array(data.keypoint_names(wanted.task)),
        "image_size": np.array(data.image_size),
        "sequence_starts": np.cumsum([0, *(e.shape[1] for e in examples[:-1])]),
        "truth": 1000 * np.concatenate(truth),
    }


def _claimed(data: FormalData, task: int, numbers: Sequence[int]) -> dict[str, Any]:
    """Return what a detector has found, and claims: points, and their covariances."""
    says = np.concatenate([data.detections[task][n] for n in numbers], axis=1)
    usable = np.concatenate([data.tracks[task][n] for n in numbers], axis=1)[..., VISIBILITY] > 0
    points = np.where(usable[..., None], says[..., DETECTED_UV], np.nan)
    return {"points": points, "covariance": claimed_covariance(says)}


def _made_up(x: np.ndarray, data: FormalData, wanted: Example) -> dict[str, Any]:
    """Return points of cameras with distortion, with noise that differs between them."""
    points, confidence = _detect(x, data, wanted)
    return {
        "points": points.astype(np.float32),
        "confidence": confidence.astype(np.float32),
        "distortion": np.tile(DISTORTION, (len(points), 1)),
    }


def _detect(x: np.ndarray, data: FormalData, wanted: Example) -> tuple[np.ndarray, np.ndarray]:
    """Return detections (V, T, K, 2) [px], NaN = missing, and confidence (V, T, K)."""
    rng = np.random.default_rng(wanted.seed)
    V = len(x)
    sigma = np.resize(SIGMA_PX, V)
    # Confidence is precision: a detection of confidence 1/4 has twice the noise.
    confidence = np.where(rng.random(x.shape[:3]) < 0.2, 0.25, 1.0)
    exact = np.stack(
        [
            distort(
                x[v][..., UV_EXACT].reshape(-1, 2).astype(np.float64),
                data.intrinsics[v],
                np.array(DISTORTION),
            ).reshape((*x.shape[1:3], 2))
            for v in range(V)
        ]
    )
    points = (
        exact
        + rng.normal(size=exact.shape) * (sigma[:, None, None] / np.sqrt(confidence))[..., None]
    )
    is_outlier = rng.random(x.shape[:3]) < wanted.outliers
    points[is_outlier] += rng.uniform(-OUTLIER_PX, OUTLIER_PX, (int(is_outlier.sum()), 2))
    missing = (rng.random(x.shape[:3]) < wanted.missing) | (x[..., VISIBILITY] == 0)
    points[missing] = np.nan
    return points, np.where(missing, 0.0, confidence)


if __name__ == "__main__":
    sys.exit(main())
