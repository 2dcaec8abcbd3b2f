"""Helpers of RLBench's tasks."""

from pathlib import Path
from typing import Any

import numpy as np

from rlbench.backend.exceptions import TaskFileError
from rlbench.backend.pyrep_names.pyrep_objects import Shape
from rlbench.backend.pyrep_names.scene_context import current_root
from rlbench.engines.protocols import SceneObject

_MESHES = Path("rlbench") / "assets" / "procedural_objects"
_SCALE = 0.005
"""The files' unit in metres."""


def sample_procedural_objects(
    task_base: SceneObject, num_samples: int, mass: float = 0.1
) -> list[Any]:
    """Make different objects of the checkout's folder of meshes, drawn by NumPy's generator.

    Args:
        task_base: becomes their parent.
        num_samples: how many.
        mass: of each [kg].

    Returns:
        Dynamic shapes, which collide and are not drawn, each with a child that is drawn.

    Raises:
        TaskFileError: the folder is not there, or holds too few meshes.
    """
    root = current_root()
    folders = [] if root is None else _folders(root / _MESHES)
    if len(folders) < num_samples:
        place = "no checkout of RLBench" if root is None else root / _MESHES
        raise TaskFileError(
            f"{num_samples} procedural objects are wanted, but {place} holds {len(folders)}"
        )
    names = [folder.name for folder in folders]
    picked = np.random.choice(names, num_samples, replace=False)  # noqa: NPY002 - as its tasks do
    return [_procedural(folders[0].with_name(str(name)), task_base, mass) for name in picked]


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder by name; none where it is not there."""
    return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def _procedural(folder: Path, task_base: SceneObject, mass: float) -> Any:
    solid = Shape.import_mesh(str(folder / f"{folder.name}_coll.obj"), scaling_factor=_SCALE)
    drawn = Shape.import_mesh(str(folder / f"{folder.name}.obj"), scaling_factor=_SCALE)
    solid.set_renderable(False)
    solid.set_dynamic(True)
    solid.set_mass(mass)
    solid.set_respondable(True)
    solid.set_model(True)
    drawn.set_parent(solid)
    solid.set_parent(task_base)
    return solid
