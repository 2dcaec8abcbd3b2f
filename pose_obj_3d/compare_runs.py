"""Print one table of errors for finished runs: `python compare_runs.py log/<group>/<config> ...`.

Each argument is a run folder, or its name without the time: then the newest such run is taken, a
trained one where there is one.
"""

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("compare_runs.py", 600)

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from pose_obj_3d.common.errors import DataError, PoseObj3DError
from pose_obj_3d.evaluation import report

MAX_BYTES = 32 << 20  # in memory JSON takes twenty times as much
PICTURES = ("reprojection.png", "track_3d.png", "training_curve.png")


def find_run(name: str) -> Path:
    """Return the run folder of a name.

    Raises:
        DataError: there is no such run with results.
    """
    path = Path(name)
    newest = sorted(path.parent.glob(f"{path.name}_[0-9]*"), reverse=True)
    # Runs of --eval and --triangulate have folders too: trained ones go first.
    trained = [folder for folder in newest if (folder / "training_curve.png").is_file()]
    candidates = [path, *trained, *newest]
    for folder in candidates:
        if (folder / "results.json").is_file():
            return folder
    raise DataError(
        f"{name}: no results.json in it or in {path.name}_<time>; train or --eval first"
    )


def read_results(path: Path) -> dict[str, Any]:
    """Read a run's `results.json`.

    Raises:
        DataError: it is not what a run writes.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        run: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        run["data"]
        title, result = next(iter(run["results"].items()))
        report.text_table(result, title)  # needs all of it
        if not isinstance(result.get("detections", {}).get("about", ""), str):
            raise TypeError("detections")
    except (
        OSError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        StopIteration,
        RecursionError,
        OverflowError,
    ) as error:
        raise DataError(
            f"{path}: not what a run writes ({type(error).__name__}); evaluate the run again"
        ) from error
    return run


def merge(runs: dict[Path, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Join the first evaluation of each run, by folder: their models, then the lines all share.

    Models of one label are told apart by the names of their runs.

    Raises:
        DataError: the runs were scored on different points.
    """
    one = next(iter(runs.values()))
    title, first = next(iter(one["results"].items()))
    found: list[tuple[str, Path, Any]] = []
    for folder, run in runs.items():
        result = next(iter(run["results"].values()))
        if result["counts"] != first["counts"] or run["data"] != one["data"]:
            raise DataError(
                "these runs were evaluated on different data: compare runs of one archive"
            )
        found += [
            (label, folder, v)
            for label, v in result["methods"].items()
            if label.startswith("model")
        ]
    count = Counter(label for label, _, _ in found)
    same_name = len({folder.name for folder in runs}) < len(runs)
    models = {
        label if count[label] == 1 else f"{label} [{folder if same_name else folder.name}]": v
        for label, folder, v in found
    }
    shared = {label: v for label, v in first["methods"].items() if label not in count}
    result = {"counts": first["counts"], "methods": {**models, **shared}}
    about = first.get("detections", {}).get("about")
    return title, {**result, "detections": {"about": about}} if about else result


def main(argv: list[str] | None = None) -> int:
    """Print the table and the pictures' paths; return the exit code."""
    names = sys.argv[1:] if argv is None else argv
    if not names:
        print(
            "usage: compare_runs.py RUN [RUN ...], e.g. log/quickstart/config_quickstart",
            file=sys.stderr,
        )
        return 2
    try:
        folders = [find_run(name).resolve() for name in names]
        runs = {folder: read_results(folder / "results.json") for folder in folders}
        title, result = merge(runs)
    except PoseObj3DError as error:
        print(error, file=sys.stderr)
        return 2
    print(report.text_table(result, title))
    if about := report.detections_text(result):
        print(about)
    print("Pictures:")
    for picture in PICTURES:
        if (folders[-1] / picture).is_file():
            print(f"  {folders[-1] / picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
