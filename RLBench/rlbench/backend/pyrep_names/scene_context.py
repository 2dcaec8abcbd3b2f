"""The current scene: `Shape("cup")` in a task file is the cup of this scene.

While a task's own functions run it is the task's scene, else the one loaded last in this process.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rlbench.backend.exceptions import SceneError
from rlbench.backend.robot import Robot
from rlbench.engines.object_protocols import WrapsObjects
from rlbench.engines.protocols import Engine

_running: list[tuple[Engine, Path | None]] = []
_loaded: list["weakref.ref[Engine]"] = []
_robots: "weakref.WeakKeyDictionary[Engine, Robot]" = weakref.WeakKeyDictionary()


def current_engine() -> Engine:
    """Return the engine of the current scene.

    Raises:
        SceneError: no scene is loaded.
    """
    if _running:
        return _running[-1][0]
    engine = _loaded[-1]() if _loaded else None
    if engine is None:
        raise SceneError(
            "no scene is loaded, so no object can be looked up by name; "
            "call Environment.get_task first"
        )
    return engine


def current_robot() -> Robot:
    """Return the robot of the current scene.

    Raises:
        SceneError: no scene is loaded.
    """
    engine = current_engine()
    if engine not in _robots:
        raise SceneError("the current scene was loaded without a robot")
    return _robots[engine]


def announce(engine: Engine, robot: Robot) -> None:
    """Make a scene that was just loaded the one that names mean outside of tasks."""
    _loaded[:] = [weakref.ref(engine)]
    _robots[engine] = robot


def forget(engine: Engine) -> None:
    """Forget a scene that was closed."""
    _loaded[:] = [ref for ref in _loaded if ref() not in {None, engine}]
    _robots.pop(engine, None)  # a robot holds its engine, which would never die here


def current_root() -> Path | None:
    """Return the checkout whose task is running now, None where there is none."""
    return _running[-1][1] if _running else None


def own_object(obj: Any) -> Any:
    """Return the current engine's own object for one of PyRep's, anything else as it is."""
    engine = _running[-1][0] if _running else None
    is_foreign = hasattr(obj, "get_handle") and not hasattr(obj, "native")
    return engine.wrap(obj) if is_foreign and isinstance(engine, WrapsObjects) else obj


@contextmanager
def using(engine: Engine, root: Path | None = None) -> Iterator[None]:
    """Let names mean the objects of `engine`, and files those of the checkout `root`, meanwhile."""
    _running.append((engine, root))
    try:
        yield
    finally:
        _running.pop()
