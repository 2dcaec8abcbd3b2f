"""Loads task files of RLBench as they are, and lets their functions run in their own scene."""

import functools
import sys
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from rlbench.backend.episodes.global_random import GlobalRandom
from rlbench.backend.exceptions import (
    BoundaryError,
    DemoError,
    RLBenchError,
    TaskFileError,
    WaypointError,
)
from rlbench.backend.placement_rules import RLBENCH_RULES
from rlbench.backend.pyrep_names.scene_context import own_object, using
from rlbench.backend.task import Task
from rlbench.backend.task_files import Origin
from rlbench.checkout.stand_in import stand_in

_FATAL = (
    "init_task",
    "init_episode",
    "variation_count",
    "base_rotation_bounds",
    "boundary_root",
    "is_static_workspace",
)
_PASSING = (
    "cleanup",
    "decorate_observation",
    "get_low_dim_state",
    "get_waypoints",
    "reset_conditions",
    "reward",
    "should_repeat_waypoints",
    "step",
    "success",
    "validate",
)
"""What fails in these spoils one demonstration, not the task."""
_FAILURES = (Exception, SystemExit)
"""What a task file may raise for its own account: `sys.exit` in one must not end a whole run."""
_loaded: dict[tuple[Path, float, bool], type[Task]] = {}


def load_task(origin: Origin, with_pyrep: bool = False) -> type[Task]:
    """Return the class of a task file; the file is loaded once while it does not change.

    Args:
        origin: the task's files.
        with_pyrep: imports of PyRep mean the installed PyRep, not the stand-in.

    Raises:
        TaskFileError: the file cannot be loaded, or defines no such class.
    """
    key = (origin.file, origin.file.stat().st_mtime, with_pyrep)
    if key not in _loaded:
        if with_pyrep:
            module = _execute(origin)
        else:
            with stand_in():
                module = _execute(origin)
        _loaded[key] = _bind(_find_class(module, origin), origin, with_pyrep)
    return _loaded[key]


def _execute(origin: Origin) -> ModuleType:
    kind = f"rlbench_checkout.{origin.name}"
    spec = spec_from_file_location(kind, origin.file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[kind] = module  # dataclasses and pickles in a task file look themselves up here
    try:
        with GlobalRandom():
            spec.loader.exec_module(module)
    except _FAILURES as error:
        del sys.modules[kind]
        raise _told(origin, "loading it", error) from error
    return module


def _find_class(module: ModuleType, origin: Origin) -> type[Task]:
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Task)
        and value.__module__ == module.__name__
    ]
    wanted = origin.name.replace("_", "")
    named = [cls for cls in own if cls.__name__.lower() == wanted]
    if len(named or own) != 1:
        found = ", ".join(cls.__name__ for cls in own) or "none"
        raise TaskFileError(
            f"{origin.file}: a class {''.join(w.capitalize() for w in origin.name.split('_'))} "
            f"derived from rlbench.backend.task.Task is wanted, found {found}"
        )
    return (named or own)[0]


def _told(origin: Origin, doing: str, error: BaseException) -> TaskFileError:
    """Return an error whose one line names the task file's line that led to `error`."""
    line = 0
    if isinstance(error, SyntaxError) and error.filename == str(origin.file):
        line = error.lineno or 0
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == str(origin.file):
            line = frame.lineno or line
    text = " ".join(str(error).split())
    kind = "" if isinstance(error, RLBenchError) else f"{type(error).__name__}: "
    place = f"{origin.file}:{line}" if line else str(origin.file)
    return TaskFileError(f"{place}: task {origin.name}, {doing}: {kind}{text or 'no message'}")


def _bind(cls: type[Task], origin: Origin, with_pyrep: bool) -> type[Task]:
    """Return a subclass whose functions run with their own scene as the current one."""
    binder = _Binder(origin, with_pyrep)
    body: dict[str, Any] = {name: binder.fatal(name, getattr(cls, name)) for name in _FATAL}
    body |= {name: binder.passing(name, getattr(cls, name)) for name in _PASSING}
    for name in ("register_waypoint_ability_start", "register_waypoint_ability_end"):
        body[name] = binder.registering(getattr(cls, name))
    body["boundary_root"] = binder.returning_own(body["boundary_root"])
    body["register_graspable_objects"] = _register_graspable(cls)
    body |= {
        "rules": RLBENCH_RULES,
        "origin": origin,
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
    }
    return type(cls.__name__, (cls,), body)


def _register_graspable(cls: type[Task]) -> Callable[..., None]:
    def register_graspable_objects(task: Task, objects: list[Any]) -> None:
        cls.register_graspable_objects(task, [own_object(obj) for obj in objects])

    return register_graspable_objects


class _Binder:
    """Wraps functions of one task file."""

    def __init__(self, origin: Origin, with_pyrep: bool) -> None:
        self._origin = origin
        self._imports = nullcontext if with_pyrep else stand_in

    def _run(self, task: Task, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with task.global_random, using(task.engine, self._origin.root), self._imports():
            return function(*args, **kwargs)

    def fatal(self, name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function whose failure is the task's."""

        @functools.wraps(inner)
        def verb(task: Task, *args: Any, **kwargs: Any) -> Any:
            try:
                return self._run(task, inner, task, *args, **kwargs)
            except (BoundaryError, WaypointError, TaskFileError, DemoError):
                raise
            except _FAILURES as error:
                raise _told(self._origin, name, error) from error

        return verb

    def passing(self, name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function whose failure is that of one demonstration."""

        @functools.wraps(inner)
        def verb(task: Task, *args: Any, **kwargs: Any) -> Any:
            try:
                return self._run(task, inner, task, *args, **kwargs)
            except DemoError:
                raise
            except _FAILURES as error:
                cause = f"{name}_raised_{type(error).__name__}"
                raise DemoError(str(_told(self._origin, name, error)), cause) from error

        return verb

    def returning_own(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function that returns an object."""

        @functools.wraps(inner)
        def verb(task: Task) -> Any:
            found = inner(task)
            with using(task.engine):
                return own_object(found)

        return verb

    def registering(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function that registers a waypoint's ability."""

        @functools.wraps(inner)
        def register(task: Task, waypoint_index: int, func: Callable[..., Any]) -> None:
            def act(_: Task, waypoint: Any) -> Any:
                return func(waypoint)

            bound = self.passing(f"ability of waypoint{waypoint_index}", act)
            inner(task, waypoint_index, functools.partial(bound, task))

        return register
