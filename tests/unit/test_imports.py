"""Who may import whom: every module's import statements, wherever they stand."""

import subprocess
import sys

import pytest

from tests.unit.import_graph import PACKAGES, ROOT, ImportGraph, module_name
from tests.unit.import_rules import KNOWN_FILE, RULES, Rule, broken, known, touches_the_path

NUMPY_AND_STANDARD = {*sys.stdlib_module_names, "numpy"}


@pytest.fixture(scope="module")
def graph():
    return ImportGraph()


@pytest.fixture(scope="module")
def found(graph):
    return broken(graph)


NAMES = [rule.name for rule in RULES] + [
    "circle",
    "large folder",
    "long file",
    "missing room",
    "sys.path",
]


@pytest.mark.parametrize("name", NAMES)
def test_rule(found, name):
    new = found[name] - known().get(name, set())
    assert not new


@pytest.mark.parametrize("name", NAMES)
def test_the_list_of_what_is_broken_only_shrinks(found, name):
    """Run `python -m tests.unit.import_rules` to take out what is no longer broken."""
    stale = known().get(name, set()) - found[name]
    assert not stale, f"no longer broken; take it out of {KNOWN_FILE.name}"


def test_the_list_names_rules_that_exist(found):
    assert list(found) == NAMES
    assert known().keys() <= set(NAMES)


@pytest.mark.parametrize("module", ["pyrep_mujoco.vision.cameras", "pyrep_mujoco.transforms"])
def test_shared_geometry_needs_numpy_only(graph, module):
    outside = {name.split(".")[0] for name in graph.imported[module]}
    assert outside <= NUMPY_AND_STANDARD | {"pyrep_mujoco"}


def test_formal_needs_numpy_only(graph):
    outside = {name.split(".")[0] for name in graph.imported["pose_obj_3d.formal"]}
    assert outside <= NUMPY_AND_STANDARD | {"pose_obj_3d"}


# ---- the rules' own eyes: made-up packages ------------------------------------------------------


def made_up(folder, **sources):
    """Write modules; give them by name."""
    files = {}
    for name, source in sources.items():
        path = folder / f"{name}.py"
        path.write_text(source, encoding="utf-8")
        files[name] = path
    return files


@pytest.mark.parametrize(
    "source",
    [
        "import b",
        "from b import name",
        "import b as other",
        "def late():\n    import b",
        "def late():\n    from b import name",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from b import name",
        "try:\n    import b\nexcept ImportError:\n    pass",
        "import importlib\nimportlib.import_module('b')",
        "from importlib import import_module\nM = 'b'\ndef late():\n    import_module(M)",
        "class A:\n    from b import name",
    ],
)
def test_every_kind_of_import_counts(tmp_path, source):
    graph = ImportGraph(made_up(tmp_path, a=source, b="name = 1"))
    assert graph.own == {"a": {"b"}, "b": set()}
    assert Rule("r", ("a",), ("b",)).breaks(*next(e for e in graph.edges() if e[1] == "b"))


def test_a_submodule_is_not_its_package(tmp_path):
    """`from p import q` needs `p/__init__.py` only where q is no module."""
    files = made_up(
        tmp_path, init="", q="", user="from p import q\nimport p.q", other="from p import x"
    )
    graph = ImportGraph(
        {"p": files["init"], "p.q": files["q"], "user": files["user"], "other": files["other"]}
    )
    assert graph.own == {"p": set(), "p.q": set(), "user": {"p.q"}, "other": {"p"}}


def test_circles_are_found_whole(tmp_path):
    graph = ImportGraph(
        made_up(
            tmp_path,
            a="import b",
            b="def late():\n    import c",
            c="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a",
            d="import a, e",
            e="import d",
        )
    )
    assert graph.circles(larger_than=2) == [["a", "b", "c"]]
    assert sorted(graph.circles(larger_than=1)) == [["a", "b", "c"], ["d", "e"]]


@pytest.mark.parametrize(
    ("source", "touches"),
    [
        ("import sys\nsys.path.insert(0, 'x')", True),
        ("import sys\ndef late():\n    sys.path = []", True),
        ("from sys import path", True),
        ("import os\nos.path.join('a')", False),
        ("import sys\nsys.argv", False),
    ],
)
def test_touching_the_path_is_seen(tmp_path, source, touches):
    assert touches_the_path(made_up(tmp_path, a=source)["a"]) is touches


def test_module_names():
    folder = PACKAGES["rlbench"]
    assert module_name("rlbench", folder / "tasks" / "__init__.py") == "rlbench.tasks"
    assert module_name("rlbench", folder / "demo.py") == "rlbench.demo"


LOAD_EACH = """
import runpy, sys
plain = list(sys.path)
for file in sys.argv[1:]:
    sys.path[:] = plain
    for name in [m for m in sys.modules if m.split(".")[0] in ("pose_obj_3d", "rlbench", "tests")]:
        del sys.modules[name]
    runpy.run_path(file, run_name="loaded")
"""


@pytest.mark.slow
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
