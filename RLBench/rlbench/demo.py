"""A demonstration: its observations in time, its seed, its task and its names."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlbench.backend.exceptions import DemoError, FixedPlacementError, TaskEnvironmentError
from rlbench.backend.observation import Observation

BACKGROUND = "(background)"
"""What segmentation images show as 0: no object."""

logger = logging.getLogger(__name__)
_SEED_PARTS = 5
_restored: list["Demo"] = []


@dataclass
class Demo(Sequence[Observation]):
    """A successful demonstration.

    Attributes:
        observations: one every 50 ms.
        random_seed: entropy, then task id, variation, example, attempt; of a demonstration that
            RLBench stored the state of NumPy's global generator; None where it is not known.
        num_reset_attempts: how many placements were tried (it fails after
            `placement_rules.Rules.most_placements`).
        keypoint_names: `<group>/<name>` of each keypoint.
        waypoint_frames: index of the frame at which each waypoint was reached.
        task_name: snake_case name; empty where it is not known.
        variation: variation number.
        descriptions: sentences that describe the task.
        mask_names: handle in segmentation images -> name of what is seen, each its own; 0 is
            `BACKGROUND`. Shapes made one after the other under one handle are joined by " | ".
    """

    observations: list[Observation]
    random_seed: Any = None
    num_reset_attempts: int | None = None
    keypoint_names: list[str] = field(default_factory=list)
    waypoint_frames: list[int] = field(default_factory=list)
    task_name: str = ""
    variation: int = 0
    descriptions: list[str] = field(default_factory=list)
    mask_names: dict[int, str] = field(default_factory=dict)

    @property
    def _observations(self) -> list[Observation]:
        """The observations, under the name that scripts of RLBench use."""
        return self.observations

    @property
    def variation_number(self) -> int:
        """The variation, under the name that scripts of PerAct's fork use."""
        return self.variation

    @property
    def starts_here(self) -> bool:
        """Whether an episode can start as this demonstration did: it was made here."""
        return isinstance(self.random_seed, list) and len(self.random_seed) == _SEED_PARTS

    def restore_state(self) -> None:
        """Let the next `reset` of the task start as this demonstration did, as in RLBench.

        Raises:
            TaskEnvironmentError: it was made by another simulator.
        """
        self.check_starts_here()
        _restored[:] = [self]

    def check_starts_here(self) -> None:
        """Refuse a demonstration that no episode can start like.

        Raises:
            TaskEnvironmentError: it was made by another simulator.
        """
        if not self.starts_here:
            raise TaskEnvironmentError(
                f"{self.task_name or 'demonstration'}: no episode can start as this one did: it was"
                " made by another simulator, whose random state means nothing here"
            )

    def __len__(self) -> int:
        return len(self.observations)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self.observations[index]

    def __iter__(self) -> Iterator[Observation]:
        return iter(self.observations)


def take_restored(task_name: str) -> Demo | None:
    """Return, once, the demonstration of a task whose state was restored last; else None."""
    if _restored and _restored[0].task_name == task_name:
        return _restored.pop()
    return None


def add_names(names: dict[int, str], found: Mapping[int, str]) -> None:
    """Add the objects of a moment to `Demo.mask_names`."""
    for handle, name in found.items():
        before = names.setdefault(handle, name)
        if name != before and name not in before.split(" | "):
            names[handle] = f"{before} | {name}"


def attempted(make: Callable[[int], Demo], what: str, max_attempts: int) -> Demo:
    """Return the first demonstration that succeeds.

    Args:
        make: makes one, given the number of the attempt.
        what: names the demonstration in messages.
        max_attempts: how many are made at most.

    Raises:
        DemoError: all of them failed.
    """
    causes = []
    for attempt in range(max_attempts):
        try:
            return make(attempt)
        except FixedPlacementError:
            raise
        except DemoError as error:
            logger.warning("%s, attempt %d: %s", what, attempt, error)
            causes.append(error.cause)
    raise DemoError(f"{what} failed {max_attempts} times: {causes}", cause="max_attempts")
