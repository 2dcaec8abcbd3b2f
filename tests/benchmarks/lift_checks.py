"""How often the checks of `lift` name a fault, and how often they accuse where nothing is wrong.

`python -m tests.benchmarks.lift_checks [--rigs 50] [--sound 200] [--first 0] [--only WORD]
[--show]`: random rigs of 2, 3, 4 and 8 cameras, with and without distortion, noise of 0.3 to 10 px
with a fault and of 1 to 15 px without. Every file goes through `read_tracks` and `check_file`, as
in the command.
"""

import argparse
import logging
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.geometry.lenses import distort
from pose_obj_3d.lifting.pipeline import check_file
from pose_obj_3d.lifting.track_files.track_file import read_tracks

Members = dict[str, Any]
Rng = np.random.Generator
SIZES = ((256, 256), (640, 480), (1280, 720), (1920, 1080))
VIEWS = (2, 3, 4, 8)
ACCUSES = re.compile(
    r" seem|px with|possible causes|check its|lie behind|late|early|swapped|identical|units|left"
    r" out|mark missing|does its"
)


def look_at(place: np.ndarray, target: np.ndarray, roll: float) -> np.ndarray:
    """Return world to camera (3, 4), OpenCV axes."""
    z = target - place
    z /= np.linalg.norm(z)
    x = np.cross(z, [0.0, 0, 1])
    x /= np.linalg.norm(x)
    y = np.cross(z, x)
    R = np.stack([x, y, z])
    c, s = np.cos(roll), np.sin(roll)
    R = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ R
    return np.concatenate([R, -R @ place[:, None]], -1)


def rig(rng: Rng, V: int, is_distorted: bool) -> Members:
    """Return cameras on a ring with disorder, at different heights, looking at the middle."""
    size = np.array(SIZES[rng.integers(len(SIZES))])
    radius, start = rng.uniform(1.5, 4), rng.uniform(0, 2 * np.pi)
    span = rng.uniform(0.5, 1) * 2 * np.pi
    E, K = [], []
    for v in range(V):
        angle = start + span * (v + rng.uniform(-0.25, 0.25)) / V
        place = radius * rng.uniform(0.8, 1.2) * np.array([np.cos(angle), np.sin(angle), 0]) + [
            0,
            0,
            rng.uniform(0.3, 2),
        ]
        E.append(look_at(place, rng.normal(size=3) * 0.1, rng.normal() * 0.1))
        f = size[0] * rng.uniform(0.8, 1.3)
        centre = size / 2 + rng.normal(size=2) * size * 0.01
        K.append([[f, 0, centre[0]], [0, f, centre[1]], [0, 0, 1.0]])
    lens = np.stack(
        [
            rng.uniform(-0.25, -0.05, V),
            rng.uniform(0, 0.05, V),
            *rng.normal(scale=5e-4, size=(2, V)),
        ],
        -1,
    )
    members = {
        "intrinsics": np.array(K),
        "extrinsics": np.array(E),
        "image_size": size,
        "fps": np.array(30.0),
    }
    return members | ({"distortion": lens} if is_distorted else {})


def tracks(rng: Rng, T: int, K: int) -> np.ndarray:
    """Return (T, K, 3): keypoints about a body that wanders and turns, some of them resting [m]."""
    t = np.arange(T)[:, None] / 30
    body = sum(
        rng.normal(size=3) * 0.25 * np.sin(rng.uniform(1, 5) * t + rng.uniform(0, 6))
        for _ in range(3)
    )
    offset = rng.normal(size=(K, 3)) * 0.3
    swing = rng.normal(size=(K, 3)) * 0.1
    moves = (rng.random(K) < 0.8) | (np.arange(K) == 0)
    still = np.zeros((T, 1, 3)) + offset
    moving = (
        body[:, None]
        + offset
        + swing * np.sin(rng.uniform(2, 8, K)[:, None] * t[:, None] + rng.uniform(0, 6, K)[:, None])
    )
    return np.where(moves[:, None], moving, still)


def pixels(m: Members, xyz: np.ndarray) -> np.ndarray:
    """Project (T, K, 3) -> (V, T, K, 2) [px], with distortion."""
    camera = (
        np.einsum("vij,tkj->vtki", m["extrinsics"][:, :, :3], xyz)
        + m["extrinsics"][:, None, None, :, 3]
    )
    image = np.einsum("vij,vtkj->vtki", m["intrinsics"], camera)
    uv = image[..., :2] / image[..., 2:]
    if "distortion" in m:
        D = np.pad(m["distortion"], ((0, 0), (0, 14 - m["distortion"].shape[1])))
        uv = np.stack(
            [
                distort(uv[v].reshape(-1, 2), m["intrinsics"][v], D[v]).reshape(uv[v].shape)
                for v in range(len(uv))
            ]
        )
    return np.where((camera[..., 2] > 0.1)[..., None], uv, np.nan)


def scene(
    rng: Rng,
    V: int,
    is_distorted: bool,
    T: int,
    K: int,
    noise: Callable[[Rng, tuple[int, ...]], np.ndarray],
) -> Members:
    """Return a file's members: noisy, 10 % missing."""
    m = rig(rng, V, is_distorted)
    uv = pixels(m, tracks(rng, T, K))
    uv = uv + noise(rng, uv.shape)
    uv[rng.random(uv.shape[:-1]) < 0.1] = np.nan
    m["camera_names"] = np.array([f"cam{v}" for v in range(V)])
    m["keypoint_names"] = np.array([f"point{k}" for k in range(K)])
    return m | {"points": uv}


def white(sigma: float) -> Callable[[Rng, tuple[int, ...]], np.ndarray]:
    """Return Gaussian noise [px]."""
    return lambda rng, shape: rng.normal(scale=sigma, size=shape)


def heavy(sigma: float) -> Callable[[Rng, tuple[int, ...]], np.ndarray]:
    """Return Student's t of two degrees of freedom."""
    return lambda rng, shape: sigma * rng.standard_t(2, size=shape)


def persistent(sigma: float) -> Callable[[Rng, tuple[int, ...]], np.ndarray]:
    """Return errors that last: autocorrelation 0.9 from frame to frame."""

    def draw(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
        x = rng.normal(size=shape)
        for t in range(1, shape[1]):
            x[:, t] = 0.9 * x[:, t - 1] + np.sqrt(1 - 0.81) * x[:, t]
        return sigma * x

    return draw


def biased(sigma: float) -> Callable[[Rng, tuple[int, ...]], np.ndarray]:
    """Return errors of which most is constant for each view and keypoint."""

    def draw(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
        constant = rng.normal(size=(shape[0], 1, *shape[2:]))
        return sigma * (0.9 * constant + 0.43 * rng.normal(size=shape))

    return draw


KINDS = {"white": white, "heavy tails": heavy, "persistent": persistent, "biased": biased}


def change_view(m: Members, view: int, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change the points of one view."""
    m["points"][view] = change(m["points"][view].copy())


def mirrored(m: Members, view: int | None = None) -> None:
    """Mirror x."""
    for v in range(len(m["points"])) if view is None else [view]:
        m["points"][v, ..., 0] = m["image_size"][0] - m["points"][v, ..., 0]


def upwards(m: Members) -> None:
    """Let y run upwards."""
    m["points"][..., 1] = m["image_size"][1] - m["points"][..., 1]


def inverse(m: Members) -> None:
    """Give camera to world."""
    R, t = m["extrinsics"][:, :, :3].transpose(0, 2, 1), m["extrinsics"][:, :, 3:]
    m["extrinsics"] = np.concatenate([R, -R @ t], -1)


def permuted(m: Members, rng: Rng) -> None:
    """Shuffle all keypoints of camera 1."""
    K = m["points"].shape[2]
    order = np.roll(np.arange(K), rng.integers(1, K)) if K > 1 else np.arange(K)
    m["points"][1] = m["points"][1][:, order]


def exchanged(m: Members) -> None:
    """Exchange two keypoints of camera 1."""
    m["points"][1][:, [0, 1]] = m["points"][1][:, [1, 0]]


def twins(m: Members, everywhere: bool) -> None:
    """Give keypoint 1 the points of keypoint 0."""
    if everywhere:
        m["points"][:, :, 1] = m["points"][:, :, 0]
    else:
        m["points"][1, :, 1] = m["points"][1, :, 0]


def reorder(m: Members, order: list[int]) -> None:
    """Permute the tracks of the cameras."""
    m["points"] = m["points"][order]


def late(m: Members) -> None:
    """Make camera 1 three frames late."""
    m["points"][1] = np.roll(m["points"][1], 3, 0)


def turn(m: Members) -> None:
    """Turn camera 1 by 4 degrees."""
    a = np.deg2rad(4)
    m["extrinsics"][1] = (
        np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
        @ m["extrinsics"][1]
    )


def scale_intrinsics(m: Members) -> None:
    """Calibrate at twice the size of the images."""
    m["intrinsics"][:, :2] *= 2
    m["image_size"] = m["image_size"] * 2


def turned_by_90(m: Members) -> None:
    """Turn the images to portrait after the calibration."""
    width, height = m["image_size"]
    m["points"] = np.stack([height - m["points"][..., 1], m["points"][..., 0]], -1)
    m["image_size"] = np.array([height, width])


def sizes_of_their_own(m: Members) -> None:
    """Give each camera images of a size of its own, and say so."""
    factor = np.array([0.5, 0.75, 0.25, 1, 0.4, 0.6, 0.5, 1])[: len(m["points"])]
    m["points"] = m["points"] * factor[:, None, None, None]
    m["image_size"] = m["image_size"] * factor[:, None]


def swapped_extrinsics(m: Members) -> None:
    """Exchange the extrinsics alone of cameras 0 and 1."""
    m["extrinsics"][[0, 1]] = m["extrinsics"][[1, 0]]


def marked(m: Members, value: tuple[float, float]) -> None:
    """Write a marker where points are missing."""
    m["points"][np.isnan(m["points"]).any(-1)] = value


# name -> (fault, what the line must hold, least number of cameras)
FAULTS: dict[str, tuple[Callable[[Members, Rng], Any], str, int]] = {
    "all mirrored": (lambda m, _: mirrored(m), r"x mirrored \(W - x\) in all cameras", 2),
    "y upwards": (lambda m, _: upwards(m), r"y mirrored \(H - y\) in all cameras", 2),
    "one mirrored": (lambda m, _: mirrored(m, 1), r"x mirrored \(W - x\) in camera cam1", 2),
    "x, y exchanged": (
        lambda m, _: m.update(points=m["points"][..., ::-1].copy()),
        "x and y exchanged in all cameras",
        2,
    ),
    "x, y exchanged in one": (
        lambda m, _: change_view(m, 1, lambda p: p[..., ::-1]),
        "x and y exchanged in camera cam1",
        2,
    ),
    "half size": (
        lambda m, _: m["points"].__imul__(0.5),
        r"points of all cameras times (2\.0\d?|1\.9\d|2):",
        2,
    ),
    "calibrated at double size": (
        lambda m, _: scale_intrinsics(m),
        r"points of all cameras times (2\.0\d?|1\.9\d|2):",
        2,
    ),
    "double size": (
        lambda m, _: m["points"].__imul__(2),
        r"points of all cameras times 0\.(5\d*|49\d*)",
        2,
    ),
    "one half size": (
        lambda m, _: change_view(m, 1, lambda p: p / 2),
        r"points of camera cam1 times (2\.0\d?|1\.9\d|2):",
        2,
    ),
    "turned by 180": (
        lambda m, _: m.update(points=m["image_size"] - m["points"]),
        "turned by 180 degrees in all|x and y axes turned",
        2,
    ),
    "turned by 90": (lambda m, _: turned_by_90(m), "turned by 90 degrees in all cameras", 2),
    "sizes of their own": (
        lambda m, _: sizes_of_their_own(m),
        "from image_size to twice its principal point",
        2,
    ),
    "camera to world": (lambda m, _: inverse(m), "with inverted extrinsics", 2),
    "OpenGL": (
        lambda m, _: m.update(extrinsics=np.diag([1.0, -1, -1]) @ m["extrinsics"]),
        "y and z axes turned",
        2,
    ),
    "swapped pair": (
        lambda m, _: reorder(m, [1, 0, *range(2, len(m["points"]))]),
        "tracks of cam0 and cam1 exchanged",
        2,
    ),
    "swapped extrinsics": (
        lambda m, _: swapped_extrinsics(m),
        "extrinsics of cam0 and cam1 exchanged",
        3,
    ),
    "three in a circle": (
        lambda m, _: reorder(m, [1, 2, 0, *range(3, len(m["points"]))]),
        "tracks in the order cam2, cam0, cam1",
        3,
    ),
    "keypoints of one permuted": (permuted, "of camera cam1.* exchanged|of the other one", 2),
    "two keypoints of one exchanged": (
        lambda m, _: exchanged(m),
        r"point0 and point1 of camera cam\d",
        2,
    ),
    "a label twice": (
        lambda m, _: twins(m, True),
        "point0, point1 have identical points in all cameras",
        2,
    ),
    "a label twice in one camera": (
        lambda m, _: twins(m, False),
        "point0, point1 have identical points in camera cam1",
        2,
    ),
    "late": (lambda m, _: late(m), r"cam1 seems \d frame|cam0 seems \d frame.*other way", 3),
    "one turned": (lambda m, _: turn(m), "camera cam1 is .* check its calibration", 3),
    "markers (0, 0)": (lambda m, _: marked(m, (0, 0)), r"at \(0, 0\)", 2),
    "markers (-1, -1)": (lambda m, _: marked(m, (-1, -1)), r"at \(-1, -1\)", 2),
    "markers 1e6": (lambda m, _: marked(m, (1e6, 1e6)), r"at \(1e\+06, 1e\+06\)", 2),
}


def lines_of(m: Members, folder: Path) -> list[str]:
    """Return the warnings for a file, or its error."""
    path = folder / "tracks.npz"
    np.savez(path, **m)
    try:
        return check_file(read_tracks(path))[0]
    except DataError as error:
        return [f"error: {error}"]


def detection(fault: str, seed: int, folder: Path) -> tuple[str, list[str], Members]:
    """Return `named`, `listed`, `other` or `silent` for a fault in a random rig."""
    rng = np.random.default_rng([seed, 1])
    change, wanted, least = FAULTS[fault]
    V = [v for v in VIEWS if v >= least][seed % len([v for v in VIEWS if v >= least])]
    sigma = 10 ** rng.uniform(np.log10(0.3), 1)
    m = scene(
        rng,
        V,
        bool(seed // 4 % 2),
        int(rng.integers(60, 300)),
        int(rng.integers(4, 14)),
        white(sigma),
    )
    change(m, rng)
    lines = lines_of(m, folder)
    for line in lines:
        if re.search(wanted, line):
            return ("listed" if "possible causes" in line else "named"), lines, m
    return (
        (
            "other"
            if any(ACCUSES.search(line) for line in lines)
            else "neutral"
            if lines
            else "silent"
        ),
        lines,
        m,
    )


def sound(kind: str, seed: int, folder: Path) -> tuple[str, list[str], float]:
    """Return `silent`, `neutral` or `accuses` for a rig without a fault."""
    rng = np.random.default_rng([seed, 2])
    sigma = 10 ** rng.uniform(0, np.log10(15))
    T = int(rng.integers(5, 31)) if seed % 2 else int(rng.integers(31, 300))
    K = int(rng.integers(1, 4)) if seed // 2 % 2 else int(rng.integers(4, 14))
    m = scene(rng, VIEWS[seed // 4 % 4], bool(seed // 16 % 2), T, K, KINDS[kind](sigma))
    lines = lines_of(m, folder)
    return (
        (
            "accuses"
            if any(ACCUSES.search(line) for line in lines)
            else "neutral"
            if lines
            else "silent"
        ),
        lines,
        sigma,
    )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rigs", type=int, default=50, help="random rigs for each fault")
    parser.add_argument(
        "--sound", type=int, default=200, help="random rigs without a fault, for each kind of noise"
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first rig")
    parser.add_argument("--only", default="", help="faults and kinds of noise that have this word")
    parser.add_argument("--show", action="store_true", help="print the lines of what is not right")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        for kind in [k for k in KINDS if args.only in k] if args.sound else []:
            results = [
                sound(kind, seed, Path(name)) for seed in range(args.first, args.first + args.sound)
            ]
            print(
                f"{kind:32s}",
                dict(Counter(r for r, _, _ in results)),
                f"{time.perf_counter() - start:.0f} s",
                flush=True,
            )
            for seed, (r, lines, sigma) in enumerate(results, args.first):
                if args.show and r == "accuses":
                    print("   ", seed, f"{sigma:.1f} px", *lines, sep="\n      ")
        for fault in [f for f in FAULTS if args.only in f] if args.rigs else []:
            found = [
                detection(fault, seed, Path(name))
                for seed in range(args.first, args.first + args.rigs)
            ]
            print(
                f"{fault:32s}",
                dict(Counter(r for r, _, _ in found)),
                f"{time.perf_counter() - start:.0f} s",
                flush=True,
            )
            for seed, (r, lines, _) in enumerate(found, args.first):
                if args.show and r not in ("named", "listed"):
                    print("   ", seed, r, *lines, sep="\n      ")


if __name__ == "__main__":
    main()
