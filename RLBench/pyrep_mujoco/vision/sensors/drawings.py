"""Lines that colour images of windowed render modes show, and nothing else knows of."""

import weakref
from itertools import count

from pyrep_mujoco.session.session import Session
from pyrep_mujoco.transforms import Floats

_numbers = count(1)
_all: weakref.WeakKeyDictionary[Session, dict[int, Floats]] = weakref.WeakKeyDictionary()


def add(session: Session, points: Floats) -> int:
    """Draw a line through (N, 3) points [m], world; return its number."""
    number = next(_numbers)
    _all.setdefault(session, {})[number] = points
    return number


def remove(session: Session, number: int) -> None:
    """Take a line out; twice is harmless."""
    _all.get(session, {}).pop(number, None)


def lines(session: Session) -> list[Floats]:
    """Return the points of all lines."""
    return list(_all.get(session, {}).values())
