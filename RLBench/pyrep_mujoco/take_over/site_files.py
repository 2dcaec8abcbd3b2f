"""The file in site-packages that adds a folder to the path of every new Python process."""

import ast
import os
import site
import sysconfig
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

NAME = "pyrep_mujoco_take_over.pth"
_FIRST = "import sys; sys.path.insert(0, {})"
_LAST = "import sys; sys.path.append({})"


@dataclass(frozen=True)
class SiteFile:
    """What such a file says.

    Attributes:
        path: The file.
        folder: What it adds to the path; empty where it cannot be read.
        is_first: The folder comes before all others, so that it wins over an installed PyRep.
    """

    path: Path
    folder: str
    is_first: bool


def places() -> list[Path]:
    """Give the folders of this environment whose files Python reads, the one to write in first."""
    found = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    found += site.getsitepackages()
    if site.ENABLE_USER_SITE:
        found.append(site.getusersitepackages())
    return [Path(folder) for folder in dict.fromkeys(found)]


def existing() -> list[SiteFile]:
    """Read the files of this environment."""
    return [_read(path) for path in (place / NAME for place in places()) if path.is_file()]


def write(folder: Path, is_first: bool) -> SiteFile:
    """Write the file where this user may; it is there whole or not at all.

    Raises:
        OSError: No folder of site-packages can be written.
    """
    refused: OSError | None = None
    user_site = Path(site.getusersitepackages()) if site.ENABLE_USER_SITE else None
    for place in (p for p in places() if p.is_dir() or p == user_site):
        path = place / NAME
        temporary = place / f".{NAME}.{uuid.uuid4().hex[:12]}"  # no .pth: Python does not read it
        try:
            place.mkdir(parents=True, exist_ok=True)
            temporary.write_text(line(folder, is_first) + "\n", encoding="ascii")
            temporary.replace(path)
        except OSError as error:
            refused = refused or error
            continue
        finally:
            with suppress(OSError):
                temporary.unlink()
        return SiteFile(path, str(folder), is_first)
    raise refused or FileNotFoundError("this environment has no folder of site-packages")


def line(folder: Path, is_first: bool) -> str:
    """Give the content of the file.

    A plain path is an entry after all others. Python reads the file in an encoding that depends on
    the machine, and strips it, so that other paths are written as text of a program.
    """
    text = str(folder)
    if is_first:
        return _FIRST.format(ascii(text))
    is_plain = text.isascii() and text.isprintable() and text == text.strip()
    return text if is_plain else _LAST.format(ascii(text))


def _read(path: Path) -> SiteFile:
    try:
        text = path.read_text(encoding="ascii").rstrip("\n")
    except (OSError, ValueError):
        return SiteFile(path, "", is_first=False)
    for form in (_FIRST, _LAST):
        before, after = form.split("{}")
        if text.startswith(before) and text.endswith(after):
            with suppress(ValueError, SyntaxError):
                folder = ast.literal_eval(text[len(before) : len(text) - len(after)])
                return SiteFile(path, str(folder), form is _FIRST)
            return SiteFile(path, "", is_first=False)
    return SiteFile(path, text, is_first=False)


def remove() -> Iterator[Path]:
    """Remove the files of this environment, and yield each that was there.

    Raises:
        OSError: One is there and may not be removed.
    """
    for found in existing():
        found.path.unlink(missing_ok=True)
        yield found.path


def is_in_path_variable(folder: Path) -> bool:
    """Say whether PYTHONPATH names the folder."""
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return any(entry and Path(entry) == folder for entry in named)
