"""Versions of what decides the content of an episode, to compare processes and machines."""

import hashlib
import importlib.util
from importlib import metadata
from pathlib import Path

PACKAGES = ("mujoco", "ompl", "numpy", "opencv-python-headless")
CODE = (
    "data_generation.RLBench.generation",
    "data_generation.RLBench.raw",
    "rlbench",
    "pyrep_mujoco",
)
SUFFIXES = (".py", ".xml")
NONE = "none"


def versions() -> dict[str, str]:
    """Give package -> version, and `code`: a digest of this project's files; of this process."""
    return {**{name: _version(name) for name in PACKAGES}, "code": _digest()}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return NONE


def _digest() -> str:
    digest = hashlib.sha256()
    for name in CODE:
        for folder in _folders(name):
            files = sorted(p for p in folder.rglob("*") if p.suffix in SUFFIXES)
            for path in files:
                digest.update(f"{name} {path.relative_to(folder).as_posix()}\n".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _folders(package: str) -> list[Path]:
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        return []
    return [Path(p) for p in (spec.submodule_search_locations or ())] if spec else []
