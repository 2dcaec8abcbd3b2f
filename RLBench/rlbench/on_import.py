"""Does something when another package has been imported, without importing it now."""

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Watcher:
    """An entry of `sys.meta_path` that waits until a package is imported, and then acts."""

    def __init__(self, package: str, act: Callable[[], object]) -> None:
        self._package, self._act = package, act

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._package:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            self._extend(spec.loader)
        return spec

    def _extend(self, loader: Any) -> None:
        load = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
                self._act()

        loader.exec_module = exec_module


def when_imported(package: str, act: Callable[[], object]) -> None:
    """Call `act` once: now where `package` is imported already, else right after it will be."""
    if package in sys.modules:
        act()
    else:
        sys.meta_path.insert(0, _Watcher(package, act))
