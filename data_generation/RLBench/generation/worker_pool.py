"""Worker processes that may die. Each has one job at a time: a death concerns one job alone."""

import contextlib
import multiprocessing
import multiprocessing.connection
import pickle
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol, Self

from data_generation.RLBench.errors import DataGenerationError
from data_generation.RLBench.generation import worker

END_SECONDS = 5.0  # granted to a worker that is told to end
TICK_SECONDS = (
    1.0  # a dead worker's own child may keep its pipe open, so that nothing tells of the death
)
START_SECONDS = 120.0  # granted to one that loads its packages
_READY, _TOLD, _DONE, _RAISED = "ready", "told", "done", "raised"


class WorkerDiedError(Exception):
    """A worker process ended while it worked; the text says how."""


class WorkerKilledError(WorkerDiedError):
    """A worker process was killed from outside: by a user, or because memory ran out."""


class WorkerLostError(WorkerKilledError):
    """The machine of a worker process was lost, which may have nothing to do with its job."""


class WorkerStuckError(WorkerDiedError):
    """A worker process was killed by this one because it said nothing for too long."""


class Jobs(Protocol):
    """What a pool works on."""

    def take(self) -> Any | None:
        """Give the next job; None where there is none now."""

    def told(self, job: Any, value: Any) -> None:
        """Take a message that a worker sends before it is done."""


@dataclass(frozen=True)
class Answer:
    """What became of a job: a result, or why there is none."""

    job: Any
    result: Any = None
    died: WorkerDiedError | None = None


class Pool(Protocol):
    """Workers, wherever they are."""

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Let one worker do something and give its result."""

    def run(self, jobs: Jobs, function: Callable[..., Any]) -> Iterator[Answer]:
        """Work until there are no jobs; yield the answers as they come."""


class Worker:
    """One process; it starts with the first job and again after a death."""

    def __init__(self, settings: worker.WorkerSettings) -> None:
        self._settings = settings
        self._context = multiprocessing.get_context("spawn")  # OpenGL does not survive a fork
        self._process: Any = None
        self._pipe: Connection | None = None
        self.job: Any = None
        self._heard = 0.0

    @property
    def pipe(self) -> Connection:
        """The pipe of answers; it can be read from also when the process has died."""
        if self._pipe is None:
            self._start()
        assert self._pipe is not None
        return self._pipe

    def _start(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=serve, args=(theirs, self._settings))
        try:
            self._process.start()
        except OSError as error:
            self._pipe, self._process = None, None
            raise DataGenerationError(
                f"no worker process can be started: {error.strerror or error}; use fewer"
                " --n_processes"
            ) from None
        theirs.close()  # so that the process's end closes the pipe
        self._heard += START_SECONDS

    def patience(self, silence_s: float) -> float:
        """Give how long [s] it may still say nothing."""
        return self._heard + silence_s - time.monotonic()

    def signs(self) -> tuple[Any, Any]:
        """Give two objects to wait for: one is ready at an answer, the other at the death."""
        return self.pipe, self._process.sentinel

    def wait(self, seconds: float) -> bool:
        """Wait until there is an answer or the process has died; False if the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            left = max(min(deadline - time.monotonic(), TICK_SECONDS), 0.0)
            if multiprocessing.connection.wait(self.signs(), left) or not self._process.is_alive():
                return True
            if time.monotonic() >= deadline:
                return False

    def send(self, job: Any, function: Callable[..., Any], *args: Any) -> None:
        """Give the worker a job; `receive` gives the answer, also when it has died meanwhile."""
        self.job, self._heard = job, time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send((function, args))

    def receive(self) -> tuple[str, Any]:
        """Wait for an answer and return it.

        Raises:
            WorkerDiedError: It has died.
        """
        try:
            if not (self.pipe.poll() or self._process.is_alive() or self.pipe.poll()):
                raise EOFError  # a process of its own may hold the pipe open
            kind, value = self.pipe.recv()
        except (EOFError, OSError):
            raise self._dead() from None
        self._heard = time.monotonic()
        return kind, value

    def kill(self, reason: str) -> WorkerDiedError:
        """End it by force; return the error that says so."""
        self._process.kill()
        self._dead()
        return WorkerStuckError(reason)

    def _dead(self) -> WorkerDiedError:
        process, self._process = self._process, None
        if self._pipe is not None:
            self._pipe.close()
        self._pipe = None
        process.join(END_SECONDS)
        if process.is_alive():  # it has closed its pipe, and lives on
            process.kill()
            process.join()
        code = process.exitcode
        if code == -signal.SIGKILL:
            return WorkerKilledError("its process was killed, or is out of memory")
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                return WorkerDiedError(f"its process died of {signal.Signals(-code).name}")
        return WorkerDiedError(f"its process ended with exit code {code}")

    def close(self) -> None:
        """End the process, by force if it does not end by itself."""
        process, self._process = self._process, None
        if process is None:
            return
        if self.job is not None:
            process.kill()
        if self._pipe is not None:
            self._pipe.close()  # an idle worker ends when its pipe is closed
            self._pipe = None
        process.join(END_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


class WorkerPool:
    """Some workers; those that nobody needs are not started."""

    def __init__(self, number: int, settings: worker.WorkerSettings, silence_s: float) -> None:
        self._workers = [Worker(settings) for _ in range(number)]
        self._silence_s = silence_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; they start again when they are needed."""
        for one in self._workers:
            one.close()

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Let one worker do something and give its result.

        Raises:
            WorkerDiedError: It died, or took too long.
        """
        one = self._workers[0]
        one.send(function, function, *args)
        try:
            kind = _READY
            while kind not in (_DONE, _RAISED):
                if not one.wait(max(one.patience(self._silence_s), 0.0)):
                    raise one.kill(self._no_end())
                kind, value = one.receive()
        finally:
            one.job = None
        return _result(kind, value)

    def run(self, jobs: Jobs, function: Callable[..., Any]) -> Iterator[Answer]:
        """Work until there are no jobs; yield the answers as they come.

        Args:
            jobs: Tuples: the arguments of `function`, but for the last one: a function that tells.
            function: Is called in a worker.
        """
        while True:
            for one in self._workers:
                if one.job is None and (job := jobs.take()) is not None:
                    one.send(job, function, *job)
            busy = [one for one in self._workers if one.job is not None]
            if not busy:
                return
            yield from self._listen(busy, jobs)

    def _listen(self, busy: list[Worker], jobs: Jobs) -> Iterator[Answer]:
        patience = min(one.patience(self._silence_s) for one in busy)
        multiprocessing.connection.wait(
            [sign for one in busy for sign in one.signs()], max(min(patience, TICK_SECONDS), 0.0)
        )
        for one in busy:
            job = one.job
            try:
                if not one.wait(0):
                    if one.patience(self._silence_s) > 0:
                        continue
                    raise one.kill(self._no_end())
                kind, value = one.receive()
            except WorkerDiedError as error:
                one.job = None
                yield Answer(job, died=error)
                continue
            if kind == _TOLD:
                jobs.told(job, value)
            if kind in (_TOLD, _READY):
                continue
            one.job = None
            yield Answer(job, _result(kind, value))

    def _no_end(self) -> str:
        return f"no end after {self._silence_s:g} s"


def _result(kind: str, value: Any) -> Any:
    if kind == _RAISED:
        raise value
    return value


def serve(pipe: Connection, settings: worker.WorkerSettings) -> None:
    """Be a worker: take jobs from the pipe until it is closed."""
    worker.start(settings)
    with contextlib.suppress(
        EOFError, BrokenPipeError, ConnectionResetError
    ):  # the main process has gone
        pipe.send((_READY, None))
        while True:
            function, args = pipe.recv()
            pipe.send(_answer(pipe, function, args))


def _answer(
    pipe: Connection, function: Callable[..., Any], args: tuple[Any, ...]
) -> tuple[str, Any]:
    is_making = function in (worker.make_episode, worker.make_unwritten)
    tells = [lambda value: pipe.send((_TOLD, value))] if is_making else []
    try:
        return _DONE, function(*args, *tells)
    except BaseException as error:  # noqa: BLE001 - it is raised again in the main process
        return _RAISED, _sendable(error)


def _sendable(error: BaseException) -> BaseException:
    """Give an error that can be sent: itself if it is ours, else one of ours that describes it."""
    if isinstance(error, DataGenerationError):
        with contextlib.suppress(Exception):
            pickle.loads(pickle.dumps(error))  # noqa: S301 - our own, made here
            return error
    return DataGenerationError(worker.told(error))
