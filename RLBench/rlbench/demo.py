"""A demonstration: observations in time, and what holds for all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rlbench.backend.observation import Observation


@dataclass
class Demo(Sequence[Observation]):
    """A successful demonstration.

    Attributes:
        observations: one every 50 ms.
        keypoint_names: `<group>/<name>` of each keypoint.
        waypoint_frames: index of the frame at which each waypoint was reached.
        random_seed: entropy, then task id, variation, example, attempt.
        task_name: snake_case name.
        variation: variation number.
        descriptions: sentences that describe the task.
        placements: how many placements were tried (a demo fails after `scene.MAX_PLACEMENTS`).
    """

    observations: list[Observation]
    keypoint_names: list[str]
    waypoint_frames: list[int]
    random_seed: list[int]
    task_name: str
    variation: int
    descriptions: list[str] = field(default_factory=list)
    placements: int = 1

    def __len__(self) -> int:
        return len(self.observations)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self.observations[index]

    def __iter__(self) -> Iterator[Observation]:
        return iter(self.observations)
