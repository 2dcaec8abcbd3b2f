"""Files that are either absent, old, or complete, whoever writes them at the same time.

A file is written under a temporary name of its own beside its place, then renamed. The writer keeps
a lock on it while it writes. By that lock the next writer of the same file knows what a killed
writer left, which it removes, from what is being written now, which it spares. Standard library
only.
"""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

SUFFIX = ".tmp"


def temporary_names(name: str) -> str:
    """Give the glob pattern of the temporary names of a file."""
    escaped = "".join(f"[{c}]" if c in "*?[" else c for c in name)
    return f".{escaped}.*{SUFFIX}"


def is_temporary(name: str) -> bool:
    """Tell whether a file's name is a temporary one of this module."""
    return name.startswith(".") and name.endswith(SUFFIX)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing; at the end it replaces `path`, unless an error was raised."""
    remove_leftovers(path)
    temporary, file = _open_locked(path)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Write the content of a file."""
    with writing(path) as file:
        file.write(data)


def write_first(path: Path, data: bytes) -> bool:
    """Write a file that is not there; of several writers one does it, on whatever machine.

    Returns:
        False where the file is there already; it is left as it is.

    Raises:
        OSError: It cannot be written.
    """
    remove_leftovers(path)
    temporary, file = _open_locked(path)
    try:
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.link(temporary, path)  # fails where it is there, on network file systems too
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of `path` that no living process writes."""
    for left in path.parent.glob(temporary_names(path.name)):
        with suppress(OSError), left.open("rb") as file:  # gone by now, or another user's
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a kill frees it
            left.unlink()


@contextmanager
def folder_in_the_making(path: Path) -> Iterator[Path]:
    """Make a temporary folder beside `path`, and remove it with all that is left in it.

    What killed processes left beside the same path goes before that.
    """
    for left in path.parent.glob(temporary_names(path.name)):
        if left.is_dir() and (lock := _locked_folder(left)) is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(lock)
    while True:
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}{SUFFIX}")
        temporary.mkdir()
        lock = _locked_folder(temporary)
        if lock is not None and temporary.is_dir():
            break
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(lock)


def _locked_folder(folder: Path) -> int | None:
    """Lock a folder that no living process makes; return what keeps the lock."""
    try:
        lock = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _open_locked(path: Path) -> tuple[Path, BinaryIO]:
    while True:
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}{SUFFIX}")
        file = temporary.open("xb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            return (
                temporary,
                file,
            )  # no locks on this file system: nobody can take it for a leftover
        with suppress(FileNotFoundError):
            if os.path.samestat(temporary.stat(), os.fstat(file.fileno())):
                return temporary, file
        file.close()  # another process removed it before it was locked
