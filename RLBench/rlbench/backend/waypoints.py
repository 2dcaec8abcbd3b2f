"""Waypoints: numbered frames of a scene with a command string.

Commands are found by substring, as upstream does: real strings use `;`, `,` or nothing between
them, and carry typos such as `open_gripper(0.25);)ignore_collisions`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from rlbench.backend.exceptions import WaypointError
from rlbench.engines.protocols import Dummy, Engine, Floats

_COMMAND = re.compile(r"(open|close)_gripper\(([^)]*)\)")


def place_of(engine: Engine, name: str) -> Floats:
    """Return the (4, 4) pose that says where a waypoint is now, to the world [m].

    It is that of the waypoint's frame. Of a path it has the rotation of the frame, and lies at the
    first point: RLBench's paths have frames anywhere, some a metre away, under the table.
    """
    place = engine.dummy(name).get_matrix().copy()
    points = engine.path_points(name)
    if points:
        place[:3, 3] = points[0][:3, 3]
    return place


@dataclass(frozen=True)
class GripperCommand:
    """What the gripper does at a waypoint: open or close, to an amount in [0, 1]."""

    opens: bool
    amount: float | None


def parse_gripper_command(extension: str, name: str) -> GripperCommand | None:
    """Read the gripper command of an extension string.

    Args:
        extension: the whole string.
        name: the waypoint, for error messages.

    Raises:
        WaypointError: the amount is not a number in [0, 1].
    """
    match = _COMMAND.search(extension)
    if match is None:
        return None
    opens, text = match.group(1) == "open", match.group(2).strip()
    if not text:
        return GripperCommand(opens, None)
    try:
        amount = float(text)
    except ValueError:
        amount = -1.0
    if not 0.0 <= amount <= 1.0:
        raise WaypointError(
            f"{name}: {match.group(0)!r} in {extension!r} needs an amount in [0, 1]"
        )
    return GripperCommand(opens, amount)


@dataclass
class Waypoint:
    """A frame that the tip must reach, and what to do on the way and there.

    A waypoint with a `path` of (4, 4) world poses is followed through all of them instead.

    Attributes:
        skip: abilities set it to leave the waypoint out, until they set it back.
    """

    dummy: Dummy
    start_ability: Callable[["Waypoint"], None] | None = None
    end_ability: Callable[["Waypoint"], None] | None = None
    path: list[Floats] = field(default_factory=list)
    skip: bool = False
    extension: str = field(init=False)
    gripper: GripperCommand | None = field(init=False)

    def __post_init__(self) -> None:
        """Read the extension string."""
        self.extension = self.dummy.get_extension_string()
        self.gripper = parse_gripper_command(self.extension, self.name)

    @property
    def name(self) -> str:
        """The dummy's name."""
        return self.dummy.get_name()

    @property
    def ignores_collisions(self) -> bool:
        """The way may touch things."""
        return "ignore_collision" in self.extension

    @property
    def is_linear(self) -> bool:
        """Only a straight line will do."""
        return "linear" in self.extension

    def get_waypoint_object(self) -> Dummy:
        """Return the frame."""
        return self.dummy

    _waypoint = property(get_waypoint_object)

    def get_ext(self) -> str:
        """Return the extension string."""
        return self.extension

    def start_of_path(self) -> None:
        """Run the ability registered for the start, if any."""
        if self.start_ability is not None:
            self.start_ability(self)

    def end_of_path(self) -> None:
        """Run the ability registered for the end, if any."""
        if self.end_ability is not None:
            self.end_ability(self)


Point = PredefinedPath = Waypoint  # RLBench's names
