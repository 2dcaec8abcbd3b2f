"""README and docs/ name only what exists, and every block is run by a test or says why not."""

import dataclasses
import importlib
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from data_generation.RLBench.config import DatasetConfig
from pose_obj_3d.training.config import Config
from tests.unit.document_pages import (
    MARKS,
    PAGES,
    ROOT,
    RUN,
    anchors,
    commands,
    fences,
    inline_code,
    links,
    prose,
)
from tests.unit.import_rules import LEVEL, MAX_LINES, MAX_MODULES, STAGE2_ROOMS

README_LINES = 150
PAGE_NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
FOLDERS = (
    ROOT,
    ROOT / "RLBench",
    ROOT / "RLBench" / "rlbench",
    ROOT / "RLBench" / "pyrep_mujoco",
    ROOT / "data_generation" / "RLBench",
    ROOT / "pose_obj_3d",
    ROOT / "pose_obj_3d" / "cfg",
    ROOT / "docs",
)
"""Paths in the text are relative to one of these, or to the page."""
OF_RLBENCH = {
    "dataset_generator.py",
    "test_environment.py",
    "test_gym.py",
    "rlbench/task_design.ttt",
    "rlbench/task_ttms",
}
"""Files of a checkout of RLBench."""
OF_OTHER_TOOLS = {
    *("camera_array.toml", "config.toml", "S1.toml", "common/h36m_dataset.py"),
}
"""Calibrations that other tools write, and modules of VideoPose3D."""
OF_USERS = {"my_task.py", "my_task.xml"}
SUFFIXES = (".py", ".sh", ".yaml", ".toml", ".md", ".xml", ".png", ".ttt")
MADE = {
    *("report.md", "results.md", "config.yaml", "pose_obj_3d/checkpoint/"),
    *("tracks_3d.png", "coordinates.png", "reprojection.png"),
    *("calibration.toml", "calibration.png"),
}
"""Files that commands write."""
PACKAGES = ("rlbench", "pyrep_mujoco", "pose_obj_3d", "data_generation", "tests")
ALL_COMMANDS = sorted({c for page in PAGES for c in commands(page)}, key=str)


def text_of(page: Path) -> str:
    """Return what must be true today: of the changes, only what stands right of the old names."""
    if page.name != "CHANGELOG.md":
        return prose(page)
    rows = [line for line in prose(page).splitlines() if line.startswith("| ")]
    return "\n".join(row.split(" | ", 1)[-1] for row in rows)


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_blocks_are_run_or_say_why_not(page):
    for fence in fences(page):
        where = f"{page.name}:{fence.line}"
        assert fence.mark in (None, *MARKS), where
        assert fence.language in (*RUN, "text", "xml", "json"), f"{where}: say the language"
        if fence.language in ("xml", "json"):
            assert fence.mark == "file", f"{where}: say which file it is"
        if fence.mark == "tested":
            test = fence.note.split()[0]
            assert (ROOT / test).is_file(), where
        if page.name in ("CHANGELOG.md", "CONTRIBUTING.md") and fence.language in RUN:
            assert fence.mark == "not run", f"{where}: no test runs blocks of this page"


def test_the_front_page_is_one_page():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES


def test_every_page_can_be_reached():
    front, index = (
        {target.split("#")[0].removeprefix("docs/") for target in links(page)}
        for page in (ROOT / "README.md", ROOT / "docs" / "README.md")
    )
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= front
    assert pages <= index


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_links_lead_somewhere(page):
    for target in links(page):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        goal = page.parent / name if name else page
        assert goal.exists(), target
        if anchor:
            assert anchor in anchors(goal), target


@cache
def names_in_the_repository() -> set[str]:
    """Return the names of all files, of any folder."""
    found = set()
    for folder, subfolders, files in os.walk(ROOT):
        subfolders[:] = [f for f in subfolders if not f.startswith((".v", ".g"))]
        found.update(files)
        del folder
    return found


def is_there(page: Path, path: str) -> bool:
    """Tell whether a path of the text exists."""
    if path in OF_RLBENCH | OF_OTHER_TOOLS | OF_USERS | MADE:
        return True
    if "/" not in path:
        return path in names_in_the_repository()
    return any((folder / path).exists() for folder in (page.parent, *FOLDERS))


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_paths_in_the_text_exist(page):
    top = {p.name for p in ROOT.iterdir() if p.is_dir()} | {"cfg"}
    missing = []
    for code in inline_code(text_of(page)):
        if not re.fullmatch(r"[\w./-]+", code) or "..." in code:
            continue  # a pattern, a command, a formula
        is_file = code.endswith(SUFFIXES) and not code.startswith(SUFFIXES)
        is_folder = "/" in code and code.split("/")[0] in top
        if (is_file or is_folder) and not is_there(page, code):
            missing.append(code)
    assert not missing


def resolves(name: str) -> bool:
    """Tell whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found = importlib.util.find_spec(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        if found is None:
            continue
        value = importlib.import_module(".".join(parts[:n])) if n < len(parts) else None
        for part in parts[n:]:
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_modules_in_the_text_exist(page):
    names = set()
    for code in inline_code(text_of(page)):
        dotted = re.match(rf"(?:python -m )?((?:{'|'.join(PACKAGES)})(?:\.\w+)+)(?![\w/])", code)
        if dotted and not dotted[1].endswith((".py", ".toml")):
            names.add(dotted[1])
    wrong = [name for name in sorted(names) if not resolves(name)]
    assert not wrong


@pytest.mark.parametrize("command", ALL_COMMANDS, ids=lambda c: f"{c.page}: {c.program}")
def test_documented_programs_exist(command):
    if command.program.startswith("-m "):
        module = command.program[3:]
        assert module in ("venv", "mujoco.viewer") or importlib.util.find_spec(module) is not None
    else:
        assert (command.folder / command.program).is_file()


@cache
def help_of(folder: Path, program: str) -> str:
    """Return what a program prints with --help."""
    words = program.split()
    run = ["sh"] if program.endswith(".sh") else [sys.executable]
    return subprocess.run(
        [*run, *words, "--help"],
        cwd=folder,
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout


WITH_FLAGS = [
    c
    for c in ALL_COMMANDS
    if c.flags and c.program != "-m mujoco.viewer" and not c.program.endswith("quickstart.sh")
]


@pytest.mark.slow
@pytest.mark.parametrize("command", WITH_FLAGS, ids=lambda c: f"{c.page}: {c.program}")
def test_documented_flags_exist(command):
    known = set(re.findall(r"--[\w-]+", help_of(command.folder, command.program)))
    assert set(command.flags) <= known


FLAG_PAGES = {
    "cluster.md": ("data_generation/RLBench", ["generate_data.py"]),
    "generate.md": (
        "data_generation/RLBench",
        ["generate_data.py", "convert_data.py", "view_dataset.py"],
    ),
    "train.md": ("pose_obj_3d", ["run_h36m_waypoints.py"]),
    "own_videos.md": (
        ".",
        ["-m pose_obj_3d.lift", "-m pose_obj_3d.make_example_tracks"],
    ),
    "results.md": (".", ["-m pose_obj_3d.lift", "-m pose_obj_3d.export_points"]),
}
"""Pages that name flags in their text: folder and programs, one of which must know each flag."""
OTHER_FLAGS = {"--json", "--help"}
"""Flags that these pages name of other programs."""


@pytest.mark.slow
@pytest.mark.parametrize("name", FLAG_PAGES)
def test_flags_in_the_text_exist(name):
    folder, programs = FLAG_PAGES[name]
    named = {
        flag
        for code in inline_code(prose(ROOT / "docs" / name))
        for flag in re.findall(r"(?:^|\s)(--\w+)", code)
    }
    inspection = help_of(ROOT / "data_generation" / "RLBench", "inspect_dataset.py")
    said = "".join(help_of((ROOT / folder).resolve(), p) for p in programs) + inspection
    assert named - OTHER_FLAGS <= set(re.findall(r"--\w+", said))


OF_THE_READER = ("source", "given", "ignored")
"""Fields of a config that say where it came from."""


def keys_of(config: type) -> Iterator[str]:
    """Give the keys that a config file may hold, those of its sections too."""
    hints = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from keys_of(hints[field.name])
        elif field.name not in OF_THE_READER:
            yield field.name


@pytest.mark.parametrize(("page", "config"), [("generate.md", DatasetConfig), ("train.md", Config)])
def test_every_key_of_a_config_is_documented(page, config):
    words = set(re.findall(r"\w+", " ".join(inline_code(prose(ROOT / "docs" / page)))))
    assert set(keys_of(config)) <= words


def room_folders() -> Iterator[str]:
    """Give the folders of code that lie directly in a package."""
    packages = ("RLBench/pyrep_mujoco", "RLBench/rlbench", "data_generation/RLBench", "pose_obj_3d")
    for package in packages:
        for folder in sorted((ROOT / package).iterdir()):
            if (folder / "__init__.py").is_file():
                yield f"{package}/{folder.name}/"


@pytest.mark.parametrize("room", list(room_folders()))
def test_every_room_is_described(room):
    assert room in inline_code(prose(ROOT / "CONTRIBUTING.md"))


def test_the_rules_are_those_that_are_checked():
    text = prose(ROOT / "CONTRIBUTING.md")
    assert f"at most {MAX_MODULES} modules" in text
    assert f"a file at most {MAX_LINES} lines" in text
    order = ", ".join(STAGE2_ROOMS).replace(", ".join(LEVEL), " and ".join(LEVEL))
    assert order in text


@pytest.mark.parametrize(
    ("question", "found_there"),
    [
        ("a keypoint recorded", "def make_keypoints"),
        ("2D noise added", "def detect"),
        ("the archive's schema", "def write_formal"),
        ("a robot's speed limit", "max_velocity="),
        ("STC's loss", "def blind_reprojection_nll"),
        ("a task?", "TASK_NAMES"),
        ("an importer", "class Reader"),
        ("a camera?", "def register_camera"),
    ],
)
def test_the_answers_are_right(question, found_there):
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith("| Where") and question in line)
    paths = [ROOT / code for code in inline_code(row) if "/" in code]
    files = [f for path in paths for f in ([path] if path.is_file() else path.glob("*.py"))]
    assert any(found_there in file.read_text(encoding="utf-8") for file in files)


def test_every_package_has_a_reason():
    """The packages that are installed are those of the table, each with why."""
    files = [
        *("RLBench/requirements.txt", "data_gen_requirements.txt", "pose_est_requirements.txt"),
        "tests/requirements.txt",
    ]
    text = "\n".join((ROOT / file).read_text(encoding="utf-8") for file in files)
    installed = set(re.findall(r"(?m)^([A-Za-z][\w-]*)", text))
    for folder in (ROOT, ROOT / "RLBench"):
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
        for extra in tomllib.loads(text)["project"]["optional-dependencies"].values():
            installed |= {re.split(r"[<>=~!\[ ]", requirement)[0] for requirement in extra}
    page = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
    table = page.split("## Dependencies")[1].split("Tried, and not used")[0]
    rows = re.findall(r"(?m)^\| ([^|]+) \| [^|]+ \|$", table)
    named = {name.strip() for row in rows for name in row.split(",")} - {"package"}
    assert installed == named
