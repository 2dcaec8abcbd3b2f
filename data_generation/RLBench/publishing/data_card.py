r"""Write the data card of a ready data set: a README, pictures and checksums beside its archives.

python -m data_generation.RLBench.publishing.data_card <archives> --output <card> \
    [--pictures DIR] [--validation FILE]

The archives are copied to the output folder when they lie elsewhere.
"""

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("data_card", 480)

import hashlib
import importlib.metadata
import logging
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
from tqdm import tqdm

from data_generation.RLBench import command_line
from data_generation.RLBench.errors import DataGenerationError, StoreError
from data_generation.RLBench.raw.json_files import read_json
from data_generation.RLBench.tracks.statistics import statistics
from pose_obj_3d.common.errors import PoseObj3DError
from pose_obj_3d.common.facts import MOVING_M_PER_S, NOISE_RATIO
from pose_obj_3d.common.whole_files import write_whole
from pose_obj_3d.formal import ARCHIVE_NAME, FormalData, read_formal
from pose_obj_3d.shipped import CHECKSUMS

logger = logging.getLogger("data_card")

TEMPLATE = Path(__file__).with_name("data_card.md")
MIN_INSIDE, MIN_SEEN = 0.95, 0.80
"""Shares of frames in which a keypoint should be inside two images, and seen by two cameras."""
MAX_VALIDATION_BYTES = 64 << 20
RARE = 0.005  # a smaller share is not worth naming
PICTURE_QUALITY = 76  # JPEG
PACKAGES = ("mujoco", "ompl", "numpy")
Task = tuple[FormalData, int, dict[str, Any]]  # archive, task id, statistics


def build_parser() -> command_line.Parser:
    """Give the command's flags."""
    parser = command_line.Parser(
        prog="python -m data_generation.RLBench.publishing.data_card",
        description=__doc__.split("\n", maxsplit=1)[0],
    )
    add = parser.add_argument
    add("archives", type=Path, help="folder of the archives to describe")
    add("--output", type=Path, required=True, help="folder of the card")
    add("--pictures", type=Path, help="folder with task_<id>.png of inspect_dataset.py")
    add(
        "--validation",
        type=Path,
        help="JSON of rlbench.tools.task_validator: says what hides keypoints",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = build_parser().parse_args(argv)
    command_line.log_to_stderr()
    try:
        line = write_card(args.archives, args.output, args.pictures, args.validation)
    except (DataGenerationError, PoseObj3DError) as error:
        return command_line.report_error("data_card", error)
    except OSError as error:
        return command_line.report_error(
            "data_card", StoreError(f"cannot be read or written: {error}")
        )
    print(line)
    return 0


def write_card(
    archives: Path, output: Path, pictures: Path | None = None, validation: Path | None = None
) -> str:
    """Write README.md, pictures and checksums; return a line that says what was written.

    Raises:
        StoreError: There is no archive, or the validation is not the validator's JSON.
    """
    paths = sorted(archives.glob("*.npz"), key=lambda p: (p.name != ARCHIVE_NAME, p.name))
    if not paths:
        raise StoreError(f"{archives} holds no .npz archive; convert data first")
    hidden_by = _read_validation(validation)
    tasks: list[Task] = []
    detected: list[FormalData] = []
    for path in paths:
        data = read_formal(path)
        if data.detections:
            detected.append(data)
            continue
        for task, examples in tqdm(
            data.tracks.items(), unit="task", disable=not sys.stderr.isatty()
        ):
            names = data.keypoint_names(task), data.camera_names
            tasks.append((data, task, statistics(examples, *names, data.frame_period_s)))
    if not tasks:
        raise StoreError(f"{archives} holds only archives with detections; convert data first")
    output.mkdir(parents=True, exist_ok=True)
    shown = _copy_pictures(pictures, output, [t for _, t, _ in tasks])
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    listed = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
    old = output / CHECKSUMS
    change = (
        ""
        if not old.is_file()
        else "same bytes as before"
        if old.read_text() == listed
        else "bytes changed"
    )
    for path in paths:
        if path.parent.resolve() != output.resolve():
            write_whole(output / path.name, path.read_bytes())
    write_whole(old, listed.encode())
    write_whole(output / "README.md", card(tasks, detected, hidden_by, shown).encode())
    return f"{', '.join(sums)} and their card in {output}" + (f" ({change})" if change else "")


def _read_validation(path: Path | None) -> dict[str, dict[str, dict[str, float]]]:
    """Return task name -> keypoint -> what hides it -> share."""
    if path is None:
        return {}
    try:
        reports = read_json(path, MAX_VALIDATION_BYTES)
        return {
            r["task"]: {
                name: {hider: float(share) for hider, share in k["hidden_by"].items()}
                for name, k in r["keypoints"].items()
            }
            for r in reports
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{type(error).__name__} {error}"[:100]
        raise StoreError(f"{path} is not the JSON of rlbench.tools.task_validator: {why}") from None


def _copy_pictures(folder: Path | None, output: Path, tasks: Sequence[int]) -> list[int]:
    """Write the contact sheets as JPEG, much smaller than PNG; list the tasks that have one."""
    if folder is None:
        return []
    shown = []
    for task in tasks:
        source = folder / f"task_{task}.png"
        picture = cv2.imread(str(source)) if source.is_file() else None
        if picture is None:
            logger.warning("no picture %s", source)
            continue
        (output / "pictures").mkdir(exist_ok=True)
        _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, PICTURE_QUALITY])
        write_whole(output / "pictures" / f"task_{task}.jpg", encoded.tobytes())
        shown.append(task)
    return shown


def card(
    tasks: Sequence[Task],
    detected: Sequence[FormalData],
    hidden_by: Mapping[str, Mapping[str, Mapping[str, float]]],
    shown: Sequence[int],
) -> str:
    """Return the card's text.

    Args:
        tasks: Tasks of the archives without detections, with statistics.
        detected: The archives with detections; of these only the detections are described.
        hidden_by: Task name -> keypoint -> what hides it -> share.
        shown: Tasks that have a picture.
    """
    first = tasks[0][0]
    paths = dict.fromkeys(data.path for data, _, _ in tasks)
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    values = {
        "archives": "\n".join(_archive_row(path, tasks) for path in paths),
        "detections": _detections(detected),
        "versions": ", ".join(versions),
        "platform": f"{platform.system()} {platform.machine()}",
        "noise": f"{first.sigma_px:.2f}",
        "noise_ratio": f"{NOISE_RATIO:g}",
        "moving": f"{1000 * MOVING_M_PER_S:g}",
        "rate": f"{1 / first.frame_period_s:g}",
        "cameras": ", ".join(first.camera_names),
        "size": "x".join(map(str, first.image_size)),
        "tasks": "\n".join(_task_row(task) for task in tasks),
        "views": _view_table(tasks),
        "keypoints": "\n\n".join(_keypoint_table(task) for task in tasks),
        "weak": "\n".join(_weak_rows(tasks, hidden_by)),
        "pictures": "\n\n".join(
            f"T{t} `{data.task_name(t)}`\n\n![T{t}](pictures/task_{t}.jpg)"
            for data, t, _ in tasks
            if t in shown
        ),
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %" if value >= RARE or value == 0 else "< 1 %"


def _archive_row(path: Path, tasks: Sequence[Task]) -> str:
    own = [(t, s) for data, t, s in tasks if data.path == path]
    frames = sum(s["frames"]["total"] for _, s in own)
    listed = ", ".join(f"T{t} ({s['examples']})" for t, s in own)
    return _row(f"`{path.name}`", listed, f"{frames:,}", f"{path.stat().st_size / 1e6:.1f} MB")


def _detections(archives: Sequence[FormalData]) -> str:
    """Return the section on archives with detections; nothing where there are none."""
    if not archives:
        return ""
    lines = [
        "\n## Detections\n",
        "Archives of their own hold what a detector has found in the pictures, with its claims"
        " (`data.detections`). The tracks beside them are those of the pictures.\n",
        _row(
            "archive", "tasks (examples)", "detector", "labelled frames of a view", "folds", "size"
        ),
        _row("---", "---", "---", "---:", "---:", "---:"),
    ]
    for data in archives:
        about = data.meta["detections"]
        frames = about.get("labelled_frames")
        listed = ", ".join(f"T{t} ({len(xs)})" for t, xs in data.detections.items())
        size = f"{data.path.stat().st_size / 1e6:.1f} MB"
        detectors = _kinds_of_detector(about["detector"])
        cells = (detectors, "all" if frames is None else frames, _folds(about), size)
        lines.append(_row(f"`{data.path.name}`", listed, *cells))
    tasks = dict.fromkeys(task for data in archives for task in data.detections)
    frames_of = ", ".join(f"[T{task}](pictures/detected_T{task}.jpg)" for task in tasks)
    return "\n".join([*lines, f"\nFrames with detections and claims: {frames_of}.", ""])


def _folds(about: Mapping[str, Any]) -> str:
    """Give the number of folds, by task where it differs; "-" without folds."""
    counts = {t: len(set(of_task.values())) for t, of_task in (about.get("folds") or {}).items()}
    if len(set(counts.values())) > 1:
        return ", ".join(f"{task} {count}" for task, count in counts.items())
    return str(next(iter(counts.values()), "-"))


def _kinds_of_detector(said: str) -> str:
    """Name each kind of detector once, without the times at which its folds were trained."""
    return ", ".join(dict.fromkeys(re.sub(r"_\d{8}_\d{6}\b", "", said).split(", ")))


def _task_row(task: Task) -> str:
    data, number, s = task
    frames, split = s["frames"], data.split(number)
    moving = sum(k["share_moving"] >= 0.2 for k in s["keypoints"].values())
    extent = max(k["median_extent_m"] or 0.0 for k in s["keypoints"].values())
    variations = len({o["variation"] for o in data.meta.get("sources", {}).get(f"T{number}", [])})
    return _row(
        f"T{number}",
        f"`{data.task_name(number)}`",
        f"{s['examples']} ({'/'.join(str(len(split[k])) for k in ('train', 'val', 'test'))})",
        variations or "?",
        f"{frames['min']} / {frames['median']:.0f} / {frames['max']}",
        len(s["keypoints"]),
        f"{moving}",
        f"{extent:.2f}",
        _share(1 - s["share_moving"]),
    )


def _view_table(tasks: Sequence[Task]) -> str:
    cameras = tasks[0][0].camera_names
    lines = [_row("task", *cameras), _row("---", *["---:"] * len(cameras))]
    for _, number, s in tasks:
        cells = (
            " / ".join(_share(s["views"][c][k]) for k in ("seen", "hidden", "outside"))
            for c in cameras
        )
        lines.append(_row(f"T{number}", *cells))
    return "\n".join(lines)


def _keypoint_table(task: Task) -> str:
    data, number, s = task
    lines = [
        f"T{number} `{data.task_name(number)}`\n",
        _row(
            "group, keypoint",
            "moving",
            "static",
            "median extent [m]",
            "in >= 2 images",
            "seen by >= 2",
        ),
        _row("---", *["---:"] * 5),
    ]
    for group, shares in s["groups"].items():
        lines.append(_keypoint_row(f"**{group}** ({shares['keypoints']})", shares, ""))
        for name, k in s["keypoints"].items():
            if name.partition("/")[0] == group:
                lines.append(_keypoint_row(f"`{name}`", k, f"{k['median_extent_m'] or 0:.3f}"))
    return "\n".join(lines)


def _keypoint_row(label: str, shares: Mapping[str, Any], extent: str) -> str:
    moving = shares["share_moving"]
    pairs = (shares["share_inside_two_views"], shares["share_seen_in_two_views"])
    return _row(label, _share(moving), _share(1 - moving), extent, *map(_share, pairs))


def _weak_rows(
    tasks: Sequence[Task], hidden_by: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> list[str]:
    """Say of each keypoint below a threshold where it leaves the images and what hides it."""
    rows = []
    for data, number, s in tasks:
        for name, k in s["keypoints"].items():
            inside, seen = k["share_inside_two_views"], k["share_seen_in_two_views"]
            if inside >= MIN_INSIDE and seen >= MIN_SEEN:
                continue
            why = []
            out = {c: v["outside"] for c, v in k["views"].items() if v["outside"] >= 0.05}
            if out:
                why.append("outside " + ", ".join(f"{c} {_share(v)}" for c, v in out.items()))
            hiders = hidden_by.get(data.task_name(number), {}).get(name, {})
            named = [f"{hider} {_share(v)}" for hider, v in hiders.items() if v >= 0.02]
            hidden = {c: v["hidden"] for c, v in k["views"].items() if v["hidden"] >= 0.05}
            if hidden:
                why.append(
                    "hidden from " + ", ".join(f"{c} {_share(v)}" for c, v in hidden.items())
                )
            if named:
                why.append("by " + ", ".join(named))
            rows.append(
                _row(f"T{number}", f"`{name}`", _share(inside), _share(seen), "; ".join(why))
            )
    return rows or [_row("-", "none", "-", "-", "-")]


if __name__ == "__main__":
    sys.exit(main())
