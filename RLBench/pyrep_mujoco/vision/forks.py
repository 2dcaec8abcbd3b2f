"""Knows whether this process was forked from one that had made images.

OpenGL does not survive a fork: drivers wait for ever for threads that only the parent has.
"""

import os
import sys

from pyrep_mujoco.errors import RenderingError

_first: list[int] = []
"""The process that made the first OpenGL context here, empty before; a fork inherits it."""


def note_context() -> None:
    """Remember that this process has made an OpenGL context."""
    if not _first:
        _first.append(os.getpid())


def is_forked() -> bool:
    """Tell whether this process was forked from one that had made images."""
    return bool(_first) and _first[0] != os.getpid()


def check_not_forked() -> None:
    """Refuse what would wait for ever.

    Raises:
        RenderingError: this process was forked from one that had made images.
    """
    if is_forked():
        raise RenderingError(
            f"process {os.getpid()} was forked from process {_first[0]} after that had made images,"
            " and OpenGL does not survive a fork; start processes with the method spawn:"
            ' multiprocessing.get_context("spawn"), or vector_kwargs={"context": "spawn"} of'
            " gymnasium.make_vec"
        )


def _let_go() -> None:
    """Keep a forked process from waiting at its end.

    MuJoCo closes the display of its module when the interpreter ends, unless there is none.
    """
    egl = sys.modules.get("mujoco.egl")
    if _first and egl is not None:
        vars(egl)["EGL_DISPLAY"] = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
