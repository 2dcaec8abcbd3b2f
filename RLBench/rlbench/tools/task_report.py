"""The result of trying a task out, and tables of it."""

import collections
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self, get_args, get_origin

from rlbench.backend.exceptions import ReportError
from rlbench.engines.files import write_whole

MIN_SUCCESS = 0.95
MAX_BYTES = 64 << 20
"""Size of a file of reports."""
MIN_INSIDE = 0.95
"""Share of frames in which a keypoint should be inside at least two images."""
MIN_SEEN = 0.80
"""Share of frames in which a keypoint should be seen by at least two cameras."""


@dataclass
class KeypointReport:
    """What happens to one keypoint, as shares of all frames.

    Attributes:
        moving: faster than 5 mm/s.
        inside_two: inside at least two images.
        seen_two: seen by at least two cameras.
        seen: camera -> share of frames in which it sees the keypoint.
        hidden: camera -> share of frames in which something stands before it.
        hidden_by: what stands before it (`robot` for all parts of the arm) -> share of all pairs of
            frame and camera.
    """

    moving: float
    inside_two: float
    seen_two: float
    seen: dict[str, float]
    hidden: dict[str, float]
    hidden_by: dict[str, float]


@dataclass
class TaskReport:
    """What a number of episodes showed about a task.

    Attributes:
        task: name.
        task_id: id.
        variations: how many it has.
        episodes: how many were asked for, at least one of each variation.
        first_attempt: how many succeeded at the first attempt.
        succeeded: how many succeeded within `attempts`.
        attempts: how many attempts an episode was granted.
        failures: cause -> failed attempts.
        failed_episodes: `variation/example` of those that never succeeded.
        refusals: why placements were refused -> how many.
        placements_per_attempt: placements tried, refused ones included.
        frames_per_demo: mean.
        seconds_per_demo: mean time of a successful attempt, without images.
        is_repeatable: the first episode, made twice, gave the same keypoints.
        keypoints: name -> report.
        source: which version of the task: `builtin`, or `rlbench:` and a digest of its files.
        error: why the task could not be tried at all.
        seed: of all episodes.
        robot: one of `const.ROBOTS`.
    """

    task: str
    task_id: int
    variations: int
    episodes: int
    attempts: int
    first_attempt: int = 0
    succeeded: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    failed_episodes: list[str] = field(default_factory=list)
    refusals: dict[str, int] = field(default_factory=dict)
    placements_per_attempt: float = 0.0
    frames_per_demo: float = 0.0
    seconds_per_demo: float = 0.0
    is_repeatable: bool = True
    keypoints: dict[str, KeypointReport] = field(default_factory=dict)
    source: str = "builtin"
    error: str = ""
    seed: int = 0
    robot: str = "panda"

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """Make a report from what `dataclasses.asdict` gave.

        Raises:
            TypeError: a field is missing, unknown, or of another type.
        """
        report = cls(**row)
        for field_ in fields(cls):
            _check_type(field_.name, getattr(report, field_.name), field_.type)
        report.keypoints = {name: KeypointReport(**k) for name, k in row["keypoints"].items()}
        return report

    def problems(self, min_success: float = MIN_SUCCESS) -> list[str]:
        """Say what keeps the task from being fit for a data set, one line each."""
        if self.error:
            return [f"cannot run: {self.error}"]
        found = []
        if self.first_attempt < min_success * self.episodes:
            found.append(
                f"{self.first_attempt} of {self.episodes} first attempts succeeded, "
                f"{min_success:.0%} are wanted; causes: {self.failures}"
            )
        if self.failed_episodes:
            found.append(
                f"never succeeded in {self.attempts} attempts: {', '.join(self.failed_episodes)}"
            )
        if not self.is_repeatable:
            found.append("the same seed gave two different demonstrations")
        return found

    def notes(self) -> list[str]:
        """Name keypoints that cameras see too rarely, one line for each kind."""
        kinds = (
            ("inside two images", "inside_two", MIN_INSIDE),
            ("seen by two cameras", "seen_two", MIN_SEEN),
        )
        found = []
        for what, key, wanted in kinds:
            weak = {
                n: share for n, k in self.keypoints.items() if (share := getattr(k, key)) < wanted
            }
            if weak:
                listed = ", ".join(f"{name} {share:.0%}" for name, share in weak.items())
                found.append(f"{what} in less than {wanted:.0%} of the frames: {listed}")
        return found


def _check_type(name: str, value: object, kind: Any) -> None:
    """Compare a value read from JSON with a field's type; entries of lists and objects too."""
    outer, inner = get_origin(kind) or kind, get_args(kind)
    allowed = (int, float) if outer is float else outer
    if not isinstance(value, allowed) or (isinstance(value, bool) and outer is not bool):
        raise TypeError(f"{name} must be {outer.__name__}, not {type(value).__name__}")
    entry = {int: int, str: str}.get(inner[-1]) if inner else None
    entries = value.values() if isinstance(value, dict) else value
    if (
        entry is not None
        and isinstance(entries, Iterable)
        and not all(isinstance(v, entry) for v in entries)
    ):
        raise TypeError(f"{name} holds another thing than {entry.__name__}")


def read_rows(file: Path) -> list[Any]:
    """Read a list from a JSON file.

    Raises:
        OSError, ValueError: it cannot be read, is too large, or holds no list.
    """
    if not file.is_file() or file.stat().st_size > MAX_BYTES:
        raise ValueError(f"it is no regular file of at most {MAX_BYTES} bytes")
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(rows, list):
        raise ValueError("it holds no list")
    return rows


def write_reports(reports: Sequence[TaskReport], file: Path) -> None:
    """Write reports as JSON; a kill leaves the file as it was."""
    text = json.dumps([asdict(report) for report in reports], indent=1)
    write_whole(file, f"{text}\n".encode())


def read_reports(file: Path, seed: int, attempts: int, robot: str = "panda") -> list[TaskReport]:
    """Read what `write_reports` wrote, nothing when the file is not there.

    Raises:
        ReportError: it is another file, or was made with another seed, robot or number of attempts.
    """
    if not file.exists():
        return []
    try:
        reports = [TaskReport.from_json(row) for row in read_rows(file)]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ReportError(
            f"{file} is not what --json writes ({str(error)[:100]}); choose another file"
        ) from error
    for report in reports:
        before, now = (report.seed, report.attempts, report.robot), (seed, attempts, robot)
        if before != now:
            raise ReportError(
                f"{file} was made with --seed {before[0]} --attempts {before[1]} --robot_setup"
                f" {before[2]}, not {now[0]}, {now[1]}, {now[2]}: go on with these, or choose"
                " another file"
            )
    return reports


def table(reports: Sequence[TaskReport]) -> str:
    """Return one Markdown row for each task."""
    lines = [
        (
            "| id | task | variations | first attempt | within attempts | placements | frames | "
            "s per demo | refused placements | failed attempts |"
        ),
        "|---:|---|---:|---:|---:|---:|---:|---:|---|---|",
    ]
    for r in reports:
        refused = "; ".join(f"{n} x {why}" for why, n in _most(r.refusals)) or "-"
        failed = "; ".join(f"{n} x {why}" for why, n in _most(r.failures)) or "-"
        if r.error:
            failed = f"cannot run: {r.error}"
        # Of no demonstration nothing is known.
        frames = f"{r.frames_per_demo:.1f}" if r.succeeded else ""
        seconds = f"{r.seconds_per_demo:.3f}" if r.succeeded else ""
        lines.append(
            f"| {r.task_id} | {r.task} | {r.variations} | {r.first_attempt}/{r.episodes} | "
            f"{r.succeeded}/{r.episodes} | {r.placements_per_attempt:.2f} | {frames} | "
            f"{seconds} | {refused} | {failed} |"
        )
    return "\n".join(lines)


def _most(counts: dict[str, int]) -> list[tuple[str, int]]:
    return collections.Counter(counts).most_common(3)


def keypoint_table(report: TaskReport) -> str:
    """Return one Markdown row for each keypoint of a task."""
    if report.error:
        return f"{report.task}: cannot run: {report.error}"
    if not report.keypoints:
        return f"{report.task}: no demonstration succeeded, so no keypoint was watched"
    cameras = list(next(iter(report.keypoints.values())).seen)
    head = ["keypoint", "moving", "inside two", "seen by two", *(f"{c}: seen" for c in cameras)]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, k in report.keypoints.items():
        shares = (k.moving, k.inside_two, k.seen_two, *k.seen.values())
        rows.append([name, *(f"{share:.0%}" for share in shares)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
