"""Files of a calibration: the keys of a track file, and anipose's toml."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from pose_obj_3d.calibrate.cameras import Cameras, coefficients
from pose_obj_3d.common.whole_files import write_whole, writing
from pose_obj_3d.geometry.lenses import FISHEYE


def save_npz(path: Path, cameras: Cameras, unit: str) -> None:
    """Write the cameras under the keys that `lift --points2d` reads.

    Args:
        path: The npz.
        cameras: The cameras.
        unit: `m` or `mm`, of the extrinsics.
    """
    extrinsics = cameras.extrinsics
    extrinsics[:, :, 3] *= 1000.0 if unit == "mm" else 1.0
    members: dict[str, Any] = {
        "intrinsics": cameras.intrinsics,
        "extrinsics": extrinsics,
        "distortion": cameras.distortion,
        "lens": np.array(cameras.kinds),
        "camera_names": np.array(cameras.names),
        "image_size": cameras.sizes,
        "units": np.array(unit),
    }
    with writing(path) as file:
        np.savez_compressed(file, **members)


def save_toml(path: Path, cameras: Cameras, unit: str) -> None:
    """Write the cameras as anipose's `calibration.toml`.

    Its translations have no unit of their own; a line of the metadata names it.
    """
    scale = 1000.0 if unit == "mm" else 1.0
    lines = []
    for v, name in enumerate(cameras.names):
        turn = cv2.Rodrigues(cameras.rotation[v])[0].ravel()
        count = coefficients(cameras.kinds[v])
        lines += [
            f"[cam_{v}]",
            f"name = {_text(name)}",
            f"size = {_numbers(cameras.sizes[v].astype(int))}",
            f"matrix = [{', '.join(_numbers(row) for row in cameras.intrinsics[v])}]",
            f"distortions = {_numbers(cameras.distortion[v, :count])}",
            f"rotation = {_numbers(turn)}",
            f"translation = {_numbers(cameras.translation[v] * scale)}",
        ]
        lines += ["fisheye = true"] if cameras.kinds[v] == FISHEYE else []
        lines.append("")
    lines += ["[metadata]", f"units = {_text(unit)}", ""]
    write_whole(path, "\n".join(lines).encode())


def _text(text: str) -> str:
    """Quote a basic string of TOML."""
    special = {'"': '\\"', "\\": "\\\\"}
    return (
        '"'
        + "".join(special.get(c, c if c.isprintable() else f"\\U{ord(c):08x}") for c in text)
        + '"'
    )


def _numbers(values: npt.NDArray[Any]) -> str:
    return f"[{', '.join(repr(v) for v in values.tolist())}]"
