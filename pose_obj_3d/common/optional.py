"""Packages that only some commands need."""

import importlib
from typing import Any

from pose_obj_3d.common.errors import ConfigError


def require(module: str, extra: str, failure: type[Exception] = ConfigError) -> Any:
    """Import a module of an optional package.

    Args:
        module: Its name, such as `h5py`.
        extra: The extra of this project that installs it.
        failure: What to raise, with one line.

    Raises:
        ConfigError: The package is not installed, or cannot be loaded; or `failure` instead.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        is_absent = (error.name or "").partition(".")[0] == package
        why = "is not installed" if is_absent else f"cannot be loaded ({error})"
        raise failure(
            f"package {package} {why}; run: pip install -e '.[{extra}]' in the repository's root"
        ) from None
