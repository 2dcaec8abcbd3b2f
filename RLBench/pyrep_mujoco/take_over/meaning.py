"""What `import pyrep` means in a new process of this environment; nothing of it is run."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from pyrep_mujoco.take_over import FOLDER, is_ours

SECONDS = 60
_OURS = FOLDER.parts[-2:]
_PROBE = """
import importlib.util, json, pathlib, sys

def found(name):
    try:
        spec = importlib.util.find_spec(name)
    except Exception:  # a finder of another project failed
        spec = None
    folders = list(spec.submodule_search_locations or ()) if spec else ()
    return folders[0] if folders else ""

def is_ours(entry):
    return pathlib.Path(entry).parts[-2:] == {ours!r}

out = {{name: found(name) for name in ("pyrep", "pyrep_mujoco", "rlbench")}}
sys.path[:] = [entry for entry in sys.path if not is_ours(entry)]
out["without"] = found("pyrep")
print("\\n" + json.dumps(out))
"""


class Kind(Enum):
    """Whose package is imported as `pyrep`."""

    NONE = "nothing"
    OURS = "pyrep_mujoco's"
    PYREP = "PyRep (CoppeliaSim's)"
    OTHER = "another project's, which is no simulator"


@dataclass(frozen=True)
class Package:
    """A package, not imported.

    Attributes:
        kind: Whose it is.
        folder: Where it lies; empty where there is none.
    """

    kind: Kind
    folder: str

    def __str__(self) -> str:
        return f"{self.kind.value} ({self.folder})" if self.folder else self.kind.value


@dataclass(frozen=True)
class Meaning:
    """What a new process finds.

    Attributes:
        pyrep: What `import pyrep` means.
        without: What it would mean without this simulator's folder.
        simulator: Where `pyrep_mujoco` lies; empty where it is not found.
        rlbench: Where `rlbench` lies, alike.
    """

    pyrep: Package
    without: Package
    simulator: str
    rlbench: str


def meaning(with_path_variable: bool) -> Meaning:
    """Ask a new process that is started in another folder.

    Args:
        with_path_variable: PYTHONPATH counts, as it does for scripts that are started from here.

    Raises:
        RuntimeError: The process failed.
    """
    dropped = () if with_path_variable else ("PYTHONPATH",)
    environment = {k: v for k, v in os.environ.items() if k not in dropped}
    environment["PYTHONIOENCODING"] = "utf-8"
    try:
        result = subprocess.run(  # noqa: S603 - this Python, and a fixed text
            [sys.executable, "-P", "-c", _PROBE.format(ours=_OURS)],
            cwd=tempfile.gettempdir(),
            env=environment,
            capture_output=True,
            check=True,
            timeout=SECONDS,
        )
        found = json.loads(result.stdout.decode("utf-8").splitlines()[-1])
    except (subprocess.SubprocessError, OSError, ValueError, IndexError) as error:
        raise RuntimeError(f"{sys.executable} could not be asked: {error}") from None
    return Meaning(
        _package(found["pyrep"]),
        _package(found["without"]),
        found["pyrep_mujoco"],
        found["rlbench"],
    )


def _package(folder: str) -> Package:
    if not folder:
        return Package(Kind.NONE, "")
    path = Path(folder)
    if is_ours(path.parent):
        return Package(Kind.OURS, folder)
    has_pyreps_parts = (path / "backend").is_dir() and (path / "pyrep.py").is_file()
    return Package(Kind.PYREP if has_pyreps_parts else Kind.OTHER, folder)
