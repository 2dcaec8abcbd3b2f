"""Signals: values that all code of a process can set and read by name."""

from typing import ClassVar, Generic, TypeVar

from pyrep.errors import PyRepError
from pyrep_mujoco.session.current import current

Value = TypeVar("Value", int, float, str)


class Signal(Generic[Value]):
    """A value by name; each kind of value has names of its own."""

    kind: ClassVar[str] = ""

    def __init__(self, name: str) -> None:
        self._name = name

    def set(self, value: Value) -> None:
        """Set the value."""
        current().signals[self.kind, self._name] = value

    def get(self) -> Value:
        """Return the value.

        Raises:
            PyRepError: it was not set.
        """
        signals = current().signals
        if (self.kind, self._name) not in signals:
            raise PyRepError(f"Signal {self._name} of type {self.kind} does not exist.")
        found: Value = signals[self.kind, self._name]  # type: ignore[assignment]
        return found

    def clear(self) -> int:
        """Forget the value; return how many were forgotten, 0 or 1."""
        return 0 if current().signals.pop((self.kind, self._name), None) is None else 1


class IntegerSignal(Signal[int]):
    """A whole number."""

    kind = "int"


class FloatSignal(Signal[float]):
    """A number."""

    kind = "float"


class DoubleSignal(Signal[float]):
    """A number."""

    kind = "double"


class StringSignal(Signal[str]):
    """A text."""

    kind = "string"
