"""pyrep_mujoco can be installed and imported without rlbench."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3] / "RLBench"
PACKAGE = ROOT / "pyrep_mujoco"
SETTINGS = tomllib.loads((PACKAGE / "pyproject.toml").read_text())


def modules():
    """Names of all modules of the package."""
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        if not {"build", "as_pyrep"} & set(parts):
            yield ".".join(parts).removesuffix(".__init__")


def test_the_package_list_names_every_folder():
    folders = {
        ".".join(file.relative_to(ROOT).parent.parts)
        for file in PACKAGE.rglob("__init__.py")
        if not {"build", "as_pyrep"} & set(file.parts)
    }
    assert set(SETTINGS["tool"]["setuptools"]["packages"]) == folders


def test_type_checkers_may_read_both_packages():
    both = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = ((SETTINGS, "pyrep_mujoco"), (both, "pyrep_mujoco"), (both, "rlbench"))
    for settings, package in listed:
        assert "py.typed" in settings["tool"]["setuptools"]["package-data"][package]
        assert (ROOT / package / "py.typed").is_file()


def test_it_needs_the_versions_that_rlbench_needs():
    own = set(SETTINGS["project"]["dependencies"])
    rlbench = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert own <= set(rlbench)
    assert set(rlbench) == set((ROOT / "requirements.txt").read_text().split())


def test_every_module_is_imported_without_rlbench():
    code = """
import importlib, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("rlbench", "data_generation", "pose_obj_3d"):
            raise ImportError(f"{name} must not be imported")
sys.meta_path.insert(0, Refuse())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""
    command = [sys.executable, "-c", code, *modules()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
