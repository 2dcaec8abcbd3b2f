"""The global random generators of NumPy and Python: a task draws its own numbers from them.

Task files of RLBench draw from the global generators. While they run, the generators are seeded for
the episode; afterwards the caller finds them as they were. Seeds for episodes that nobody has
seeded are made here too.
"""

import functools
import hashlib
import multiprocessing
import os
import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

SEED_BITS = 63
_CAN_MARK = np.lib.NumpyVersion(np.__version__) >= "2.0.0"
"""Older versions cannot tell whether a generator was seeded anew."""


@dataclass(frozen=True)
class _States:
    numpy: Any
    python: tuple[Any, ...]
    sequence: Any  # what NumPy's generator was made of; None once `numpy.random.seed` was called

    @classmethod
    def now(cls) -> "_States":
        return cls(np.random.get_state(legacy=False), random.getstate(), _sequence())  # noqa: NPY002

    @classmethod
    def of(cls, seed: int) -> "_States":
        """Return the states after `numpy.random.seed(seed)` and `random.seed(seed)`."""
        numpy = np.random.RandomState(seed).get_state(legacy=False)
        return cls(numpy, random.Random(seed).getstate(), None)  # noqa: S311

    def set(self) -> None:
        np.random.set_state(self.numpy)  # noqa: NPY002
        random.setstate(self.python)

    def set_back(self) -> None:
        """Set also whether NumPy's generator was seeded by hand: task code may have seeded it."""
        self.set()
        if _sequence() is not self.sequence:
            _mark(self.sequence)


class GlobalRandom:
    """A context in which the global generators give one task's numbers.

    It can be entered again within itself. Each time it goes on where it was left.
    """

    def __init__(self, seed: int = 0) -> None:
        """Start at a seed."""
        self._own = _States.of(seed)
        self._callers: _States | None = None
        self._depth = 0

    def seed(self, seed: int) -> None:
        """Start anew; within the context, too."""
        self._own = _States.of(seed)
        if self._depth:
            self._own.set()

    def __enter__(self) -> None:
        """Lend the global generators to the task."""
        if self._depth == 0:
            self._callers = _States.now()
            self._own.set()
        self._depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give them back, whatever happened."""
        self._depth -= 1
        if self._depth == 0:
            self._own = _States.now()
            assert self._callers is not None
            self._callers.set_back()

    def giving_back(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a caller's function that gets the generators as the caller left them."""

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with self._suspended():
                return function(*args, **kwargs)

        return called

    @contextmanager
    def _suspended(self) -> Iterator[None]:
        depth, self._depth = self._depth, 0
        if depth:
            self._own = _States.now()
            assert self._callers is not None
            self._callers.set_back()
        try:
            yield
        finally:
            if depth:
                self._callers = _States.now()
                self._own.set()
            self._depth = depth


# ---- seeds of what nobody seeded ------------------------------------------------------------


class _Given(np.random.SeedSequence):
    """Marks NumPy's global generator: seeds were derived from the state that it has."""

    def __init__(self, digest: bytes, count: int, is_inherited: bool) -> None:
        super().__init__(0)
        self.digest, self.count, self.is_inherited = digest, count, is_inherited


_last: _Given | None = None


def fresh_seed() -> int:
    """Return a seed in [0, 2^63) for an episode that nobody has seeded.

    Without `numpy.random.seed` it is drawn from the operating system's entropy. After it, it is a
    function of the state of NumPy's global generator, and of how many seeds that state gave before:
    the same call of `numpy.random.seed` gives the same seeds again, one after the other. Nothing is
    drawn from the generator. A process that was forked after `numpy.random.seed` also counts its
    number among its siblings in: they would all do the same.
    """
    global _last  # noqa: PLW0603 - one for the process, as the generator is
    sequence = _sequence()
    if not (sequence is None or isinstance(sequence, _Given)):
        return secrets.randbits(SEED_BITS)
    before = sequence if _CAN_MARK else _last
    digest = _digest()
    count = before.count + 1 if before is not None and before.digest == digest else 0
    is_inherited = before is not None and before.is_inherited
    _last = _Given(digest, count, is_inherited)
    _mark(_last)
    entropy = [int.from_bytes(digest, "little"), count]
    if is_inherited:
        # Those of `multiprocessing` are numbered in the order of their start.
        entropy += getattr(multiprocessing.current_process(), "_identity", ()) or [os.getpid()]
    words = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    return int(words[0]) >> (64 - SEED_BITS)


def _generator() -> Any:
    """Return NumPy's global bit generator, of which its type hints know less than there is."""
    return vars(np.random)["get_bit_generator"]()


def _sequence() -> Any:
    return _generator().seed_seq


def _mark(sequence: Any) -> None:
    """Set what NumPy's generator was made of, and leave its state as it is."""
    generator = _generator()
    if _CAN_MARK:
        generator.__setstate__((generator.state, sequence))


def _digest() -> bytes:
    state = np.random.get_state(legacy=True)  # noqa: NPY002
    return hashlib.sha256(repr([np.asarray(part).tolist() for part in state]).encode()).digest()


def _inherit() -> None:
    """Remember, in a process that was forked, that the state is its parent's."""
    global _last  # noqa: PLW0603
    sequence = _sequence()
    if sequence is None or isinstance(sequence, _Given):
        before = sequence if _CAN_MARK else _last
        digest, count = (b"", 0) if before is None else (before.digest, before.count)
        _last = _Given(digest, count, True)
        _mark(_last)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_inherit)
