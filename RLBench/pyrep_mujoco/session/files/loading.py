"""Reads scenes and models from files: V-REP / CoppeliaSim's own, and MJCF."""

import copy
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TypeVar

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.session.files.from_mjcf import read_mjcf
from pyrep_mujoco.stand_ins.base_scene import base_scene, robot_beside
from pyrep_mujoco.ttm.reading.model import Scene, Shape
from pyrep_mujoco.ttm.reading.reader import read_scene

KEPT_FILES = 64
"""Files whose contents are kept in one process: tasks load the same ones again and again."""
KINDS = (".ttt", ".ttm", ".xml", ".mjcf")
Value = TypeVar("Value")


def cached(read: Callable[[str], Value]) -> Callable[[str], Value]:
    """Keep what was made of the last files, as long as they are not changed."""
    kept: OrderedDict[tuple[str, int, int], Value] = OrderedDict()

    @wraps(read)
    def look_up(path: str) -> Value:
        status = _on_disk(Path(path)).stat()
        key = (str(Path(path).absolute()), status.st_mtime_ns, status.st_size)
        if key not in kept:
            kept[key] = read(path)
            while len(kept) > KEPT_FILES:
                kept.popitem(last=False)
        kept.move_to_end(key)
        return kept[key]

    return look_up


def read_file(path: Path | str) -> Scene:
    """Read a scene or a model; the caller may change what it gets.

    For RLBench's base scene, where only that is missing, one of ours is read.

    Args:
        path: `.ttt`, `.ttm`, `.xml` or `.mjcf` file. What `export` wrote is MJCF whatever its name
            ends with, and is read as such.

    Raises:
        SceneError: there is no such file, it is of another kind, or MuJoCo refuses it.
        TtmError: it is not what its name says.
    """
    if not _on_disk(Path(path)).is_file():
        raise SceneError(f"there is no scene or model file {path}")
    if Path(path).suffix.lower() not in KINDS:
        raise SceneError(f"{path}: files that end with {', '.join(KINDS)} are read")
    return _own_copy(_read(str(path)))


@cached
def _read(path: str) -> Scene:
    if not Path(path).is_file():
        return base_scene(Path(path))
    is_mjcf = Path(path).suffix.lower() in (".xml", ".mjcf") or _is_xml(Path(path))
    return read_mjcf(Path(path)) if is_mjcf else read_scene(path)


def _is_xml(path: Path) -> bool:
    """Tell whether a file holds XML, whatever its name says."""
    with path.open("rb") as file:
        return file.read(1024).lstrip().startswith(b"<")


def _on_disk(path: Path) -> Path:
    """Return the file that is read for a path: of RLBench's base scene the robot's may do."""
    return path if path.is_file() else robot_beside(path) or path


def _own_copy(scene: Scene) -> Scene:
    """Return a copy whose objects may be changed; parts and images never are, and are shared."""
    shared: dict[int, object] = {}
    for obj in scene.objects:
        if isinstance(obj, Shape):
            shared.update({id(part): part for part in obj.parts})
    objects = [copy.deepcopy(obj, dict(shared)) for obj in scene.objects]
    return replace(scene, objects=objects, textures=dict(scene.textures))
