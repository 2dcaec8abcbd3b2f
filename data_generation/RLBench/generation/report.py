"""The account of a generation run: `report.json` and a line for the terminal."""

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from data_generation.RLBench.errors import StoreError
from data_generation.RLBench.generation.episode_plan import Plan, Shard
from data_generation.RLBench.generation.worker import Outcome
from data_generation.RLBench.raw.episode_key import EpisodeKey
from data_generation.RLBench.raw.layout import REPORT
from data_generation.RLBench.raw.store import RawStore
from pose_obj_3d.common.whole_files import write_whole

MOST_NAMED = 1000  # episodes that `report.json` names one by one
NAMED_IN_LINE = 5


@dataclass
class Tally:
    """What the workers did for one task."""

    attempts: int = 0
    made: int = 0
    frames_made: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count one episode."""
        self.attempts += outcome.attempts
        self.made += outcome.is_done
        self.frames_made += outcome.n_frames
        self.failures += outcome.failures


class Report:
    """Collects outcomes; knows what was requested and, after `count`, what is on disk.

    Attributes:
        damaged: Requested episodes that are there, but not as they were written.
        part: What part of the work this was, for the summary.
        unfinished: Shards that have not come to their end, or whose episodes are missing.
        broken: Task id -> why it cannot run.
    """

    def __init__(
        self,
        store: RawStore,
        name: str,
        plan: Plan,
        seed: int,
        n_processes: int,
        task_names: dict[int, str],
    ) -> None:
        self.store = store
        self.name = name
        self.plan = plan
        self.seed = seed
        self.n_processes = n_processes
        self._task_names = task_names
        self.damaged: list[EpisodeKey] = []
        self.broken: dict[int, str] = {}
        self.part = ""
        self.unfinished: list[Shard] = []
        self.finished = 0
        self._seconds = 0.0  # of the longest shard
        self._found: set[EpisodeKey] = set()
        self._made: set[EpisodeKey] = set()
        self._tallies = {t: Tally() for t in plan}
        self._demo_seconds = self._write_seconds = self._peak_memory_mib = 0.0
        self._started = time.perf_counter()
        self._frames: dict[EpisodeKey, int] = {}  # of what is on disk

    def found(self, key: EpisodeKey) -> None:
        """Note an episode that an earlier run made."""
        self._found.add(key)

    def add(self, outcome: Outcome) -> None:
        """Count what a worker did."""
        self.finished += 1
        self._tallies[outcome.key.task_id].add(outcome)
        if outcome.is_done:
            self._made.add(outcome.key)
            self._write_seconds += outcome.write_seconds
        self._demo_seconds += outcome.demo_seconds
        self._peak_memory_mib = max(self._peak_memory_mib, outcome.peak_memory_mib)

    def absorb(self, account: Mapping[str, Any]) -> None:
        """Add what a shard's account says that it did; what is there is counted anyway."""
        for task_id, tally in self._tallies.items():
            part = account.get("tasks", {}).get(str(task_id), {})
            tally.attempts += part.get("attempts", 0)
            made, frames = account.get("made", {}).get(str(task_id), (0, 0))
            tally.made += made
            tally.frames_made += frames
            tally.failures += Counter(part.get("failures", {}))
        self.n_processes += account.get("n_processes", 0)
        self._seconds = max(self._seconds, account.get("seconds", 0.0))
        self._demo_seconds += account.get("seconds_in_demos", 0.0)
        self._write_seconds += account.get("seconds_in_writing", 0.0)
        self._peak_memory_mib = max(self._peak_memory_mib, account.get("peak_memory_mib", 0.0))
        for task_id, why in account.get("broken", {}).items():
            self.set_broken(int(task_id), why)

    def account(self) -> dict[str, Any]:
        """Give what a shard leaves for the report of all: what it did, too, for each task."""
        made = {str(t): [tally.made, tally.frames_made] for t, tally in self._tallies.items()}
        return {**self.to_json(), "made": made}

    def count(self) -> list[EpisodeKey]:
        """Count the requested episodes on disk; return those that were there and are gone.

        Raises:
            StoreError: The folder is no longer the one that the run filled.
        """
        self.store.folder.check_own()
        damaged = set(self.damaged)
        self._frames = {}
        for task_id, keys in self.plan.items():
            for key in self.store.episodes(task_id, keys if keys.step > 1 else None):
                frames = (
                    None if key not in keys or key in damaged else self.store.frames_if_whole(key)
                )
                if frames is not None:
                    self._frames[key] = frames
        return sorted((self._found | self._made) - set(self._frames))

    @property
    def requested(self) -> int:
        """How many episodes were asked for."""
        return sum(len(keys) for keys in self.plan.values())

    def missing(self, most: int = MOST_NAMED) -> list[EpisodeKey]:
        """Give the first requested episodes that are not on disk, damaged ones included."""
        return list(
            islice((k for keys in self.plan.values() for k in keys if k not in self._frames), most)
        )

    @property
    def is_complete(self) -> bool:
        """Tell whether everything requested is there."""
        return len(self._frames) == self.requested and not self.broken

    def task(self, task_id: int) -> str:
        """Give a task's id and name: people know the name, folders the id."""
        return f"{task_id} {self._task_names.get(task_id, '')}".strip()

    def task_label(self, task_id: int) -> str:
        """Give a task's id and name in the form of the simulator's errors."""
        return f"task {task_id} ({self._task_names.get(task_id, '?')})"

    def set_broken(self, task_id: int, why: str) -> bool:
        """Note that a task cannot run; False where that is known already."""
        if task_id in self.broken:
            return False
        self.broken[task_id] = why
        return True

    def rate(self) -> str:
        """Give the frames made per second, all processes together."""
        return (
            f"{self._frames_made() / max(time.perf_counter() - self._started, 1e-9):.1f} frames/s"
        )

    def _frames_made(self) -> int:
        return sum(t.frames_made for t in self._tallies.values())

    def write(self) -> None:
        """Write `report.json` into the data set's folder.

        Raises:
            StoreError: It cannot be written.
        """
        text = json.dumps(self.to_json(), indent=1)
        try:
            write_whole(self.store.root / REPORT, f"{text}\n".encode())
        except OSError as error:
            self.store.folder.check_own()
            raise StoreError(
                f"{self.store.root / REPORT} cannot be written: {error.strerror or error}"
            ) from None

    def to_json(self) -> dict[str, Any]:
        """Give the whole account as plain values."""
        seconds = self._seconds or time.perf_counter() - self._started
        tallies = self._tallies.values()
        busy = max(self._demo_seconds + self._write_seconds, 1e-9)
        done = len(self._frames)
        return {
            "name": self.name,
            "mode": self.store.mode,
            "seed": self.seed,
            "n_processes": self.n_processes,
            "requested": self.requested,
            "done": done,
            "made_now": sum(t.made for t in tallies),
            "already_there": len(self._found),
            "attempts": sum(t.attempts for t in tallies),
            "failures": dict(sum((t.failures for t in tallies), Counter())),
            "frames": sum(self._frames.values()),
            "frames_made_now": self._frames_made(),
            "seconds": round(seconds, 3),
            "frames_per_second": round(self._frames_made() / max(seconds, 1e-9), 2),
            "frames_per_second_per_process": round(self._frames_made() / busy, 2),
            "seconds_in_demos": round(self._demo_seconds, 3),
            "seconds_in_writing": round(self._write_seconds, 3),
            "peak_memory_mib": round(self._peak_memory_mib, 1),
            "n_missing": self.requested - done,
            "missing": [str(k) for k in self.missing()],  # the first `MOST_NAMED`
            "damaged": [str(k) for k in self.damaged[:MOST_NAMED]],
            "broken": {str(t): why for t, why in self.broken.items()},
            "tasks": {str(t): self._task(t) for t in self.plan},
        }

    def _task(self, task_id: int) -> dict[str, Any]:
        tally = self._tallies[task_id]
        return {
            "requested": len(self.plan[task_id]),
            "done": sum(k.task_id == task_id for k in self._frames),
            "attempts": tally.attempts,
            "failures": dict(tally.failures),
        }

    def summary(self) -> str:
        """Give the result in one line."""
        values = self.to_json()
        line = (f"{self.part}: " if self.part else "") + (
            f"{values['done']} of {values['requested']} episodes in {self.store.root} "
            f"({values['made_now']} made now, {values['attempts']} attempts, "
            f"{values['frames_made_now']} frames, {values['frames_per_second']} frames/s)"
        )
        missing = self.missing(NAMED_IN_LINE)
        if missing:
            first = (f"{key} ({self._task_names.get(key.task_id, '?')})" for key in missing)
            line += f"; missing: {', '.join(first)}"
            line += " ..." if values["n_missing"] > NAMED_IN_LINE else ""
        if self.unfinished:
            line += f"; shards to run again: {', '.join(map(str, self.unfinished[:NAMED_IN_LINE]))}"
            line += " ..." if len(self.unfinished) > NAMED_IN_LINE else ""
        if self.broken:
            line += f"; tasks that cannot run: {', '.join(map(self.task, sorted(self.broken)))}"
        return line
