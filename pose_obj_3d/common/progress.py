"""How long work reports its progress: one line every few seconds, or a bar where one is wanted."""

import sys
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from tqdm import tqdm

LOG_EVERY_S = 5.0  # seconds between lines
BAR_AFTER_S = 2.0  # shorter loops show no bar
Item = TypeVar("Item")
_HAS_BARS: ContextVar[bool] = ContextVar("has_bars", default=False)


class Pace:
    """Tell when another line is due."""

    def __init__(self, seconds: float = LOG_EVERY_S) -> None:
        self.seconds = seconds
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Return whether a line is due; if so, the next one is due after another interval."""
        now = time.monotonic()
        if now - self._last < self.seconds:
            return False
        self._last = now
        return True


@contextmanager
def bars() -> Iterator[None]:
    """Let `loop` show bars on stderr inside, if it is a terminal: for commands, not functions."""
    token = _HAS_BARS.set(sys.stderr.isatty())
    try:
        yield
    finally:
        _HAS_BARS.reset(token)


def loop(items: Collection[Item], what: str) -> Iterable[Item]:
    """Go through items, with a bar where `bars` are wanted and it takes long."""
    if not _HAS_BARS.get():
        return items
    shown: Iterable[Item] = tqdm(items, what, leave=False, delay=BAR_AFTER_S, dynamic_ncols=True)
    return shown
