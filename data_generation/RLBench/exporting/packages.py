"""Packages that only some formats need."""

from typing import Any

from data_generation.RLBench.errors import DataGenerationError
from pose_obj_3d.common import optional


def require(module: str, extra: str) -> Any:
    """Import a module of an optional package.

    Args:
        module: Its name, such as `pyarrow.parquet`.
        extra: The extra of this project that installs it.

    Raises:
        DataGenerationError: The package is not installed, or cannot be loaded.
    """
    return optional.require(module, extra, DataGenerationError)
