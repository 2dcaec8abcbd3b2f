"""Check that every object that task files of RLBench look up is in their scenes, with its kind.

python -m rlbench.checkout.check_names all --rlbench_root ~/RLBench

Runs `init_task`, and `init_episode` of each variation asked for, and notes each look-up.
"""

from rlbench.engines import process_start

if __name__ == "__main__":
    process_start.prepare("check_names", 350, simulates=True)

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rlbench.backend.exceptions import BoundaryError, RLBenchError, SceneError
from rlbench.backend.pyrep_names import pyrep_objects as objects
from rlbench.backend.task_files import Origin
from rlbench.catalogue import Catalogue
from rlbench.checkout.loader import load_task
from rlbench.engines import mujoco
from rlbench.engines.object_types import ObjectType
from rlbench.tasks.registry import TASK_NAMES


@dataclass
class Names:
    """What one task looks up.

    Attributes:
        task: name.
        found: names that are there -> kind asked for.
        missing: names that are not -> kind asked for.
        wrong: names of another kind -> what was asked for and what it is.
        error: why the task file could not be run to its end.
    """

    task: str
    found: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    error: str = ""

    @property
    def is_good(self) -> bool:
        """Everything was found, and the file ran."""
        return not (self.missing or self.wrong or self.error)

    def line(self) -> str:
        """Return the result in one line."""
        parts = [f"{self.task}: {len(self.found)} names found"]
        if self.missing:
            parts.append("missing " + ", ".join(f"{k} {n}" for n, k in self.missing.items()))
        if self.wrong:
            parts.append("wrong " + ", ".join(f"{n} ({why})" for n, why in self.wrong.items()))
        if self.error:
            parts.append(self.error)
        return "; ".join(parts)


class _Absent:
    """Takes the place of an object that is not there, so that the next one is looked up too."""

    def __init__(self, name: str, kind: ObjectType | None) -> None:
        self._name, self._kind = name, kind

    def get_name(self) -> str:
        return self._name

    def get_handle(self) -> int:
        return -1

    def get_type(self) -> ObjectType:
        return self._kind or ObjectType.DUMMY

    def get_pose(self, *_: Any, **__: Any) -> np.ndarray:
        return np.array([0, 0, 0, 0, 0, 0, 1.0])

    def get_bounding_box(self) -> np.ndarray:
        return np.zeros(6)

    def get_objects_in_tree(self, *_: Any, **__: Any) -> list[Any]:
        return []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name.startswith("is_"):
            return lambda *_, **__: False
        return lambda *_, **__: np.zeros(3)


def check(origin: Origin, variations: int = 1) -> Names:
    """Run a task's `init_task`, and `init_episode` of its first `variations`."""
    names = Names(origin.name)

    def note(name: str, kind: ObjectType | None) -> Any:
        word = "object" if kind is None else kind.name.lower()
        try:
            there = objects.by_name(name, None).get_type() if objects.exists(name) else None
        except SceneError:
            there = None
        if there is None:
            names.missing[name] = word
        elif kind in {None, there}:
            names.found[name] = word
            return None
        else:
            names.wrong[name] = f"asked for as {word}, is {there.name.lower()}"
        return _Absent(name, kind)

    objects.on_lookup.append(note)
    try:
        cls = load_task(origin)
        engine, robot = mujoco.load(origin.scene)
        task = cls(engine, robot, origin.name)
        task.init_task()
        engine.remember_start()
        for index in range(min(variations, task.variation_count())):
            engine.reset()
            task.global_random.seed(index)
            try:
                task.init_episode(index)
            except BoundaryError:
                continue
            finally:
                task.cleanup()
    except RLBenchError as error:
        names.error = str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a task's file may raise anything
        names.error = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    finally:
        objects.on_lookup.remove(note)
    return names


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 when all names are found, 1 when not, 2 for a user's error."""
    parser = argparse.ArgumentParser(prog="check_names", description=__doc__.split("\n")[0])
    parser.add_argument("tasks", nargs="+", help="names or ids, or `all`")
    parser.add_argument(
        "--rlbench_root",
        help=(
            "checkout of RLBench (default $RLBENCH_ROOT); its task files are Python and run as"
            " such: name only one that you trust"
        ),
    )
    parser.add_argument("--variations", type=int, default=3, help="of each task (3)")
    args = parser.parse_args(argv)
    try:
        catalogue = Catalogue(args.rlbench_root, "rlbench")
        given = catalogue.names() if args.tasks == ["all"] else args.tasks
        wanted = [
            TASK_NAMES[int(g)] if g.isdigit() and int(g) < len(TASK_NAMES) else g for g in given
        ]
        origins = [catalogue.origin(name) for name in wanted]
    except RLBenchError as error:
        print(f"check_names: {error}", file=sys.stderr)
        return 2
    bad = 0
    for origin in origins:
        names = check(origin, args.variations)
        bad += not names.is_good
        print(names.line(), flush=True)
    print(f"{len(origins) - bad} of {len(origins)} tasks find every object they look up")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
