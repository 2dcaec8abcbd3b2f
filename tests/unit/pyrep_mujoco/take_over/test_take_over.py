"""One command makes `import pyrep` ours in an environment, another one undoes it."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from pyrep_mujoco.take_over import FOLDER
from pyrep_mujoco.take_over.meaning import Kind, meaning

ROOT = Path(__file__).resolve().parents[4] / "RLBench"
NAME = "pyrep_mujoco_take_over.pth"
FIND = "import importlib.util as u; s = u.find_spec('pyrep'); print(s and s.origin)"
OURS = str(FOLDER / "pyrep" / "__init__.py")


class Environment:
    """A virtual environment that finds this project's packages, and no pip."""

    def __init__(self, folder, simulator=ROOT):
        venv.create(folder, with_pip=False, symlinks=os.name != "nt")
        self.python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
        scheme = {"base": str(folder), "platbase": str(folder)}
        self.site = Path(sysconfig.get_path("purelib", "venv", vars=scheme))
        self.file = self.site / NAME
        lines = [Path(pytest.__file__).parents[1], simulator]
        (self.site / "packages.pth").write_text("\n".join(str(p) for p in lines if p))

    def run(self, *arguments, **variables):
        """Run its Python in its folder."""
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST"))}
        return subprocess.run(
            [self.python, *arguments],
            cwd=self.python.parent,
            env=plain | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def take_over(self, *arguments, expect=0, **variables):
        """Run the command; return what it prints."""
        result = self.run("-m", "pyrep_mujoco.take_over", *arguments, **variables)
        assert result.returncode == expect, result.stderr
        out = result.stdout + result.stderr
        assert "Traceback" not in out
        if expect == 2:
            assert out.count("\n") == 1
            assert len(out) < 500
        return out

    def found(self, **variables):
        """Return the file of what `import pyrep` means."""
        return self.run("-c", FIND, **variables).stdout.strip()

    def install(self, *files):
        """Install another package of the name."""
        for name in ("__init__.py", *files):
            path = self.site / "pyrep" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return self.site / "pyrep"


@pytest.fixture
def environment(tmp_path):
    return Environment(tmp_path / "a b")


PYREPS = ("pyrep.py", "backend/sim.py")


def test_on_and_off(environment):
    assert "means nothing" in environment.take_over("status", expect=1)
    assert "now means pyrep_mujoco's" in environment.take_over("on")
    first = environment.file.read_bytes()
    assert "`import pyrep` meant pyrep_mujoco's" in environment.take_over("on")  # again: no change
    assert environment.file.read_bytes() == first
    assert environment.found() == OURS
    assert "means pyrep_mujoco's" in environment.take_over("status")
    assert "now means nothing" in environment.take_over("off")
    assert "nothing to undo" in environment.take_over("off")
    assert environment.found() == "None"
    assert [p.name for p in environment.site.iterdir()] == ["packages.pth"]


def test_children_and_pytest(environment, tmp_path):
    environment.take_over("on")
    (tmp_path / "test_it.py").write_text(
        "import importlib.util, multiprocessing, sys\n"
        "def find(_): return importlib.util.find_spec('pyrep').origin\n"
        "def test_it():\n"
        "    for how in multiprocessing.get_all_start_methods():\n"
        "        with multiprocessing.get_context(how).Pool(1) as pool:\n"
        f"            assert pool.map(find, [0]) == [{OURS!r}]\n"
        f"    assert find(0) == {OURS!r}\n"
        "if __name__ == '__main__': test_it(); print('passed')\n"
    )
    script = environment.run(tmp_path / "test_it.py")
    assert script.stdout == "passed\n", script.stderr
    flags = ["-p", "no:cacheprovider", "-p", "no:xdist", "-c", os.devnull, "--rootdir", tmp_path]
    result = environment.run("-m", "pytest", "-q", *flags, tmp_path / "test_it.py")
    assert "1 passed" in result.stdout, result.stdout + result.stderr


def test_real_pyrep_stays_unless_asked_for(environment):
    folder = environment.install(*PYREPS)
    said = environment.take_over("on", expect=2)
    assert "PyRep is installed" in said
    assert "on --instead" in said
    assert not environment.file.exists()
    assert environment.found() == str(folder / "__init__.py")

    environment.take_over("on", "--instead")
    assert environment.found() == OURS
    assert f"without it: PyRep (CoppeliaSim's) ({folder})" in environment.take_over("status")
    assert "now means PyRep" in environment.take_over("off")
    assert environment.found() == str(folder / "__init__.py")


def test_pyrep_that_is_installed_later_wins(environment):
    environment.take_over("on")
    folder = environment.install(*PYREPS)
    assert environment.found() == str(folder / "__init__.py")
    said = environment.take_over("status", expect=1)
    assert "means PyRep" in said
    assert "after all others" in said


def test_the_other_project_of_the_name(environment):
    folder = environment.install("Repository.py")
    said = environment.take_over("on", expect=2)
    assert f"{folder} is another project with the name pyrep" in said
    assert "pip uninstall pyrep" in said
    environment.take_over("on", "--instead")
    assert environment.found() == OURS


def test_one_run_without_a_file(environment):
    folder = environment.take_over("path").strip()
    environment.install(*PYREPS)
    assert environment.found(PYTHONPATH=folder) == OURS
    assert "PYTHONPATH names" in environment.take_over("status", PYTHONPATH=folder)
    assert "still means" in environment.take_over("off", PYTHONPATH=folder)


def test_environments_do_not_touch_each_other(environment, tmp_path):
    other = Environment(tmp_path / "other")
    other.take_over("on")
    assert environment.found() == "None"
    environment.take_over("off")
    assert other.found() == OURS


def test_file_of_a_clone_that_is_gone(environment):
    environment.file.write_text("/gone/pyrep_mujoco/as_pyrep\n")
    assert "it has no pyrep" in environment.take_over("status", expect=1)
    environment.take_over("on")
    assert environment.found() == OURS


def test_the_simulator_must_be_installed(tmp_path):
    bare = Environment(tmp_path / "bare", simulator=None)
    said = bare.take_over("on", expect=2, PYTHONPATH=str(ROOT))
    assert "pyrep_mujoco is not installed" in said
    assert not bare.file.exists()


def test_paths_that_are_no_plain_text(environment, tmp_path):
    root = tmp_path / "Zoë's 机器人"
    root.symlink_to(ROOT)
    code = (
        "from pathlib import Path; from pyrep_mujoco.take_over import site_files as s;"
        f"s.write(Path({str(root)!a}) / 'pyrep_mujoco' / 'as_pyrep', is_first=False);"
        "print(ascii(s.existing()[0].folder))"
    )
    result = environment.run("-c", code)
    assert result.stdout.strip() == ascii(str(root / "pyrep_mujoco" / "as_pyrep")), result.stderr
    assert Path(environment.run("-c", FIND, PYTHONIOENCODING="utf-8").stdout.strip()).is_file()


def test_site_packages_that_cannot_be_written(environment):
    (environment.file / "in the way").mkdir(parents=True)
    said = environment.take_over("on", expect=2)
    assert "can be written" in said
    assert "take_over path" in said
    assert sorted(p.name for p in environment.site.iterdir()) == ["packages.pth", NAME]


def test_what_is_no_command():
    result = subprocess.run(
        [sys.executable, "-m", "pyrep_mujoco.take_over", "off", "--instead"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "--instead goes with on" in result.stderr


def test_meaning_is_asked_of_a_new_process():
    now = meaning(with_path_variable=True)
    assert Path(now.simulator).name == "pyrep_mujoco"
    assert now.without.kind in {Kind.NONE, Kind.PYREP, Kind.OTHER}
