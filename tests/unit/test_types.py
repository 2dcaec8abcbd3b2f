"""mypy checks every module of every package strictly: none is left out, none is excused."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("RLBench", "data_generation", "pose_obj_3d")


def settings():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]


def modules():
    paths = [p for c in CODE for p in (ROOT / c).rglob("*.py") if "build" not in p.parts]
    assert len(paths) > 200
    return paths


def test_no_package_is_left_out():
    files = settings()["files"]
    outside = [p for p in modules() if not any(p.is_relative_to(ROOT / file) for file in files)]
    assert not outside


def test_no_module_is_excused():
    """Neither by the settings nor by a comment for a whole file."""
    assert settings()["strict"] is True
    assert not [o for o in settings().get("overrides", []) if o.get("ignore_errors")]
    comment = re.compile(r"^#\s*(mypy:|type:\s*ignore)", re.MULTILINE)
    assert not [p for p in modules() if comment.search(p.read_text(encoding="utf-8"))]
