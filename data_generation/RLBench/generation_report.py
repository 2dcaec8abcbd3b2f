"""The account of a generation run: `report.json` and a line for the terminal."""

import json
import time
from collections import Counter
from typing import Any

from data_generation.RLBench.episode import EpisodeKey
from data_generation.RLBench.raw_store import RawStore
from data_generation.RLBench.whole_files import write_whole
from data_generation.RLBench.worker import Outcome

NAME = "report.json"


class Report:
    """Collects outcomes; knows what was requested."""

    def __init__(
        self,
        store: RawStore,
        name: str,
        plan: dict[int, list[EpisodeKey]],
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
        self.outcomes: list[Outcome] = []
        self.damaged: list[EpisodeKey] = []
        self.broken: dict[int, str] = {}
        self.frames_found: dict[EpisodeKey, int] = {}
        self._started = time.perf_counter()

    def found(self, key: EpisodeKey, n_frames: int) -> None:
        """Count an episode that an earlier run made."""
        self.frames_found[key] = n_frames

    def add(self, outcome: Outcome) -> None:
        """Count what a worker did."""
        self.outcomes.append(outcome)

    @property
    def missing(self) -> list[EpisodeKey]:
        """Give the requested episodes that are not there, damaged ones included."""
        there = {o.key for o in self.outcomes if o.is_done} | set(self.frames_found)
        return [k for keys in self.plan.values() for k in keys if k not in there]

    @property
    def is_complete(self) -> bool:
        """Tell whether everything requested is there."""
        return not self.missing and not self.broken

    def task(self, task_id: int) -> str:
        """Give a task's id and name: people know the name, folders the id."""
        return f"{task_id} {self._task_names.get(task_id, '')}".strip()

    def set_broken(self, task_id: int, why: str) -> bool:
        """Note that a task cannot run; False where that is known already."""
        if task_id in self.broken:
            return False
        self.broken[task_id] = why
        return True

    def rate(self) -> str:
        """Give the frames made per second, all processes together."""
        return f"{self._frames_made() / max(time.perf_counter() - self._started, 1e-9):.1f} frames/s"

    def _frames_made(self) -> int:
        return sum(o.n_frames for o in self.outcomes)

    def write(self) -> None:
        """Write `report.json` into the data set's folder."""
        text = json.dumps(self.to_json(), indent=1)
        write_whole(self.store.root / NAME, f"{text}\n".encode())

    def to_json(self) -> dict[str, Any]:
        """Give the whole account as plain values."""
        seconds = time.perf_counter() - self._started
        made = [o for o in self.outcomes if o.is_done]
        demo, writing = sum(o.demo_seconds for o in self.outcomes), sum(o.write_seconds for o in made)
        busy = max(demo + writing, 1e-9)
        return {
            "name": self.name,
            "mode": self.store.mode,
            "seed": self.seed,
            "n_processes": self.n_processes,
            "requested": sum(len(keys) for keys in self.plan.values()),
            "done": len(made) + len(self.frames_found),
            "made_now": len(made),
            "already_there": len(self.frames_found),
            "attempts": sum(o.attempts for o in self.outcomes),
            "failures": dict(sum((o.failures for o in self.outcomes), Counter())),
            "frames": self._frames_made() + sum(self.frames_found.values()),
            "frames_made_now": self._frames_made(),
            "seconds": round(seconds, 3),
            "frames_per_second": round(self._frames_made() / max(seconds, 1e-9), 2),
            "frames_per_second_per_process": round(self._frames_made() / busy, 2),
            "seconds_in_demos": round(demo, 3),
            "seconds_in_writing": round(writing, 3),
            "peak_memory_mib": round(max((o.peak_memory_mib for o in self.outcomes), default=0.0), 1),
            "missing": [str(k) for k in self.missing],
            "damaged": [str(k) for k in self.damaged],
            "broken": {str(t): why for t, why in self.broken.items()},
            "tasks": {str(t): self._task(t) for t in self.plan},
        }

    def _task(self, task_id: int) -> dict[str, Any]:
        outcomes = [o for o in self.outcomes if o.key.task_id == task_id]
        missing = {k for k in self.missing if k.task_id == task_id}
        return {
            "requested": len(self.plan[task_id]),
            "done": len(self.plan[task_id]) - len(missing),
            "attempts": sum(o.attempts for o in outcomes),
            "failures": dict(sum((o.failures for o in outcomes), Counter())),
        }

    def summary(self) -> str:
        """Give the result in one line."""
        values = self.to_json()
        line = (
            f"{values['done']} of {values['requested']} episodes in {self.store.root} "
            f"({values['made_now']} made now, {values['attempts']} attempts, "
            f"{values['frames_made_now']} frames, {values['frames_per_second']} frames/s)"
        )
        missing = self.missing
        if missing:
            first = (f"{key} ({self._task_names.get(key.task_id, '?')})" for key in missing[:5])
            line += f"; missing: {', '.join(first)}"
            line += " ..." if len(missing) > 5 else ""
        if self.broken:
            line += f"; tasks that cannot run: {', '.join(map(self.task, self.broken))}"
        return line
