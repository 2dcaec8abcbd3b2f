"""Who may import whom: one look at every module's import statements."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "RLBench" / "rlbench"
PYREP = ROOT / "RLBench" / "pyrep_mujoco"


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports, as `a.b.c`, type-checking blocks left out."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def bad(paths, forbidden):
    return {
        f"{path.relative_to(ROOT)}: {name}"
        for path in paths
        for name in imports(path)
        if any(name == f or name.startswith(f + ".") for f in forbidden)
    }


RULES = [
    (
        "tasks see no engine",
        "RLBench/rlbench/tasks",
        ["mujoco", "ompl", "pyrep_mujoco.simulation"],
    ),
    (
        "backend sees protocols only",
        "RLBench/rlbench/backend",
        [
            "mujoco",
            "ompl",
            "rlbench.environment",
            "pyrep_mujoco.simulation",
            "pyrep_mujoco.robots.arm",
        ],
    ),
    ("engines do not know tasks", "RLBench/pyrep_mujoco", ["rlbench.tasks", "rlbench.environment"]),
    ("stage 2 has no simulator", "pose_obj_3d", ["rlbench", "mujoco", "data_generation", "pyrep"]),
    (
        "stage 1 knows the archive only",
        "data_generation",
        [f"pose_obj_3d.{m}" for m in ("trainer", "models", "datasets", "config", "cli")],
    ),
    (
        "models hold no training",
        "pose_obj_3d/models",
        ["pose_obj_3d.training.trainer", "pose_obj_3d.training.command_line"],
    ),
]


@pytest.mark.parametrize(("folder", "forbidden"), [r[1:] for r in RULES], ids=[r[0] for r in RULES])
def test_import_rules(folder, forbidden):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    assert not bad(files, forbidden)


@pytest.mark.parametrize("name", ["vision/cameras.py", "transforms.py"])
def test_shared_geometry_is_numpy_only(name):
    outside = {m.split(".")[0] for m in imports(PYREP / name)}
    assert outside <= {"numpy", "dataclasses", "collections", "typing", "math", "pyrep_mujoco"}


def test_formal_is_numpy_only():
    outside = {m.split(".")[0] for m in imports(ROOT / "pose_obj_3d" / "formal.py")}
    assert not outside & {"torch", "cv2", "matplotlib", "yaml"}


def test_nobody_imports_pyrep():
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "data_generation").rglob("*.py")]
    assert not bad([f for f in files if f != PACKAGE / "engines/coppelia/api.py"], ["pyrep"])


LOAD_EACH = """
import runpy, sys
plain = list(sys.path)
for file in sys.argv[1:]:
    sys.path[:] = plain
    for name in [m for m in sys.modules if m.split(".")[0] in ("pose_obj_3d", "rlbench", "tests")]:
        del sys.modules[name]
    runpy.run_path(file, run_name="loaded")
"""


def test_benchmarks_find_the_repository_by_themselves(tmp_path):
    """Started from anywhere, as files, without PYTHONPATH; one process, as each loads PyTorch."""
    files = [str(path) for path in sorted((ROOT / "tests" / "benchmarks").glob("bench_*.py"))]
    assert files
    run = subprocess.run(
        [sys.executable, "-I", "-c", LOAD_EACH, *files],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
