"""Tells whether a hand is open; the fingers' positions alone do not say so."""

import numpy as np

from pyrep_mujoco.transforms import Floats

OPEN = 0.9
"""A hand is open when its fingers have opened more than this share."""


class HandState:
    """Remembers what the fingers were told to do, and whether they have come to an end.

    A hand that has closed on something about as wide as itself has its fingers far apart, and is
    closed.
    """

    def __init__(self) -> None:
        self._is_shut = False
        self._last: Floats | None = None

    def reset(self) -> None:
        """Forget all commands: the hand was opened."""
        self._is_shut, self._last = False, None

    def was_told(self, amount: float, is_done: bool) -> None:
        """Take note of a command to open to `amount` in [0, 1]; done: it is reached, or blocked."""
        if amount > OPEN:
            self._is_shut = False
        elif is_done:
            self._is_shut = True
        self._last = None

    def was_led(self, amount: float, travel: Floats, still: Floats) -> None:
        """Take note of one step's command, which does not say when it ends.

        Args:
            amount: opening that is wanted, in [0, 1].
            travel: (N,) of the fingers now [m].
            still: (N,) fingers that have moved less since the last command are blocked [m].
        """
        is_still = self._last is not None and bool((np.abs(travel - self._last) < still).all())
        self.was_told(amount, is_still)
        self._last = None if amount > OPEN else travel

    def is_open(self, opening: Floats, is_holding: bool) -> bool:
        """Tell whether the hand is open: fingers apart, not closed on anything, holding nothing.

        Args:
            opening: (N,) of the fingers in [0, 1].
            is_holding: something hangs on the hand.
        """
        return bool(np.mean(opening) > OPEN) and not is_holding and not self._is_shut
