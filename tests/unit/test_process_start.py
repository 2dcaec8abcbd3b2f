"""How command lines begin: streams that cannot fail, versions, memory, the last word on errors."""

import ast
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pose_obj_3d.common import process_start

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("process_start.py", "whole_files.py")
COMMAND = """
import sys
sys.path.insert(0, {root!r})
from pose_obj_3d.common import process_start
process_start.prepare("command")
for n in range(5000):
    print(f"line {{n}} of many")
    print(f"line {{n}} of many", file=sys.stderr)
open("result", "w").write("whole")
sys.exit(5)
"""
MODES = {
    "full": "{} > /dev/full",
    "both full": "{} > /dev/full 2>&1",
    "gone": "{} 2> /dev/null | true; exit ${{PIPESTATUS[0]}}",
    "head": "{} 2> /dev/null | head -1; exit ${{PIPESTATUS[0]}}",
    "both gone": "{} 2>&1 | head -1; exit ${{PIPESTATUS[0]}}",
    "closed": "{} >&-",
    "all closed": "{} <&- >&- 2>&-",
}


def bash(line, folder, **environment):
    run = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    return run.returncode, run.stdout, run.stderr


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_output_that_nobody_takes_ends_nothing(tmp_path, mode):
    (tmp_path / "run.py").write_text(COMMAND.format(root=str(ROOT)))
    code, _, err = bash(mode.format(f"{sys.executable} run.py"), tmp_path)
    assert code == 5
    assert (
        tmp_path / "result"
    ).read_text() == "whole"  # also where the file was opened as stdout's number
    assert "Traceback" not in err
    assert "Error" not in err


def test_output_that_somebody_takes_is_whole(tmp_path):
    (tmp_path / "run.py").write_text(COMMAND.format(root=str(ROOT)))
    code, out, err = bash(f"{sys.executable} run.py", tmp_path)
    assert code == 5
    assert out == err == "".join(f"line {n} of many\n" for n in range(5000))


def test_names_that_the_terminal_cannot_show(tmp_path):
    (tmp_path / "run.py").write_text(
        COMMAND.split("for n", maxsplit=1)[0].format(root=str(ROOT))
        + "print('caf\\udce9 \\u03c0')\n"
    )
    code, out, _ = bash(f"{sys.executable} run.py", tmp_path, PYTHONIOENCODING="ascii")
    assert (code, out) == (0, "caf\\udce9 \\u03c0\n")


def programs():
    """List the files that are run as commands."""
    files = [
        p
        for folder in ("RLBench", "data_generation", "pose_obj_3d")
        for p in (ROOT / folder).rglob("*.py")
    ]
    return sorted(p for p in files if "sys.exit(main(" in p.read_text(encoding="utf-8"))


def test_every_command_prepares_itself_before_it_loads_anything():
    found = programs()
    assert len(found) == 31
    standard = set(sys.stdlib_module_names)
    for path in found:
        calls = 0
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names = [node.module] if isinstance(node, ast.ImportFrom) else names
            is_start = isinstance(node, ast.ImportFrom) and node.names[0].name == "process_start"
            if any(n.split(".")[0] not in standard for n in names) and not is_start:
                break
            calls += isinstance(node, ast.If) and "process_start.prepare(" in ast.unparse(node)
        assert calls == 1, path


def test_the_two_packages_begin_alike():
    """Neither may import the other, so each has the files."""
    for name in NAMES:
        assert (ROOT / "pose_obj_3d/common" / name).read_bytes() == (
            ROOT / "RLBench/pyrep_mujoco" / name
        ).read_bytes()


@pytest.mark.parametrize(
    ("version", "is_good"),
    [
        ((3, 10, 14), False),
        ((3, 11, 0), True),
        ((3, 12, 9), True),
        ((3, 13, 0), False),
        ((3, 14, 0), False),
        ((4, 0, 0), False),
    ],
)
def test_versions_of_python(version, is_good):
    said = process_start.wrong_python(version)
    assert (said == "") == is_good
    if not is_good:
        assert (
            said
            == f"Python {version[0]}.{version[1]} is not supported, 3.11 and 3.12 are; use one of"
            " them"
        )


def test_a_command_refuses_another_python(tmp_path):
    program = COMMAND.format(root=str(ROOT)).replace(
        "process_start.prepare", "sys.version_info = (3, 13, 0)\nprocess_start.prepare"
    )
    (tmp_path / "run.py").write_text(program)
    code, out, err = bash(f"{sys.executable} run.py", tmp_path)
    assert (code, out) == (2, "")
    assert err == "command: Python 3.13 is not supported, 3.11 and 3.12 are; use one of them\n"
    assert not (tmp_path / "result").exists()


def test_the_package_refuses_the_same_versions():
    wanted = importlib.metadata.metadata("rlbench-mujoco")["Requires-Python"]
    text = (ROOT / "RLBench" / "pyproject.toml").read_text(encoding="utf-8")
    assert 'requires-python = ">=3.11,<3.13"' in text
    assert wanted is not None


SCRIPT = "cd {root} && . .ci/environment.sh && {call}"


def fake_python(folder, body):
    path = folder / "bin" / "python"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


NEW = 'case "$*" in *"is Python"*) echo "is Python 3.13";; *) exit 1;; esac'


@pytest.mark.parametrize("script", ["run_tests.sh", "quickstart.sh"])
def test_scripts_refuse_an_active_environment_of_another_python(tmp_path, script):
    fake_python(tmp_path, NEW)
    code, _, err = bash(
        f"bash {ROOT / script}", tmp_path, VIRTUAL_ENV=str(tmp_path), QUICKSTART_PYTHON=""
    )
    assert code == 2
    assert (
        err == f"the active virtual environment {tmp_path} is Python 3.13; Python 3.11 and 3.12 are"
        " supported: deactivate it, or make it anew with one of them\n"
    )


def test_scripts_refuse_an_interpreter_of_another_version(tmp_path):
    path = fake_python(tmp_path, NEW)
    code, _, err = bash(f"bash {ROOT / 'quickstart.sh'}", tmp_path, QUICKSTART_PYTHON=str(path))
    assert code == 2
    assert f"no Python 3.11 or 3.12 found (looked for {path})" in err


FIND = 'PYTHON={python}; find_installer; echo "${{INSTALL[@]}}"'


@pytest.mark.parametrize(
    ("body", "has_uv", "expected"),
    [
        ("exit 0", False, "{python} -m pip install --quiet"),
        (
            '[ "$2" = ensurepip ] || [ -e {mark} ] && touch {mark}',
            False,
            "{python} -m pip install --quiet",
        ),
        ("exit 1", True, "uv pip install --quiet --python {python}"),
        ("exit 1", False, "has no pip, and neither ensurepip nor uv is there to bring it"),
    ],
    ids=["pip", "ensurepip", "uv", "nothing"],
)
def test_an_environment_without_pip(tmp_path, body, has_uv, expected):
    python = fake_python(tmp_path, body.format(mark=tmp_path / "mark"))
    tools = tmp_path / "tools"
    tools.mkdir()
    if has_uv:
        (tools / "uv").write_text("#!/bin/sh\n")
        (tools / "uv").chmod(0o755)
    line = SCRIPT.format(root=ROOT, call=FIND.format(python=python))
    code, out, err = bash(line, tmp_path, PATH=f"{tools}:/usr/bin:/bin")
    assert expected.format(python=python) in out + err
    assert code == (0 if "install" in expected else 2)


@pytest.mark.parametrize("value", ["wrong", "EGLL", "2", "x" * 5000])
def test_a_backend_that_does_not_exist(value):
    said = process_start.wrong_backend({"MUJOCO_GL": value})
    assert said.startswith("MUJOCO_GL is '")
    assert len(said) < 200


@pytest.mark.parametrize("value", [None, "", "egl", "EGL ", "osmesa", "glfw", "off", "disable"])
def test_backends_that_mujoco_knows(value):
    assert process_start.wrong_backend({} if value is None else {"MUJOCO_GL": value}) == ""


GENERATE = (
    f"{sys.executable} {ROOT / 'data_generation/RLBench/generate_data.py'} --path_dataset d"
    " --path_dataset_config c"
)


def test_little_memory_is_one_line(tmp_path):
    code, out, err = bash(f"ulimit -v 500000; {GENERATE}", tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith("generate_data.py: the address space is limited to 488 MiB (ulimit -v), ")
    assert len(err.splitlines()) == 1


def test_a_wrong_backend_is_one_line(tmp_path):
    code, out, err = bash(GENERATE, tmp_path, MUJOCO_GL="wrong")
    assert (code, out) == (2, "")
    assert (
        err
        == "generate_data.py: MUJOCO_GL is 'wrong'; it must be egl, osmesa or glfw, or not be set\n"
    )


LAST = """
import sys
sys.path.insert(0, {root!r})
from pose_obj_3d.common import process_start
process_start.prepare("command")
print("before")
{error}
"""
ENDS = {
    "memory": ("raise MemoryError", 2, "command: out of memory; "),
    "import": (
        "raise ImportError('libx.so: failed to map segment from shared object')",
        2,
        "command: out of memory; ",
    ),
    "cause": (
        "raise RuntimeError('x') from OSError(12, 'Cannot allocate memory')",
        2,
        "command: out of memory; ",
    ),
    "torch": (
        'raise RuntimeError("DefaultCPUAllocator: can\'t allocate memory")',
        2,
        "command: out of memory; ",
    ),
    "package": ("import no_such_package", 2, "command: package no_such_package is not installed"),
    "interrupt": ("raise KeyboardInterrupt", 130, "command: interrupted"),
    "fault": ("raise ValueError('ours')", 1, "Traceback"),
}


@pytest.mark.parametrize(("error", "code", "said"), ENDS.values(), ids=ENDS)
def test_the_last_word(tmp_path, error, code, said):
    (tmp_path / "run.py").write_text(LAST.format(root=str(ROOT), error=error))
    found, out, err = bash(f"{sys.executable} run.py", tmp_path)
    assert (found, out) == (code, "before\n")
    assert err.startswith(said)
    if code != 1:
        assert len(err.splitlines()) == 1
