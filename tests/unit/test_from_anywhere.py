"""Started in another folder: the tests, the installed packages, and commands that are modules."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def run(folder, *command):
    """Run Python in a folder, without the variables that tell where packages are."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHONPATH", "PYTEST"))}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=folder,
        env=plain,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "test",
    [
        "unit/data_generation/raw/test_store.py::test_round_trip",  # has helpers beside the tests
        "unit/pose_obj_3d/test_formal.py::test_round_trip_keeps_every_value",
        # Shares a stand-in with the contract tests.
        "unit/rlbench/engines/test_coppelia_setup.py::test_with_wrong_folders",
        "property/test_geometry.py::test_order_of_views_does_not_matter",
    ],
)
def test_tests(tmp_path, test):
    flags = ["-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "-x"]
    result = run(tmp_path, *flags, ROOT / "tests" / test)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    assert " passed" in result.stdout


@pytest.mark.parametrize("package", ["rlbench", "pyrep_mujoco", "pose_obj_3d"])
def test_installed_packages(tmp_path, package):
    code = f"import {package}; print({package}.__file__)"
    result = run(tmp_path, "-I", "-c", code)
    assert result.returncode == 0, result.stderr
    assert Path(result.stdout.strip()).name == "__init__.py"


@pytest.mark.parametrize(
    "module",
    [
        "pose_obj_3d.lift",
        "rlbench.tools.task_validator",
        "pyrep_mujoco.ttm.describe",
    ],
)
def test_commands(tmp_path, module):
    result = run(tmp_path, "-m", module, "--help")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("usage: ")
