"""What is asked of a worker process, and what it answers."""

from dataclasses import dataclass
from typing import Any

from data_generation.RLBench.executing.settings import Condition
from data_generation.RLBench.raw.episode_key import EpisodeKey

Outcome = dict[str, Any]
"""JSON-ready:

- `cause` ("" for success), `detail`, `steps`;
- `looked`, the first look: waypoint -> mm, deg, claimed_mm, claimed_deg; and inferred, where it
  followed from another waypoint;
- `visits`, a list of waypoint, mm, deg: how far the pose that was used is from the one that the
  scene had then; is_other: no way led to the lifted pose, another one that claims allow was used;
- `waited`: waypoint -> frames that the robot looked longer; `doubtful`: waypoints at which it
  closed its hand all the same.

Unknown numbers are null.
"""


@dataclass(frozen=True)
class Job:
    """A scene, and what it is to be executed with.

    Attributes:
        key: Task, variation, example.
        number: Of the scene in its task; noise is a function of it.
        conditions: What is asked for.
    """

    key: EpisodeKey
    number: int
    conditions: tuple[Condition, ...]
