"""The rules of imports, of folders and of files; and what breaks them today.

`known_imports.txt` lists what is broken; `python -m tests.unit.import_rules`, from the root,
writes it anew. The list may only shrink: `test_imports.py` fails for what is not in it, and for
what is no longer broken and still in it. Without the file nothing may be broken.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.unit.import_graph import ROOT, ImportGraph, below

KNOWN_FILE = Path(__file__).with_name("known_imports.txt")
MAX_MODULES = 15  # of a folder, its sub-folders apart
MAX_LINES = 400
# Files that may be longer, and why.
_PYREP = "RLBench/pyrep_mujoco/as_pyrep/pyrep"
LONG_FILES: dict[str, str] = {
    f"{_PYREP}/objects/object.py": "one class, whose methods are PyRep's",
    f"{_PYREP}/objects/shape.py": "one class, whose methods and arguments are PyRep's",
}

SIMULATORS = ("pyrep_mujoco", "rlbench", "mujoco", "ompl", "pyrep")
SIMULATING = ("engines.mujoco", "engines.coppelia")  # the others: protocols, and values handed on
ENGINE_OF_PYREP = ("pyrep_mujoco.simulation",)
STAGE2_COMMANDS = tuple(
    f"pose_obj_3d.{name}"
    for name in (
        "detect",
        "lift",
        "export_points",
        "import_lerobot",
        "importing.rlbench.__main__",
        "import_tracks",
        "train_command",
        "run_h36m_waypoints",
        "run_h36m_waypoints_unsup",
        "compare_runs",
        "show_detections",
        "calibrate.__main__",
    )
)
STAGE2_ROOMS = (
    "geometry",
    "smoothing",
    "tracks",
    "models",
    "training",
    "evaluation",
    "detector",
    "lifting",
    "importing",
    "calibrate",
)
BOTH_STAGES = ("data_generation.RLBench.executing",)  # a robot that acts by what networks lift
# Commands that run as files from a clone, whose packages are then not on the path.
MAY_TOUCH_THE_PATH = {
    "data_generation/RLBench/generate_data.py",
    "data_generation/RLBench/convert_data.py",
    "data_generation/RLBench/inspect_dataset.py",
    "data_generation/RLBench/export_dataset.py",
    "data_generation/RLBench/view_dataset.py",
    "data_generation/RLBench/execute_keypoints.py",
    "pose_obj_3d/run_h36m_waypoints.py",
    "pose_obj_3d/run_h36m_waypoints_unsup.py",
    "pose_obj_3d/run_detector.py",
}


@dataclass(frozen=True)
class Rule:
    """Who may not import what: modules or rooms by dotted name, with all that lies in them.

    Attributes:
        name: Begins the lines of `known_imports.txt`.
        who: Importers.
        forbidden: What they may not import.
        but: Parts of `forbidden` that they may import.
        except_for: Importers whom the rule does not bind.
    """

    name: str
    who: tuple[str, ...]
    forbidden: tuple[str, ...]
    but: tuple[str, ...] = ()
    except_for: tuple[str, ...] = ()

    def breaks(self, importer: str, imported: str) -> bool:
        """Say whether an import breaks the rule."""
        return (
            below(importer, self.who)
            and not below(importer, self.except_for)
            and below(imported, self.forbidden)
            and not below(imported, self.but)
        )


def rooms(package: str, *names: str) -> tuple[str, ...]:
    """Give rooms of a package by their full names."""
    return tuple(f"{package}.{name}" for name in names)


def stage2_order() -> Iterator[Rule]:
    """Each room knows the rooms before it; training and evaluation may know each other."""
    for i, room in enumerate(STAGE2_ROOMS):
        later = [name for name in STAGE2_ROOMS[i + 1 :] if (room, name) != LEVEL]
        if later:
            yield Rule(
                f"stage 2 order, {room}",
                rooms("pose_obj_3d", room),
                rooms("pose_obj_3d", *later),
            )


LEVEL = ("training", "evaluation")  # two rooms on one level
PARTS = rooms("pyrep_mujoco", "scene", "objects", "robots", "vision")

RULES = (
    # pyrep_mujoco: a simulator that others build on.
    Rule(
        "pyrep_mujoco stands alone",
        ("pyrep_mujoco",),
        ("rlbench", "data_generation", "pose_obj_3d"),
    ),
    Rule(
        "the world knows no part",
        ("pyrep_mujoco.world",),
        (*PARTS, *rooms("pyrep_mujoco", "simulation", "motion", "ttm")),
    ),
    Rule("parts know the world, not the engine", PARTS, ENGINE_OF_PYREP),
    Rule(
        "motion knows no engine",
        ("pyrep_mujoco.motion",),
        (*ENGINE_OF_PYREP, *rooms("pyrep_mujoco", "world", "scene", "objects", "vision", "ttm")),
    ),
    Rule(
        "ttm knows no engine",
        ("pyrep_mujoco.ttm",),
        (*ENGINE_OF_PYREP, *rooms("pyrep_mujoco", "world", "objects", "vision", "motion")),
    ),
    Rule(
        "a session knows neither robots nor pictures",
        ("pyrep_mujoco.session",),
        (*ENGINE_OF_PYREP, *rooms("pyrep_mujoco", "robots", "vision")),
    ),
    # pyrep: what others import by that name.
    Rule(
        "pyrep knows the simulator and itself",
        ("pyrep",),
        ("rlbench", "data_generation", "pose_obj_3d", *ENGINE_OF_PYREP),
    ),
    # rlbench
    Rule(
        "only engines know a simulator", ("rlbench",), ("pyrep_mujoco",), (), ("rlbench.engines",)
    ),
    Rule(
        "only one file loads PyRep",
        ("rlbench", "data_generation", "pyrep_mujoco"),
        ("pyrep",),
        (),
        ("rlbench.engines.coppelia.api",),
    ),
    Rule(
        "tasks know the backend",
        ("rlbench.tasks",),
        (
            "mujoco",
            "ompl",
            *rooms("rlbench", *SIMULATING, "checkout", "action_modes", "recording", "tools"),
            *rooms("rlbench", "environment", "task_environment", "stored_demos", "gym"),
        ),
    ),
    Rule(
        "the backend knows protocols",
        ("rlbench.backend",),
        (
            "mujoco",
            "ompl",
            *rooms("rlbench", *SIMULATING, "tasks", "checkout", "action_modes", "recording"),
            *rooms("rlbench", "environment", "task_environment", "stored_demos", "gym", "tools"),
        ),
    ),
    Rule(
        "engines know no task",
        ("rlbench.engines",),
        rooms(
            "rlbench",
            *("tasks", "checkout", "action_modes", "tools"),
            *("environment", "task_environment", "stored_demos", "gym"),
        ),
    ),
    # data_generation
    Rule(
        "stage 1 knows of stage 2 only files",
        ("data_generation",),
        ("pose_obj_3d",),
        rooms("pose_obj_3d", "formal", "formal_legacy", "shipped", "common"),
        BOTH_STAGES,
    ),
    Rule(
        "stage 1 knows rlbench's public names",
        ("data_generation",),
        ("pyrep_mujoco", "mujoco", "ompl", *rooms("rlbench", "engines", "checkout", "recording")),
    ),
    # pose_obj_3d
    Rule("stage 2 has no simulator", ("pose_obj_3d",), (*SIMULATORS, "data_generation")),
    *stage2_order(),
    Rule(
        "common and formal know no room",
        rooms("pose_obj_3d", "common", "formal", "formal_legacy"),
        ("torch", "cv2", "matplotlib", *rooms("pose_obj_3d", *STAGE2_ROOMS)),
    ),
    Rule(
        "common knows no file format",
        ("pose_obj_3d.common",),
        rooms("pose_obj_3d", "formal", "formal_legacy"),
    ),
    Rule(
        "nobody imports a command",
        rooms("pose_obj_3d", *STAGE2_ROOMS, "common", "formal", "formal_legacy"),
        STAGE2_COMMANDS,
    ),
)


def touches_the_path(path: Path) -> bool:
    """Say whether a file names `sys.path`, or imports it from `sys`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "sys":
            if any(alias.name == "path" for alias in node.names):
                return True
        elif isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path":
            return True
    return False


def broken(graph: ImportGraph) -> dict[str, set[str]]:
    """Give what breaks each rule: `importer -> imported`, a folder or a file."""
    found = {
        rule.name: {f"{a} -> {b}" for a, b in graph.edges() if rule.breaks(a, b)} for rule in RULES
    }
    found["circle"] = {
        f"{a} -> {b}"
        for circle in graph.circles(larger_than=1)
        for a in circle
        for b in graph.own[a] & set(circle)
    }
    names = {path: str(path.relative_to(ROOT)) for path in graph.files.values()}
    lengths = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in names}
    found["large folder"] = {
        str(folder.relative_to(ROOT))
        for folder, count in graph.folders().items()
        if count > MAX_MODULES
    }
    found["long file"] = {
        names[p] for p, n in lengths.items() if n > MAX_LINES and names[p] not in LONG_FILES
    }
    bound = {room for rule in RULES for room in (*rule.who, *rule.but, *rule.except_for)}
    found["missing room"] = {
        room for room in bound if not any(below(module, [room]) for module in graph.files)
    }
    found["sys.path"] = {
        name
        for path, name in names.items()
        if name not in MAY_TOUCH_THE_PATH and touches_the_path(path)
    }
    return found


def known() -> dict[str, set[str]]:
    """Give what is known to be broken, by rule."""
    found: dict[str, set[str]] = {}
    if KNOWN_FILE.exists():
        for line in KNOWN_FILE.read_text(encoding="utf-8").splitlines():
            rule, what = line.split(": ", 1)
            found.setdefault(rule, set()).add(what)
    return found


def write_known() -> None:
    """Write what is broken now; remove the file where nothing is."""
    lines = [f"{rule}: {w}\n" for rule, what in broken(ImportGraph()).items() for w in sorted(what)]
    if lines:
        KNOWN_FILE.write_text("".join(lines), encoding="utf-8")
    else:
        KNOWN_FILE.unlink(missing_ok=True)


if __name__ == "__main__":
    write_known()
