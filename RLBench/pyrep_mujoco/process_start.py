"""How every command begins: Python's version, streams, memory, and the last word on errors.

`prepare` is called before anything large is imported. It needs nothing but the standard library,
and no syntax that an older Python does not read.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TextIO

SUPPORTED = ((3, 11), (3, 12))
USER_ERROR = 2
INTERRUPTED = 130
MIB = 1 << 20
NO_MEMORY = (
    "allocate memory",
    "failed to map segment",
    "out of memory",
    "bad_alloc",
    "can't start new thread",
)
GL_BACKENDS = (
    "",
    "egl",
    "osmesa",
    "glfw",
    "glx",
    "0",
    "1",
    "on",
    "off",
    "true",
    "false",
    "enable",
    "enabled",
    "disable",
    "disabled",
)


def prepare(program: str, needs_mib: int = 0, simulates: bool = False) -> None:
    """Get a process ready to run a command, or end it with one line and exit code 2.

    Args:
        program: Name of the command, for messages.
        needs_mib: Address space [MiB] below which not even its packages can be loaded.
        simulates: It loads MuJoCo, which reads `MUJOCO_GL`.
    """
    fault = wrong_python(sys.version_info) or too_little_memory(needs_mib)
    fault = fault or (wrong_backend(os.environ) if simulates else "")
    open_streams()
    if fault:
        end(program, fault, USER_ERROR)
    sys.excepthook = lambda kind, error, trace: last_word(program, kind, error, trace)


def wrong_python(version: Sequence[Any]) -> str:
    """Say that a version of Python is not supported; nothing where it is."""
    if tuple(version[:2]) in SUPPORTED:
        return ""
    names = " and ".join("{}.{}".format(*v) for v in SUPPORTED)
    return "Python {}.{} is not supported, {} are; use one of them".format(*version[:2], names)


def too_little_memory(needs_mib: int) -> str:
    """Say that the address space is too small (`ulimit -v`); nothing where it is not."""
    try:
        import resource  # noqa: PLC0415 - not there on every platform
    except ImportError:
        return ""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit in (resource.RLIM_INFINITY, -1) or limit >= needs_mib * MIB:
        return ""
    return (
        f"the address space is limited to {limit // MIB} MiB (ulimit -v), {needs_mib} MiB are"
        " needed at least; raise the limit"
    )


def wrong_backend(environment: Mapping[str, str]) -> str:
    """Say that `MUJOCO_GL` names no way to render; nothing where it does."""
    value = environment.get("MUJOCO_GL", "")
    if value.lower().strip() in GL_BACKENDS:
        return ""
    return f"MUJOCO_GL is {value[:40]!r}; it must be egl, osmesa or glfw, or not be set"


class DeafFile(io.FileIO):
    """A file that takes everything, also when it is full or nobody reads it any more."""

    def write(self, data: Any) -> int:
        """Write what can be written; say that all was."""
        try:
            return super().write(data) or 0
        except OSError:
            return memoryview(data).nbytes


def open_streams() -> None:
    """Let output that cannot be written be lost: a closed stdout does not end the work."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: else the next file that is opened would be taken for it
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
    sys.stdout, sys.stderr = deaf(sys.stdout, 1), deaf(sys.stderr, 2)


def deaf(stream: TextIO | None, descriptor: int) -> TextIO:
    """Give a text stream that writes to a descriptor and never fails."""
    if stream is not None:
        with contextlib.suppress(OSError):
            stream.flush()
        with contextlib.suppress(OSError, ValueError, AttributeError):
            descriptor = stream.fileno()
    raw = DeafFile(descriptor, "w", closefd=False)
    # No two layers share a buffer: what one of them could not write would be written again at exit.
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=descriptor == 2 or raw.isatty(),
    )


def last_word(program: str, kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Tell an error that nobody caught: in one line where it is the machine's or the user's."""
    if issubclass(kind, KeyboardInterrupt):
        end(program, "interrupted", INTERRUPTED)
    if is_out_of_memory(error):
        end(
            program,
            "out of memory; raise the limit (ulimit -v), or close other programs",
            USER_ERROR,
        )
    if issubclass(kind, ModuleNotFoundError):
        name = getattr(error, "name", None)
        end(
            program, f"package {name} is not installed; the README says what to install", USER_ERROR
        )
    sys.__excepthook__(kind, error, trace)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Tell whether an error, or one that led to it, says that there was no memory."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        text = str(error).lower()
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            return True
        if isinstance(error, (ImportError, OSError, RuntimeError)) and any(
            words in text for words in NO_MEMORY
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def end(program: str, message: str, code: int) -> NoReturn:
    """End the process at once with one line on stderr."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    with contextlib.suppress(Exception):
        sys.stderr.write("{}: {}\n".format(program, " ".join(message.split())))
        sys.stderr.flush()
    os._exit(code)
