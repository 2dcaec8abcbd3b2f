"""Which file of the project imports which, read from the source text; nothing is loaded.

Counted is every import: at the top of a file, inside a function, under `TYPE_CHECKING`, and
`import_module` with the name of a module. `from a import b` imports the module `a.b` where there
is one, else a name of `a`. Importing `a.b` is no import of the names in `a/__init__.py`.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "pyrep_mujoco": ROOT / "RLBench" / "pyrep_mujoco",
    "pyrep": ROOT / "RLBench" / "pyrep_mujoco" / "as_pyrep" / "pyrep",
    "rlbench": ROOT / "RLBench" / "rlbench",
    "data_generation": ROOT / "data_generation",
    "pose_obj_3d": ROOT / "pose_obj_3d",
}


def below(module: str, rooms: Iterable[str]) -> bool:
    """Say whether a module is one of some rooms or lies in one."""
    return any(module == room or module.startswith(room + ".") for room in rooms)


def module_name(package: str, path: Path) -> str:
    """Give a file's dotted name; a package's `__init__.py` has the package's."""
    parts = path.relative_to(PACKAGES[package]).with_suffix("").parts
    return ".".join([package, *(p for p in parts if p != "__init__")])


def own_files() -> dict[str, Path]:
    """Give the files of all packages by module name."""
    return {
        module_name(package, path): path
        for package, folder in PACKAGES.items()
        for path in sorted(folder.rglob("*.py"))
        if not {"build", "as_pyrep"} & set(path.relative_to(folder).parts)
    }


@dataclass(frozen=True)
class Statement:
    """One imported name: `from module import name`, or `import module` (no name)."""

    module: str
    name: str = ""

    @property
    def full(self) -> str:
        """The dotted name of what is imported."""
        return f"{self.module}.{self.name}" if self.name else self.module


def texts(tree: ast.Module) -> dict[str, str]:
    """Give the constants of a file that are texts."""
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def loaded_by_name(node: ast.Call, constants: dict[str, str]) -> str:
    """Give the module of an `import_module` call, where the file says which."""
    called = node.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    if name not in ("import_module", "__import__") or not node.args:
        return ""
    argument = node.args[0]
    if isinstance(argument, ast.Constant):
        return str(argument.value)
    return constants.get(getattr(argument, "id", ""), "")


def statements(path: Path) -> Iterator[Statement]:
    """Give every import of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = texts(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Statement(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (Statement(node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and (name := loaded_by_name(node, constants)):
            yield Statement(name)


class ImportGraph:
    """The imports of all packages.

    Attributes:
        files: Path of each module by its name.
        imported: All that a module imports: own modules by name, others as written.
    """

    def __init__(self, files: dict[str, Path] | None = None) -> None:
        self.files = own_files() if files is None else files
        self.imported: dict[str, set[str]] = {
            module: {self._target(s) for s in statements(path)}
            for module, path in self.files.items()
        }

    def _target(self, statement: Statement) -> str:
        for name in (statement.full, statement.module):
            if name in self.files:
                return name
        return statement.full

    @cached_property
    def own(self) -> dict[str, set[str]]:
        """The imports between own modules, without those of a module itself."""
        return {
            module: {n for n in names if n in self.files and n != module}
            for module, names in self.imported.items()
        }

    def edges(self) -> Iterator[tuple[str, str]]:
        """Give every import as (importer, imported)."""
        return ((m, name) for m in sorted(self.imported) for name in sorted(self.imported[m]))

    def circles(self, larger_than: int) -> list[list[str]]:
        """Give the sets of modules that import each other, over any number of steps."""
        index: dict[str, int] = {}
        low: dict[str, int] = {}
        stack: list[str] = []
        found: list[list[str]] = []

        def visit(module: str) -> None:  # Tarjan's algorithm
            index[module] = low[module] = len(index)
            stack.append(module)
            for other in sorted(self.own[module]):
                if other not in index:
                    visit(other)
                    low[module] = min(low[module], low[other])
                elif other in stack:
                    low[module] = min(low[module], index[other])
            if low[module] == index[module]:
                start = stack.index(module)
                found.append(sorted(stack[start:]))
                del stack[start:]

        for module in sorted(self.own):
            if module not in index:
                visit(module)
        return [circle for circle in found if len(circle) > larger_than]

    def folders(self) -> dict[Path, int]:
        """Count the modules of each folder, sub-folders and `__init__.py` left out."""
        count: dict[Path, int] = defaultdict(int)
        for path in self.files.values():
            count[path.parent] += path.name != "__init__.py"
        return dict(count)
