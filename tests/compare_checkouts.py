"""Compare two checkouts of this project: do the same commands write the same files?

    python tests/compare_checkouts.py A B [--python-a PYTHON] [--python-b PYTHON]
    python tests/compare_checkouts.py A B --quick

In each checkout, with its own files on `PYTHONPATH`, it runs what users run:

- `generate_data.py` for all built-in tasks, three demonstrations each, without images, with the
  seeds 0 to 4, and once with images of `--images` (tasks and size);
- the conversion of each of these data sets to an archive;
- a short training with 3D labels and one without, on the archive of the first seed;
- an example of 2D tracks, made from the shipped data, and a `lift` of it that learns.

`--quick` takes one seed, images of one task, and fewer epochs: about a minute for two checkouts.

What is equal:

- arrays (`.npy`, `.npz`, `.pt`): every member has the same name, shape and value, bit for bit
  (NaN equals NaN). Another type with the same numbers is reported, and is no difference;
- pictures: the same pixels;
- every other file: the same lines, after what `ALLOWED` lists has been replaced. A line of a
  report whose words differ, but not its numbers, is told as a note.

The exit code is 0 if all is equal, 1 if something differs, 2 if a command fails.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

BUILT_IN = (0, 8, 9, 12, 40, 41, 54, 79)
SEEDS = (0, 1, 2, 3, 4)
TRAINED_TASK = 9
MIN_EXAMPLES = 3  # of a task: one each to train, validate and test
TIMEOUT_S = 1800


@dataclass(frozen=True)
class Allowed:
    """One kind of text that may differ: `pattern` is replaced by `<what>` before comparing."""

    files: str  # pattern of the path below the output folder
    pattern: str
    what: str
    why: str


# The folders of a checkout and of its outputs are replaced everywhere, and are not listed here.
ALLOWED = (
    Allowed("*.json", r'"frames_per_second[a-z_]*": [0-9.e+-]+', "speed", "how fast it was"),
    Allowed("*report.json", r'"seconds[a-z_]*": [0-9.e+-]+', "time", "how long a generation took"),
    Allowed("*report.json", r'"peak_memory_mib": [0-9.e+-]+', "memory", "how much a worker held"),
    Allowed("*", r"(?:docs/)?\w+\.md\b", "page", "pages lie in another folder"),
    Allowed("*", r"\d{8}_\d{6}", "moment", "a run's folder is named after the moment it began"),
    Allowed("*", r"python -m pose_obj_3d[.\w]*", "command", "modules lie in other folders"),
)
# Text for people: its words may be better ones, its numbers are compared as they are written.
REPORTS = ("*report.json", "*report.md", "*results.md")
# Files that are not compared, and why.
IGNORED = {
    "*events.out.tfevents*": "TensorBoard writes the time into every record",
    "*.lock": "empty; only held while a command runs",
}
# Members of files of arrays that may differ, by file and name, and why.
IGNORED_MEMBERS = (
    ("*.pt", "*.time/*", "how fast an epoch was"),
    ("*.pt", ".checksum", "of all members, the times above too"),
)


@dataclass
class Checkout:
    """A clone, its Python, and where its commands write."""

    name: str
    root: Path
    python: Path
    out: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """Give variables under which the clone's own packages are imported, on one thread."""
        return {
            **{k: v for k, v in os.environ.items() if k not in ("RLBENCH_ROOT", "VIRTUAL_ENV")},
            "PYTHON": str(self.python),
            "PYTHONPATH": os.pathsep.join([str(self.root / "RLBench"), str(self.root)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "RLBENCH_TASKS_FROM": "builtin",
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
            "LP_NUM_THREADS": "1",
        }

    def run(self, step: str, *command: object, cwd: str = ".", **extra: str) -> str:
        """Run a command in a folder of the clone; return what it printed, or raise."""
        start = time.monotonic()
        result = subprocess.run(
            [str(part) for part in command],
            cwd=self.root / cwd,
            env={**self.environment(), **extra},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        self.seconds[step] = self.seconds.get(step, 0.0) + time.monotonic() - start
        if result.returncode:
            said = (result.stdout + result.stderr)[-3000:]
            raise CommandError(f"{self.name}: {step} ended with {result.returncode}:\n{said}")
        return result.stdout


class CommandError(RuntimeError):
    """A command of a checkout failed."""


def check_packages(checkout: Checkout) -> None:
    """Raise unless the checkout's Python imports the checkout's own packages."""
    code = "import rlbench, pose_obj_3d; print(rlbench.__file__); print(pose_obj_3d.__file__)"
    said = checkout.run("imports", checkout.python, "-c", code)
    for line in said.split():
        if not Path(line).resolve().is_relative_to(checkout.root):
            raise CommandError(f"{checkout.name}: imported {line}, not from {checkout.root}")


def write_json(path: Path, content: object) -> Path:
    """Write a JSON file, its folder too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def generate(checkout: Checkout, step: str, seed: int, **config: object) -> Path:
    """Generate a data set and convert it; return the archive."""
    folder = checkout.out / step
    base = {"n_variation_per_task": 1, "n_ex_per_variation": MIN_EXAMPLES, "max_seq_len": 600}
    path = write_json(folder / "config.json", {**base, **config})
    stage1 = "data_generation/RLBench"
    flags = ["--path_dataset", folder / "data", "--path_dataset_config", path, "--seed", seed]
    checkout.run(step, checkout.python, "generate_data.py", *flags, cwd=stage1)
    archive = folder / "sim_all_formal.npz"
    checkout.run(
        f"convert {step}",
        "sh",
        "convert_data_to_3D_pose_estimation.sh",
        "--output",
        archive,
        path_dataset=str(folder / "data"),
        path_dataset_config=str(path),
    )
    return archive


def train(checkout: Checkout, data: str, kind: str, epochs: int) -> None:
    """Train for some epochs from a submitted config on the archive of an earlier step."""
    archive = checkout.out / data / "sim_all_formal.npz"
    unsup = kind == "unsupervised"
    source = f"config_{'u_' if unsup else ''}waypoints_task_{TRAINED_TASK}.yaml"
    text = (checkout.root / "pose_obj_3d/cfg/submit" / source).read_text(encoding="utf-8")
    text = re.sub(r"ROOT_DIR: .*", f"ROOT_DIR: '{archive}'", text)
    text = re.sub(r"NUM_EPOCHES: \d+", f"NUM_EPOCHES: {epochs}", text)
    folder = checkout.out / f"training_{kind}"
    folder.mkdir(parents=True)
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    script = f"run_h36m_waypoints{'_unsup' if unsup else ''}.py"
    flags = ["--cfg", path, "--log", folder / "log"]
    checkout.run(f"training, {kind}", checkout.python, script, *flags, cwd="pose_obj_3d")


def lift(checkout: Checkout, epochs: int) -> None:
    """Make example tracks from the shipped data, and lift them."""
    folder = checkout.out / "lift"
    folder.mkdir(parents=True)
    tracks = folder / "tracks.npz"
    run = [checkout.python, "-m"]
    maker = "pose_obj_3d.make_example_tracks"
    checkout.run("example tracks", *run, maker, tracks, "--examples", "6")
    flags = ["--points2d", tracks, "--out", folder / "results", "--train", "--epochs", epochs]
    checkout.run("lift", *run, "pose_obj_3d.lift", *flags)


def steps(args: argparse.Namespace) -> Iterator[tuple[str, Callable[[Checkout], object]]]:
    """Give the names and the functions of what is run in each checkout."""
    first = f"seed_{args.seeds[0]}"
    for seed in args.seeds:
        name = f"seed_{seed}"
        yield name, partial(generate, step=name, seed=seed, train_task_ids=args.tasks, cams=[])
    if args.images:
        size = [args.image_size, args.image_size, 3]
        tasks = {"train_task_ids": args.images, "obs_dim": size}
        yield "images", partial(generate, step="images", seed=0, **tasks)
    for kind in ("supervised", "unsupervised"):
        yield f"training_{kind}", partial(train, data=first, kind=kind, epochs=args.epochs)
    yield "lift", partial(lift, epochs=args.epochs)


# ---- comparing --------------------------------------------------------------------------------


@dataclass
class Found:
    """What the comparison of one step found."""

    files: int = 0
    members: int = 0
    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def flat(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Give the leaves of nested dicts and lists, with a name for each."""
    if isinstance(value, dict):
        for key in value:
            yield from flat(value[key], f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            yield from flat(part, f"{name}[{i}]")
    elif isinstance(value, torch.Tensor):
        yield name, value.detach().cpu().numpy()
    else:
        yield name, value


def load_arrays(path: Path) -> dict[str, Any]:
    """Load a file of arrays as leaves by name; nothing in it is run."""
    if path.suffix == ".pt":
        content: object = torch.load(path, map_location="cpu", weights_only=True)
    else:
        loaded = np.load(path)
        content = loaded if path.suffix == ".npy" else {k: loaded[k] for k in loaded.files}
    return dict(flat(content))


def compare_arrays(a: Path, b: Path, clean: Callable[[str], str], found: Found) -> None:
    """Compare two files of arrays, member by member."""
    first, second = load_arrays(a), load_arrays(b)
    for name in sorted(first.keys() ^ second.keys()):
        found.differences.append(f"{a.name}: {name} is in one of them only")
    for name in sorted(first.keys() & second.keys()):
        found.members += 1
        x, y = np.asarray(first[name]), np.asarray(second[name])
        if x.dtype.kind in "US" or x.dtype == object:
            same = clean(str(first[name])) == clean(str(second[name]))
        else:
            same = x.shape == y.shape and np.array_equal(x, y, equal_nan=x.dtype.kind in "fc")
        if not same:
            if any(fnmatch(a.name, f) and fnmatch(name, m) for f, m, _ in IGNORED_MEMBERS):
                continue
            found.differences.append(f"{a.name}: {name} differs: {describe(x, y)}")
        elif x.dtype != y.dtype and x.dtype.kind not in "US":
            found.notes.append(f"{a.name}: {name} is {x.dtype}, {y.dtype}; the same numbers")


def describe(x: np.ndarray, y: np.ndarray) -> str:
    """Say in a few words how two arrays differ."""
    if x.shape != y.shape:
        return f"shapes {x.shape}, {y.shape}"
    if x.dtype.kind not in "biuf" or y.dtype.kind not in "biuf":
        return f"{str(x)[:100]!r}, {str(y)[:100]!r}"
    apart = np.nanmax(np.abs(x.astype(float) - y.astype(float)), initial=0.0)
    return f"by at most {apart:.3g}"


def numbers(line: str) -> list[str]:
    """Give the numbers of a line, as written."""
    return re.findall(r"(?<![A-Za-z_])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", line)


def compare_text(a: Path, b: Path, name: str, clean: Callable[[str], str], found: Found) -> None:
    """Compare two files line by line; in reports, other words with the same numbers are a note."""
    if a.read_bytes() == b.read_bytes():
        return
    try:
        first, second = (clean(p.read_text(encoding="utf-8")).splitlines() for p in (a, b))
    except UnicodeDecodeError:
        found.differences.append(f"{name}: other bytes")
        return
    if len(first) != len(second):
        found.differences.append(f"{name}: {len(first)} and {len(second)} lines")
    is_report = any(fnmatch(name, pattern) for pattern in REPORTS)
    for i, (x, y) in enumerate(zip(first, second, strict=False), 1):
        if x == y:
            continue
        line = f"{name}: line {i}: {x[:150]!r}, {y[:150]!r}"
        if is_report and numbers(x) == numbers(y):
            found.notes.append(f"{line}; the same numbers")
        else:
            found.differences.append(line)


def cleaner(name: str, checkouts: tuple[Checkout, Checkout]) -> Callable[[str], str]:
    """Give the function that replaces in a text what may differ."""
    folders = {str(c.out): "<out>" for c in checkouts} | {str(c.root): "<root>" for c in checkouts}

    def clean(text: str) -> str:
        for folder in sorted(folders, key=len, reverse=True):
            text = text.replace(folder, folders[folder])
        for rule in ALLOWED:
            if fnmatch(name, rule.files):
                text = re.sub(rule.pattern, f"<{rule.what}>", text, flags=re.MULTILINE)
        return text

    return clean


def listing(folder: Path) -> set[str]:
    """Give the files below a folder that are compared."""
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    return {n for n in names if not any(fnmatch(n, pattern) for pattern in IGNORED)}


def compare_step(step: str, a: Checkout, b: Checkout) -> Found:
    """Compare all that a step wrote in the two checkouts."""
    found = Found()
    one, two = plain_names(a.out / step), plain_names(b.out / step)
    found.differences += [f"only {a.name} wrote {n}" for n in sorted(one.keys() - two.keys())]
    found.differences += [f"only {b.name} wrote {n}" for n in sorted(two.keys() - one.keys())]
    for name in sorted(one.keys() & two.keys()):
        found.files += 1
        first, second = one[name], two[name]
        clean = cleaner(name, (a, b))
        if first.suffix in (".npy", ".npz", ".pt"):
            compare_arrays(first, second, clean, found)
        elif first.suffix in (".png", ".jpg"):
            if first.read_bytes() != second.read_bytes():
                x, y = (cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in (first, second))
                if x is None or y is None or not np.array_equal(x, y):
                    found.differences.append(f"{name}: other pixels")
                else:
                    found.notes.append(f"{name}: other bytes, the same pixels")
        else:
            compare_text(first, second, name, clean, found)
    return found


def plain_names(folder: Path) -> dict[str, Path]:
    """Give files by a name without the moment that folders of runs have in theirs."""
    moment = re.compile(r"\d{8}_\d{6}")
    return {moment.sub("<moment>", name): folder / name for name in sorted(listing(folder))}


# ---- the command ------------------------------------------------------------------------------


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n", 1)[0],
        epilog="Exit code: 0 all is equal, 1 something differs, 2 a command failed.",
    )
    add = parser.add_argument
    add("a", type=Path, help="the first checkout's root")
    add("b", type=Path, help="the second checkout's root; may be the first again")
    add("--python-a", type=Path, help="its Python (<root>/.venv/bin/python, else this one)")
    add("--python-b", type=Path, help="the same for the second checkout")
    add("--quick", action="store_true", help="one seed, images of one task, two epochs")
    add("--seeds", type=int, nargs="+", default=list(SEEDS))
    add("--tasks", type=int, nargs="+", default=list(BUILT_IN), help="task ids (all built-in)")
    add(
        "--images",
        type=int,
        nargs="*",
        default=[0, 12],
        metavar="TASK",
        help="tasks whose images are made too (0 12); no number: none",
    )
    add("--image-size", type=int, default=64, help="width and height of these images [px] (64)")
    add("--epochs", type=int, default=4, help="of each training (4)")
    add("--out", type=Path, help="keep the outputs in this new folder (else they are removed)")
    add("--show", type=int, default=20, help="differences to print for each step (20)")
    return parser


def one_checkout(name: str, root: Path, python: Path | None, out: Path) -> Checkout:
    """Describe a checkout; its Python is made absolute, links are kept."""
    root = root.resolve()
    default = root / ".venv" / "bin" / "python"
    python = python or (default if default.exists() else Path(sys.executable))
    return Checkout(name, root, Path(os.path.abspath(python)), out / name)  # noqa: PTH100


def compare(args: argparse.Namespace, out: Path) -> int:
    """Run every step in both checkouts, two at a time, and print the table."""
    a = one_checkout("a", args.a, args.python_a, out)
    b = one_checkout("b", args.b, args.python_b, out)
    print(f"a: {a.root} ({a.python})\nb: {b.root} ({b.python})", flush=True)
    print(f"{'step':<24}{'files':>7}{'members':>9}{'differ':>8}{'a [s]':>8}{'b [s]':>8}")
    differ = 0
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(check_packages, (a, b)))
        for step, function in steps(args):
            a.seconds.clear()
            b.seconds.clear()
            list(pool.map(function, (a, b)))
            found = compare_step(step, a, b)
            if not found.files:
                raise CommandError(f"{step} wrote nothing")
            times = (sum(c.seconds.values()) for c in (a, b))
            row = "".join(f"{s:>8.1f}" for s in times)
            wrong = len(found.differences)
            print(f"{step:<24}{found.files:>7}{found.members:>9}{wrong:>8}{row}", flush=True)
            for line in found.differences[: args.show]:
                print(f"    DIFFERS {line}")
            for line in found.notes[: args.show]:
                print(f"    note: {line}")
            differ += wrong
    print("all is equal" if not differ else f"{differ} differences")
    return int(differ > 0)


def main(argv: list[str] | None = None) -> int:
    """Compare; return the exit code."""
    args = build_parser().parse_args(argv)
    if args.quick:
        args.seeds, args.images, args.epochs = args.seeds[:1], args.images[:1], 2
    try:
        if args.out:
            args.out.mkdir(parents=True)
            return compare(args, args.out.resolve())
        with tempfile.TemporaryDirectory() as folder:
            return compare(args, Path(folder).resolve())
    except (CommandError, OSError, subprocess.TimeoutExpired) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
