"""When long work reports its progress: one line every few seconds."""

import time

LOG_EVERY_S = 5.0  # seconds between lines


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
