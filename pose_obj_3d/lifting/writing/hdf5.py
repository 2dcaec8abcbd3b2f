"""Lifted points as HDF5: the arrays of `points3d.npz` with their units, written with `h5py`."""

from pathlib import Path
from typing import Any

import numpy as np

from pose_obj_3d.common.optional import require
from pose_obj_3d.common.whole_files import folder_in_the_making
from pose_obj_3d.lifting.writing.points import LiftedPoints
from pose_obj_3d.lifting.writing.support import Support

EXTRA = "formats"
AXES_OF = {
    "points": ("frame", "keypoint", "axis"),
    "covariance": ("frame", "keypoint", "axis", "axis"),
    "is_measured": ("frame", "keypoint"),
    "weights": ("camera", "frame", "keypoint"),
    "noise_px": ("camera",),
    "reprojected": ("camera", "frame", "keypoint", "axis"),
    "reprojection_px": ("camera", "frame", "keypoint"),
}
"""Dataset -> what its axes are."""


def write_hdf5(path: Path, lifted: LiftedPoints, support: Support | None) -> None:
    """Write the arrays; facts are attributes of the file, units attributes of the datasets."""
    h5py = require("h5py", EXTRA)
    units = {"points": lifted.units, "covariance": f"{lifted.units}^2", "noise_px": "px"}
    arrays: dict[str, Any] = {
        "points": lifted.points,
        "covariance": lifted.covariance,
        "is_measured": lifted.is_measured,
        "weights": lifted.weights,
        "noise_px": lifted.noise_px,
    }
    if support is not None:
        arrays |= {"reprojected": support.uv, "reprojection_px": support.distance_px}
        units |= {"reprojected": "px", "reprojection_px": "px"}
    with folder_in_the_making(path) as folder:
        with h5py.File(folder / path.name, "w", track_order=True) as file:
            for name, array in arrays.items():
                made = file.create_dataset(name, data=array, compression="gzip", shuffle=True)
                made.attrs.update({"unit": units[name]} if name in units else {})
                for i, axis in enumerate(AXES_OF[name]):
                    made.dims[i].label = axis
            text = h5py.string_dtype("utf-8")
            for key in ("camera_names", "keypoint_names"):
                file.create_dataset(key, data=getattr(lifted, key), dtype=text)
            file.create_dataset("sequence_starts", data=np.array(lifted.sequence_starts))
            for key in ("units", "fps", "method"):
                file.attrs[key] = getattr(lifted, key)
        (folder / path.name).replace(path)
