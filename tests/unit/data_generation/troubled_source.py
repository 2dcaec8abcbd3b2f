"""A fake simulator whose tasks fail in every way that a user's task file can fail."""

import os
import signal
import time
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from tests.unit.data_generation.fake_source import FakeSource, make_episode


def recurse(n):
    return recurse(n + 1)


def raises(error):
    def fail(episode):
        raise error

    return fail


def kill_by(number):
    def fail(episode):
        os.kill(os.getpid(), number)
        time.sleep(60)

    return fail


def with_nan_in_tracks(episode):
    return replace(episode, xyz=np.full_like(episode.xyz, np.nan))


def with_nan_in_poses(episode):
    poses = [
        {"objects": [{"name": "block", "id": 3, "pose": [float("nan")]}]} for _ in episode.obj_poses
    ]
    return replace(episode, obj_poses=poses)


def with_an_object_in_poses(episode):
    return replace(episode, obj_poses=[{"objects": object()} for _ in episode.obj_poses])


def fork_and_exit(episode):
    """End, while a child of its own keeps the pipe open."""
    if os.fork() == 0:
        time.sleep(20)
    os._exit(5)


def prints(episode):
    print("a task may print")
    return episode


TROUBLES = {
    "value": raises(ValueError("one line\nand another")),
    "exit": raises(SystemExit(3)),
    "interrupt": raises(KeyboardInterrupt()),
    "base": raises(BaseException("strange")),
    "memory": raises(MemoryError()),
    "recursion": lambda episode: recurse(0),
    "nan_tracks": with_nan_in_tracks,
    "nan_poses": with_nan_in_poses,
    "object_poses": with_an_object_in_poses,
    "fork": fork_and_exit,
    "os_exit": lambda episode: os._exit(7),
    "segfault": kill_by(signal.SIGSEGV),
    "endless": lambda episode: time.sleep(600),
    "good": prints,
}
NAMES = (*TROUBLES, "no_variations", "exits_when_asked")


class TroubledSource(FakeSource):
    """Tasks fail as their names say; the last two when they are asked for their variations."""

    all_tasks = NAMES
    available = MappingProxyType(dict(enumerate(NAMES)))

    def n_variations(self, task_id):
        if NAMES[task_id] == "exits_when_asked":
            os._exit(9)
        return 0 if NAMES[task_id] == "no_variations" else 3

    def attempt(self, key, seed_example, attempt):
        return TROUBLES[NAMES[key.task_id]](make_episode(key, self.config, self.seed, attempt))


def open_source(config, seed):
    return TroubledSource(config, seed)


class AccidentSource(FakeSource):
    """Its process is killed once in each attempt at a third episode."""

    def attempt(self, key, seed_example, attempt):
        mark = (
            f"{os.environ['FAKE_ACCIDENTS']}/{key.task_id}_{key.variation}_{key.example}_{attempt}"
        )
        if key.example == 1 and not os.path.exists(mark):  # noqa: PTH110
            with open(mark, "w"):  # noqa: PTH123
                pass
            os.kill(os.getpid(), signal.SIGKILL if key.variation else signal.SIGSEGV)
        return super().attempt(key, seed_example, attempt)


def open_accidents(config, seed):
    return AccidentSource(config, seed)
