"""What PyRep's own modules, and some of its users, take from its backend."""

from threading import Lock

from pyrep.errors import PyRepError
from pyrep.objects.object import to_type

__all__ = ["script_call", "step_lock", "to_type"]

step_lock = Lock()
"""Held while a step is made."""


def script_call(
    function_name_at_script_name: str, script_handle_or_type: int, *_: object, **__: object
) -> None:
    """Refuse: there are no scripts.

    Raises:
        PyRepError: always; it names the function.
    """
    raise PyRepError(
        f"script_call {function_name_at_script_name!r} (script {script_handle_or_type}): scenes' "
        "Lua scripts do not run on MuJoCo"
    )
