"""Stands for PyRep's link to CoppeliaSim's library: it is imported, its calls say what they are.

Code that imports it for the names alone runs; there is no library behind them here.
"""

from collections.abc import Callable
from typing import NoReturn

from pyrep.errors import PyRepError


class _Link:
    """Has any name, of which each is a call that has no counterpart."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name.startswith("__"):
            raise AttributeError(name)
        call = f"{self._name}.{name}"

        def refuse(*_: object, **__: object) -> NoReturn:
            raise PyRepError(f"{call}: CoppeliaSim's library is not there; MuJoCo simulates")

        return refuse


ffi = _Link("ffi")
lib = _Link("lib")
