"""Lift multi-view 2D keypoint tracks to 3D. Arrays go in, arrays and typed results come out.

- `lift_tracks`: 2D tracks of calibrated cameras to 3D, without labels.
- `project`, `triangulate`: single points, from 3D to pixels and back.
- `read_formal`, `write_formal`: archives of tracks with 3D truth, `sim_all_formal.npz`.
- `train`: a model from a config.

Errors that a user can cause are `PoseObj3DError`, with a message of one line. What a name needs
(PyTorch, for most) is loaded when the name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pose_obj_3d.common.errors import PoseObj3DError
    from pose_obj_3d.experiments import TrainingResult, train
    from pose_obj_3d.formal import FormalData, read_formal, write_formal
    from pose_obj_3d.geometry.arrays import Triangulation, project, triangulate
    from pose_obj_3d.lifting.api import lift_tracks
    from pose_obj_3d.lifting.result import LiftResult

__all__ = [
    "FormalData",
    "LiftResult",
    "PoseObj3DError",
    "TrainingResult",
    "Triangulation",
    "lift_tracks",
    "project",
    "read_formal",
    "train",
    "triangulate",
    "write_formal",
]
_HOMES = {
    "FormalData": "formal",
    "LiftResult": "lifting.result",
    "PoseObj3DError": "common.errors",
    "TrainingResult": "experiments",
    "Triangulation": "geometry.arrays",
    "lift_tracks": "lifting.api",
    "project": "geometry.arrays",
    "read_formal": "formal",
    "train": "experiments",
    "triangulate": "geometry.arrays",
    "write_formal": "formal",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names beside what is loaded."""
    return sorted({*globals(), *__all__})
