"""The session that a process works on: one at a time, as PyRep has one simulator a process."""

import os
from pathlib import Path

from pyrep_mujoco.errors import CallError
from pyrep_mujoco.session.session import Session

_open: list[Session] = []
_process: list[int] = []


def launch(scene: Path | str | None) -> Session:
    """Open a scene as the current session.

    Raises:
        CallError: another one is open in this process.
        SceneError: the file is missing, or MuJoCo refuses it.
        TtmError: the file is not what its name says.
    """
    if _open and _process == [os.getpid()]:
        raise CallError(
            f"a simulator runs in this process already, with {_open[0].document.label}; call its "
            "shutdown first, or start another process"
        )
    session = Session(scene)
    _open[:], _process[:] = [session], [os.getpid()]
    return session


def close(session: Session) -> None:
    """End a session; twice is harmless."""
    if session in _open:
        _open.clear()


def current() -> Session:
    """Return the session that is open in this process.

    Raises:
        CallError: none is.
    """
    if not _open:
        raise CallError("no simulator runs in this process; call PyRep().launch(...) first")
    return _open[0]
