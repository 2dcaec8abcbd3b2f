"""Packages that only some formats need."""

import importlib
from typing import Any

from data_generation.RLBench.errors import DataGenerationError


def require(module: str, extra: str) -> Any:
    """Import a module of an optional package.

    Args:
        module: Its name, such as `pyarrow.parquet`.
        extra: The extra of this project that installs it.

    Raises:
        DataGenerationError: The package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        is_absent = (error.name or "").partition(".")[0] == package
        why = "is not installed" if is_absent else f"cannot be loaded ({error})"
        raise DataGenerationError(
            f"package {package} {why}; run: pip install -e '.[{extra}]' in the repository's root"
        ) from None
