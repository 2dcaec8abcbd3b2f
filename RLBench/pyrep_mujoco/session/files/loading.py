"""Reads scenes and models from files: V-REP / CoppeliaSim's own, and MJCF."""

import copy
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.session.files.from_mjcf import read_mjcf
from pyrep_mujoco.ttm.reading.model import Scene, Shape
from pyrep_mujoco.ttm.reading.reader import read_scene

KEPT_FILES = 64
"""Files whose contents are kept in one process: tasks load the same ones again and again."""
KINDS = (".ttt", ".ttm", ".xml", ".mjcf")
_Key = tuple[str, int, int]
_KEPT: "OrderedDict[_Key, Scene]" = OrderedDict()


def read_file(path: Path | str) -> Scene:
    """Read a scene or a model; the caller may change what it gets.

    Args:
        path: `.ttt`, `.ttm`, `.xml` or `.mjcf` file.

    Raises:
        SceneError: there is no such file, it is of another kind, or MuJoCo refuses it.
        TtmError: it is not what its name says.
    """
    path = Path(path)
    if not path.is_file():
        raise SceneError(f"there is no scene or model file {path}")
    if path.suffix.lower() not in KINDS:
        raise SceneError(f"{path}: files that end with {', '.join(KINDS)} are read")
    status = path.stat()
    key = (str(path.absolute()), status.st_mtime_ns, status.st_size)
    if key not in _KEPT:
        is_mjcf = path.suffix.lower() in (".xml", ".mjcf")
        _KEPT[key] = read_mjcf(path) if is_mjcf else read_scene(path)
        while len(_KEPT) > KEPT_FILES:
            _KEPT.popitem(last=False)
    _KEPT.move_to_end(key)
    return _own_copy(_KEPT[key])


def _own_copy(scene: Scene) -> Scene:
    """Return a copy whose objects may be changed; parts and images never are, and are shared."""
    shared: dict[int, object] = {}
    for obj in scene.objects:
        if isinstance(obj, Shape):
            shared.update({id(part): part for part in obj.parts})
    objects = [copy.deepcopy(obj, dict(shared)) for obj in scene.objects]
    return replace(scene, objects=objects, textures=dict(scene.textures))
