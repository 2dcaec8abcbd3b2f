"""Shards: several processes, on any machines, that each make a part of one data set.

What they were begun with is written once, by the first of them, into `.shards/<mode>.json`; the
others compare. Each keeps a lock of its own while it works, so that nobody makes the same part
twice at once, and leaves its account for the report.
"""

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from data_generation.RLBench.errors import ConfigError, StoreError
from data_generation.RLBench.generation.episode_plan import Plan, Shard
from data_generation.RLBench.generation.versions import versions
from data_generation.RLBench.raw.json_files import JsonError, read_json
from data_generation.RLBench.raw.layout import SHARDS
from data_generation.RLBench.raw.store import RawStore
from pose_obj_3d.common.settings import as_json
from pose_obj_3d.common.whole_files import write_first, write_whole

MAX_SHARDS = 100_000
MAX_BYTES = 64 << 20
AUTO = "auto"
_FORM = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")
_SLURM = "SLURM_ARRAY_TASK_"


def read_shard(text: str, environment: Mapping[str, str]) -> Shard:
    """Read I/N, or `auto`: the place of this process in its Slurm array.

    Raises:
        ConfigError: It is neither.
    """
    if text == AUTO:
        return _of_slurm(environment)
    numbers = _FORM.fullmatch(text)
    if numbers is None:
        raise ConfigError(
            f"--shard {text[:40]!r}: it must be I/N, such as 0/4, or auto in a Slurm array"
        )
    shard = Shard(int(numbers[1]), int(numbers[2]))
    if not shard.index < shard.of <= MAX_SHARDS:
        raise ConfigError(
            f"--shard {text}: the first of N shards is 0/N, the last one N-1/N; N is at most"
            f" {MAX_SHARDS}"
        )
    return shard


def is_in_array(environment: Mapping[str, str]) -> bool:
    """Tell whether this process is one of several in a Slurm array."""
    return environment.get(f"{_SLURM}COUNT", "1") != "1"


def _of_slurm(environment: Mapping[str, str]) -> Shard:
    found = {}
    defaults = {"MIN": "0", "STEP": "1"}
    for name in ("ID", "COUNT", "MIN", "STEP"):
        text = environment.get(f"{_SLURM}{name}", defaults.get(name, ""))
        if not re.fullmatch(r"[0-9]{1,9}", text):
            what = f"is {text[:40]!r}" if text else "is not set"
            raise ConfigError(
                f"--shard auto: {_SLURM}{name} {what}; start it with sbatch --array, or give"
                " --shard I/N"
            )
        found[name] = int(text)
    index, rest = divmod(found["ID"] - found["MIN"], max(found["STEP"], 1))
    if rest or not 0 <= index < found["COUNT"] <= MAX_SHARDS:
        raise ConfigError(
            f"--shard auto: {_SLURM}ID {found['ID']} is none of {found['COUNT']} from"
            f" {found['MIN']} in steps of {found['STEP']}; use an array such as 0-15, or give"
            " --shard I/N"
        )
    return Shard(index, found["COUNT"])


class ShardSet:
    """The shards of one data set in one mode.

    Args:
        store: Where they write.
        plan: The episodes of all of them.
        max_attempts: At an episode.
        sources: Task id -> where the task comes from.
    """

    def __init__(
        self, store: RawStore, plan: Plan, max_attempts: int, sources: Mapping[int, str]
    ) -> None:
        self._store = store
        self._folder = store.root / SHARDS
        self._path = self._folder / f"{store.mode}.json"
        self._lock: BinaryIO | None = None
        self._shard: Shard | None = None
        self._asked: dict[str, Any] = {
            "attempts": max_attempts,
            **{f"variations of task {t}": p.variations for t, p in plan.items()},
            **{f"episodes of task {t}": p.count for t, p in plan.items()},
            **{f"source of task {t}": sources[t] for t in plan},
        }

    def enter(self, shard: Shard) -> None:
        """Begin a shard.

        Raises:
            StoreError: Others were begun with something else, or this one is being made.
        """
        wanted = {
            "shards": shard.of,
            **self._asked,
            **{f"version of {k}": v for k, v in versions().items()},
        }
        try:
            self._store.folder.make(self._folder)
            text = json.dumps(wanted, indent=1).encode()
            if not write_first(self._path, text):
                self._compare(self._begun() or {}, wanted)
            self._hold(shard)
        except OSError as error:
            self._store.folder.check_own()
            raise StoreError(f"{self._folder} cannot be written: {error}") from None

    def _hold(self, shard: Shard) -> None:
        self._lock = self._account(shard.index, ".lock").open("a+b")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a kill frees it
        except BlockingIOError:
            self.close()
            raise StoreError(
                f"{self._store.root}: another process is making shard {shard}; wait for it"
            ) from None
        self._shard = shard

    def check_same(self) -> int:
        """Check that the shards were begun with the same; return how many they are, 0 if none.

        Raises:
            StoreError: They were not.
        """
        begun = self._begun()
        if begun is None:
            return 0
        self._compare(begun, self._asked)
        number = begun.get("shards")
        if type(number) is not int or not 0 < number <= MAX_SHARDS:
            raise StoreError(f"{self._path} is damaged: shards is {as_json(number)}; delete it")
        return number

    def _begun(self) -> dict[str, Any] | None:
        try:
            found = read_json(self._path, MAX_BYTES)
        except FileNotFoundError:
            return None
        except (OSError, JsonError) as error:
            raise StoreError(f"{self._path} cannot be read: {error}") from None
        if not isinstance(found, dict):
            raise StoreError(f"{self._path} is damaged: it must hold an object; delete it")
        return found

    def _compare(self, begun: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        """Refuse what differs; keys that only the begun ones have count where they name tasks."""
        names = [*wanted, *(n for n in begun if n not in wanted and " of task " in n)]
        for name in names:
            before, now = begun.get(name), wanted.get(name)
            if before != now:
                raise StoreError(
                    f"the shards of {self._store.root} were begun with {name}"
                    f" {_said(before)}, now it is {_said(now)}; give all of them the same config,"
                    f" flags and versions, or delete {self._folder} to begin others"
                )

    def leave(self, account: Mapping[str, Any]) -> None:
        """Write this shard's account, for the report.

        Raises:
            StoreError: It cannot be written.
        """
        assert self._shard is not None
        path = self._account(self._shard.index, ".json")
        try:
            write_whole(path, json.dumps(account).encode())
        except OSError as error:
            self._store.folder.check_own()
            raise StoreError(f"{path} cannot be written: {error.strerror or error}") from None

    def accounts(self, number: int) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """Yield each shard's index and account; None where it has not run to its end."""
        for index in range(number):
            account = None
            with contextlib.suppress(OSError, JsonError):
                account = read_json(self._account(index, ".json"), MAX_BYTES)
            yield index, account if isinstance(account, dict) else None

    def _account(self, index: int, suffix: str) -> Path:
        return self._folder / f"{self._store.mode}-{index:05d}{suffix}"

    def remove(self) -> None:
        """Forget the shards of this mode: the data set is whole."""
        for path in self._folder.glob(f"{self._store.mode}*"):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # the other mode has shards
            os.rmdir(self._folder)  # noqa: PTH106

    def close(self) -> None:
        """Let others make this shard."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _said(value: object) -> str:
    return "none" if value is None else as_json(value)
