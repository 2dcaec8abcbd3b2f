"""Makes `import pyrep` mean this simulator in a Python environment, and undoes that.

A file in the environment's site-packages adds one folder to the path, and nothing else: no import
is hooked and no file of PyRep is changed.
"""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "as_pyrep"
"""Holds the package that users import as `pyrep`, and no other."""


def is_ours(folder: str | Path) -> bool:
    """Say whether an entry of the path is such a folder, of this installation or another."""
    return Path(folder).parts[-2:] == FOLDER.parts[-2:]
