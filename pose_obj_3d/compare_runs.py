"""Print one table of errors for several finished runs: `python compare_runs.py log/<group>/<config> ...`.

Each argument is a run folder, or its name without the time, which means the newest
such run, a trained one if there is any.
"""

import json
import sys
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
if not __package__:  # run as a script
    sys.path.insert(0, str(_ROOT))

from pose_obj_3d import report  # noqa: E402 - the line above makes it importable
from pose_obj_3d.exceptions import DataError, PoseObj3DError  # noqa: E402

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
    raise DataError(f"{name}: no results.json in it or in {path.name}_<time>; train or --eval first")


def merge(runs: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Join the first evaluation of each run: their models, then the lines all share.

    Raises:
        DataError: the runs were scored on different points.
    """
    title, first = next(iter(runs[0]["results"].items()))
    methods: dict[str, Any] = {}
    for run in runs:
        result = next(iter(run["results"].values()))
        if result["counts"] != first["counts"] or run["data"] != runs[0]["data"]:
            raise DataError("these runs were evaluated on different data: compare runs of one archive")
        methods.update({k: v for k, v in result["methods"].items() if k.startswith("model")})
    return title, {"counts": first["counts"], "methods": {**methods, **first["methods"]}}


def main(argv: list[str] | None = None) -> int:
    """Print the table and the pictures' paths; return the exit code."""
    names = sys.argv[1:] if argv is None else argv
    if not names:
        print("usage: compare_runs.py RUN [RUN ...], e.g. log/quickstart/config_quickstart", file=sys.stderr)
        return 2
    try:
        folders = [find_run(name) for name in names]
        runs = [json.loads((folder / "results.json").read_text(encoding="utf-8")) for folder in folders]
        title, result = merge(runs)
    except PoseObj3DError as error:
        print(error, file=sys.stderr)
        return 2
    print(report.text_table(result, title))
    print("Pictures:")
    for picture in PICTURES:
        if (folders[-1] / picture).is_file():
            print(f"  {(folders[-1] / picture).resolve()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
